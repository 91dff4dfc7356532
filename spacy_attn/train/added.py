"""Whether a method gives new examples their sense, now that it has learned from them.

It need not: one example among a dozen of each sense moves a decision, and does not always turn it.
"""

from __future__ import annotations

from collections.abc import Sequence

from spacy_attn.train.held_out import Prepare
from spacy_attn.wsd.context import Resources, Target, tokens_within
from spacy_attn.wsd.inventory.corrections import Correction
from spacy_attn.wsd.inventory.jsonl import Inventory
from spacy_attn.wsd.sense import Sense
from spacy_attn.wsd.vectors import Texts


def decided_otherwise(
    prepare: Prepare, inventory: Inventory, added: Sequence[Correction], resources: Resources
) -> list[tuple[Correction, Sense]]:
    """The new examples that a method gives another sense, and which.

    Args:
        prepare: the method.
        inventory: with the new examples; only senses of their words are prepared.
        added: the new examples.
        resources: the tokenizer.
    """
    of_id = {sense.id: sense for sense in inventory.senses}
    lemmas = {of_id[each.sense].lemma for each in added}
    senses = tuple(sense for sense in inventory.senses if sense.lemma in lemmas)
    part = Inventory(inventory.name, senses, inventory.lang)
    contexts, targets = [], []
    for i, each in enumerate(added):
        sense, example = of_id[each.sense], each.example
        context = resources.tokenize(example.text)
        first, end = tokens_within(context, example.start, example.end)
        contexts.append(context)
        targets.append(Target(i, first, end, sense.lemma, part.candidates(sense.lemma, sense.pos)))
    scores = prepare(part).score(Texts(contexts), targets)
    decided = [t.candidates[int(s.argmax())] for t, s in zip(targets, scores, strict=True)]
    pairs = zip(added, decided, strict=True)
    return [(each, sense) for each, sense in pairs if sense.id != each.sense]

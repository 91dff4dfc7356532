"""What corrections are worth: accuracy before and after a reader has corrected some words.

    python -m benchmarks.corrections

The texts are the sentences of SemCor and MASC in which a word of *homographs* has a sense that an
entry of *homographs* names by its key of WordNet. Every second word is for the reader, who is
simulated by the gold labels; the others and the bundled test set measure. The others are of the
same documents, some of the same sentence, and SemCor has trained the sense model of "attention":
they show what corrections do for the rest of a text, not for other texts. The method decides the
reader's sentences, the reader corrects the 100 or 500 least certain of them or as many drawn at
random (mean of five draws), the corrections become examples (``inventory add``), and the method is
prepared anew. The reader confirms what is right, as on the reading page. Nothing is tuned.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import spacy

from benchmarks.common import MASC, SEED, SEMCOR, Result, need, publish, run_command
from spacy_attn.compare.dataset import BUNDLED, open_dataset
from spacy_attn.compare.task import gold_task, tagged_by
from spacy_attn.components.adapter import resources_of
from spacy_attn.train.corpora import read_masc, read_semcor
from spacy_attn.train.held_out import MemoEncoder, MemoGlosses
from spacy_attn.wsd.context import Context, Models, Resources, Target, tokens_within
from spacy_attn.wsd.decide import Decision
from spacy_attn.wsd.engine import disambiguate
from spacy_attn.wsd.inventory.corrections import Correction, add_examples
from spacy_attn.wsd.inventory.jsonl import Inventory, load_inventory
from spacy_attn.wsd.inventory.wordnet_files import WordNet
from spacy_attn.wsd.methods.registry import SENSE_MODEL, sense_method
from spacy_attn.wsd.vectors import Texts

METHODS = ("word2vec", "attention")
SIZES = (100, 500)
DRAWS = 5


class Remembering:
    """The models of this machine; a sentence that was encoded once is not encoded again."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._known: dict[Any, Any] = {}

    def encoder(self, settings: Any) -> Any:
        """See :class:`~spacy_attn.wsd.context.Models`."""
        if settings not in self._known:
            self._known[settings] = MemoEncoder(self._models.encoder(settings))
        return self._known[settings]

    def text_encoder(self, settings: Any) -> Any:
        """See :class:`~spacy_attn.wsd.context.Models`."""
        key = "glosses", settings
        if key not in self._known:
            self._known[key] = MemoGlosses(self._models.text_encoder(settings))
        return self._known[key]

    def __getattr__(self, name: str) -> Any:
        """Static vectors and networks, as they are."""
        return getattr(self._models, name)


@dataclass(frozen=True)
class Labelled:
    """Words of texts with their gold senses."""

    contexts: Sequence[Context]
    targets: list[Target]
    gold: list[str]

    def part(self, first: int) -> Labelled:
        """Every second word."""
        return Labelled(self.contexts, self.targets[first::2], self.gold[first::2])

    def correction(self, i: int) -> Correction:
        """What the reader says of a word."""
        target = self.targets[i]
        context = self.contexts[target.context]
        start, end = context.offsets[target.start][0], context.offsets[target.end - 1][1]
        return Correction(context.text, start, end, target.lemma, self.gold[i])


def labelled(inventory: Inventory, resources: Resources) -> Labelled:
    """The words of homographs in SemCor and MASC."""
    wordnet = WordNet()
    sense_of = {(s.lemma, key): s for s in inventory.senses for key in s.wordnet}
    contexts: list[Context] = []
    targets: list[Target] = []
    gold: list[str] = []
    for sentence in chain(read_semcor(SEMCOR, wordnet), read_masc(MASC, wordnet)):
        own = []
        for start, end, keys in sentence.targets:
            lemma = wordnet.senses[keys[0]].lemma.replace("_", " ")
            if (lemma, keys[0]) in sense_of:
                own.append((start, end, sense_of[lemma, keys[0]]))
        if not own:
            continue
        starts = [0]
        for token in sentence.tokens:
            starts.append(starts[-1] + len(token) + 1)
        context = resources.tokenize(" ".join(sentence.tokens))
        for start, end, sense in own:
            first, last = tokens_within(context, starts[start], starts[end] - 1)
            candidates = inventory.candidates(sense.lemma, sense.pos)
            if len(candidates) > 1:
                targets.append(Target(len(contexts), first, last, sense.lemma, candidates))
                gold.append(sense.id)
        contexts.append(context)
    return Labelled(contexts, targets, gold)


def test_set(inventory: Inventory, resources: Resources, nlp: Any) -> Labelled:
    """The bundled one."""
    task = gold_task(open_dataset(BUNDLED, tagged_by(nlp)), inventory, resources)
    pairs = [
        (target, item.gold[0])
        for target, item in zip(task.targets, task.dataset.instances, strict=True)
        if target is not None
    ]
    return Labelled(task.contexts, [t for t, _ in pairs], [gold for _, gold in pairs])


def run() -> Result:
    """All figures, as plain data."""
    nlp = spacy.blank("en")
    inventory = load_inventory("homographs", "en")
    own = resources_of(nlp)
    resources = replace(own, models=Remembering(own.models), may_keep=False)
    words = labelled(inventory, resources)
    reader, others = words.part(0), words.part(1)
    # Other words: of other sentences, and of those in which the reader corrects another word.
    sets = {"other sentences": others, "test set": test_set(inventory, resources, nlp)}
    rows = []
    for method in METHODS:

        def measure(changed: Inventory, method: str = method) -> dict[str, float]:
            fitted = sense_method(method).prepare(changed, resources)
            return {name: accuracy(fitted, data) for name, data in sets.items()}

        fitted = sense_method(method).prepare(inventory, resources)
        decisions = disambiguate(fitted, Texts(reader.contexts), reader.targets)
        rows.append({"method": method, "corrected": 0, "order": "", **measure(inventory)})
        for size in SIZES:
            least = sorted(range(len(decisions)), key=lambda i: decisions[i].score)[:size]
            found = measure(corrected(inventory, reader, least))
            rows.append(_row(method, size, "least certain", reader, decisions, [least], [found]))
            draws = [
                random.Random(seed).sample(range(len(decisions)), size)  # noqa: S311
                for seed in range(DRAWS)
            ]
            drawn = [measure(corrected(inventory, reader, draw)) for draw in draws]
            rows.append(_row(method, size, "random", reader, decisions, draws, drawn))
    return {
        "n_reader": len(reader.gold),
        "n": {name: len(data.gold) for name, data in sets.items()},
        "rows": rows,
    }


def corrected(inventory: Inventory, reader: Labelled, chosen: Sequence[int]) -> Inventory:
    """The inventory with the reader's corrections as examples."""
    return add_examples(inventory, [reader.correction(i) for i in chosen]).inventory


def accuracy(fitted: Any, data: Labelled) -> float:
    """Share of right senses. The candidates are those of the inventory before."""
    decided = disambiguate(fitted, Texts(data.contexts), data.targets)
    return float(np.mean([d.sense.id == g for d, g in zip(decided, data.gold, strict=True)]))


def _row(
    method: str,
    size: int,
    order: str,
    reader: Labelled,
    decisions: Sequence[Decision],
    draws: Sequence[Sequence[int]],
    found: Sequence[dict[str, float]],
) -> Result:
    """Means over draws, and the share of the reader's words that the method had wrong."""
    wrong = [decisions[i].sense.id != reader.gold[i] for draw in draws for i in draw]
    means = {name: float(np.mean([each[name] for each in found])) for name in found[0]}
    share = float(np.mean(wrong))
    return {"method": method, "corrected": size, "order": order, "wrong": share, **means}


def main() -> None:
    need(SEMCOR, "SemCor")
    need(MASC, "MASC")
    publish("corrections", run(), ".corrections", [SENSE_MODEL, SEMCOR, MASC], seed=SEED)


if __name__ == "__main__":
    run_command(main, __doc__)

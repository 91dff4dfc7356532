"""How many of an inventory's own examples a method decides correctly, each while it is held out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from spacy_attn.errors import ResourceError
from spacy_attn.train.held_out import accuracy, held_out_scores
from spacy_attn.wsd.context import Resources
from spacy_attn.wsd.inventory.jsonl import Inventory
from spacy_attn.wsd.method import BuiltInMethod, Needs, SenseMethod
from spacy_attn.wsd.sense import Sense

_TRIED = 300  # examples of the sample, about a minute on two cores


def decided_sample(
    inventory: Inventory, resources: Resources, method: SenseMethod
) -> dict[str, Any] | None:
    """The accuracy on a sample of the words, as plain data; why there is none, as ``error``.

    Args:
        inventory: whose examples are decided.
        resources: of a pipeline.
        method: which decides them.

    Returns:
        None where no word has two senses to choose from, with an example of one.
    """
    words = [w for w in inventory.words if _can_be_tried(inventory.candidates(*w))]
    n = sum(len(sense.examples) for word in words for sense in inventory.candidates(*word))
    taken = set(words[:: n // _TRIED + 1])
    senses = tuple(s for s in inventory.senses if (s.lemma, s.pos) in taken)
    if not senses:
        return None
    part = Inventory(inventory.name, senses, inventory.lang)
    kept = replace(resources, may_keep=False)
    needs = method.needs if isinstance(method, BuiltInMethod) else Needs()
    by = {"method": method.name, "encoders": list(needs.encoders)}
    try:
        scores, gold = held_out_scores(
            lambda rest: method.prepare(rest, kept), part, resources, n_folds=4
        )
    except ResourceError as error:
        return {**by, "error": str(error)}
    right = accuracy(scores, gold)
    return {**by, "n_words": len(taken), "n": len(gold), "accuracy": round(right, 4)}


def _can_be_tried(senses: tuple[Sense, ...]) -> bool:
    """Whether a sense is left to choose from, and something to know it by, without an example."""
    return (
        len(senses) > 1
        and all(s.definition or len(s.examples) > 1 for s in senses)
        and any(s.examples for s in senses)
    )

"""From the words that some tokens can be to a target with their senses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from spacy_attn.wsd.context import Reading, Target
from spacy_attn.wsd.sense import Sense


class Senses(Protocol):
    """An inventory that gives the senses of a word."""

    def candidates(self, lemma: str, pos: str | None = None) -> tuple[Sense, ...]:
        """The senses of a lemma in frequency order; of all parts of speech for None."""
        ...


class Found(NamedTuple):
    """A reading without its senses."""

    lemma: str
    pos: str
    probability: float
    end: int  # of its tokens


def target_of(inventory: Senses, index: int, start: int, found: Sequence[Found]) -> Target:
    """The target of some tokens, with the senses of all that they can be.

    Args:
        inventory: the senses.
        index: goes into :attr:`.Target.context`.
        start: first token.
        found: at least one reading, the likeliest first.
    """
    candidates: tuple[Sense, ...] = ()
    readings = []
    for lemma, pos, probability, end in found:
        senses = inventory.candidates(lemma, pos)
        candidates += senses
        readings.append(Reading(lemma, pos, len(senses), probability, end))
    end = max(reading.end for reading in readings)
    return Target(index, start, end, readings[0].lemma, candidates, tuple(readings))

"""A sense of a word."""

from __future__ import annotations

from dataclasses import dataclass

POS_TAGS = ("NOUN", "VERB", "ADJ", "ADV")


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence in which ``text[start:end]`` is used in a sense."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sense:
    """One sense of a lemma."""

    id: str
    lemma: str  # lower case, words separated by one space
    pos: str  # NOUN, VERB, ADJ or ADV
    definition: str  # "" where examples alone say what is meant
    examples: tuple[Example, ...] = ()
    supersense: str = ""
    forms: tuple[str, ...] = ()  # irregular inflections, lower case
    order: str = ""  # "counted", "judged" or ""
    wordnet: tuple[str, ...] = ()  # WordNet 3.0 sense keys
    ids: tuple[tuple[str, str], ...] = ()  # in other resources: ("ili", "i46360")
    row: int = -1  # number among the senses of WordNet; -1 in other inventories

    @property
    def gloss(self) -> str:
        """What says its meaning: the definition, or the examples where there is none."""
        return self.definition or "; ".join(example.text for example in self.examples)

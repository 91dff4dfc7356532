"""The small frozen record that ``token._.sense`` and ``span._.sense`` give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spacy_attn._types import PlainData
from spacy_attn.errors import ConfigError

if TYPE_CHECKING:
    from spacy_attn.wsd.inventory.synsets import Synset


@dataclass(frozen=True, slots=True)
class SenseAnnotation:
    """Which sense an occurrence has, and how sure the method is."""

    id: str  # sense id of the inventory, such as "bat.animal"
    lemma: str
    definition: str
    score: float  # probability that it is right, 0 to 1; nan where the group lost it
    margin: float  # probability of the best less that of the runner-up
    ranked: tuple[tuple[str, float], ...]  # (sense id, probability), best first
    method: str  # the method that decided

    def __repr__(self) -> str:
        """One line, probabilities with two digits."""
        ranked = ", ".join(f"{sense} {p:.2f}" for sense, p in self.ranked[:3])
        more = ", ..." if len(self.ranked) > 3 else ""
        return f"SenseAnnotation({self.id!r} {self.score:.2f}, {self.method}: {ranked}{more})"

    @property
    def none(self) -> float:
        """Probability that no sense of the inventory is meant: what ``ranked`` lacks to 1."""
        return max(0.0, 1.0 - sum(p for _, p in self.ranked))

    @classmethod
    def from_record(cls, record: PlainData) -> SenseAnnotation:
        """Build it from the plain data stored on the Doc."""
        return cls(
            id=record["sense"],
            lemma=record["lemma"],
            definition=record["definition"],
            score=record["score"],
            margin=record["margin"],
            ranked=tuple(zip(record["ranked"], record["probabilities"], strict=True)),
            method=record["method"],
        )

    @property
    def synset(self) -> Synset | None:
        """The synset of a sense of WordNet; None for a sense of another inventory."""
        from spacy_attn.wsd.inventory.synsets import synset_of

        try:
            return synset_of(self.id)
        except ConfigError:
            return None

"""What every sense inventory can do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from spacy_attn.wsd.context import Context, Target
from spacy_attn.wsd.sense import Sense


class SenseInventory(Protocol):
    """Which senses words can have: the bundled inventory, the user's own, or WordNet.

    An :class:`~.jsonl.Inventory` holds its senses in memory. WordNet's 206,941
    (:class:`~.wordnet.WordNetInventory`) are made when a word asks for them.
    """

    @property
    def name(self) -> str:
        """How users call it."""
        ...

    @property
    def lang(self) -> str | None:
        """Language of the words, or None for any."""
        ...

    @property
    def digest(self) -> str:
        """Hash of its contents; keys what is computed from it."""
        ...

    @property
    def senses(self) -> Sequence[Sense] | None:
        """All senses; None where they are too many to be held in memory."""
        ...

    @property
    def words(self) -> Sequence[tuple[str, str]]:
        """Lemma and part of speech of each word."""
        ...

    @property
    def synset_of_row(self) -> NDArray[np.int32] | None:
        """The synset of each :attr:`.Sense.row`, for trained sense vectors; None without rows.

        *Shape:* (n_senses,)
        """
        ...

    @property
    def counts(self) -> NDArray[np.int32] | None:
        """How often tagged text holds each :attr:`.Sense.row`; None without rows.

        *Shape:* (n_senses,)
        """
        ...

    @property
    def has_examples(self) -> bool:
        """Whether a method can learn from examples of the senses."""
        ...

    def find(self, context: Context, index: int = 0) -> list[Target]:
        """The words of a text that have senses here, in order; none overlap.

        Args:
            context: the text.
            index: goes into :attr:`.Target.context`.

        Raises:
            ConfigError: the text lacks what the inventory needs, such as parts of speech.
        """
        ...

    def can_begin(self, form: str) -> bool:
        """Whether a word with senses can begin with a token of this form or lemma.

        A quick look, so that most texts of a small inventory are passed over; True where
        looking would not pay.
        """
        ...

    def candidates(self, lemma: str, pos: str | None = None) -> tuple[Sense, ...]:
        """The senses of a lemma in frequency order; of all parts of speech for None."""
        ...

    def require_definitions(self, user: str) -> None:
        """Refuse an inventory whose definitions cannot be read on this machine.

        Args:
            user: what reads them, such as "the method lesk".

        Raises:
            ResourceError: with the command that installs them.
        """
        ...

    def hypernym_definitions(self, sense: Sense) -> tuple[str, ...]:
        """Definitions of what a sense is a kind of, one step up; () where none are known."""
        ...

    def glosses(self) -> Iterator[tuple[str, str]]:
        """Supersense and gloss (definition and examples) of everything; for counting words."""
        ...

    def __hash__(self) -> int:
        """Methods of one process share what they count in an inventory."""
        ...


@runtime_checkable
class GroupingInventory(Protocol):
    """An inventory that knows which senses of a word mean nearly the same."""

    def group_of(self, sense: Sense) -> str:
        """The name of the group that a sense belongs to."""
        ...

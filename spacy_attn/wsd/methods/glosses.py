"""What methods that read definitions make of them: at first use, and bounded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Lock
from typing import Any, Generic, TypeVar

from spacy_attn.wsd.context import Resources, Target
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.sense import Example, Sense

T = TypeVar("T")

_CACHED_SENSES = 20_000  # a long job meets every word; WordNet has 206,941 senses
_WORD = re.compile(r"[^\W\d_]+")  # runs of letters


class PreparedSenses(Generic[T]):
    """What a method computes of a sense, kept for the senses that texts have asked for.

    Threads may share it: two may compute the same twice, never something else. It is pickled
    empty.

    Args:
        make: computes it from the sense alone.
    """

    def __init__(self, make: Callable[[Sense], T]) -> None:
        self._make = make
        self._made: dict[str, T] = {}
        self._lock = Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"_make": self._make}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["_make"])  # type: ignore[misc]

    def __len__(self) -> int:
        """Number of senses that are kept."""
        return len(self._made)

    def __getitem__(self, sense: Sense) -> T:
        """What was made of a sense of the inventory, made now if need be."""
        made = self._made.get(sense.id)
        if made is None:
            made = self._make(sense)
            with self._lock:
                if len(self._made) >= _CACHED_SENSES:
                    self._made.clear()
                self._made[sense.id] = made
        return made


def gloss_words(inventory: SenseInventory) -> Iterator[tuple[str, list[str]]]:
    """Supersense, and the words of the gloss in lower case, of everything in an inventory.

    A pipeline's tokenizer would take ten seconds for WordNet's 117,659 glosses, and to count
    words, runs of letters are enough.
    """
    for supersense, gloss in inventory.glosses():
        yield supersense, _WORD.findall(gloss.lower())


def content_words(tokens: Iterable[str], stop_words: frozenset[str]) -> list[str]:
    """The words of letters alone, in lower case, that are no stop words."""
    lower = (token.lower() for token in tokens)
    return [word for word in lower if word.isalpha() and word not in stop_words]


def words_outside(example: Example, resources: Resources) -> list[str]:
    """The content words of an example, less those of the word that it is an example of."""
    context = resources.tokenize(example.text)
    outside = (
        token
        for token, (start, end) in zip(context.tokens, context.offsets, strict=True)
        if end <= example.start or start >= example.end
    )
    return content_words(outside, resources.stop_words)


def words_around(
    tokens: Sequence[str], target: Target, window: int, stop_words: frozenset[str]
) -> list[str]:
    """The content words within some tokens of a target, less the target."""
    before = tokens[max(0, target.start - window) : target.start]
    after = tokens[target.end : target.end + window]
    return content_words([*before, *after], stop_words)

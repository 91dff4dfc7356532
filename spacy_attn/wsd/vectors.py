"""Contextual vectors when a method asks for them: each token is encoded at most once.

    texts = Texts(contexts, stored)                    nothing is encoded yet
    texts.vectors(encoder, reads)                      encodes the ranges that are not known
    texts.vectors(encoder, wider reads)                encodes what is new in them

What a Doc holds already (an ``attention_encoder`` came before) is taken from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias, overload

import numpy as np

from spacy_attn._types import Encoder, Floats2d, TokenRange
from spacy_attn.wsd.context import Context

#: The vectors that a text has already, by its number and the identity of an encoder, or None.
Stored: TypeAlias = Callable[[int, str], Floats2d | None]


class Texts(Sequence[Context]):
    """Some contexts and the source of their vectors.

    Args:
        contexts: the texts.
        stored: vectors that are there already; see :data:`Stored`.
    """

    def __init__(self, contexts: Sequence[Context], stored: Stored | None = None) -> None:
        self._contexts = contexts
        self._stored = stored
        self._known: dict[tuple[str, int], _Known] = {}

    def __len__(self) -> int:
        return len(self._contexts)

    @overload
    def __getitem__(self, index: int) -> Context: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Context]: ...

    def __getitem__(self, index: int | slice) -> Context | Sequence[Context]:
        return self._contexts[index]

    def __iter__(self) -> Iterator[Context]:
        return iter(self._contexts)

    def vectors(
        self, encoder: Encoder, reads: Sequence[Sequence[TokenRange]]
    ) -> list[Floats2d | None]:
        """The vectors of tokens of each text; None of one of which nothing is read.

        Args:
            encoder: makes them.
            reads: for each text the ranges of tokens that will be looked at; the rows of other
                tokens may be zero.

        *Shape:* for each text (n_tokens, width)
        """
        missing: dict[int, Sequence[TokenRange]] = {}
        for i, ranges in enumerate(reads):
            if ranges:
                new = self._missing(encoder.identity, i, ranges)
                if new:
                    missing[i] = new
        if missing:
            texts = [self._contexts[i].text for i in missing]
            offsets = [self._contexts[i].offsets for i in missing]
            arrays = encoder.encode(texts, offsets, list(missing.values()))
            for (i, ranges), array in zip(missing.items(), arrays, strict=True):
                self._add(encoder.identity, i, ranges, array)
        return [
            self._known[encoder.identity, i].array if ranges else None
            for i, ranges in enumerate(reads)
        ]

    def counts(self) -> dict[str, tuple[int, int]]:
        """For each encoder by its identity: texts that it has read, and texts that had its vectors.

        Only of texts whose vectors were asked for.
        """
        out: dict[str, tuple[int, int]] = {}
        for (identity, _), known in self._known.items():
            n_encoded, n_stored = out.get(identity, (0, 0))
            out[identity] = (n_encoded + (not known.is_whole), n_stored + known.is_whole)
        return out

    def _missing(self, identity: str, i: int, ranges: Sequence[TokenRange]) -> Sequence[TokenRange]:
        """What of some ranges has to be encoded."""
        known = self._known.get((identity, i))
        if known is None:
            stored = self._stored(i, identity) if self._stored is not None else None
            if stored is None:
                return ranges
            self._known[identity, i] = _Known(stored, is_whole=True)
            return ()
        if known.is_whole:
            return ()
        tokens = self._contexts[i].tokens
        wanted = sorted({at for start, end in ranges for at in range(start, end)})
        # White space never has a vector.
        return [
            (at, at + 1) for at in wanted if not known.array[at].any() and not tokens[at].isspace()
        ]

    def _add(self, identity: str, i: int, ranges: Sequence[TokenRange], array: Floats2d) -> None:
        known = self._known.get((identity, i))
        if known is None:
            self._known[identity, i] = _Known(array, is_whole=False)
            return
        rows = np.array([at for start, end in ranges for at in range(start, end)])
        known.array[rows] = array[rows]


class _Known:
    """The vectors of a text; ``is_whole``: all there are."""

    __slots__ = ("array", "is_whole")

    def __init__(self, array: Floats2d, *, is_whole: bool) -> None:
        self.array, self.is_whole = array, is_whole

"""Type aliases and Protocols that several parts of the package use.

Axis names used in every *Shape:* line: ``n_tokens`` spaCy tokens of one text, ``n_pieces``
wordpieces of one text, ``width`` the length of a vector, ``n_candidates`` senses of a target.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Floats1d: TypeAlias = NDArray[np.float32]  # (width,) or (n_candidates,)
Floats2d: TypeAlias = NDArray[np.float32]  # (n_tokens, width)
Floats3d: TypeAlias = NDArray[np.float32]  # (batch, n_pieces, width)
Ints1d: TypeAlias = NDArray[np.int64]
Ints2d: TypeAlias = NDArray[np.int64]
CharSpan: TypeAlias = tuple[int, int]  # start and end character, end exclusive
TokenRange: TypeAlias = tuple[int, int]  # first and end token, end exclusive
Offsets: TypeAlias = Sequence[CharSpan] | Ints2d  # a CharSpan for each token; array (n_tokens, 2)
PlainData: TypeAlias = dict[str, Any]  # str, int, float, list, dict: survives msgpack


class Encoder(Protocol):
    """Gives each token of a text a vector that depends on the text."""

    @property
    def identity(self) -> str:
        """Names what ran: hash of the weights, adapter, layers. Equal identity, equal vectors."""
        ...

    @property
    def width(self) -> int:
        """Length of the vectors."""
        ...

    def encode(
        self,
        texts: Sequence[str],
        offsets: Sequence[Offsets],
        reads: Sequence[Sequence[TokenRange]] | None = None,
    ) -> list[Floats2d]:
        """Vectors of the tokens of each text; a token without a wordpiece has a zero vector.

        Where ``reads`` names the ranges of tokens that the caller looks at, the rows of others
        may be zero.

        *Shape:* for each text (n_tokens, width)
        """
        ...


@runtime_checkable
class CountingEncoder(Protocol):
    """An encoder that counts what it does."""

    @property
    def n_tokens_encoded(self) -> int:
        """Tokens that it has encoded until now."""
        ...


class TextEncoder(Protocol):
    """Gives a whole text one vector."""

    def embed(self, texts: Sequence[str]) -> Floats2d:
        """*Shape:* (len(texts), width)"""
        ...


class StaticVectors(Protocol):
    """Gives a word its vector, the same in every text."""

    @property
    def width(self) -> int:
        """Length of the vectors."""
        ...

    @property
    def identity(self) -> str:
        """Names the file that the vectors come from."""
        ...

    def vectors(self, words: Sequence[str]) -> Floats2d:
        """One row for each word; an unknown word has a zero row.

        *Shape:* (len(words), width)
        """
        ...

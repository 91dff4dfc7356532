"""Words and their vectors, as files give them and as the rest of the package sees them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import Floats1d, Floats2d

Block: TypeAlias = tuple[Sequence[str], NDArray[Any]]  # words, and their rows (n, width)

_MIB = 1 << 20
_ROWS_AT_ONCE = 1 << 14
_LONGEST_NGRAM = 1 << 16  # characters; gensim takes no more than a C integer


class Damaged(Exception):
    """Why a file cannot be read; becomes one sentence of a ResourceError."""


@dataclass(frozen=True)
class Ngrams:
    """fastText's rows for n-grams of ``shortest`` to ``longest`` characters, hashed."""

    array: NDArray[Any]  # (n_buckets, width)
    shortest: int
    longest: int

    def __post_init__(self) -> None:
        if not (0 <= self.shortest <= _LONGEST_NGRAM and 0 <= self.longest <= _LONGEST_NGRAM):
            raise Damaged(f"its n-grams have {self.shortest} to {self.longest} characters")

    def rows(self, word: str) -> NDArray[Any]:
        """*Shape:* (n_ngrams of the word, width)"""
        from gensim.models.fasttext import ft_ngram_hashes

        hashes = ft_ngram_hashes(word, self.shortest, self.longest, len(self.array))
        rows: NDArray[Any] = self.array[np.asarray(hashes, dtype=np.int64)]
        return rows

    def mean(self, word: str) -> Floats1d:
        """*Shape:* (width,)"""
        rows = self.rows(word)
        total = rows.sum(axis=0, dtype=np.float32)
        return np.asarray(total / max(len(rows), 1), dtype=np.float32)


@dataclass(frozen=True)
class Content:
    """What a file holds; its blocks can be read once, and are read when they are asked for."""

    width: int
    blocks: Iterator[Block]
    files: tuple[Path, ...]  # that hold it
    ngrams: Ngrams | None = None  # fastText only


@dataclass(frozen=True, eq=False)
class Table:
    """Words in order, and their rows."""

    index: Mapping[str, int]  # word -> row
    word_at: Callable[[int], str]  # row -> word
    matrix: Floats2d  # (n_words, width)
    files: tuple[Path, ...]  # that it was read from
    ngrams: Ngrams | None = None  # fastText only

    @property
    def width(self) -> int:
        """Length of the vectors."""
        return int(self.matrix.shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """Name, size, first and last MiB of each file, hashed; 16 hexadecimal digits."""
        digest = hashlib.sha256()
        for path in self.files:
            size = path.stat().st_size
            digest.update(f"{path.name}\0{size}\0".encode())
            with path.open("rb") as file:
                digest.update(file.read(_MIB))
                file.seek(max(0, size - _MIB))
                digest.update(file.read(_MIB))
        return digest.hexdigest()[:16]

    @cached_property
    def norms(self) -> Floats1d:
        """Euclidean length of each row. *Shape:* (n_words,)"""
        return cast(Floats1d, np.sqrt(np.einsum("ij,ij->i", self.matrix, self.matrix)))


def slices(words: Sequence[str], rows: NDArray[Any]) -> Iterator[Block]:
    """A matrix in parts, so that a mapped one is not read at once."""
    for start in range(0, len(words), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        yield words[part], rows[part]


def checked(content: Content) -> Iterator[Block]:
    """The blocks as float32, of two equal words only the first.

    Raises:
        Damaged: there are no words, or a number is not finite.
    """
    seen: set[str] = set()
    n_read = 0
    for words, rows in content.blocks:
        rows = np.asarray(rows, dtype=np.float32)
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(bad):
            at = int(bad[0])
            raise Damaged(
                f"the vector of {words[at][:40]!r} (word {n_read + at + 1}) is not finite "
                "(NaN or infinity)"
            )
        n_read += len(words)
        new = []
        for at, word in enumerate(words):
            if word not in seen:
                seen.add(word)
                new.append(at)
        yield [words[at] for at in new], rows if len(new) == len(words) else rows[new]
    if not n_read:
        raise Damaged("it holds no words")
    if content.ngrams is not None:
        array = content.ngrams.array
        for start in range(0, len(array), _ROWS_AT_ONCE):
            if not np.isfinite(array[start : start + _ROWS_AT_ONCE]).all():
                raise Damaged("the vector of an n-gram is not finite (NaN or infinity)")


def in_memory(content: Content) -> Table:
    """A table that is not mapped.

    Raises:
        Damaged: as :func:`checked`.
    """
    words: list[str] = []
    blocks = [np.empty((0, content.width), dtype=np.float32)]
    for some, rows in checked(content):
        words.extend(some)
        blocks.append(rows)
    index = {word: row for row, word in enumerate(words)}
    matrix = np.concatenate(blocks)
    return Table(index, words.__getitem__, matrix, content.files, content.ngrams)

"""The words of a folder of vectors, mapped: a dictionary of 400,000 takes 60 MB a process."""

from __future__ import annotations

import hashlib
import mmap
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import Ints1d
from spacy_attn.classic.vectors.table import Damaged
from spacy_attn.errors import ResourceError
from spacy_attn.files import regular_file

_REMEMBERED = 1 << 15  # words whose row a process keeps


class MappedWords(Mapping[str, int]):
    """Word to row by bisection in sorted hashes, all of it mapped.

    A hash is only where to look: the word itself is compared, so that an equal hash of
    another word changes nothing.
    """

    def __init__(
        self, text: mmap.mmap, starts: Ints1d, hashes: NDArray[np.uint64], rows: Ints1d
    ) -> None:
        self._text, self._starts, self._hashes, self._rows = text, starts, hashes, rows
        # Few words make most of a text: their rows are kept.
        self._row = lru_cache(maxsize=_REMEMBERED)(self._find)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        return map(self.word_at, range(len(self)))

    def __getitem__(self, word: str) -> int:
        row = self._row(word)
        if row < 0:
            raise KeyError(word)
        return row

    def get(self, word: str, default: Any = None) -> Any:
        """The row, or ``default``; without the cost of an exception."""
        row = self._row(word)
        return default if row < 0 else row

    def word_at(self, row: int) -> str:
        """The word of a row.

        Raises:
            ResourceError: the file of words is damaged there.
        """
        try:
            return self._encoded(row).decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise ResourceError(
                f"word {row + 1} of a folder of vectors is not UTF-8; its words.txt is damaged: "
                "save or train the vectors again"
            ) from error

    def _encoded(self, row: int) -> bytes:
        return self._text[int(self._starts[row]) : int(self._starts[row + 1]) - 1]

    def _find(self, word: str) -> int:
        encoded = word.encode("utf-8", "surrogatepass")
        wanted = np.uint64(_hash(encoded))
        at = int(np.searchsorted(self._hashes, wanted))
        while at < len(self._hashes) and self._hashes[at] == wanted:
            row = int(self._rows[at])
            if self._encoded(row) == encoded:
                return row
            at += 1
        return -1


def _hash(encoded: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "little")


def write_words(folder: Path, words: Sequence[str]) -> int:
    """Write the words of the rows, and what finds them.

    Returns:
        A checksum of all of it, which :func:`open_words` compares.
    """
    starts = np.zeros(len(words) + 1, dtype=np.int64)
    hashes = np.empty(len(words), dtype=np.uint64)
    with (folder / "words.txt").open("wb") as file:
        for row, word in enumerate(words):
            encoded = word.encode("utf-8", "surrogatepass")
            starts[row + 1] = starts[row] + file.write(encoded + b"\n")
            hashes[row] = _hash(encoded)
    rows = np.argsort(hashes, kind="stable").astype(np.int64)
    hashes = hashes[rows]
    np.save(folder / "starts.npy", starts)
    np.save(folder / "hashes.npy", hashes)
    np.save(folder / "rows.npy", rows)
    return _checksum((folder / "words.txt").read_bytes(), starts, hashes, rows)


def _checksum(text: bytes | mmap.mmap, *arrays: NDArray[Any]) -> int:
    found = zlib.crc32(text)
    for array in arrays:
        found = zlib.crc32(array.view(np.uint8).data, found)
    return found


def open_words(folder: Path, n: int, checksum: int | None = None) -> MappedWords:
    """Map the words of a folder and check that no number of them leads out of it.

    Args:
        folder: of vectors.
        n: how many words it has.
        checksum: what :func:`write_words` gave; None of a folder that was written without one.

    Raises:
        Damaged: the files do not fit each other.
        OSError, ValueError, EOFError: a file is missing or cut short.
    """
    starts = map_array(own_file(folder, "starts.npy"), (n + 1,), np.int64)
    hashes = map_array(own_file(folder, "hashes.npy"), (n,), np.uint64)
    rows = map_array(own_file(folder, "rows.npy"), (n,), np.int64)
    with own_file(folder, "words.txt").open("rb") as file:
        text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if len(text) != int(starts[-1]):
        raise Damaged(f"its words.txt has {len(text)} bytes, expected {int(starts[-1])}")
    if starts[0] != 0 or (starts[1:] <= starts[:-1]).any():
        raise Damaged("its starts.npy does not grow from 0")
    if rows.min() < 0 or rows.max() >= n:
        raise Damaged(f"its rows.npy names rows outside 0 to {n - 1}")
    if (hashes[1:] < hashes[:-1]).any():
        raise Damaged("its hashes.npy is not sorted")
    if checksum not in (None, _checksum(text, starts, hashes, rows)):
        raise Damaged("its words are not those that were written")
    return MappedWords(text, starts, hashes, rows)


def own_file(folder: Path, name: str) -> Path:
    """A regular file of a folder.

    Raises:
        Damaged: it is a link that leads out of the folder.
        OSError: it is not there, or no regular file.
    """
    path = folder / name
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise Damaged(f"its {name} is a link to a file outside of the folder; put the file there")
    return regular_file(path)


def map_array(path: Path, shape: tuple[int, ...] | None = None, dtype: Any = None) -> NDArray[Any]:
    """An ``.npy`` file as a mapped array; pickled objects are refused.

    Args:
        path: the file.
        shape: that it must have; None for any.
        dtype: that it must have, with a shape.

    Raises:
        Damaged: it has another shape or type.
        OSError, ValueError, EOFError: it is missing or no such file.
    """
    # A plain ndarray over the map: indexing a np.memmap costs a microsecond more.
    mapped = np.asarray(np.load(regular_file(path), mmap_mode="r", allow_pickle=False))
    if shape is not None and (mapped.shape != shape or mapped.dtype != dtype):
        raise Damaged(
            f"its {path.name} has shape {mapped.shape} and type {mapped.dtype}, "
            f"expected {shape} and {np.dtype(dtype)}"
        )
    return mapped

"""word2vec's and fastText's binary files, a block at a time.

Read by hand: gensim holds all of a matrix in memory, and never comes back from a fastText file
that ends within its words.
"""

from __future__ import annotations

import shlex
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import Floats2d
from spacy_attn.classic.vectors.table import Block, Content, Damaged, Ngrams, slices
from spacy_attn.classic.vectors.text import read_header
from spacy_attn.files import is_gzip, open_decompressed

FASTTEXT_MAGIC = struct.pack("<i", 793712314)  # fasttext.cc, FASTTEXT_FILEFORMAT_MAGIC_INT32

_MAX_WORD = 1 << 20  # bytes


def read_binary(path: Path) -> Content:
    """``n_words width``, then for each word: word, space, ``width`` little-endian float32.

    Raises:
        Damaged: its first line is that of no such file.
    """
    with open_decompressed(path) as file:
        announced = read_header(file.readline(100))
    if announced is None:
        raise Damaged("its first line is not 'n_words width' and it is no fastText model")
    return Content(announced[1], _binary_blocks(path, *announced), (path,))


def _binary_blocks(path: Path, count: int, width: int) -> Iterator[Block]:
    n, rest, size = 0, b"", 4 * width
    with open_decompressed(path) as file:
        file.readline(100)
        while n < count:
            rest += file.read(_MAX_WORD + size)
            words: list[bytes] = []
            rows: list[bytes] = []
            position = 0
            while n + len(words) < count:
                space = rest.find(b" ", position)
                end = space + 1 + size
                if space < 0 or end > len(rest):
                    break
                words.append(rest[position:space])
                rows.append(rest[space + 1 : end])
                position = end
            if not words:
                raise Damaged(f"it ends within word {n + 1} of the {count} announced")
            yield (
                [_decode(word, n + i) for i, word in enumerate(words, 1)],
                np.frombuffer(b"".join(rows), dtype="<f4").reshape(-1, width),
            )
            n, rest = n + len(words), rest[position:]
        if (rest + file.read(2)).strip():
            raise Damaged(f"more follows after the {count} words that its first line announces")


def _decode(word: bytes, number: int) -> str:
    try:
        return word.lstrip(b"\n").decode("utf-8")  # the C tool ends each row with a line break
    except UnicodeDecodeError:
        raise Damaged(
            f"word {number} is not UTF-8 (re-save it with gensim: load_word2vec_format(path, "
            f"binary=True, unicode_errors='replace').save('vectors.kv'))"
        ) from None


# -- fastText --------------------------------------------------------------------------


def read_fasttext(path: Path) -> Content:
    """A model of Facebook's fastText (``FastText::saveModel``, ``Dictionary::save``).

    Raises:
        Damaged: it is cut short, compressed, supervised, quantized, or no such file.
    """
    if is_gzip(path):
        raise Damaged(f"fastText .bin is read uncompressed: gunzip -k {shlex.quote(str(path))}")
    with path.open("rb") as file:
        _, version, width, *_, shortest, longest, _ = _unpack(file, "<14i")
        (_sample,) = _unpack(file, "<d")
        n_entries, n_words, n_labels, _n_tokens, n_pruned = _unpack(file, "<3i2q")
        if version not in (11, 12) or n_labels or n_entries != n_words or n_pruned > 0:
            raise Damaged("it is no unsupervised fastText model of version 11 or 12")
        words = [_next_word(file) for _ in range(n_words)]
        is_quantized, n_rows, columns = _unpack(file, "<?2q")
        n_left = path.stat().st_size - file.tell()
        if is_quantized or columns != width or not 0 < n_words <= n_rows:
            raise Damaged(f"its {n_words} words have a matrix of shape ({n_rows}, {columns})")
        if 4 * n_rows * columns > n_left:
            raise Damaged(f"it ends within its matrix of shape ({n_rows}, {columns})")
        shape = (int(n_rows), int(columns))
        matrix = np.memmap(path, dtype="<f4", mode="r", offset=file.tell(), shape=shape)
    has_ngrams = n_rows > n_words and longest > 0
    ngrams = Ngrams(matrix[n_words:], shortest, longest) if has_ngrams else None
    return Content(width, composed(words, matrix[:n_words], ngrams), (path,), ngrams)


def composed(words: list[str], rows: NDArray[Any], ngrams: Ngrams | None) -> Iterator[Block]:
    """Mean of each word's own row and the rows of its n-grams, as fastText defines it.

    *Shape:* rows (n_words, width)
    """
    for some, part in slices(words, rows):
        means: Floats2d = np.array(part, dtype=np.float32)
        for i, word in enumerate(some if ngrams is not None else ()):
            parts = ngrams.rows(word)  # type: ignore[union-attr]  # the loop is empty without
            means[i] += parts.sum(axis=0, dtype=np.float32)
            means[i] /= len(parts) + 1
        yield some, means


def _unpack(file: BinaryIO, layout: str) -> tuple[Any, ...]:
    data = file.read(struct.calcsize(layout))
    if len(data) < struct.calcsize(layout):
        raise Damaged("it ends within its header")
    return struct.unpack(layout, data)


def _next_word(file: BinaryIO) -> str:
    """A word that ends in a zero byte; its count and type follow."""
    word = bytearray()
    while (character := file.read(1)) != b"\0":
        word += character
        if not character or len(word) > _MAX_WORD:
            raise Damaged("it ends within its words")
    _unpack(file, "<qb")
    return word.decode("utf-8", "backslashreplace")

"""word2vec's and GloVe's text: ``word 0.1 0.2 ...``, after a line ``n_words width`` or without.

Read by hand, because gensim refuses words that contain a space (the published GloVe 840B has
some), ignores what follows the announced number of words, and names no line where a number is
broken. gensim is the oracle of the tests.
"""

from __future__ import annotations

import re
import shlex
from codecs import BOM_UTF8
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spacy_attn.classic.vectors.table import Block, Content, Damaged
from spacy_attn.files import open_decompressed

_MAX_LINE = 1 << 20  # bytes
_MAX_WIDTH = 50_000  # numbers that such a line can hold
_LINES_AT_ONCE = 10_000


def read_header(line: bytes) -> tuple[int, int] | None:
    """(number of words, width) where the line is word2vec's first line, else None.

    Two integers are always that, never a word with a vector of length 1.

    Raises:
        Damaged: one of them is out of range.
    """
    match = re.fullmatch(rb"\s*([+-]?\d{1,18})\s+([+-]?\d{1,18})\s*", line)
    if match is None:
        return None
    count, width = int(match[1]), int(match[2])
    if count < 1 or not 1 <= width <= _MAX_WIDTH:
        raise Damaged(
            f"line 1 announces {count} words of width {width}, and both must be 1 or more, the "
            f"width at most {_MAX_WIDTH:,}"
        )
    return count, width


def read_text(path: Path) -> Content:
    """The words and vectors of a text file, ten thousand lines at a time.

    Raises:
        Damaged: its first line is that of no such file.
    """
    with open_decompressed(path) as file:
        first = file.readline(_MAX_LINE).removeprefix(BOM_UTF8)
    announced = read_header(first)
    width = len(_decode(first, 1, path).split(" ")) - 1 if announced is None else announced[1]
    if width < 1:
        raise Damaged("line 1 is neither 'word number number ...' nor 'n_words width'")
    count = None if announced is None else announced[0]
    return Content(width, _blocks(path, width, count), (path,))


def _blocks(path: Path, width: int, count: int | None) -> Iterator[Block]:
    lines = _split_lines(path, width, has_header=count is not None)
    n = 0
    while block := list(islice(lines, _LINES_AT_ONCE)):
        n += len(block)
        yield [word for word, _, _ in block], _parse_numbers([(text, at) for _, text, at in block])
    if count is not None and count != n:
        raise Damaged(f"line 1 announces {count} words and {n} follow")


def _split_lines(path: Path, width: int, *, has_header: bool) -> Iterator[tuple[str, str, int]]:
    """(word, its numbers, line number); the word is what precedes ``width`` numbers."""
    with open_decompressed(path) as file:
        for line, raw in enumerate(iter(partial(file.readline, _MAX_LINE), b""), 1):
            if line == 1:
                if has_header:
                    continue
                raw = raw.removeprefix(BOM_UTF8)
            if len(raw) == _MAX_LINE:
                raise Damaged(f"line {line} is longer than {_MAX_LINE:,} bytes")
            text = _decode(raw, line, path)
            if not text:
                continue
            word, *numbers = text.rsplit(" ", width)
            if len(numbers) != width:
                raise Damaged(f"line {line} has {len(numbers)} numbers, expected {width}")
            if has_header and line == 2 and " " in word and _is_number(word.rpartition(" ")[2]):
                raise Damaged(f"line 2 has more than the {width} numbers that line 1 announces")
            yield word, text[len(word) + 1 :], line


def _decode(raw: bytes, line: int, path: Path) -> str:
    try:
        # Only these: words may be other white space, such as U+00A0 or U+3000.
        return raw.decode("utf-8").rstrip(" \t\r\n")
    except UnicodeDecodeError:
        target = shlex.quote(f"utf8.{path.name}")
        raise Damaged(
            f"line {line} is not UTF-8 (if it is Latin-1 text: "
            f"iconv -f latin1 -t utf-8 {shlex.quote(str(path))} > {target})"
        ) from None


def _parse_numbers(lines: list[tuple[str, int]]) -> NDArray[np.float32]:
    texts = [text for text, _ in lines]
    try:
        return np.loadtxt(texts, dtype=np.float32, delimiter=" ", comments=None, ndmin=2)
    except ValueError:
        for text, line in lines:
            for number in text.split(" "):
                if not _is_number(number):
                    raise Damaged(
                        f"line {line} has {number[:40]!r} where a number belongs"
                    ) from None
        raise


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

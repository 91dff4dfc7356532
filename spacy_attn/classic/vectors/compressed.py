"""Files of vectors as bytes, decompressed where need be and then bounded.

gzip makes a gigabyte of a megabyte; text and numbers shrink three to five times. What grows
far beyond that is no file of vectors.
"""

from __future__ import annotations

import gzip
import io
import shlex
from pathlib import Path
from typing import Any, BinaryIO, cast

from spacy_attn.classic.vectors.table import Damaged

_TIMES = 50
_ALWAYS = 1 << 26  # bytes that any file may have, for small ones of zeros


def is_gzip(path: Path) -> bool:
    """Whether the name says so."""
    return path.name.lower().endswith(".gz")


def most_bytes(path: Path) -> int:
    """How large the content of a compressed file may be."""
    return _ALWAYS + _TIMES * path.stat().st_size


def open_file(path: Path) -> BinaryIO:
    """The bytes of a file, from its start.

    Raises:
        OSError: it cannot be read; reading raises EOFError or Damaged where it is no gzip
            file, is cut short or grows beyond :func:`most_bytes`.
    """
    if not is_gzip(path):
        return path.open("rb")
    return io.BufferedReader(cast(io.RawIOBase, _Bounded(path)))


class _Bounded(io.RawIOBase):
    """A gzip file that gives up when it has given too much."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = gzip.open(path)
        self._left = most_bytes(path)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        n = self._file.readinto(buffer)
        self._left -= n
        if self._left < 0:
            raise Damaged(
                f"it grows more than {_TIMES} times when it is decompressed (if that is as it "
                f"should be: gunzip -k {shlex.quote(str(self._path))})"
            )
        return n

    def close(self) -> None:
        self._file.close()
        super().close()

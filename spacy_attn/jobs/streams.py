"""The bytes of an input: of a file, of standard input, or unpacked from .gz and .zst.

What is unpacked arrives byte by byte up to the damage, if there is any, and then an OSError. So
all whole lines before it are read.
"""

from __future__ import annotations

import io
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

from spacy_attn.errors import ConfigError, explain_missing_package
from spacy_attn.files import unpacking

if TYPE_CHECKING:
    from spacy_attn.jobs.sources import Source

_PACKED: Final = 2**16  # bytes that are unpacked at a time
_UNPACKED: Final = 2**20  # bytes that these may become at a time


@contextmanager
def open_input(source: Source) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """The unpacked bytes of a source, and how many packed bytes were read since last asked.

    Raises:
        OSError: it cannot be opened.
        ConfigError: it is standard input, and compressed.
        ResourceError: what unpacks it is not installed.
    """
    if source.is_stdin:
        _refuse_packed(sys.stdin.buffer)
        yield sys.stdin.buffer, lambda: 0
        return
    with open(source.name, "rb") as packed:
        told = read = 0

        def advanced() -> int:
            nonlocal told
            now = read if source.compression else packed.tell() if source.is_file else 0
            before, told = told, now
            return told - before

        if source.compression is None:
            yield packed, advanced
            return

        def counted(size: int) -> bytes:
            nonlocal read
            block = packed.read(size)
            read += len(block)
            return block

        unpack = _gunzip(counted) if source.compression == "gzip" else _unzstd(counted, source)
        yield io.BufferedReader(_Unpacked(unpack), _UNPACKED), advanced


def _refuse_packed(stdin: Any) -> None:
    """Say of compressed bytes what they are: each of their lines would be a bad record."""
    peek = getattr(stdin, "peek", None)
    command = unpacking(peek(8)) if peek is not None else None
    if command is not None:
        raise ConfigError(
            f"standard input is compressed; unpack it first: {command} FILE | spacy-attn "
            "annotate - ..."
        )


class _Unpacked(io.RawIOBase):
    """A raw file over blocks of bytes."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what is there.

        Raises:
            OSError: here begins the damage.
        """
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = memoryview(block)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _gunzip(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Blocks of one .gz member after the other.

    Raises:
        OSError: it is damaged, breaks off, or has other bytes behind it.
    """
    data = read(_PACKED)
    while data:
        member = zlib.decompressobj(wbits=31)
        is_full = False  # there is more to unpack of what was read
        while not member.eof:
            if not data and not is_full and not (data := read(_PACKED)):
                raise OSError("it ends in the middle")
            before = member.copy()
            try:
                block = member.decompress(data, _UNPACKED)
            except zlib.error as error:
                yield from _up_to_damage(before, data)
                raise OSError(str(error)) from None
            data = member.unused_data if member.eof else member.unconsumed_tail
            is_full = len(block) == _UNPACKED
            if block:
                yield block
        data = data or read(_PACKED)


def _up_to_damage(member: Any, data: bytes) -> Iterator[bytes]:
    for place in range(len(data)):
        try:
            yield member.decompress(data[place : place + 1])
        except zlib.error:
            return


def _unzstd(read: Callable[[int], bytes], source: Source) -> Iterator[bytes]:
    """Blocks of a .zst.

    Raises:
        OSError: it is damaged or breaks off.
    """
    with explain_missing_package(f"input {source.name}"):
        import pyarrow as pa

    n_good = 0
    stream = pa.CompressedInputStream(pa.PythonFile(_Reader(read), "r"), "zstd")
    try:
        while block := stream.read(_PACKED):
            n_good += len(block)
            yield block
        return
    except OSError as error:
        damage = error
    if source.is_file:  # what came before the damage in the block that failed
        with open(source.name, "rb") as packed:
            again = _Reader(lambda size: packed.read(min(size, 64)))
            stream = pa.CompressedInputStream(pa.PythonFile(again, "r"), "zstd")
            while n_good:
                n_good -= len(stream.read(min(n_good, _PACKED)))
            try:
                while byte := stream.read(1):
                    yield byte
            except OSError:
                pass
    raise damage


class _Reader:
    """As much of a file object as pyarrow asks for."""

    closed = False

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.read = read

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        """The file is its opener's."""

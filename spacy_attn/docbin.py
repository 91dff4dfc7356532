"""The parts of a DocBin, unpacked in bounded memory.

spaCy unpacks a DocBin whole, whatever it says it holds: 190 KB can become 13 GB. What is not wanted
is passed over, and what is unpacked has a limit. Nothing is unpickled.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from spacy_attn.files import MOST_TIMES

_MOST_BYTES: Final = 2**30  # that a DocBin may have unpacked
_MOST_ATTRS: Final = 1000  # spaCy has fewer than 500
_MOST_STRINGS: Final = 2**20  # different ones; more in a file of eight bytes for each
_BLOCK: Final = 2**16
_BYTES: Final = ("tokens", "spaces", "lengths")
_READ: Final = ("attrs", *_BYTES, "strings", "flags")
_OTHER_GROUPS: Final = 20  # whose names are kept


def read_parts(
    path: Path, *, small: int, most_docs: int, spans_key: str | None = None
) -> dict[str, Any]:
    """The parts that make texts, and one span group of each Doc.

    Args:
        path: of the file.
        small: bytes up to which it may be packed as well as it likes; spaCy's own DocBins unpack
            to 20 times their size, and larger ones are refused above 50 times.
        most_docs: in a file that has not a byte for each.
        spans_key: of the span groups that are wanted too; None: none are.

    Returns:
        ``attrs``; ``tokens``, ``spaces`` and ``lengths`` as bytes; ``strings`` by their hashes;
        ``flags``, for each Doc whether its spaces are unknown; ``span_groups``, for each Doc what
        :meth:`spacy.tokens.SpanGroups.from_bytes` reads.

    Raises:
        OSError: it cannot be read.
        Exception: it is no DocBin, or unpacked above the limits; zlib and msgpack have errors of
            their own.
    """
    packed_bytes = path.stat().st_size
    most = max(small, min(_MOST_BYTES, MOST_TIMES * packed_bytes))
    most_docs = max(most_docs, packed_bytes)
    with open(path, "rb") as packed:
        unpacker = _unpacker(_Unpacked(packed, most), most)
        parts: dict[str, Any] = {}
        for _ in range(unpacker.read_map_header()):
            name = unpacker.unpack()
            if name == "attrs":
                n_attrs = min(unpacker.read_array_header(), _MOST_ATTRS)
                parts[name] = [unpacker.unpack() for _ in range(n_attrs)]
            elif name == "flags":
                parts[name] = _read_flags(unpacker, most_docs)
            elif name == "strings":
                parts[name] = _read_strings(unpacker, max(_MOST_STRINGS, packed_bytes // 8))
            elif name in _BYTES:
                parts[name] = unpacker.unpack()
            elif name == "span_groups" and spans_key is not None:
                n_docs = _few_docs(unpacker.read_array_header(), most_docs)
                parts[name] = [_one_group(unpacker.unpack(), spans_key) for _ in range(n_docs)]
            else:
                unpacker.skip()
    missing = [name for name in _READ if name not in parts]
    if missing:
        raise ValueError(f"it lacks its {missing[0]}")
    return parts


def _unpacker(data: Any, most: int) -> Any:
    """No list or object is unpacked whole: one of a byte takes 64 bytes of memory."""
    from srsly.msgpack import Unpacker

    return Unpacker(
        data, read_size=_BLOCK, max_buffer_size=most, max_bin_len=most, max_str_len=most,
        max_array_len=0, max_map_len=0, max_ext_len=0, strict_map_key=False, raw=False,
    )  # fmt: skip


def _few_docs(n_docs: int, most: int) -> int:
    if n_docs > most:
        raise ValueError(f"it has {n_docs:,} Docs, most of a file of its size {most:,}; split it")
    return n_docs


def _read_flags(unpacker: Any, most: int) -> bytearray:
    """Of each Doc whether it is unknown where its spaces are.

    Raises:
        ValueError: there are more Docs than that.
    """
    flags = bytearray()
    for _ in range(_few_docs(unpacker.read_array_header(), most)):
        flag = 0
        for _ in range(unpacker.read_map_header()):
            name, value = unpacker.unpack(), unpacker.unpack()
            flag |= name == "has_unknown_spaces" and bool(value)
        flags.append(flag)
    return flags


def _read_strings(unpacker: Any, most: int) -> dict[int, str]:
    """The strings by their hashes.

    Raises:
        ValueError: there are more than that.
    """
    from spacy.strings import get_string_id

    strings: dict[int, str] = {}
    for _ in range(unpacker.read_array_header()):
        string = unpacker.unpack()
        strings[get_string_id(string)] = string
        if len(strings) > most:
            raise ValueError(f"it has more than {most:,} different strings; split it")
    return strings


def _one_group(data: bytes, key: str) -> bytes:
    """The span groups of a Doc with the spans of one alone, and without attributes.

    spaCy would unpack all attributes, and copy a group for each of its names.
    """
    import srsly

    others: set[str] = set()
    kept: dict[bytes, list[str]] = {}
    for group, names in _groups(data, key):
        if not names or key in names:
            name, spans = _spans(group)
            names = names or [name]
            if key in names:
                kept = {_packed_group(key, spans): [key]}
        if len(others) < _OTHER_GROUPS:
            others.update(names)
    if others - {key}:
        kept[_packed_group("", [])] = sorted(others - {key})
    return bytes(srsly.msgpack_dumps(kept)) if kept else b""


def _groups(data: bytes, key: str) -> Iterator[tuple[bytes, list[str]]]:
    """Each packed group with its name and others; without names where an older spaCy wrote it."""
    if not data:
        return
    unpacker = _unpacker(io.BytesIO(data), max(_BLOCK, len(data)))
    if data[0] >> 4 == 0x9 or data[0] in (0xDC, 0xDD):  # an array
        for _ in range(unpacker.read_array_header()):
            yield unpacker.unpack(), []
        return
    for _ in range(unpacker.read_map_header()):
        group = unpacker.unpack()
        names: list[str] = []
        for _ in range(unpacker.read_array_header()):
            name = unpacker.unpack()
            if name == key or len(names) < _OTHER_GROUPS:
                names.append(name)
        yield group, names


def _spans(group: bytes) -> tuple[str, list[bytes]]:
    """Name and spans of a packed group."""
    unpacker = _unpacker(io.BytesIO(group), max(_BLOCK, len(group)))
    name, spans = "", []
    for _ in range(unpacker.read_map_header()):
        part = unpacker.unpack()
        if part == "name":
            name = unpacker.unpack()
        elif part == "spans":
            spans = [unpacker.unpack() for _ in range(unpacker.read_array_header())]
        else:
            unpacker.skip()
    return name, spans


def _packed_group(name: str, spans: list[bytes]) -> bytes:
    import srsly

    return bytes(srsly.msgpack_dumps({"name": name, "attrs": {}, "spans": spans}))


class _Unpacked:
    """The unpacked bytes of a zlib stream, as a file to read from."""

    def __init__(self, packed: Any, most: int) -> None:
        self._packed, self._left, self._most = packed, most, most
        self._stream = zlib.decompressobj()

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end.

        Raises:
            ValueError: it has more than it may.
        """
        data = b""
        while not data and not self._stream.eof:
            block = self._stream.unconsumed_tail or self._packed.read(_BLOCK)
            if not block:
                raise ValueError("it ends in the middle")
            data = self._stream.decompress(block, size)
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(f"unpacked it has more than {self._most:,} bytes; split it")
        return data

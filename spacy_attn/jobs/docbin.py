"""The texts of a DocBin, read in bounded memory, and how fast one is written.

spaCy unpacks a DocBin whole, whatever it says it holds: 190 KB can become 13 GB. Texts need five of
its parts; the others are passed over, and what is unpacked has a limit. Nothing is unpickled.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import catalogue

from spacy_attn.jobs.records import ERROR_RECORD_CHARS, BadRecord, Record, refuse_long
from spacy_attn.jobs.sources import Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST_BYTES: Final = 2**30  # that a DocBin may have unpacked
_SMALL_BYTES: Final = 2**26  # up to which it may be packed as well as it likes
_MOST_RATIO: Final = 50  # unpacked to packed, of a larger one; spaCy's own reach 20
_MOST_ATTRS: Final = 1000  # spaCy has fewer than 500
_MOST_STRINGS: Final = 2**20  # different ones; more in a file of eight bytes for each
_MOST_DOCS: Final = 2**18  # empty ones too are annotated; more in a file of a byte for each
_TOKENS: Final = 2**16  # of a Doc that are put together at a time
_ORTH: Final = 65  # spacy.attrs.ORTH
_BLOCK: Final = 2**16
_BYTES: Final = ("tokens", "spaces", "lengths")
_READ: Final = ("attrs", *_BYTES, "strings", "flags")


def read_docbin(source: Source, limit: int) -> Iterator[Record | BadRecord]:
    """The texts of a DocBin.

    Args:
        source: the file.
        limit: bytes of a text; a longer one is refused before it is put together.

    Raises:
        OSError: the file cannot be read.
    """
    n_bytes = Path(source.name).stat().st_size
    number = 0
    try:
        for number, text in enumerate(_texts(_read_parts(Path(source.name)), limit), start=1):
            if text is None or len(text.encode()) > limit:
                shown = (text or "")[:ERROR_RECORD_CHARS]
                yield BadRecord(source.name, number, refuse_long(limit), shown, n_bytes)
            else:
                yield Record(source.name, number, text, None, n_bytes)
            n_bytes = 0
    except OSError:
        raise
    except Exception as error:
        # zlib, msgpack and numpy each have errors of their own for bytes that are no DocBin.
        reason = f"the rest of the file is no DocBin: {type(error).__name__}: {error}"
        yield BadRecord(source.name, number + 1, reason[:500], "", n_bytes)


def _texts(parts: dict[str, Any], limit: int) -> Iterator[str | None]:
    """The text of each Doc, as spaCy puts it together; None where it is above the limit."""
    import numpy as np

    attrs = parts["attrs"]
    lengths = np.frombuffer(parts["lengths"], dtype=np.int32)
    spaces = np.frombuffer(parts["spaces"], dtype=bool)
    orths = np.frombuffer(parts["tokens"], dtype=np.uint64).reshape(-1, len(attrs))
    words: NDArray[np.uint64] = orths[:, attrs.index(_ORTH)]
    if (lengths < 0).any() or not lengths.sum() == len(words) == len(spaces):
        raise ValueError(f"it has {len(words)} tokens and {lengths.sum()} in its Docs")
    if len(parts["flags"]) != len(lengths):
        raise ValueError(f"it has {len(lengths)} Docs and {len(parts['flags'])} flags")
    strings: dict[int, str] = parts["strings"]
    end = 0
    for length, are_unknown in zip(lengths, parts["flags"], strict=True):
        start, end = end, end + int(length)
        pieces, size = [], 0
        for at in range(start, end, _TOKENS):
            cut = slice(at, min(at + _TOKENS, end))
            tokens = [_word(strings, key) for key in words[cut].tolist()]
            after = [True] * len(tokens) if are_unknown else spaces[cut].tolist()
            size += sum(map(len, tokens)) + len(tokens)
            if size > limit + 1:
                yield None
                break
            pieces.append("".join(t + " " if s else t for t, s in zip(tokens, after, strict=True)))
        else:
            yield "".join(pieces)


def _word(strings: dict[int, str], key: int) -> str:
    word = strings.get(key)
    if word is None:
        raise ValueError(f"it lacks the string with hash {key}")
    return word


def _read_parts(path: Path) -> dict[str, Any]:
    """The parts that make texts.

    Raises:
        ValueError: it is no DocBin, or unpacked above the limits.
    """
    from srsly.msgpack import Unpacker

    packed_bytes = path.stat().st_size
    most = max(_SMALL_BYTES, min(_MOST_BYTES, _MOST_RATIO * packed_bytes))
    with open(path, "rb") as packed:
        # No list or object is unpacked whole: one of a byte takes 64 bytes of memory.
        unpacker = Unpacker(
            _Unpacked(packed, most), read_size=_BLOCK, max_buffer_size=most, max_bin_len=most,
            max_str_len=most, max_array_len=0, max_map_len=0, max_ext_len=0,
            strict_map_key=False, raw=False,
        )  # fmt: skip
        parts: dict[str, Any] = {}
        for _ in range(unpacker.read_map_header()):
            name = unpacker.unpack()
            if name == "attrs":
                n_attrs = min(unpacker.read_array_header(), _MOST_ATTRS)
                parts[name] = [unpacker.unpack() for _ in range(n_attrs)]
            elif name == "flags":
                parts[name] = _read_flags(unpacker, max(_MOST_DOCS, packed_bytes))
            elif name == "strings":
                parts[name] = _read_strings(unpacker, max(_MOST_STRINGS, packed_bytes // 8))
            elif name in _BYTES:
                parts[name] = unpacker.unpack()
            else:
                unpacker.skip()
    missing = [name for name in _READ if name not in parts]
    if missing:
        raise ValueError(f"it lacks its {missing[0]}")
    return parts


def _read_flags(unpacker: Any, most: int) -> bytearray:
    """Of each Doc whether it is unknown where its spaces are.

    Raises:
        ValueError: there are more Docs than that.
    """
    flags = bytearray()
    n_docs = unpacker.read_array_header()
    if n_docs > most:
        raise ValueError(f"it has {n_docs:,} Docs, most of a file of its size {most:,}; split it")
    for _ in range(n_docs):
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


@contextmanager
def quick_packing() -> Iterator[None]:
    """Let srsly look up what packs and unpacks once, not for each value.

    It reads all entry points of the environment and all that is registered each time, which
    takes a millisecond, and a Doc is packed in six or more parts.
    """
    found = _packers(len(catalogue.REGISTRY))
    for registry, functions in found:
        registry.get_all = functions.copy
    try:
        yield
    finally:
        for registry, _ in found:
            vars(registry).pop("get_all", None)


@lru_cache(maxsize=1)
def _packers(n_registered: int) -> list[tuple[Any, dict[str, Any]]]:
    """The two registries of srsly and what they hold while so many functions are registered."""
    from srsly.msgpack import msgpack_decoders, msgpack_encoders

    return [(registry, registry.get_all()) for registry in (msgpack_encoders, msgpack_decoders)]

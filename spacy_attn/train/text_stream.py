"""Texts of files of any size, one after the other, in bounded memory: plain text and JSONL.

Plain text has a sentence or document a line. A line that cannot be used is counted and passed
over. (The readers of jobs are not used here: their records keep all fields and can be resumed.)
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias, cast

from spacy_attn.errors import ConfigError, allowed_names
from spacy_attn.patterns import check_given_once, find_files

STDIN: Final = "-"
FORMATS: Final = ("txt", "jsonl")
_SUFFIXES: Final = (".txt", ".jsonl", ".txt.gz", ".jsonl.gz")  # taken from a folder
_MAX_TEXT: Final = 1_000_000  # characters of a text; a longer one comes in pieces
_MAX_JSON: Final = 1 << 24  # characters of a JSONL record

#: Called with a line that cannot be used: file, line and reason.
Skip: TypeAlias = Callable[[str, int, str], None]


@dataclass(frozen=True, slots=True)
class TextFile:
    """One input, and how its lines are read."""

    name: str  # a path, or "-"
    format: str  # "txt" or "jsonl"

    @property
    def size(self) -> int | None:
        """Bytes; None for standard input."""
        return None if self.name == STDIN else os.path.getsize(self.name)


# -- which files -----------------------------------------------------------------------


def find_text_files(
    inputs: Sequence[str | Path], input_format: str | None = None
) -> list[TextFile]:
    """The files that are meant, each readable and of a known format.

    Args:
        inputs: files, folders (their .txt, .jsonl and .gz of these, at any depth), patterns
            such as ``texts/*.txt``, or "-" for standard input.
        input_format: "txt" or "jsonl" for all; by default .jsonl is JSONL and any other
            file, and standard input, plain text.

    Raises:
        ConfigError: an input is missing, empty of files, unreadable or binary, or named twice.
    """
    if input_format is not None and input_format not in FORMATS:
        raise ConfigError(f"--input-format {input_format}: {allowed_names(input_format, FORMATS)}")
    if not inputs:
        raise ConfigError("no input: give at least one file, folder or pattern, or - for stdin")
    shown = " ".join(_SUFFIXES)
    names = []
    for item in map(str, inputs):
        names += [item] if item == STDIN else find_files(item, shown, _is_text)
    check_given_once(names)
    for name in names:
        if name != STDIN:
            _check_readable(name)
        elif sys.stdin is None:
            raise ConfigError("standard input is closed: name a file in place of -")
    return [TextFile(name, input_format or _format(name)) for name in names]


def _is_text(name: str) -> bool:
    return name.lower().endswith(_SUFFIXES)


def _format(name: str) -> str:
    return "jsonl" if name.lower().removesuffix(".gz").endswith(".jsonl") else "txt"


def _check_readable(name: str) -> None:
    try:
        if not stat.S_ISREG(os.stat(name).st_mode):
            raise ConfigError(f"input {name} is no regular file; pipe it to - instead")
        with _opened(name) as (stream, _):
            head = stream.read(1 << 16)
    except FileNotFoundError:
        raise ConfigError(f"input {name} is not there: list what is there with ls") from None
    except OSError as error:
        raise ConfigError(f"input {name} cannot be read: {error.strerror or error}") from None
    except (EOFError, zlib.error) as error:
        raise ConfigError(f"input {name} cannot be read: {error}; compress it again") from None
    if b"\0" in head:
        raise ConfigError(f"input {name} is no text in UTF-8 (it holds NUL bytes); convert it")


def stdin_sha256() -> str:
    """Hash of all that standard input still holds."""
    digest = hashlib.sha256()
    while data := sys.stdin.buffer.read(1 << 20):
        digest.update(data)
    return digest.hexdigest()


class _Hashed(io.RawIOBase):
    """Standard input, hashed on the way."""

    def __init__(self, digest: Any) -> None:
        self._digest = digest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = sys.stdin.buffer.read1(len(buffer))  # type: ignore[union-attr]
        self._digest.update(data)
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def _opened(name: str, digest: Any = None) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """The decompressed bytes, and the file beneath that tells how far they are read."""
    if name == STDIN:
        yield io.BufferedReader(_Hashed(digest)), sys.stdin.buffer
        return
    with open(name, "rb") as raw:
        if name.lower().endswith(".gz"):
            with gzip.open(raw) as stream:
                yield cast(BinaryIO, stream), raw
        else:
            yield raw, raw


# -- texts -----------------------------------------------------------------------------


def read_texts(
    file: TextFile, text_key: str, skip: Skip, advance: Callable[[int], None], digest: Any
) -> Iterator[str]:
    """One text after the other.

    Args:
        file: as :func:`find_text_files` gives it.
        text_key: field of a JSONL record with its text.
        skip: called with each line that cannot be used.
        advance: called now and then with the number of bytes read.
        digest: of ``hashlib``; gets all bytes of standard input.

    Raises:
        OSError, EOFError, zlib.error: the file ends in the middle or is damaged.
    """
    is_json = file.format == "jsonl"
    with _opened(file.name, digest) as (stream, raw):
        # Bytes that are not UTF-8 become lone surrogates, and back.
        lines = io.TextIOWrapper(stream, "utf-8", errors="surrogateescape", newline="\n")
        for number, line in enumerate(_json_lines(lines) if is_json else _plain_lines(lines), 1):
            text = line.removeprefix("\ufeff") if number == 1 else line
            try:
                _check_utf8(text)
                if is_json:
                    text = _text_of(text, text_key)
            except ValueError as error:
                skip(file.name, number, str(error))
            else:
                yield from _cut(text)
            if number % 256 == 0 and file.name != STDIN:
                advance(raw.tell())
        lines.detach()


def _plain_lines(lines: io.TextIOWrapper) -> Iterator[str]:
    """Lines; one that is very long comes in pieces, cut at a blank where it has some."""
    rest = ""
    while line := lines.readline(_MAX_TEXT):
        line, rest = rest + line, ""
        if not line.endswith("\n") and len(line) >= _MAX_TEXT:
            end = line.rfind(" ") + 1 or len(line)
            line, rest = line[:end], line[end:]
        yield line
    if rest:
        yield rest


def _json_lines(lines: io.TextIOWrapper) -> Iterator[str]:
    """Lines; of one that is too long the beginning."""
    while line := lines.readline(_MAX_JSON):
        yield line
        while not line.endswith("\n") and len(line) >= _MAX_JSON:
            line = lines.readline(_MAX_JSON)


def _check_utf8(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        byte = ord(text[error.start]) & 0xFF
        raise ValueError(f"not UTF-8 (byte 0x{byte:02x})") from None


def _text_of(line: str, text_key: str) -> str:
    if not line.strip():
        return ""
    if len(line) >= _MAX_JSON:
        raise ValueError(f"longer than {_MAX_JSON >> 20} MiB")
    try:
        record = json.loads(line, parse_int=float)
    except ValueError as error:
        raise ValueError(f"not JSON ({' '.join(str(error).split())})") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(record, dict) or not isinstance(record.get(text_key), str):
        raise ValueError(f"no text under the key {text_key!r}; name it with --text-key")
    # Halves of surrogate pairs are allowed in JSON and cannot be written as UTF-8.
    return str(record[text_key]).encode("utf-8", "replace").decode("utf-8")


def _cut(text: str) -> Iterator[str]:
    """A text in pieces that a tokenizer can take, cut at a blank where it has some."""
    while len(text) > _MAX_TEXT:
        end = text.rfind(" ", 0, _MAX_TEXT) + 1 or _MAX_TEXT
        yield text[:end]
        text = text[end:]
    yield text

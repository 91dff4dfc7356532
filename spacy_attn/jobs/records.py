"""Records of JSONL and plain-text input, read as a stream, and the lines written for them.

A line ends at the byte 0x0A (a carriage return before it belongs to the line end), never at
the other characters that ``str.splitlines`` knows, because those may stand inside a text.
A JSONL record is written back as the very characters that were read, with one key added
before its closing brace: numbers, escapes, order and repeated keys stay as they were.
"""

from __future__ import annotations

import codecs
import json
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, TypeAlias, get_args

from spacy_attn.errors import ConfigError, RecordError

if TYPE_CHECKING:
    from spacy_attn._types import PlainData

__all__ = [
    "ERROR_RECORD_CHARS",
    "STDIN",
    "BadRecord",
    "Record",
    "Source",
    "check_text_key",
    "find_sources",
    "line_encoding",
    "read_records",
    "total_bytes",
]

Format: TypeAlias = Literal["jsonl", "txt"]

STDIN: Final = "-"
SENSES_KEY: Final = "senses"
ERROR_RECORD_CHARS: Final = 2000  # characters of a bad line that its error record keeps
_BOM: Final = codecs.BOM_UTF8
_JSON_SPACE: Final = " \t\r\n"
_JSON_TYPES: Final = {bool: "a boolean", float: "a number", list: "a list", dict: "an object"}
# Whole numbers are read as float: only the text is used, and int() refuses 5,000 digits.
_decode_json = json.JSONDecoder(parse_int=float).decode


@dataclass(frozen=True, slots=True)
class Source:
    """One input file, or standard input, and how its lines are read."""

    name: str  # as the caller gave it
    format: Format


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A line that cannot be processed, and why."""

    file: str
    line: int  # counted from 1
    reason: str
    raw: str  # the line as it was read; bytes that are no characters as \\xNN
    n_bytes: int  # input bytes read since the record before

    def to_json(self) -> str:
        """One line of ASCII for the error file; ``record`` is cut at ERROR_RECORD_CHARS."""
        return json.dumps(
            {
                "file": self.file,
                "line": self.line,
                "reason": self.reason,
                "record": self.raw[:ERROR_RECORD_CHARS],
            }
        )


@dataclass(frozen=True, slots=True)
class Record:
    """One document of the input."""

    file: str
    line: int  # counted from 1
    text: str
    raw: str | None  # the JSON object as it was read; None for plain text
    n_bytes: int  # input bytes read since the record before

    def to_json(self, senses: Sequence[PlainData]) -> str:
        """The record as it was read, plus ``"senses"``, on one line."""
        raw = self.raw
        if raw is None:
            raw = json.dumps({"text": self.text}, ensure_ascii=False)
        added = json.dumps(senses, ensure_ascii=False, allow_nan=False)
        return f'{raw[:-1].rstrip(_JSON_SPACE)}, "{SENSES_KEY}": {added}}}'

    def failed(self, reason: str) -> BadRecord:
        """The same record as one that could not be annotated."""
        raw = self.text if self.raw is None else self.raw
        return BadRecord(self.file, self.line, reason, raw, self.n_bytes)


# -- checks before any work ------------------------------------------------------------


def find_sources(inputs: Iterable[str | Path], input_format: str | None = None) -> list[Source]:
    """The inputs in the order given, each one present and of a known format.

    Args:
        inputs: files, or "-" for standard input.
        input_format: "jsonl" or "txt" for all of them; by default the suffix of each file
            decides, and standard input is JSONL.

    Raises:
        ConfigError: an input is missing, a folder, unreadable, given as "-" twice, or has a
            suffix that tells no format.
    """
    if input_format is not None and input_format not in get_args(Format):
        raise ConfigError(f"--input-format {input_format}: legal are {_legal_formats()}")
    names = [str(item) for item in inputs]
    if not names:
        raise ConfigError("no input: give at least one .jsonl or .txt file, or - for stdin")
    if names.count(STDIN) > 1:
        raise ConfigError("- (standard input) can be given once only")
    return [Source(name, _find_format(name, input_format)) for name in names]


def _find_format(name: str, input_format: str | None) -> Format:
    if name != STDIN:
        _check_readable(name)
    suffix = ".jsonl" if name == STDIN else Path(name).suffix.lower()
    wanted = suffix[1:] if input_format is None else input_format
    for known in get_args(Format):
        if wanted == known:
            return known  # type: ignore[no-any-return]
    raise ConfigError(
        f"the format of input {name} is unknown: legal suffixes are .jsonl and .txt; "
        f"say which it is with --input-format {_legal_formats(' or --input-format ')}"
    )


def _legal_formats(joint: str = " and ") -> str:
    return joint.join(get_args(Format))


def _check_readable(name: str) -> None:
    if Path(name).is_dir():
        raise ConfigError(f"input {name} is a folder: give the files in it, such as {name}/*.jsonl")
    try:
        with open(name, "rb"):
            pass
    except OSError as error:
        raise ConfigError(f"input {name} cannot be read: {error.strerror or error}") from None


def line_encoding(encoding: str) -> str:
    """The name under which Python decodes single lines of this encoding.

    Raises:
        ConfigError: the encoding is unknown, or does not end lines with the byte 0x0A.
    """
    try:
        name = codecs.lookup(encoding).name
        newline = "\n".encode(name)
    except (LookupError, ValueError):
        raise ConfigError(
            f"encoding {encoding!r} is unknown: legal are Python's names of text encodings, "
            "such as utf-8, latin-1 and cp1252"
        ) from None
    if name == "utf-8-sig":
        return "utf-8"  # a byte order mark is taken off in any case
    if newline != b"\n":
        raise ConfigError(
            f"encoding {encoding!r} does not end lines with the byte 0x0A: legal are utf-8, "
            f"latin-1 and the like; convert with iconv -f {encoding} -t utf-8 IN > OUT"
        )
    return name


def check_text_key(text_key: str) -> None:
    """Refuse a text key that the output needs for itself.

    Raises:
        ConfigError: it is "senses".
    """
    if text_key == SENSES_KEY:
        raise ConfigError(
            f"--text-key {text_key}: each output line gets a key of this name; "
            "rename the field of the input first"
        )


def total_bytes(sources: Iterable[Source]) -> int | None:
    """Size of all inputs together; None where one of them is a stream of unknown length."""
    total = 0
    for source in sources:
        if source.name == STDIN:
            return None
        status = Path(source.name).stat()
        if not stat.S_ISREG(status.st_mode):
            return None
        total += status.st_size
    return total


# -- reading ---------------------------------------------------------------------------


def read_records(
    source: Source, *, text_key: str = "text", encoding: str = "utf-8"
) -> Iterator[Record | BadRecord]:
    """Read one record after the other; a line that is none comes as a BadRecord.

    Plain text: each line is a document, an empty line an empty document. JSONL: each line is
    an object; lines of nothing but white space are passed over.

    Args:
        source: what to read.
        text_key: field of a JSONL record that holds the text.
        encoding: as :func:`line_encoding` gives it.

    Raises:
        OSError: the file cannot be read.
    """
    parse = _parse_jsonl if source.format == "jsonl" else _parse_txt
    n_bytes = 0
    with _open(source) as stream:
        for number, line in enumerate(stream, start=1):
            n_bytes += len(line)
            if source.format == "jsonl" and not line.strip():
                continue
            if number == 1 and encoding == "utf-8":
                line = line.removeprefix(_BOM)
            try:
                text, raw = parse(_decode(line, encoding), text_key)
            except RecordError as error:
                shown = line.rstrip(b"\r\n").decode(encoding, "backslashreplace")
                yield BadRecord(source.name, number, str(error), shown, n_bytes)
            else:
                yield Record(source.name, number, text, raw, n_bytes)
            n_bytes = 0


@contextmanager
def _open(source: Source) -> Iterator[BinaryIO]:
    if source.name == STDIN:
        yield sys.stdin.buffer
    else:
        with open(source.name, "rb") as stream:
            yield stream


def _decode(line: bytes, encoding: str) -> str:
    try:
        return line.decode(encoding)
    except UnicodeDecodeError as error:
        raise RecordError(
            f"not {encoding}: byte 0x{line[error.start]:02x} at position {error.start}; "
            "name the right one, such as --encoding latin-1"
        ) from None


def _parse_txt(line: str, text_key: str) -> tuple[str, None]:
    del text_key
    return line.removesuffix("\n").removesuffix("\r"), None


def _parse_jsonl(line: str, text_key: str) -> tuple[str, str]:
    # In JSON a bare carriage return can only be white space, but many readers of the output
    # would take it for the end of a line.
    raw = line.strip(_JSON_SPACE).replace("\r", " ")
    record = _parse_json(raw)
    if not isinstance(record, dict):
        raise RecordError(f"not a JSON object but {_type_of(record)}")
    if text_key not in record:
        keys = ", ".join(json.dumps(key) for key in list(record)[:10]) or "none"
        raise RecordError(f'no field "{text_key}" (fields: {keys}); name it with --text-key')
    if SENSES_KEY in record:
        raise RecordError(f'there is a field "{SENSES_KEY}" already; rename or drop it first')
    text = record[text_key]
    if not isinstance(text, str):
        raise RecordError(f'field "{text_key}" is not a string but {_type_of(text)}')
    return text, raw


def _parse_json(raw: str) -> object:
    try:
        value: object = _decode_json(raw)
    except json.JSONDecodeError as error:
        raise RecordError(f"not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise RecordError("not readable as JSON: lists or objects are nested too deeply") from None
    return value


def _type_of(value: object) -> str:
    if value is None:
        return "null"
    return _JSON_TYPES.get(type(value), "a string")

"""Records of the input, read as a stream, and the lines written for them.

Lines (JSONL, plain text) are read here; tables (CSV, TSV, Parquet) and DocBin in ``tables.py``,
by pyarrow and spaCy. pyarrow unpacks .gz and .zst too.

A line ends at the byte 0x0A (a carriage return before it belongs to the line end), never at
the other characters that ``str.splitlines`` knows, because those may stand inside a text.
A JSONL record is written back as the very characters that were read, with one key added
before its closing brace: numbers, escapes, order and repeated keys stay as they were.
"""

from __future__ import annotations

import base64
import codecs
import glob
import json
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from spacy_attn.errors import ConfigError, RecordError, explain_missing_package

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "DEFAULT_MAX_RECORD_BYTES",
    "ERROR_RECORD_CHARS",
    "STDIN",
    "SUFFIXES",
    "BadRecord",
    "Record",
    "Source",
    "check_text_key",
    "find_sources",
    "line_encoding",
    "open_input",
    "read_records",
    "total_bytes",
]

Format: TypeAlias = Literal["jsonl", "txt", "txt-file", "csv", "tsv", "parquet", "docbin"]

STDIN: Final = "-"
SUFFIXES: Final[Mapping[str, Format]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".txt": "txt",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".spacy": "docbin",
}
# By which name pyarrow knows what a suffix says.
COMPRESSIONS: Final = {".gz": "gzip", ".zst": "zstd"}
# These need to go back and forth in their file: neither from stdin nor compressed as a whole.
_SEEKING: Final = ("parquet", "docbin")
DEFAULT_MAX_RECORD_BYTES: Final = 16 * 2**20
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
    compression: str | None = None  # "gzip" or "zstd"


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A line that cannot be processed, and why."""

    file: str
    line: int  # counted from 1; of a table the row, of a file without records 0
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
    line: int  # counted from 1; of a table the row
    text: str
    raw: str | None  # the JSON object as it was read; None for others
    n_bytes: int  # input bytes read since the record before
    row: tuple[pa.RecordBatch, int] | None = None  # of a table: where its columns are

    def as_json(self) -> str:
        """The record as it was read, a JSON object; of plain text one with its text."""
        if self.raw is not None:
            return self.raw
        if self.row is None:
            return json.dumps({"text": self.text}, ensure_ascii=False)
        batch, index = self.row
        columns = zip(batch.schema.names, batch.columns, strict=True)
        values = {name: _plain(column[index]) for name, column in columns}
        return json.dumps(_without_nan(values), ensure_ascii=False, default=_to_json_value)

    def to_json(self, added: Mapping[str, Any]) -> str:
        """The record as it was read, plus fields, on one line."""
        raw = self.as_json()
        start = raw[:-1].rstrip(_JSON_SPACE)
        joint = "" if start.endswith("{") else ", "
        return start + joint + json.dumps(added, ensure_ascii=False, allow_nan=False)[1:]

    def failed(self, reason: str) -> BadRecord:
        """The same record as one that could not be annotated."""
        is_text = self.raw is None and self.row is None
        raw = self.text if is_text else self.as_json()
        return BadRecord(self.file, self.line, reason, raw, self.n_bytes)


def _plain(scalar: pa.Scalar) -> Any:
    """The value of a cell; times finer than Python's, for which Arrow wants pandas, as text."""
    import pyarrow as pa

    try:
        return scalar.as_py()
    except ValueError:
        kind = scalar.type
    if pa.types.is_struct(kind):
        return {field.name: _plain(scalar[field.name]) for field in kind}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return [_plain(each) for each in scalar.values]
    try:
        return str(scalar.cast(pa.string())).replace(" ", "T", 1)
    except pa.ArrowException:  # a duration
        return f"{scalar.value} {kind.unit}"


def _to_json_value(value: object) -> object:
    """What JSON has no type for: bytes as base64, times as ISO 8601, others as text."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    iso = getattr(value, "isoformat", None)
    return iso() if iso is not None else str(value)


def _without_nan(value: Any) -> Any:
    """The same with null in place of numbers that JSON does not know."""
    if isinstance(value, float):
        return value if value - value == 0.0 else None
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    return [_without_nan(item) for item in value] if isinstance(value, list) else value


# -- checks before any work ------------------------------------------------------------


def find_sources(inputs: Iterable[str | Path], input_format: str | None = None) -> list[Source]:
    """The inputs in the order given, each one present and of a known format.

    Args:
        inputs: files; patterns such as ``"texts/**/*.jsonl"``; folders, of which all files with
            a known suffix are taken, sorted, hidden ones left out; or "-" for standard input.
        input_format: one format for all of them; by default the suffix of each file decides,
            and standard input is JSONL. ``"txt-file"`` takes a whole file as one document.

    Raises:
        ConfigError: an input is missing, empty of files, unreadable, given as "-" twice, or has
            a suffix that tells no format.
    """
    if input_format is not None and input_format not in get_args(Format):
        raise ConfigError(f"--input-format {input_format}: legal are {_legal_formats()}")
    given = [str(item) for item in inputs]
    if not given:
        raise ConfigError(
            f"no input: give at least one file ({' '.join(SUFFIXES)}), a folder, or - for stdin"
        )
    if given.count(STDIN) > 1:
        raise ConfigError("- (standard input) can be given once only")
    names = [name for item in given for name in _expand(item)]
    return [_find_source(name, input_format) for name in names]


def _expand(item: str) -> list[str]:
    """The files that one argument means."""
    if item == STDIN or os.path.isfile(item):
        return [item]
    if os.path.isdir(item):
        found = sorted(_walk(item))
        if not found:
            raise ConfigError(f"folder {item} holds no file with a suffix of {' '.join(SUFFIXES)}")
        return found
    if not os.path.lexists(item) and glob.has_magic(item):
        found = sorted(name for name in glob.glob(item, recursive=True) if os.path.isfile(name))
        if not found:
            raise ConfigError(f"no file matches {item}: list what is there with ls")
        return found
    return [item]  # a pipe, or missing: opening it tells


def _walk(folder: str) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name[0] not in "._"]
        for name in names:
            if name[0] not in "._" and _split_suffix(name)[0] in SUFFIXES:
                yield os.path.join(parent, name)


def _split_suffix(name: str) -> tuple[str, str | None]:
    """``a.jsonl.gz`` -> (".jsonl", "gzip")."""
    path = Path(name)
    compression = COMPRESSIONS.get(path.suffix.lower())
    if compression is not None:
        path = path.with_suffix("")
    return path.suffix.lower(), compression


def _find_source(name: str, input_format: str | None) -> Source:
    if name != STDIN:
        _check_readable(name)
    suffix, compression = (".jsonl", None) if name == STDIN else _split_suffix(name)
    known = SUFFIXES.get(suffix)
    if input_format is not None:
        known = next(item for item in get_args(Format) if item == input_format)
    if known is None:
        raise ConfigError(
            f"the format of input {name} is unknown: legal suffixes are {' '.join(SUFFIXES)}, "
            f"each also with .gz or .zst; say which it is with --input-format "
            f"{_legal_formats(' or --input-format ')}"
        )
    if known in _SEEKING and (name == STDIN or compression is not None):
        shown = "standard input" if name == STDIN else f"the compressed file {name}"
        raise ConfigError(f"{known} cannot be read from {shown}: give it as a file of its own")
    return Source(name, known, compression)


def _legal_formats(joint: str = ", ") -> str:
    return joint.join(get_args(Format))


def _check_readable(name: str) -> None:
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


def check_text_key(text_key: str, added: Iterable[str] = ("senses",)) -> None:
    """Refuse a text key that the output needs for itself.

    Raises:
        ConfigError: it is one of the names that are added to each record.
    """
    if text_key in added:
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
    source: Source,
    *,
    text_key: str = "text",
    encoding: str = "utf-8",
    added: Iterable[str] = ("senses",),
    max_record_bytes: int = DEFAULT_MAX_RECORD_BYTES,
) -> Iterator[Record | BadRecord]:
    """Read one record after the other; what is none comes as a BadRecord.

    Plain text: each line is a document, an empty line an empty document. JSONL: each line is
    an object; lines of nothing but white space are passed over. A file that breaks in the
    middle (a truncated .gz, a damaged Parquet page) ends with a BadRecord.

    Args:
        source: what to read.
        text_key: field or column that holds the text.
        encoding: as :func:`line_encoding` gives it.
        added: fields that the output adds: a record that has one already is refused.
        max_record_bytes: a record with more is refused; no more of it is held in memory, so
            that a few compressed bytes cannot become all of the memory.

    Raises:
        OSError: the file cannot be read.
    """
    if source.format in ("jsonl", "txt"):
        return _read_lines(source, text_key, encoding, frozenset(added), max_record_bytes)
    if source.format == "txt-file":
        return _read_whole(source, encoding, max_record_bytes)
    from spacy_attn.jobs.tables import read_docbin, read_rows

    if source.format == "docbin":
        return read_docbin(source, max_record_bytes)
    return read_rows(source, text_key, encoding, max_record_bytes)


def _read_lines(
    source: Source, text_key: str, encoding: str, added: frozenset[str], limit: int
) -> Iterator[Record | BadRecord]:
    parse = _parse_jsonl if source.format == "jsonl" else _parse_txt
    n_bytes = number = 0
    with open_input(source) as (stream, position):
        while True:
            try:
                line, is_cut, n_read = _read_line(stream, limit)
            except OSError as error:
                if source.compression is None:
                    raise
                reason = f"{source.compression} breaks off or is damaged: {error}"
                yield BadRecord(source.name, number + 1, reason, "", n_bytes)
                return
            if not line:
                return
            number += 1
            n_bytes += n_read if source.compression is None else position()
            if source.format == "jsonl" and not line.strip():
                continue
            if number == 1 and encoding == "utf-8":
                line = line.removeprefix(_BOM)
            try:
                if is_cut:
                    raise RecordError(_too_long(limit))
                text, raw = parse(_decode(line, encoding), text_key, added)
            except RecordError as error:
                shown = line[: 4 * ERROR_RECORD_CHARS] if is_cut else line
                shown = shown.rstrip(b"\r\n").decode(encoding, "backslashreplace")  # type: ignore[assignment]
                yield BadRecord(source.name, number, str(error), str(shown), n_bytes)
            else:
                yield Record(source.name, number, text, raw, n_bytes)
            n_bytes = 0


def _read_line(stream: IO[bytes], limit: int) -> tuple[bytes, bool, int]:
    """A line, whether it was cut at the limit, and how many bytes it had."""
    line = stream.readline(limit + 2)  # the line end does not count
    n_read = len(line)
    if len(line.rstrip(b"\r\n")) <= limit:
        return line, False, n_read
    rest = line
    while rest and not rest.endswith(b"\n"):
        rest = stream.readline(2**20)
        n_read += len(rest)
    return line, True, n_read


def _too_long(limit: int) -> str:
    return f"the record has more than {limit:,} bytes; raise the limit with --max-record-bytes"


def _read_whole(source: Source, encoding: str, limit: int) -> Iterator[Record | BadRecord]:
    with open_input(source) as (stream, position):
        try:
            data = stream.read(limit + 1)
            n_bytes = len(data) if source.compression is None else position()
            if len(data) > limit:
                raise RecordError(_too_long(limit))
            text = _decode(data.removeprefix(_BOM), encoding)
        except OSError as error:
            if source.compression is None:
                raise
            yield BadRecord(source.name, 1, f"{source.compression} is damaged: {error}", "", 0)
        except RecordError as error:
            shown = data[: 4 * ERROR_RECORD_CHARS].decode(encoding, "backslashreplace")
            yield BadRecord(source.name, 1, str(error), shown, n_bytes)
        else:
            yield Record(source.name, 1, text, None, n_bytes)


@contextmanager
def open_input(source: Source) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """The unpacked bytes of a source, and how many packed bytes were read since last asked."""
    if source.name == STDIN:
        yield sys.stdin.buffer, lambda: 0
        return
    with open(source.name, "rb") as packed:
        told = 0

        def advanced() -> int:
            nonlocal told
            before, told = told, packed.tell()
            return told - before

        if source.compression is None:
            yield packed, advanced
            return
        with explain_missing_package(f"input {source.name}"):
            import pyarrow as pa
        import io

        unpacked = pa.CompressedInputStream(packed, source.compression)
        yield io.BufferedReader(unpacked, 2**20), advanced


def _decode(line: bytes, encoding: str) -> str:
    try:
        return line.decode(encoding)
    except UnicodeDecodeError as error:
        raise RecordError(
            f"not {encoding}: byte 0x{line[error.start]:02x} at position {error.start}; "
            "name the right one, such as --encoding latin-1"
        ) from None


def _parse_txt(line: str, text_key: str, added: frozenset[str]) -> tuple[str, None]:
    del text_key, added
    return line.removesuffix("\n").removesuffix("\r"), None


def _parse_jsonl(line: str, text_key: str, added: frozenset[str]) -> tuple[str, str]:
    # In JSON a bare carriage return can only be white space, but many readers of the output
    # would take it for the end of a line.
    raw = line.strip(_JSON_SPACE).replace("\r", " ")
    record = _parse_json(raw)
    if not isinstance(record, dict):
        raise RecordError(f"not a JSON object but {_type_of(record)}")
    if text_key not in record:
        keys = ", ".join(json.dumps(key) for key in list(record)[:10]) or "none"
        raise RecordError(f'no field "{text_key}" (fields: {keys}); name it with --text-key')
    for name in added & record.keys():
        raise RecordError(f'there is a field "{name}" already; rename or drop it first')
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

"""Records of JSONL and plain text: a line each, or a file.

A line ends at the byte 0x0A (a carriage return before it belongs to the line end), never at the
other characters that ``str.splitlines`` knows, because those may stand inside a text.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import IO, Final

from spacy_attn.errors import RecordError
from spacy_attn.jobs.records import ERROR_RECORD_CHARS, JSON_SPACE, BadRecord, Record, refuse_long
from spacy_attn.jobs.sources import Source
from spacy_attn.jobs.streams import open_input

BOM: Final = codecs.BOM_UTF8
_JSON_TYPES: Final = {bool: "a boolean", float: "a number", list: "a list", dict: "an object"}
# Whole numbers are read as float: only the text is used, and int() refuses 5,000 digits.
_decode_json = json.JSONDecoder(parse_int=float).decode


def read_lines(
    source: Source, text_key: str, encoding: str, added: frozenset[str], limit: int
) -> Iterator[Record | BadRecord]:
    """A record for each line of JSONL or plain text.

    Plain text: each line is a document, an empty line an empty document. JSONL: each line is
    an object; lines of nothing but white space are passed over.

    Raises:
        OSError: the file cannot be read.
    """
    is_jsonl = source.format == "jsonl"
    n_bytes = number = 0
    with open_input(source) as (stream, position):
        while True:
            try:
                line, is_cut, n_read = read_line(stream, limit)
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
            if is_jsonl and not line.strip():
                continue
            # In JSON no line begins with a byte order mark, but files are joined with theirs.
            if encoding == "utf-8" and (number == 1 or is_jsonl):
                line = line.removeprefix(BOM)
            try:
                if is_cut:
                    raise RecordError(refuse_long(limit))
                decoded = _decode(line, encoding)
                if is_jsonl:
                    text, raw = _parse_jsonl(decoded, text_key, added)
                    record = Record(source.name, number, text, raw, n_bytes)
                else:
                    text = decoded.removesuffix("\n").removesuffix("\r")
                    record = Record(source.name, number, text, None, n_bytes)
            except RecordError as error:
                shown = show_bytes(line.rstrip(b"\r\n"), encoding)
                yield BadRecord(source.name, number, str(error), shown, n_bytes)
            else:
                yield record
            n_bytes = 0


def read_line(stream: IO[bytes], limit: int) -> tuple[bytes, bool, int]:
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


def read_file(source: Source, encoding: str, limit: int) -> Iterator[Record | BadRecord]:
    """One record: the whole file.

    Raises:
        OSError: the file cannot be read.
    """
    with open_input(source) as (stream, position):
        data = b""
        try:
            data = stream.read(limit + 1)
            n_bytes = len(data) if source.compression is None else position()
            if len(data) > limit:
                raise RecordError(refuse_long(limit))
            text = _decode(data.removeprefix(BOM), encoding)
        except OSError as error:
            if source.compression is None:
                raise
            yield BadRecord(source.name, 1, f"{source.compression} is damaged: {error}", "", 0)
        except RecordError as error:
            yield BadRecord(source.name, 1, str(error), show_bytes(data, encoding), n_bytes)
        else:
            yield Record(source.name, 1, text, None, n_bytes)


def show_bytes(data: bytes, encoding: str) -> str:
    """The beginning of what cannot be decoded, for the error file."""
    return data[: 4 * ERROR_RECORD_CHARS].decode(encoding, "backslashreplace")


def _decode(line: bytes, encoding: str) -> str:
    try:
        return line.decode(encoding)
    except UnicodeDecodeError as error:
        raise RecordError(
            f"not {encoding}: byte 0x{line[error.start]:02x} at position {error.start}; "
            "name the right one, such as --encoding latin-1"
        ) from None


def _parse_jsonl(line: str, text_key: str, added: frozenset[str]) -> tuple[str, str]:
    """The text, and the object on one line."""
    # In JSON a bare carriage return can only be white space, but many readers of the output
    # would take it for the end of a line.
    raw = line.strip(JSON_SPACE).replace("\r", " ")
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

"""Reading a source, whatever its format, and the checks that come before."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, assert_never

from spacy_attn.errors import ConfigError, did_you_mean
from spacy_attn.files import unpacking
from spacy_attn.jobs.delimited import (
    delimiter_of,
    guess_delimiter,
    read_delimited,
    read_header,
    repeated,
)
from spacy_attn.jobs.docbin import read_docbin
from spacy_attn.jobs.lines import read_file, read_lines
from spacy_attn.jobs.options import JobOptions, option_name
from spacy_attn.jobs.records import BadRecord, Record
from spacy_attn.jobs.sources import SEEKING, TABULAR, Source
from spacy_attn.jobs.streams import open_input
from spacy_attn.jobs.tables import is_text, parquet_schema, read_parquet

if TYPE_CHECKING:
    import pyarrow as pa

# By the marks at the beginning of a file, a longer one before the shorter that it begins with.
_WIDE: Final = {
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
# By which of the first four bytes are zero, where there is no mark.
_UNMARKED: Final[dict[tuple[bool, ...], str]] = {
    (False, True, False, True): "utf-16le",
    (True, False, True, False): "utf-16be",
    (False, True, True, True): "utf-32le",
    (True, True, True, False): "utf-32be",
}


def read_records(
    source: Source, options: JobOptions, added: Iterable[str] = ("senses",)
) -> Iterator[Record | BadRecord]:
    """Read one record after the other; what is none comes as a BadRecord.

    A file that breaks in the middle (a truncated .gz, a damaged Parquet page) ends with a
    BadRecord. No more of a record is held in memory than ``max_record_bytes``, so that a few
    compressed bytes cannot become all of the memory.

    Args:
        source: what to read.
        options: text_key, encoding, delimiter and max_record_bytes.
        added: fields that the output adds: a JSON record that has one already is refused.

    Raises:
        OSError: the file cannot be read.
    """
    text_key, encoding, limit = options.text_key, options.encoding, options.max_record_bytes
    match source.format:
        case "jsonl" | "txt":
            return read_lines(source, text_key, encoding, frozenset(added), limit)
        case "txt-file":
            return read_file(source, encoding, limit)
        case "docbin":
            return read_docbin(source, limit)
        case "parquet":
            return read_parquet(source, text_key, limit)
        case "csv" | "tsv":
            delimiter = delimiter_of(source, options.delimiter)
            return read_delimited(source, text_key, encoding, delimiter, limit)
        case _:
            assert_never(source.format)


def check_sources(sources: Sequence[Source], options: JobOptions, added: Sequence[str]) -> None:
    """Refuse tables without the text, or with columns that the output adds, and UTF-16.

    Raises:
        ConfigError: so it is.
    """
    if options.text_key in added:
        raise ConfigError(
            f"{option_name('text_key')} is {options.text_key}: each output line gets a key of this "
            "name; rename the field of the input first"
        )
    for source in sources:
        if not source.is_file:
            continue
        if source.format not in SEEKING:
            _refuse_by_beginning(source)
        if source.format in TABULAR:
            _check_columns(source, table_schema(source, options), options, added)


def table_schema(source: Source, options: JobOptions) -> pa.Schema:
    """The columns of a table, read from its footer or first line; those of CSV are text.

    Raises:
        ConfigError: the file is no such table.
        ResourceError: pyarrow is missing.
    """
    if source.format == "parquet":
        return parquet_schema(source)
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in _read_header(source, options)])


def _read_header(source: Source, options: JobOptions) -> list[str]:
    delimiter = delimiter_of(source, options.delimiter)
    try:
        return read_header(source, options.encoding, delimiter, options.max_record_bytes)
    except OSError as error:
        raise ConfigError(f"input {source.name} is not {source.format}: {error}") from None


def _check_columns(
    source: Source, schema: pa.Schema, options: JobOptions, added: Iterable[str]
) -> None:
    names, text_key = schema.names, options.text_key
    if names.count(text_key) != 1:
        shown = ", ".join(names[:20]) or "none"
        hint = f"name it with {option_name('text_key')}{did_you_mean(text_key, names)}"
        if text_key in names:
            hint = "rename all but one of them"
        elif source.format != "parquet":
            used = delimiter_of(source, options.delimiter)
            divider = guess_delimiter(names, used, text_key)
            like = (each for each in names if _plain_name(each) == _plain_name(text_key))
            if (near := next(like, None)) is not None:
                hint = f"name it with {option_name('text_key')} {shlex.quote(near)}"
            if divider is not None:
                hint = f"it looks divided by {divider!r}: give that as {option_name('delimiter')}"
        raise ConfigError(
            f"input {source.name} has no single column {text_key!r} (columns: {shown}); {hint}"
        )
    if twice := repeated(names):
        raise ConfigError(
            f"input {source.name} has two columns {twice!r}, of which a record holds one: rename "
            "all but one of them"
        )
    kind = schema.field(text_key).type
    if not is_text(kind):
        raise ConfigError(
            f"column {text_key!r} of input {source.name} is {kind}: allowed is string; "
            f"name another with {option_name('text_key')}"
        )
    for name in added:
        if name in names:
            raise ConfigError(
                f"input {source.name} has a column {name!r} already: rename or drop it first"
            )


def _plain_name(column: str) -> str:
    """The name of a column without quotes, blanks and capitals."""
    return column.strip(" \t'\"").lower()


def _refuse_by_beginning(source: Source) -> None:
    """Refuse what is compressed without a name that says so, and UTF-16."""
    try:
        with open_input(source) as (stream, _):
            beginning = stream.read(8)
    except OSError:
        return  # reading will tell
    if (command := unpacking(beginning)) is not None:
        raise ConfigError(
            f"input {source.name} is compressed, and its name does not end in .gz or .zst: rename "
            f"it, or unpack it with {command} {shlex.quote(source.name)} > OUT"
        )
    encoding = _wide_encoding(beginning[:4])
    if encoding is not None:
        raise ConfigError(
            f"input {source.name} begins like {encoding.upper()}, which {option_name('encoding')} "
            f"does not take: convert it with iconv -f {encoding} -t utf-8 {source.name} > OUT"
        )


def _wide_encoding(beginning: bytes) -> str | None:
    """The encoding of more than one byte for each character that a file begins like."""
    for mark, encoding in _WIDE.items():
        if beginning.startswith(mark):
            return encoding
    return _UNMARKED.get(tuple(byte == 0 for byte in beginning))

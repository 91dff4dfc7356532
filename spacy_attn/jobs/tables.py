"""Records of CSV, TSV, Parquet and DocBin, read by pyarrow and spaCy as a stream.

Parquet keeps the types of its columns. CSV has none: each column is text, so that "007" stays
as it is. A DocBin gives its texts; spaCy reads it from msgpack, nothing is unpickled.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spacy_attn.errors import ConfigError, explain_missing_package
from spacy_attn.jobs.records import (
    BadRecord,
    Record,
    Source,
    open_input,
)

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TABULAR", "check_columns", "read_docbin", "read_rows", "table_schema"]

TABULAR: Final = ("csv", "tsv", "parquet")
_ROWS: Final = 1024  # of a table that are decoded at a time
_MAX_DOCBIN_BYTES: Final = 2**30  # a DocBin is read whole; unpacked it may take this much
_MAX_BLOCK: Final = 2**31 - 1  # pyarrow counts a block's bytes in 32 bits


def table_schema(source: Source, encoding: str = "utf-8") -> pa.Schema:
    """The columns of a table, read from its footer or first line.

    Raises:
        ConfigError: the file is no such table.
        ResourceError: pyarrow is missing.
    """
    with explain_missing_package(f"input {source.name}"):
        import pyarrow as pa
        import pyarrow.csv
        import pyarrow.parquet as pq
    try:
        if source.format == "parquet":
            return pq.read_schema(source.name).remove_metadata()
        if source.name == "-":
            raise ConfigError("the columns of standard input are not known before it is read")
        with open_input(source) as (stream, _):
            reader = _open_csv(stream, source, encoding, deque())
            with reader:
                return pa.schema([(name, pa.string()) for name in reader.schema.names])
    except (pa.ArrowException, OSError) as error:
        raise ConfigError(f"input {source.name} is not {source.format}: {error}") from None


def check_columns(source: Source, schema: pa.Schema, text_key: str, added: Iterable[str]) -> None:
    """Refuse a table without the text, or with a column that the output adds.

    Raises:
        ConfigError: so it is.
    """
    import pyarrow as pa

    shown = ", ".join(schema.names[:20]) or "none"
    if schema.names.count(text_key) != 1:
        raise ConfigError(
            f"input {source.name} has no single column {text_key!r} (columns: {shown}); "
            "name it with --text-key"
        )
    kind = schema.field(text_key).type
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_string(inner) or pa.types.is_large_string(inner)):
        raise ConfigError(
            f"column {text_key!r} of input {source.name} is {kind}: legal is string; "
            "name another with --text-key"
        )
    for name in added:
        if name in schema.names:
            raise ConfigError(
                f"input {source.name} has a column {name!r} already: rename or drop it first"
            )


def _open_csv(
    stream: Any, source: Source, encoding: str, bad: deque[Any], limit: int = 2**24
) -> Any:
    """A streaming reader of columns of bytes; rows that are none are put on ``bad``."""
    import pyarrow as pa
    import pyarrow.csv as csv

    def note(row: Any) -> str:
        bad.append(row)
        return "skip"

    parse = csv.ParseOptions(
        delimiter="\t" if source.format == "tsv" else ",",
        newlines_in_values=True,
        invalid_row_handler=note,
    )
    read = csv.ReadOptions(
        # One thread, so that a bad row's number is known and nothing is read far ahead.
        use_threads=False,
        block_size=min(max(limit, 2**20), _MAX_BLOCK),
        encoding=encoding,
    )
    convert = csv.ConvertOptions(
        # Bytes: a character that is none must not end the file but its own row.
        check_utf8=False,
        strings_can_be_null=False,
        default_column_type=pa.binary(),
    )
    return csv.open_csv(stream, read_options=read, parse_options=parse, convert_options=convert)


def read_rows(
    source: Source, text_key: str, encoding: str, limit: int
) -> Iterator[Record | BadRecord]:
    """The rows of a table; what breaks in the middle ends it with a BadRecord.

    Raises:
        OSError: the file cannot be opened.
    """
    import pyarrow as pa

    number = 0
    bad: deque[Any] = deque()  # rows of CSV with too many or too few columns
    try:
        for batch, wrong, n_bytes in _batches(source, encoding, bad, limit):
            for index, text in enumerate(_texts(batch, text_key)):
                number += 1
                while bad and bad[0].number == number + 1:  # pyarrow counts the header
                    yield _ragged(source, bad.popleft(), number)
                    number += 1
                record = _to_record(source, number, text, (batch, index), n_bytes, limit)
                n_bytes = 0
                yield record if index not in wrong else _not_text(record, wrong[index])
        for row in bad:
            number += 1
            yield _ragged(source, row, number)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = f"the rest of the file cannot be read as {source.format}: {error}"
        yield BadRecord(source.name, number + 1, reason, "", 0)


def _texts(batch: pa.RecordBatch, text_key: str) -> list[str | None]:
    index = batch.schema.get_field_index(text_key)
    if index < 0:
        raise OSError(f"no column {text_key!r} (columns: {', '.join(batch.schema.names[:20])})")
    texts: list[str | None] = batch.column(index).to_pylist()
    return texts


def _ragged(source: Source, row: Any, number: int) -> BadRecord:
    reason = f"{row.actual_columns} columns in place of {row.expected_columns}"
    return BadRecord(source.name, number, reason, row.text or "", 0)


def _not_text(record: Record | BadRecord, reason: str) -> BadRecord:
    return record.failed(reason) if isinstance(record, Record) else record


def _to_record(
    source: Source,
    number: int,
    text: str | None,
    row: tuple[pa.RecordBatch, int],
    n_bytes: int,
    limit: int,
) -> Record | BadRecord:
    record = Record(source.name, number, text or "", None, n_bytes, row)
    if text is None:
        return record.failed("the text is null")
    if len(text) * 4 > limit and len(text.encode()) > limit:
        reason = f"the text has more than {limit:,} bytes; raise the limit with --max-record-bytes"
        return BadRecord(source.name, number, reason, text[:2000], n_bytes)
    return record


def _batches(
    source: Source, encoding: str, bad: deque[Any], limit: int
) -> Iterator[tuple[pa.RecordBatch, dict[int, str], int]]:
    """Batches, rows that are not text with the reason, the packed bytes read for the batch."""
    if source.format == "parquet":
        yield from _parquet_batches(source)
        return
    import pyarrow as pa

    with open_input(source) as (stream, advanced):
        try:
            reader = _open_csv(stream, source, encoding, bad, limit)
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                return
            raise
        with reader:
            for block in reader:
                n_bytes = advanced()
                for start in range(0, block.num_rows, _ROWS):
                    batch, wrong = _decode_columns(block.slice(start, _ROWS))
                    yield batch, wrong, n_bytes
                    n_bytes = 0


def _decode_columns(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, dict[int, str]]:
    """Columns of text in place of bytes, and the rows in which one is no UTF-8."""
    import pyarrow as pa

    columns: list[pa.Array] = []
    wrong: dict[int, str] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            columns.append(column.cast(pa.string()))
        except pa.ArrowInvalid:
            values = []
            for index, value in enumerate(column.to_pylist()):
                text = value.decode("utf-8", "backslashreplace")
                values.append(text)
                if text.encode() != value:
                    wrong[index] = f"column {name!r} is not utf-8; name the right --encoding"
            columns.append(pa.array(values, pa.string()))
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names), wrong


def _parquet_batches(source: Source) -> Iterator[tuple[pa.RecordBatch, dict[int, str], int]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(source.name, memory_map=False, pre_buffer=False) as file:
        total = max(1, file.metadata.num_rows)
        size = Path(source.name).stat().st_size
        done = told = 0
        for batch in file.iter_batches(batch_size=_ROWS, use_threads=False):
            done += batch.num_rows
            now = size * done // total
            yield batch.replace_schema_metadata(None), {}, now - told
            told = now


def read_docbin(source: Source, limit: int) -> Iterator[Record | BadRecord]:
    """The texts of a DocBin, which spaCy reads whole.

    Raises:
        OSError: the file cannot be read.
    """
    data = Path(source.name).read_bytes()
    try:
        texts = _docbin_texts(data)
        for number, text in enumerate(texts, start=1):
            n_bytes = len(data) if number == 1 else 0
            if len(text.encode()) > limit:
                reason = f"the text has more than {limit:,} bytes; raise --max-record-bytes"
                yield BadRecord(source.name, number, reason, text[:2000], n_bytes)
            else:
                yield Record(source.name, number, text, None, n_bytes)
    except Exception as error:
        # zlib, msgpack and spaCy each have errors of their own for bytes that are no DocBin.
        reason = f"the rest of the file is no DocBin: {type(error).__name__}: {error}"
        yield BadRecord(source.name, 1, reason[:500], "", len(data))


def _docbin_texts(data: bytes) -> Iterator[str]:
    import spacy
    from spacy.tokens import DocBin

    unpacking = zlib.decompressobj()
    unpacking.decompress(data, _MAX_DOCBIN_BYTES)
    if unpacking.unconsumed_tail:
        raise ValueError(f"unpacked it has more than {_MAX_DOCBIN_BYTES:,} bytes; split it")
    for doc in DocBin(store_user_data=False).from_bytes(data).get_docs(spacy.blank("xx").vocab):
        yield doc.text

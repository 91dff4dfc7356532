"""Records of Parquet, read by pyarrow: streamed by row group, the types of its columns kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spacy_attn.errors import ConfigError, explain_missing_package
from spacy_attn.jobs.records import ERROR_RECORD_CHARS, BadRecord, Record, refuse_long
from spacy_attn.jobs.sources import Source

if TYPE_CHECKING:
    import pyarrow as pa

# Of a table, decoded at a time: few, because a small file may hold large rows (one value of a
# dictionary, many times), and these are cheap beside what annotates them.
_ROWS: Final = 16
_ROW_BYTES: Final = 2**20  # rows that are larger on average are decoded one by one,
_RATIO: Final = 100  # and those of a group that is unpacked to so many times its size


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text."""
    import pyarrow as pa

    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_kind(inner) for is_kind in kinds)


@contextmanager
def _open_parquet(source: Source) -> Iterator[Any]:
    with explain_missing_package(f"input {source.name}"):
        import pyarrow.parquet as pq
    # Opened here: pyarrow takes no name that is not UTF-8.
    with (
        open(source.name, "rb") as stream,
        pq.ParquetFile(stream, memory_map=False, pre_buffer=False) as file,
    ):
        yield file


def parquet_schema(source: Source) -> pa.Schema:
    """The columns of a Parquet file, those that folders say included.

    Raises:
        ConfigError: the file is no Parquet.
        ResourceError: pyarrow is missing.
    """
    with explain_missing_package(f"input {source.name}"):
        import pyarrow as pa
    try:
        with _open_parquet(source) as file:
            schema = file.schema_arrow.remove_metadata()
    except (pa.ArrowException, OSError) as error:
        raise ConfigError(f"input {source.name} is not parquet: {error}") from None
    for name in source.partition:
        if name not in schema.names:
            schema = schema.append(pa.field(name, pa.string()))
    return schema


def read_parquet(source: Source, text_key: str, limit: int) -> Iterator[Record | BadRecord]:
    """The rows of a Parquet file; what breaks in the middle ends it with a BadRecord.

    Raises:
        OSError: the file cannot be opened.
    """
    import pyarrow as pa

    number = 0
    try:
        for batch, n_bytes in _batches(source):
            index = batch.schema.get_field_index(text_key)
            if index < 0:
                shown = ", ".join(batch.schema.names[:20])
                raise OSError(f"no column {text_key!r} (columns: {shown})")
            for i, text in enumerate(_texts(batch.column(index))):
                number += 1
                yield _to_record(source, number, text, (batch, i), n_bytes, limit)
                n_bytes = 0
    except (pa.ArrowException, OSError) as error:
        reason = f"the rest of the file cannot be read as parquet: {error}"
        yield BadRecord(source.name, number + 1, reason, "", 0)


def _texts(column: pa.Array) -> Iterator[str | bytes | None]:
    """The texts of a column; bytes where one is no UTF-8, which Parquet does not check."""
    try:
        yield from column.to_pylist()
    except UnicodeDecodeError:
        import pyarrow as pa

        plain = (
            column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        )
        for value in plain.cast(pa.large_binary()).to_pylist():
            try:
                yield None if value is None else value.decode("utf-8")
            except UnicodeDecodeError:
                yield value


def _to_record(
    source: Source,
    number: int,
    text: str | bytes | None,
    row: tuple[pa.RecordBatch, int],
    n_bytes: int,
    limit: int,
) -> Record | BadRecord:
    if isinstance(text, bytes):
        shown = text[:ERROR_RECORD_CHARS].decode("utf-8", "backslashreplace")
        return BadRecord(source.name, number, "the text is no UTF-8", shown, n_bytes)
    record = Record(source.name, number, text or "", None, n_bytes, row=row)
    if text is None:
        return record.failed("the text is null")
    if len(text) * 4 > limit and len(text.encode()) > limit:
        return BadRecord(
            source.name, number, refuse_long(limit), text[:ERROR_RECORD_CHARS], n_bytes
        )
    return record


def _rows_at_once(group: Any) -> int:
    """How many rows of a row group are decoded at a time: 16 large ones could fill the memory."""
    columns = [group.column(i) for i in range(group.num_columns)]
    unpacked = sum(column.total_uncompressed_size for column in columns)
    packed = sum(column.total_compressed_size for column in columns)
    is_large = unpacked > _ROW_BYTES * group.num_rows or unpacked > _RATIO * max(packed, 2**16)
    return 1 if is_large else _ROWS


def _batches(source: Source) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Batches, and the packed bytes read for each."""
    import pyarrow as pa

    with _open_parquet(source) as file:
        total = max(1, file.metadata.num_rows)
        size = Path(source.name).stat().st_size
        done = told = 0
        groups = range(file.metadata.num_row_groups)
        for batch in (
            batch
            for group in groups
            for batch in file.iter_batches(
                batch_size=_rows_at_once(file.metadata.row_group(group)),
                row_groups=[group],
                use_threads=False,
            )
        ):
            done += batch.num_rows
            now = size * done // total
            batch = batch.replace_schema_metadata(None)
            for name, value in source.partition.items():
                if name not in batch.schema.names:
                    column = pa.array([value] * batch.num_rows, pa.string())
                    batch = batch.append_column(name, column)
            yield batch, now - told
            told = now

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
# Lists can hold one value of a dictionary many times, at a few bits each: such columns are read as
# dictionaries, and decoded when the size of a row is known. Larger ones hardly have that, and
# their dictionary would be all that they hold.
_LIST_BYTES: Final = 2**25
_MOST_LIST_BYTES: Final = 2**28  # that the lists of a row group may have as they are read,
_MOST_LIST_RATIO: Final = 200  # or so many times their packed size
_WIDTHS: Final = {"BOOLEAN": 1, "INT64": 8, "DOUBLE": 8, "INT96": 12}  # others have four bytes


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text."""
    import pyarrow as pa

    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_kind(inner) for is_kind in kinds)


@contextmanager
def _open_parquet(source: Source, **settings: Any) -> Iterator[Any]:
    with explain_missing_package(f"input {source.name}"):
        import pyarrow.parquet as pq
    # Opened here: pyarrow takes no name that is not UTF-8.
    with (
        open(source.name, "rb") as stream,
        pq.ParquetFile(stream, memory_map=False, pre_buffer=False, **settings) as file,
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

    Args:
        source: the file.
        text_key: the column of the texts.
        limit: bytes of a row; a longer one is refused before its lists are decoded.

    Raises:
        OSError: the file cannot be opened.
    """
    import pyarrow as pa

    number = 0
    try:
        for batch, schema, n_bytes in _batches(source):
            if text_key not in batch.schema.names:
                shown = ", ".join(batch.schema.names[:20])
                raise OSError(f"no column {text_key!r} (columns: {shown})")
            for part in _parts(batch, limit):
                is_long = part.num_rows == 1 and _unpacked_bytes(part) > limit
                if not is_long and not part.schema.equals(schema):
                    part = part.cast(schema)
                for i, text in enumerate(_texts(part.column(text_key))):
                    number += 1
                    yield _to_record(source, number, text, (part, i), n_bytes, limit, is_long)
                    n_bytes = 0
    except (pa.ArrowException, OSError) as error:
        reason = f"the rest of the file cannot be read as parquet: {error}"
        yield BadRecord(source.name, number + 1, reason, "", 0)


def _parts(batch: pa.RecordBatch, limit: int) -> Iterator[pa.RecordBatch]:
    """The rows, in one piece, or one by one where together they are above the limit."""
    if _unpacked_bytes(batch) <= limit:
        yield batch
    else:
        yield from (batch.slice(i, 1) for i in range(batch.num_rows))


def _unpacked_bytes(batch: pa.RecordBatch) -> int:
    """The bytes of all values, those of a dictionary as often as they are there."""
    return sum(map(_value_bytes, batch.columns))


def _value_bytes(array: Any) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind, types = array.type, pa.types
    is_dictionary = types.is_dictionary(kind)
    inner = kind.value_type if is_dictionary else kind
    kinds = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    if any(is_kind(inner) for is_kind in kinds):
        lengths = pc.binary_length(array.dictionary if is_dictionary else array)
        each = lengths.take(array.indices) if is_dictionary else lengths
        return int(pc.sum(each).as_py() or 0)
    if types.is_struct(kind):
        return sum(map(_value_bytes, array.flatten()))
    if types.is_map(kind):  # Arrow cannot flatten one that has a dictionary
        start, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
        return _value_bytes(array.values[start:end])
    if types.is_nested(kind) and hasattr(array, "flatten"):
        return _value_bytes(array.flatten())
    return int(array.nbytes)


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
    is_long: bool,
) -> Record | BadRecord:
    if isinstance(text, bytes):
        shown = text[:ERROR_RECORD_CHARS].decode("utf-8", "backslashreplace")
        return BadRecord(source.name, number, "the text is no UTF-8", shown, n_bytes)
    if is_long:
        shown = (text or "")[:ERROR_RECORD_CHARS]
        return BadRecord(source.name, number, refuse_long(limit), shown, n_bytes)
    record = Record(source.name, number, text or "", None, n_bytes, row=row)
    return record.failed("the text is null") if text is None else record


def _rows_at_once(group: Any) -> int:
    """How many rows of a row group are decoded at a time: 16 large ones could fill the memory."""
    columns = [group.column(i) for i in range(group.num_columns)]
    unpacked = sum(column.total_uncompressed_size for column in columns)
    packed = sum(column.total_compressed_size for column in columns)
    is_large = unpacked > _ROW_BYTES * group.num_rows or unpacked > _RATIO * max(packed, 2**16)
    return 1 if is_large else _ROWS


def _lists_as_dictionaries(file: Any, number: int) -> list[str]:
    """The columns of a row group that are read as dictionaries, as they can repeat a value.

    Raises:
        OSError: its lists are far larger than they look.
    """
    group = file.metadata.row_group(number)
    names, unpacked, packed = [], 0, 0
    for i in range(group.num_columns):
        column, kind = group.column(i), file.schema.column(i)
        if kind.max_repetition_level == 0:
            continue
        packed += column.total_compressed_size
        width = kind.length or _WIDTHS.get(column.physical_type, 4)
        unpacked += column.num_values * width
        if column.physical_type == "BYTE_ARRAY" and kind.logical_type.type != "DECIMAL":
            size = column.total_uncompressed_size
            unpacked += size
            if size <= _LIST_BYTES or size > _RATIO * column.total_compressed_size:
                names.append(column.path_in_schema)
    if unpacked > max(_MOST_LIST_BYTES, _MOST_LIST_RATIO * packed):
        raise OSError(
            f"the lists of row group {number} have {unpacked:,} bytes, packed {packed:,}; write "
            "the file with smaller row groups"
        )
    return names


def _batches(source: Source) -> Iterator[tuple[pa.RecordBatch, pa.Schema, int]]:
    """Batches, their types as they are to become, and the packed bytes read for each."""
    import pyarrow as pa

    with _open_parquet(source) as file:
        total = max(1, file.metadata.num_rows)
        size = Path(source.name).stat().st_size
        schema = file.schema_arrow.remove_metadata()
        added = {n: value for n, value in source.partition.items() if n not in schema.names}
        for name in added:
            schema = schema.append(pa.field(name, pa.string()))
        done = told = 0
        for batch in _read_batches(source, file):
            done += batch.num_rows
            now = size * done // total
            batch = batch.replace_schema_metadata(None)
            for name, value in added.items():
                column = pa.array([value] * batch.num_rows, pa.string())
                batch = batch.append_column(name, column)
            yield batch, schema, now - told
            told = now


def _read_batches(source: Source, file: Any) -> Iterator[pa.RecordBatch]:
    for number in range(file.metadata.num_row_groups):
        n_rows = _rows_at_once(file.metadata.row_group(number))
        names = _lists_as_dictionaries(file, number)
        with _open_parquet(source, metadata=file.metadata, read_dictionary=names) as opened:
            yield from opened.iter_batches(n_rows, row_groups=[number], use_threads=False)

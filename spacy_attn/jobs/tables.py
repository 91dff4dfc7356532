"""Records of Parquet, read by pyarrow: streamed by row group, the types of its columns kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spacy_attn.errors import ConfigError, explain_missing_package
from spacy_attn.jobs.parquet_pages import MOST_BYTES, column_size
from spacy_attn.jobs.records import ERROR_RECORD_CHARS, BadRecord, Record, refuse_long
from spacy_attn.jobs.sources import Source

if TYPE_CHECKING:
    import pyarrow as pa

# Of a table, decoded at a time: few, because a small file may hold large rows (one value of a
# dictionary, many times), and these are cheap beside what annotates them.
_ROWS: Final = 16
_ROW_BYTES: Final = 2**20  # rows that are larger on average are decoded one by one,
_RATIO: Final = 100  # those of a group that is unpacked to so many times its size,
_VALUE_BYTES: Final = 2**24  # and fewer of a column that could be one value of so many bytes
# Lists can hold one value of a dictionary many times, at a few bits each: such columns are read as
# dictionaries, and decoded when the size of a row is known. Of larger ones only those whose values
# could become more bytes than that: the dictionary of a group would be all that they hold.
_LIST_BYTES: Final = 2**25
_MOST_RATIO: Final = 100  # that a row group may grow, above MOST_BYTES
_PIECES: Final = 32  # of a row group whose dictionaries are large, each with a copy of them
_FIXED_BYTES: Final = 2**26  # of such a piece, in columns that are no dictionaries
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
                    part = part.cast(_without_views(schema)).cast(schema)
                for i, text in enumerate(_texts(part.column(text_key))):
                    number += 1
                    yield _to_record(source, number, text, (part, i), n_bytes, limit, is_long)
                    n_bytes = 0
    except (pa.ArrowException, OSError) as error:
        reason = f"the rest of the file cannot be read as parquet: {error}"
        yield BadRecord(source.name, number + 1, reason, "", 0)


def _without_views(schema: pa.Schema) -> pa.Schema:
    """What Arrow casts a dictionary to, where it cannot cast it to the views of a schema."""
    import pyarrow as pa

    def plain(kind: pa.DataType) -> pa.DataType:
        types = pa.types
        if types.is_string_view(kind) or types.is_binary_view(kind):
            return pa.string() if types.is_string_view(kind) else pa.binary()
        if types.is_struct(kind):
            return pa.struct([each.with_type(plain(each.type)) for each in kind])
        if types.is_map(kind):
            return pa.map_(plain(kind.key_type), plain(kind.item_type), kind.keys_sorted)
        if types.is_list(kind) or types.is_large_list(kind):
            make = pa.list_ if types.is_list(kind) else pa.large_list
            return make(kind.value_field.with_type(plain(kind.value_type)))
        return kind

    return pa.schema([field.with_type(plain(field.type)) for field in schema])


def _parts(batch: pa.RecordBatch, limit: int) -> Iterator[pa.RecordBatch]:
    """The rows, in pieces that are not above the limit, or of one row."""
    n_rows = batch.num_rows
    if n_rows < 2 or _unpacked_bytes(batch) <= limit:
        yield batch
    else:
        yield from _parts(batch.slice(0, n_rows // 2), limit)
        yield from _parts(batch.slice(n_rows // 2), limit)


def _unpacked_bytes(batch: pa.RecordBatch) -> int:
    """The bytes of all values, those of a dictionary as often as they are there."""
    return sum(_value_bytes(leaf) for leaf in _leaves(batch))


def _leaves(batch: pa.RecordBatch) -> Iterator[pa.Array]:
    """The values of all columns, those within lists, maps and structs too."""
    import pyarrow as pa

    arrays = list(batch.columns)
    while arrays:
        array = arrays.pop()
        if pa.types.is_struct(array.type):
            arrays += array.flatten()
        elif pa.types.is_map(array.type):  # Arrow cannot flatten one that has a dictionary
            arrays.append(array.values[array.offsets[0].as_py() : array.offsets[-1].as_py()])
        elif pa.types.is_nested(array.type) and hasattr(array, "flatten"):
            arrays.append(array.flatten())
        else:
            yield array


def _value_bytes(array: pa.Array) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    lengths = _lengths(array)
    if lengths is None:
        return int(array.nbytes)
    if pa.types.is_dictionary(array.type):
        lengths = lengths.take(array.indices)
    return int(pc.sum(lengths).as_py() or 0)


def _lengths(array: pa.Array) -> pa.Array | None:
    """The bytes of each value, or of each of a dictionary; None where they have no length."""
    import pyarrow as pa
    import pyarrow.compute as pc

    types = pa.types
    values = array.dictionary if types.is_dictionary(array.type) else array
    kinds = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    return pc.binary_length(values) if any(is_kind(values.type) for is_kind in kinds) else None


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


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a row group is read."""

    n_rows: int  # that are decoded at a time
    dictionaries: list[str]  # columns that are read as such


def _plan(source: Source, file: Any, number: int) -> _Plan:
    """How to read a row group such that a small file does not fill the memory.

    Raises:
        OSError: it is far larger than it looks.
    """
    group = file.metadata.row_group(number)
    with open(source.name, "rb") as pages:
        columns = [
            (group.column(i), column_size(pages, group.column(i)), file.schema.column(i))
            for i in range(group.num_columns)
        ]
    packed = sum(own.packed for _, own, _ in columns)
    unpacked = sum(own.unpacked for _, own, _ in columns)
    repeated = sum(
        own.n_values * _width(kind) for _, own, kind in columns if kind.max_repetition_level
    )
    size = unpacked + repeated
    if size > max(MOST_BYTES, _MOST_RATIO * packed):
        raise OSError(
            f"row group {number} has {size:,} bytes, packed {packed:,}; write the "
            "file with smaller row groups"
        )
    is_packed_well = unpacked > _RATIO * max(packed, 2**16)
    is_large = is_packed_well or size > _ROW_BYTES * group.num_rows
    # A dictionary may hold a value of fixed length once for all rows.
    fixed = sum(_width(kind) for *_, kind in columns if not _is_text_column(kind))
    n_rows = 1 if is_large else max(1, min(_ROWS, _VALUE_BYTES // max(1, fixed)))
    names, can_grow = [], False
    for column, own, kind in columns:
        is_list = kind.max_repetition_level > 0
        if not _is_text_column(kind) or (not is_list and own.unpacked <= _VALUE_BYTES):
            continue
        if is_list and (own.unpacked <= _LIST_BYTES or own.unpacked > _RATIO * own.packed):
            names.append(column.path_in_schema)
            continue
        longest = _longest(source, file, number, column.path_in_schema)
        if is_list:
            can_grow |= longest * own.n_values > MOST_BYTES
        else:
            n_rows = max(1, min(n_rows, MOST_BYTES // max(1, longest)))
    if not can_grow:
        return _Plan(n_rows, names)
    # All that can be a dictionary is one, so that many rows can be read at a time.
    names = [column.path_in_schema for column, _, kind in columns if _is_text_column(kind)]
    most = max(1, _FIXED_BYTES // max(1, fixed))
    return _Plan(min(most, max(n_rows, -(-group.num_rows // _PIECES))), names)


def _width(kind: Any) -> int:
    """The bytes of a value, or of its place in a dictionary."""
    return int(kind.length or _WIDTHS.get(kind.physical_type, 4))


def _is_text_column(kind: Any) -> bool:
    return bool(kind.physical_type == "BYTE_ARRAY" and kind.logical_type.type != "DECIMAL")


def _longest(source: Source, file: Any, number: int, name: str) -> int:
    """The bytes of the longest value of a column's dictionary, or of its first rows."""
    import pyarrow.compute as pc

    with _open_parquet(source, metadata=file.metadata, read_dictionary=[name]) as opened:
        for batch in opened.iter_batches(
            _ROWS, row_groups=[number], columns=[name], use_threads=False
        ):
            lengths = [each for leaf in _leaves(batch) if (each := _lengths(leaf)) is not None]
            if longest := max((pc.max(each).as_py() or 0 for each in lengths), default=0):
                return int(longest)
    return 0


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
        plan = _plan(source, file, number)
        settings = {"metadata": file.metadata, "read_dictionary": plan.dictionaries}
        with _open_parquet(source, **settings) as opened:
            yield from opened.iter_batches(plan.n_rows, row_groups=[number], use_threads=False)

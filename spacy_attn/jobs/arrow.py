"""Between the plain rows of an annotator and the columns of an Arrow table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spacy_attn.errors import ConfigError, explain_missing_package
from spacy_attn.jobs.fields import DOC_FIELD, ERROR_FIELD, FIELDS, TextError

if TYPE_CHECKING:
    import pyarrow as pa

    from spacy_attn.jobs.annotator import Annotator


def add_fields(schema: pa.Schema, names: Sequence[str], width: int | None) -> pa.Schema:
    """A schema with the columns of these fields behind its own.

    Args:
        schema: of a table.
        names: of fields, DOC_FIELD and ERROR_FIELD.
        width: of the vectors, where they are among the fields.

    Raises:
        ConfigError: the table has a column of a name that would be added.
    """
    with explain_missing_package("annotating tables"):
        import pyarrow as pa
    for name in names:
        if name in schema.names:
            raise ConfigError(
                f"there is a column {name!r} already: rename or drop it before annotating"
            )
        schema = schema.append(pa.field(name, _type_of(name, width)))
    return schema


def _type_of(name: str, width: int | None) -> pa.DataType:
    import pyarrow as pa

    if name == ERROR_FIELD:
        return pa.string()
    if name == DOC_FIELD:
        return pa.large_binary()
    return FIELDS[name].arrow_type(width or 0)


def field_array(name: str, values: Sequence[Any], width: int | None = None) -> pa.Array:
    """A column of what was read for each text; None stays null."""
    import numpy as np
    import pyarrow as pa

    kind = _type_of(name, width)
    if name not in FIELDS or not FIELDS[name].is_array:
        return pa.array(values, kind)
    lengths = [0 if value is None else len(value) for value in values]
    parts = [value.ravel() for value in values if value is not None]
    numbers = np.concatenate(parts) if parts else np.empty(0, np.float32)
    rows = pa.FixedSizeListArray.from_arrays(pa.array(numbers, pa.float32()), type=kind.value_type)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    mask = pa.array([value is None for value in values], pa.bool_())
    return pa.ListArray.from_arrays(offsets, rows, mask=mask)


def annotate_table(annotator: Annotator, table: pa.Table, text_column: str) -> pa.Table:
    """What :meth:`Annotator.annotate_table` does."""
    with explain_missing_package("annotating tables"):
        import pyarrow as pa
    if table.schema.names.count(text_column) != 1:
        shown = ", ".join(table.schema.names[:20]) or "none"
        raise ConfigError(f"no single column {text_column!r} (columns: {shown}); name another")
    schema = annotator.output_schema(table.schema)
    rows = annotator.annotate_rows(_cells(table.column(text_column)))
    columns = list(table.columns)
    for name in annotator.added:
        values = [None if isinstance(row, TextError) else row[name] for row in rows]
        columns.append(field_array(name, values, annotator.vector_width()))
    reasons = [row.reason if isinstance(row, TextError) else None for row in rows]
    columns.append(pa.array(reasons, pa.string()))
    return pa.Table.from_arrays(columns, schema=schema)


def _cells(column: pa.ChunkedArray) -> list[Any]:
    """Python's values; bytes in place of what is no UTF-8, which is an error of its own row."""
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        values = []
        for cell in column:
            try:
                values.append(cell.as_py())
            except UnicodeDecodeError:
                values.append(cell.as_buffer().to_pybytes())
    return values


def bytes_of(rows: pa.Table | pa.RecordBatch) -> int:
    """How many bytes rows have; where pyarrow 23 cannot tell, as of string_view, their buffers'."""
    try:
        return int(rows.nbytes)
    except TypeError:
        return int(rows.get_total_buffer_size())

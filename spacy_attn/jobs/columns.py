"""The columns that a Parquet or CSV output carries through from its inputs.

They are declared before the first record is written: of Parquet the schema of the file, of CSV
its header (all text), of plain text ``text``. JSONL declares nothing, so its first records do: a
field whose values there are all of one simple type (text, numbers, booleans, lists of these)
becomes a column. Whatever else a record holds, or holds in another type, is kept as JSON in the
column ``other_fields``: no record fails for its shape, and nothing is lost.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, assert_never

from spacy_attn.errors import ConfigError, RecordError
from spacy_attn.jobs.options import JobOptions
from spacy_attn.jobs.readers import read_records, table_schema
from spacy_attn.jobs.records import Record, find_surrogate
from spacy_attn.jobs.sources import Source

if TYPE_CHECKING:
    import pyarrow as pa

OTHER_FIELDS: Final = "other_fields"
_SAMPLE: Final = 1000  # records of a JSONL file that declare its columns


def declare_columns(
    sources: Sequence[Source], options: JobOptions, added: Sequence[str]
) -> pa.Schema:
    """The columns of all sources together.

    Args:
        sources: the inputs.
        options: how they are read.
        added: fields that the output adds.

    Raises:
        ConfigError: two sources have a column of the same name and of types that do not meet.
    """
    import pyarrow as pa

    schemas = [_declare(source, options, added) for source in sources]
    try:
        schema = pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as error:
        raise ConfigError(
            f"the inputs do not fit into one Parquet output: {error}; "
            "annotate them one by one, or write JSONL"
        ) from None
    for name in _with_others(schema.names, sources)[len(schema.names) :]:
        schema = schema.append(pa.field(name, pa.string()))
    return schema


def name_columns(
    sources: Sequence[Source], options: JobOptions, added: Sequence[str]
) -> tuple[str, ...]:
    """The names alone, for an output in which all columns are text: of JSONL, whatever the types.

    Args:
        sources: the inputs.
        options: how they are read.
        added: fields that the output adds.

    Raises:
        ConfigError: a source cannot say its columns first.
    """
    names: dict[str, None] = {}
    for source in sources:
        if source.format == "jsonl":
            names |= dict.fromkeys(_sample(source, options, added))
        else:
            names |= dict.fromkeys(_declare(source, options, added).names)
    return _with_others(tuple(names), sources)


def _with_others(names: Sequence[str], sources: Sequence[Source]) -> tuple[str, ...]:
    """The columns, and one for the rest of JSONL."""
    if all(source.format != "jsonl" for source in sources):
        return tuple(names)
    if OTHER_FIELDS in names:
        raise ConfigError(
            f"an input has a field {OTHER_FIELDS!r}, which the output adds: rename it"
        )
    return (*names, OTHER_FIELDS)


def _declare(source: Source, options: JobOptions, added: Sequence[str]) -> pa.Schema:
    import pyarrow as pa

    match source.format:
        case "csv" | "tsv" | "parquet":
            if source.is_file:
                return table_schema(source, options)
            raise ConfigError(
                f"{source.format} from a stream ({source.name}) cannot become Parquet or CSV, "
                "whose columns are declared first: give a file, or write JSONL"
            )
        case "txt" | "txt-file" | "docbin":
            return pa.schema([("text", pa.string())])
        case "jsonl":
            columns = _sample(source, options, added)
            del columns[options.text_key]
            found = {name: _type_of(values) for name, values in columns.items()}
            fields = [(name, kind) for name, kind in found.items() if kind is not None]
            return pa.schema([(options.text_key, pa.string()), *fields])
        case _:
            assert_never(source.format)


def _sample(source: Source, options: JobOptions, added: Sequence[str]) -> dict[str, list[Any]]:
    """The values of the fields in the first records of JSONL; the text comes first."""
    columns: dict[str, list[Any]] = {options.text_key: []}
    if source.is_file:
        for record in itertools.islice(read_records(source, options, added), _SAMPLE):
            for name, value in _load(record).items() if isinstance(record, Record) else ():
                if find_surrogate(name) is None:
                    columns.setdefault(name, []).append(value)
    return columns


def _load(record: Record) -> dict[str, Any]:
    try:
        return record.as_dict()
    except RecordError:
        return {}  # it declares nothing


def _type_of(values: Sequence[Any]) -> pa.DataType | None:
    """The one simple type of the values, or None where there is none."""
    import pyarrow as pa

    try:
        kind = pa.array(values).type
    except (pa.ArrowException, OverflowError, TypeError, UnicodeEncodeError):
        return None
    inner = kind.value_type if pa.types.is_list(kind) else kind
    simple = (
        pa.types.is_string(inner)
        or pa.types.is_boolean(inner)
        or pa.types.is_integer(inner)
        or pa.types.is_floating(inner)
    )
    return kind if simple else None


# -- one chunk -----------------------------------------------------------------------------


def carry(records: Sequence[Record], schema: pa.Schema) -> pa.Table:
    """The columns of these records, as declared.

    *Shape:* one row for each record

    Raises:
        RecordError: a record is nested too deeply.
    """
    import pyarrow as pa

    pieces = []
    for is_row, run in itertools.groupby(records, _is_row):
        together = list(run)
        pieces += _carry_rows(together, schema) if is_row else [_carry_dicts(together, schema)]
    return pa.concat_tables(pieces) if pieces else schema.empty_table()


def _is_row(record: Record) -> bool:
    return record.row is not None


def _carry_rows(records: Sequence[Record], schema: pa.Schema) -> list[pa.Table]:
    """Rows of Parquet keep what they are: neighbours are sliced together.

    Slicing works for all types; taking rows by number does not.
    """
    import pyarrow as pa

    pieces: list[pa.Table] = []
    start = 0
    for i in range(1, len(records) + 1):
        if i < len(records) and _follows(records[i - 1], records[i]):
            continue
        row = records[start].row
        if row is not None:
            batch, first = row
            piece = pa.Table.from_batches([batch.slice(first, i - start)])
            pieces.append(_fit(piece, schema))
        start = i
    return pieces


def _follows(before: Record, after: Record) -> bool:
    if before.row is None or after.row is None:
        return False
    return before.row[0] is after.row[0] and before.row[1] + 1 == after.row[1]


def _fit(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The declared columns; those that this table lacks are null."""
    import pyarrow as pa

    columns = []
    for field in schema:
        if field.name in table.schema.names:
            columns.append(table.column(field.name).cast(field.type))
        else:
            columns.append(pa.nulls(table.num_rows, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _carry_dicts(records: Sequence[Record], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    objects = [record.as_dict() for record in records]
    others: list[dict[str, Any]] = [
        {name: value for name, value in each.items() if name not in schema.names}
        for each in objects
    ]
    columns: list[pa.Array | None] = []
    for field in schema:
        if field.name == OTHER_FIELDS:
            columns.append(None)
            continue
        columns.append(_column(field, objects, others))
    try:
        kept = [json.dumps(other, ensure_ascii=True) if other else None for other in others]
    except RecursionError:
        raise RecordError("lists or objects are nested too deeply") from None
    arrays = [pa.array(kept, pa.string()) if column is None else column for column in columns]
    return pa.Table.from_arrays(arrays, schema=schema)


def _column(
    field: pa.Field, objects: Sequence[Mapping[str, Any]], others: Sequence[dict[str, Any]]
) -> pa.Array:
    """Values of a declared field; what is of another type goes to the others."""
    import pyarrow as pa

    values = []
    for each, other in zip(objects, others, strict=True):
        value = each.get(field.name)
        if value is not None and not _fits(value, field.type):
            other[field.name] = value
            value = None
        values.append(value)
    return pa.array(values, field.type)


def _fits(value: Any, kind: pa.DataType) -> bool:
    """Whether the value comes back from Arrow as it was."""
    import pyarrow as pa

    if isinstance(value, str) and pa.types.is_string(kind):
        return find_surrogate(value) is None
    try:
        back = pa.scalar(value, kind).as_py()
    except (pa.ArrowException, OverflowError, TypeError, UnicodeEncodeError):
        return False
    return bool(back == value) and isinstance(value, bool) == isinstance(back, bool)

"""Records: what a source gives, what a job writes back, what goes into the error file.

A JSONL record is written back as the very characters that were read, with the fields added before
its closing brace: numbers, escapes, order and repeated keys stay as they were.
"""

from __future__ import annotations

import base64
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spacy_attn.errors import RecordError

if TYPE_CHECKING:
    import pyarrow as pa

ERROR_RECORD_CHARS: Final = 2000  # characters of a bad record that the error file keeps
JSON_SPACE: Final = " \t\r\n"


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that cannot be processed, and why."""

    file: str
    line: int  # counted from 1; of a table the row, of a file without records 0
    reason: str
    raw: str  # the record as it was read; bytes that are no characters as \\xNN
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
    values: dict[str, Any] | None = None  # the columns of a row of CSV
    row: tuple[pa.RecordBatch, int] | None = None  # of Parquet: where its columns are, typed

    def as_dict(self) -> dict[str, Any]:
        """The record's fields as plain data.

        Numbers that Python does not hold are text: whole ones of thousands of digits, and 1e400.

        Raises:
            RecordError: its JSON is nested too deeply.
        """
        if self.raw is not None:
            try:
                loaded: dict[str, Any] = _decode_json(self.raw)
            except RecursionError:
                raise RecordError("lists or objects are nested too deeply") from None
            return loaded
        if self.values is not None:
            return self.values
        if self.row is None:
            return {"text": self.text}
        batch, index = self.row
        columns = zip(batch.schema.names, batch.columns, strict=True)
        return {name: _plain(column[index]) for name, column in columns}

    def as_json(self) -> str:
        """The record as it was read, a JSON object; of plain text one with its text."""
        if self.raw is not None:
            return self.raw
        plain = _without_nan(self.as_dict())
        return json.dumps(plain, ensure_ascii=False, default=_to_json_value)

    def to_json(self, added: Mapping[str, Any]) -> str:
        """The record as it was read, plus fields, on one line."""
        raw = self.as_json()
        start = raw[:-1].rstrip(JSON_SPACE)
        joint = "" if start.endswith("{") else ", "
        return start + joint + json.dumps(added, ensure_ascii=False, allow_nan=False)[1:]

    def failed(self, reason: str) -> BadRecord:
        """The same record as one that could not be annotated."""
        is_text = self.raw is None and self.values is None and self.row is None
        try:
            raw = self.text if is_text else self.as_json()
        except (RecordError, ValueError):  # then it is shown by its text
            raw = self.text
        return BadRecord(self.file, self.line, reason, raw, self.n_bytes)


def find_surrogate(text: str) -> str | None:
    """Why a text has no UTF-8, or None where it has."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        return f"lone surrogate U+{code:04X} at character {error.start}: it is no character"
    return None


def refuse_long(limit: int) -> str:
    """The reason of a record above the limit."""
    return f"the record has more than {limit:,} bytes; raise the limit with --max-record-bytes"


# -- values as JSON ----------------------------------------------------------------------


def _parse_int(digits: str) -> int | str:
    limit = sys.get_int_max_str_digits()
    return digits if 0 < limit < len(digits.removeprefix("-")) else int(digits)


def _parse_float(digits: str) -> float | str:
    value = float(digits)
    return digits if math.isinf(value) else value


_decode_json = json.JSONDecoder(parse_int=_parse_int, parse_float=_parse_float).decode


def _plain(scalar: pa.Scalar) -> Any:
    """The value of a cell; times finer than Python's, for which Arrow wants pandas, as text."""
    import pyarrow as pa

    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        raise RecordError("a column of text holds bytes that are no UTF-8") from None
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


def as_text(value: Any) -> str:
    """A value as a cell of CSV: text as it is, nothing for null, lists and objects as JSON.

    Raises:
        RecordError: it is nested too deeply.
    """
    if value is None:
        return ""
    if not isinstance(value, str | bool | int | float | list | dict):
        value = _to_json_value(value)
    if isinstance(value, str):
        return value
    plain = _without_nan(value)
    if plain is None:
        return ""
    try:
        return json.dumps(plain, ensure_ascii=False, default=_to_json_value)
    except RecursionError:
        raise RecordError("lists or objects are nested too deeply") from None


def _without_nan(value: Any) -> Any:
    """The same with null in place of numbers that JSON does not know."""
    if isinstance(value, float):
        return value if value - value == 0.0 else None
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    return [_without_nan(item) for item in value] if isinstance(value, list) else value

"""CSV and TSV as output: a row for each record, or for each item of one field.

A row of a record has the columns of the input and one for each field, as JSON. A row of an item
(a sense, an entity, a token) has the columns of the input and those of the item::

    id,text,senses                                    id,text,start,end,word,lemma,sense,score
    1,Swing the bat!,"[{""start"": 10, ""end"": ...   1,Swing the bat!,10,13,bat,bat,bat.club,0.9

Quotes are those of RFC 4180, with plain line ends; nothing is written that Python's reader, pandas
and this package do not read back as it was. A spreadsheet takes a cell that begins with "=" for a
formula, whoever wrote the text (OWASP, "CSV Injection"). A cell that was changed would not fit its
offsets any more, so such cells are marked only on request.
"""

from __future__ import annotations

import codecs
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from spacy_attn.errors import ConfigError
from spacy_attn.jobs.columns import OTHER_FIELDS
from spacy_attn.jobs.fields import FIELDS
from spacy_attn.jobs.records import as_text, find_surrogate
from spacy_attn.jobs.sinks import Item, packed, to_lists

if TYPE_CHECKING:
    from spacy_attn.jobs.fields import Row
    from spacy_attn.jobs.records import Record

_RENAMED: Final = {"text": "word"}  # of an item: its text, beside that of the record
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class CsvSink:
    """Rows of text.

    Args:
        delimiter: what divides the columns.
        columns: that are carried through from the input; the last may be
            :data:`~spacy_attn.jobs.columns.OTHER_FIELDS`.
        names: of the fields.
        by_item: a row for each item of the one field.
        spreadsheet: begin with a byte order mark, and mark cells that look like formulas.
        compression: "gzip" or "zstd"; None for none.

    Raises:
        ConfigError: rows of items have a column that the input has, or the field has no items.
    """

    is_plain = False  # the part has no header: it begins anew with each partition

    def __init__(
        self,
        delimiter: str,
        columns: Sequence[str],
        names: Sequence[str],
        *,
        by_item: bool = False,
        spreadsheet: bool = False,
        compression: str | None = None,
    ) -> None:
        self._delimiter, self._columns, self._names = delimiter, tuple(columns), tuple(names)
        self._by_item, self._spreadsheet = by_item, spreadsheet
        self._compression = compression
        self._added = item_columns(self._names) if by_item else self._names
        for name in self._added:
            if name in self._columns:
                raise ConfigError(
                    f"the input has a column {name!r}, which the output adds: rename it, or leave "
                    "--rows item out"
                )

    def encode(self, items: Sequence[Item]) -> bytes:
        """Rows without a header."""
        rows = (line for record, row in items for line in self._rows(record, row))
        return "".join(rows).encode()

    def convert(self, part: Path, output: IO[bytes]) -> None:
        """The header and the rows."""
        header = self._line([*self._columns, *self._added]).encode()
        mark = codecs.BOM_UTF8 if self._spreadsheet else b""
        with open(part, "rb") as rows, packed(output, self._compression) as stream:
            stream.write(mark + header)
            shutil.copyfileobj(rows, stream, 2**20)

    def _rows(self, record: Record, row: Row) -> Iterator[str]:
        cells = self._carried(record.as_dict())
        if not self._by_item:
            yield self._line([*cells, *(as_text(to_lists(row[name])) for name in self._names)])
            return
        for item in row[self._names[0]]:
            flat = dict(_flat(item))
            yield self._line([*cells, *(as_text(flat.get(name)) for name in self._added)])

    def _carried(self, values: Mapping[str, Any]) -> list[str]:
        """The columns of the input; what has no column, or no UTF-8, is ASCII JSON in the last."""
        others = {name: value for name, value in values.items() if name not in self._columns}
        cells = []
        for name in self._columns:
            cell = as_text(values.get(name))
            if find_surrogate(cell) is not None:
                others[name], cell = values[name], ""
            cells.append(cell)
        if others:
            cells[self._columns.index(OTHER_FIELDS)] = json.dumps(others)
        return cells

    def _line(self, cells: Sequence[str]) -> str:
        return self._delimiter.join(self._quoted(cell) for cell in cells) + "\n"

    def _quoted(self, cell: str) -> str:
        if self._spreadsheet and cell.startswith(_FORMULA):
            cell = f"'{cell}"
        if any(mark in cell for mark in (self._delimiter, '"', "\n", "\r")):
            return '"' + cell.replace('"', '""') + '"'
        return cell


def item_columns(names: Sequence[str]) -> tuple[str, ...]:
    """The columns of a field's items.

    Raises:
        ConfigError: there are several fields, or one whose items are no records.
    """
    columns = FIELDS[names[0]].columns if len(names) == 1 else None
    if columns is None:
        raise ConfigError(
            f"--rows item is for one field of records, here are {', '.join(names)}: name one, "
            "such as --fields senses"
        )
    return tuple(name for name, _ in _flat(columns))


def _flat(item: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Columns of an item; a record in it gives several: ``subject, subject_start, subject_end``."""
    for name, value in item.items():
        if isinstance(value, Mapping):
            for part in sorted(value, key="text".__ne__):  # which is the first, if there is one
                yield name if part == "text" else f"{name}_{part}", value[part]
        else:
            yield _RENAMED.get(name, name), value

"""How large the pages of a Parquet file are unpacked, read from their headers.

pyarrow unpacks a page whole, and what the footer says of the columns need not be so. The header of
a page is a struct in Thrift's compact protocol (``PageHeader`` in parquet-format).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, Final, NamedTuple

_HEADERS: Final = (2**12, 2**18, 2**24)  # bytes that are tried; pyarrow takes no more than the last
_MOST_PAGES: Final = 100_000  # of a column in a row group
MOST_BYTES: Final = 2**28  # that a page, or a row group, may have as it is read,
_MOST_RATIO: Final = 10  # or so many times its packed size
# Fields of a PageHeader, and of the headers of data pages within it.
_UNPACKED, _PACKED, _DATA, _DATA_V2, _N_VALUES = 2, 3, 5, 8, 1
# Types of the protocol.
_BOOLS, _INTEGERS, _BYTE, _DOUBLE, _BINARY, _STRUCT = (1, 2), (4, 5, 6), 3, 7, 8, 12


class ColumnSize(NamedTuple):
    """What the pages of a column in a row group hold."""

    packed: int  # bytes
    unpacked: int
    n_values: int


def column_size(file: BinaryIO, column: Any) -> ColumnSize:
    """The size of a column.

    Args:
        file: the Parquet file.
        column: pyarrow's ``ColumnChunkMetaData``.

    Raises:
        OSError: a header is damaged, or a page is far larger than it looks.
    """
    first = min(filter(None, (column.dictionary_page_offset, column.data_page_offset)), default=0)
    packed = unpacked = n_values = 0
    for number, page in enumerate(_pages(file, first, first + column.total_compressed_size)):
        if number == _MOST_PAGES:
            raise OSError(f"column {column.path_in_schema!r} has more than {number:,} pages")
        if page.unpacked > max(MOST_BYTES, _MOST_RATIO * page.packed):
            raise OSError(
                f"a page of column {column.path_in_schema!r} has {page.unpacked:,} bytes, packed "
                f"{page.packed:,}; write the file with smaller row groups"
            )
        packed, unpacked = packed + page.packed, unpacked + page.unpacked
        n_values += page.n_values
    return ColumnSize(packed, unpacked, n_values)


def _pages(file: BinaryIO, start: int, end: int) -> Iterator[ColumnSize]:
    while start < end:
        header, n_bytes = _read_header(file, start)
        try:
            packed, unpacked = header[_PACKED], header[_UNPACKED]
            data = header.get(_DATA) or header.get(_DATA_V2) or {}
            n_values = data.get(_N_VALUES, 0)
            if min(packed, unpacked, n_values) < 0:
                raise ValueError("a negative size")
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            raise OSError(f"the header of a page at byte {start} is damaged") from error
        yield ColumnSize(packed, unpacked, n_values)
        start += n_bytes + packed


def _read_header(file: BinaryIO, start: int) -> tuple[dict[int, Any], int]:
    """The fields of the header at this place, and its bytes."""
    for size in _HEADERS:
        file.seek(start)
        reader = _Struct(file.read(size))
        try:
            return reader.read(), reader.at
        except (IndexError, RecursionError):
            continue
    raise OSError(f"the header of a page at byte {start} is damaged")


class _Struct:
    """Reads numbers and structs; what else there is in a header is passed over."""

    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def read(self) -> dict[int, Any]:
        """The fields by their numbers.

        Raises:
            IndexError: it does not end.
            RecursionError: it is nested too deeply.
        """
        fields: dict[int, Any] = {}
        number = 0
        while byte := self._byte():
            number = number + (byte >> 4) if byte >> 4 else self._integer()
            fields[number] = self._value(byte & 15)
        return fields

    def _value(self, kind: int) -> Any:
        if kind == _STRUCT:
            return self.read()
        if kind in _INTEGERS:
            return self._integer()
        if kind in _BOOLS:
            return None
        if kind not in (_BYTE, _DOUBLE, _BINARY):
            raise IndexError(kind)  # a header has no lists
        length = self._varint() if kind == _BINARY else 8 if kind == _DOUBLE else 1
        self.at += length
        return None

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise IndexError(shift)

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)  # zigzag

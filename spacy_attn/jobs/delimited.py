"""Rows of CSV and TSV, by Python's own reader. Each column is text, so that "007" stays as it is.

A quoted field may hold line ends, so that one stray quote could swallow the rest of a file. A row
may therefore not be larger than ``max_record_bytes``, and one of several lines has to be well
formed. Where it is not, its first line alone is the bad row, and reading goes on with the next::

    3,"never closed         <- the bad row: its quote opens in line 4 and ...
    4,good                  <- read again as a row of its own
    5,good

Lines that were read ahead and left such a row open would do so again, if they open a quote too:
they are not followed a second time, so that the work stays linear.
"""

from __future__ import annotations

import csv
import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any, Final

from spacy_attn.errors import ConfigError, counted
from spacy_attn.jobs.lines import BOM
from spacy_attn.jobs.records import ERROR_RECORD_CHARS, BadRecord, Record, refuse_long
from spacy_attn.jobs.sources import DELIMITERS, Source
from spacy_attn.jobs.streams import open_input

_BLOCK: Final = 2**16
_ESCAPED: Final = re.compile("[\udc80-\udcff]")  # bytes that are no characters


def check_delimiter(delimiter: str | None) -> None:
    """Refuse what cannot divide columns.

    Raises:
        ConfigError: it is not one character, or one that has another meaning.
    """
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n\0'):
        raise ConfigError(
            f"delimiter / --delimiter is {delimiter!r}: allowed is one character, such as ; or |, "
            "but no quote and no line end"
        )


def delimiter_of(source: Source, wanted: str | None) -> str:
    """What divides the columns of a source."""
    return DELIMITERS[source.format] if wanted is None else wanted


def guess_delimiter(header: list[str], delimiter: str, text_key: str) -> str | None:
    """Another delimiter, by which the header has the column of the text."""
    line = delimiter.join(header)
    return next((each for each in ";\t|," if text_key in line.split(each)), None)


def read_header(source: Source, encoding: str, delimiter: str, limit: int) -> list[str]:
    """The names of the columns, those that folders say included.

    Raises:
        ConfigError: the file has no header.
        OSError: it cannot be read.
    """
    with open_input(source) as (stream, _):
        try:
            header = _Rows(stream, encoding, delimiter, limit).read()
        except _BadRow as error:
            raise ConfigError(f"input {source.name} has no header: {error}") from None
    if header is None:
        raise ConfigError(f"input {source.name} is not {source.format}: it is empty")
    if any(_ESCAPED.search(name) for name in header):
        raise ConfigError(
            f"the header of input {source.name} is not {encoding}: name the right encoding / "
            "--encoding"
        )
    return [*header, *(name for name in source.partition if name not in header)]


def repeated(names: Sequence[str]) -> str | None:
    """A name that two columns have, of which a record would hold one; those without are nobody's.

    Args:
        names: of the columns.
    """
    return next((name for name, times in Counter(names).items() if name and times > 1), None)


def read_delimited(
    source: Source, text_key: str, encoding: str, delimiter: str, limit: int
) -> Iterator[Record | BadRecord]:
    """The rows of CSV or TSV after the header, numbered from 1.

    Raises:
        OSError: the file cannot be opened.
    """
    number = 0
    with open_input(source) as (stream, advanced):
        rows = _Rows(stream, encoding, delimiter, limit)

        def n_bytes() -> int:
            read = rows.take_bytes()
            return read if source.compression is None else advanced()

        try:
            if not (header := rows.read() or []):
                return
            if header.count(text_key) != 1:
                shown = ", ".join(header[:20])
                raise _BadRow(f"no single column {text_key!r} (columns: {shown})", "")
            if twice := repeated(header):
                raise _BadRow(f"the column {twice!r} is there twice", "")
            rows.n_columns = len(header)
            while True:
                number += 1
                try:
                    values = rows.read()
                    if values is None:
                        return
                    yield _to_record(source, number, header, values, n_bytes(), text_key, encoding)
                except _BadRow as error:
                    shown = _unescape(error.shown)
                    yield BadRecord(source.name, number, str(error), shown, n_bytes())
        except (_BadRow, OSError) as error:
            reason = f"the rest of the file cannot be read as {source.format}: {error}"
            yield BadRecord(source.name, max(1, number), reason, "", 0)


def _to_record(
    source: Source,
    number: int,
    header: list[str],
    values: list[str],
    n_bytes: int,
    text_key: str,
    encoding: str,
) -> Record | BadRecord:
    row: dict[str, Any] = {**source.partition, **dict(zip(header, values, strict=True))}
    if source.partition:  # behind the columns of the file
        row = {**{name: row[name] for name in header}, **row}
    record = Record(source.name, number, row[text_key], None, n_bytes, row)
    for name, value in row.items():
        if value and not value.isascii() and _ESCAPED.search(value):
            shown = {key: each and _unescape(each) for key, each in row.items()}
            reason = f"column {name!r} is not {encoding}; name the right --encoding"
            return replace(record, values=shown).failed(reason)
    return record


def _unescape(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class _BadRow(Exception):
    """Why a row cannot be read, and how it begins."""

    def __init__(self, reason: str, shown: str) -> None:
        super().__init__(reason)
        self.shown = shown


class _OpenQuote(Exception):
    """A quote is still open, and what follows is not looked at."""


@dataclass(frozen=True, slots=True)
class _Line:
    text: str  # with its end
    number: int  # counted from 1
    is_cut: bool = False  # it is above the limit, and this its beginning
    is_followed: bool = True  # an open quote may go on in the lines after it


class _Rows:
    """The rows of a stream; memory holds one of them, and what was read ahead for it."""

    def __init__(self, stream: IO[bytes], encoding: str, delimiter: str, limit: int) -> None:
        self._encoding, self._delimiter, self._limit = encoding, delimiter, limit
        self._lines = self._read_lines(stream)
        self._ahead: deque[_Line] = deque()
        self._damage: OSError | None = None
        self._n_bytes = 0
        self.n_columns: int | None = None
        # Of the process, and only ever raised: rows are bounded here, by their bytes.
        csv.field_size_limit(max(csv.field_size_limit(), limit))

    def take_bytes(self) -> int:
        """How many bytes were read since last asked."""
        n_bytes, self._n_bytes = self._n_bytes, 0
        return n_bytes

    def read(self) -> list[str] | None:
        """The next row that is not empty; None at the end.

        Raises:
            _BadRow: it cannot be read; the next call gives the one after it.
            OSError: the stream is damaged.
        """
        while (first := self._take()) is not None:
            if first.is_cut:
                raise _BadRow(refuse_long(self._limit), first.text[:ERROR_RECORD_CHARS])
            if values := self._read_from(first):
                return values
        return None

    def _read_from(self, first: _Line) -> list[str]:
        lines = [first]
        try:
            values = next(csv.reader(self._follow(lines), delimiter=self._delimiter, strict=True))
        except (csv.Error, _OpenQuote, OSError) as error:
            # Text behind a closing quote is taken as it always was, in a row of one line.
            if len(lines) == 1 and not _is_open(first.text, self._delimiter):
                values = next(csv.reader([first.text], delimiter=self._delimiter))
            else:
                self._put_back(lines[1:])
                reason = self._explain(first, lines[-1], error)
                raise _BadRow(reason, first.text.rstrip("\r\n")) from None
        if self.n_columns is not None and values and len(values) != self.n_columns:
            self._put_back(lines[1:])
            reason = f"{counted(len(values), 'column')} in place of {self.n_columns}"
            if len(lines) > 1:
                reason += f"; the quote in line {first.number} of the file goes on in the next"
            raise _BadRow(reason, first.text.rstrip("\r\n"))
        return values

    def _follow(self, lines: list[_Line]) -> Iterator[str]:
        """A line, and those after it for as long as the reader wants more."""
        yield lines[0].text
        size = len(lines[0].text)
        while lines[0].is_followed and (line := self._take()) is not None:
            lines.append(line)
            size += len(line.text)
            if line.is_cut or size > self._limit:
                raise _OpenQuote
            yield line.text
        if not lines[0].is_followed:
            raise _OpenQuote

    def _put_back(self, lines: list[_Line]) -> None:
        """Lines that are to be read again; all but the last were seen to lead to no end."""
        before = [replace(line, is_followed=False) for line in lines[:-1]]
        self._ahead.extendleft(reversed([*before, *lines[-1:]]))

    def _explain(self, first: _Line, last: _Line, error: Exception) -> str:
        if isinstance(error, OSError):
            where = f"before the file is damaged ({error})"
        elif isinstance(error, csv.Error) and "end of data" not in str(error):
            where = f"properly: other text follows the quote in line {last.number}"
        elif isinstance(error, csv.Error):
            where = "before the end of the file"
        else:
            where = f"within {self._limit:,} bytes (--max-record-bytes)"
        return (
            f"the quote that opens in line {first.number} of the file is not closed {where}; "
            "the lines after it are read as rows of their own"
        )

    def _take(self) -> _Line | None:
        if self._ahead:
            return self._ahead.popleft()
        if self._damage is not None:
            raise self._damage
        try:
            return next(self._lines, None)
        except OSError as error:
            self._damage = error
            raise

    def _read_lines(self, stream: IO[bytes]) -> Iterator[_Line]:
        """Lines with their ends, which are those of all systems."""
        number, line, is_cut = 1, b"", False
        while piece := stream.readline(_BLOCK):
            self._n_bytes += len(piece)
            for part in piece.splitlines(keepends=True):
                if line.endswith(b"\n") or (line.endswith(b"\r") and part != b"\n"):
                    yield self._decode(line, number, is_cut)
                    number, line, is_cut = number + 1, b"", False
                room = self._limit + 2 - len(line)  # the line end does not count
                is_cut = is_cut or len(part.rstrip(b"\r\n")) > room - 2
                line += part if not is_cut else part[: max(0, room)] + part[-1:]
            if line.endswith(b"\n"):  # without waiting for the next piece
                yield self._decode(line, number, is_cut)
                number, line, is_cut = number + 1, b"", False
        if line:
            yield self._decode(line, number, is_cut)

    def _decode(self, line: bytes, number: int, is_cut: bool) -> _Line:
        if number == 1 and self._encoding == "utf-8":
            line = line.removeprefix(BOM)
        return _Line(line.decode(self._encoding, "surrogateescape"), number, is_cut)


def _is_open(line: str, delimiter: str) -> bool:
    """Whether the last field of a line has a quote that is not closed."""
    place = 0
    plain, divider = f"[^{re.escape(delimiter)}]*", len(delimiter)
    quoted = re.compile(f'"[^"]*(?:""[^"]*)*("?){plain}')
    while place < len(line):
        if found := quoted.match(line, place):
            if not found[1]:
                return True
            place = found.end() + divider
        else:
            end = line.find(delimiter, place)
            place = len(line) if end < 0 else end + divider
    return False

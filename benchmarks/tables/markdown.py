"""Tables as Markdown, declared as columns over the rows of a result: no number is typed by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.common import Result
from spacy_attn.compare.report import numbers
from spacy_attn.compare.report.numbers import percent as percent


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        head: its name.
        value: of a row; a function, or keys with dots between.
        form: how a value is written; None is always "".
        is_best: the highest value is bold.
    """

    head: str
    value: str | Callable[[Any], Any]
    form: Callable[[Any], str] = str
    is_best: bool = False

    def cells(self, rows: Sequence[Any]) -> list[str]:
        """What stands in each row."""
        values = [self._of(row) for row in rows]
        best = max((v for v in values if v is not None), default=None) if self.is_best else None
        cells = ["" if value is None else self.form(value) for value in values]
        if best is None:
            return cells
        return [f"**{c}**" if v == best else c for v, c in zip(values, cells, strict=True)]

    def _of(self, row: Any) -> Any:
        if callable(self.value):
            return self.value(row)
        for key in self.value.split("."):
            row = None if row is None else row.get(key)
        return row


def table(rows: Iterable[Any], *columns: Column) -> str:
    """Markdown of a row for each item."""
    items = list(rows)
    cells = zip(*(column.cells(items) for column in columns), strict=True)
    return _grid([column.head for column in columns], cells)


def wide_table(corner: str, heads: Iterable[Any], rows: Mapping[str, Iterable[str]]) -> str:
    """Markdown of named rows under many heads."""
    return _grid([corner, *map(str, heads)], [[name, *cells] for name, cells in rows.items()])


def _grid(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def page(*parts: str) -> str:
    """Paragraphs and tables, those that say something."""
    return "\n\n".join(
        " ".join(part.split()) if part[:1] not in "|-" else part for part in parts if part
    )


def between(bounds: Sequence[float]) -> str:
    """An interval in percent."""
    low, high = bounds
    return f"{percent(low)} to {percent(high)}"


def p_value(test: Mapping[str, float]) -> str:
    """Of a test, corrected where it is."""
    return numbers.p_value(test["p_holm"] if "p_holm" in test else test["p"])


def number(digits: int) -> Callable[[float], str]:
    """So many digits, with commas."""
    return partial(numbers.number, digits=digits)


whole = number(0)
#: Three digits.
exact = numbers.share


def machine(result: Result) -> str:
    """What the times of a result were measured on."""
    return f"{result['manifest']['processor']}, {result['manifest']['threads']} threads"


def made_with(*commands: str) -> str:
    """The line below a table."""
    return "Made with " + " and ".join(f"`python -m benchmarks{each}`" for each in commands) + "."

"""What a user may give as an inventory: names, files, senses written in Python, several of them.

    "homographs"                                            the bundled one
    "mine.jsonl"                                            one sense a line
    ["homographs", "mine.jsonl"]                            the senses of all
    [{"lemma": "bat", "pos": "NOUN", "sense": ...}, ...]    the records of such lines
    {"jaguar": {"cat": "A large wild cat.", "car": ["She parked her jaguar."]}}
    a pandas DataFrame with columns term, definition, pos, examples, forms, sense, supersense,
    or a list of dicts with a term and these

A text is a definition, a list of texts are examples; see :mod:`~.jsonl` for the records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from spacy_attn.errors import ConfigError, InventoryError, allowed_names
from spacy_attn.wsd.inventory.importers.glossary import COLUMNS, column_of, records_of_rows
from spacy_attn.wsd.inventory.importers.records import LeftOut, Record
from spacy_attn.wsd.inventory.lines import Line, normal_form, read_lines

#: See the module; a DataFrame is known by its methods, so that pandas need not be there.
InventorySource: TypeAlias = "str | Path | Sequence[Any] | Mapping[str, Any] | Any"

_BUNDLED = {"homographs": "en"}
#: The names of inventories that no file of senses holds: :mod:`~.open` makes them.
MADE: Final = ("wordnet",)


class Source(NamedTuple):
    """The records of one source."""

    name: str
    lines: Iterable[Line]
    lang: str | None = None  # where the records do not say it


def source_of(source: InventorySource) -> Source | list[InventorySource]:
    """The records that a user means, or the sources of which all are meant.

    Raises:
        ConfigError: no such inventory.
        InventoryError: what was given has another form.
    """
    if isinstance(source, str | Path):
        return _of_file(str(source))
    if isinstance(source, Mapping):
        return _of_records(list(_records_of(source)), "the senses given")
    if hasattr(source, "to_dict") and hasattr(source, "columns"):
        rows = source.to_dict("records")
        if not rows:
            raise InventoryError("the frame holds no row")
        return _of_records(_rows_of(rows, "the rows of the frame"), "the rows of the frame")
    if isinstance(source, Sequence) and source:
        records = [dict(each) for each in source if isinstance(each, Mapping)]
        if len(records) == len(source) and "lemma" in records[0]:
            return _of_records(records, "the senses given")
        if len(records) == len(source) and "term" in records[0]:
            return _of_records(_rows_of(records, "the rows given"), "the rows given")
        return list(source)
    raise ConfigError(
        f"inventory = {source!r:.60}: allowed are a name, the path of a .jsonl file, a list of "
        "these, a list of dicts, {word: {sense: definition or examples}}, or a DataFrame"
    )


def check_source(source: InventorySource) -> None:
    """Refuse a name that is no inventory, without reading one.

    Raises:
        ConfigError: no such inventory.
    """
    if isinstance(source, str | Path) and str(source) not in MADE:
        _of_file(str(source))


def _of_file(name: str) -> Source:
    if name in _BUNDLED:
        path = Path(str(files("spacy_attn").joinpath("data", f"{name}.jsonl")))
        return Source(name, read_lines(path), _BUNDLED[name])
    path = Path(name)
    if not _is_file(path):
        file = " or the path of a .jsonl file with one sense a line; that file does not exist"
        known = allowed_names(name, [*_BUNDLED, *MADE], file)
        raise ConfigError(f"inventory = {name!r}: {known}")
    if {".csv", ".tsv", ".xml"}.intersection(map(str.lower, path.suffixes)):
        raise ConfigError(
            f"inventory = {name!r}: allowed is a .jsonl file with one sense a line; make one with: "
            f"spacy-attn inventory import {name} -o {path.name.partition('.')[0]}.jsonl"
        )
    return Source(path.name, read_lines(path))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except ValueError:  # a null character
        return False


def _of_records(records: Sequence[Record], name: str) -> Source:
    return Source(
        "own", [Line(name, number, record, "record") for number, record in enumerate(records, 1)]
    )


def _records_of(words: Mapping[str, Any]) -> Iterator[Record]:
    """The records of ``{word: {sense: definition or examples}}``."""
    for word, senses in words.items():
        if not isinstance(senses, Mapping):
            raise InventoryError(
                f"the senses given for {word!r} must be {{name: definition or list of examples}}, "
                f"got {senses!r:.60}"
            )
        for name, said in senses.items():
            record: Record = {"lemma": word, "pos": "NOUN"}
            lemma = normal_form(str(word))
            record["sense"] = name if str(name).startswith(f"{lemma}.") else f"{lemma}.{name}"
            if isinstance(said, Mapping):
                record |= said
            else:
                record["definition" if isinstance(said, str) else "examples"] = said
            yield record


def _rows_of(rows: Sequence[Mapping[Any, Any]], name: str) -> list[Record]:
    """The records of rows with the columns of a glossary.

    Raises:
        InventoryError: there is no column of terms, or no row is a sense.
    """
    names = list(dict.fromkeys(key for row in rows for key in row))
    header = [str(each).strip().lower() for each in names]
    places = {column: column_of(column, header) for column in COLUMNS}
    if places["term"] is None:
        raise InventoryError(
            f"{name} have the columns {', '.join(header) or 'none'}; name one of them term, and "
            "others definition or examples"
        )
    left_out: LeftOut = Counter()
    told = [
        {
            column: " | ".join(map(str, cell)) if isinstance(cell, list | tuple) else str(cell)
            for column, at in places.items()
            if at is not None and _is_said(cell := row.get(names[at]))
        }
        for row in rows
    ]
    records = list(records_of_rows(told, None, left_out))
    if not records:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in left_out.most_common())
        raise InventoryError(f"{name} hold no sense; left out: {reasons or 'nothing'}")
    return records


def _is_said(cell: Any) -> bool:
    """Whether a cell holds something; of what is missing NaN is unequal to itself."""
    return isinstance(cell, list | tuple) or (
        cell is not None and bool(cell == cell) and cell != ""
    )

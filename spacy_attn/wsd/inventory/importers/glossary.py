"""A glossary: rows of a term, its definition, and whatever else there is."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from spacy_attn.errors import ConfigError, InventoryError
from spacy_attn.wsd.inventory.importers.records import LeftOut, Record, SenseNumbers, pos_of

#: The columns of a glossary and the names by which they are known.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "term": ("lemma", "word", "headword", "entry", "begriff", "wort"),
    "definition": ("gloss", "meaning", "explanation", "description", "bedeutung", "beschreibung"),
    "pos": ("part of speech", "part_of_speech", "wortart"),
    "sense": ("id", "sense id", "sense_id"),
    "examples": ("example", "beispiel", "beispiele"),
    "forms": ("form", "inflections", "formen"),
    "supersense": ("group", "domain", "category", "subject"),
}
_EXAMPLES_APART = re.compile(r"\s*(?:\||\n)\s*")
_FORMS_APART = re.compile(r"\s*[|;,\n]\s*")


def read_glossary(
    path: Path, text: str, columns: Mapping[str, str], pos: str | None, left_out: LeftOut
) -> Iterator[Record]:
    """The records of a glossary in CSV or TSV.

    Args:
        path: for messages; ``.tsv`` says that tabs divide the columns.
        text: its contents.
        columns: the header of each column of :data:`COLUMNS` that has another name.
        pos: part of speech of rows that name none; None guesses, see :func:`records_of_rows`.
        left_out: counts the rows that are no sense.

    Raises:
        InventoryError: there is no column of terms, or none of definitions or examples.
        ConfigError: a column that was named is not there.
    """
    sample = text.lstrip("\r\n").partition("\n")[0]
    delimiter = "\t" if ".tsv" in path.suffixes else max(",;\t|", key=sample.count)
    csv.field_size_limit(2**31 - 1)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)]
    except csv.Error as error:
        raise InventoryError(f"{path} is no table ({error}); save it as CSV or TSV") from error
    if not rows:
        raise InventoryError(f"{path} holds no row; a glossary has a term and a definition in each")
    header = [cell.strip().lower() for cell in rows[0]]
    named = {column: _find(column, header, columns, path) for column in COLUMNS}
    if named["term"] is None and named["definition"] is None and len(header) >= 2:
        named.update(term=0, definition=1)  # without a header
    else:
        rows = rows[1:]
    if named["term"] is None or (named["definition"] is None and named["examples"] is None):
        raise InventoryError(
            f"{path} has the columns {', '.join(header)}; name those "
            "of the glossary with --columns term=HEADER,definition=HEADER (or examples=HEADER)"
        )
    places = [(column, at) for column, at in named.items() if at is not None]
    yield from records_of_rows(
        ({column: row[at] for column, at in places if at < len(row)} for row in rows), pos, left_out
    )


def parse_columns(text: str) -> dict[str, str]:
    """``"term=Begriff,definition=Erklärung"`` as a dict.

    Raises:
        ConfigError: it names a column that glossaries do not have.
    """
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    for name, sign, header in pairs:
        if name.strip() not in COLUMNS or not sign or not header.strip():
            raise ConfigError(
                f"columns {text!r}: allowed is NAME=HEADER with commas between, where NAME is one "
                f"of {', '.join(COLUMNS)}"
            )
    return {name.strip(): header.strip() for name, _, header in pairs}


def _find(column: str, header: list[str], given: Mapping[str, str], path: Path) -> int | None:
    if column in given:
        if given[column].lower() not in header:
            raise ConfigError(
                f"columns: {path} has no column {given[column]!r}; it has {', '.join(header)}"
            )
        return header.index(given[column].lower())
    known = (column, f"{column}s", *COLUMNS[column])
    return next((header.index(name) for name in known if name in header), None)


def records_of_rows(
    rows: Iterable[Mapping[str, str]], pos: str | None, left_out: LeftOut
) -> Iterator[Record]:
    """The records of rows with the columns of :data:`COLUMNS`.

    A row without a part of speech has ``pos``; where that is None, it is a verb if the term or
    its definition begins with "to", and else a noun.

    Args:
        rows: what stands in each column; "" or no key where nothing does.
        pos: see above.
        left_out: counts the rows that are no sense.
    """
    numbers = SenseNumbers()
    for row in rows:
        term, definition = row.get("term", "").strip(), row.get("definition", "").strip()
        examples = [each for each in _EXAMPLES_APART.split(row.get("examples", "")) if each]
        if not term or not (definition or examples):
            left_out["no term" if not term else "neither definition nor example"] += 1
            continue
        named = row.get("pos", "").strip()
        tag = pos_of(named) if named else pos or _guess(term, definition)
        if tag is None:
            left_out[f"part of speech {named}"] += 1
            continue
        if tag == "VERB":
            term = term.removeprefix("to ")
        record = {
            "lemma": term,
            "pos": tag,
            "sense": row.get("sense", "").strip() or numbers.next(term, tag),
            "definition": definition,
            "examples": examples,
            "forms": [each for each in _FORMS_APART.split(row.get("forms", "")) if each],
            "supersense": row.get("supersense", "").strip(),
        }
        yield {name: value for name, value in record.items() if value}


def _guess(term: str, definition: str) -> str:
    is_verb = any(text.lower().startswith("to ") for text in (term, definition))
    return "VERB" if is_verb else "NOUN"

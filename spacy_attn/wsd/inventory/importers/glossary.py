"""A glossary: rows of a term, its definition, and whatever else there is."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from spacy_attn.errors import ConfigError, InventoryError, allowed_names, did_you_mean
from spacy_attn.wsd.inventory.importers.records import LeftOut, Record, SenseNumbers, pos_of
from spacy_attn.wsd.inventory.lines import normal_form

#: The columns of a glossary and the names by which they are known.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "term": tuple(
        "terms lemma word headword entry begriff wort mot terme palabra término termino parola "
        "termine palavra termo woord".split()
    ),
    "definition": tuple(
        "definitions gloss meaning explanation description bedeutung beschreibung définition sens "
        "definición significado definizione significato definição definitie betekenis".split()
    ),
    "pos": (
        "part of speech",
        "part_of_speech",
        "word class",
        "wortart",
        "catégorie grammaticale",
        "classe grammaticale",
        "categoría gramatical",
        "categoria grammaticale",
        "parte del discorso",
        "classe gramatical",
        "woordsoort",
    ),
    "sense": ("id", "sense id", "sense_id"),
    "examples": tuple(
        "example beispiel beispiele beispielsatz beispielsätze exemple exemples ejemplo ejemplos "
        "esempio esempi exemplo exemplos voorbeeld voorbeelden".split()
    ),
    "forms": tuple("form inflections formen formes formas forme vormen".split()),
    "supersense": tuple(
        "group domain category subject fachgebiet domaine dominio domínio domein".split()
    ),
}
_DELIMITERS = ",;\t|"
_LOOKED_AT = 10  # first rows, for the header: a title or a remark may stand above it
_OF_EXCEL = re.compile(r"sep=(.)\n")  # its first line may name the delimiter
_EXAMPLES_APART = re.compile(r"\s*(?:\||\n)\s*")
_FORMS_APART = re.compile(r"\s*[|;,\n]\s*")
_BREAK = re.compile(r"</?(?:br|div|li|ol|p|ul)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?(?:a|b|code|em|font|i|small|span|strong|sub|sup|u)\b[^<>]*>", re.IGNORECASE)


def read_glossary(
    path: Path,
    text: str,
    columns: Mapping[str, str],
    pos: str | None,
    left_out: LeftOut,
    notes: list[str],
) -> Iterator[Record]:
    """The records of a glossary in CSV or TSV.

    Args:
        path: for messages; ``.tsv`` says that tabs divide the columns.
        text: its contents.
        columns: the header of each column of :data:`COLUMNS` that has another name.
        pos: part of speech of rows that name none; None guesses, see :func:`records_of_rows`.
        left_out: counts the rows that are no sense.
        notes: gets what else a user should know.

    Raises:
        InventoryError: there is no column of terms, or none of definitions or examples.
        ConfigError: a column that was named is not there.
    """
    rows = _rows(path, text)
    if not rows:
        raise InventoryError(f"{path} holds no row; a glossary has a term and a definition in each")
    headers = [[cell.strip().lower() for cell in row] for row in rows[:_LOOKED_AT]]
    found = (at for at, header in enumerate(headers) if _is_header(_places(header, columns)))
    at = next(found, -1)
    if at >= 0:
        places = _places(headers[at], columns)
    elif not columns and not _places(headers[0], {}) and _width(rows) == 2:
        places = {"term": 0, "definition": 1}
        notes.append(
            f"no header: the first row, {' | '.join(rows[0][:2])}, is a sense; if it names the "
            "columns, say so with --columns term=HEADER,definition=HEADER"
        )
    else:
        _refuse(path, headers[0], columns)
    rows = rows[at + 1 :]
    unread = [i for i in range(_width(rows)) if i not in places.values()]
    names = [headers[at][i] for i in unread if at >= 0 and i < len(headers[at])]
    if named := ", ".join(filter(None, names)):
        notes.append(f"columns that are not read: {named}")
    if at >= 0 and (wide := [row for row in rows if _width([row]) > len(headers[at])]):
        notes.append(
            f"rows with more cells than the header: {len(wide):,}, such as that of {wide[0][0]!r}; "
            "what is beyond is left out: put a text that holds the delimiter in quotes"
        )
    yield from records_of_rows(
        ({column: row[at] for column, at in places.items() if at < len(row)} for row in rows),
        pos,
        left_out,
    )


def _rows(path: Path, text: str) -> list[list[str]]:
    """The rows that hold something."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\n")
    told = _OF_EXCEL.match(text)
    if told:
        text = text[told.end() :]
    first = (line for line in text.split("\n") if any(sign in line for sign in _DELIMITERS))
    sample = next(first, "")
    delimiter = "\t" if ".tsv" in path.suffixes else max(_DELIMITERS, key=sample.count)
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(text), delimiter=told[1] if told else delimiter)
    try:
        return [row for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InventoryError(f"{path} is no table ({error}); save it as CSV or TSV") from error


def _width(rows: Iterable[list[str]]) -> int:
    """Number of columns that hold something."""
    return max((i + 1 for row in rows for i, cell in enumerate(row) if cell.strip()), default=0)


def column_of(column: str, header: Sequence[str]) -> int | None:
    """The place of a column of :data:`COLUMNS` in a header in lower case, by its known names."""
    return _first_place((column, *COLUMNS[column]), header)


def _first_place(names: Iterable[str], header: Sequence[str]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _places(header: Sequence[str], columns: Mapping[str, str]) -> dict[str, int]:
    given = {column: _first_place([name.lower()], header) for column, name in columns.items()}
    places = {column: column_of(column, header) for column in COLUMNS} | given
    return {column: at for column, at in places.items() if at is not None}


def _is_header(places: Mapping[str, int]) -> bool:
    return "term" in places and not {"definition", "examples"}.isdisjoint(places)


def _refuse(path: Path, header: Sequence[str], columns: Mapping[str, str]) -> NoReturn:
    shown = ", ".join(header)
    for name in columns.values():
        if name.lower() not in header:
            near = did_you_mean(name, header)
            raise ConfigError(f"columns: {path} has no column {name!r}; it has {shown}{near}")
    raise InventoryError(
        f"{path} has the columns {shown}; name those of the glossary with --columns "
        "term=HEADER,definition=HEADER (or examples=HEADER); two columns need no header"
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
                f"columns {text!r}: give NAME=HEADER with commas between; as NAME "
                f"{allowed_names(name.strip(), COLUMNS)}"
            )
    return {name.strip(): header.strip() for name, _, header in pairs}


def records_of_rows(
    rows: Iterable[Mapping[str, str]], pos: str | None, left_out: LeftOut
) -> Iterator[Record]:
    """The records of rows with the columns of :data:`COLUMNS`.

    Rows of one term and definition are one sense, with the examples and forms of all.

    A row without a part of speech has ``pos``; where that is None, it is a verb if the term or
    its definition begins with "to", and else a noun.

    Args:
        rows: what stands in each column; "" or no key where nothing does.
        pos: see above.
        left_out: counts the rows that are no sense.
    """
    rows = list(rows)
    numbers = SenseNumbers(row.get("sense", "").strip() for row in rows)
    made: dict[tuple[str, ...], Record] = {}
    for row in rows:
        term, definition = plain(row.get("term", "")), plain(row.get("definition", ""))
        examples = [plain(each) for each in _EXAMPLES_APART.split(row.get("examples", "")) if each]
        if not any(map(str.isalnum, definition)):  # "-"
            definition = ""
        if not normal_form(term) or not (definition or examples):
            is_named = bool(normal_form(term))
            left_out["neither definition nor example" if is_named else "no term"] += 1
            continue
        named, given = row.get("pos", "").strip(), row.get("sense", "").strip()
        tag = pos_of(named) if named else pos or _guess(term, definition)
        if tag is None:
            left_out[f"part of speech {named}"] += 1
            continue
        if tag == "VERB":
            term = term.removeprefix("to ")
        key = (normal_form(term), tag, definition, given)
        forms = [each for each in _FORMS_APART.split(row.get("forms", "")) if each]
        if definition and key in made:  # one sense, a row for each example
            if not _add(made[key], examples, forms):
                left_out["the same as a row before"] += 1
            continue
        sense = given or numbers.next(term, tag)
        made[key if definition else (sense,)] = {
            "lemma": term,
            "pos": tag,
            "sense": sense,
            "definition": definition,
            "examples": examples,
            "forms": forms,
            "supersense": row.get("supersense", "").strip(),
        }
    for record in made.values():
        yield {name: value for name, value in record.items() if value}


def _add(record: Record, examples: list[str], forms: list[str]) -> bool:
    """Add the examples and forms of another row of a sense; False where there are no new ones."""
    n_before = len(record["examples"]) + len(record["forms"])
    record["examples"] = list(dict.fromkeys([*record["examples"], *examples]))
    record["forms"] = list(dict.fromkeys([*record["forms"], *forms]))
    return len(record["examples"]) + len(record["forms"]) > n_before


def plain(text: str) -> str:
    """A cell without the HTML that web tools leave in it."""
    if _BREAK.search(text) or _TAG.search(text) or "&" in text:
        text = html.unescape(_TAG.sub("", _BREAK.sub(" ", text)))
    return " ".join(text.split())


def _guess(term: str, definition: str) -> str:
    is_verb = any(text.lower().startswith("to ") for text in (term, definition))
    return "VERB" if is_verb else "NOUN"

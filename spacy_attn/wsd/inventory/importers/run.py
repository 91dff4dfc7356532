"""From a dictionary in another format to an inventory's JSONL file."""

from __future__ import annotations

import codecs
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from spacy_attn.errors import ConfigError, InventoryError, allowed_names
from spacy_attn.files import atomic_write, open_decompressed, unpacking
from spacy_attn.models.languages import check_code
from spacy_attn.wsd.inventory.examples import example_of, place_elsewhere, whole_words
from spacy_attn.wsd.inventory.importers.glossary import read_glossary
from spacy_attn.wsd.inventory.importers.lmf import read_lmf
from spacy_attn.wsd.inventory.importers.records import LeftOut, Record, SenseNumbers
from spacy_attn.wsd.inventory.importers.wiktextract import is_wiktextract, read_wiktextract
from spacy_attn.wsd.inventory.importers.wordnets import read_wn
from spacy_attn.wsd.inventory.jsonl import read_sense
from spacy_attn.wsd.inventory.lines import Line, normal_form
from spacy_attn.wsd.sense import POS_TAGS, Example

FORMATS: Final = ("glossary", "wn-lmf", "wiktextract")
_TWO_IN_ONE: Final = re.compile(r"[()\[\],;/]")  # "bat (animal)", "bat, club"
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NO_WORD: Final = "examples in which the word was not found"


@dataclass(slots=True)
class ImportSummary:
    """What an import has written, and what it has left out."""

    format: str
    lang: str | None = None
    n_senses: int = 0
    n_examples: int = 0
    words: set[tuple[str, str]] = field(default_factory=set, repr=False)
    #: Senses that were left out by the reason, and examples without their word.
    left_out: Counter[str] = field(default_factory=Counter)
    #: What else is to be known, a sentence each.
    notes: list[str] = field(default_factory=list)


def import_inventory(
    source: str | Path,
    output: str | Path,
    *,
    format: str | None = None,
    lang: str | None = None,
    pos: str | None = None,
    columns: Mapping[str, str] | None = None,
    lexicon: str | None = None,
) -> ImportSummary:
    """Write the senses of a dictionary as an inventory's JSONL file.

    Args:
        source: a file, also ``.gz``: a glossary (``.csv``, ``.tsv``), a wordnet in WN-LMF
            (``.xml``) or Wiktionary as Wiktextract gives it (``.jsonl``); or ``wn:LEXICON`` for
            a lexicon of the ``wn`` library, such as ``wn:oewn:2024``.
        output: the file to write, replaced when all is written.
        format: one of :data:`FORMATS`; None goes by the file's name.
        lang: language code; needed where the source has several languages. A glossary's words
            get it.
        pos: part of speech of a glossary's rows that name none.
        columns: headers of a glossary, see :data:`.glossary.COLUMNS`.
        lexicon: those lexicons of a WN-LMF file that are taken, ``ID`` or ``ID:VERSION`` with
            blanks between; None takes all of the language.

    Raises:
        ConfigError: an argument is not allowed, or not with this format.
        InventoryError: the source is not in the format, or an id stands twice in it.
        ResourceError: the source needs a library that is not installed.
        OSError: a file cannot be read or written.
    """
    if format not in (None, *FORMATS):
        raise ConfigError(f"format = {format!r}; {allowed_names(format, FORMATS)}")
    if pos not in (None, *POS_TAGS):
        raise ConfigError(f"pos = {pos!r}; {allowed_names(pos, POS_TAGS)}")
    if lang is not None:
        check_code(lang)
    if Path(output).resolve() == Path(source).resolve():
        raise ConfigError(f"{output} is the dictionary itself: name another output")
    summary = ImportSummary("", lang)
    left_out = summary.left_out
    summary.format = "wn" if str(source).startswith("wn:") else format or _format_of(Path(source))
    for name, value, kind in (
        ("--pos", pos, "glossary"),
        ("--columns", columns, "glossary"),
        ("--lexicon", lexicon, "wn-lmf"),
    ):
        if value and summary.format != kind:
            raise ConfigError(f"{name} is for a {kind}; {source} is read as {summary.format}")
    if summary.format == "wn":
        records = read_wn(str(source).removeprefix("wn:"), lang, left_out, summary.notes)
    else:
        records = _records(Path(source), summary, lang, pos, columns or {}, lexicon)
    with atomic_write(output) as file:
        for record in _checked(records, str(source), lang, summary):
            file.write(json.dumps(record, ensure_ascii=False).encode("utf-8") + b"\n")
        if not summary.n_senses:
            reasons = ", ".join(f"{n:,} {reason}" for reason, n in left_out.most_common())
            raise InventoryError(f"{source} holds no sense{reasons and '; left out: '}{reasons}")
    if odd := sorted(lemma for lemma, _ in summary.words if _TWO_IN_ONE.search(lemma)):
        summary.notes.append(
            f"words with a bracket, comma or slash: {len(odd):,}, such as {odd[0]!r}; a text that "
            "writes them otherwise does not hold them"
        )
    return summary


def _format_of(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix != ".gz"]
    suffix = suffixes[-1] if suffixes else ""
    if suffix in (".csv", ".tsv", ".txt"):
        return "glossary"
    if suffix == ".xml":
        return "wn-lmf"
    if suffix in (".jsonl", ".json", ".ndjson"):
        with _opened(path) as file:
            try:
                first = json.loads(next((line for line in file if line.strip()), b"null"))
            except ValueError:
                first = None
        if isinstance(first, dict) and is_wiktextract(first):
            return "wiktextract"
        if isinstance(first, dict) and "sense" in first:
            raise ConfigError(f"{path} is an inventory already; give it as inventory = '{path}'")
    if suffix in (".xlsx", ".xls", ".ods"):
        raise ConfigError(f"{path} is a workbook; save its sheet as CSV, or give a DataFrame of it")
    raise ConfigError(
        f"{path} is no format that is known by its name; say which with --format: "
        f"{', '.join(FORMATS)}"
    )


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with open_decompressed(path) as file:
            beginning = file.peek(8) if isinstance(file, io.BufferedReader) else b""
            if (command := unpacking(beginning)) is not None:
                shown = "standard input" if path == Path("/dev/stdin") else path
                raise InventoryError(f"{shown} is compressed; unpack it first, with {command}")
            yield file
    except OSError as error:
        raise InventoryError(f"{path} cannot be read: {error.strerror or error}") from error


def _records(
    path: Path,
    summary: ImportSummary,
    lang: str | None,
    pos: str | None,
    columns: Mapping[str, str],
    lexicon: str | None,
) -> Iterator[Record]:
    kind, left_out = summary.format, summary.left_out
    with _opened(path) as file:
        if kind == "wn-lmf":
            yield from read_lmf(file, str(path), lang, lexicon, left_out, summary.notes)
        elif kind == "wiktextract":
            yield from read_wiktextract(file, str(path), lang, left_out)
        else:
            raw = file.read()
            is_utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # of Excel
            try:
                text = raw.decode("utf-16" if is_utf16 else "utf-8").lstrip("\ufeff")
            except UnicodeDecodeError as error:
                raise InventoryError(
                    f"{path}: byte {error.start + 1} is not UTF-8; save it as UTF-8"
                ) from error
            yield from read_glossary(path, text, columns, pos, left_out, summary.notes)


def _checked(
    records: Iterable[Record], place: str, lang: str | None, summary: ImportSummary
) -> Iterator[Record]:
    """The records as an inventory takes them: examples with their places, each id once."""
    seen: set[str] = set()
    numbers = SenseNumbers()
    for number, record in enumerate(records, 1):
        if reason := _no_record(record):
            summary.left_out[reason] += 1
            continue
        if "sense" not in record:
            record["sense"] = numbers.next(record["lemma"], record["pos"])
        if "forms" in record:
            record["forms"] = [form for form in record["forms"] if normal_form(form)]
        language = record.get("lang") or lang
        record["examples"] = list(_examples(record, language, summary.left_out))
        if not record["examples"]:
            del record["examples"]
        if language:
            record["lang"] = summary.lang = language
        if not record.get("definition") and "examples" not in record:
            summary.left_out["neither definition nor example"] += 1
            continue
        sense = read_sense(Line(place, number, record, "record"), language)
        if sense.id in seen:
            Line(place, number, record, "record").fail("sense", f"{sense.id!r} stands twice")
        seen.add(sense.id)
        summary.n_senses += 1
        summary.n_examples += len(sense.examples)
        summary.words.add((sense.lemma, sense.pos))
        yield record


def _no_record(record: Record) -> str:
    """Why a record is no sense, or ""."""
    if not normal_form(record.get("lemma", "")):
        return "no word"
    if _SURROGATE.search(json.dumps(record, ensure_ascii=False, default=repr)):
        return "half of a surrogate pair, which is no character"
    return ""


def _examples(record: Record, lang: str | None, left_out: LeftOut) -> Iterator[Record]:
    word = normal_form(record["lemma"]), record["pos"], record.get("forms", ()), lang
    for given in record.get("examples", ()):
        found = given if isinstance(given, Example) else example_of(given, *word)
        if isinstance(given, Example) and not _is_place_of(given, word):
            found = example_of(given.text, *word)
        if found is None:
            left_out[_NO_WORD] += 1
        else:
            yield {"text": found.text, "start": found.start, "end": found.end}


def _is_place_of(given: Example, word: tuple[str, str, Sequence[str], str | None]) -> bool:
    """Whether an example gives a place that an inventory takes."""
    place = given.start, given.end
    return whole_words(given.text, *place) == place and place_elsewhere(given, *word) is None

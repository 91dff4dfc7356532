"""Wiktionary as Wiktextract gives it: JSONL, one word with its senses a line.

Ylonen 2022, "Wiktextract: Wiktionary as machine-readable structured data".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from spacy_attn.errors import ConfigError, InventoryError
from spacy_attn.wsd.inventory.importers.records import LeftOut, Record, SenseNumbers, pos_of
from spacy_attn.wsd.inventory.lines import normal_form
from spacy_attn.wsd.sense import Example

_NO_SENSE = ("form-of", "alt-of", "no-gloss")
_LONGEST_EXAMPLE = 500  # characters; Wiktionary quotes whole paragraphs
_NO_FORMS = {"romanization", "table-tags", "inflection-template", "class", "canonical"}


def is_wiktextract(record: dict[str, Any]) -> bool:
    """Whether a line is of Wiktextract."""
    return ("word" in record and "senses" in record) or "redirect" in record


def read_wiktextract(
    lines: Iterable[bytes], place: str, lang: str | None, left_out: LeftOut
) -> Iterator[Record]:
    """The records of a file; nothing but the ids' counters is held in memory.

    Senses that only point to another word ("plural of bat") are left out, as are parts of speech
    other than noun, verb, adjective and adverb.

    Args:
        lines: of the file.
        place: its name, for messages.
        lang: code of the language whose words are taken; None where the file has one.
        left_out: counts the senses that are left out.

    Raises:
        InventoryError: a line is no JSON.
        ConfigError: the file has several languages and none was chosen.
    """
    numbers = SenseNumbers()
    seen = lang
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise InventoryError(f"{place}, line {number}: not JSON ({error})") from error
        if not isinstance(entry, dict) or not isinstance(entry.get("senses"), list):
            continue  # a redirect
        code = entry.get("lang_code") or entry.get("lang") or ""
        if lang is not None and code != lang:
            left_out["another language"] += len(entry["senses"])
            continue
        if seen is not None and code != seen:
            raise ConfigError(
                f"{place}, line {number}: a word of {code!r} after words of {seen!r}; an inventory "
                f"has one language: choose one with --lang {seen} or --lang {code}"
            )
        seen = code
        yield from _entry(entry, code, numbers, left_out)


def _entry(
    entry: dict[str, Any], lang: str, numbers: SenseNumbers, left_out: LeftOut
) -> Iterator[Record]:
    word, tag = str(entry.get("word", "")), pos_of(str(entry.get("pos", "")))
    if tag is None or not normal_form(word):
        left_out[f"part of speech {entry.get('pos')}"] += len(entry["senses"])
        return
    forms = _forms(entry, word)
    for sense in _dicts(entry, "senses"):
        tags = set(_strings(sense, "tags"))
        glosses = _strings(sense, "glosses") or _strings(sense, "raw_glosses")
        if not glosses or "form_of" in sense or "alt_of" in sense or tags & set(_NO_SENSE):
            left_out["form of another word, or no definition"] += 1
            continue
        examples = [_example(each) for each in _dicts(sense, "examples")]
        record = {
            "lemma": word,
            "pos": tag,
            "sense": numbers.next(word, tag),
            "definition": ": ".join(glosses),
            "examples": [each for each in examples if each is not None],
            "forms": forms,
            "ids": {"wiktextract": str(sense["id"])} if sense.get("id") else {},
            "lang": lang,
        }
        yield {name: value for name, value in record.items() if value}


def _forms(entry: dict[str, Any], word: str) -> list[str]:
    forms = (
        str(form.get("form", ""))
        for form in _dicts(entry, "forms")
        if not _NO_FORMS & set(_strings(form, "tags"))
    )
    return [f for f in dict.fromkeys(forms) if f not in ("", "-", word) and normal_form(f)]


def _example(example: dict[str, Any]) -> Example | str | None:
    """With the place of the word where Wiktionary prints it bold."""
    raw = str(example.get("text", ""))
    text, before = raw.strip(), len(raw) - len(raw.lstrip())
    if not text or len(text) > _LONGEST_EXAMPLE:
        return None
    for place in example.get("bold_text_offsets") or ():
        if isinstance(place, list) and [type(at) for at in place] == [int, int]:
            start, end = place[0] - before, place[1] - before
            if 0 <= start < end <= len(text):
                return Example(text, start, end)
    return text


def _dicts(record: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects of a list; versions of Wiktextract differ in what is null or left out."""
    value = record.get(name)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _strings(record: dict[str, Any], name: str) -> list[str]:
    """The texts of a list, or the one that stands in place of a list."""
    value = record.get(name)
    texts = value if isinstance(value, list) else [value]
    return [text for each in texts if isinstance(each, str) and (text := each.strip())]

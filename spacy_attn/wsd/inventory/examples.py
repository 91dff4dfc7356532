"""The place of a word in an example sentence that does not say where it is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from spacy_attn.wsd.inventory.forms import english_forms
from spacy_attn.wsd.sense import Example

_WORD = re.compile(r"\w+")
_MARKED = re.compile(r"(\*\*|__)(\S(?:.*?\S)?)\1")


def example_of(
    text: str, lemma: str, pos: str, forms: Sequence[str] = (), lang: str | None = None
) -> Example | None:
    """The first place of a word in a sentence, or None where it is not found.

    A place that is marked (``the **bat** flew`` or ``the __bat__ flew``) is taken. Otherwise the
    word is looked for in its forms and, where the language is not English, with an ending of up
    to four letters.

    Args:
        text: the sentence.
        lemma: lower case, one space between words.
        pos: NOUN, VERB, ADJ or ADV.
        forms: irregular inflections.
        lang: language; English forms are looked for where it is "en" or None.
    """
    if marked := _MARKED.search(text):
        word, start = marked[2], marked.start()
        return Example(text[:start] + word + text[marked.end() :], start, start + len(word))
    known = {lemma, *forms}
    if lang in (None, "en"):
        known |= english_forms(lemma, pos, tuple(forms))
    ways = sorted(known, key=len, reverse=True)
    pattern = "|".join(r"\s+".join(map(re.escape, way.split())) for way in ways)
    found = re.search(rf"(?<!\w)(?:{pattern})(?!\w)", text, re.IGNORECASE)
    if found is not None:
        return Example(text, *found.span())
    if lang != "en":
        pattern = r"\s+".join(map(_with_endings, lemma.split()))
        found = re.search(rf"(?<!\w){pattern}(?!\w)", text, re.IGNORECASE)
        if found is not None:
            return Example(text, *found.span())
    at = -1 if _has_spaces(lemma) else text.find(lemma)
    return Example(text, at, at + len(lemma)) if at >= 0 else None


def _with_endings(word: str) -> str:
    """A pattern of a word and up to four more letters; a short one could become any other."""
    if len(word) < 4:
        return re.escape(word)
    return re.escape(word if len(word) < 5 else word[:-1]) + r"\w{0,4}"


def _has_spaces(lemma: str) -> bool:
    """Whether a word is of a script that puts spaces between words, as all with two cases do."""
    return any(c.islower() or c.isupper() for c in lemma)


def find_example(text: str, lemma: str) -> Example | None:
    """The place of a lemma, each word of it with an ending of up to four letters."""
    stems = [word if len(word) <= 3 else word[:-1] for word in lemma.split(" ")]
    if stems[0] not in text.lower():
        return None
    if len(stems) == 1 and stems[0].isalnum():  # most are; compiling a pattern takes far longer
        places = (m.span() for m in _WORD.finditer(text) if _is_form(m.group().lower(), stems[0]))
        place = next(places, None)
    else:
        pattern = r"\b" + r"\w{0,4}\W+".join(map(re.escape, stems)) + r"\w{0,4}\b"
        found = re.search(pattern, text, re.IGNORECASE)
        place = found.span() if found else None
    return None if place is None else Example(text, *place)


def _is_form(word: str, stem: str) -> bool:
    """Whether a word is a stem with an ending of up to four letters."""
    return word.startswith(stem) and len(word) <= len(stem) + 4

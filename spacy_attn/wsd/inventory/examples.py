"""The place of a word in an example sentence that does not say where it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from spacy_attn._types import CharSpan
from spacy_attn.wsd.inventory.forms import english_forms
from spacy_attn.wsd.inventory.wordnet import wordnet_inventory
from spacy_attn.wsd.sense import Example

_WORD = re.compile(r"\w+")
_MARKED = re.compile(r"(\*\*|__)(\S(?:.*?\S)?)\1")


def example_of(
    text: str, lemma: str, pos: str, forms: Sequence[str] = (), lang: str | None = None
) -> Example | None:
    """The first place of a word in a sentence, or None where it is not found.

    A place that is marked (``the **bat** flew`` or ``the __bat__ flew``) is taken. Otherwise the
    word is looked for in its forms (of English also irregular ones, as WordNet has them) and,
    where the language is not English, with an ending of up to four letters.

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
    place = _place(text, lemma, pos, tuple(forms), lang)
    if place is None and lang in (None, "en"):
        place = _irregular_form(text, lemma, pos)
    return None if place is None else Example(text, *place)


def place_elsewhere(
    given: Example, lemma: str, pos: str, forms: Sequence[str] = (), lang: str | None = None
) -> CharSpan | None:
    """Where the word of an example stands, if another word stands at the place that is given.

    None where the place is right, and where the word is not found at all: then its form is one
    that nobody listed.

    Args:
        given: the example.
        lemma: this and the rest as for :func:`example_of`.
        pos: ditto.
        forms: ditto.
        lang: ditto.
    """
    marked = given.text[given.start : given.end]
    word = lemma, pos, tuple(forms), lang
    if _place(marked, *word) is not None or (own := _place(given.text, *word)) is None:
        return None
    is_form = lang in (None, "en") and _irregular_form(marked, lemma, pos) is not None
    return None if is_form else own


def whole_words(text: str, start: int, end: int) -> CharSpan:
    """A place without white space at its ends, and with the whole of its first and last word."""
    word = text[start:end]
    first, last = start + len(word) - len(word.lstrip()), start + len(word.rstrip())
    while _is_within(text, first):
        first -= 1
    while _is_within(text, last):
        last += 1
    return first, last


def _is_within(text: str, at: int) -> bool:
    """Whether a place is between two letters of a script with two cases, which all have spaces."""
    around = text[max(at - 1, 0) : at + 1]
    return 0 < at < len(text) and all(c.islower() or c.isupper() for c in around)


def _place(
    text: str, lemma: str, pos: str, forms: tuple[str, ...], lang: str | None
) -> CharSpan | None:
    """The first place of a word in its listed and regular forms."""
    if found := _pattern(lemma, pos, forms, lang).search(text):
        return found.span()
    if lang != "en":
        pattern = r"\s+".join(map(_with_endings, lemma.split()))
        if found := re.search(rf"(?<!\w){pattern}(?!\w)", text, re.IGNORECASE):
            return found.span()
    at = -1 if _has_spaces(lemma) else text.find(lemma)
    return (at, at + len(lemma)) if at >= 0 else None


@lru_cache(maxsize=1000)  # one for all examples of a sense
def _pattern(lemma: str, pos: str, forms: tuple[str, ...], lang: str | None) -> re.Pattern[str]:
    known = {lemma, *forms}
    if lang in (None, "en"):
        known |= english_forms(lemma, pos, forms)
    ways = sorted(known, key=len, reverse=True)
    pattern = "|".join(r"\s+".join(map(re.escape, way.split())) for way in ways)
    return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE)


def _irregular_form(text: str, lemma: str, pos: str) -> CharSpan | None:
    """The first word of a text that is a form of a lemma in WordNet: "flew" of *fly*."""
    words_of = wordnet_inventory().words_of
    places = (word for word in _WORD.finditer(text) if (lemma, pos) in words_of(word[0].lower()))
    return next((word.span() for word in places), None)


def _with_endings(word: str) -> str:
    """A pattern of a word and up to four more letters; a short one could become any other."""
    if len(word) < 4:
        return re.escape(word)
    return re.escape(word if len(word) < 5 else word[:-1]) + r"\w{0,4}"


def _has_spaces(lemma: str) -> bool:
    """Whether a word is of a script that puts spaces between words, as all with two cases do."""
    return any(c.islower() or c.isupper() for c in lemma)

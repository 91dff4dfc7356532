"""Wrapped lines as they were before: words that were cut at line ends, and lines of one paragraph.

What optical character recognition and text from PDF files give is lines. :func:`unwrap` joins what
belongs together, before a pipeline reads the text, and its result knows the place of each
character in the text as given. The rules, for a line that ends like this:

- a soft hyphen (U+00AD), as anywhere: it is taken out, and the word is joined
- a hyphen, the next line beginning with a small letter: joined without the hyphen where that is a
  word ("exam-/ple"), with it where the hyphenated form is one ("well-/known"). What the text has
  elsewhere comes before what the dictionary has. Where neither is known, the hyphen stays between
  two words of three letters or more ("sauce-/stained") and goes otherwise ("Kes-/wick"). Two
  parts in capitals are joined in the same way.
- a hyphen before a capital or a digit: joined, with the hyphen ("Anglo-/Saxon")
- anything else: a space, where the next line goes on with the paragraph. It does if it begins with
  a small letter, or if its first word had no place in the line before. Blank lines, list items and
  short lines, as of headings, addresses and poems, stay apart.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from spacy_attn.jobs.fields import moved
from spacy_attn.jobs.records import find_surrogate

if TYPE_CHECKING:
    from spacy.language import Language

    from spacy_attn._types import PlainData

WordTest: TypeAlias = Callable[[str], bool]  # whether a text in lower case is a word

_HYPHENS: Final = "-\u2010\u00ac"  # ¬: what scanners make of a hyphen at the end of a line
_SOFT: Final = "\u00ad"
_LINE_END: Final = r"(?:\r\n|\n|\r|\f)"
_BLANKS: Final = r"[^\S\n\r\f]*+"
# A hyphen at the end of a line, and the word that the next one begins with.
_CUT: Final = re.compile(
    rf"(?<=\w)([{_HYPHENS}]){_BLANKS}{_LINE_END}\f?{_BLANKS}([^\W_]+(?:-[^\W_]+)*)"
)
_SOFT_HYPHEN: Final = re.compile(rf"{_SOFT}+(?:{_BLANKS}{_LINE_END}\f?{_BLANKS}(?=\w))?")
_BREAK: Final = re.compile(rf"(?:(?<![^\S\n\r\f]){_BLANKS})?{_LINE_END}{_BLANKS}")
_ITEM: Final = re.compile(r"[^\w\s\"'“‘(\[$€£]|\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})[.)]\s|\[")  # noqa: RUF001
_SUSPENDED: Final = frozenset("and or nor to und oder bis et ou e o y u en of".split())
_LONGEST: Final = 100  # characters of a word that is looked up
_LEAST_PART: Final = 3  # letters of a part of a compound
_LEAST_WIDTH: Final = 40  # characters of a line that can be full
_FULL: Final = 0.85  # of the widest line of its paragraph


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """A text without its line breaks, and where its characters were.

    ``places`` has pairs of a place in the text and that in the text as given, sorted; between two
    of them both go on together.
    """

    text: str
    given: str
    places: Sequence[tuple[int, int]]

    def start(self, place: int) -> int:
        """Where a character is in the text as given; of the text's end that of the given one."""
        if place >= len(self.text):
            return len(self.given)
        at, given = self.places[bisect_right(self.places, (place, len(self.given))) - 1]
        return given + place - at

    def end(self, place: int) -> int:
        """Where a part ends in the text as given, the end exclusive."""
        return self.start(place - 1) + 1 if place > 0 else 0


def unwrap(text: str, is_word: WordTest | None = None) -> Unwrapped:
    """Join cut words and wrapped lines.

    Args:
        text: as given.
        is_word: knows the words of the language; without it the text alone decides.
    """
    known = _Evidence(text, is_word)
    parts: list[tuple[int, str]] = []  # where each begins in the text as given
    behind = 0
    for start, end, instead in _merged(_edits(text, known)):
        parts.append((behind, text[behind:start]))
        parts.append((start, instead))
        behind = end
    parts.append((behind, text[behind:]))
    places, length = [], 0
    for given, part in parts:
        if part:
            places.append((length, given))
            length += len(part)
    return Unwrapped("".join(part for _, part in parts), text, places or [(0, 0)])


_Edit: TypeAlias = tuple[int, int, str]  # start and end in the text as given, and what is instead


def _edits(text: str, known: _Evidence) -> Iterator[_Edit]:
    for soft in _SOFT_HYPHEN.finditer(text):
        yield soft.start(), soft.end(), ""
    at = 0
    while found := _CUT.search(text, at):
        at = found.start(2)  # which may be cut again
        first = _word_before(text, found.start())
        instead = _join(first, found[1], found[2], known)
        if instead is not None:
            yield found.start(), found.start(2), instead
    for start, end in _wraps(text):
        yield start, end, " "


def _merged(edits: Iterator[_Edit]) -> Iterator[_Edit]:
    """The edits by their place; of two that overlap the first one, which is that of a word."""
    behind = 0
    for start, end, instead in sorted(edits, key=lambda edit: (edit[0], -edit[1])):
        if start >= behind:
            yield start, end, instead
            behind = end


# -- cut words ---------------------------------------------------------------------------


@dataclass(slots=True)
class _Evidence:
    """What is known of words: by a dictionary, and by the rest of a text."""

    text: str
    is_word: WordTest | None
    _words: frozenset[str] | None = None

    def knows(self, word: str) -> bool:
        """Whether the dictionary has a word."""
        return self.is_word is not None and self.is_word(word)

    def has_seen(self, word: str) -> bool:
        """Whether the text has a word elsewhere, in one piece."""
        if self._words is None:
            self._words = frozenset(re.findall(r"[^\W_]+(?:-[^\W_]+)*", self.text.lower()))
        return word in self._words


def _word_before(text: str, end: int) -> str:
    """The word that ends here, with the hyphens in it."""
    start = end
    while start > max(0, end - _LONGEST) and (text[start - 1].isalnum() or text[start - 1] == "-"):
        start -= 1
    return text[start:end].lstrip("-")


def _join(first: str, hyphen: str, second: str, known: _Evidence) -> str | None:
    """What comes between the two parts of a word; None where they are no word."""
    is_in_capitals = first.isupper() and second.isupper() and len(first) > 1
    if hyphen == "\u00ac" and not second[0].islower():
        return None  # a sign of logic
    hyphen = hyphen if hyphen != "\u00ac" else "-"
    if not first.replace("-", "").isalpha() or not (second[0].islower() or is_in_capitals):
        return hyphen
    before, after = first.lower(), second.lower()
    joined, whole = before + after, f"{before}-{after}"
    for knows in (known.has_seen, known.knows):
        if knows(joined):
            return ""
        if knows(whole):
            return hyphen
    if after in _SUSPENDED:
        return f"{hyphen} "  # "pre- and post-war"
    before, after = before.rpartition("-")[2], after.partition("-")[0]
    is_compound = min(len(before), len(after)) >= _LEAST_PART
    return hyphen if is_compound and known.knows(before) and known.knows(after) else ""


# -- wrapped lines -----------------------------------------------------------------------


def _wraps(text: str) -> Iterator[tuple[int, int]]:
    """The white space of each line break within a paragraph."""
    breaks = [found.span() for found in _BREAK.finditer(text)]
    starts = [0, *(end for _, end in breaks)]
    ends = [*(start for start, _ in breaks), len(text)]
    lines = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    widths = _paragraph_widths(lines)
    for i, span in enumerate(breaks):
        if _goes_on(lines[i], lines[i + 1], widths[i]):
            yield span


def _paragraph_widths(lines: Sequence[str]) -> list[int]:
    """Of each line the width of the widest of its paragraph."""
    widths = [0] * len(lines)
    start = 0
    for i in range(len(lines) + 1):
        if i == len(lines) or not lines[i]:
            widths[start:i] = [max(map(len, lines[start:i]), default=0)] * (i - start)
            start = i + 1
    return widths


def _goes_on(line: str, following: str, width: int) -> bool:
    """Whether a line goes on in the one that follows."""
    if not line or not following or _ITEM.match(following):
        return False
    if following[0].islower():
        return line[-1] not in ".!?:"
    first_word = following.split(maxsplit=1)[0]
    return width >= _LEAST_WIDTH and len(line) + 1 + len(first_word) >= _FULL * width


# -- what is known of words --------------------------------------------------------------


@lru_cache(4)
def word_test(lang: str, stop_words: frozenset[str] = frozenset()) -> WordTest | None:
    """Knows the words of WordNet in their forms, and the stop words; None for other languages.

    Args:
        lang: of the pipeline.
        stop_words: of the pipeline, as function words are none of WordNet.
    """
    if lang != "en":
        return None
    from spacy_attn.wsd.inventory.wordnet import wordnet_inventory

    inventory = wordnet_inventory()

    @lru_cache(20_000)
    def is_word(word: str) -> bool:
        if word in stop_words:
            return True
        return bool(inventory.words_of(word))

    return is_word


# -- the texts of a job -------------------------------------------------------------------


def unwrap_all(texts: Sequence[Any], nlp: Language) -> list[Unwrapped | None]:
    """Each text joined; None where that changes nothing, or where it is no text.

    *Shape:* one for each text
    """
    is_word = word_test(nlp.lang, frozenset(nlp.Defaults.stop_words))
    joined = [unwrap(text, is_word) if isinstance(text, str) else None for text in texts]
    return [
        None if each is None or each.text == each.given or find_surrogate(each.given) else each
        for each in joined
    ]


# -- places of results -------------------------------------------------------------------


def move_to_given(value: Any, unwrapped: Unwrapped) -> Any:
    """Results with the places of the text as given, and with its characters as ``text``.

    Args:
        value: see :func:`~spacy_attn.jobs.fields.moved`.
        unwrapped: the text in which they were found.
    """

    def place(start: int, end: int) -> PlainData:
        first = unwrapped.start(start)
        behind = max(first, unwrapped.end(end))
        return {"start": first, "end": behind, "text": unwrapped.given[first:behind]}

    return moved(value, place)

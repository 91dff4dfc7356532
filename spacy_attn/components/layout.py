"""Which tokens belong to no sentence (list markers, signs, emoji), and where a part ends.

A tagger takes a star for a noun and a parser ties a heading to the paragraph below it. Phrases and
relations are read within *parts* instead: a blank line ends one, and so does a list item. *Marks*
are the tokens that belong to no part: list markers, signs, emoji, emoticons, and the white space
between two parts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from spacy.lang.tokenizer_exceptions import emoticons
from spacy.tokens import Doc, Token

from spacy_attn.components.lemmas import is_verb

# "1." "(iv)" "b)" "2.3.1" "[x]" and white space; "A. Smith" is a name.
_ITEM: Final = re.compile(
    r"(?:\(?(?:\d{1,3}(?:\.\d{1,3})*|[ivxlc]{1,6}|[IVXLC]{2,6}|[a-z])(?:\.\)|[.):])"
    r"|\(?[A-Z]\)|o(?=[ \t]+[A-Z])|\[[ xX\d]{0,3}\]|\d{1,2}(?:\.\d{1,3})+(?=[ \t]+[A-Z]))(?=\s|$)"
)
_DASHES: Final = frozenset(
    "-\u2013\u2014"
)  # also in running text, where a line may begin with them
_QUOTING: Final = frozenset(">|")  # begin each line of a quotation, not an item
_BULLETS: Final = frozenset("*+#")  # where white space follows
_OPENING: Final = frozenset("\"'“‘«¿¡([{<`")  # noqa: RUF001
_ENDS: Final = frozenset(".!?:;)…")
_OF_NUMBERS: Final = frozenset("°%‰")
_OF_WORDS: Final = frozenset("&§`´¨'’\"")  # noqa: RUF001
_KEYCAP: Final = "\u20e3"  # of "1️⃣"

# Penn tags of words, by their beginning; signs that a tagger gives one of them are marks.
_WORD_TAG: Final = re.compile(r"NN|VB|JJ|RB|PR|W|DT|IN|CD|FW|UH|MD|EX|TO|RP|LS")
_FINITE: Final = frozenset("VBD VBZ VBP MD".split())
_BASE: Final = frozenset("VB VBP".split())
_MISTAKEN: Final = frozenset("NN NNP JJ".split())  # in place of a verb
# What an object begins with, but no time: "Rain all day", "Exam this week".
_OBJECTS: Final = frozenset("the a an both these those any some it them him her me us".split())
_CLAUSE_ENDS: Final = re.compile(r"CC|[.,:;]|W|IN")


@dataclass(frozen=True, slots=True)
class Layout:
    """The parts of a text.

    *Shape:* ``parts`` (n_tokens,)
    """

    parts: list[int]  # number of the part that holds each token; of a mark that of the next one
    marks: frozenset[int]
    imperatives: frozenset[int]  # "Season the meat": verbs that the tagger took for nouns


def read_layout(doc: Doc) -> Layout:
    """Find the parts of a text, by its lines, signs and tags.

    Args:
        doc: with tags where there are; without them no imperative is found.
    """
    lines = _Lines(doc)
    parts: list[int] = []
    marks: set[int] = set()
    imperatives: set[int] = set()
    for token in doc:
        lines.read(token)
        if lines.is_mark:
            marks.add(token.i)
        elif lines.is_first and _is_imperative(token):
            imperatives.add(token.i)
        parts.append(lines.part)
    return Layout(parts, frozenset(marks), frozenset(imperatives))


class _Lines:
    """Reads a text token by token; its attributes describe the last one."""

    def __init__(self, doc: Doc) -> None:
        self._doc = doc
        self._text = doc.text
        self.part = 0
        self.is_mark = False
        self.is_first = False  # the first word of a line, an item or a sentence
        self._is_new_line = self._may_be_item = True
        self._behind_marker = 0  # where a list marker ends
        self._has_items = False
        self._last = ""  # the last visible token

    def read(self, token: Token) -> None:
        """Take the next token."""
        was_mark = self.is_mark
        self.is_mark = self.is_first = False
        kind = _kind(token.text)
        if kind == "space":
            self._read_space(token)
            # Between two emoji there may be a joiner, behind one a selector of its look.
            self.is_mark = self.is_mark or (was_mark and not token.is_space)
            return
        if kind == "word" and not self._is_new_line and token.idx >= self._behind_marker:
            self._read_word(token)  # most are
            self._last = token.text
            return
        if token.idx < self._behind_marker:
            self.is_mark = True
        elif self._is_new_line and self._begins_item(token, kind):
            self.is_mark = True
            self.part += 1
            self._has_items = True
        elif self._is_new_line and kind != "word" and token.text[0] not in _OPENING:
            self.is_mark = True  # a line of a quotation, or "----"
        else:
            self.is_mark = kind == "sign" or (kind == "punctuation" and _is_taken_for_word(token))
        if self.is_mark:
            return
        if kind == "word":
            self._read_word(token)
        self._last = token.text

    def _read_space(self, token: Token) -> None:
        text = token.text.replace("\r\n", "\n")
        n_lines = sum(text.count(end) for end in "\n\r\f\x0b\x85\u2028\u2029")
        if n_lines:
            self._is_new_line = True
            self._may_be_item = n_lines > 1 or self._last[-1:] in _ENDS
        if n_lines > 1 or "\u2029" in text:
            self.is_mark = True
            self.part += 1
        elif n_lines and _begins_instruction(self._doc, token.i + 1):
            self.is_mark = True
            self.part += 1

    def _begins_item(self, token: Token, kind: str) -> bool:
        found = _ITEM.match(self._text, token.idx)
        is_expected = self._may_be_item or self._has_items or not self._last
        if found is not None and is_expected:
            self._behind_marker = found.end()
            return True
        first = token.text[0]
        if kind == "word" or first in _OPENING or first in _QUOTING or first in _OF_WORDS:
            return False
        is_apart = bool(token.whitespace_) or _is_space(self._doc, token.i + 1)
        if first in _DASHES:
            return is_apart and is_expected
        return is_apart if first in _BULLETS else kind == "sign" or first in "•‣·"

    def _read_word(self, token: Token) -> None:
        self.is_first = self._is_new_line or token.is_sent_start is True
        self._is_new_line = False


def is_visible(token: Token) -> bool:
    """Whether a token has a character that is seen: white space and zero-width ones are not."""
    return _kind(token.text) != "space"


def _is_space(doc: Doc, i: int) -> bool:
    return i >= len(doc) or doc[i].is_space


@lru_cache(20_000)
def _kind(text: str) -> str:
    """``word``, ``sign``, ``punctuation`` or, where nothing is seen, ``space``."""
    if not any(map(_is_seen, text)):
        return "space"
    if _KEYCAP in text:
        return "sign"
    if any(letter.isalnum() for letter in text):
        is_number = text.replace(".", "").isdigit()
        return "sign" if text in emoticons and not is_number else "word"
    if all(letter in _OF_NUMBERS or unicodedata.category(letter) == "Sc" for letter in text):
        return "word"
    if text in emoticons or any(map(_is_sign, text)) or all(map(_is_combining, text)):
        return "sign"
    return "punctuation"


def _is_seen(letter: str) -> bool:
    # Private characters are the bullets of word processors.
    return (letter.isprintable() and not letter.isspace()) or unicodedata.category(letter) == "Co"


def _is_taken_for_word(token: Token) -> bool:
    """Whether the tagger sees a word in a sign that stands apart: not the hyphen of "X-ray"."""
    if token.text[0] in _OF_WORDS or _WORD_TAG.match(token.tag_) is None:
        return False
    is_apart = token.i == 0 or token.nbor(-1).whitespace_ or token.whitespace_
    return bool(is_apart) or _is_space(token.doc, token.i + 1)


def _is_sign(letter: str) -> bool:
    category = unicodedata.category(letter)
    return category in ("So", "Sm", "Sk", "Co", "Cn") and letter not in _OF_WORDS | _OF_NUMBERS


def _is_combining(letter: str) -> bool:
    return unicodedata.category(letter)[0] == "M"


# -- imperatives -----------------------------------------------------------------------


def _begins_instruction(doc: Doc, i: int) -> bool:
    """Whether a line begins with a capital verb: "Fold the flour" is a line of its own."""
    if i >= len(doc) or not doc[i].text[:1].isupper():
        return False
    token = doc[i]
    is_verb_tag = token.tag_ in _BASE and token.pos_ != "AUX"
    return (is_verb_tag and takes_object(token)) or _is_imperative(token)


def _is_imperative(token: Token) -> bool:
    """Whether the first word of a line is a verb, although the tagger says noun.

    "Season the meat": a noun is not followed by an article. There is no other verb in its clause,
    as in "Sunday the shops close", and no name, as "Jack the Ripper".
    """
    if token.tag_ not in _MISTAKEN or token.ent_type_ == "PERSON":
        return False
    return (
        takes_object(token)
        and not _has_finite_verb(token)
        and not _is_name(token)
        and token.vocab.lang == "en"
        and is_verb(token.lower_)
    )


def takes_object(token: Token) -> bool:
    """Whether an article, a possessive or a pronoun follows in the same line."""
    following = next(_clause_after(token), None)
    return following is not None and (following.tag_ == "PRP$" or following.lower_ in _OBJECTS)


def _is_name(token: Token) -> bool:
    first, second = [*_clause_after(token), None, None][:2]
    is_capital = second is not None and second.text[:1].isupper() and not second.text.isupper()
    return bool(first is not None and first.lower_ == "the" and is_capital)


def _has_finite_verb(token: Token) -> bool:
    for other in _clause_after(token):
        if _CLAUSE_ENDS.match(other.tag_):
            return False
        if other.tag_ in _FINITE:
            return True
    return False


def _clause_after(token: Token) -> Iterator[Token]:
    """The tokens that follow in the same line."""
    for i in range(token.i + 1, len(token.doc)):
        if token.doc[i].is_space or _kind(token.doc[i].text) == "sign":
            return
        yield token.doc[i]

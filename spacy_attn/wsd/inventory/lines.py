"""Records that people write, as lines of JSON or in Python: every error names its place.

By hand and not by a validation library: the offsets are checked against the text beside them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from spacy_attn._types import CharSpan
from spacy_attn.errors import InventoryError, allowed_names
from spacy_attn.files import regular_file
from spacy_attn.wsd.inventory.examples import whole_words
from spacy_attn.wsd.sense import Example

# Each is encoded when an inventory is prepared, and kept in memory.
TEXT_CHARS = 20_000  # of a definition or example
NAME_CHARS = 1000  # of a word, an id, a label
_MARKS = ".,;:!?()'\"“”"  # that stand beside a word and are no part of it


def read_lines(path: Path) -> Iterator[Line]:
    """Each line that is not blank.

    Raises:
        InventoryError: the file cannot be read, or a line is no JSON object.
    """
    try:
        lines = regular_file(path).read_bytes().split(b"\n")
    except OSError as error:
        raise InventoryError(f"{path} cannot be read: {error.strerror}") from error
    for number, raw in enumerate(lines, 1):
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise InventoryError(
                f"{path}, line {number}: byte {error.start + 1} is not UTF-8; save it as UTF-8"
            ) from error
        if not line:
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise InventoryError(
                f"{path}, line {number}: not JSON ({error.msg} at column {error.colno})"
            ) from error
        except (ValueError, RecursionError) as error:  # a number or a nesting beyond limits
            raise InventoryError(f"{path}, line {number}: not JSON ({error})") from error
        if not isinstance(record, dict):
            raise InventoryError(f"{path}, line {number}: must be one JSON object, like {{...}}")
        yield Line(path, number, record)


def normal_form(word: str) -> str:
    """Lower case, words separated by one space: ``Hot_Spot`` -> ``hot spot``."""
    return " ".join(word.replace("_", " ").lower().split())


@dataclass(frozen=True, slots=True)
class Line:
    """One record and where it stands; every check names file, line, field and reason."""

    path: Path | str  # a file, or what a list of Python is called
    number: int
    record: dict[str, Any]
    unit: str = "line"

    def fail(self, name: str, reason: str) -> NoReturn:
        """Raise the error of one field."""
        place = f"{self.path}, {self.unit} {self.number}"
        raise InventoryError(f"{place}, field {_short(name)}: {reason}")

    def only(self, known: set[str]) -> None:
        """Refuse unknown fields."""
        for name in self.record:
            if name not in known:
                self.fail(name, f"is unknown; {allowed_names(name, sorted(known))}")

    def text(self, name: str, default: str | None = None, *, most: int | None = NAME_CHARS) -> str:
        """A field that holds a text, of at most so many characters."""
        return self.check_text(name, self.record.get(name, default), default is None, most)

    def check_text(
        self,
        name: str,
        value: object,
        is_required: bool = True,
        most: int | None = NAME_CHARS,
    ) -> str:
        """A value that must be a text."""
        if not isinstance(value, str):
            self.fail(name, f"must be a text, got {_short(value)}")
        if is_required and not value.strip():
            self.fail(name, f"must be a text that is not empty, got {_short(value)}")
        if any("\ud800" <= c <= "\udfff" for c in value):
            self.fail(name, "holds half of a surrogate pair, which is no character")
        if most is not None and len(value) > most:
            self.fail(name, f"has {len(value):,} characters; allowed are {most:,}: shorten it")
        return value

    def texts(self, name: str) -> list[str]:
        """A field that holds a list of texts."""
        value = self.record.get(name, [])
        if not isinstance(value, list):
            self.fail(name, f"must be a list of texts, got {_short(value)}")
        return [self.check_text(f"{name}[{i}]", item) for i, item in enumerate(value)]

    def named_texts(self, name: str) -> dict[str, str]:
        """A field that holds texts by names."""
        value = self.record.get(name, {})
        if not isinstance(value, dict):
            self.fail(name, f'must be like {{"ili": "i46360"}}, got {_short(value)}')
        return {
            self.check_text(name, str(key)): self.check_text(f"{name}[{key!r}]", it)
            for key, it in value.items()
        }

    def lemma(self) -> str:
        """The field ``lemma`` in lower case, one space between words."""
        return self._word("lemma", self.text("lemma"))

    def words(self, name: str) -> list[str]:
        """A field that holds a list of words, each as :meth:`lemma`."""
        return [self._word(f"{name}[{i}]", text) for i, text in enumerate(self.texts(name))]

    def _word(self, name: str, text: str) -> str:
        word = normal_form(text)
        if not word:
            self.fail(name, f"{text!r} holds no word")
        return word

    def one_of(self, name: str, allowed: Sequence[str], default: str | None = None) -> str:
        """A field with one of some allowed values."""
        value = self.text(name, default)
        if value not in allowed:
            self.fail(name, f"{_short(value)}; {allowed_names(value, filter(None, allowed))}")
        return value

    def count(self, name: str) -> int:
        """A field with a whole number from 0."""
        value = self.record.get(name, 0)
        if type(value) is not int or value < 0:
            self.fail(name, f"must be a whole number from 0, got {_short(value)}")
        return value

    def span(self, start: object, end: object, name: str, text: str) -> tuple[int, int]:
        """Start and end of a word within its text."""
        if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
            self.fail(
                name,
                f"start = {_short(start)}, end = {_short(end)}: must be characters of its text, "
                f"0 <= start < end <= {len(text)}",
            )
        if not text[start:end].strip():
            self.fail(name, f"start = {start}, end = {end}: white space alone is no word")
        return start, end

    def cues(self, text: str) -> Iterator[tuple[int, int]]:
        """The places of the field ``cues``."""
        value = self.record.get("cues", [])
        if not isinstance(value, list):
            self.fail("cues", f"must be a list of [start, end], got {_short(value)}")
        for i, item in enumerate(value):
            if not isinstance(item, list) or len(item) != 2:
                self.fail(f"cues[{i}]", f"must be [start, end], got {_short(item)}")
            yield self.span(item[0], item[1], f"cues[{i}]", text)

    def examples(
        self,
        find: Callable[[str], Example | None],
        find_elsewhere: Callable[[Example], CharSpan | None],
    ) -> Iterator[Example]:
        """The examples of the field ``examples``.

        Args:
            find: gives the place of the word in an example that is a text alone.
            find_elsewhere: gives the place of the word where another one was given.
        """
        value = self.record.get("examples", [])
        if not isinstance(value, list | tuple):
            self.fail("examples", f"must be a list, got {_short(value)}")
        for i, item in enumerate(value):
            name = f"examples[{i}]"
            if isinstance(item, str):
                yield self._found(name, self.check_text(name, item, most=TEXT_CHARS), find)
                continue
            if not isinstance(item, dict) or set(item) != {"text", "start", "end"}:
                self.fail(
                    name,
                    "must be a text, or "
                    f'{{"text": ..., "start": ..., "end": ...}}, got {_short(item)}',
                )
            text = self.check_text(name, item["text"], most=TEXT_CHARS)
            start, end = self.span(item["start"], item["end"], name, text)
            self.whole_words(start, end, name, text)
            example = Example(text, start, end)
            if (own := find_elsewhere(example)) is not None:
                word = _short(text[start:end])
                self.fail(
                    name,
                    f"start = {start}, end = {end} is {word}, while {text[slice(*own)]!r} is "
                    f"start = {own[0]}, end = {own[1]}; add {word} to forms if it is a form of "
                    "the word",
                )
            yield example

    def _found(self, name: str, text: str, find: Callable[[str], Example | None]) -> Example:
        example = find(text)
        if example is None:
            self.fail(
                name,
                f"the word is not in {_short(text)}; mark it as in 'the **bat** flew', add its "
                "form to forms, or give start and end",
            )
        return example

    def whole_words(self, start: int, end: int, name: str, text: str) -> None:
        """Refuse what begins or ends in white space, or within a word where scripts show it."""
        first, last = whole_words(text, start, end)
        if (first, last) != (start, end):
            word = text[first:last]
            if any(map(str.isalnum, word)):  # the full stop behind it was not meant
                first += len(word) - len(word.lstrip(_MARKS))
                last -= len(word) - len(word.rstrip(_MARKS))
            self.fail(
                name,
                f"start = {start}, end = {end} is {_short(text[start:end])}, no whole word; "
                f"{_short(text[first:last])} is start = {first}, end = {last}",
            )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

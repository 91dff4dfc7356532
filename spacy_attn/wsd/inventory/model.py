"""Sense inventories: which senses a word can have, with definitions and examples.

One file format for the bundled inventory and for a user's own: JSONL, one sense a line::

    {"lemma": "bat", "pos": "NOUN", "sense": "bat.animal", "definition": "...",
     "examples": [{"text": "...", "start": 4, "end": 7}]}

``supersense`` (or any group label), ``forms`` (irregular inflections), ``order``
("counted" or "judged"), ``count``, ``wordnet`` (sense keys) and ``lang`` may be added.
The order of the lines is the frequency order of a word's senses.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn, Protocol

from spacy_attn.errors import ConfigError, InventoryError
from spacy_attn.wsd.inventory.inflection import english_forms

__all__ = ["POS_TAGS", "Example", "Inventory", "LabelledTarget", "Sense", "SenseInventory",
           "load_inventory", "read_labelled", "word_pieces"]  # fmt: skip

POS_TAGS = ("NOUN", "VERB", "ADJ", "ADV")
_BUNDLED = {"homographs": "en"}
_REQUIRED = ("lemma", "pos", "sense", "definition")
_KNOWN = {*_REQUIRED, "examples", "supersense", "forms", "order", "count", "wordnet", "lang"}
_ORDERS = ("counted", "judged", "")
_PIECE = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence in which ``text[start:end]`` is used in a sense."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sense:
    """One sense of a lemma."""

    id: str
    lemma: str  # lower case, words separated by one space
    pos: str  # NOUN, VERB, ADJ or ADV
    definition: str
    examples: tuple[Example, ...] = ()
    supersense: str = ""
    forms: tuple[str, ...] = ()  # irregular inflections, lower case
    order: str = ""  # "counted", "judged" or ""
    wordnet: tuple[str, ...] = ()  # WordNet 3.0 sense keys
    row: int = -1  # number among the senses of WordNet; -1 in other inventories


class SenseInventory(Protocol):
    """What methods see of an inventory: the senses of a word, in frequency order.

    An :class:`Inventory` holds its senses in memory. WordNet's 206,941
    (:class:`~spacy_attn.wsd.inventory.wordnet.WordNetInventory`) are made when a word asks
    for them.
    """

    @property
    def name(self) -> str:
        """How users call it."""
        ...

    @property
    def lang(self) -> str | None:
        """Language of the words, or None for any."""
        ...

    @property
    def digest(self) -> str:
        """Hash of its contents; keys what is computed from it."""
        ...

    def candidates(self, lemma: str, pos: str | None = None) -> tuple[Sense, ...]:
        """The senses of a lemma in frequency order; of all parts of speech for None."""
        ...

    def require_definitions(self, user: str) -> None:
        """Refuse an inventory whose definitions cannot be read on this machine.

        Args:
            user: what reads them, such as "the method lesk".

        Raises:
            ResourceError: with the command that installs them.
        """
        ...

    def hypernym_definitions(self, sense: Sense) -> tuple[str, ...]:
        """Definitions of what a sense is a kind of, one step up; () where none are known."""
        ...

    def glosses(self) -> Iterator[tuple[str, str]]:
        """Supersense and gloss (definition and examples) of everything; for counting words."""
        ...

    def __hash__(self) -> int:
        """Methods of one process share what they count in an inventory."""
        ...


@dataclass(frozen=True)
class Inventory:
    """The senses of all words, in frequency order for each word.

    Args:
        name: how users call it.
        senses: all senses.
        lang: language of the words, or None for any.
    """

    name: str
    senses: tuple[Sense, ...]
    lang: str | None = None
    _by_word: dict[tuple[str, str], tuple[Sense, ...]] = field(init=False, repr=False)
    _by_form: dict[tuple[str, ...], tuple[tuple[str, str], ...]] = field(init=False, repr=False)
    _longest: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        by_word: dict[tuple[str, str], list[Sense]] = {}
        for sense in self.senses:
            by_word.setdefault((sense.lemma, sense.pos), []).append(sense)
        by_form: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        for (lemma, pos), senses in by_word.items():
            irregular = tuple(form for sense in senses for form in sense.forms)
            forms = {lemma, *irregular}
            if self.lang == "en":
                forms |= english_forms(lemma, pos, irregular)
            for pieces in {word_pieces(form) for form in forms}:
                by_form.setdefault(pieces, []).append((lemma, pos))
        longest: dict[str, int] = {}
        for pieces in by_form:
            longest[pieces[0]] = max(longest.get(pieces[0], 0), len(pieces))
        fix = object.__setattr__  # the indexes of a frozen dataclass
        fix(self, "_by_word", {word: tuple(senses) for word, senses in by_word.items()})
        fix(self, "_by_form", {pieces: tuple(words) for pieces, words in by_form.items()})
        fix(self, "_longest", longest)

    def candidates(self, lemma: str, pos: str | None = None) -> tuple[Sense, ...]:
        """The senses of a lemma in frequency order; of all parts of speech for None."""
        if pos is not None:
            return self._by_word.get((lemma, pos), ())
        return tuple(s for tag in POS_TAGS for s in self._by_word.get((lemma, tag), ()))

    def words_of_form(self, pieces: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        """(lemma, part of speech) of each word whose lower-case form has these pieces."""
        return self._by_form.get(pieces, ())

    def longest_from(self, first: str) -> int:
        """Number of pieces of the longest form that begins with this piece; 0 for none."""
        return self._longest.get(first, 0)

    @property
    def words(self) -> tuple[tuple[str, str], ...]:
        """All (lemma, part of speech) pairs in the order of the file."""
        return tuple(self._by_word)

    @property
    def has_examples(self) -> bool:
        """Whether any sense has an example."""
        return any(sense.examples for sense in self.senses)

    @property
    def digest(self) -> str:
        """Hash of all that methods can see; keys what is computed from an inventory."""
        rows = [
            [s.id, s.lemma, s.pos, s.definition, s.supersense, list(s.forms)]
            + [[e.text, e.start, e.end] for e in s.examples]
            for s in self.senses
        ]
        text = json.dumps(rows, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()

    def require_definitions(self, user: str) -> None:
        """See :class:`SenseInventory`; every sense of a file has a definition."""

    def hypernym_definitions(self, sense: Sense) -> tuple[str, ...]:
        """See :class:`SenseInventory`; the file format knows no hypernyms."""
        return ()

    def glosses(self) -> Iterator[tuple[str, str]]:
        """See :class:`SenseInventory`."""
        for sense in self.senses:
            yield sense.supersense, "; ".join([sense.definition, *(e.text for e in sense.examples)])

    def without_examples(self, held_out: Sequence[Example]) -> Inventory:
        """The same inventory less some examples, for measuring on them."""
        out = set(held_out)
        kept = (
            replace(s, examples=tuple(e for e in s.examples if e not in out)) for s in self.senses
        )
        return Inventory(self.name, tuple(kept), self.lang)

    def with_examples(self, n: int, seed: int) -> Inventory:
        """The same inventory with n of each sense's examples, drawn at random; all of fewer."""
        rng = random.Random(seed)  # noqa: S311 - a draw, not a secret
        kept = (
            replace(s, examples=tuple(rng.sample(s.examples, min(n, len(s.examples)))))
            for s in self.senses
        )
        return Inventory(self.name, tuple(kept), self.lang)


@dataclass(frozen=True, slots=True)
class LabelledTarget:
    """One instance of labelled data: which sense ``text[start:end]`` has."""

    text: str
    start: int
    end: int
    lemma: str
    pos: str
    sense: str
    stratum: str = ""
    cues: tuple[tuple[int, int], ...] = ()
    frozen: bool = False  # of the half that nobody looks at before the last run


def word_pieces(text: str) -> tuple[str, ...]:
    """Runs of letters and digits, and single signs: ``check-in's`` -> check - in ' s.

    Forms and tokens are compared by their pieces, because tokenizers differ in what they
    split: spaCy's English one makes three tokens of ``check-in``, others one.
    """
    return (text,) if text.isalnum() else tuple(_PIECE.findall(text))


def load_inventory(source: str | Path, lang: str | None = None) -> Inventory:
    """The inventory of a name (``homographs``) or of a JSONL file.

    Args:
        source: a bundled name or a path.
        lang: the pipeline's language, checked against the inventory's.

    Raises:
        ConfigError: no such inventory, or one of another language.
        InventoryError: a line is broken; the message says file, line, field and reason.
    """
    name = str(source)
    if name in _BUNDLED:
        path = Path(str(files("spacy_attn").joinpath("data", f"{name}.jsonl")))
        inventory = Inventory(name, _senses(path)[0], _BUNDLED[name])
    elif Path(name).is_file():
        path = Path(name)
        senses, own_lang = _senses(path)
        inventory = Inventory(path.name, senses, own_lang or lang)
    else:
        raise ConfigError(
            f"inventory = {name!r}: legal are {', '.join(_BUNDLED)} or the path of a .jsonl file "
            "with one sense a line; that file does not exist"
        )
    if lang is not None and inventory.lang not in (None, lang):
        raise ConfigError(
            f"the inventory {inventory.name!r} is for language {inventory.lang!r}, the pipeline's "
            f"is {lang!r}; give your own with inventory = 'senses.jsonl'"
        )
    return inventory


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of each line that is not blank."""
    try:
        lines = path.read_bytes().split(b"\n")
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
        yield number, record


def _senses(path: Path) -> tuple[tuple[Sense, ...], str | None]:
    """The senses of a file, and its language where its lines name one."""
    senses: list[Sense] = []
    seen: dict[str, int] = {}
    lang = ""
    for number, record in _records(path):
        line = _Line(path, number, record)
        line.only(_KNOWN)
        sense = _sense(line)
        if sense.id in seen:
            line.fail("sense", f"{sense.id!r} stands already on line {seen[sense.id]}")
        seen[sense.id] = number
        senses.append(sense)
        named = line.text("lang", default="")
        if lang and named and named != lang:
            line.fail("lang", f"{named!r}, but lines before say {lang!r}; a file has one language")
        lang = lang or named
    if not senses:
        raise InventoryError(f"{path} holds no sense; each line must be one JSON object")
    return tuple(senses), lang or None


def _sense(line: _Line) -> Sense:
    line.count("count")
    return Sense(
        id=line.text("sense"),
        lemma=line.lemma(),
        pos=line.one_of("pos", POS_TAGS),
        definition=line.text("definition"),
        examples=tuple(line.examples()),
        supersense=line.text("supersense", default=""),
        forms=tuple(_normal(form) for form in line.texts("forms")),
        order=line.one_of("order", _ORDERS, default=""),
        wordnet=tuple(line.texts("wordnet")),
    )


def _normal(word: str) -> str:
    """Lower case, words separated by one space: ``Hot_Spot`` -> ``hot spot``."""
    return " ".join(word.replace("_", " ").lower().split())


def read_labelled(path: Path) -> Iterator[LabelledTarget]:
    """Labelled data, JSONL: text, start, end, lemma, pos, sense; and stratum, cues, frozen.

    Raises:
        InventoryError: a line is broken.
    """
    for number, record in _records(path):
        line = _Line(path, number, record)
        text = line.text("text")
        start, end = line.span(record.get("start"), record.get("end"), "start", text)
        yield LabelledTarget(
            text, start, end, line.lemma(), line.one_of("pos", POS_TAGS),
            line.text("sense"), line.text("stratum", default=""), tuple(line.cues(text)),
            record.get("frozen") is True,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Line:
    """One record and where it stands; every check names file, line, field and reason."""

    path: Path
    number: int
    record: dict[str, Any]

    def fail(self, name: str, reason: str) -> NoReturn:
        raise InventoryError(f"{self.path}, line {self.number}, field {name!r}: {reason}")

    def only(self, known: set[str]) -> None:
        for name in self.record:
            if name not in known:
                self.fail(name, f"is unknown; legal are {', '.join(sorted(known))}")

    def text(self, name: str, default: str | None = None) -> str:
        return self.check_text(name, self.record.get(name, default), default is None)

    def check_text(self, name: str, value: object, is_required: bool = True) -> str:
        if not isinstance(value, str):
            self.fail(name, f"must be a text, got {_short(value)}")
        if is_required and not value.strip():
            self.fail(name, f"must be a text that is not empty, got {_short(value)}")
        if any("\ud800" <= c <= "\udfff" for c in value):
            self.fail(name, "holds half of a surrogate pair, which is no character")
        return value

    def texts(self, name: str) -> list[str]:
        value = self.record.get(name, [])
        if not isinstance(value, list):
            self.fail(name, f"must be a list of texts, got {_short(value)}")
        return [self.check_text(f"{name}[{i}]", item) for i, item in enumerate(value)]

    def lemma(self) -> str:
        lemma = _normal(self.text("lemma"))
        if not lemma:
            self.fail("lemma", f"{self.record['lemma']!r} holds no word")
        return lemma

    def one_of(self, name: str, legal: Sequence[str], default: str | None = None) -> str:
        value = self.text(name, default)
        if value not in legal:
            self.fail(name, f"{value!r} is none of {', '.join(filter(None, legal))}")
        return value

    def count(self, name: str) -> int:
        value = self.record.get(name, 0)
        if type(value) is not int or value < 0:
            self.fail(name, f"must be a whole number from 0, got {_short(value)}")
        return value

    def span(self, start: object, end: object, name: str, text: str) -> tuple[int, int]:
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
        value = self.record.get("cues", [])
        if not isinstance(value, list):
            self.fail("cues", f"must be a list of [start, end], got {_short(value)}")
        for i, item in enumerate(value):
            if not isinstance(item, list) or len(item) != 2:
                self.fail(f"cues[{i}]", f"must be [start, end], got {_short(item)}")
            yield self.span(item[0], item[1], f"cues[{i}]", text)

    def examples(self) -> Iterator[Example]:
        value = self.record.get("examples", [])
        if not isinstance(value, list):
            self.fail("examples", f"must be a list, got {_short(value)}")
        for i, item in enumerate(value):
            name = f"examples[{i}]"
            if not isinstance(item, dict) or set(item) != {"text", "start", "end"}:
                self.fail(
                    name, f'must be {{"text": ..., "start": ..., "end": ...}}, got {_short(item)}'
                )
            text = self.check_text(name, item["text"])
            start, end = self.span(item["start"], item["end"], name, text)
            yield Example(text, start, end)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path

from spacy_attn.errors import ConfigError, InventoryError
from spacy_attn.wsd.context import Context, Target
from spacy_attn.wsd.inventory.find import find_targets, longest_match
from spacy_attn.wsd.inventory.forms import english_forms, word_pieces
from spacy_attn.wsd.inventory.lines import Line, normal_form, read_lines
from spacy_attn.wsd.sense import POS_TAGS, Example, Sense

__all__ = ["Inventory", "load_inventory"]

_BUNDLED = {"homographs": "en"}
_REQUIRED = ("lemma", "pos", "sense", "definition")
_KNOWN = {*_REQUIRED, "examples", "supersense", "forms", "order", "count", "wordnet", "lang"}
_ORDERS = ("counted", "judged", "")


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

    synset_of_row = None  # its senses have no rows

    def find(self, context: Context, index: int = 0) -> list[Target]:
        """See :meth:`.SenseInventory.find` and :func:`~.find.find_targets`."""
        return find_targets(context, self, index)

    def can_begin(self, form: str) -> bool:
        """See :meth:`.SenseInventory.can_begin`."""
        return longest_match(self, form) > 0

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
            f"inventory = {name!r}: allowed are {', '.join(_BUNDLED)} or the path of a .jsonl file "
            "with one sense a line; that file does not exist"
        )
    if lang is not None and inventory.lang not in (None, lang):
        raise ConfigError(
            f"the inventory {inventory.name!r} is for language {inventory.lang!r}, the pipeline's "
            f"is {lang!r}; give your own with inventory = 'senses.jsonl'"
        )
    return inventory


def _senses(path: Path) -> tuple[tuple[Sense, ...], str | None]:
    """The senses of a file, and its language where its lines name one."""
    senses: list[Sense] = []
    seen: dict[str, int] = {}
    lang = ""
    for line in read_lines(path):
        line.only(_KNOWN)
        sense = _sense(line)
        if sense.id in seen:
            line.fail("sense", f"{sense.id!r} stands already on line {seen[sense.id]}")
        seen[sense.id] = line.number
        senses.append(sense)
        named = line.text("lang", default="")
        if lang and named and named != lang:
            line.fail("lang", f"{named!r}, but lines before say {lang!r}; a file has one language")
        lang = lang or named
    if not senses:
        raise InventoryError(f"{path} holds no sense; each line must be one JSON object")
    return tuple(senses), lang or None


def _sense(line: Line) -> Sense:
    line.count("count")
    return Sense(
        id=line.text("sense"),
        lemma=line.lemma(),
        pos=line.one_of("pos", POS_TAGS),
        definition=line.text("definition"),
        examples=tuple(line.examples()),
        supersense=line.text("supersense", default=""),
        forms=tuple(normal_form(form) for form in line.texts("forms")),
        order=line.one_of("order", _ORDERS, default=""),
        wordnet=tuple(line.texts("wordnet")),
    )

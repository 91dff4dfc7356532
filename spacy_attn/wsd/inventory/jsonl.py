"""Sense inventories: which senses a word can have, with definitions and examples.

One file format for the bundled inventory and for a user's own: JSONL, one sense a line::

    {"lemma": "bat", "pos": "NOUN", "sense": "bat.animal", "definition": "...",
     "examples": [{"text": "...", "start": 4, "end": 7}]}

``supersense`` (or any group label), ``forms`` (irregular inflections), ``order``
("counted" or "judged"), ``count``, ``wordnet`` (sense keys), ``ids`` (in other resources) and
``lang`` may be added. Of ``definition`` and ``examples`` one is enough; an example may be a text
alone. The order of the lines is the frequency order of a word's senses.

What else a user may give as an inventory is in :mod:`~.sources`.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from spacy_attn.errors import ConfigError, InventoryError, counted
from spacy_attn.wsd.context import Context, Target
from spacy_attn.wsd.inventory.examples import example_of, place_elsewhere
from spacy_attn.wsd.inventory.find import find_targets, longest_match
from spacy_attn.wsd.inventory.forms import english_forms, word_pieces
from spacy_attn.wsd.inventory.lines import TEXT_CHARS, Line
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.inventory.sources import InventorySource, source_of
from spacy_attn.wsd.sense import POS_TAGS, Example, Sense

_REQUIRED = ("lemma", "pos", "sense", "definition")
_KNOWN = {*_REQUIRED, "examples", "supersense", "forms", "order", "count", "wordnet", "ids", "lang"}
_ORDERS = ("counted", "judged", "")


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        """One line, however many senses there are."""
        n_words = len({sense.lemma for sense in self.senses})
        senses, words = counted(len(self.senses), "sense"), counted(n_words, "word")
        return f"Inventory({self.name!r}, {senses} of {words})"

    synset_of_row = counts = None  # its senses have no rows

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
        """See :class:`SenseInventory`; a sense without a definition has examples."""

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


def load_inventory(source: InventorySource, lang: str | None = None) -> Inventory:
    """The inventory of a name (``homographs``), of a JSONL file, or of senses written in Python.

    Each is a list of senses; :func:`.open.load_inventory` knows ``wordnet`` too, which is none.

    Args:
        source: see :mod:`~.sources`.
        lang: the pipeline's language, checked against the inventory's.

    Raises:
        ConfigError: no such inventory, or one of another language.
        InventoryError: a line is broken; the message says file, line, field and reason.
    """
    if isinstance(source, Inventory):
        inventory = source
    else:
        found = source_of(source)
        if isinstance(found, list):
            inventory = _joined([load_inventory(each, lang) for each in found])
        else:
            senses, own = _read_senses(found.lines, found.lang or lang)
            if not senses:
                is_file = isinstance(source, str | Path)
                raise InventoryError(
                    f"{source} holds no sense; each line must be one JSON object"
                    if is_file
                    else "the senses given hold no sense"
                )
            inventory = Inventory(found.name, senses, found.lang or own or lang)
    check_language(inventory, lang)
    return inventory


def check_language(inventory: SenseInventory, lang: str | None) -> None:
    """Refuse an inventory of another language than the pipeline's.

    Raises:
        ConfigError: it is.
    """
    if lang is not None and inventory.lang not in (None, lang):
        raise ConfigError(
            f"the inventory {inventory.name!r} is for language {inventory.lang!r}, the pipeline's "
            f"is {lang!r}; give your own with inventory = 'senses.jsonl'"
        )


def _joined(inventories: Sequence[Inventory]) -> Inventory:
    """The senses of several inventories as one.

    Raises:
        InventoryError: two have a sense of the same id.
        ConfigError: they are of different languages.
    """
    langs = {each.lang for each in inventories if each.lang is not None}
    names = [each.name for each in inventories]
    if len(langs) > 1:
        raise ConfigError(
            f"inventory = {names}: they are for the languages {', '.join(sorted(langs))}; "
            "those of one pipeline have one language"
        )
    owner: dict[str, str] = {}
    for each in inventories:
        for sense in each.senses:
            if sense.id in owner:
                raise InventoryError(
                    f"the sense {sense.id!r} is in {owner[sense.id]!r} and in {each.name!r}; give "
                    "one of them another id"
                )
            owner[sense.id] = each.name
    senses = tuple(sense for each in inventories for sense in each.senses)
    return Inventory("+".join(names), senses, langs.pop() if langs else None)


def _read_senses(lines: Iterable[Line], lang: str | None) -> tuple[tuple[Sense, ...], str | None]:
    """The senses of some records, and their language where they name one.

    Args:
        lines: the records.
        lang: language of the pipeline, for the forms of words in examples.

    Raises:
        InventoryError: a record is broken; the message says file, line, field and reason.
    """
    senses: list[Sense] = []
    seen: dict[str, int] = {}
    own = ""
    for line in lines:
        named = line.text("lang", default="")
        if own and named and named != own:
            line.fail("lang", f"{named!r}, but lines before say {own!r}; a file has one language")
        own = own or named
        sense = read_sense(line, own or lang)
        if sense.id in seen:
            line.fail("sense", f"{sense.id!r} stands already on line {seen[sense.id]}")
        seen[sense.id] = line.number
        senses.append(sense)
    return tuple(senses), own or None


def read_sense(line: Line, lang: str | None = None) -> Sense:
    """The sense of one record.

    Raises:
        InventoryError: the record is broken.
    """
    line.only(_KNOWN)
    line.count("count")
    sense = line.text("sense")
    lemma, pos = line.lemma(), line.one_of("pos", POS_TAGS)
    forms = tuple(line.words("forms"))
    examples = tuple(
        line.examples(
            lambda text: example_of(text, lemma, pos, forms, lang),
            lambda given: place_elsewhere(given, lemma, pos, forms, lang),
        )
    )
    return Sense(
        id=sense,
        lemma=lemma,
        pos=pos,
        definition=line.text("definition", default="" if examples else None, most=TEXT_CHARS),
        examples=examples,
        supersense=line.text("supersense", default=""),
        forms=forms,
        order=line.one_of("order", _ORDERS, default=""),
        wordnet=tuple(line.texts("wordnet")),
        ids=tuple(line.named_texts("ids").items()),
    )

"""The inventory ``wordnet``: every sense of WordNet 3.0, from what the package ships.

``data/wordnet.npz`` holds lemmas, the order and counts of their senses, the parts that a
sense key is made of, and where a synset stands in WordNet's own files (1.4 MB, made by
:func:`~.build_lexicon.build_lexicon`; WordNet's licence is in ``LICENSES``). Definitions and
example sentences are not in it: they are read from the user's WordNet, when there is one.
Senses work without.
"""

from __future__ import annotations

import logging
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache, partial
from importlib.resources import files
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacy_attn.errors import ResourceError
from spacy_attn.models import INSTALL_WORDNET
from spacy_attn.wsd.context import Context, Target
from spacy_attn.wsd.inventory.find_wordnet import WordFinder
from spacy_attn.wsd.inventory.forms import english_forms, word_pieces
from spacy_attn.wsd.inventory.lexicon_file import read_lexicon
from spacy_attn.wsd.inventory.wordnet_files import (
    SUPERSENSES,
    SynsetFiles,
    find_example,
    find_wordnet,
)
from spacy_attn.wsd.inventory.wordnet_more import read_more
from spacy_attn.wsd.sense import POS_TAGS, Sense

logger = logging.getLogger("spacy_attn")

_POS_OF_TYPE = {1: "NOUN", 2: "VERB", 3: "ADJ", 4: "ADV", 5: "ADJ"}
_CACHED_LEMMAS = 20_000  # bounded: a long job meets every word there is
_CACHED_WORDS = 40_000  # forms of them, and words that WordNet does not know
_LONGEST = 100  # letters of a form whose full stops are taken off; WordNet's longest word has 71
_KEY_COLUMNS = ("type", "lexfile", "lex_id", "head", "head_id", "synset")
_NO_COMPOUND: Mapping[str, int] = MappingProxyType({})

#: morphy(7WN): endings that are taken off a form to find a lemma.
_DETACHED = {
    "NOUN": (
        ("s", ""),
        ("ses", "s"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
    ),
    "VERB": (
        ("s", ""),
        ("ies", "y"),
        ("es", "e"),
        ("es", ""),
        ("ed", "e"),
        ("ed", ""),
        ("ing", "e"),
        ("ing", ""),
    ),
    "ADJ": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "ADV": (),
}


class WordNetInventory:
    """All words of WordNet 3.0.

    Args:
        path: the lexicon; None takes the package's own.
        wordnet: folder of the user's WordNet for definitions and examples; None looks in the
            usual places and goes on without when there is none.
        names: whether :meth:`find` looks up proper nouns too.

    Raises:
        ResourceError: the lexicon is missing or damaged.
    """

    name = "wordnet"
    lang = "en"
    senses = None  # 206,941
    has_examples = False  # of WordNet's own too few senses have one to learn from

    def __init__(
        self, path: Path | None = None, wordnet: Path | None = None, *, names: bool = False
    ) -> None:
        path = path or Path(str(files("spacy_attn").joinpath("data", "wordnet.npz")))
        try:
            self._arrays, self.digest = read_lexicon(path)
            lemmas = _lines(self._arrays.pop("lemmas"))
            exceptions = _lines(self._arrays.pop("exceptions"))
            first = np.cumsum(self._arrays["n_senses"], dtype=np.int64)
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ResourceError(
                f"{path} is no lexicon of WordNet ({error}); reinstall with: "
                "pip install --force-reinstall --no-deps spacy-attn"
            ) from error
        self.path, self.wordnet_path, self.names = path, wordnet, names
        self._lemmas = lemmas
        self._first = np.concatenate([[0], first])
        self._row = {lemma: i for i, lemma in enumerate(lemmas)}
        self._compounds, self._starts = _compounds(lemmas)
        self._exceptions: dict[tuple[str, str], str] = {}
        for line in exceptions:
            pos, form, lemma = line.split("\t")
            self._exceptions[form, pos] = lemma
        self._cached_senses = lru_cache(_CACHED_LEMMAS)(self._senses)
        self._cached_words = lru_cache(_CACHED_WORDS)(self._words)
        self._synsets: SynsetFiles | None = None
        self._has_looked = False
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"WordNetInventory(names={self.names})"

    def __reduce__(self) -> tuple[Any, ...]:
        """A spawned child opens the files itself."""
        return partial(WordNetInventory, names=self.names), (self.path, self.wordnet_path)

    @cached_property
    def with_names(self) -> WordNetInventory:
        """The same inventory, which looks up proper nouns too; the lexicon is shared."""
        same = WordNetInventory.__new__(WordNetInventory)  # a copy would open the files again
        same.__dict__.update(self.__dict__, names=True)
        same.__dict__.pop("_finder", None)
        return same

    def find(self, context: Context, index: int = 0) -> list[Target]:
        """See :meth:`.SenseInventory.find` and :class:`~.find_wordnet.WordFinder`."""
        return self._finder.find(context, index)

    @cached_property
    def _finder(self) -> WordFinder:
        return WordFinder(self, names=self.names)

    def can_begin(self, form: str) -> bool:
        """True: nearly every text has words of WordNet."""
        return True

    @property
    def n_senses(self) -> int:
        """Number of senses; :attr:`Sense.row` counts from 0 to it."""
        return int(self._first[-1])

    @property
    def synset_of_row(self) -> NDArray[np.int32]:
        """The synset of each sense, as a number from 0.

        *Shape:* (n_senses,)
        """
        synsets: NDArray[np.int32] = self._arrays["synset"]
        return synsets

    @cached_property
    def word_of_row(self) -> NDArray[np.int64]:
        """The word (lemma and part of speech) of each sense, as a number.

        *Shape:* (n_senses,)
        """
        types = self._arrays["type"].astype(np.int64)
        types[types == 5] = 3  # both are adjectives
        lemmas = np.repeat(np.arange(len(self._lemmas)), self._arrays["n_senses"])
        words: NDArray[np.int64] = lemmas * len(_POS_OF_TYPE) + types
        return words

    @property
    def counts(self) -> NDArray[np.int32]:
        """How often WordNet's own corpora hold each sense. *Shape:* (n_senses,)"""
        counts: NDArray[np.int32] = self._arrays["count"]
        return counts

    def candidates(self, lemma: str, pos: str | None = None) -> tuple[Sense, ...]:
        """The senses of a lemma in WordNet's order; of all parts of speech for None."""
        return self._cached_senses(lemma.lower().replace("_", " "), pos)

    @property
    def words(self) -> list[tuple[str, str]]:
        """All (lemma, part of speech) pairs, in alphabetical order."""
        types, first = self._arrays["type"], self._first
        return [
            (lemma, pos)
            for i, lemma in enumerate(self._lemmas)
            for pos in dict.fromkeys(_POS_OF_TYPE[int(t)] for t in types[first[i] : first[i + 1]])
        ]

    def ambiguous_synsets(self) -> NDArray[np.int64]:
        """The synsets of words that have several senses of a part of speech, in order.

        *Shape:* (n,)
        """
        _, owner, n = np.unique(self.word_of_row, return_inverse=True, return_counts=True)
        return np.unique(self.synset_of_row[n[owner] > 1]).astype(np.int64)

    def words_of(self, form: str, given: str = "") -> tuple[tuple[str, str], ...]:
        """(lemma, part of speech) of each word that a form can be, of all parts of speech.

        A rule of morphy counts where the lemma, inflected, gives the form again: *stared* is no
        form of *star*. A form with an entry of its own (*glasses*) and one that is inflected
        (*glass*) are both given.

        Args:
            form: lower case.
            given: the lemma of a lemmatizer, or ""; it counts where nothing else is known.
        """
        return self._cached_words(form, given)

    def lemma_of(self, form: str, pos: str) -> str | None:
        """The first lemma of a form with a part of speech, or None.

        Args:
            form: lower case.
            pos: NOUN, VERB, ADJ or ADV.
        """
        return next((lemma for lemma, each in self.words_of(form) if each == pos), None)

    def compounds_from(self, first: str) -> Mapping[str, int]:
        """The pieces that follow this one at the start of a lemma, and how long lemmas get.

        Returns:
            Each second piece, and the number of pieces of the longest lemma with these two.
        """
        return self._starts.get(first, _NO_COMPOUND)

    def compound(self, pieces: tuple[str, ...]) -> str | None:
        """The lemma of several pieces, as WordNet writes it with blanks, or None."""
        return self._compounds.get(pieces)

    def synonyms(self, sense: Sense) -> list[str]:
        """The other lemmas of the sense's synset, in WordNet's alphabetical order."""
        synset = self._arrays["synset"][sense.row]
        rows = np.flatnonzero(self._arrays["synset"] == synset)
        owners = np.searchsorted(self._first, rows, side="right") - 1
        return [self._lemmas[i] for i in owners if self._lemmas[i] != sense.lemma]

    def offset(self, sense: Sense) -> int:
        """Where the sense's synset stands in WordNet's file of its part of speech."""
        return int(self._arrays["offset"][self._arrays["synset"][sense.row]])

    def first_lemma(self, sense: Sense) -> str:
        """The lemma that WordNet names first in the sense's synset, in lower case."""
        synset = int(self._arrays["synset"][sense.row])
        rows = np.flatnonzero(self._arrays["synset"] == synset)
        row = int(rows[int(self.more["first"][synset])])
        return self._lemmas[int(np.searchsorted(self._first, row, side="right")) - 1]

    def group_of(self, sense: Sense) -> str:
        """The coarse sense that a sense belongs to: the key of the most frequent one in it."""
        groups = self.more["coarse"]
        for other in self.candidates(sense.lemma, sense.pos):
            if groups[other.row] == groups[sense.row]:
                return other.id
        return sense.id

    @cached_property
    def more(self) -> dict[str, NDArray[np.uint8]]:
        """What is read when it is first asked for; see :mod:`~.wordnet_more`."""
        return read_more(self.digest)

    def count(self, sense: Sense) -> int:
        """How often WordNet's own corpora hold the sense."""
        return int(self._arrays["count"][sense.row])

    def count_of(self, lemma: str, pos: str) -> int:
        """How often WordNet's own corpora hold a word."""
        return sum(self.count(sense) for sense in self.candidates(lemma, pos))

    # -- definitions, for the methods that read them ---------------------------------------

    def require_definitions(self, user: str) -> None:
        """See :meth:`.SenseInventory.require_definitions`."""
        if self._open_synsets() is None:
            raise ResourceError(
                f"{user} reads the definitions of inventory = 'wordnet', and no WordNet 3.0 was "
                f"found on this machine; install it with: {INSTALL_WORDNET}, or set "
                "SPACY_ATTN_WORDNET to its folder (first_sense, random and attention work without)"
            )

    def hypernym_definitions(self, sense: Sense) -> tuple[str, ...]:
        """See :meth:`.SenseInventory.hypernym_definitions`."""
        synsets = self._open_synsets()
        if synsets is None:
            return ()
        offset = int(self._arrays["offset"][self._arrays["synset"][sense.row]])
        return tuple(
            synsets.gloss(pos, target)[0]
            for sign, pos, target in synsets.pointers(sense.pos, offset)
            if sign in ("@", "@i")
        )

    def hypernyms(self, sense: Sense) -> list[Sense]:
        """A sense of each synset that this one is a kind of; none without the user's WordNet."""
        synsets = self._open_synsets()
        if synsets is None:
            return []
        pointers = synsets.pointers(sense.pos, self.offset(sense))
        return [self._sense_at(p, to) for sign, p, to in pointers if sign in ("@", "@i")]

    def _sense_at(self, pos: str, offset: int) -> Sense:
        """The first sense, by alphabet, of the synset at a place."""
        for synset in np.flatnonzero(self._arrays["offset"] == offset):
            row = int(np.flatnonzero(self._arrays["synset"] == synset)[0])
            lemma = self._lemmas[int(np.searchsorted(self._first, row, side="right")) - 1]
            for sense in self.candidates(lemma, pos):
                if sense.row == row:
                    return sense
        raise ResourceError(f"WordNet's file of {pos} has no synset at {offset}")

    def glosses(self) -> Iterator[tuple[str, str]]:
        """Supersense and gloss of every synset; none without the user's WordNet."""
        synsets = self._open_synsets()
        return synsets.glosses() if synsets is not None else iter(())

    # -- one lemma -------------------------------------------------------------------------

    def _has(self, lemma: str, pos: str) -> bool:
        return bool(self.candidates(lemma, pos))

    def _words(self, form: str, given: str) -> tuple[tuple[str, str], ...]:
        found = [(w, pos) for pos in POS_TAGS for w in self._lemmas_of(form, pos)]
        if given and (given, "ADV") not in found and form in _forms(given, "ADJ"):
            found.append((given, "ADV"))  # comparatives of adverbs (harder), which morphy lacks
        found = [word for word in found if self._has(*word)]
        if given and (not found or not form.isalpha()):  # contractions ('s), irregular forms
            words = [(given, pos) for pos in POS_TAGS if (given, pos) not in found]
            found += [word for word in words if self._has(*word)]
        if not found and not form.isascii():  # cafés; WordNet's letters are those of English
            letters = unicodedata.normalize("NFD", form)
            bare = "".join(c for c in letters if not unicodedata.combining(c))
            return self._words(bare, "") if bare.isascii() else ()
        if not found and form.endswith(".") and 2 < len(form) < _LONGEST:  # Dec., fig.
            return self._words(form[:-1], "")
        if not found and "-" in form[1:-1]:  # re-elected, by a tokenizer that leaves it whole
            return self._words(form.replace("-", ""), "")
        return tuple(found)

    def _lemmas_of(self, form: str, pos: str) -> list[str]:
        lemmas = dict.fromkeys([self._exceptions.get((form, pos), form), form])
        for ending, instead in _DETACHED[pos]:
            lemma = form[: -len(ending)] + instead
            gives_it = instead == "man" or form in _forms(lemma, pos)
            if form.endswith(ending) and len(lemma) > 1 and gives_it:
                lemmas[lemma] = None
        if pos == "NOUN" and form.endswith("es"):
            lemmas[form[:-2] + "is"] = None  # axes is a form of axis too
        return list(lemmas)

    def _senses(self, lemma: str, pos: str | None) -> tuple[Sense, ...]:
        i = self._row.get(lemma)
        if i is None:
            return ()
        rows = slice(int(self._first[i]), int(self._first[i + 1]))
        columns = (self._arrays[name][rows].tolist() for name in _KEY_COLUMNS)
        senses = []
        for row, (kind, *parts) in enumerate(zip(*columns, strict=True), rows.start):
            if pos in (None, _POS_OF_TYPE[kind]):
                senses.append(self._sense(lemma, row, kind, *parts))
        return tuple(senses)

    def _sense(
        self,
        lemma: str,
        row: int,
        kind: int,
        lexfile: int,
        lex_id: int,
        head: int,
        head_id: int,
        synset: int,
    ) -> Sense:
        satellite = f"{self._lemmas[head].replace(' ', '_')}:{head_id:02d}" if head >= 0 else ":"
        key = f"{lemma.replace(' ', '_')}%{kind}:{lexfile:02d}:{lex_id:02d}:{satellite}"
        pos, definition, examples = _POS_OF_TYPE[kind], "", list[str]()
        synsets = self._open_synsets()
        if synsets is not None:
            definition, examples = synsets.gloss(pos, int(self._arrays["offset"][synset]))
        return Sense(
            key,
            lemma,
            pos,
            definition,
            examples=tuple(filter(None, (find_example(text, lemma) for text in examples))),
            supersense=SUPERSENSES[lexfile],
            order="counted",
            wordnet=(key,),
            row=row,
        )

    def _open_synsets(self) -> SynsetFiles | None:
        with self._lock:
            if not self._has_looked:
                self._synsets = self._find_synsets()
                self._has_looked = True
        return self._synsets

    def _find_synsets(self) -> SynsetFiles | None:
        folder = self.wordnet_path or find_wordnet()
        if folder is None:
            return None
        try:
            synsets = SynsetFiles(folder)
        except ResourceError as error:
            problem = str(error)
        else:
            if self._fits(synsets):
                return synsets
            problem = f"{folder} is not WordNet 3.0; install it with: {INSTALL_WORDNET}"
        if self.wordnet_path is not None:
            raise ResourceError(problem)
        # Found by looking around: another program's files are no reason to stop.
        logger.warning("senses go without definitions: %s", problem)
        return None

    def _fits(self, synsets: SynsetFiles) -> bool:
        """Whether synsets stand where the lexicon says; in another version all have moved."""
        rows = range(0, self.n_senses, max(1, self.n_senses // 16))
        places = [
            (
                _POS_OF_TYPE[int(self._arrays["type"][row])],
                int(self._arrays["offset"][self._arrays["synset"][row]]),
            )
            for row in rows
        ]
        return all(synsets.line(pos, at).startswith(f"{at:08d} ") for pos, at in places)


@lru_cache(maxsize=20_000)
def _forms(lemma: str, pos: str) -> frozenset[str]:
    return frozenset(english_forms(lemma, pos))


def _lines(array: NDArray[np.uint8]) -> list[str]:
    return array.tobytes().decode("utf-8").split("\n")


def _compounds(
    lemmas: list[str],
) -> tuple[dict[tuple[str, ...], str], dict[str, dict[str, int]]]:
    """Lemmas of several pieces by their pieces, and the longest for each first two pieces."""
    by_pieces: dict[tuple[str, ...], str] = {}
    starts: dict[str, dict[str, int]] = {}
    for lemma in lemmas:
        if lemma.isalnum():
            continue
        pieces = word_pieces(lemma)
        by_pieces.setdefault(pieces, lemma)
        if len(pieces) > 1:
            seconds = starts.setdefault(pieces[0], {})
            seconds[pieces[1]] = max(seconds.get(pieces[1], 0), len(pieces))
    return by_pieces, starts


@lru_cache(maxsize=1)
def wordnet_inventory() -> WordNetInventory:
    """The package's lexicon, read once per process."""
    return WordNetInventory()

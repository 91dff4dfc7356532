"""The inventory ``wordnet``: every sense of WordNet 3.0, from what the package ships.

``data/wordnet.npz`` holds lemmas, the order and counts of their senses, the parts that a
sense key is made of, and where a synset stands in WordNet's own files (2 MB, made by
:func:`build_lexicon`; WordNet's licence is in ``LICENSES``). Definitions and example sentences
are not in it: they are read from the user's WordNet, when there is one. Senses work without.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.senses.context import Context, Target
from spacy_attn.senses.inventory import (
    POS_TAGS,
    Example,
    Inventory,
    Sense,
    load_inventory,
    word_pieces,
)
from spacy_attn.senses.wordnet import SUPERSENSES, SynsetFiles, WordNet, find_wordnet

__all__ = ["WordNetInventory", "build_lexicon", "find_words", "open_inventory"]

_POS_OF_TYPE = {1: "NOUN", 2: "VERB", 3: "ADJ", 4: "ADV", 5: "ADJ"}
_CACHED_LEMMAS = 20_000  # bounded: a long job meets every word there is

#: morphy(7WN): endings that are taken off a form to find a lemma.
_DETACHED = {
    "NOUN": (("s", ""), ("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"),
             ("men", "man"), ("ies", "y")),
    "VERB": (("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""),
             ("ing", "e"), ("ing", "")),
    "ADJ": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "ADV": (),
}  # fmt: skip


class WordNetInventory:
    """All words of WordNet 3.0, with the interface of :class:`~.inventory.Inventory`.

    Args:
        path: the lexicon; None takes the package's own.
        wordnet: folder of the user's WordNet for definitions and examples; None looks in the
            usual places and goes on without when there is none.

    Raises:
        ResourceError: the lexicon is missing or damaged.
    """

    name = "wordnet"
    lang = "en"

    def __init__(self, path: Path | None = None, wordnet: Path | None = None) -> None:
        path = path or Path(str(files("spacy_attn").joinpath("data", "wordnet.npz")))
        try:
            data = path.read_bytes()
            with np.load(path, allow_pickle=False) as archive:
                self._arrays = {name: archive[name] for name in archive.files}
            lemmas = _lines(self._arrays.pop("lemmas"))
            exceptions = _lines(self._arrays.pop("exceptions"))
            first = np.cumsum(self._arrays["n_senses"], dtype=np.int64)
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ResourceError(
                f"{path} is no lexicon of WordNet ({error}); reinstall with: "
                "pip install --force-reinstall --no-deps spacy-attn"
            ) from error
        self.path, self.wordnet_path = path, wordnet
        self.digest = hashlib.sha256(data).hexdigest()
        self._lemmas = lemmas
        self._first = np.concatenate([[0], first])
        self._row = {lemma: i for i, lemma in enumerate(lemmas)}
        self._compounds, self._longest = _compounds(lemmas)
        self._exceptions: dict[tuple[str, str], str] = {}
        for line in exceptions:
            pos, form, lemma = line.split("\t")
            self._exceptions[form, pos] = lemma
        self._cache: dict[tuple[str, str | None], tuple[Sense, ...]] = {}
        self._synsets: SynsetFiles | None = None
        self._has_looked = False
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[WordNetInventory], tuple[Path, Path | None]]:
        """A spawned child opens the files itself."""
        return WordNetInventory, (self.path, self.wordnet_path)

    @property
    def n_senses(self) -> int:
        """Number of senses; :attr:`Sense.row` counts from 0 to it."""
        return int(self._first[-1])

    @property
    def synset_of_row(self) -> NDArray[np.int32]:
        """The synset of each sense, as a number from 0. *Shape:* (n_senses,)"""
        synsets: NDArray[np.int32] = self._arrays["synset"]
        return synsets

    def candidates(self, lemma: str, pos: str | None = None) -> tuple[Sense, ...]:
        """The senses of a lemma in WordNet's order; of all parts of speech for None."""
        lemma = lemma.lower().replace("_", " ")
        found = self._cache.get((lemma, pos))
        if found is None:
            found = tuple(self._senses(lemma, pos))
            with self._lock:
                if len(self._cache) >= _CACHED_LEMMAS:
                    self._cache.clear()
                self._cache[lemma, pos] = found
        return found

    def words(self) -> Iterator[tuple[str, str]]:
        """All (lemma, part of speech) pairs, in alphabetical order."""
        for i, lemma in enumerate(self._lemmas):
            types = self._arrays["type"][self._first[i] : self._first[i + 1]]
            for pos in dict.fromkeys(_POS_OF_TYPE[int(t)] for t in types):
                yield lemma, pos

    def lemma_of(self, form: str, pos: str) -> str | None:
        """The lemma of an inflected form, by WordNet's exception lists and rules (morphy).

        Args:
            form: lower case, words separated by blanks.
            pos: NOUN, VERB, ADJ or ADV.
        """
        irregular = self._exceptions.get((form, pos))
        if irregular is not None and self._has(irregular, pos):
            return irregular
        if self._has(form, pos):
            return form
        for ending, instead in _DETACHED[pos]:
            lemma = form[: -len(ending)] + instead
            if form.endswith(ending) and len(lemma) > 1 and self._has(lemma, pos):
                return lemma
        return None

    def compounds_from(self, first: str) -> int:
        """Number of pieces of the longest lemma that begins with this piece; 0 for none."""
        return self._longest.get(first, 0)

    def compound(self, pieces: tuple[str, ...]) -> str | None:
        """The lemma of several pieces, as WordNet writes it with blanks, or None."""
        return self._compounds.get(pieces)

    def synonyms(self, sense: Sense) -> list[str]:
        """The other lemmas of the sense's synset, in WordNet's alphabetical order."""
        synset = self._arrays["synset"][sense.row]
        rows = np.flatnonzero(self._arrays["synset"] == synset)
        owners = np.searchsorted(self._first, rows, side="right") - 1
        return [self._lemmas[i] for i in owners if self._lemmas[i] != sense.lemma]

    def count(self, sense: Sense) -> int:
        """How often WordNet's own corpora hold the sense."""
        return int(self._arrays["count"][sense.row])

    # -- one lemma -------------------------------------------------------------------------

    def _has(self, lemma: str, pos: str) -> bool:
        return bool(self.candidates(lemma, pos))

    def _senses(self, lemma: str, pos: str | None) -> Iterator[Sense]:
        i = self._row.get(lemma)
        if i is None:
            return
        for row in range(int(self._first[i]), int(self._first[i + 1])):
            tag = _POS_OF_TYPE[int(self._arrays["type"][row])]
            if pos is None or pos == tag:
                yield self._sense(lemma, tag, row)

    def _sense(self, lemma: str, pos: str, row: int) -> Sense:
        part = {name: int(array[row]) for name, array in self._arrays.items()
                if name not in ("n_senses", "offset")}  # fmt: skip
        head = self._lemmas[part["head"]].replace(" ", "_") if part["head"] >= 0 else ""
        head_id = f"{part['head_id']:02d}" if head else ""
        key = (
            f"{lemma.replace(' ', '_')}%{part['type']}:{part['lexfile']:02d}:{part['lex_id']:02d}"
            f":{head}:{head_id}"
        )
        definition, examples = "", list[str]()
        synsets = self._open_synsets()
        if synsets is not None:
            offset = int(self._arrays["offset"][part["synset"]])
            definition, examples = synsets.gloss(pos, offset)
        return Sense(
            key, lemma, pos, definition,
            examples=tuple(filter(None, (_example(text, lemma) for text in examples))),
            supersense=SUPERSENSES[part["lexfile"]], order="counted", wordnet=(key,), row=row,
        )  # fmt: skip

    def _open_synsets(self) -> SynsetFiles | None:
        if not self._has_looked:
            with self._lock:
                folder = self.wordnet_path or find_wordnet()
                self._synsets = SynsetFiles(folder) if folder is not None else None
                self._has_looked = True
        return self._synsets


def _lines(array: NDArray[np.uint8]) -> list[str]:
    return array.tobytes().decode("utf-8").split("\n")


def _compounds(lemmas: list[str]) -> tuple[dict[tuple[str, ...], str], dict[str, int]]:
    """Lemmas of several pieces by their pieces, and the longest for each first piece."""
    by_pieces: dict[tuple[str, ...], str] = {}
    longest: dict[str, int] = {}
    for lemma in lemmas:
        if lemma.isalnum():
            continue
        pieces = word_pieces(lemma)
        by_pieces.setdefault(pieces, lemma)
        longest[pieces[0]] = max(longest.get(pieces[0], 0), len(pieces))
    return by_pieces, longest


def _example(text: str, lemma: str) -> Example | None:
    """The place of a lemma's form in an example sentence, where a simple look finds it."""
    stems = [word if len(word) <= 3 else word[:-1] for word in lemma.split(" ")]
    pattern = r"\b" + r"\w{0,4}\W+".join(map(re.escape, stems)) + r"\w{0,4}\b"
    found = re.search(pattern, text, re.IGNORECASE)
    return Example(text, *found.span()) if found else None


def open_inventory(source: str | Path, lang: str | None = None) -> Inventory | WordNetInventory:
    """The inventory of a name (``homographs``, ``wordnet``) or of a JSONL file.

    Raises:
        ConfigError: no such inventory, or one of another language.
        InventoryError: a line of a file is broken.
        ResourceError: the package's lexicon is damaged.
    """
    if str(source) != "wordnet":
        return load_inventory(source, lang)
    if lang not in (None, "en"):
        raise ConfigError(
            f"the inventory 'wordnet' is for language 'en', the pipeline's is {lang!r}; give "
            "your own with inventory = 'senses.jsonl'"
        )
    return shared_lexicon()


@lru_cache(maxsize=1)
def shared_lexicon() -> WordNetInventory:
    """The package's lexicon, read once per process."""
    return WordNetInventory()


# -- words of a text ------------------------------------------------------------------------


def find_words(
    context: Context, inventory: WordNetInventory, index: int = 0, *, names: bool = False
) -> list[Target]:
    """The content words of a tagged text and their candidates, the longest lemma first.

    A word needs a part of speech. Its lemma is spaCy's where WordNet knows it, else the one
    that :meth:`WordNetInventory.lemma_of` finds. Of words that WordNet writes together
    ("hot dog", "take off", "in fact") the longest run is taken.

    Args:
        context: the text, with tags.
        inventory: WordNet.
        index: goes into :attr:`Target.context`.
        names: whether proper nouns are looked up too.
    """
    lower = [token.lower() for token in context.tokens]
    targets = []
    at = 0
    while at < len(lower):
        found = _compound_at(context, lower, inventory, at, names)
        found = found or _word_at(context, lower, inventory, at, names)
        if found is not None:
            targets.append(Target(index, *found))
        at = found[1] if found is not None else at + 1
    return targets


_Found = tuple[int, int, str, tuple[Sense, ...]]


def _word_at(
    context: Context, lower: list[str], inventory: WordNetInventory, at: int, names: bool
) -> _Found | None:
    pos = context.tags[at]
    if pos == "PROPN" and names:
        pos = "NOUN"
    if pos not in POS_TAGS:
        return None
    lemma = context.lemmas[at]
    candidates = inventory.candidates(lemma, pos) if lemma else ()
    if not candidates:
        other = inventory.lemma_of(lower[at], pos)
        if other is None:
            return None
        lemma, candidates = other, inventory.candidates(other, pos)
    return at, at + 1, lemma, candidates


def _compound_at(
    context: Context, lower: list[str], inventory: WordNetInventory, at: int, names: bool
) -> _Found | None:
    firsts = {word_pieces(form)[0] for form in (lower[at], context.lemmas[at]) if form.strip()}
    longest = max((inventory.compounds_from(first) for first in firsts), default=0)
    for n in range(min(longest, len(lower) - at), 1, -1):
        end = at + n
        tags = context.tags[at:end]
        if "PROPN" in tags and not names:
            continue
        words = lower[at:end]
        forms = [words, [context.lemmas[at] or words[0], *words[1:]]]
        forms.append([*words[:-1], context.lemmas[end - 1] or words[-1]])
        for form in forms:
            lemma = inventory.compound(word_pieces(" ".join(form)))
            pos = _compound_pos(inventory, lemma, tags) if lemma is not None else None
            if lemma is not None and pos is not None:
                return at, end, lemma, inventory.candidates(lemma, pos)
    return None


def _compound_pos(inventory: WordNetInventory, lemma: str, tags: Sequence[str]) -> str | None:
    """The part of speech of a lemma of several words, as far as its tokens' tags allow it."""
    known = [pos for pos in POS_TAGS if inventory.candidates(lemma, pos)]
    if "VERB" in known and tags[0] == "VERB":
        return "VERB"
    noun_tags = ("NOUN", "PROPN")
    # "a check-in desk": three tokens of spaCy's, the last one of them a preposition.
    if "NOUN" in known and (tags[-1] in noun_tags or ("-" in lemma and tags[0] in noun_tags)):
        return "NOUN"
    other = [pos for pos in known if pos in ("ADJ", "ADV")]
    return other[0] if other and "VERB" not in tags else None


# -- building -------------------------------------------------------------------------------


def build_lexicon(wordnet: WordNet, path: Path) -> None:
    """Write the lexicon from WordNet's files; the same files give the same bytes.

    Raises:
        ResourceError: WordNet's exception lists are missing.
    """
    words: dict[str, list[tuple[int, ...]]] = {}
    synsets: dict[tuple[str, int], int] = {}
    lemmas = sorted({sense.lemma for sense in wordnet.senses.values()})
    row_of = {lemma: i for i, lemma in enumerate(lemmas)}
    for lemma in lemmas:
        for pos in POS_TAGS:
            for sense in wordnet.candidates(lemma, pos):
                kind, lexfile, lex_id, head, head_id = sense.key.partition("%")[2].split(":")
                synset = synsets.setdefault((pos, sense.offset), len(synsets))
                words.setdefault(lemma, []).append(
                    (
                        int(kind), int(lexfile), int(lex_id), row_of[head] if head else -1,
                        int(head_id or 0), sense.count, synset,
                    )
                )  # fmt: skip
    columns = np.array([row for lemma in lemmas for row in words[lemma]], dtype=np.int32).T
    names = ("type", "lexfile", "lex_id", "head", "head_id", "count", "synset")
    kinds = ("int8", "int8", "int8", "int32", "int8", "int32", "int32")
    arrays = {
        name: column.astype(kind) for name, column, kind in zip(names, columns, kinds, strict=True)
    }
    blob = "\n".join(lemma.replace("_", " ") for lemma in lemmas)
    np.savez_compressed(
        path,
        lemmas=np.frombuffer(blob.encode("utf-8"), dtype=np.uint8),
        exceptions=np.frombuffer("\n".join(_exceptions(wordnet)).encode("utf-8"), dtype=np.uint8),
        n_senses=np.array([len(words[lemma]) for lemma in lemmas], dtype=np.int16),
        offset=np.array([offset for _, offset in synsets], dtype=np.int32),
        **arrays,
    )


def _exceptions(wordnet: WordNet) -> Iterator[str]:
    for pos, name in zip(POS_TAGS, ("noun", "verb", "adj", "adv"), strict=True):
        file = wordnet.path / f"{name}.exc"
        if not file.is_file():
            raise ResourceError(f"{file} does not exist; install WordNet whole: wordnet-base")
        for line in file.read_text(encoding="utf-8").splitlines():
            form, lemma, *_ = line.split()
            yield f"{pos}\t{form.replace('_', ' ')}\t{lemma.replace('_', ' ')}"

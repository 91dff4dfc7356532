"""The senses that the model is trained on, one row each: texts, candidates, relations.

WordNet's rows are the synsets of the package's lexicon, in its order; behind them stand one row
for each supersense (a part that many synsets share) and, where a user trains on an inventory of
their own, one for each of its senses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spacy_attn.train.rows import RowTarget
from spacy_attn.wsd.inventory.forms import english_forms, plain_form
from spacy_attn.wsd.inventory.jsonl import Inventory
from spacy_attn.wsd.inventory.wordnet import WordNetInventory
from spacy_attn.wsd.inventory.wordnet_files import SUPERSENSES, WordNet, WordNetSense
from spacy_attn.wsd.methods.attention import gloss_text

#: What a synset shares with its neighbours, and how many of each kind are looked at.
RELATIONS = {"hypernym": 3, "hypernym's hypernym": 3, "similar": 3, "derived": 4, "supersense": 1}
_SIGNS = {
    "@": "hypernym",
    "@i": "hypernym",
    "&": "similar",
    "\\": "similar",
    "<": "similar",
    "+": "derived",
    "*": "similar",
    "$": "similar",
}
_EXAMPLES = 2  # sentences of a synset that its text holds
_SYNONYMS = 6


class _Index(NamedTuple):
    """WordNet by sense key, by synset and by place in its files."""

    synset: dict[str, int]  # of each sense key
    sense_row: dict[str, int]  # in the lexicon
    keys: dict[int, str]  # one of each synset
    by_place: dict[tuple[str, int], int]


class SenseTable:
    """See the module.

    Args:
        wordnet: the user's WordNet, for definitions, examples and relations.
        lexicon: the package's lexicon of the same WordNet, for the order of rows.
        inventory: a user's own senses, or None.
        labelled: the ids of those that labels name; words without a label need no text. None takes
            all senses.
        rivals: whether words with one sense that share a form with another word get a vector too:
            "glasses" is one, or the plural of *glass*.
    """

    def __init__(
        self,
        wordnet: WordNet,
        lexicon: WordNetInventory,
        inventory: Inventory | None = None,
        labelled: Collection[str] | None = None,
        *,
        rivals: bool = False,
    ) -> None:
        self.wordnet, self.lexicon, self.inventory = wordnet, lexicon, inventory
        self.n_synsets = int(lexicon.synset_of_row.max()) + 1
        own = inventory.senses if inventory is not None else ()
        first = self.n_synsets + len(SUPERSENSES)
        self._own = {sense.id: first + i for i, sense in enumerate(own)}
        words = {(s.lemma, s.pos) for s in own if labelled is None or s.id in labelled}
        self._own_texts = [sense for sense in own if (sense.lemma, sense.pos) in words]
        self.n_rows = first + len(own)
        chosen = lexicon.ambiguous_synsets().tolist()
        #: Synsets of words that have another sense of the same part of speech, and of rivals.
        self.chosen: list[int] = sorted({*chosen, *(_rivals(lexicon) if rivals else ())})
        self._rows_of = cache(self._candidate_rows)
        self._words_of_form = cache(self._rows_of_words)
        #: ``log(1 + count)`` of the candidates of each word of WordNet, and of each form that was
        #: asked for. *Shape:* of each (n_candidates,)
        self.log_counts = self._counts_of_words()

    @cached_property
    def _index(self) -> _Index:
        """All of WordNet: some seconds, and labels of a few words need none of it."""
        index = _Index({}, {}, {}, {})
        synset_of_row = self.lexicon.synset_of_row.tolist()
        for lemma, pos in self.lexicon.words:
            for sense in self.lexicon.candidates(lemma, pos):
                row = synset_of_row[sense.row]
                index.synset[sense.id], index.sense_row[sense.id] = row, sense.row
                index.keys.setdefault(row, sense.id)
                index.by_place.setdefault((pos, self.wordnet.senses[sense.id].offset), row)
        return index

    @property
    def synset(self) -> dict[str, int]:
        """The synset of each sense key."""
        return self._index.synset

    @property
    def sense_row(self) -> dict[str, int]:
        """The row of each sense key in the lexicon."""
        return self._index.sense_row

    def choices(self) -> list[list[int]]:
        """The synsets of each word that has more than one sense, in the order of the lexicon."""
        synset = self.lexicon.synset_of_row
        return [sorted(set(synset[rows].tolist())) for rows in self._ambiguous()]

    def _ambiguous(self) -> list[NDArray[np.int64]]:
        """The senses of each such word, as rows of the lexicon in WordNet's order."""
        _, first, owner, n = np.unique(
            self.lexicon.word_of_row, return_index=True, return_inverse=True, return_counts=True
        )
        by_word = np.argsort(first[owner], kind="stable")
        ends = np.cumsum(n[np.argsort(first)])[:-1]
        return [rows for rows in np.split(by_word, ends) if len(rows) > 1]

    def _candidate_rows(self, lemma: str, pos: str) -> tuple[int, ...]:
        """The synsets of a word, in WordNet's order."""
        synset = {
            sense.id: int(self.lexicon.synset_of_row[sense.row])
            for sense in self.lexicon.candidates(lemma, pos)
        }
        return tuple(synset[each.key] for each in self.wordnet.candidates(lemma, pos))

    def target(
        self, tokens: Sequence[str], start: int, end: int, keys: list[str]
    ) -> RowTarget | None:
        """A word annotated with sense keys of WordNet, and all words that its form can be.

        A word without a tag, which may be any of its senses, has no other candidates.

        Args:
            tokens: of the sentence.
            start: first token.
            end: behind the last one.
            keys: the allowed senses.

        Returns:
            None where there is no choice.
        """
        of_word = self.word_target(tokens, start, end, keys)
        if end - start > 1 or (of_word is not None and all(of_word.allowed)):
            return of_word
        words = self.lexicon.words_of(plain_form(tokens[start]))
        sense = self.wordnet.senses[keys[0]]
        if len(words) < 2 or (sense.lemma, sense.pos) not in words:
            return of_word
        rows = self._words_of_form(words)
        right = {self.synset[key] for key in keys}
        if len(rows) < 2 or right.issuperset(rows):
            return of_word
        return RowTarget(start, end, rows, tuple(row in right for row in rows))

    def _rows_of_words(self, words: tuple[tuple[str, str], ...]) -> tuple[int, ...]:
        """The synsets of some words, each once, with its counts together."""
        counts: dict[int, int] = {}
        for word in words:
            for sense in self.lexicon.candidates(*word):
                row = int(self.lexicon.synset_of_row[sense.row])
                counts[row] = counts.get(row, 0) + int(self.lexicon.counts[sense.row])
        self.log_counts[tuple(counts)] = np.log1p(np.array([*counts.values()], dtype=np.float32))
        return tuple(counts)

    def word_target(
        self, tokens: Sequence[str], start: int, end: int, keys: list[str]
    ) -> RowTarget | None:
        """The same where the lemma and the part of speech are given."""
        del tokens  # the word is known
        sense = self.wordnet.senses[keys[0]]
        candidates = self.wordnet.candidates(sense.lemma, sense.pos)
        if len(candidates) < 2:
            return None
        rows = self._rows_of(sense.lemma, sense.pos)
        return RowTarget(start, end, rows, tuple(c.key in keys for c in candidates))

    def own_target(
        self, tokens: Sequence[str], start: int, end: int, ids: list[str]
    ) -> RowTarget | None:
        """A word annotated with a sense of the user's inventory."""
        del tokens
        senses = self.inventory.senses if self.inventory is not None else ()
        sense = next(s for s in senses if s.id == ids[0])
        candidates = [s for s in senses if (s.lemma, s.pos) == (sense.lemma, sense.pos)]
        if len(candidates) < 2:
            return None
        rows = tuple(self._own[c.id] for c in candidates)
        return RowTarget(start, end, rows, tuple(c.id in ids for c in candidates))

    def _counts_of_words(self) -> dict[tuple[int, ...], NDArray[np.float32]]:
        logs = np.log1p(self.lexicon.counts.astype(np.float32))
        synset = self.lexicon.synset_of_row
        return {tuple(synset[rows].tolist()): logs[rows] for rows in self._ambiguous()}

    def texts(self, rows: Iterable[int] | None = None) -> dict[int, str]:
        """The text that stands for each row that needs a vector of its own.

        These are the synsets between which a word or a form chooses, their hypernyms, and a user's
        senses of words with labels.

        Args:
            rows: the synsets that are needed; None takes all between which a word chooses.
        """
        chosen = self.chosen if rows is None else list(rows)
        needed = dict.fromkeys(chosen)
        for row in chosen:
            needed |= dict.fromkeys(self.related(row)["hypernym"])
        texts = {row: self._synset_text(row) for row in needed}
        for sense in self._own_texts:
            texts[self._own[sense.id]] = gloss_text(sense.lemma, sense.definition)
        return texts

    def definitions(self) -> dict[int, str]:
        """What the gloss encoder reads of each synset between which a word chooses.

        Synonyms and definition, then those of the first hypernym; no example, for examples are
        sentences that the encoder of contexts is trained on.
        """
        out = {}
        for row in self.chosen:
            text = self._definition(row)
            if over := self.related(row)["hypernym"]:
                text = f"{text}; {', '.join(self._words(over[0]))}"
            out[row] = text
        return out

    def related(self, row: int) -> dict[str, list[int]]:
        """The synsets that one points to, by kind; a supersense has none."""
        out: dict[str, list[int]] = {"hypernym": [], "similar": [], "derived": []}
        key = self._index.keys.get(row)
        if key is None:
            return out
        sense = self.wordnet.senses[key]
        for sign, pos, offset in self.wordnet.synsets.pointers(sense.pos, sense.offset):
            other = self._index.by_place.get((pos, offset))
            if sign in _SIGNS and other is not None and other not in out[_SIGNS[sign]]:
                out[_SIGNS[sign]].append(other)
        return out

    def composition(
        self, needed: Iterable[int] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The rows that a row's vector is composed of beside its own, and the share of each.

        The rows of one kind share a weight of 1. Empty places hold ``n_rows``, share 0.

        Args:
            needed: the synsets that are composed; None takes all.

        *Shape:* two (n_rows, sum of RELATIONS)
        """
        width = sum(RELATIONS.values())
        rows = np.full((self.n_rows, width), self.n_rows, dtype=np.int64)
        shares = np.zeros((self.n_rows, width), dtype=np.float32)
        related = cache(self.related)
        for row in self._index.keys if needed is None else needed:
            kinds = related(row)
            above = [r for h in kinds["hypernym"][:3] for r in related(h)["hypernym"]]
            supersense = SUPERSENSES.index(self._sense(row).supersense)
            found = (
                kinds["hypernym"],
                list(dict.fromkeys(above)),
                kinds["similar"],
                kinds["derived"],
                [self.n_synsets + supersense],
            )
            at = 0
            for most, others in zip(RELATIONS.values(), found, strict=True):
                others = others[:most]
                rows[row, at : at + len(others)] = others
                shares[row, at : at + len(others)] = 1 / max(len(others), 1)
                at += most
        return rows, shares

    def seen(self, keys: Sequence[str]) -> NDArray[np.bool_]:
        """Marks the senses of the lexicon that are among these keys. *Shape:* (n_senses,)"""
        out = np.zeros(self.lexicon.n_senses, dtype=bool)
        out[[self.sense_row[key] for key in keys if key in self.sense_row]] = True
        return out

    def _sense(self, row: int) -> WordNetSense:
        return self.wordnet.senses[self._index.keys[row]]

    def _synset_text(self, row: int) -> str:
        _, examples = self.wordnet.gloss(self._sense(row))
        return "; ".join([self._definition(row), *examples[:_EXAMPLES]])

    def _definition(self, row: int) -> str:
        definition, _ = self.wordnet.gloss(self._sense(row))
        return gloss_text(", ".join(self._words(row)), definition)

    def _words(self, row: int) -> list[str]:
        words = self.wordnet.synonyms(self._sense(row))[:_SYNONYMS]
        return [word.replace("_", " ") for word in words]


def _rivals(lexicon: WordNetInventory) -> set[int]:
    """The synsets of words with one sense that share a form with another word.

    Forms of which WordNet's corpora hold no word at all are left out: most are as rare in texts,
    and each vector takes space in the package.
    """
    forms = set()
    for lemma, pos in lexicon.words:
        if " " not in lemma:
            forms |= {lemma, *english_forms(lemma, pos)}
    out = set()
    for form in forms:
        words = lexicon.words_of(form)
        if len(words) < 2 or not any(lexicon.count_of(*word) for word in words):
            continue
        for word in words:
            candidates = lexicon.candidates(*word)
            if len(candidates) == 1:
                out.add(int(lexicon.synset_of_row[candidates[0].row]))
    return out

"""What the trained vectors of WordNet's senses say of a word, beside a user's examples of it.

One example of a sense does not show which part of its vector matters. How probable each sense of
WordNet is there does: a user's "bat.club" is close to one of them, whatever the sentence speaks of.
The square roots of these probabilities are features of the regression beside the vectors, so the
product of two words' features is the Bhattacharyya coefficient of what WordNet says of them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import Floats1d, Floats2d
from spacy_attn.wsd.decide import log_softmax
from spacy_attn.wsd.inventory.wordnet import wordnet_inventory
from spacy_attn.wsd.methods.attention_wordnet import SenseVectors
from spacy_attn.wsd.methods.occurrence import product

logger = logging.getLogger("spacy_attn")


@dataclass(frozen=True, slots=True)
class KnownSenses:
    """WordNet's senses of the lemmas of some senses.

    *Shape:* rows (n_known,), vectors (n_known, z width), prior (n_known,), bounds (n_senses, 2)
    """

    rows: NDArray[np.int32]  # of each in the sense model
    vectors: Floats2d
    prior: Floats1d  # what the frequency of a sense adds to its log-score
    bounds: NDArray[np.int32]  # for each sense the first and the end of those of its lemma

    @classmethod
    def none(cls, n_senses: int, width: int) -> KnownSenses:
        """Nothing is known of any of them."""
        empty = np.zeros((0, width), dtype=np.float32)
        rows, bounds = np.zeros(0, dtype=np.int32), np.zeros((n_senses, 2), dtype=np.int32)
        return cls(rows, empty, empty[:, 0], bounds)

    @classmethod
    def of(cls, lemmas: Sequence[str], sense_model: Path | None, width: int) -> KnownSenses:
        """What a sense model knows of the lemmas; nothing where it was not trained on WordNet.

        Args:
            lemmas: of each sense.
            sense_model: a file made by ``spacy-attn train-senses``; None: nothing is asked.
            width: of its vectors z.
        """
        vectors = None if sense_model is None else SenseVectors.of_wordnet(sense_model)
        if vectors is None:
            return cls.none(len(lemmas), width)
        lexicon = wordnet_inventory()
        if vectors.lexicon != lexicon.digest:
            logger.info("%s was made for another lexicon: WordNet says nothing here", sense_model)
            return cls.none(len(lemmas), width)
        assert lexicon.synset_of_row is not None  # noqa: S101 - a lexicon has rows
        assert lexicon.counts is not None  # noqa: S101
        # Other vectors were fitted to tell words apart, and are no features of a word's senses.
        between = np.zeros(len(vectors.rows), dtype=bool)
        between[lexicon.ambiguous_synsets()] = True
        rows: list[int] = []
        bounds: dict[str, tuple[int, int]] = {}
        for lemma in dict.fromkeys(lemmas):
            found = [sense.row for sense in lexicon.candidates(lemma)]
            found = [row for row in found if between[lexicon.synset_of_row[row]]]
            if len(found) > 1:
                bounds[lemma] = (len(rows), len(rows) + len(found))
                rows += found
        senses = np.array(rows, dtype=np.int64)
        some = vectors.rows[lexicon.synset_of_row[senses]]
        return cls(
            some,
            _vectors_at(vectors, some),
            (vectors.prior * np.log1p(lexicon.counts[senses]))
            .astype(np.float16)
            .astype(np.float32),
            np.array([bounds.get(lemma, (0, 0)) for lemma in lemmas], dtype=np.int32),
        )

    @classmethod
    def kept(
        cls,
        sense_model: Path | None,
        width: int,
        rows: NDArray[np.int32],
        prior: Floats1d,
        bounds: NDArray[np.int32],
    ) -> KnownSenses | None:
        """The same of what was kept of it; None where that is not of this sense model.

        *Shape:* rows, prior (n_known,), bounds (n_senses, 2)
        """
        if sense_model is None or not len(rows):
            return None if len(rows) else cls.none(len(bounds), width)
        vectors = SenseVectors.of_wordnet(sense_model)
        if vectors is None or not 0 <= rows.min() <= rows.max() < len(vectors.vectors):
            return None
        return cls(rows, _vectors_at(vectors, rows), prior, bounds)

    @property
    def most(self) -> int:
        """The number of features of the lemma that has most."""
        return int((self.bounds[:, 1] - self.bounds[:, 0]).max(initial=0))

    def vectors_of(self, row: int) -> tuple[Floats2d, Floats1d]:
        """Of the lemma of a sense. *Shape:* (n, z width), (n,)"""
        first, end = self.bounds[row]
        return self.vectors[first:end], self.prior[first:end]

    def features(self, row: int, z: Floats2d) -> Floats2d:
        """Square roots of the probabilities of WordNet's senses of the lemma of a sense.

        *Shape:* (n, z width) -> (n, :attr:`most`), zeros behind
        """
        vectors, prior = self.vectors_of(row)
        out = np.zeros((len(z), self.most), dtype=np.float32)
        if len(vectors):
            scores = product(z, np.ascontiguousarray(vectors.T)) + prior
            out[:, : len(vectors)] = np.exp(log_softmax(scores) / 2)
        return out

    def features_of(self, rows: Sequence[int], z: Floats1d) -> Floats2d:
        """The features of one word for some senses, computed once for each lemma.

        *Shape:* z (z width,) -> (len(rows), :attr:`most`)
        """
        _, shown, lemma = np.unique(
            self.bounds[rows], axis=0, return_index=True, return_inverse=True
        )
        of_lemmas = np.concatenate([self.features(rows[i], z[None]) for i in shown])
        return of_lemmas[lemma.reshape(-1)]


def known_weight(n_examples: Sequence[int]) -> np.float32:
    """How much these features count beside the vectors: 1 where each sense has one example.

    Examples say more of a user's senses the more there are; the fourth root of their mean number
    was chosen on development sentences (benchmarks/README.md).

    Args:
        n_examples: of each sense of a word.
    """
    shown = [n for n in n_examples if n]
    return np.float32((sum(shown) / len(shown)) ** -0.25 if shown else 1.0)


def _vectors_at(vectors: SenseVectors, rows: NDArray[np.int32]) -> Floats2d:
    """Of some rows of the sense model. *Shape:* (n,) -> (n, z width)"""
    whole = vectors.vectors[rows] * vectors.scales[rows][:, None]
    return _rounded(product(whole, vectors.project))


def _rounded(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """As it is kept, so that every run gives the same. *Shape:* any, the same"""
    return array.astype(np.float16).astype(np.float32)

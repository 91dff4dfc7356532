"""The attention method over WordNet: one trained vector for each synset.

Where :class:`~spacy_attn.wsd.methods.attention.Attention` learns from an inventory's examples, all
words of WordNet have vectors that were computed once, when the sense model was trained: a map of
the definition's vector plus what the sense-annotated corpora taught. The log-score of a sense is
``z . s + prior * log(1 + count)``: the trained vector of the occurrence by that of its synset (a
bi-encoder as in Blevins and Zettlemoyer 2020), and a little of how often WordNet's corpora hold the
sense, for the model learns from texts that were written for rare senses too. It decides among the
candidates of the lemma, and between the words that a form can be where all have vectors: a word
with one sense that no vector stands for keeps the probability that it had before. Definitions are
not needed at run time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import Encoder, Floats1d, Floats2d
from spacy_attn.errors import ResourceError
from spacy_attn.wsd.context import Target
from spacy_attn.wsd.decide import without_opinion
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.method import LogOdds
from spacy_attn.wsd.methods.calibration import UNFITTED, Calibration
from spacy_attn.wsd.methods.occurrence import (
    bounds_of,
    occurrences,
    product,
    read_occurrences,
    read_vectors,
)
from spacy_attn.wsd.methods.sense_head import SenseHead, read_arrays
from spacy_attn.wsd.vectors import Texts

_AT_ONCE = 512  # targets; with all their candidates about 5 MB


@dataclass(frozen=True, slots=True)
class SenseVectors:
    """The part of a sense model that knows WordNet.

    ``s = scale * vector`` for a synset, in the space of ``project @ z``: the directions in which
    the senses of one word differ most, with a rounded vector of eight bits a number.

    *Shape:* project (width, z width), rows (n_synsets,), vectors (n, width), scales (n,),
    seen (n_senses,)
    """

    project: Floats2d
    rows: NDArray[np.int32]  # of each synset of the lexicon; -1: it has no vector
    vectors: NDArray[np.int8]
    scales: Floats1d
    seen: NDArray[np.bool_]  # whether a sense stands in the corpora of the training
    temperature: float
    lexicon: str  # hash of the lexicon whose synsets are meant
    prior: float = 0.0  # weight of the logarithm of a sense's frequency

    @classmethod
    def of_wordnet(cls, path: Path) -> SenseVectors | None:
        """The same; None of a sense model that was not trained on WordNet."""
        from safetensors import safe_open

        with safe_open(path, framework="numpy") as file:
            has_any = "wordnet.vectors" in file.keys()
        return cls.load(path) if has_any else None

    @classmethod
    def load(cls, path: Path) -> SenseVectors:
        """Read them from a sense model made by ``spacy-attn train-senses``.

        Raises:
            ResourceError: the file is missing, is no sense model, or knows no WordNet.
        """
        names = ("project", "rows", "vectors", "scales", "seen")
        try:
            manifest, arrays = read_arrays(path, "wordnet", names)
            n_vectors = len(arrays["vectors"])
            rows = arrays["rows"]
            if rows.dtype == np.uint8:
                rows = vector_rows(np.unpackbits(rows, count=manifest["wordnet"]["n_synsets"]))
            if len(arrays["scales"]) != n_vectors or rows.max(initial=-1) >= n_vectors:
                raise ValueError(f"it has {n_vectors} vectors, and rows beyond them")
            return cls(
                arrays["project"].astype(np.float32),
                rows,
                arrays["vectors"],
                arrays["scales"].astype(np.float32),
                np.unpackbits(arrays["seen"], count=manifest["wordnet"]["n_senses"]).astype(bool),
                float(manifest["wordnet"]["temperature"]),
                str(manifest["wordnet"]["lexicon"]),
                float(manifest["wordnet"].get("prior", 0.0)),
            )
        except Exception as error:
            raise ResourceError(
                f"{path} has no sense vectors of WordNet ({type(error).__name__}: {error}); give "
                "one that spacy-attn train-senses made from SemCor, or sense_model = null"
            ) from error


def vector_rows(has_vector: NDArray[Any]) -> NDArray[np.int32]:
    """The rows of the synsets that have a vector, in their order; -1 for the others.

    *Shape:* (n_synsets,), the same
    """
    return np.where(has_vector, np.cumsum(has_vector, dtype=np.int32) - 1, -1).astype(np.int32)


class AllWordsAttention:
    """See the module.

    Args:
        inventory: WordNet.
        encoder: makes the contextual vectors.
        head: the trained projections of occurrences.
        vectors: those of the synsets.
        temperature: see :func:`~spacy_attn.wsd.decide.log_posterior`; None takes the fitted one.
        calibration: fitted for the sense model.

    Raises:
        ResourceError: the vectors were made for another lexicon.
    """

    name = "attention"
    has_context = True

    def __init__(
        self,
        inventory: SenseInventory,
        encoder: Encoder,
        head: SenseHead,
        vectors: SenseVectors,
        temperature: float | None = None,
        calibration: Calibration = UNFITTED,
    ) -> None:
        if vectors.lexicon != inventory.digest:
            raise ResourceError(
                f"the sense model was made for a lexicon of WordNet with hash "
                f"{vectors.lexicon[:12]}, this one has {inventory.digest[:12]}; reinstall with: "
                "pip install --force-reinstall --no-deps spacy-attn"
            )
        self.encoder = encoder
        self.head = head
        self.temperature = vectors.temperature if temperature is None else temperature
        self.reading_weight = calibration.reading_weight
        self._coverage = calibration.coverage
        self._vectors = vectors
        assert inventory.synset_of_row is not None  # noqa: S101 - a lexicon has rows
        assert inventory.counts is not None  # noqa: S101
        self._row_of_sense = vectors.rows[inventory.synset_of_row]
        self._counts = inventory.counts

    def score(self, texts: Texts, targets: Sequence[Target]) -> list[Floats1d]:
        """*Shape:* for each target (n_candidates,)"""
        if not targets:
            return []
        radius = self.head.context_radius
        vectors = read_vectors(texts, self.encoder, targets, radius)
        out: list[Floats1d] = []
        for first in range(0, len(targets), _AT_ONCE):
            some = targets[first : first + _AT_ONCE]
            out += self._score(occurrences(texts, vectors, some, radius), some)
        return out

    def covered(self, targets: Sequence[Target], scores: Sequence[Floats1d]) -> Floats1d:
        """See :class:`~.method.CoveringMethod`."""
        if self._coverage is None:
            return np.ones(len(targets), dtype=np.float32)
        return self._coverage.probabilities(scores)

    def target_vectors(self, texts: Texts, targets: Sequence[Target]) -> Floats2d:
        """The trained vectors of some occurrences. *Shape:* (n_targets, z width)"""
        return self.head.z(read_occurrences(texts, self.encoder, targets, self.head.context_radius))

    def log_odds(self, texts: Texts, target: Target, chosen: int, other: int) -> LogOdds:
        """See :class:`~spacy_attn.wsd.method.DifferentiableMethod`."""
        senses = target.candidates[chosen], target.candidates[other]
        rows = self._row_of_sense[np.array([sense.row for sense in senses])]
        known = (rows >= 0)[:, None]  # a sense without a vector follows no word of the text
        one, two = self._vectors.vectors[rows] * self._vectors.scales[rows][:, None] * known
        gloss = (one - two) @ self._vectors.project / self.temperature
        nothing = np.zeros(2 * self.encoder.width, dtype=np.float32)
        bounds = bounds_of(texts[target.context], target, self.head.context_radius)
        first, second = self._prior_of(np.array([sense.row for sense in senses]))
        bias = float(first - second) / self.temperature
        no_senses = np.zeros((0, len(gloss)), dtype=np.float32)
        empty = no_senses[:, 0], no_senses, no_senses[:, 0]
        return LogOdds(nothing, bias, gloss, self.head.target, self.head.context, *empty, bounds)

    def _prior_of(self, senses: NDArray[np.int64]) -> Floats1d:
        """What the frequencies of senses add. *Shape:* rows of senses (n,) -> (n,)"""
        prior = self._vectors.prior * np.log1p(self._counts[senses])
        return np.asarray(prior, dtype=np.float32)

    def _score(self, parts: Floats2d, targets: Sequence[Target]) -> list[Floats1d]:
        """*Shape:* (n_targets, 2 * width) -> for each target (n_candidates,)"""
        z = product(self.head.z(parts), self._vectors.project.T)
        sizes = [len(target.candidates) for target in targets]
        senses = np.fromiter((s.row for t in targets for s in t.candidates), dtype=np.int64)
        rows = self._row_of_sense[senses]
        dots = np.einsum(
            "nw,nw->n", self._vectors.vectors[rows], np.repeat(z, sizes, axis=0), dtype=np.float32
        )
        scores = dots * self._vectors.scales[rows] + self._prior_of(senses)
        is_known, ends = rows >= 0, pairwise(accumulate(sizes, initial=0))
        return [
            scores[first:end]
            if is_known[first:end].all()
            else without_opinion(target, scores[first:end], is_known[first:end], self.temperature)
            for target, (first, end) in zip(targets, ends, strict=True)
        ]

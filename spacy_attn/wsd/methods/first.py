"""The dull baselines: the most frequent sense, and a guess."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from spacy_attn._types import Floats1d
from spacy_attn.wsd.context import Context, Target

__all__ = ["FirstSense", "RandomSense"]


class FirstSense:
    """Always the first sense of the inventory's frequency order.

    The log-score of rank r is -log(r): Zipf's law for the share of a word's r-th sense.
    """

    name = "first_sense"
    encoder = None

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = temperature

    def score(self, contexts: Sequence[Context], targets: Sequence[Target]) -> list[Floats1d]:
        """*Shape:* for each target (n_candidates,)"""
        del contexts
        return [
            -np.log(np.arange(1, len(target.candidates) + 1, dtype=np.float32))
            for target in targets
        ]


class RandomSense:
    """A uniform guess that depends on seed, text and position alone, so runs repeat."""

    name = "random"
    encoder = None
    temperature = 1.0

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def score(self, contexts: Sequence[Context], targets: Sequence[Target]) -> list[Floats1d]:
        """*Shape:* for each target (n_candidates,)"""
        return [self._draw(contexts[target.context], target) for target in targets]

    def _draw(self, context: Context, target: Target) -> Floats1d:
        start = context.offsets[target.start][0]
        key = f"{self.seed}\x00{start}\x00{context.text}".encode("utf-8", "surrogatepass")
        seed = int.from_bytes(hashlib.sha256(key).digest()[:8], "big")
        # Scores differ by a hair: the order is random, the probabilities are equal.
        draw = np.random.default_rng(seed).permutation(len(target.candidates))
        return (draw * 1e-4).astype(np.float32)

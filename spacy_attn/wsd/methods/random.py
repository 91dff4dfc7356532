"""A guess: what every method has to beat."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial

import numpy as np

from spacy_attn._types import Floats1d
from spacy_attn.wsd.context import Context, Resources, Target
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.method import BuiltInMethod, FittedMethod, SenseMethod
from spacy_attn.wsd.vectors import Texts


def random_v1(seed: int = 0) -> SenseMethod:
    """A uniform guess that depends on seed, text and position alone."""
    return BuiltInMethod("random", partial(_make, seed=seed), learns=False)


def _make(inventory: SenseInventory, resources: Resources, *, seed: int) -> FittedMethod:
    return RandomSense(seed)


class RandomSense:
    """A uniform guess that depends on seed, text and position alone, so runs repeat."""

    name = "random"
    temperature = 1.0

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def score(self, texts: Texts, targets: Sequence[Target]) -> list[Floats1d]:
        """*Shape:* for each target (n_candidates,)"""
        return [self._draw(texts[target.context], target) for target in targets]

    def _draw(self, context: Context, target: Target) -> Floats1d:
        start = context.offsets[target.start][0]
        key = f"{self.seed}\x00{start}\x00{context.text}".encode("utf-8", "surrogatepass")
        seed = int.from_bytes(hashlib.sha256(key).digest()[:8], "big")
        # Scores differ by a hair: the order is random, the probabilities are equal.
        draw = np.random.default_rng(seed).permutation(len(target.candidates))
        return (draw * 1e-4).astype(np.float32)

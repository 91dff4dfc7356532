"""The most frequent sense: the baseline that is hard to beat on all words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from spacy_attn._types import Floats1d
from spacy_attn.wsd.context import Resources, Target
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.method import BuiltInMethod, FittedMethod, SenseMethod
from spacy_attn.wsd.methods.calibration import temperature_of
from spacy_attn.wsd.methods.registry import check_arguments
from spacy_attn.wsd.vectors import Texts


def first_sense_v1(temperature: float | None = None) -> SenseMethod:
    """The first sense of the inventory's frequency order."""
    check_arguments(temperature)
    return BuiltInMethod("first_sense", partial(_make, temperature=temperature), learns=False)


def _make(
    inventory: SenseInventory, resources: Resources, *, temperature: float | None
) -> FittedMethod:
    return FirstSense(temperature_of("first_sense", temperature))


class FirstSense:
    """Always the first sense of the inventory's frequency order.

    The log-score of rank r is -log(r): Zipf's law for the share of a word's r-th sense.
    """

    name = "first_sense"

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = temperature

    def score(self, texts: Texts, targets: Sequence[Target]) -> list[Floats1d]:
        """*Shape:* for each target (n_candidates,)"""
        return [
            -np.log(np.arange(1, len(target.candidates) + 1, dtype=np.float32))
            for target in targets
        ]

"""What ``scripts/calibrate.py`` fitted, so that the methods' scores are probabilities."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from spacy_attn._types import Floats1d


class Coverage(NamedTuple):
    """How the best score tells that a candidate is meant: a logistic regression.

    Log-odds: ``top * best score + size * log(number of candidates) + constant``.
    """

    top: float
    size: float
    constant: float

    def probabilities(self, scores: Sequence[Floats1d]) -> Floats1d:
        """That a candidate is meant. *Shape:* of each (n_candidates,) -> (n,)"""
        best = np.array([each.max() for each in scores])
        sizes = np.log([len(each) for each in scores])
        odds = self.top * best + self.size * sizes + self.constant
        return np.asarray(1.0 / (1.0 + np.exp(-odds)), dtype=np.float32)


class Calibration(NamedTuple):
    """What was fitted for the attention method on one kind of inventory."""

    coverage: Coverage | None = None
    reading_weight: float = 0.0  # see :func:`~spacy_attn.wsd.decide.log_posterior`


UNFITTED = Calibration()


def calibration_of(kind: str) -> Calibration:
    """That of the package's sense model.

    Args:
        kind: "wordnet", or "examples" for inventories with examples to learn from.
    """
    values = _fitted().get("attention", {}).get(kind)
    if values is None:
        return UNFITTED
    return Calibration(Coverage(**values["coverage"]), float(values["reading_weight"]))


def temperature_of(name: str, given: float | None) -> float:
    """The given temperature, else the fitted one of a method, else 1."""
    return given if given is not None else float(_fitted().get("temperatures", {}).get(name, 1.0))


@lru_cache(maxsize=1)
def _fitted() -> dict[str, Any]:
    path = Path(str(files("spacy_attn") / "data" / "calibration.json"))
    fitted: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return fitted

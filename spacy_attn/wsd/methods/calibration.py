"""What ``scripts/calibrate.py`` fitted, so that the methods' scores are probabilities.

The calibration of a sense model stands beside it, in ``calibration.json``. That of the bundled one
also has the temperatures of the methods that read no sense model.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from spacy_attn._types import Floats1d
from spacy_attn.errors import ResourceError


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


CALIBRATION = "calibration.json"
_KINDS = ("wordnet", "examples")


def calibration_of(kind: str, sense_model: Path) -> Calibration:
    """That of a sense model; nothing where none stands beside it.

    Args:
        kind: "wordnet", or "examples" for inventories with examples to learn from.
        sense_model: its file.

    Raises:
        ResourceError: the file beside it is damaged.
    """
    values = _fitted(sense_model.parent).get("attention", {}).get(kind)
    if values is None:
        return UNFITTED
    return Calibration(Coverage(**values["coverage"]), float(values["reading_weight"]))


def temperature_of(name: str, given: float | None, sense_model: Path | None = None) -> float:
    """The given temperature, else the fitted one of a method, else 1.

    Args:
        name: of the method.
        given: in its config.
        sense_model: the file that it reads; without a calibration beside it, the bundled one's.

    Raises:
        ResourceError: the file beside it is damaged.
    """
    if given is not None:
        return given
    bundled = Path(str(files("spacy_attn") / "data"))
    folders = [bundled] if sense_model is None else [sense_model.parent, bundled]
    fitted = (_fitted(folder).get("temperatures", {}).get(name) for folder in folders)
    return float(next((value for value in fitted if value is not None), 1.0))


def _fitted(folder: Path) -> dict[str, Any]:
    path = folder / CALIBRATION
    if not path.is_file():
        return {}
    try:
        fitted: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        temperatures = fitted.get("temperatures", {}).values()
        kinds = [each for kind, each in fitted.get("attention", {}).items() if kind in _KINDS]
        numbers = [
            n for each in kinds for n in (*Coverage(**each["coverage"]), each["reading_weight"])
        ]
        if not all(0 < each <= sys.float_info.max for each in temperatures):
            raise ValueError("temperatures are finite numbers above 0")
        if not np.isfinite(numbers).all():
            raise ValueError("its numbers are not finite")
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ResourceError(
            f"{path} is no calibration of a sense model ({reason}); fetch the model again, or "
            "delete the file"
        ) from error
    return fitted

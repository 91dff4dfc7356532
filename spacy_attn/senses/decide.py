"""From log-scores to a decision: probabilities, margin, ranking, abstention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import Floats1d
from spacy_attn.senses.context import Target
from spacy_attn.senses.inventory import Sense

__all__ = ["Decision", "decide", "fit_temperature", "log_softmax"]

_TIE = 1e-6  # probabilities nearer than this are a tie


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome for one target."""

    sense: Sense
    score: float  # probability of the sense over the candidates
    margin: float  # less that of the runner-up; 1 where there is only one candidate
    ranked: tuple[tuple[str, float], ...]  # (sense id, probability), best first


def log_softmax(scores: Floats1d, temperature: float = 1.0) -> NDArray[np.float64]:
    """Log-probabilities of scores divided by a temperature.

    *Shape:* (n_candidates,) -> (n_candidates,)
    """
    scaled = np.asarray(scores, dtype=np.float64) / temperature
    shifted = scaled - scaled.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()))


def decide(target: Target, scores: Floats1d, temperature: float = 1.0) -> Decision:
    """The best candidate; ties go to the more frequent sense, which stands first.

    Args:
        target: the word and its candidates.
        scores: log-scores from a method. *Shape:* (n_candidates,)
        temperature: above 1 makes the probabilities flatter; fitted on held-out data.
    """
    p = np.exp(log_softmax(scores, temperature))
    rounded = np.round(p / _TIE)
    order = np.argsort(-rounded, kind="stable")
    best = int(order[0])
    margin = float(p[best] - p[order[1]]) if len(order) > 1 else 1.0
    ranked = tuple((target.candidates[i].id, float(p[i])) for i in order)
    return Decision(target.candidates[best], float(p[best]), max(margin, 0.0), ranked)


def fit_temperature(scores: Sequence[Floats1d], gold: Sequence[int]) -> float:
    """The temperature with the least negative log-likelihood of the gold senses.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2.

    Args:
        scores: log-scores of held-out targets.
        gold: index of the right candidate of each.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        temperature = float(np.exp(log_temperature))
        pairs = zip(scores, gold, strict=True)
        return -float(sum(log_softmax(s, temperature)[g] for s, g in pairs))

    best = minimize_scalar(loss, bounds=(np.log(1e-3), np.log(1e3)), method="bounded")
    return float(np.exp(best.x))

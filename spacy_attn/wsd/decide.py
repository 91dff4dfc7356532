"""From log-scores to a decision: probabilities, margin, ranking, abstention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import Floats1d, Floats2d
from spacy_attn.wsd.context import Target
from spacy_attn.wsd.sense import Sense

__all__ = ["Decision", "decide", "decide_all", "fit_temperature", "log_softmax", "margin_between"]

_TIE = 1e-6  # probabilities nearer than this are a tie


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome for one target."""

    sense: Sense
    score: float  # probability of the sense over the candidates
    margin: float  # less that of the runner-up; 1 where there is only one candidate
    # Two tuples, not one of pairs: a text of a million words has millions of candidates, and
    # Python's garbage collector walks through every pair again and again.
    ids: tuple[str, ...]  # of the candidates, best first
    probabilities: tuple[float, ...]  # theirs

    @property
    def ranked(self) -> tuple[tuple[str, float], ...]:
        """(sense id, probability), best first."""
        return tuple(zip(self.ids, self.probabilities, strict=True))


def log_softmax(scores: Floats1d | Floats2d, temperature: float = 1.0) -> NDArray[np.float64]:
    """Log-probabilities of scores divided by a temperature, over the last axis.

    *Shape:* (..., n_candidates), the same
    """
    scaled = np.asarray(scores, dtype=np.float64) / temperature
    shifted = scaled - scaled.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def decide(target: Target, scores: Floats1d, temperature: float = 1.0) -> Decision:
    """The best candidate; ties go to the more frequent sense, which stands first.

    Args:
        target: the word and its candidates.
        scores: log-scores from a method. *Shape:* (n_candidates,)
        temperature: above 1 makes the probabilities flatter; fitted on held-out data.
    """
    if len(target.candidates) == 1:
        return _only(target)
    p, order = _ranking(np.asarray(scores), temperature)
    return _decision(target, p.tolist(), order.tolist())


def decide_all(
    targets: Sequence[Target], scores: Sequence[Floats1d], temperature: float = 1.0
) -> list[Decision]:
    """What :func:`decide` says of each target, computed together for those of equal size.

    Args:
        targets: the words and their candidates.
        scores: log-scores of each. *Shape:* of each (n_candidates,)
        temperature: see :func:`decide`.
    """
    same_size: dict[int, list[int]] = {}
    for i, target in enumerate(targets):
        same_size.setdefault(len(target.candidates), []).append(i)
    decisions: dict[int, Decision] = {}
    for i in same_size.pop(1, ()):
        decisions[i] = _only(targets[i])
    for n, members in same_size.items():
        block = np.concatenate([scores[i] for i in members]).reshape(len(members), n)
        p, order = _ranking(block, temperature)
        for i, row, ranks in zip(members, p.tolist(), order.tolist(), strict=True):
            decisions[i] = _decision(targets[i], row, ranks)
    return [decisions[i] for i in range(len(targets))]


def _ranking(
    scores: Floats1d | Floats2d, temperature: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities, and the candidates from the best to the worst.

    *Shape:* (..., n_candidates), both the same
    """
    p = np.exp(log_softmax(scores, temperature))
    return p, np.argsort(-np.round(p / _TIE), axis=-1, kind="stable")


def _decision(target: Target, p: list[float], order: list[int]) -> Decision:
    candidates = target.candidates
    ids, ranked = tuple([candidates[i].id for i in order]), tuple([p[i] for i in order])
    return Decision(candidates[order[0]], ranked[0], max(ranked[0] - ranked[1], 0.0), ids, ranked)


def _only(target: Target) -> Decision:
    """The one candidate there is: certain, whatever its score."""
    (sense,) = target.candidates
    return Decision(sense, 1.0, 1.0, (sense.id,), (1.0,))


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


def margin_between(log_probabilities: NDArray[np.floating]) -> float:
    """Between the probabilities of the best two. *Shape:* (n_candidates,), two or more"""
    runner_up, best = np.partition(np.exp(log_probabilities), -2)[-2:]
    return float(best - runner_up)

"""From log-scores to a decision: probabilities, margin, ranking, abstention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import Floats1d, Floats2d
from spacy_attn.errors import ConfigError
from spacy_attn.wsd.context import Target
from spacy_attn.wsd.sense import Sense

_TIE = 1e-6  # probabilities nearer than this are a tie


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome for one target."""

    sense: Sense
    score: float  # probability of the sense; what the candidates lack to 1 is "none of these"
    margin: float  # less that of the runner-up; 1 where a given word has only one candidate
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


def log_posterior(
    target: Target, scores: Floats1d, temperature: float = 1.0, reading_weight: float = 0.0
) -> NDArray[np.float64]:
    """Log-probabilities of a target's candidates, its readings counted.

    Within a reading they are the softmax of the scores. Between readings, the probability that
    each had before the text was read is multiplied by the sum of what its candidates have, divided
    by the root of their number (the sum favours words of many senses, the mean those of one), to
    the power of ``reading_weight``: 0 leaves readings as they are, 1 lets the method decide.

    *Shape:* (n_candidates,), the same

    Args:
        target: the word and its candidates.
        scores: log-scores from a method.
        temperature: above 1 makes the probabilities flatter; fitted on held-out data.
        reading_weight: how far the method's scores compare between words.
    """
    if not target.readings:
        return log_softmax(scores, temperature)
    # Plain numbers: a word has a dozen candidates, and numpy takes a microsecond for each call.
    scaled = (np.asarray(scores, dtype=np.float64) / temperature).tolist()
    top = max(scaled)
    within: list[float] = []
    before, after = 0.0, []
    start = 0
    for reading in target.readings:
        part = scaled[start : start + reading.n_senses]
        start += reading.n_senses
        before += reading.probability
        best = max(part)
        if best == -math.inf:  # a method may rule out all senses of a reading
            within += part
            after.append(0.0)
            continue
        total = sum([math.exp(score - best) for score in part])
        whole = math.log(total)
        within += [score - best - whole for score in part]
        weighed = total * math.exp(best - top) / math.sqrt(len(part))
        after.append(reading.probability * weighed**reading_weight)
    scale = before / sum(after)
    sizes = [reading.n_senses for reading in target.readings]
    shares = [math.log(each * scale) if each else -math.inf for each in after]
    return np.asarray(np.array(within) + np.repeat(shares, sizes))


def without_opinion(
    target: Target, scores: Floats1d, is_known: NDArray[np.bool_], temperature: float = 1.0
) -> Floats1d:
    """The scores with which readings that a method cannot score keep their probability.

    The senses of such a reading get scores that make it as good as the others in the mean.

    *Shape:* scores and is_known (n_candidates,) -> the same

    Args:
        target: the word and its candidates.
        scores: log-scores from a method; those that are not known count for nothing.
        is_known: which of them are.
        temperature: see :func:`log_posterior`.
    """
    weights: list[float] = []
    totals: list[float] = []
    start = 0
    for reading in target.readings:
        end = start + reading.n_senses
        if is_known[start:end].all():
            part = np.asarray(scores[start:end], dtype=np.float64) / temperature
            top = part.max()
            whole = float(top + np.log(np.exp(part - top).sum()) - math.log(len(part)) / 2)
            weights.append(reading.probability)
            totals.append(whole)
        start = end
    mean = 0.0
    if totals:
        top = max(totals)
        powers = [math.exp(each - top) for each in totals]
        mean = top + math.log(float(np.average(powers, weights=weights)))
    sizes = np.repeat([r.n_senses for r in target.readings], [r.n_senses for r in target.readings])
    even = mean - (np.log(sizes) / 2 if len(sizes) else 0.0)  # together as good as the mean
    return np.where(is_known, scores, temperature * even).astype(np.float32)


def check_threshold(threshold: Any) -> None:
    """Refuse what is no probability.

    Raises:
        ConfigError: says what is allowed.
    """
    is_number = isinstance(threshold, Real) and not isinstance(threshold, bool)
    if not is_number or not 0.0 <= threshold <= 1.0:
        raise ConfigError(f"threshold = {threshold!r}; allowed is a probability from 0 to 1")


def decide_all(
    targets: Sequence[Target],
    scores: Sequence[Floats1d],
    temperature: float = 1.0,
    reading_weight: float = 0.0,
    covered: Sequence[float] | Floats1d | None = None,
) -> list[Decision]:
    """The best candidate of each target; ties go to the more frequent sense, which stands first.

    Targets that differ in no size go together.

    Args:
        targets: the words and their candidates.
        scores: log-scores of each. *Shape:* of each (n_candidates,)
        temperature: see :func:`log_posterior`.
        reading_weight: see :func:`log_posterior`.
        covered: the probability that one of the candidates is meant at all; None: it is 1.
    """
    shares = np.ones(len(targets)) if covered is None else np.asarray(covered, dtype=np.float64)
    same_size: dict[int, list[int]] = {}
    decisions: dict[int, Decision] = {}
    for i, target in enumerate(targets):
        if len(target.readings) > 1:
            p = np.exp(log_posterior(target, scores[i], temperature, reading_weight)).tolist()
            best_first = sorted(range(len(p)), key=[-round(each / _TIE) for each in p].__getitem__)
            share = float(shares[i])
            decisions[i] = _decision(target, [each * share for each in p], best_first)
        else:
            same_size.setdefault(len(target.candidates), []).append(i)
    for i in same_size.pop(1, ()):
        decisions[i] = _only(targets[i], float(shares[i]))
    for n, members in same_size.items():
        block = np.concatenate([scores[i] for i in members]).reshape(len(members), n)
        block = np.exp(log_softmax(block, temperature))
        order = _order(block)
        block *= np.array([[_given(targets[i]) * shares[i]] for i in members])
        for i, row, ranks in zip(members, block.tolist(), order.tolist(), strict=True):
            decisions[i] = _decision(targets[i], row, ranks)
    return [decisions[i] for i in range(len(targets))]


def _order(p: NDArray[np.float64]) -> NDArray[np.int64]:
    """The candidates from the best to the worst. *Shape:* (..., n_candidates), the same"""
    return np.argsort(-np.round(p / _TIE), axis=-1, kind="stable")


def _decision(target: Target, p: list[float], order: list[int]) -> Decision:
    candidates = target.candidates
    ids, ranked = tuple([candidates[i].id for i in order]), tuple([p[i] for i in order])
    return Decision(candidates[order[0]], ranked[0], max(ranked[0] - ranked[1], 0.0), ids, ranked)


def _given(target: Target) -> float:
    """The probability of a target's only reading."""
    return target.readings[0].probability if target.readings else 1.0


def _only(target: Target, covered: float) -> Decision:
    """The one candidate there is: whatever its score, as certain as its word."""
    (sense,) = target.candidates
    p = _given(target) * covered
    return Decision(sense, p, p, (sense.id,), (p,))


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

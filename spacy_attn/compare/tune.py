"""Temperature and threshold for a target precision: fitted on one half, reported on the other."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import PlainData
from spacy_attn.compare.metrics import Bools1d, calibration_error, interval, is_gold
from spacy_attn.compare.systems import method_config
from spacy_attn.compare.task import Answers, Prediction, Task, right_of
from spacy_attn.errors import ConfigError, RecordError
from spacy_attn.wsd.decide import fit_temperature, log_softmax
from spacy_attn.wsd.methods.registry import MethodSpec

_STEPS = 10_000  # a threshold is a multiple of 1 / _STEPS, so that what is printed is what was used
_LEAST = 1e-300  # stands for a probability that became 0


def tune(
    task: Task, answers: Answers, spec: MethodSpec, inventory: str, precision: float, seed: int = 0
) -> PlainData:
    """Find the threshold above which a method has a target precision.

    The instances are split in two (:func:`halves`). On the first half the temperature with the
    least log-loss is fitted, and the lowest threshold is taken whose decisions have the target
    precision. Precision and coverage are reported on the second half, which neither has seen.

    Args:
        task: what the method was asked.
        answers: what it said.
        spec: the method, for the config block.
        inventory: as it is written in a config.
        precision: above 0, at most 1.
        seed: of the halves and of the intervals.

    Returns:
        ``reached``: whether there is such a threshold. If so ``temperature`` (None where the
        method has none), ``threshold``, ``tuned_on`` and ``held_out`` with what they hold, and
        ``config``, the block to paste; if not, ``best``: the highest precision that any
        threshold gives on the first half, and its coverage.

    Raises:
        ConfigError: the precision is out of range.
        RecordError: there is too little data to part in two.
    """
    check_precision(precision)
    first = halves(task, seed)
    correct = right_of(task, answers.predictions)
    if not (correct & first).any() or first.all():
        raise RecordError(
            f"{task.dataset.name} is too small to tune on: one half of its texts has to hold words "
            "that the method gets right, the other has to hold words at all"
        )
    block = method_config(spec)
    given = method_config(spec, temperature=1.0)
    factor = _fit(task, answers, first) if "temperature" in given else 1.0
    temperature = None
    if "temperature" in given:
        base = answers.details["temperature"]
        temperature = float(f"{base * factor:.4g}")
        factor = temperature / base  # of the printed number, not of the exact one
        block = method_config(spec, temperature=temperature)
    scores = _scores(answers, factor)
    result: PlainData = {"wished": precision, "seed": seed, "temperature": temperature}
    threshold, best = _lowest_threshold(scores[first], correct[first], precision)
    if threshold is None:
        return {**result, "reached": False, "best": best}
    return {
        **result,
        "reached": True,
        "threshold": threshold,
        "tuned_on": _summary(scores[first], correct[first], threshold, seed),
        "held_out": _summary(scores[~first], correct[~first], threshold, seed),
        "config": config_block(inventory, block, threshold),
    }


def check_precision(precision: float) -> None:
    """Refuse a precision that none can be.

    Raises:
        ConfigError: with the allowed range.
    """
    if not 0.0 < precision <= 1.0:
        raise ConfigError(f"--tune {precision}; allowed is a precision above 0 and at most 1")


def halves(task: Task, seed: int = 0) -> Bools1d:
    """Part instances in two halves: by text, and evenly for each lemma.

    Texts come in random order; each goes to the half that has fewer of its lemmas so far, of
    equal halves to the smaller, of equally large ones to a random one.

    *Shape:* (n_instances,), True in the first half
    """
    rng = np.random.default_rng(seed)
    words: dict[int, list[str]] = {}
    for item in task.dataset.instances:
        words.setdefault(item.context, []).append(item.lemma)
    texts = list(words)
    more: Counter[str] = Counter()  # of each lemma, how many more the first half has
    surplus = 0
    in_first = {}
    for i in rng.permutation(len(texts)):
        lemmas = words[texts[i]]
        balance = sum(more[lemma] for lemma in lemmas) or surplus or rng.choice((-1, 1))
        in_first[texts[i]] = balance < 0
        step = 1 if balance < 0 else -1
        for lemma in lemmas:
            more[lemma] += step
            surplus += step
    return np.array([in_first[item.context] for item in task.dataset.instances], dtype=bool)


def config_block(inventory: str, method: dict[str, Any], threshold: float) -> str:
    """The component as it is written in a spaCy config."""
    return (
        "[components.sense_disambiguator]\n"
        'factory = "sense_disambiguator"\n'
        f"inventory = {_value(inventory)}\n"
        f"method = {_value(method)}\n"
        f"threshold = {_value(threshold)}"
    )


def _value(value: object) -> str:
    """A value in a config; a dollar sign is doubled there."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("$", "$$")


def _log_probabilities(prediction: Prediction) -> NDArray[np.float64]:
    """*Shape:* (n_candidates,), best first"""
    return np.log([max(p, _LEAST) for _, p in prediction.ranked])


def _fit(task: Task, answers: Answers, chosen: Bools1d) -> float:
    """What to multiply the method's temperature with.

    Log-probabilities are log-scores over the temperature, up to a constant. Of several right
    senses the likeliest counts; words of which no candidate is right teach nothing.
    """
    scores, gold = [], []
    trios = zip(answers.predictions, task.dataset.instances, task.targets, strict=True)
    for (prediction, item, target), is_taught in zip(trios, chosen, strict=True):
        if prediction is None or not is_taught:
            continue
        right = [k for k, (s, _) in enumerate(prediction.ranked) if is_gold(s, item, target)]
        if right and len(prediction.ranked) > 1:
            scores.append(_log_probabilities(prediction).astype(np.float32))
            gold.append(right[0])
    return fit_temperature(scores, gold) if scores else 1.0


def _scores(answers: Answers, factor: float) -> NDArray[np.float64]:
    """The probability of each decision at another temperature; -1 where there is none.

    *Shape:* (n_instances,)
    """
    return np.array(
        [
            -1.0 if p is None else np.exp(log_softmax(_log_probabilities(p), factor)[0])  # type: ignore[arg-type]
            for p in answers.predictions
        ]
    )


def _lowest_threshold(
    scores: NDArray[np.float64], right: Bools1d, precision: float
) -> tuple[float | None, dict[str, float]]:
    """The lowest threshold that gives the precision, and the best that any gives.

    A threshold lies below the score that it lets through by up to one step, so that the last
    bit of a probability decides nothing.
    """
    steps = np.maximum(np.ceil(scores * _STEPS) - 1, 0)
    best = {"precision": -1.0, "coverage": 0.0}
    for step in np.unique([0.0, *steps[scores >= 0]]):
        answered = (scores >= step / _STEPS) & (scores >= 0)
        found = float(right[answered].mean())
        if found >= precision:
            return float(step / _STEPS), {}
        if found > best["precision"]:
            best = {"precision": found, "coverage": float(answered.mean())}
    return None, best


def _summary(
    scores: NDArray[np.float64], right: Bools1d, threshold: float, seed: int
) -> dict[str, Any]:
    """Precision and coverage of the decisions that are sure enough, and how true scores are."""
    scored = scores >= 0
    answered = scored & (scores >= threshold)
    has_any = bool(answered.any())
    return {
        "n": len(scores),
        "n_answered": int(answered.sum()),
        "coverage": float(answered.mean()),
        "precision": float(right[answered].mean()) if has_any else None,
        "ci95": list(interval(right[answered], seed)) if has_any else None,
        "calibration_error": (
            calibration_error(scores[scored], right[scored]) if scored.any() else None
        ),
    }

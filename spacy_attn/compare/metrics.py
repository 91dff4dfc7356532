"""What is measured: accuracy, macro-F1, its interval, calibration, and both by groups.

Everything is a plain function of what was right and what was predicted; nothing here knows
methods or data sets but :func:`groups_of`, which sorts instances into groups.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from spacy_attn.compare.dataset import Instance
from spacy_attn.wsd.context import Target
from spacy_attn.wsd.inventory.wordnet_files import SUPERSENSES
from spacy_attn.wsd.sense import Sense

Bools1d = NDArray[np.bool_]

_DRAWS = 2000  # of a bootstrap
_BINS = 10  # of a reliability diagram
_SENSE_KEY = re.compile(r"[^%]+%[1-5]:(\d\d):\d\d:")  # senseidx(5WN)


def macro_f1(words: Sequence[str], gold: Sequence[str], predicted: Sequence[str | None]) -> float:
    """Mean over words of the mean F1 over that word's gold senses.

    Args:
        words: the lemma of each instance.
        gold: its sense.
        predicted: the sense that a system chose; None where it chose none.
    """
    right: Counter[tuple[str, str]] = Counter()
    n_gold: Counter[tuple[str, str]] = Counter(zip(words, gold, strict=True))
    n_predicted: Counter[tuple[str, str | None]] = Counter(zip(words, predicted, strict=True))
    for word, sense, chosen in zip(words, gold, predicted, strict=True):
        right[word, sense] += sense == chosen
    by_word: dict[str, list[float]] = {}
    for (word, sense), n in n_gold.items():
        # F1 = 2 tp / (2 tp + fp + fn), and 2 tp + fp + fn = gold + predicted
        f1 = 2 * right[word, sense] / (n + n_predicted[word, sense])
        by_word.setdefault(word, []).append(f1)
    return float(np.mean([np.mean(each) for each in by_word.values()]))


def interval(right: Bools1d, seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval (percentiles) of a share.

    To draw n of n zeros and ones with replacement and count the ones is a binomial draw, so
    nothing has to be drawn one by one.

    *Shape:* (n,) -> two numbers

    Args:
        right: what was right, at least one.
        seed: of the draws.
    """
    n = len(right)
    shares = np.random.default_rng(seed).binomial(n, float(np.mean(right)), _DRAWS) / n
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(low), float(high)


def calibration_error(scores: NDArray[np.float64], right: Bools1d) -> float:
    """Expected calibration error over equal-width bins.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2.

    *Shape:* (n,), (n,) -> a number

    Args:
        scores: probabilities of what was chosen.
        right: whether it was right.
    """
    points = reliability(scores, right)
    return float(
        sum(abs(at["confidence"] - at["accuracy"]) * (at["n"] / len(scores)) for at in points)
    )


def reliability(scores: NDArray[np.float64], right: Bools1d) -> list[dict[str, float | int]]:
    """The points of a reliability diagram: the bins of :func:`calibration_error` that hold any.

    *Shape:* (n,), (n,) -> one point for each bin

    Args:
        scores: probabilities of what was chosen.
        right: whether it was right.
    """
    where = np.minimum((scores * _BINS).astype(int), _BINS - 1)
    return [
        {
            "low": b / _BINS,
            "high": (b + 1) / _BINS,
            "n": int((where == b).sum()),
            "confidence": float(scores[where == b].mean()),
            "accuracy": float(right[where == b].mean()),
        }
        for b in range(_BINS)
        if (where == b).any()
    ]


def mcnemar(right: Bools1d, baseline: Bools1d) -> tuple[int, int, float]:
    """McNemar's exact test of two systems on the same instances.

    McNemar 1947, "Note on the sampling error of the difference between correlated proportions or
    percentages"; the exact form is a two-sided binomial test of those that differ.

    *Shape:* (n,), (n,) -> right here alone, right there alone, p
    """
    from scipy.stats import binomtest

    only, other = int((right & ~baseline).sum()), int((baseline & ~right).sum())
    p = float(binomtest(only, only + other).pvalue) if only + other else 1.0
    return only, other, p


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number.

    Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    n, out, least = len(p_values), [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(n), key=p_values.__getitem__)):
        least = max(least, min(1.0, (n - rank) * p_values[i]))
        out[i] = least
    return out


def accuracy_by(groups: Sequence[str], right: Bools1d) -> dict[str, float]:
    """Accuracy of each group in the order of its first instance; "" is no group."""
    labels = np.array(groups)
    return {name: float(right[labels == name].mean()) for name in dict.fromkeys(groups) if name}


def is_gold(sense: str, instance: Instance, target: Target | None) -> bool:
    """Whether a sense is right: by its id, or by a WordNet key that the inventory gives it."""
    if sense in instance.gold:
        return True
    candidates: tuple[Sense, ...] = target.candidates if target is not None else ()
    found = next((each for each in candidates if each.id == sense), None)
    return found is not None and any(key in instance.gold for key in found.wordnet)


def supersense_of(sense: str, known: dict[str, str]) -> str:
    """The supersense of a WordNet key, or the one that an inventory gives; "" for none."""
    found = _SENSE_KEY.match(sense)
    if found is None:
        return known.get(sense, "")
    number = int(found[1])
    return SUPERSENSES[number] if number < len(SUPERSENSES) else ""


def groups_of(
    instances: Sequence[Instance],
    targets: Sequence[Target | None],
    seen: Callable[[Sense], bool] | None = None,
) -> dict[str, Bools1d]:
    """Groups of instances that tell what a score is made of; they overlap.

    ``ambiguous``: there is a choice. ``first`` and ``not_first``: whether the first sense of the
    frequency order is right. With ``seen``: ``unseen_lemma``, of which no sense was trained on, and
    ``unseen_sense``, of which no right sense was.

    *Shape:* for each group (n_instances,)

    Args:
        instances: the words.
        targets: their candidates.
        seen: whether a sense was in the training data.
    """
    names = ["ambiguous", "first", "not_first"]
    names += ["unseen_lemma", "unseen_sense"] if seen else []
    groups = {name: np.zeros(len(instances), dtype=bool) for name in names}
    trained: dict[Hashable, bool] = {}
    for i, (instance, target) in enumerate(zip(instances, targets, strict=True)):
        if target is None:
            continue
        candidates = target.candidates
        right = [is_gold(sense.id, instance, target) for sense in candidates]
        groups["ambiguous"][i] = len(candidates) > 1
        groups["first"][i] = right[0]
        groups["not_first"][i] = not right[0]
        if seen:
            for sense in candidates:
                if sense.id not in trained:
                    trained[sense.id] = seen(sense)
            known = [trained[sense.id] for sense in candidates]
            groups["unseen_lemma"][i] = not any(known)
            taught = any(k and r for k, r in zip(known, right, strict=True))
            groups["unseen_sense"][i] = any(right) and not taught
    return {name: members for name, members in groups.items() if members.any()}

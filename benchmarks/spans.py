"""Precision, recall and F1 of labelled spans, and their bootstrap over texts.

Counts are always (right, found, gold).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import SEED, Result, rounded
from spacy_attn.classic.sequence import LabelledSpan

Counts = NDArray[np.int64]  # (..., 3)


def count(
    gold: Sequence[Iterable[LabelledSpan]], found: Sequence[Iterable[LabelledSpan]]
) -> dict[str, Counts]:
    """For each label the counts of each text. *Shape:* (n_texts, 3)"""
    labels = sorted({label for spans in (*gold, *found) for *_, label in spans})
    counts = {label: np.zeros((len(gold), 3), dtype=np.int64) for label in labels}
    for i, (wanted, got) in enumerate(zip(map(set, gold), map(set, found), strict=True)):
        for column, spans in enumerate((wanted & got, got, wanted)):
            for *_, label in spans:
                counts[label][i, column] += 1
    return counts


def by_text(
    gold: Sequence[Iterable[LabelledSpan]], found: Sequence[Iterable[LabelledSpan]]
) -> Counts:
    """The counts of each text over all labels. *Shape:* (n_texts, 3)"""
    return sum(count(gold, found).values(), np.zeros((len(gold), 3), dtype=np.int64))


def f1(counts: Any) -> Any:
    """F1; 0 where there is nothing at all. *Shape:* (..., 3) -> (...)"""
    counts = np.asarray(counts)
    return 2 * counts[..., 0] / np.maximum(counts[..., 1] + counts[..., 2], 1)


def fractions(counts: Any) -> dict[str, float]:
    """Precision, recall and F1. *Shape:* (3,)"""
    right, found, gold = (int(n) for n in counts)
    return {
        "precision": round(right / max(found, 1), 4),
        "recall": round(right / max(gold, 1), 4),
        "f1": round(float(f1(counts)), 4),
    }


def interval(counts: NDArray[Any], statistic: Callable[[Any], Any] = f1) -> list[float]:
    """95 % bootstrap interval of a statistic of summed counts, texts drawn with replacement.

    *Shape:* (n_texts, k)

    Args:
        counts: of each text.
        statistic: of (..., k).
    """
    n = len(counts)
    times = np.random.default_rng(SEED).multinomial(n, np.full(n, 1 / n), 5000)
    return rounded(np.quantile(statistic(times @ counts), [0.025, 0.975]))


def difference(counts: Counts, other: Counts) -> list[float]:
    """The interval of the difference in F1 of two systems on the same texts.

    *Shape:* two (n_texts, 3)
    """
    both = np.hstack([counts, other])
    return interval(both, lambda sums: f1(sums[..., :3]) - f1(sums[..., 3:]))


def by_label(counts: dict[str, Counts]) -> Result:
    """Of each label the fractions, and n of the gold spans."""
    return {
        label: {"n": int(each[:, 2].sum()), **fractions(each.sum(axis=0))}
        for label, each in counts.items()
    }

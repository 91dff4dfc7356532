"""How far an explanation can be trusted: take the words away that it names, and see.

*Comprehensiveness*: how far the probability of the chosen sense falls without the words that weigh
most; *sufficiency*: how far it falls with those words alone (DeYoung et al. 2020, "ERASER: A
Benchmark to Evaluate Rationalized NLP Models", section 4). A good explanation has a high
comprehensiveness and a sufficiency near 0, and both are told beside those of as many random
words, since taking any words away harms. *Agreement* is Spearman's rank correlation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from spacy_attn.errors import ConfigError
from spacy_attn.explain.attribution import Weights
from spacy_attn.explain.decision import Subject
from spacy_attn.explain.occlusion import context_words, log_probabilities_without

SHARE = 0.2  # of the words, that are taken away or kept; at least one
DRAWS = 10  # of random words


@dataclass(frozen=True, slots=True)
class Trust:
    """Falls of the chosen sense's probability, -1 to 1."""

    n_words: int  # that were taken away or kept
    comprehensiveness: float  # without them
    comprehensiveness_random: float  # without as many others, mean over draws
    sufficiency: float  # with them alone
    sufficiency_random: float

    @property
    def is_better_than_random(self) -> bool:
        """Whether the named words matter more than others, both attributions."""
        return (
            self.comprehensiveness > self.comprehensiveness_random
            and self.sufficiency < self.sufficiency_random
        )


def trust(
    subject: Subject, weighed: Sequence[Weights], share: float = SHARE, draws: int = DRAWS
) -> list[Trust]:
    """Comprehensiveness and sufficiency of some explanations of one decision.

    Args:
        subject: the decision.
        weighed: the explanations.
        share: of the words of the context, that count as named.
        draws: how often random words are drawn; the same ones in every run.

    Raises:
        ConfigError: share or draws is outside its range.
    """
    if not 0.0 < share <= 1.0 or draws < 1:
        raise ConfigError(
            f"share = {share} and draws = {draws}: allowed are 0 < share <= 1 and draws >= 1"
        )
    words = context_words(subject.context, subject.target)
    if not words:
        return [Trust(0, 0.0, 0.0, 0.0, 0.0) for _ in weighed]
    k = max(1, round(share * len(words)))
    rng = np.random.default_rng(_seed(subject))
    drawn = [rng.choice(words, size=k, replace=False).tolist() for _ in range(draws)]
    named = [weights.top(k) for weights in weighed]
    without = [(), *named, *drawn]
    alone = [[w for w in words if w not in set(kept)] for kept in (*named, *drawn)]
    log_p = log_probabilities_without(
        subject.fitted, subject.context, subject.target, [*without, *alone]
    )
    p = np.exp(log_p[:, subject.chosen])
    falls = p[0] - p[1:]
    gone, kept = np.split(falls, 2)
    n = len(named)
    random_gone, random_kept = float(gone[n:].mean()), float(kept[n:].mean())
    return [Trust(k, float(gone[i]), random_gone, float(kept[i]), random_kept) for i in range(n)]


def agreement(weighed: Sequence[Weights]) -> dict[tuple[str, str], float | None]:
    """Rank correlation of each two explanations; None where one weighs all words alike."""
    from scipy.stats import spearmanr

    out: dict[tuple[str, str], float | None] = {}
    for one, other in combinations(weighed, 2):
        a, b = (np.array([w.values[i] for i in w.words]) for w in (one, other))
        if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
            out[one.attribution, other.attribution] = None
        else:
            out[one.attribution, other.attribution] = float(spearmanr(a, b).statistic)
    return out


def _seed(subject: Subject) -> int:
    key = f"trust\n{subject.target.start}\n{subject.context.text}"
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")

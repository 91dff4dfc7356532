"""How much each tagged word counts, and which senses its corpus makes likely beforehand.

A sense with a thousand tags must not drown one with four, and a corpus that was written for rare
senses must not teach that they are frequent. So

* a word of a sense with ``n`` tags weighs ``min(1, cap / n) * n ** -balance``, times the weight of
  its corpus;
* while training on a corpus ``c`` other than the natural ones (SemCor, running texts), ``shift``
  times ``log p_c(sense) - log p_natural(sense)`` is added to the scores: the corpus' own
  frequencies explain its answers, and the vectors need not (Menon et al., "Long-tail learning via
  logit adjustment", ICLR 2021). Nothing is added when the model is used.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from spacy_attn.train.rows import Row, RowTarget

NATURAL = frozenset({"semcor", "texts"})
_SMOOTHING = 0.5  # tags that every sense has in every corpus

Corpus = tuple[str, list[Row]]  # genre, and the rows of one document
Sense = tuple[tuple[int, ...], int]  # the candidates of a word, and which of them


def balanced(
    documents: Sequence[Corpus],
    weight: Callable[[str], float],
    *,
    cap: int = 0,
    balance: float = 0.0,
    shift: float = 0.0,
    untagged: float = 1.0,
) -> list[list[Row]]:
    """The documents with a weight, a shift and a number for each target.

    Args:
        documents: genre and rows of each.
        weight: of a genre.
        cap: tags of a sense that count fully; 0 counts all.
        balance: exponent of a sense's number of tags, 0 to 1.
        shift: how much of a corpus' own frequencies is added to the scores, 0 to 1.
        untagged: weight of a word that may be any of its senses: a teacher alone says which.
    """
    counts: dict[str, Counter[Sense]] = {}
    for genre, rows in documents:
        counts.setdefault(genre, Counter()).update(_senses(rows))
    total: Counter[Sense] = Counter()
    for each in counts.values():
        total.update(each)
    natural: Counter[Sense] = Counter()
    for genre in NATURAL:
        natural.update(counts.get(genre, ()))
    number = 0
    out = []
    for genre, rows in documents:
        new_rows = []
        for row in rows:
            targets = []
            for target in row.targets:
                own = untagged
                if allowed := _allowed(target):
                    n = max(total[sense] for sense in allowed)
                    own = (min(1.0, cap / n) if cap else 1.0) * n**-balance
                moved: tuple[float, ...] = ()
                if shift and genre not in NATURAL and allowed:
                    moved = _shifts(target, counts[genre], natural, shift)
                targets.append(
                    replace(target, weight=own * weight(genre), shift=moved, number=number)
                )
                number += 1
            new_rows.append(replace(row, targets=targets))
        out.append(new_rows)
    return out


def _allowed(target: RowTarget) -> list[Sense]:
    if all(target.allowed):
        return []
    return [(target.candidates, i) for i, right in enumerate(target.allowed) if right]


def _senses(rows: Iterable[Row]) -> Iterable[Sense]:
    for row in rows:
        for target in row.targets:
            yield from _allowed(target)


def _shifts(
    target: RowTarget, here: Counter[Sense], natural: Counter[Sense], shift: float
) -> tuple[float, ...]:
    senses = [(target.candidates, i) for i in range(len(target.candidates))]
    return tuple(
        shift * math.log((here[s] + _SMOOTHING) / (natural[s] + _SMOOTHING)) for s in senses
    )

"""One word in many sentences, in two dimensions: static vectors beside contextual ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from spacy_attn._types import Encoder, Floats2d, PlainData, StaticVectors
from spacy_attn.compare.systems import Task
from spacy_attn.wsd.context import Target
from spacy_attn.wsd.methods.attention import occurrences, unit_parts

if TYPE_CHECKING:
    from spacy_attn.compare.datasets import Instance

__all__ = ["vector_map"]

_RADIUS = 25  # tokens of context, as in the attention method
_FAVOURITE = ("bat", "NOUN")


def vector_map(
    task: Task,
    encoder: Encoder,
    static: StaticVectors,
    lemma: str | None = None,
    pos: str | None = None,
) -> PlainData | None:
    """The places of a word's instances; None where no word has three.

    Both are the first two principal components (scikit-learn's PCA) over the instances: of the
    word's static vector, which is one and the same, and of its target and context vectors side by
    side, as the attention method reads them.

    Args:
        task: texts and words.
        encoder: makes contextual vectors.
        static: a word has the same vector in every text.
        lemma: the word; None takes "bat", else the one with most instances.
        pos: its part of speech.
    """
    word = (lemma, pos) if lemma and pos else _choose(task)
    pairs = [
        (item, target)
        for item, target in zip(task.dataset.instances, task.targets, strict=True)
        if target is not None and (item.lemma, item.pos) == word
    ]
    if len(pairs) < 3:
        return None
    targets = [target for _, target in pairs]
    parts = unit_parts(_occurrences(task, targets, encoder))
    # The word's own vector, whatever its form: a static table knows no context.
    rows = np.repeat(static.vectors([word[0]]), len(pairs), axis=0)
    places, share = _project(parts)
    points = [
        _point(item, still, moved)
        for (item, _), still, moved in zip(pairs, _project(rows)[0], places, strict=True)
    ]
    return {
        "lemma": word[0],
        "pos": word[1],
        "points": points,
        "method": f"PCA of {parts.shape[1]} dimensions; {100 * share:.0f} % of the variance",
    }


def _choose(task: Task) -> tuple[str, str]:
    counts = Counter((item.lemma, item.pos) for item in task.dataset.instances)
    return _FAVOURITE if counts[_FAVOURITE] >= 3 else counts.most_common(1)[0][0]


def _occurrences(task: Task, targets: Sequence[Target], encoder: Encoder) -> Floats2d:
    used = sorted({target.context for target in targets})
    contexts = [task.contexts[i] for i in used]
    arrays = encoder.encode([c.text for c in contexts], [c.offsets for c in contexts])
    encoded = [replace(c, contextual=a) for c, a in zip(contexts, arrays, strict=True)]
    moved = [replace(target, context=used.index(target.context)) for target in targets]
    return occurrences(encoded, moved, _RADIUS)


def _project(rows: Floats2d) -> tuple[Floats2d, float]:
    """Two principal components and their share of the variance. *Shape:* (n, width) -> (n, 2)"""
    from sklearn.decomposition import PCA

    if np.ptp(rows, axis=0).max() == 0:  # all the same: PCA would divide zero by zero
        return np.zeros((len(rows), 2), dtype=np.float32), 0.0
    pca = PCA(2, svd_solver="full").fit(rows.astype(np.float64))
    places = pca.transform(rows.astype(np.float64)).astype(np.float32)
    return places, float(pca.explained_variance_ratio_.sum())


def _point(item: Instance, still: Floats2d, moved: Floats2d) -> PlainData:
    return {
        "instance": item.id,
        "sense": item.gold[0],
        "static": [round(float(x), 4) for x in still],
        "attention": [round(float(x), 4) for x in moved],
    }

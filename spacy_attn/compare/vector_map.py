"""One word in many sentences, in two dimensions: static vectors beside contextual ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from spacy_attn._types import Encoder, Floats2d, PlainData
from spacy_attn.classic.vectors import shared_vectors
from spacy_attn.compare.systems import MethodSystem
from spacy_attn.compare.task import OnProgress, Task
from spacy_attn.errors import ConfigError
from spacy_attn.wsd.context import Target
from spacy_attn.wsd.method import encoder_of
from spacy_attn.wsd.methods.occurrence import occurrences, unit_parts

_RADIUS = 25  # tokens of context, as in the attention method
_FAVOURITE = ("bat", "NOUN")


def vector_map(system: MethodSystem, task: Task, on_progress: OnProgress) -> PlainData | None:
    """The places of the instances of "bat", else of the word with most; None for fewer than three.

    Both are the first two principal components (scikit-learn's PCA) over the instances: of the
    word's static vector, which is one and the same, and of its target and context vectors side by
    side, as the attention method reads them.

    Args:
        system: a method with an encoder, which makes the contextual vectors.
        task: texts and words.
        on_progress: not called.

    Raises:
        ResourceError: there are no static vectors.
    """
    encoder = encoder_of(system.prepared(task))
    if encoder is None:
        raise ConfigError("a vector map needs a method with an encoder, such as attention")
    counts = Counter((item.lemma, item.pos) for item in task.dataset.instances)
    word = _FAVOURITE if counts[_FAVOURITE] >= 3 else counts.most_common(1)[0][0]
    pairs = [
        (item, target)
        for item, target in zip(task.dataset.instances, task.targets, strict=True)
        if target is not None and (item.lemma, item.pos) == word
    ]
    if encoder is None or len(pairs) < 3:
        return None
    parts = unit_parts(_occurrences(task, [target for _, target in pairs], encoder))
    # The word's own vector, whatever its form: a static table knows no context.
    still = np.repeat(shared_vectors(None, "zero").vectors([word[0]]), len(pairs), axis=0)
    static, (attention, share) = _project(still)[0], _project(parts)
    points = [
        {
            "instance": item.id,
            "sense": item.gold[0],
            "static": [round(float(x), 4) for x in static[i]],
            "attention": [round(float(x), 4) for x in attention[i]],
        }
        for i, (item, _) in enumerate(pairs)
    ]
    said = f"PCA of {parts.shape[1]} dimensions; {100 * share:.0f} % of the variance"
    return {"lemma": word[0], "pos": word[1], "points": points, "method": said}


def _occurrences(task: Task, targets: list[Target], encoder: Encoder) -> Floats2d:
    used = sorted({target.context for target in targets})
    contexts = [task.contexts[i] for i in used]
    arrays = encoder.encode([c.text for c in contexts], [c.offsets for c in contexts])
    moved = [replace(target, context=used.index(target.context)) for target in targets]
    return occurrences(contexts, arrays, moved, _RADIUS)


def _project(rows: Floats2d) -> tuple[Floats2d, float]:
    """Two principal components and their share of the variance. *Shape:* (n, width) -> (n, 2)"""
    from sklearn.decomposition import PCA

    if np.ptp(rows, axis=0).max() == 0:  # all the same: PCA would divide zero by zero
        return np.zeros((len(rows), 2), dtype=np.float32), 0.0
    exact = rows.astype(np.float64)
    pca = PCA(2, svd_solver="full").fit(exact)
    return pca.transform(exact).astype(np.float32), float(pca.explained_variance_ratio_.sum())

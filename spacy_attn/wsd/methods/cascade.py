"""A cheap method where it is sure, attention elsewhere.

The cheap method decides a target if the margin between its best two senses, as calibrated
probabilities, is at least ``margin``; the others are decided by the second method, and only what
that one reads is encoded (a cascade as in Viola and Jones, "Rapid object detection using a boosted
cascade of simple features", CVPR 2001).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spacy_attn._types import Encoder, Floats1d, TokenRange
from spacy_attn.wsd.context import Context, FittedMethod, Target, as_decided, reads_of
from spacy_attn.wsd.decide import log_softmax, margin_between

__all__ = ["Cascade"]


class Cascade:
    """See the module.

    Args:
        cheap: asked first; it must need no vectors of an encoder.
        second: asked where the first is not sure.
        margin: the least difference between the probabilities of the first's best two senses at
            which it decides: 0 leaves all to the first, above 1 all to the second.
    """

    name = "cascade"
    temperature = 1.0

    def __init__(self, cheap: FittedMethod, second: FittedMethod, margin: float) -> None:
        self.cheap, self.second, self.margin = cheap, second, margin

    @property
    def encoder(self) -> Encoder | None:
        """That of the second method."""
        return self.second.encoder

    def score(self, contexts: Sequence[Context], targets: Sequence[Target]) -> list[Floats1d]:
        """Log-probabilities by the method that decides. *Shape:* for each target (n_candidates,)"""
        scores, unsure = self._ask_cheap(contexts, targets)
        if unsure:
            answers = self.second.score(contexts, [targets[i] for i in unsure])
            for i, answer in zip(unsure, answers, strict=True):
                scores[i] = _log_probabilities(answer, self.second.temperature)
        return scores

    def reads(
        self, contexts: Sequence[Context], targets: Sequence[Target]
    ) -> list[list[TokenRange]]:
        """What the second method looks at for the targets that are left to it."""
        unsure = self._ask_cheap(contexts, targets)[1]
        return reads_of(self.second, contexts, [targets[i] for i in unsure])

    def steady(self, context: Context, target: Target) -> FittedMethod:
        """The method that decides one target of a text."""
        if not self._ask_cheap([context], [target])[1]:
            return self.cheap
        return as_decided(self.second, context, target)

    def _ask_cheap(
        self, contexts: Sequence[Context], targets: Sequence[Target]
    ) -> tuple[list[Floats1d], list[int]]:
        """Its log-probabilities, and the targets of which it is not sure."""
        answers = self.cheap.score(contexts, targets)
        scores = [_log_probabilities(answer, self.cheap.temperature) for answer in answers]
        unsure = [i for i, answer in enumerate(scores) if margin_between(answer) < self.margin]
        return scores, unsure


def _log_probabilities(scores: Floats1d, temperature: float) -> Floats1d:
    return log_softmax(scores, temperature).astype(np.float32)

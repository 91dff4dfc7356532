"""Several methods asked at once, their log-probabilities added.

Each method's scores are calibrated by its own temperature first; the sum is a logarithmic opinion
pool with equal weights (Genest and Zidek, "Combining probability distributions: a critique and an
annotated bibliography", Statistical Science 1986). Methods that err for different reasons correct
each other: a word list misses what it does not know, an encoder what stands far away.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from spacy_attn._types import Encoder, Floats1d, TokenRange
from spacy_attn.errors import ConfigError
from spacy_attn.wsd.context import Context, FittedMethod, Target, as_decided, reads_of
from spacy_attn.wsd.decide import log_softmax

__all__ = ["Ensemble"]


class Ensemble:
    """See the module.

    Args:
        methods: two or more; all that need an encoder need the same.
        temperature: see :func:`~spacy_attn.wsd.decide.decide`; the sum is surer than it should
            be, since the methods read the same text.

    Raises:
        ConfigError: two of them need vectors of different encoders.
    """

    name = "ensemble"

    def __init__(self, methods: Sequence[FittedMethod], temperature: float = 1.0) -> None:
        self.methods, self.temperature = tuple(methods), temperature
        needed = {m.encoder.identity: m.name for m in methods if m.encoder is not None}
        if len(needed) > 1:
            raise ConfigError(
                f"methods = {list(needed.values())} need vectors of {len(needed)} encoders; legal "
                "are methods that share one, such as attention, word2vec and lesk_extended"
            )

    @property
    def encoder(self) -> Encoder | None:
        """The one that some of the methods need."""
        return next((m.encoder for m in self.methods if m.encoder is not None), None)

    def score(self, contexts: Sequence[Context], targets: Sequence[Target]) -> list[Floats1d]:
        """Sums of log-probabilities. *Shape:* for each target (n_candidates,)"""
        answers = [
            [log_softmax(each, method.temperature) for each in method.score(contexts, targets)]
            for method in self.methods
        ]
        return [np.sum(each, axis=0, dtype=np.float32) for each in zip(*answers, strict=True)]

    def steady(self, context: Context, target: Target) -> Ensemble:
        """The same methods, each as it decides one target of a text."""
        fixed = copy.copy(self)
        fixed.methods = tuple(as_decided(method, context, target) for method in self.methods)
        return fixed

    def reads(
        self, contexts: Sequence[Context], targets: Sequence[Target]
    ) -> list[list[TokenRange]]:
        """What the methods with an encoder look at."""
        out: list[list[TokenRange]] = [[] for _ in contexts]
        for method in self.methods:
            if method.encoder is not None:
                for ranges, more in zip(out, reads_of(method, contexts, targets), strict=True):
                    ranges += more
        return [sorted(ranges) for ranges in out]

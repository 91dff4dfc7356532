"""A cheap method where it is sure, attention elsewhere.

The cheap method decides a target if the margin between its best two senses, as calibrated
probabilities, is at least ``margin``; the others are decided by the second method, and only what
that one reads is encoded (a cascade as in Viola and Jones, "Rapid object detection using a boosted
cascade of simple features", CVPR 2001).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from spacy_attn._types import Encoder, Floats1d
from spacy_attn.errors import ConfigError
from spacy_attn.wsd.context import Resources, Target
from spacy_attn.wsd.decide import log_softmax, margin_between
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.method import (
    BuiltInMethod,
    FittedMethod,
    Needs,
    SenseMethod,
    as_decided,
    encoder_of,
)
from spacy_attn.wsd.methods.registry import sense_method, with_model
from spacy_attn.wsd.vectors import Texts

CASCADE_MARGIN = 0.9  # loses 0.3 points at most on held-out examples: benchmarks/speed/selective.py


def cascade_v1(
    cheap: str | dict[str, Any] | SenseMethod = "word2vec",
    second: str | dict[str, Any] | SenseMethod = "attention",
    margin: float = CASCADE_MARGIN,
    model: str | None = None,
) -> SenseMethod:
    """A cheap method where it is sure, attention elsewhere.

    Args:
        cheap: asked first; a name, or a method with arguments.
        second: asked where the first is not sure.
        margin: of the first's two best probabilities, at which it decides: from 0 (always) to 1.
        model: that of ``second``, where it is named alone; see :func:`~.attention.attention_v1`.
    """
    if not 0.0 <= margin <= 1.0:
        raise ConfigError(f"margin = {margin}; allowed is 0 (all to the cheap method) to 1")
    cheap, second = with_model([cheap, second], model)
    methods = sense_method(cheap, "cheap"), sense_method(second, "second")
    make = partial(_make, cheap=methods[0], second=methods[1], margin=margin)
    return BuiltInMethod("cascade", make, Needs.of(methods))


def _make(
    inventory: SenseInventory,
    resources: Resources,
    *,
    cheap: SenseMethod,
    second: SenseMethod,
    margin: float,
) -> FittedMethod:
    first = cheap.prepare(inventory, resources)
    if encoder_of(first) is not None:
        raise ConfigError(
            f"cheap = {first.name!r} needs an encoder itself; choose one that does not, such as "
            "word2vec or lesk_extended"
        )
    return Cascade(first, second.prepare(inventory, resources), margin)


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
        return encoder_of(self.second)

    def score(self, texts: Texts, targets: Sequence[Target]) -> list[Floats1d]:
        """Log-probabilities by the method that decides. *Shape:* for each target (n_candidates,)"""
        scores, unsure = self._ask_cheap(texts, targets)
        if unsure:
            answers = self.second.score(texts, [targets[i] for i in unsure])
            for i, answer in zip(unsure, answers, strict=True):
                scores[i] = _log_probabilities(answer, self.second.temperature)
        return scores

    def as_decided(self, texts: Texts, target: Target) -> FittedMethod:
        """The method that decides one target of a text."""
        if not self._ask_cheap(texts, [target])[1]:
            return self.cheap
        return as_decided(self.second, texts, target)

    def _ask_cheap(
        self, texts: Texts, targets: Sequence[Target]
    ) -> tuple[list[Floats1d], list[int]]:
        """Its log-probabilities, and the targets of which it is not sure."""
        answers = self.cheap.score(texts, targets)
        scores = [_log_probabilities(answer, self.cheap.temperature) for answer in answers]
        unsure = [i for i, answer in enumerate(scores) if margin_between(answer) < self.margin]
        return scores, unsure


def _log_probabilities(scores: Floats1d, temperature: float) -> Floats1d:
    return log_softmax(scores, temperature).astype(np.float32)

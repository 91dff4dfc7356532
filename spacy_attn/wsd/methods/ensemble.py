"""Several methods asked at once, their log-probabilities added.

Each method's scores are calibrated by its own temperature first; the sum is a logarithmic opinion
pool with equal weights (Genest and Zidek, "Combining probability distributions: a critique and an
annotated bibliography", Statistical Science 1986). Methods that err for different reasons correct
each other: a word list misses what it does not know, an encoder what stands far away.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from spacy_attn._types import Encoder, Floats1d
from spacy_attn.errors import ConfigError
from spacy_attn.wsd.context import Resources, Target
from spacy_attn.wsd.decide import log_softmax
from spacy_attn.wsd.inventory.protocol import SenseInventory
from spacy_attn.wsd.method import (
    BuiltInMethod,
    FittedMethod,
    Needs,
    SenseMethod,
    as_decided,
    encoder_of,
)
from spacy_attn.wsd.methods.calibration import temperature_of
from spacy_attn.wsd.methods.registry import check_arguments, sense_method, with_model
from spacy_attn.wsd.vectors import Texts

MEMBERS = ("attention", "word2vec", "lesk_extended")


def ensemble_v1(
    methods: Sequence[str | dict[str, Any] | SenseMethod] = MEMBERS,
    temperature: float | None = None,
    model: str | None = None,
) -> SenseMethod:
    """Several methods at once, their calibrated log-probabilities added.

    Args:
        methods: two or more; names, or methods with arguments.
        temperature: divides the sums; None takes the fitted one of the default methods.
        model: that of methods which are named alone; see :func:`~.attention.attention_v1`.
    """
    check_arguments(temperature)
    if isinstance(methods, str) or len(methods) < 2:
        raise ConfigError(
            f"methods = {methods!r}; allowed are two or more, such as {list(MEMBERS)}"
        )
    members = tuple(sense_method(method, "methods") for method in with_model(methods, model))
    make = partial(_make, methods=members, temperature=temperature)
    return BuiltInMethod("ensemble", make, Needs.of(members))


def _make(
    inventory: SenseInventory,
    resources: Resources,
    *,
    methods: Sequence[SenseMethod],
    temperature: float | None,
) -> FittedMethod:
    fitted = [method.prepare(inventory, resources) for method in methods]
    models = [resources.sense_model(path) for path in Needs.of(methods).models]
    return Ensemble(fitted, temperature_of("ensemble", temperature, next(iter(models), None)))


class Ensemble:
    """See the module.

    Args:
        methods: two or more; all that need an encoder need the same.
        temperature: see :func:`~spacy_attn.wsd.decide.log_posterior`; the sum is surer than it
            should be, since the methods read the same text.

    Raises:
        ConfigError: two of them need vectors of different encoders.
    """

    name = "ensemble"

    def __init__(self, methods: Sequence[FittedMethod], temperature: float = 1.0) -> None:
        self.methods, self.temperature = tuple(methods), temperature
        pairs = [(encoder_of(method), method.name) for method in methods]
        needed = {encoder.identity: name for encoder, name in pairs if encoder is not None}
        if len(needed) > 1:
            raise ConfigError(
                f"methods = {list(needed.values())} need vectors of {len(needed)} encoders; "
                "allowed are methods that share one, such as attention, word2vec and lesk_extended"
            )

    @property
    def encoder(self) -> Encoder | None:
        """The one that some of the methods need."""
        return next(filter(None, map(encoder_of, self.methods)), None)

    def score(self, texts: Texts, targets: Sequence[Target]) -> list[Floats1d]:
        """Sums of log-probabilities. *Shape:* for each target (n_candidates,)"""
        answers = [
            [log_softmax(each, method.temperature) for each in method.score(texts, targets)]
            for method in self.methods
        ]
        return [np.sum(each, axis=0, dtype=np.float32) for each in zip(*answers, strict=True)]

    def as_decided(self, texts: Texts, target: Target) -> Ensemble:
        """The same methods, each as it decides one target of a text."""
        methods = [as_decided(method, texts, target) for method in self.methods]
        return Ensemble(methods, self.temperature)

"""Rows of a comparison: sense methods, and published predictions of systems that are not here.

A sense method of your own needs no system: register it under ``spacy_attn_sense_methods``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from inspect import signature
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.util import registry

from spacy_attn._types import CountingEncoder, PlainData
from spacy_attn.compare.dataset import read_keys
from spacy_attn.compare.task import Answers, OnProgress, Prediction, Task
from spacy_attn.errors import RecordError
from spacy_attn.wsd.context import Context, Target
from spacy_attn.wsd.engine import disambiguate
from spacy_attn.wsd.method import FittedMethod, encoder_of
from spacy_attn.wsd.methods.registry import MethodSpec, files_of, sense_method, short_names

_BATCH = 256  # texts scored together
_WARM_UP = 16  # texts scored before the clock runs


def method_config(spec: MethodSpec, **settings: Any) -> dict[str, Any]:
    """The config block of a method, with further settings where the method has them."""
    short = short_names()
    block = {"@sense_methods": short.get(spec, spec)} if isinstance(spec, str) else dict(spec)
    make = registry.sense_methods.get(block["@sense_methods"])  # type: ignore[attr-defined]
    known = signature(make).parameters
    return {**block, **{name: value for name, value in settings.items() if name in known}}


def check_method(nlp: Language, inventory: str, spec: MethodSpec) -> None:
    """Refuse a method that does not exist or that cannot take the inventory; loads no model.

    Raises:
        ConfigError: says which are allowed.
    """
    sense_method(spec)
    nlp.create_pipe("sense_disambiguator", config={"inventory": inventory, "method": spec})


@dataclass(frozen=True)
class MethodSystem:
    """A sense method as a system, scored as the component scores it.

    Words per second are those of scoring alone, vectors included: the method is prepared and
    has scored some texts before the clock runs. The first result is that of one text, in a
    process that has imported what it needs.
    """

    spec: MethodSpec
    _prepared: dict[str, FittedMethod] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __reduce__(self) -> tuple[type[MethodSystem], tuple[MethodSpec]]:
        """Another process prepares the method itself."""
        return MethodSystem, (self.spec,)

    def prepared(self, task: Task) -> FittedMethod:
        """The method, made ready once for all tasks of an inventory."""
        key = task.inventory.digest
        if key not in self._prepared:
            self._prepared.clear()
            method = sense_method(self.spec)
            self._prepared[key] = method.prepare(task.inventory, task.resources)
        return self._prepared[key]

    def __call__(self, task: Task, on_progress: OnProgress) -> Answers:
        """Predict every instance that has candidates."""
        batches = list(_batches(task))
        started = time.perf_counter()
        fitted = self.prepared(task)
        prepared = time.perf_counter()
        if batches:
            _decide(fitted, _part(batches[0], 1))
        first = time.perf_counter()
        if batches:
            _decide(fitted, _part(batches[0], _WARM_UP))
        warm = time.perf_counter()
        predictions: list[Prediction | None] = [None] * len(task.targets)
        n_encoded = _n_encoded(fitted)
        n_texts = n_tokens = 0
        for batch in batches:
            for owner, prediction in zip(batch.owners, _decide(fitted, batch), strict=True):
                predictions[owner] = prediction
            n_tokens += sum(len(context.tokens) for context in batch.contexts)
            n_texts += len(batch.contexts)
            on_progress(n_texts, sum(len(each.contexts) for each in batches))
        seconds = time.perf_counter() - warm
        n_encoded = _n_encoded(fitted) - n_encoded
        files = files_of(sense_method(self.spec))
        size = None if files is None else sum(file.stat().st_size for file in files) / 1e6
        details: PlainData = {
            "method": self.spec,
            "temperature": fitted.temperature,
            "seconds_to_load": round(prepared - started, 3),
            "seconds_to_first_result": round(first - started, 3),
            "disk_mb": None if size is None else round(size, 1),
            "share_of_tokens_encoded": round(n_encoded / n_tokens, 4) if n_tokens else None,
        }
        if (encoder := encoder_of(fitted)) is not None:
            details["encoder"] = encoder.identity
        return Answers(predictions, n_tokens / seconds if n_tokens else None, None, details)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Texts, the targets in them, and the instance of each target."""

    contexts: list[Context]
    targets: list[Target]
    owners: list[int]


def _batches(task: Task) -> Iterator[_Batch]:
    """The texts that hold a target, some at a time."""
    owners: dict[int, list[int]] = {}
    for i, target in enumerate(task.targets):
        if target is not None:
            owners.setdefault(target.context, []).append(i)
    used = sorted(owners)
    for first in range(0, len(used), _BATCH):
        rows = used[first : first + _BATCH]
        pairs = [
            (i, replace(target, context=k))
            for k, row in enumerate(rows)
            for i in owners[row]
            if (target := task.targets[i]) is not None
        ]
        contexts = [task.contexts[row] for row in rows]
        yield _Batch(contexts, [target for _, target in pairs], [i for i, _ in pairs])


def _part(batch: _Batch, n: int) -> _Batch:
    """The first texts of a batch."""
    few = [target for target in batch.targets if target.context < n]
    return _Batch(batch.contexts[:n], few, batch.owners[: len(few)])


def _decide(fitted: FittedMethod, batch: _Batch) -> list[Prediction]:
    decided = disambiguate(fitted, batch.contexts, batch.targets)
    return [Prediction(each.sense.id, each.score, each.ranked) for each in decided]


def _n_encoded(fitted: FittedMethod) -> int:
    """Tokens that the method's encoder has encoded; an encoder that does not count has none."""
    encoder = encoder_of(fitted)
    return encoder.n_tokens_encoded if isinstance(encoder, CountingEncoder) else 0


@dataclass(frozen=True)
class PublishedPredictions:
    """The predictions of a system that is not run here, one id and its sense key a line.

    Of several keys on a line the first counts. An instance without a line is wrong; the
    result counts such instances as ``missing`` and lines of other sets as ``extra``.
    """

    path: Path

    def __call__(self, task: Task, on_progress: OnProgress) -> Answers:
        """Look every instance up.

        Raises:
            RecordError: no line belongs to an instance.
        """
        keys = read_keys(self.path)
        ids = [instance.id for instance in task.dataset.instances]
        chosen = [Prediction(keys[name][0]) if name in keys else None for name in ids]
        n_missing = chosen.count(None)
        if n_missing == len(ids):
            raise RecordError(
                f"{self.path} predicts no instance of {task.dataset.name}; its ids are like "
                f"{next(iter(keys), '')!r}, those of the set like {ids[0]!r}"
            )
        n_extra = len(keys) - (len(ids) - n_missing)
        return Answers(chosen, details={"missing": n_missing, "extra": n_extra})

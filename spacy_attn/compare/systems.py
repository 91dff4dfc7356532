"""What is compared: sense methods, and the published predictions of systems that are not here.

A :data:`System` is any function from a :class:`Task` to :class:`Answers`. To compare something of
your own, write one (at the top of a module, so that a child process finds it)::

    def always_last(task, on_progress):
        chosen = [t and Prediction(t.candidates[-1].id) for t in task.targets]
        return Answers(chosen)

    compare(task, {"always_last": always_last})

A sense method needs no such function: register it under ``spacy_attn_sense_methods``.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from inspect import signature
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from pickle import PicklingError
from typing import Any, TypeAlias

from spacy.language import Language
from spacy.util import registry

from spacy_attn._types import PlainData
from spacy_attn.compare.datasets import Dataset, Tag, read_keys
from spacy_attn.components.sense_disambiguator import context_of, score_senses
from spacy_attn.errors import ConfigError, RecordError, ResourceError, SpacyAttnError
from spacy_attn.methods import METHODS, files_of, sense_method
from spacy_attn.wsd.context import (
    Context,
    FittedMethod,
    Resources,
    SenseMethod,
    Target,
    find_targets,
    with_vectors,
)
from spacy_attn.wsd.inventory.model import Inventory
from spacy_attn.wsd.inventory.wordnet import WordNetInventory, find_words

__all__ = ["Answers", "MethodSpec", "MethodSystem", "OnProgress", "Prediction",
           "PublishedPredictions", "System", "Task", "check_method", "found_task", "given_task",
           "method_config", "resolve_method", "run_in_own_process", "tagged_by"]  # fmt: skip

logger = logging.getLogger("spacy_attn")

_BATCH = 256  # texts scored together
_WARM_UP = 16  # texts scored before the clock runs

#: A name, or what stands behind ``method =`` in a config.
MethodSpec: TypeAlias = str | dict[str, Any]
#: Called with the number of texts done and of all.
OnProgress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a system chose for one word."""

    sense: str
    score: float | None = None  # probability over the candidates; None where there is none
    ranked: tuple[tuple[str, float], ...] = ()  # (sense id, probability), best first


@dataclass(frozen=True, slots=True)
class Answers:
    """What a system gives back: a prediction or None for each instance, and what it cost."""

    predictions: list[Prediction | None]
    words_per_second: float | None = None
    peak_rss_mb: float | None = None
    details: PlainData = field(default_factory=dict)  # goes into the system's row


@dataclass(frozen=True)
class Task:
    """What every system gets: the same texts, words and candidates.

    Args:
        dataset: the instances.
        contexts: its texts, with the tokens that the targets count.
        inventory: the senses.
        targets: the word of each instance with its candidates; None where the inventory does
            not know it, or the pipeline that looked for it did not find it.
        resources: tokenizer and stop words.
    """

    dataset: Dataset
    contexts: tuple[Context, ...]
    inventory: Inventory | WordNetInventory
    targets: tuple[Target | None, ...]
    resources: Resources


System: TypeAlias = Callable[[Task, OnProgress], Answers]


def given_task(
    dataset: Dataset, inventory: Inventory | WordNetInventory, resources: Resources
) -> Task:
    """The words are given by the data: lemma and part of speech decide the candidates."""
    targets = []
    for item in dataset.instances:
        candidates = inventory.candidates(item.lemma, item.pos)
        target = Target(item.context, item.start, item.end, item.lemma, candidates)
        targets.append(target if candidates else None)
    return Task(dataset, dataset.contexts, inventory, tuple(targets), resources)


def found_task(
    dataset: Dataset, inventory: Inventory | WordNetInventory, resources: Resources, tag: Tag
) -> Task:
    """The words are found by the pipeline in the plain text, as its users meet it.

    An instance gets the word that the pipeline finds at its first character, whatever lemma,
    part of speech and length that has; none where it finds none there.
    """
    contexts = tag([context.text for context in dataset.contexts])
    starts: list[dict[int, Target]] = []  # of each text, the word at each token
    for i, context in enumerate(contexts):
        if isinstance(inventory, Inventory):
            found = find_targets(context, inventory, i)
        else:
            found = find_words(context, inventory, i)
        starts.append({token: word for word in found for token in range(word.start, word.end)})
    targets = []
    for item in dataset.instances:
        at, _ = dataset.contexts[item.context].offsets[item.start]
        offsets = contexts[item.context].offsets
        token = next((k for k, (start, end) in enumerate(offsets) if start <= at < end), -1)
        targets.append(starts[item.context].get(token))
    return Task(dataset, tuple(contexts), inventory, tuple(targets), resources)


def tagged_by(nlp: Language) -> Tag:
    """Tokens, lemmas and tags of texts by a pipeline."""

    def tag(texts: Any) -> list[Context]:
        return [context_of(doc) for doc in nlp.pipe(texts, batch_size=_BATCH)]

    return tag


# -- sense methods --------------------------------------------------------------------------


def resolve_method(spec: MethodSpec) -> SenseMethod:
    """The method of a name or of a config block.

    Raises:
        ConfigError: no such method, or a setting that it does not have.
    """
    if isinstance(spec, str):
        return sense_method(spec)
    if "@sense_methods" not in spec:
        raise ConfigError(
            f'method = {json.dumps(spec)} has no "@sense_methods", which names the method, such '
            'as {"@sense_methods": "spacy_attn.lesk.v1", "window": 10}'
        )
    sense_method(spec["@sense_methods"])
    return sense_method(spec)


def method_config(spec: MethodSpec, **settings: Any) -> dict[str, Any]:
    """The config block of a method, with further settings where the method has them."""
    block = {"@sense_methods": METHODS.get(spec, spec)} if isinstance(spec, str) else dict(spec)
    make = registry.sense_methods.get(block["@sense_methods"])  # type: ignore[attr-defined]
    legal = signature(make).parameters
    return {**block, **{name: value for name, value in settings.items() if name in legal}}


def check_method(nlp: Language, inventory: str, spec: MethodSpec) -> None:
    """Refuse a method that does not exist or that cannot take the inventory; loads no model.

    Raises:
        ConfigError: says which are legal.
    """
    resolve_method(spec)
    nlp.create_pipe("sense_disambiguator", config={"inventory": inventory, "method": spec})


@dataclass(frozen=True)
class MethodSystem:
    """A sense method as a system, scored as the component scores it.

    Words per second are those of scoring alone, vectors included: the method is prepared and
    has scored some texts before the clock runs. The first result is that of one text, in a
    process that has imported what it needs.
    """

    spec: MethodSpec

    def __call__(self, task: Task, on_progress: OnProgress) -> Answers:
        """Predict every instance that has candidates."""
        method = resolve_method(self.spec)
        started = time.perf_counter()
        fitted = method.prepare(task.inventory, task.resources)
        prepared = time.perf_counter()
        batches = list(_batches(task))
        if batches:
            contexts, targets, _ = batches[0]
            _decide(fitted, contexts[:1], [target for target in targets if target.context == 0])
        first = time.perf_counter()
        if batches:
            few = [target for target in targets if target.context < _WARM_UP]
            _decide(fitted, contexts[:_WARM_UP], few)
        loaded = time.perf_counter()
        predictions: list[Prediction | None] = [None] * len(task.targets)
        n_texts = sum(len(contexts) for contexts, _, _ in batches)
        n_words = n_done = 0
        before = _n_encoded(fitted)
        for contexts, targets, owners in batches:
            found = _decide(fitted, contexts, targets)
            for owner, prediction in zip(owners, found, strict=True):
                predictions[owner] = prediction
            n_words += sum(len(context.tokens) for context in contexts)
            n_done += len(contexts)
            on_progress(n_done, n_texts)
        seconds = time.perf_counter() - loaded
        n_encoded = _n_encoded(fitted) - before
        files = files_of(method)
        details: PlainData = {
            "method": self.spec,
            "temperature": fitted.temperature,
            "seconds_to_load": round(prepared - started, 3),
            "seconds_to_first_result": round(first - started, 3),
            "disk_mb": None if files is None else round(_megabytes(files), 1),
            "share_of_tokens_encoded": round(n_encoded / n_words, 4) if n_words else None,
        }
        if fitted.encoder is not None:
            details["encoder"] = fitted.encoder.identity
        return Answers(predictions, n_words / seconds if n_words else None, None, details)


_Batch: TypeAlias = tuple[list[Context], list[Target], list[int]]


def _batches(task: Task) -> Iterator[_Batch]:
    """Texts that hold a target, those targets, and the instance of each."""
    owners: dict[int, list[int]] = {}
    for i, target in enumerate(task.targets):
        if target is not None:
            owners.setdefault(target.context, []).append(i)
    used = sorted(owners)
    for first in range(0, len(used), _BATCH):
        rows = used[first : first + _BATCH]
        pairs = [
            (replace(target, context=k), i)
            for k, row in enumerate(rows)
            for i in owners[row]
            if (target := task.targets[i]) is not None
        ]
        contexts = [task.contexts[row] for row in rows]
        yield contexts, [target for target, _ in pairs], [i for _, i in pairs]


def _decide(
    fitted: FittedMethod, contexts: list[Context], targets: list[Target]
) -> list[Prediction]:
    decided = score_senses(fitted, with_vectors(fitted, contexts, targets), targets)
    return [Prediction(each.sense.id, each.score, each.ranked) for _, each in decided]


def _n_encoded(fitted: FittedMethod) -> int:
    """Tokens that the method's encoder has encoded; an encoder that does not count has none."""
    return int(getattr(fitted.encoder, "n_tokens_encoded", 0))


def _megabytes(files: Sequence[Path]) -> float:
    return sum(file.stat().st_size for file in files) / 1e6


# -- published predictions ------------------------------------------------------------------


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
        del on_progress
        keys = read_keys(self.path)
        ids = [instance.id for instance in task.dataset.instances]
        chosen = [Prediction(keys[name][0]) if name in keys else None for name in ids]
        n_missing = sum(prediction is None for prediction in chosen)
        if n_missing == len(ids):
            raise RecordError(
                f"{self.path} predicts no instance of {task.dataset.name}; its ids are like "
                f"{next(iter(keys), '')!r}, those of the set like {ids[0]!r}"
            )
        n_extra = len(keys) - (len(ids) - n_missing)
        return Answers(chosen, details={"missing": n_missing, "extra": n_extra})


# -- one process for each -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Failure:
    """What a child says when its system fails."""

    sentence: str
    trace: str


def run_in_own_process(
    system: System, task: Task, on_progress: OnProgress, n_threads: int
) -> Answers:
    """Run a system in a fresh process, which makes its peak memory its own.

    Args:
        system: the function; pickled by name.
        task: what it gets.
        on_progress: called in this process.
        n_threads: of torch in the child.

    Raises:
        ConfigError: the system cannot be sent to a child.
        ResourceError: the child died, or the system failed there.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_serve, args=(theirs, n_threads), daemon=True)
    child.start()
    theirs.close()
    try:
        return _ask(ours, system, task, on_progress)
    except (EOFError, ConnectionError) as error:
        child.join()
        raise ResourceError(_died(child.exitcode)) from error
    finally:
        ours.close()
        child.terminate()
        child.join()


def _ask(pipe: Connection, system: System, task: Task, on_progress: OnProgress) -> Answers:
    try:
        pipe.send((system, task))
    except (PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(f"{system!r} cannot be sent to its own process: {error}") from error
    while True:
        message = pipe.recv()
        if isinstance(message, Answers):
            return message
        if isinstance(message, _Failure):
            logger.debug("in the child process:\n%s", message.trace)
            raise ResourceError(message.sentence)
        on_progress(*message)


def _serve(pipe: Connection, n_threads: int) -> None:
    """The child: receive a system and a task, send progress and answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends us
    try:
        import torch

        torch.set_num_threads(n_threads)
        system, task = pipe.recv()
        answers = system(task, lambda done, total: pipe.send((done, total)))
        pipe.send(replace(answers, peak_rss_mb=_peak_rss_mb()))
    except Exception as error:
        sentence = str(error) if isinstance(error, SpacyAttnError) else _describe(error)
        with suppress(OSError):
            pipe.send(_Failure(sentence, traceback.format_exc()))


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error} (--debug shows where)"


def _died(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        reason = f"its process was ended by {name}"
        if name == "SIGKILL":
            reason += ", as the system does when memory runs out"
    else:
        reason = f"its process ended with exit code {code}"
    return f"{reason}; see why with --in-process --debug"


def _peak_rss_mb() -> float | None:
    """The most memory that this process ever held, in MB; None where no one counts it.

    ``getrusage`` of a spawned process begins with what its parent held (Linux keeps
    ``ru_maxrss`` through exec), so Linux is asked for the memory of this program alone.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6

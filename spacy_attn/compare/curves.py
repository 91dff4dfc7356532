"""How accuracy moves: with the number of examples, and with the distance of the cue.

*Learning curve*: the inventory keeps n of each sense's examples, drawn at random several times.

*Distance curve*: instances whose cues all stand in other sentences, on one side of the target's;
unrelated sentences of the same set are put between them at run time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spacy_attn._types import PlainData
from spacy_attn.compare.datasets import Dataset, Instance, Tag
from spacy_attn.compare.metrics import interval, is_gold
from spacy_attn.compare.systems import (
    Answers,
    MethodSpec,
    MethodSystem,
    OnProgress,
    System,
    Task,
    given_task,
    resolve_method,
    run_in_own_process,
)
from spacy_attn.components.sense_disambiguator import score_senses
from spacy_attn.errors import SpacyAttnError
from spacy_attn.sentences import sentence_of, sentence_starts
from spacy_attn.wsd.context import Context, FittedMethod, tokens_within, with_vectors
from spacy_attn.wsd.inventory.model import Inventory

__all__ = ["DISTANCES", "SIZES", "distance_curve", "learning_curve", "learns", "pushed"]

SIZES = (1, 3, 6)  # examples of each sense
DRAWS = 3
DISTANCES = (0, 10, 25, 50, 100, 200, 400)  # tokens

#: Called with what is under way, the steps done and all steps.
Report = Callable[[str, int, int], None]


_DO_NOT_LEARN = ("random", "first_sense", "lesk")  # from examples


def learns(spec: MethodSpec) -> bool:
    """Whether a method may do better with more examples."""
    return resolve_method(spec).name not in _DO_NOT_LEARN


# -- examples -------------------------------------------------------------------------------


def learning_curve(
    task: Task,
    specs: Mapping[str, MethodSpec],
    sizes: Sequence[int] = SIZES,
    draws: int = DRAWS,
    *,
    n_threads: int = 1,
    in_process: bool = False,
    on_progress: Report | None = None,
) -> PlainData:
    """Accuracy with few examples of each sense: mean, least and most of some draws.

    Methods that do not learn from examples are left out by the caller. A method that fails has no
    row.

    Args:
        task: texts, words and an inventory with examples.
        specs: methods by the names of their rows.
        sizes: numbers of examples of each sense; a sense with fewer uses all.
        draws: of examples, seeds 0, 1, ...
        n_threads: of torch in each child process.
        in_process: run them here.
        on_progress: called with a row's name, the runs done and all runs.
    """
    systems = {}
    for name, spec in specs.items():
        report = _reporter(f"{name}, few examples", on_progress)
        curve = _LearningCurve(spec, tuple(sizes), draws)
        try:
            answers = _run(curve, task, report, n_threads, in_process=in_process)
            systems[name] = answers.details["points"]
        except SpacyAttnError:
            continue
    return {"sizes": list(sizes), "draws": draws, "systems": systems}


@dataclass(frozen=True)
class _LearningCurve:
    """A system whose answers are the points of a curve; texts are encoded once for all of them."""

    spec: MethodSpec
    sizes: tuple[int, ...]
    draws: int

    def __call__(self, task: Task, on_progress: OnProgress) -> Answers:
        inventory = task.inventory
        if not isinstance(inventory, Inventory):
            raise SpacyAttnError("a learning curve needs an inventory with examples")
        method = resolve_method(self.spec)
        resources = replace(task.resources, may_keep=False)
        contexts: Sequence[Context] = task.contexts
        points, n_done = [], 0
        for size in self.sizes:
            found = []
            for seed in range(self.draws):
                part = inventory.with_examples(size, seed)
                fitted = method.prepare(part, resources)
                if contexts is task.contexts:
                    contexts = with_vectors(fitted, task.contexts)
                found.append(_accuracy(replace(task, inventory=part), contexts, fitted))
                n_done += 1
                on_progress(n_done, len(self.sizes) * self.draws)
            points.append(
                {
                    "size": size,
                    "accuracy": float(np.mean(found)), "low": min(found), "high": max(found),
                    "short": sum(len(sense.examples) < size for sense in inventory.senses),
                }
            )  # fmt: skip
        return Answers([], details={"points": points})


def _accuracy(task: Task, contexts: Sequence[Context], fitted: FittedMethod) -> float:
    """Of a fitted method on texts that have their vectors already."""
    instances = task.dataset.instances
    again = given_task(task.dataset, task.inventory, task.resources)
    pairs = [(i, target) for i, target in enumerate(again.targets) if target is not None]
    decided = score_senses(fitted, contexts, [target for _, target in pairs])
    right = [
        is_gold(decision.sense.id, instances[i], target)
        for (i, target), (_, decision) in zip(pairs, decided, strict=True)
    ]
    return sum(right) / len(instances)


# -- distance -------------------------------------------------------------------------------


def distance_curve(
    task: Task,
    specs: Mapping[str, MethodSpec],
    tag: Tag,
    distances: Sequence[int] = DISTANCES,
    *,
    seed: int = 0,
    n_threads: int = 1,
    in_process: bool = False,
    on_progress: Report | None = None,
) -> PlainData | None:
    """Accuracy against the number of tokens put between target and cue; None without instances.

    Args:
        task: texts and words, with cues.
        specs: methods by the names of their rows.
        tag: tokenises and tags the new texts.
        distances: least number of tokens between the target's sentence and that of the cue.
        seed: of the choice of sentences.
        n_threads: of torch in each child process.
        in_process: run them here.
        on_progress: called with what runs, texts done and all texts.
    """
    tasks = {d: _pushed_task(task, tag, d, seed) for d in distances}
    n = len(tasks[distances[0]].dataset.instances)
    if not n:
        return None
    systems: dict[str, list[PlainData]] = {}
    for name, spec in specs.items():
        points = []
        try:
            for distance, each in tasks.items():
                report = _reporter(f"{name}, cue {distance} tokens away", on_progress)
                system = MethodSystem(spec)
                answers = _run(system, each, report, n_threads, in_process=in_process)
                right = np.array(
                    [
                        p is not None and is_gold(p.sense, item, target)
                        for p, item, target in zip(
                            answers.predictions, each.dataset.instances, each.targets, strict=True
                        )
                    ]
                )
                points.append(
                    {
                        "distance": distance, "accuracy": float(right.mean()),
                        "ci95": list(interval(right)),
                    }
                )  # fmt: skip
        except SpacyAttnError:
            continue
        systems[name] = points
    strata = sorted({item.stratum for item in tasks[distances[0]].dataset.instances})
    return {"strata": strata, "n": n, "distances": list(distances), "systems": systems}


def _pushed_task(task: Task, tag: Tag, distance: int, seed: int) -> Task:
    made = list(pushed(task.dataset, distance, seed))
    contexts = tag([text for text, _, _ in made])
    instances = []
    for row, (context, (_, start, item)) in enumerate(zip(contexts, made, strict=True)):
        end = start + len(_text_of(task.dataset, item))
        first, last = tokens_within(context, start, end)
        instances.append(replace(item, context=row, start=first, end=last, cues=()))
    data = replace(task.dataset, contexts=tuple(contexts), instances=tuple(instances))
    return given_task(data, task.inventory, task.resources)


def pushed(dataset: Dataset, distance: int, seed: int = 0) -> Iterator[tuple[str, int, Instance]]:
    """Texts whose cue is some tokens farther away: text, start of the target, the instance.

    Only instances whose cues stand in sentences on one side of the target's, none in its own.
    What is put between are sentences of texts about other words, whole, until they have
    ``distance`` tokens at least; the same seed gives the same sentences, and a longer distance
    begins with those of a shorter one.
    """
    fillers = list(_single_sentences(dataset))
    for number, item in enumerate(dataset.instances):
        context = dataset.contexts[item.context]
        at = _cut(context, item)
        if at is None:
            continue
        rng = random.Random(f"{seed} {number}")  # noqa: S311 - a choice, not a secret
        order = rng.sample(range(len(fillers)), len(fillers))
        chosen, n_tokens = [], 0
        for k in order:
            if n_tokens >= distance:
                break
            lemma, text, n = fillers[k]
            if lemma != item.lemma and item.lemma not in text.lower():
                chosen.append(text)
                n_tokens += n
        middle = "".join(f"{text} " for text in chosen)
        start = context.offsets[item.start][0]
        shift = len(middle) if start >= at else 0
        yield context.text[:at] + middle + context.text[at:], start + shift, item


def _cut(context: Context, item: Instance) -> int | None:
    """The character before which sentences can stand between target and cues; None for nowhere."""
    starts = sentence_starts(context.tokens)
    first, last = sentence_of(starts, item.start, len(context.tokens))
    low, high = context.offsets[first][0], context.offsets[last - 1][1]
    if not item.cues:
        return None
    if all(end <= low for _, end in item.cues):
        return low
    if all(start >= high for start, _ in item.cues):
        return context.offsets[last][0]
    return None


def _single_sentences(dataset: Dataset) -> Iterator[tuple[str, str, int]]:
    """Lemma, text and number of tokens of the texts that are one sentence, one of each text."""
    seen = set()
    for item in dataset.instances:
        context = dataset.contexts[item.context]
        whole = len(sentence_starts(context.tokens)) == 1 and context.text.endswith((".", "!", "?"))
        if whole and item.context not in seen:
            seen.add(item.context)
            yield item.lemma, context.text, len(context.tokens)


def _text_of(dataset: Dataset, item: Instance) -> str:
    context = dataset.contexts[item.context]
    return context.text[context.offsets[item.start][0] : context.offsets[item.end - 1][1]]


def _run(
    system: System, task: Task, report: OnProgress, n_threads: int, *, in_process: bool
) -> Answers:
    if in_process:
        return system(task, report)
    return run_in_own_process(system, task, report, n_threads)


def _reporter(name: str, on_progress: Report | None) -> OnProgress:
    def report(done: int, total: int) -> None:
        if on_progress is not None:
            on_progress(name, done, total)

    report(0, 0)
    return report

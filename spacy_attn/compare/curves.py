"""How accuracy moves: with the number of examples, and with the distance of the cue.

*Learning curve*: the inventory keeps n of each sense's examples, drawn at random several times.

*Distance curve*: instances whose cues all stand in other sentences, on one side of the target's;
unrelated sentences of the same set are put between them at run time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from spacy_attn._types import PlainData
from spacy_attn.compare.dataset import Dataset, Instance, Tag
from spacy_attn.compare.metrics import Bools1d, interval
from spacy_attn.compare.systems import MethodSystem
from spacy_attn.compare.task import Answers, OnProgress, Prediction, Task, gold_task, right_of
from spacy_attn.errors import ConfigError
from spacy_attn.sentences import sentence_of, sentence_starts
from spacy_attn.wsd.context import Context, tokens_within
from spacy_attn.wsd.engine import disambiguate
from spacy_attn.wsd.inventory.jsonl import Inventory
from spacy_attn.wsd.method import BuiltInMethod, FittedMethod
from spacy_attn.wsd.methods.registry import MethodSpec, sense_method
from spacy_attn.wsd.vectors import Texts

SIZES = (1, 3, 6)  # examples of each sense
DRAWS = 3
DISTANCES = (0, 10, 25, 50, 100, 200, 400)  # tokens


# -- examples -------------------------------------------------------------------------------


def learns(spec: MethodSpec) -> bool:
    """Whether a method may do better with more examples."""
    method = sense_method(spec)
    return not isinstance(method, BuiltInMethod) or method.learns


def learning_points(
    system: MethodSystem,
    task: Task,
    on_progress: OnProgress,
    sizes: Sequence[int] = SIZES,
    draws: int = DRAWS,
) -> list[PlainData]:
    """Accuracy with few examples of each sense: mean, least and most of some draws.

    Texts are encoded once for all points.

    Args:
        system: a method that learns from examples.
        task: texts, words and an inventory with examples.
        on_progress: called with the runs done and all runs.
        sizes: numbers of examples of each sense; a sense with fewer uses all.
        draws: of examples, seeds 0, 1, ...

    Raises:
        ConfigError: the inventory has no examples.
    """
    inventory = task.inventory
    if not isinstance(inventory, Inventory):
        raise ConfigError("a learning curve needs an inventory with examples")
    method = sense_method(system.spec)
    resources = replace(task.resources, may_keep=False)
    texts = Texts(task.contexts)  # encoded once for all points
    points, n_done = [], 0
    for size in sizes:
        found = []
        for seed in range(draws):
            part = inventory.with_examples(size, seed)
            fitted = method.prepare(part, resources)
            right = right_with(gold_task(task.dataset, part, resources), texts, fitted)
            found.append(float(right.mean()))
            n_done += 1
            on_progress(n_done, len(sizes) * draws)
        n_short = sum(len(sense.examples) < size for sense in inventory.senses)
        mean, low, high = float(np.mean(found)), min(found), max(found)
        points.append({"size": size, "accuracy": mean, "low": low, "high": high, "short": n_short})
    return points


def right_with(task: Task, texts: Texts, fitted: FittedMethod) -> Bools1d:
    """Where a fitted method is right on texts that keep their vectors. *Shape:* (n_instances,)"""
    decided = iter(disambiguate(fitted, texts, [t for t in task.targets if t is not None]))
    chosen = [None if t is None else Prediction(next(decided).sense.id) for t in task.targets]
    return right_of(task, chosen)


# -- distance -------------------------------------------------------------------------------


def distance_task(task: Task, tag: Tag, distances: Sequence[int] = DISTANCES) -> Task | None:
    """The instances of a task with their cues pushed away, once for each distance, in this order.

    Args:
        task: texts and words, with cues.
        tag: tokenises and tags the new texts.
        distances: least number of tokens between the target's sentence and that of the cue.

    Returns:
        None where no instance has all its cues on one side of its sentence.
    """
    made = [each for distance in distances for each in pushed(task.dataset, distance)]
    if not made:
        return None
    contexts = tag([text for text, _, _ in made])
    instances = []
    for row, (context, (_, start, item)) in enumerate(zip(contexts, made, strict=True)):
        end = start + len(_text_of(task.dataset, item))
        first, last = tokens_within(context, start, end)
        instances.append(replace(item, context=row, start=first, end=last, cues=()))
    data = replace(task.dataset, contexts=tuple(contexts), instances=tuple(instances))
    return gold_task(data, task.inventory, task.resources)


def distance_curve(
    task: Task, answers: Mapping[str, Answers], distances: Sequence[int] = DISTANCES
) -> PlainData:
    """Accuracy against the number of tokens put between target and cue.

    Args:
        task: as :func:`distance_task` makes it.
        answers: of each system.
        distances: those that the task was made with.
    """
    systems = {}
    for name, each in answers.items():
        # Shape: (n_distances, n_instances)
        rows = right_of(task, each.predictions).reshape(len(distances), -1)
        systems[name] = [
            {"distance": at, "accuracy": float(right.mean()), "ci95": list(interval(right))}
            for at, right in zip(distances, rows, strict=True)
        ]
    return {
        "strata": sorted({item.stratum for item in task.dataset.instances}),
        "n": len(task.dataset.instances) // len(distances),
        "distances": list(distances),
        "systems": systems,
    }


def pushed(dataset: Dataset, distance: int) -> Iterator[tuple[str, int, Instance]]:
    """Texts whose cue is some tokens farther away: text, start of the target, the instance.

    Only instances whose cues stand in sentences on one side of the target's, none in its own.
    What is put between are sentences of texts about other words, whole, until they have
    ``distance`` tokens at least; a longer distance begins with the sentences of a shorter one.
    """
    fillers = list(_single_sentences(dataset))
    for number, item in enumerate(dataset.instances):
        context = dataset.contexts[item.context]
        at = _cut(context, item)
        if at is None:
            continue
        rng = random.Random(f"0 {number}")  # noqa: S311 - a choice, not a secret
        chosen, n_tokens = [], 0
        for lemma, text, n in rng.sample(fillers, len(fillers)):
            if n_tokens >= distance:
                break
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

"""What is asked and what is answered: the same texts, words and candidate senses for all systems.

A :data:`System` is any function from a :class:`Task` to :class:`Answers`. To compare something of
your own, write one (at the top of a module, so that a child process finds it)::

    def always_last(task, on_progress):
        chosen = [t and Prediction(t.candidates[-1].id) for t in task.targets]
        return Answers(chosen)

    compare(task, {"always_last": always_last})
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from spacy.language import Language

from spacy_attn._types import PlainData
from spacy_attn.compare.dataset import Dataset, Instance, Tag
from spacy_attn.compare.metrics import Bools1d, is_gold
from spacy_attn.components.adapter import context_of
from spacy_attn.wsd.context import Context, Resources, Target
from spacy_attn.wsd.inventory.protocol import SenseInventory

_BATCH = 256  # texts tagged together

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
    """A prediction or None for each instance, and what it cost."""

    predictions: list[Prediction | None]
    words_per_second: float | None = None
    peak_rss_mb: float | None = None
    details: PlainData = field(default_factory=dict)  # goes into the system's row


@dataclass(frozen=True)
class Task:
    """Instances, and the targets that a system is asked about.

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
    inventory: SenseInventory
    targets: tuple[Target | None, ...]
    resources: Resources


System: TypeAlias = Callable[[Task, OnProgress], Answers]


def gold_task(dataset: Dataset, inventory: SenseInventory, resources: Resources) -> Task:
    """Gold targets: the data's own lemma and part of speech decide the candidates."""

    def target(item: Instance) -> Target | None:
        candidates = inventory.candidates(item.lemma, item.pos)
        return (
            Target(item.context, item.start, item.end, item.lemma, candidates)
            if candidates
            else None
        )

    targets = tuple(map(target, dataset.instances))
    return Task(dataset, dataset.contexts, inventory, targets, resources)


def end_to_end_task(
    dataset: Dataset, inventory: SenseInventory, resources: Resources, tag: Tag
) -> Task:
    """Targets as the pipeline finds them in plain text.

    An instance gets the word that the pipeline finds at its first character, whatever lemma,
    part of speech and length that has; None where it finds none there.
    """
    contexts = tag([context.text for context in dataset.contexts])
    words: list[dict[int, Target]] = []  # of each text, the word at each token
    for i, context in enumerate(contexts):
        found = inventory.find(context, i)
        words.append({token: word for word in found for token in range(word.start, word.end)})

    def target(item: Instance) -> Target | None:
        at, _ = dataset.contexts[item.context].offsets[item.start]
        offsets = contexts[item.context].offsets
        token = next((k for k, (start, end) in enumerate(offsets) if start <= at < end), -1)
        return words[item.context].get(token)

    targets = tuple(map(target, dataset.instances))
    return Task(dataset, tuple(contexts), inventory, targets, resources)


def tagged_by(nlp: Language) -> Tag:
    """Tokens, lemmas and tags of texts by a pipeline."""

    def tag(texts: Sequence[str]) -> list[Context]:
        return [context_of(doc) for doc in nlp.pipe(texts, batch_size=_BATCH)]

    return tag


def right_of(task: Task, predictions: Sequence[Prediction | None]) -> Bools1d:
    """Which predictions are right. *Shape:* (n_instances,)"""
    trios = zip(predictions, task.dataset.instances, task.targets, strict=True)
    return np.array(
        [p is not None and is_gold(p.sense, item, target) for p, item, target in trios], dtype=bool
    )

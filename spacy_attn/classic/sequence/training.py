"""Trains a tagger with NLTK's averaged perceptron."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from spacy_attn._types import PlainData
from spacy_attn.classic.sequence.features import (
    OUTSIDE,
    history_features,
    history_word_features,
    token_features,
)
from spacy_attn.classic.sequence.labels import LabelledToken, repair_iob
from spacy_attn.classic.sequence.tagger import TASKS, SequenceTagger
from spacy_attn.errors import ConfigError, RecordError, allowed_names, explain_missing_package

Report: TypeAlias = Callable[[PlainData], None]
_UNIT = 1000  # NLTK rounds weights to three digits


def train_sequence_tagger(
    sentences: Iterable[Sequence[LabelledToken]],
    *,
    task: str,
    epochs: int = 10,
    seed: int = 0,
    report: Report | None = None,
) -> SequenceTagger:
    """Train a tagger with NLTK's averaged perceptron; the same arguments give the same tagger.

    Args:
        sentences: of (word, tag, label) tokens; held in memory. Labels IOB1 or IOB2.
        task: "chunks" or "entities".
        epochs: passes over the sentences.
        seed: decides their order.
        report: called after each 1,000 sentences and each epoch with ``epoch``, ``sentences``,
            ``of``, and after an epoch ``accuracy`` (of labels, while training).

    Raises:
        ConfigError: an unknown task or a wrong number of epochs.
        RecordError: no sentence has a token, no token is in a span, or a label is no IOB label.
        ResourceError: NLTK is missing.
    """
    if task not in TASKS:
        raise ConfigError(f"task = {task!r} is unknown; {allowed_names(task, TASKS)}")
    if epochs < 1:
        raise ConfigError(f"epochs = {epochs}; give a number from 1")
    with explain_missing_package("training a tagger"):
        from nltk.tag.perceptron import AveragedPerceptron

    examples = [_example(sentence) for sentence in sentences if len(sentence)]
    model = AveragedPerceptron()
    model.classes = {label for _, _, labels in examples for label in labels} | {"O"}
    if len(model.classes) == 1:
        raise RecordError(
            f"nothing to learn: {len(examples)} sentences with tokens, and no token has a "
            "label B-TYPE or I-TYPE"
        )
    order = random.Random(seed)  # noqa: S311  an order of sentences, no secret
    for epoch in range(epochs):
        order.shuffle(examples)
        n_right = n_tokens = 0
        for i, (words, tags, labels) in enumerate(examples, 1):
            n_right += _learn(model, task, words, tags, labels)
            n_tokens += len(labels)
            if report and (i % 1000 == 0 or i == len(examples)):
                record: PlainData = {"epoch": epoch + 1, "sentences": i, "of": len(examples)}
                if i == len(examples):
                    record["accuracy"] = n_right / n_tokens
                report(record)
    model.average_weights()
    return _tagger_of(task, model)


def _example(sentence: Sequence[LabelledToken]) -> tuple[list[str], list[str], list[str]]:
    words, tags, labels = zip(*sentence, strict=True)
    return list(words), list(tags), repair_iob(labels)


def _learn(
    model: Any, task: str, words: Sequence[str], tags: Sequence[str], gold: Sequence[str]
) -> int:
    """Tag a sentence with the present weights and correct them; the number of right labels.

    The history is what the model said, not the gold labels, as it will be when tagging.
    """
    n_right = 0
    l_2 = l_1 = w_1 = OUTSIDE
    next_tags = [*tags[1:], OUTSIDE]
    for i, features in enumerate(token_features(words, tags, task)):
        w = words[i].lower()
        features += history_features(l_2, l_1, tags[i], next_tags[i])
        features += history_word_features(l_1, w_1, w)
        values = dict.fromkeys(features, 1)
        label, _ = model.predict(values)
        model.update(gold[i], label, values)
        n_right += label == gold[i]
        l_2, l_1, w_1 = l_1, label, w
    return n_right


def _tagger_of(task: str, model: Any) -> SequenceTagger:
    # Of equal scores NLTK takes the last label of the alphabet, argmax the first of a row.
    labels = sorted(model.classes, reverse=True)
    column = {label: i for i, label in enumerate(labels)}
    features = sorted(feature for feature, weights in model.weights.items() if weights)
    weights = np.zeros((len(features), len(labels)), dtype=np.int32)
    for row, feature in enumerate(features):
        for label, weight in model.weights[feature].items():
            weights[row, column[label]] = round(weight * _UNIT)
    return SequenceTagger(task, labels, features, weights)

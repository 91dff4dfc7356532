"""Trained IOB taggers: what the trained chunker and the trained NER share.

A greedy left-to-right tagger over NLTK's averaged perceptron (Collins 2002; NLTK's is Matthew
Honnibal's), with feature templates of our own in the manner of Sha and Pereira 2003: words, tags
and shapes around the token, and the labels of the two tokens before it. NLTK trains; tagging
reads the same weights out of one matrix, because a dictionary for each feature is ten times
slower. NLTK rounds its weights to thousandths, so they are kept as whole numbers: scores are
exact, and equal on every machine.

Labels are IOB2 (Ramshaw and Marcus 1995; Tjong Kim Sang and Veenstra 1999): ``B-X`` begins a
span of type X, ``I-X`` goes on with it, ``O`` is outside. Where ``I-X`` follows neither ``B-X``
nor ``I-X`` it is read as ``B-X``, as the evaluation of CoNLL-2000 does; so IOB1 is read
correctly too. The tagger itself only writes legal sequences.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import PlainData
from spacy_attn.errors import (
    ConfigError,
    RecordError,
    ResourceError,
    explain_missing_package,
)

__all__ = [
    "TASKS",
    "LabelledSpan",
    "LabelledToken",
    "SequenceTagger",
    "TrainedChunker",
    "iob_spans",
    "repair_iob",
    "spans_to_iob",
    "train_sequence_tagger",
]

TASKS = ("chunks", "entities")

LabelledToken: TypeAlias = tuple[str, str, str]  # word, part-of-speech tag, IOB label
LabelledSpan: TypeAlias = tuple[int, int, str]  # first token, token after the last, type
Report: TypeAlias = Callable[[PlainData], None]
_Ints2d: TypeAlias = NDArray[np.int32]

_FORMAT, _VERSION = "spacy_attn sequence tagger", 1
_TRAIN = "train one with: spacy-attn train-chunker DATA -o MODEL"
_OUTSIDE = "<s>"  # the token before the first and after the last
_UNIT = 1000  # NLTK rounds weights to three digits
_FORBIDDEN = -(10**9)
_MOST_CACHED = 20_000  # score vectors of label pairs and tags; some hundred bytes each


# -- labels ------------------------------------------------------------------------------


def repair_iob(labels: Iterable[str]) -> list[str]:
    """Legal IOB2: ``I-X`` that follows neither ``B-X`` nor ``I-X`` becomes ``B-X``.

    Raises:
        RecordError: a label is not ``O``, ``B-X`` or ``I-X``.
    """
    legal = []
    before = ""
    for label in labels:
        prefix, _, kind = label.partition("-")
        if label != "O" and (prefix not in ("B", "I") or not kind):
            raise RecordError(f"{label!r} is no IOB label; legal are O, B-TYPE and I-TYPE")
        legal.append(f"B-{kind}" if prefix == "I" and kind != before else label)
        before = kind
    return legal


def iob_spans(labels: Iterable[str]) -> list[LabelledSpan]:
    """The spans that IOB labels describe, in their order.

    >>> iob_spans(["B-NP", "I-NP", "O", "B-VP"])
    [(0, 2, 'NP'), (3, 4, 'VP')]

    Raises:
        RecordError: as :func:`repair_iob`, by which illegal sequences are read.
    """
    spans: list[LabelledSpan] = []
    for i, label in enumerate(repair_iob(labels)):
        if label[0] == "B":
            spans.append((i, i + 1, label[2:]))
        elif label[0] == "I":
            start, _, kind = spans[-1]
            spans[-1] = (start, i + 1, kind)
    return spans


def spans_to_iob(n_tokens: int, spans: Iterable[LabelledSpan]) -> list[str]:
    """The labels of some spans, the inverse of :func:`iob_spans`.

    Raises:
        RecordError: two spans share a token, or one leaves the text.
    """
    labels = ["O"] * n_tokens
    for start, end, kind in sorted(spans):
        if not 0 <= start < end <= n_tokens:
            raise RecordError(f"the span ({start}, {end}, {kind!r}) is not within 0 to {n_tokens}")
        if any(label != "O" for label in labels[start:end]):
            raise RecordError(
                f"the span ({start}, {end}, {kind!r}) shares tokens with another one; "
                "IOB labels describe spans that do not overlap"
            )
        labels[start:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - start - 1)
    return labels


def _follows(label: str, before: str) -> bool:
    """Whether a label may stand behind another one (or behind the start)."""
    return label[0] != "I" or before in (f"B-{label[2:]}", label)


# -- features ----------------------------------------------------------------------------


def _shape(word: str) -> str:
    """Capitals X, other letters x, digits d; of a run two are kept: ``McDonald-99`` XxXxx-dd."""
    shape = ""
    for character in word[:20]:
        if character.isupper():
            kind = "X"
        elif character.isalpha():
            kind = "x"
        else:
            kind = "d" if character.isdigit() else character
        if shape[-2:] != kind * 2:
            shape += kind
    return shape


def _token_features(words: Sequence[str], tags: Sequence[str], task: str) -> Iterator[list[str]]:
    """Of each token, the features that do not depend on labels; the same number of each."""
    edge = [_OUTSIDE] * 2
    lower = [*edge, *(word.lower() for word in words), *edge]
    tags = [*edge, *tags, *edge]
    shapes = [*edge, *map(_shape, words), *edge]
    for i in range(2, len(lower) - 2):
        w_2, w_1, w, w1, w2 = lower[i - 2 : i + 3]
        t_2, t_1, t, t1, t2 = tags[i - 2 : i + 3]
        features = [
            "bias",
            f"w={w}", f"w-1={w_1}", f"w+1={w1}", f"w-2={w_2}", f"w+2={w2}",
            f"t={t}", f"t-1={t_1}", f"t+1={t1}", f"t-2={t_2}", f"t+2={t2}",
            f"t-1t={t_1} {t}", f"tt+1={t} {t1}", f"t-2t-1={t_2} {t_1}", f"t+1t+2={t1} {t2}",
            f"t-2t-1t={t_2} {t_1} {t}", f"t-1tt+1={t_1} {t} {t1}", f"tt+1t+2={t} {t1} {t2}",
            f"w-1w={w_1} {w}", f"ww+1={w} {w1}",
            f"wt={w} {t}", f"wt+1={w} {t1}", f"w-1t={w_1} {t}", f"w+1t={w1} {t}", f"t-1w={t_1} {w}",
            f"s3={w[-3:]}", f"s={shapes[i]}",
        ]  # fmt: skip
        if task == "entities":  # what a name looks like
            s_1, s, s1 = shapes[i - 1 : i + 2]
            features += [
                f"s-1={s_1}", f"s+1={s1}", f"s-1s={s_1} {s}", f"ss+1={s} {s1}",
                f"s-1ss+1={s_1} {s} {s1}", f"p2={w[:2]}", f"p3={w[:3]}", f"s2={w[-2:]}",
                f"s4={w[-4:]}", f"W={words[i - 2]}", f"ws+1={w} {s1}", f"w-1s={w_1} {s}",
                f"w+1s={w1} {s}",
            ]  # fmt: skip
        yield features


def _history_features(l_2: str, l_1: str, t: str, t1: str) -> list[str]:
    """Features of the two labels before a token, alone and with tags."""
    return [
        f"l-1={l_1}", f"l-2l-1={l_2} {l_1}", f"l-1t={l_1} {t}", f"l-2l-1t={l_2} {l_1} {t}",
        f"l-1tt+1={l_1} {t} {t1}",
    ]  # fmt: skip


def _history_word_features(l_1: str, w_1: str, w: str) -> tuple[str, str]:
    """Features of the label before a token with words; too many to be kept in a cache."""
    return f"l-1w={l_1} {w}", f"l-1w-1={l_1} {w_1}"


# -- the tagger --------------------------------------------------------------------------


class SequenceTagger:
    """Gives each token of a sentence an IOB2 label.

    Made by :func:`train_sequence_tagger`, :meth:`load` or :meth:`from_bytes`.

    Attributes:
        task: "chunks" or "entities", which decides the features.
        labels: all labels, in reverse alphabetical order.
    """

    def __init__(self, task: str, labels: Sequence[str], features: Sequence[str], weights: _Ints2d):
        """Take over trained weights.

        Args:
            task: "chunks" or "entities".
            labels: one for each column.
            features: one for each row.
            weights: in thousandths. *Shape:* (n_features, n_labels)
        """
        self.task = task
        self.labels = tuple(labels)
        self._features = {feature: row for row, feature in enumerate(features)}
        # The last row is for features that training has not seen.
        self._weights = np.vstack([weights, np.zeros((1, len(labels)), dtype=np.int32)])
        self._cache: dict[tuple[str, str, str, str], NDArray[np.int32]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """A child process gets the stored form, without the cache."""
        return SequenceTagger.from_bytes, (self.to_bytes(),)

    @property
    def types(self) -> tuple[str, ...]:
        """The types of spans, such as NP; sorted."""
        return tuple(sorted({label[2:] for label in self.labels if label != "O"}))

    def tag(self, words: Sequence[str], tags: Sequence[str]) -> list[str]:
        """The labels of one sentence, legal IOB2.

        Args:
            words: the tokens of the sentence.
            tags: their part-of-speech tags, of the tag set of the training data.

        Raises:
            RecordError: there is not one tag for each word.
        """
        if len(words) != len(tags):
            raise RecordError(f"{len(words)} words and {len(tags)} tags; give each word one tag")
        if not len(words):
            return []
        unseen = len(self._features)
        rows = [
            [self._features.get(feature, unseen) for feature in features]
            for features in _token_features(words, tags, self.task)
        ]
        scores: _Ints2d = self._weights[np.array(rows)].sum(axis=1, dtype=np.int32)
        return self._decode(scores, words, tags)

    def _decode(self, scores: _Ints2d, words: Sequence[str], tags: Sequence[str]) -> list[str]:
        """Choose the labels from the left to the right."""
        lower = [_OUTSIDE, *(word.lower() for word in words)]
        weights, find, unseen = self._weights, self._features.get, len(self._features)
        labels = []
        l_2 = l_1 = _OUTSIDE
        for i, (t, t1) in enumerate(zip(tags, [*tags[1:], _OUTSIDE], strict=True)):
            total = scores[i] + self._history_scores(l_2, l_1, t, t1)
            for feature in _history_word_features(l_1, lower[i], lower[i + 1]):
                row = find(feature, unseen)
                if row != unseen:
                    total += weights[row]
            l_2, l_1 = l_1, self.labels[total.argmax()]
            labels.append(l_1)
        return labels

    def _history_scores(self, l_2: str, l_1: str, t: str, t1: str) -> NDArray[np.int32]:
        """What the labels before a token add, with labels forbidden that may not follow."""
        key = (l_2, l_1, t, t1)
        found = self._cache.get(key)
        if found is None:
            unseen = len(self._features)
            rows = [self._features.get(feature, unseen) for feature in _history_features(*key)]
            found = self._weights[rows].sum(axis=0, dtype=np.int32)
            found[[not _follows(label, l_1) for label in self.labels]] = _FORBIDDEN
            if len(self._cache) >= _MOST_CACHED:
                self._cache.clear()
            self._cache[key] = found
        return found

    def to_bytes(self) -> bytes:
        """A safetensors file: names of the features, and weights that are not zero."""
        from safetensors.numpy import save

        rows, columns = np.nonzero(self._weights)
        header = {
            "format": _FORMAT, "version": _VERSION, "task": self.task, "labels": self.labels,
            "features": list(self._features),
        }  # fmt: skip
        arrays = {
            "header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
            "rows": rows.astype(np.int32),
            "columns": columns.astype(np.int32),
            "weights": self._weights[rows, columns],
        }
        data: bytes = save(arrays)
        return data

    @classmethod
    def from_bytes(cls, data: bytes, *, where: str = "these bytes") -> SequenceTagger:
        """Read what :meth:`to_bytes` wrote.

        Args:
            data: the bytes.
            where: what an error calls them.

        Raises:
            ResourceError: they are damaged, of another kind or of another version.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            arrays = load(data)
            header = json.loads(arrays["header"].tobytes())
            version = header["version"] if header["format"] == _FORMAT else None
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise ResourceError(f"no trained tagger in {where}; {_TRAIN}") from error
        if version != _VERSION:
            raise ResourceError(
                f"the trained tagger in {where} has version {version!r} and this release reads "
                f"{_VERSION}; {_TRAIN}"
            )
        try:
            return cls(*_checked(header, arrays))
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise ResourceError(f"the trained tagger in {where} is damaged; {_TRAIN}") from error

    def save(self, path: str | Path) -> None:
        """Write the tagger into one file, which is the old one or the whole new one at any time.

        Raises:
            ResourceError: the file cannot be written.
        """
        path = Path(path)
        data = self.to_bytes()
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                part.write_bytes(data)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise ResourceError(
                f"cannot write {path} ({error.strerror or error}); name a file in a folder that "
                "you may write to and that has room"
            ) from error

    @classmethod
    def load(cls, path: str | Path) -> SequenceTagger:
        """Read a file that :meth:`save` wrote.

        Raises:
            ResourceError: it is not there, damaged, of another kind or of another version.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            reason = error.strerror or error
            raise ResourceError(f"cannot read {path} ({reason}); {_TRAIN}") from error
        return cls.from_bytes(data, where=str(path))


def _checked(header: Any, arrays: dict[str, Any]) -> tuple[str, list[str], list[str], _Ints2d]:
    """The arguments of :class:`SequenceTagger`; fails on anything that does not fit together."""
    task, labels, features = header["task"], header["labels"], header["features"]
    rows, columns, values = arrays["rows"], arrays["columns"], arrays["weights"]
    texts = [*labels, *features]
    legal = (
        task in TASKS
        and "O" in labels
        and all(isinstance(text, str) for text in texts)
        and len(set(labels)) == len(labels)
        and len(set(features)) == len(features)
        and all(array.dtype == np.int32 for array in (rows, columns, values))
        and min(rows.min(initial=0), columns.min(initial=0)) >= 0
    )
    if not legal:
        raise ValueError("parts do not fit together")
    repair_iob(labels)  # refuses what is no IOB label
    weights = np.zeros((len(features), len(labels)), dtype=np.int32)
    weights[rows, columns] = values
    return task, labels, features, weights


# -- training ----------------------------------------------------------------------------


class TrainedChunker:
    """Chunks or entities by a tagger that ``spacy-attn train-chunker`` has trained.

    They never overlap.

    Args:
        tagger: gives each word an IOB label.
        task: what it must have been trained for.

    Raises:
        ConfigError: it was trained for another task.
    """

    def __init__(self, tagger: SequenceTagger, task: str) -> None:
        if tagger.task != task:
            component = {"chunks": "nltk_chunker", "entities": "nltk_ner"}[tagger.task]
            raise ConfigError(
                f"the tagger was trained with --task {tagger.task}: use it with {component}, or "
                f"run: spacy-attn train-chunker DATA -o MODEL --task {task}"
            )
        self.tagger = tagger

    def find(self, words: Sequence[str], tags: Sequence[str]) -> list[LabelledSpan]:
        """The chunks or entities of one sentence.

        Raises:
            RecordError: there is not one tag for each word.
        """
        return iob_spans(self.tagger.tag(words, tags))


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
        ConfigError: an unknown task or illegal number of epochs.
        RecordError: no sentence has a token, no token is in a span, or a label is not legal.
        ResourceError: NLTK is missing.
    """
    if task not in TASKS:
        raise ConfigError(f"task = {task!r} is unknown; legal are {', '.join(TASKS)}")
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
    l_2 = l_1 = w_1 = _OUTSIDE
    next_tags = [*tags[1:], _OUTSIDE]
    for i, features in enumerate(_token_features(words, tags, task)):
        w = words[i].lower()
        features += _history_features(l_2, l_1, tags[i], next_tags[i])
        features += _history_word_features(l_1, w_1, w)
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

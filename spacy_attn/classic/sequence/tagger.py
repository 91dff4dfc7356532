"""The tagger: labels from the left to the right, by whole numbers in one matrix.

NLTK trains; tagging reads the same weights out of one matrix, because a dictionary for each
feature is ten times slower. NLTK rounds its weights to thousandths, so they are kept as whole
numbers: scores are exact, and equal on every machine. (scikit-learn's DictVectorizer and
LogisticRegression learn other weights and so would give other labels.)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from spacy_attn.classic.sequence.features import (
    OUTSIDE,
    history_features,
    history_word_features,
    token_features,
)
from spacy_attn.classic.sequence.labels import (
    LabelledSpan,
    check_tags,
    follows,
    iob_spans,
    repair_iob,
)
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.files import atomic_write, regular_file

TASKS = ("chunks", "entities")
_Ints2d: TypeAlias = NDArray[np.int32]
_FORMAT, _VERSION = "spacy_attn sequence tagger", 1
_TRAIN = "train one with: spacy-attn train-chunker DATA -o MODEL"
_FORBIDDEN = -(10**9)
_MOST_WEIGHTS = 1 << 28  # a file of a megabyte can name more labels and features than fit memory
_MOST_CACHED = 20_000  # score vectors of label pairs and tags; some hundred bytes each


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
        """The labels of one sentence, valid IOB2.

        Args:
            words: the tokens of the sentence.
            tags: their part-of-speech tags, of the tag set of the training data.

        Raises:
            RecordError: there is not one tag for each word.
        """
        check_tags(words, tags)
        if not len(words):
            return []
        unseen = len(self._features)
        rows = [
            [self._features.get(feature, unseen) for feature in features]
            for features in token_features(words, tags, self.task)
        ]
        scores: _Ints2d = self._weights[np.array(rows)].sum(axis=1, dtype=np.int32)
        return self._decode(scores, words, tags)

    def _decode(self, scores: _Ints2d, words: Sequence[str], tags: Sequence[str]) -> list[str]:
        """Choose the labels from the left to the right."""
        lower = [OUTSIDE, *(word.lower() for word in words)]
        weights, find, unseen = self._weights, self._features.get, len(self._features)
        labels = []
        l_2 = l_1 = OUTSIDE
        for i, (t, t1) in enumerate(zip(tags, [*tags[1:], OUTSIDE], strict=True)):
            total = scores[i] + self._history_scores(l_2, l_1, t, t1)
            for feature in history_word_features(l_1, lower[i], lower[i + 1]):
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
            rows = [self._features.get(feature, unseen) for feature in history_features(*key)]
            found = self._weights[rows].sum(axis=0, dtype=np.int32)
            found[[not follows(label, l_1) for label in self.labels]] = _FORBIDDEN
            if len(self._cache) >= _MOST_CACHED:
                self._cache.clear()
            self._cache[key] = found
        return found

    def to_bytes(self) -> bytes:
        """A safetensors file: names of the features, and weights that are not zero."""
        from safetensors.numpy import save

        rows, columns = np.nonzero(self._weights)
        header = {
            "format": _FORMAT,
            "version": _VERSION,
            "task": self.task,
            "labels": self.labels,
            "features": list(self._features),
        }
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
        except (SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
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
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as file:
                file.write(data)
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
            data = regular_file(path).read_bytes()
        except OSError as error:
            reason = error.strerror or error
            raise ResourceError(f"cannot read {path} ({reason}); {_TRAIN}") from error
        return cls.from_bytes(data, where=str(path))


def _checked(header: Any, arrays: dict[str, Any]) -> tuple[str, list[str], list[str], _Ints2d]:
    """The arguments of :class:`SequenceTagger`; fails on anything that does not fit together."""
    task, labels, features = header["task"], header["labels"], header["features"]
    rows, columns, values = arrays["rows"], arrays["columns"], arrays["weights"]
    texts = [*labels, *features]
    fits = (
        task in TASKS
        and "O" in labels
        and all(isinstance(text, str) for text in texts)
        and len(set(labels)) == len(labels)
        and len(set(features)) == len(features)
        and all(array.dtype == np.int32 for array in (rows, columns, values))
        and min(rows.min(initial=0), columns.min(initial=0)) >= 0
        and len(labels) * len(features) <= _MOST_WEIGHTS
    )
    if not fits:
        raise ValueError("parts do not fit together")
    repair_iob(labels)  # refuses what is no IOB label
    weights = np.zeros((len(features), len(labels)), dtype=np.int32)
    weights[rows, columns] = values
    return task, labels, features, weights


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

"""The same vectors in tasks beyond senses: sentiment and question type, and what they cost.

    python -m benchmarks.tasks

* *sentiment*: 10,662 sentences of film reviews, positive or negative (Pang and Lee 2005, "Seeing
  stars"); ten stratified folds.
* *question type*: 5,452 questions to train on and 500 to test on, the six coarse classes (Li and
  Roth 2002, "Learning Question Classifiers").

Every row is a logistic regression on one vector of a sentence: tf-idf of its words, the mean of
its words' static vectors, or the mean of its tokens' attention vectors (what is in
``doc._.attn_vectors``), raw or with the shipped sense model. All see the same tokens, those of
the corpora. The penalty (and for tf-idf, whether pairs of neighbours count) is chosen by
three-fold cross-validation within each training part. Looks at the test parts: two runs, since the
choices of the first lay at the edges of the grids, which were widened.

The cost is the time from tokens to the vector of a sentence, in one process and one run, with the
defaults of ``attention_encoder``; the share of tokens that went through an encoder; and the size
on disk of what makes the vectors.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import (
    DATA,
    SEED,
    Result,
    T,
    accuracy,
    duel,
    encoded,
    file_megabytes,
    need,
    publish,
    run_command,
    static_mean,
    timed,
)
from spacy_attn._types import Encoder, Floats2d, StaticVectors
from spacy_attn.classic.vectors import shared_vectors
from spacy_attn.compare.results import comparisons
from spacy_attn.encoder.huggingface import shared_encoder
from spacy_attn.models import glove_files, model_files, resolve_encoder
from spacy_attn.settings import EncoderSettings
from spacy_attn.wsd.methods.registry import SENSE_MODEL

CORPORA = {
    "sentiment": DATA / "nltk" / "sentence_polarity.zip",
    "question type": DATA / "nltk" / "qc.zip",
}
FOLDS = 10
INNER_FOLDS = 3
PENALTIES = (1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0)  # C for features scaled to deviation 1
SPARSE_PENALTIES = (1.0, 5.0, 25.0, 125.0, 625.0)
BASELINE = "GloVe 50d, mean"

Ints1d = NDArray[np.int64]
Split = tuple[Ints1d, Ints1d]


@dataclass(frozen=True)
class Corpus:
    """Tokenised sentences, their classes, and what is trained and tested on.

    Every sentence is in the test part of one split at most.
    """

    name: str
    sentences: list[list[str]]
    labels: list[str]
    splits: list[Split]

    @property
    def tested(self) -> Ints1d:
        """The sentences of all test parts, in the order of the splits."""
        return np.concatenate([test for _, test in self.splits])


@dataclass(frozen=True, slots=True)
class Features:
    """Vectors of all sentences and what they cost."""

    rows: Any  # (n, width), or None where they are fitted on each training part
    ms_per_sentence: float
    disk_mb: float
    share_encoded: float


# -- reading ----------------------------------------------------------------------------------


def read_polarity(path: Path) -> Corpus:
    """sentence_polarity.zip, cut into folds."""
    from sklearn.model_selection import StratifiedKFold

    sentences: list[list[str]] = []
    labels: list[str] = []
    for label in ("neg", "pos"):
        for line in _lines(path, f"sentence_polarity/rt-polarity.{label}"):
            sentences.append(line.split())
            labels.append(label)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    return Corpus("sentiment", sentences, labels, list(folds.split(labels, labels)))


def read_questions(path: Path) -> Corpus:
    """qc.zip, its own training and test part, coarse classes."""
    parts = [list(_lines(path, f"qc/{part}.txt")) for part in ("train", "test")]
    lines = [line.partition(" ") for part in parts for line in part]
    n = len(parts[0])
    split = np.arange(n), np.arange(n, len(lines))
    labels = [label.partition(":")[0] for label, _, _ in lines]
    return Corpus("question type", [text.split() for _, _, text in lines], labels, [split])


def _lines(path: Path, name: str) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        # Not splitlines, which would part lines at characters of Latin-1 as well.
        text = archive.read(name).decode("latin-1")
    yield from (line.strip() for line in text.split("\n") if line.strip())


# -- vectors ----------------------------------------------------------------------------------


def static_means(sentences: Sequence[Sequence[str]], vectors: StaticVectors) -> Floats2d:
    """Mean vector of the words that have one. *Shape:* (n, width)"""
    return np.stack([static_mean(map(str.lower, words), vectors) for words in sentences])


def attention_means(sentences: Sequence[Sequence[str]], encoder: Encoder) -> Floats2d:
    """Mean of the tokens' contextual vectors. *Shape:* (n, width)"""
    return np.stack([a.mean(axis=0) for _, arrays in encoded(sentences, encoder) for a in arrays])


def encoder_settings() -> dict[str, EncoderSettings]:
    """As ``attention_encoder`` has them, without and with ``adapter = "senses"``."""
    plain = EncoderSettings()
    return {
        "MiniLM, mean": plain,
        "sense model, mean": replace(plain, unit="sentence", adapter=str(SENSE_MODEL)),
    }


def milliseconds(make: Callable[[], T], n: int) -> tuple[T, float]:
    """What a function makes, and milliseconds a sentence."""
    made, spent = timed(make)
    return made, round(1000 * spent / n, 4)


def dense_features(corpus: Corpus) -> dict[str, Features]:
    """Static and contextual means of a corpus; models are loaded before the clock runs."""
    n = len(corpus.sentences)
    vectors = shared_vectors(None)
    static_means(corpus.sentences[:16], vectors)
    rows, ms = milliseconds(lambda: static_means(corpus.sentences, vectors), n)
    out = {BASELINE: Features(rows, ms, file_megabytes(glove_files()), 0.0)}
    for name, settings in encoder_settings().items():
        encoder = shared_encoder(settings)
        attention_means(corpus.sentences[:16], encoder)
        rows, ms = milliseconds(partial(attention_means, corpus.sentences, encoder), n)
        files = model_files(resolve_encoder(settings.model).path)
        files += [SENSE_MODEL] if settings.adapter else []
        out[name] = Features(rows, ms, file_megabytes(files), 1.0)
    return out


# -- classifiers --------------------------------------------------------------------------------


def dense_search() -> Any:
    """Logistic regression on scaled features, its penalty chosen by cross-validation."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    model = Pipeline([("scale", StandardScaler()), ("model", LogisticRegression(max_iter=2000))])
    return _search(model, {"model__C": PENALTIES})


def sparse_search() -> Any:
    """The same on tf-idf of words, or of words and pairs of neighbours."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline

    words = TfidfVectorizer(tokenizer=str.split, token_pattern=None, sublinear_tf=True)
    model = Pipeline([("words", words), ("model", LogisticRegression(max_iter=2000))])
    return _search(model, {"words__ngram_range": [(1, 1), (1, 2)], "model__C": SPARSE_PENALTIES})


def _search(model: Any, grid: dict[str, Sequence[Any]]) -> Any:
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    folds = StratifiedKFold(INNER_FOLDS, shuffle=True, random_state=SEED)
    return GridSearchCV(model, {name: list(each) for name, each in grid.items()}, cv=folds)


def most_frequent(corpus: Corpus) -> list[str]:
    """The commonest class of each training part; the first in the alphabet of equal ones."""
    out: list[str] = []
    for train, test in corpus.splits:
        labels, counts = np.unique([corpus.labels[i] for i in train], return_counts=True)
        out += [str(labels[counts.argmax()])] * len(test)
    return out


def predict(
    corpus: Corpus, rows: Any, search: Callable[[], Any]
) -> tuple[list[str], list[Result], Any]:
    """Predictions for :attr:`Corpus.tested`, what was chosen for each split, and the last model.

    *Shape:* rows (n, ...)
    """
    labels = np.array(corpus.labels)
    said: list[str] = []
    chosen = []
    model = None
    for train, test in corpus.splits:
        model = search().fit([rows[i] for i in train], labels[train])
        said += model.predict([rows[i] for i in test]).tolist()
        chosen.append({key.partition("__")[2]: value for key, value in model.best_params_.items()})
    return said, chosen, model


def tfidf(corpus: Corpus) -> tuple[list[str], list[Result], Features]:
    """The tf-idf row: what it makes is timed and weighed in the model of the last split."""
    texts = [" ".join(sentence) for sentence in corpus.sentences]
    said, chosen, model = predict(corpus, texts, sparse_search)
    words = model.best_estimator_.named_steps["words"]
    _, ms = milliseconds(lambda: words.transform(texts), len(texts))
    disk = round(len(pickle.dumps(words)) / 1e6, 1)
    return said, chosen, Features(None, ms, disk, 0.0)


# -- measuring ----------------------------------------------------------------------------------


def row(corpus: Corpus, name: str, kind: str, said: Sequence[str]) -> Result:
    """The row of one system, ``right`` among it."""
    from sklearn.metrics import f1_score

    gold = [corpus.labels[i] for i in corpus.tested]
    right = np.array([g == s for g, s in zip(gold, said, strict=True)])
    macro_f1 = f1_score(gold, said, average="macro", zero_division=0)
    return {
        "task": corpus.name,
        "name": name,
        "kind": kind,
        **accuracy(right),
        "macro_f1": round(float(macro_f1), 4),
        "ms_per_sentence": 0.0,
        "share_of_tokens_encoded": 0.0,
        "disk_mb": 0.0,
        "right": right,
    }


def measure(corpus: Corpus) -> tuple[list[Result], Result]:
    """All rows of a corpus, and the best of attention against the best classic one."""
    rows = [row(corpus, "most frequent class", "classic", most_frequent(corpus))]
    said, chosen, made = tfidf(corpus)
    rows.append(row(corpus, "tf-idf", "classic", said) | _cost(made, chosen))
    for name, features in dense_features(corpus).items():
        said, chosen, _ = predict(corpus, features.rows, dense_search)
        kind = "classic" if name == BASELINE else "attention"
        rows.append(row(corpus, name, kind, said) | _cost(features, chosen))
    rights = {each["name"]: each.pop("right") for each in rows}
    tests = comparisons(rights, BASELINE)
    for each in rows:
        each["comparison"] = tests.get(each["name"])
    return rows, duel(list(rights), [each["kind"] for each in rows], list(rights.values()))


def _cost(features: Features, chosen: Sequence[Result]) -> Result:
    distinct = [dict(each) for each in dict.fromkeys(tuple(each.items()) for each in chosen)]
    return {
        "ms_per_sentence": features.ms_per_sentence,
        "share_of_tokens_encoded": features.share_encoded,
        "disk_mb": features.disk_mb,
        "chosen": distinct,
    }


def run() -> Result:
    """The whole benchmark."""
    corpora = [
        read_polarity(CORPORA["sentiment"]),
        read_questions(CORPORA["question type"]),
    ]
    measured = {corpus.name: measure(corpus) for corpus in corpora}
    return {
        "n": {corpus.name: len(corpus.tested) for corpus in corpora},
        "n_classes": {corpus.name: len(set(corpus.labels)) for corpus in corpora},
        "words_per_sentence": {
            corpus.name: round(float(np.mean([len(s) for s in corpus.sentences])), 1)
            for corpus in corpora
        },
        "baseline": BASELINE,
        "systems": [each for rows, _ in measured.values() for each in rows],
        "duels": {name: found for name, (_, found) in measured.items()},
    }


def main() -> None:
    for name, path in CORPORA.items():
        need(path, f"the corpus for {name}")
    files = [*CORPORA.values(), SENSE_MODEL, *glove_files()]
    publish("tasks", run(), ".tasks", files, seed=SEED)


if __name__ == "__main__":
    run_command(main, __doc__)

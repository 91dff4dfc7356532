"""A classifier for each word over vectors of its occurrences: what :mod:`.coarsewsd20` compares.

An occurrence is what the sense method makes of it: the mean vector of the target's tokens and
that of its context, read sentence by sentence; beside them the mean over the whole text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import encoded, records, static_mean, unit
from spacy_attn._types import Encoder, Floats2d, StaticVectors
from spacy_attn.encoder.huggingface import shared_encoder
from spacy_attn.settings import EncoderSettings
from spacy_attn.wsd.context import Target
from spacy_attn.wsd.methods.attention import fit_examples
from spacy_attn.wsd.methods.occurrence import occurrences
from spacy_attn.wsd.methods.registry import SENSE_MODEL

NEAR = 3  # words each side of the target in the narrow window of static vectors
PARTS = ("target", "context", "text")

Ints1d = NDArray[np.int64]
Scores = NDArray[np.float64]  # (n_rows, n_senses)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A word in a tokenised text, and its sense."""

    word: str
    sense: str
    is_test: bool
    tokens: tuple[str, ...]
    index: int


@dataclass(frozen=True)
class Word:
    """All occurrences of one word, training split and test split.

    *Shape:* y, is_test (n,); each block (n, width)
    """

    name: str
    senses: tuple[str, ...]  # sorted: the columns of probabilities
    y: Ints1d
    is_test: NDArray[np.bool_]
    texts: tuple[str, ...]
    blocks: dict[str, Any] = field(default_factory=dict)

    @property
    def train(self) -> Ints1d:
        """Rows of the training split."""
        return np.flatnonzero(~self.is_test)

    @property
    def test(self) -> Ints1d:
        """Rows of the test split."""
        return np.flatnonzero(self.is_test)


@dataclass(frozen=True, slots=True)
class Recipe:
    """One classifier: what it sees and how it is regularised.

    ``blocks`` are names of :attr:`Word.blocks`, side by side, each of unit length; or
    "tf-idf 1" (words) or "tf-idf 2" (words and pairs of neighbours).
    """

    blocks: tuple[str, ...]
    penalty: float = 1.0
    is_balanced: bool = False

    def __str__(self) -> str:
        weights = ", senses weighted alike" if self.is_balanced else ""
        return f"{' + '.join(self.blocks)}, C {self.penalty:g}{weights}"


Mix = tuple[Recipe, ...]  # the mean of their probabilities decides


# -- reading ----------------------------------------------------------------------------------


def read(path: Path) -> list[Occurrence]:
    """All occurrences of both splits, in the order of the file."""
    return [
        Occurrence(r["word"], r["sense"], r["split"] == "test", tuple(r["tokens"]), r["index"])
        for r in records(path)
    ]


def words_of(items: Sequence[Occurrence], blocks: dict[str, Any]) -> list[Word]:
    """The occurrences by word.

    *Shape:* each block (n_occurrences, width)
    """
    names = np.array([item.word for item in items])
    out = []
    for name in dict.fromkeys(names.tolist()):
        rows = np.flatnonzero(names == name)
        mine = [items[i] for i in rows.tolist()]
        senses = tuple(sorted({item.sense for item in mine}))
        out.append(
            Word(
                name,
                senses,
                np.array([senses.index(item.sense) for item in mine]),
                np.array([item.is_test for item in mine]),
                tuple(" ".join(item.tokens) for item in mine),
                {key: array[rows] for key, array in blocks.items()},
            )
        )
    return out


# -- vectors ----------------------------------------------------------------------------------


def encode(items: Sequence[Occurrence], encoder: Encoder, radius: int) -> Floats2d:
    """Target, context and whole text of each occurrence, side by side.

    *Shape:* (n, 3 * width)
    """
    blocks, at = [], 0
    for contexts, arrays in encoded([item.tokens for item in items], encoder):
        part = items[at : at + len(contexts)]
        at += len(contexts)
        targets = [
            Target(i, item.index, item.index + 1, item.word, ()) for i, item in enumerate(part)
        ]
        whole = np.stack([array.mean(axis=0) for array in arrays])
        parts = occurrences(contexts, arrays, targets, radius)
        blocks.append(np.concatenate([parts, whole], axis=1))
    return np.concatenate(blocks)


def static_blocks(items: Sequence[Occurrence], vectors: StaticVectors) -> dict[str, Floats2d]:
    """Means of the static vectors of the other words: near the target, and of the whole text.

    *Shape:* of each (n, width)
    """

    def means(radius: int) -> Floats2d:
        out = []
        for item in items:
            low = max(0, item.index - radius)
            others = [*item.tokens[low : item.index], *item.tokens[item.index + 1 :][:radius]]
            out.append(static_mean(map(str.lower, others), vectors))
        return np.stack(out)

    return {"static near": means(NEAR), "static text": means(max(len(i.tokens) for i in items))}


def encoders() -> dict[str, Encoder]:
    """The encoder as it comes and with the shipped adapter, reading sentence by sentence."""
    plain = EncoderSettings(unit="sentence")
    adapted = replace(plain, adapter=str(SENSE_MODEL))
    return {"raw": shared_encoder(plain), "adapted": shared_encoder(adapted)}


def split_parts(name: str, array: Any) -> dict[str, Any]:
    """The blocks of an encoder. *Shape:* (n, 3 * width) -> of each (n, width)"""
    width = array.shape[1] // 3
    return {f"{name} {part}": array[:, k * width : (k + 1) * width] for k, part in enumerate(PARTS)}


def side_by_side(word: Word, blocks: Sequence[str], rows: Ints1d) -> Floats2d:
    """Some blocks of a word, each to unit length. *Shape:* (n_rows, sum of the widths)"""
    return np.concatenate([unit(word.blocks[name][rows]) for name in blocks], axis=1)


# -- classifiers --------------------------------------------------------------------------------


def model_of(recipe: Recipe) -> Any:
    """The classifier of scikit-learn, not fitted."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    weights = "balanced" if recipe.is_balanced else None
    model = LogisticRegression(C=recipe.penalty, max_iter=3000, class_weight=weights)
    if not recipe.blocks[0].startswith("tf-idf"):
        return model
    words = TfidfVectorizer(  # tokens are the set's own: blanks part them
        tokenizer=str.split,
        token_pattern=None,
        sublinear_tf=True,
        ngram_range=(1, int(recipe.blocks[0][-1])),
    )
    return make_pipeline(words, model)


def features(recipe: Recipe, word: Word, rows: Ints1d) -> Any:
    """Texts for tf-idf, else vectors. *Shape:* (n_rows, ...)"""
    if recipe.blocks[0].startswith("tf-idf"):
        return [word.texts[i] for i in rows]
    return side_by_side(word, recipe.blocks, rows)


def probabilities(recipe: Recipe, word: Word, train: Ints1d, test: Ints1d) -> Scores:
    """Of each sense for the test rows, fitted on the training rows.

    *Shape:* (n_train,), (n_test,) -> (n_test, n_senses)
    """
    model = model_of(recipe).fit(features(recipe, word, train), word.y[train])
    out = np.zeros((len(test), len(word.senses)))
    out[:, model.classes_] = model.predict_proba(features(recipe, word, test))
    return out


def mixed(mix: Mix, word: Word, train: Ints1d, test: Ints1d) -> Scores:
    """Mean probabilities of several classifiers. *Shape:* (n_test, n_senses)"""
    found = [probabilities(recipe, word, train, test) for recipe in mix]
    return np.asarray(np.mean(found, axis=0))


def nearest_mean(blocks: Sequence[str], word: Word, train: Ints1d, test: Ints1d) -> Scores:
    """Cosine to the mean vector of each sense: 1NN of the sense vectors, as in the paper.

    *Shape:* (n_test, n_senses)
    """
    seen = side_by_side(word, blocks, train)
    means = np.stack([seen[word.y[train] == k].mean(axis=0) for k in range(len(word.senses))])
    return np.asarray(unit(side_by_side(word, blocks, test)) @ unit(means).T, dtype=np.float64)


def most_frequent(word: Word, train: Ints1d, test: Ints1d) -> Scores:
    """The commonest sense of the training rows, always. *Shape:* (n_test, n_senses)"""
    counts = np.bincount(word.y[train], minlength=len(word.senses)).astype(float)
    return np.tile(counts / counts.sum(), (len(test), 1))


def regression(
    blocks: Sequence[str], penalty: float, word: Word, train: Ints1d, test: Ints1d
) -> Scores:
    """What the attention method makes of examples: ridge regression. *Shape:* (n_test, n_senses)"""
    seen = side_by_side(word, blocks, train)
    examples = [seen[word.y[train] == k] for k in range(len(word.senses))]
    weights, bias = fit_examples(examples, penalty)
    return np.asarray(side_by_side(word, blocks, test) @ weights.T + bias, dtype=np.float64)

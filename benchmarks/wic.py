"""Word in Context: does a word have the same sense in two sentences?

    python -m benchmarks.wic

WiC (Pilehvar and Camacho-Collados 2019, "WiC: the Word-in-Context Dataset for Evaluating
Context-Sensitive Meaning Representations"). Everything that is fitted (a threshold on one
similarity, a logistic regression on several) is fitted on the training part and measured on the
development part; the test part's answers are not public. Decisions of sense methods over WordNet
(the same sense chosen twice, or two) need no fitting.

WiC's sentences are examples of WordNet, VerbNet and Wiktionary. The shipped sense model was trained
on WordNet's example sentences, and ``lesk_extended`` and ``word2vec`` read them as part of a gloss:
most pairs hold one that such a row knows with its sense. The ``unseen`` scores are of pairs of both
parts of which neither sentence stands in WordNet: all that differ, and as many of the same sense,
drawn with a fixed seed (unlike WiC's parts, those pairs are mostly the same). What is fitted for
them is fitted on such pairs alone, ten folds over those of the training part; for those of the
development part on all of them. They are the ones to believe for rows with ``has_read``.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import (
    DATA,
    ROOT,
    SEED,
    Bools1d,
    Result,
    accuracy,
    duel,
    need,
    progress,
    publish,
    run_command,
    static_mean,
    unit,
)
from benchmarks.word_experts import Occurrence, encode, encoders
from spacy_attn import load_pipeline
from spacy_attn.classic.vectors import shared_vectors
from spacy_attn.compare.dataset import Dataset, LabelledSentence, LabelledWord, dataset_of
from spacy_attn.compare.results import comparisons
from spacy_attn.compare.systems import MethodSystem
from spacy_attn.compare.task import gold_task
from spacy_attn.components.adapter import resources_of
from spacy_attn.models import glove_files
from spacy_attn.wsd.inventory.wordnet import wordnet_inventory
from spacy_attn.wsd.inventory.wordnet_files import WordNet
from spacy_attn.wsd.methods.registry import SENSE_MODEL
from spacy_attn.wsd.methods.sense_head import SenseHead

FOLDER = DATA / "wic"
FOLDS = 10
BASELINE = "GloVe 50d, words of the context"
#: Similarities and methods that know WordNet's example sentences with their senses.
_HAVE_READ = frozenset(
    [
        "adapted target",
        "adapted context",
        "adapted z",
        "both target",
        "lesk_extended",
        "word2vec",
        "attention",
    ]
)
METHODS = ("first_sense", "lesk", "lesk_extended", "word2vec", "attention")

Floats1d = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pair:
    """A word in two tokenised sentences."""

    id: str
    lemma: str
    pos: str  # NOUN or VERB
    indices: tuple[int, int]
    sentences: tuple[tuple[str, ...], tuple[str, ...]]
    is_same: bool
    is_train: bool


# -- reading ----------------------------------------------------------------------------------


def read(folder: Path, part: str) -> list[Pair]:
    """The pairs of a part: "train" or "dev"."""
    data = _lines(folder / f"{part}.data.txt.gz")
    gold = _lines(folder / f"{part}.gold.txt.gz")
    out = []
    for number, (line, answer) in enumerate(zip(data, gold, strict=True)):
        lemma, pos, places, first, second = line.split("\t")
        one, two = (int(place) for place in places.split("-"))
        out.append(
            Pair(
                f"{part}.{number}",
                lemma,
                {"N": "NOUN", "V": "VERB"}[pos],
                (one, two),
                (tuple(first.split()), tuple(second.split())),
                answer == "T",
                part == "train",
            )
        )
    return out


def _lines(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read().splitlines()


def seen_by(pairs: Sequence[Pair], examples: set[str]) -> Bools1d:
    """Whether one of a pair's sentences is among some, letters and digits compared."""
    return np.array(
        [any(plain(" ".join(s)) in examples for s in pair.sentences) for pair in pairs], dtype=bool
    )


def plain(text: str) -> str:
    """Letters and digits alone, lower case."""
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


def balanced_unseen(is_seen: Bools1d, is_same: Bools1d) -> Bools1d:
    """Which unseen pairs are asked about: as many of the one answer as of the other.

    *Shape:* (n,), (n,) -> (n,)
    """
    rng = np.random.default_rng(SEED)
    rows = [rng.permutation(np.flatnonzero(~is_seen & (is_same == each))) for each in (False, True)]
    n = min(len(each) for each in rows)
    out = np.zeros(len(is_seen), dtype=bool)
    for each in rows:
        out[each[:n]] = True
    return out


def wordnet_examples() -> set[str]:
    """All example sentences of the user's WordNet.

    Raises:
        ResourceError: there is none.
    """
    glosses = WordNet().synsets.glosses()
    return {plain(each) for _, gloss in glosses for each in re.findall(r'"([^"]+)"', gloss)}


# -- similarities -------------------------------------------------------------------------------


def cosines(a: Any, b: Any) -> Floats1d:
    """Of each row with the other; 0 where one is zero. *Shape:* (n, width) twice -> (n,)"""
    return np.asarray(np.einsum("nw,nw->n", unit(a), unit(b)), dtype=np.float64)


def static_similarities(pairs: Sequence[Pair], vectors: Any) -> dict[str, Floats1d]:
    """Of the word itself, which is constant, and of the other words' mean vectors.

    *Shape:* of each (n,)
    """
    words = vectors.vectors([pair.lemma for pair in pairs])
    means = [
        np.stack([static_mean(sorted(_bag(pair, k)), vectors) for pair in pairs]) for k in (0, 1)
    ]
    shared = [
        len(_bag(pair, 0) & _bag(pair, 1)) / max(1, len(_bag(pair, 0) | _bag(pair, 1)))
        for pair in pairs
    ]
    same_form = [_form(pair, 0) == _form(pair, 1) for pair in pairs]
    return {
        "static word": cosines(words, words),
        "static context": cosines(*means),
        "shared words": np.array(shared, dtype=np.float64),
        "same form": np.array(same_form, dtype=np.float64),
    }


def _form(pair: Pair, k: int) -> str:
    return pair.sentences[k][pair.indices[k]].lower()


def _bag(pair: Pair, k: int) -> set[str]:
    others = (w.lower() for i, w in enumerate(pair.sentences[k]) if i != pair.indices[k])
    return {word for word in others if word.isalpha()}


def similarities(pairs: Sequence[Pair], head: SenseHead) -> dict[str, Floats1d]:
    """All similarities of all pairs. *Shape:* of each (n,)"""
    out = static_similarities(pairs, shared_vectors(None))
    sides = [
        [Occurrence(p.lemma, "", False, p.sentences[k], p.indices[k]) for p in pairs]
        for k in (0, 1)
    ]
    for name, encoder in encoders().items():
        one, two = (encode(side, encoder, head.context_radius) for side in sides)
        width = encoder.width
        out[f"{name} target"] = cosines(one[:, :width], two[:, :width])
        context = slice(width, 2 * width)
        out[f"{name} context"] = cosines(one[:, context], two[:, context])
        if name == "adapted":
            z = [head.z(side[:, : 2 * width]) for side in (one, two)]
            out["adapted z"] = cosines(*z)
    return out


# -- fitting ------------------------------------------------------------------------------------


def fit_threshold(values: Floats1d, is_same: Bools1d) -> float:
    """The threshold with the most right answers, where a value at or above it means "same".

    It lies half way between two neighbouring values; the lowest of equally good ones.

    *Shape:* (n,), (n,)
    """
    order = np.argsort(values, kind="stable")
    ordered, same = values[order], is_same[order]
    # Below the threshold stand the first k: right are the different ones there, and the same
    # ones above.
    right = np.concatenate([[0], np.cumsum(~same)]) + (
        same.sum() - np.concatenate([[0], np.cumsum(same)])
    )
    can_cut = np.concatenate([[True], np.diff(ordered) > 0, [True]])
    k = int(np.argmax(np.where(can_cut, right, -1)))
    if k == 0:
        return float("-inf")
    if k == len(ordered):
        return float("inf")
    return float((ordered[k - 1] + ordered[k]) / 2)


#: Fitted on (features, answers), asked about features. *Shape:* (n, k), (n,), (m, k) -> (m,)
Decide = Callable[[NDArray[np.float64], Bools1d, NDArray[np.float64]], Bools1d]


def by_threshold(
    seen: NDArray[np.float64], is_same: Bools1d, asked: NDArray[np.float64]
) -> Bools1d:
    """One similarity and a threshold."""
    return np.asarray(asked[:, 0] >= fit_threshold(seen[:, 0], is_same))


def by_regression(
    seen: NDArray[np.float64], is_same: Bools1d, asked: NDArray[np.float64]
) -> Bools1d:
    """Logistic regression on some similarities, each to mean 0 and deviation 1."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression())
    return np.asarray(model.fit(seen, is_same).predict(asked), dtype=bool)


@dataclass(frozen=True)
class Fitted:
    """A row that is fitted: which similarities it sees, and how it decides."""

    name: str
    kind: str
    features: tuple[str, ...]
    decide: Decide


SYSTEMS = (
    Fitted("GloVe 50d, the word itself", "classic", ("static word",), by_threshold),
    Fitted(BASELINE, "classic", ("static context",), by_threshold),
    Fitted(
        "classic similarities, logistic regression",
        "classic",
        ("static context", "shared words", "same form"),
        by_regression,
    ),
    Fitted("MiniLM, target", "attention", ("raw target",), by_threshold),
    Fitted("sense model, target", "attention", ("adapted target",), by_threshold),
    Fitted("sense model, trained vector", "attention", ("adapted z",), by_threshold),
    Fitted("MiniLM and sense model, target", "attention", ("both target",), by_threshold),
    Fitted(
        "MiniLM similarities, logistic regression",
        "attention",
        ("raw target", "raw context"),
        by_regression,
    ),
    Fitted(
        "all similarities, logistic regression",
        "both",
        (
            "static context",
            "shared words",
            "same form",
            "raw target",
            "raw context",
            "adapted target",
            "adapted context",
            "adapted z",
        ),
        by_regression,
    ),
)


def answers_of(
    system: Fitted, values: dict[str, Floats1d], is_same: Bools1d, is_train: Bools1d
) -> Bools1d:
    """What a row says of the development pairs, fitted on all training pairs.

    *Shape:* of each value, is_same, is_train (n,) -> (n_dev,)
    """
    x = np.stack([values[name] for name in system.features], axis=1)
    return system.decide(x[is_train], is_same[is_train], x[~is_train])


def answers_unseen(
    system: Fitted,
    values: dict[str, Floats1d],
    is_same: Bools1d,
    is_train: Bools1d,
    is_unseen: Bools1d,
) -> Bools1d:
    """What a row says of the unseen pairs, none fitted on itself.

    *Shape:* of each value and the others (n,) -> (n_unseen,)
    """
    from sklearn.model_selection import StratifiedKFold

    x = np.stack([values[name] for name in system.features], axis=1)
    train, dev = np.flatnonzero(is_unseen & is_train), np.flatnonzero(is_unseen & ~is_train)
    out = np.zeros(len(is_same), dtype=bool)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    for a, b in folds.split(train, is_same[train]):
        out[train[b]] = system.decide(x[train[a]], is_same[train[a]], x[train[b]])
    if len(dev):
        out[dev] = system.decide(x[train], is_same[train], x[dev])
    return out[is_unseen]


# -- decisions of sense methods -----------------------------------------------------------------


def dataset(pairs: Sequence[Pair]) -> Dataset:
    """Both sentences of each pair; the answers' senses are not known, so none counts as right."""
    sentences = []
    for pair in pairs:
        for k in (0, 1):
            tokens, name = pair.sentences[k], f"{pair.id}.{k}"
            word = LabelledWord(name, pair.indices[k], pair.lemma, pair.pos, ("",))
            blank = ("",) * len(tokens)
            sentences.append(LabelledSentence(name, "wic", tokens, blank, blank, (word,)))
    return dataset_of("WiC", sentences)


def same_sense(chosen: Sequence[str | None]) -> tuple[Bools1d, Bools1d]:
    """Of each pair whether both senses are the same, and whether both words are known.

    *Shape:* (2 * n,) -> (n,), (n,)
    """
    pairs = list(zip(chosen[::2], chosen[1::2], strict=True))
    known = np.array([a is not None and b is not None for a, b in pairs], dtype=bool)
    return np.array([a == b for a, b in pairs], dtype=bool) & known, known


def decisions(pairs: Sequence[Pair]) -> dict[str, tuple[Bools1d, Bools1d]]:
    """For each method what :func:`same_sense` says."""
    nlp = load_pipeline()
    task = gold_task(dataset(pairs), wordnet_inventory(), resources_of(nlp))
    out = {}
    for method in progress(METHODS, "methods"):
        answers = MethodSystem(method)(task, lambda done, total: None)
        out[method] = same_sense([None if p is None else p.sense for p in answers.predictions])
    return out


# -- measuring ----------------------------------------------------------------------------------


def row(name: str, kind: str, has_read: bool, right: Bools1d, unseen: Bools1d) -> Result:
    """The row of a system. *Shape:* right (n_dev,), unseen (n_unseen,)"""
    return {
        "name": name,
        "kind": kind,
        "has_read": has_read,
        **accuracy(right),
        "unseen": accuracy(unseen),
        "right": right,
        "right_unseen": unseen,
    }


def duels(rows: Sequence[Result]) -> Result:
    """Attention against classic: among rows that have not read the pairs, and on unseen pairs."""

    def best(key: str, mine: Sequence[Result]) -> Result:
        names, kinds, rights = ([each[k] for each in mine] for k in ("name", "kind", key))
        return duel(names, kinds, rights)

    fair = [each for each in rows if not each["has_read"]]
    return {"dev": best("right", fair), "unseen": best("right_unseen", rows)}


def compare_with(baseline: str, rows: Sequence[Result]) -> None:
    """Put McNemar's test against a row into all others, and take out what it needed."""
    for key in ("right", "right_unseen"):
        tests = comparisons({each["name"]: each.pop(key) for each in rows}, baseline)
        for each in rows:
            (each if key == "right" else each["unseen"])["comparison"] = tests.get(each["name"])


def run() -> Result:
    """The whole benchmark."""
    pairs = read(FOLDER, "train") + read(FOLDER, "dev")
    is_same = np.array([pair.is_same for pair in pairs])
    is_train = np.array([pair.is_train for pair in pairs])
    is_seen = seen_by(pairs, wordnet_examples())
    is_unseen = balanced_unseen(is_seen, is_same)
    values = similarities(pairs, SenseHead.load(SENSE_MODEL))
    values["both target"] = (values["raw target"] + values["adapted target"]) / 2
    rows = []
    for system in SYSTEMS:
        right = answers_of(system, values, is_same, is_train) == is_same[~is_train]
        said = answers_unseen(system, values, is_same, is_train, is_unseen)
        has_read = any(name in _HAVE_READ for name in system.features)
        rows.append(row(system.name, system.kind, has_read, right, said == is_same[is_unseen]))
    for method, (said, known) in decisions(pairs).items():
        # A pair with a word that the inventory does not know counts as wrong.
        right = (said == is_same) & known
        kind = "attention" if method == "attention" else "classic"
        name, has_read = f"decisions of {method}", method in _HAVE_READ
        rows.append(row(name, kind, has_read, right[~is_train], right[is_unseen]))
        rows[-1]["unknown"] = int((~known[~is_train]).sum())
    found = duels(rows)
    compare_with(BASELINE, rows)
    return {
        "dataset": "WiC, development part",
        "n": int((~is_train).sum()),
        "n_train": int(is_train.sum()),
        "n_unseen": int(is_unseen.sum()),
        "n_dev_with_wordnet_example": int((is_seen & ~is_train).sum()),
        "baseline": BASELINE,
        "systems": rows,
        "duels": found,
    }


def main() -> None:
    files = [
        FOLDER / f"{part}.{kind}.txt.gz" for part in ("train", "dev") for kind in ("data", "gold")
    ]
    for path in files:
        need(path, "WiC")
    files += [SENSE_MODEL, ROOT / "spacy_attn" / "data" / "wordnet.npz", *glove_files()]
    publish("wic", run(), ".wic", files, seed=SEED)


if __name__ == "__main__":
    run_command(main, __doc__)

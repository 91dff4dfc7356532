"""CoarseWSD-20 with its training split: a classifier for each word, classic against attention.

    python -m benchmarks.coarsewsd20

CoarseWSD-20 (Loureiro, Rezaee, Pilehvar and Camacho-Collados 2021, "Analysis and Evaluation of
Language Models for Word Sense Disambiguation"): 20 nouns with two to five coarse senses, whole
sentences of Wikipedia in lower case. For each word a classifier is fitted on the training split
and measured on all sentences of the test split.

What goes in and how strongly it is regularised is chosen by five-fold cross-validation on the
training split (at most ``CAP`` sentences of a sense there), by the mean of accuracy and macro-F1:
n-grams of tf-idf, windows of static vectors, which vectors of the encoder stand side by side, and
which classifiers' probabilities are averaged. Looks at the test split: one run, and one more after
the grid of penalties was widened because tf-idf had taken its largest. Tried on the training split
and left out: the mean of the last three layers, alone or beside the last (accuracy / macro-F1 with
both encoders side by side 95.6 / 91.8 and 95.9 / 92.8, without it 95.95 / 92.8).

An occurrence is what the sense method makes of it: the mean vector of the target's tokens and
that of its context, read sentence by sentence; beside them the mean over the whole text.

The few-shot curve draws 1, 3, 10 and 30 training sentences of each sense, five times; a sense
that has fewer gives all. Zero-shot is ``python -m benchmarks.senses coarsewsd20``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.common import (
    DATA,
    SEED,
    Result,
    accuracy,
    need,
    progress,
    publish,
    rounded,
    run_command,
)
from benchmarks.word_experts import (
    PARTS,
    Ints1d,
    Mix,
    Recipe,
    Scores,
    Word,
    encode,
    encoders,
    mixed,
    most_frequent,
    nearest_mean,
    probabilities,
    read,
    regression,
    split_parts,
    static_blocks,
    words_of,
)
from spacy_attn.classic.vectors import shared_vectors
from spacy_attn.compare.metrics import macro_f1
from spacy_attn.compare.results import comparisons
from spacy_attn.models import glove_files
from spacy_attn.wsd.methods.registry import SENSE_MODEL
from spacy_attn.wsd.methods.sense_head import SenseHead

CORPUS = DATA / "coarsewsd20.jsonl.gz"
BASELINE = "tf-idf, logistic regression"
FOLDS = 5
CAP = 1000  # training sentences of a sense that take part in the choice of settings
PENALTIES = (1.0, 5.0, 25.0, 125.0, 625.0, 3125.0)  # C of the regression: more is less penalty
SHOTS = (1, 3, 10, 30)
DRAWS = 5
#: Micro accuracy and macro-F1 as the paper gives them, in points.
FROM_PAPER = {
    "fastText-crawl": (96.9, 86.8),
    "BERT-base, 1NN": (95.7, 91.0),
    "BERT-large, 1NN": (96.7, 93.2),
}
TO_REACH = {"to_reach": (97.1, 93.5), "aim": (97.8, 95.0)}
_ENCODERS = ("raw", "adapted")


# -- choosing settings on the training split ------------------------------------------------------


def capped(word: Word, cap: int = CAP) -> Ints1d:
    """Training rows, at most some of each sense, drawn with a fixed seed."""
    rng = np.random.default_rng(SEED)
    rows = [
        rng.permutation(word.train[word.y[word.train] == k])[:cap] for k in range(len(word.senses))
    ]
    return np.sort(np.concatenate(rows))


class CrossValidation:
    """Probabilities of training rows by classifiers that have not seen them; each asked once."""

    def __init__(self, words: Sequence[Word]) -> None:
        from sklearn.model_selection import StratifiedKFold

        self.words = words
        self.rows = [capped(word, CAP) for word in words]
        self._splitter = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
        self._known: dict[Recipe, list[Scores]] = {}
        self.tried: dict[str, dict[str, float]] = {}

    def held_out(self, recipe: Recipe) -> list[Scores]:
        """For each word. *Shape:* of each (n_rows, n_senses)"""
        if recipe not in self._known:
            self._known[recipe] = [
                self._of_word(recipe, word, rows)
                for word, rows in zip(self.words, self.rows, strict=True)
            ]
        return self._known[recipe]

    def _of_word(self, recipe: Recipe, word: Word, rows: Ints1d) -> Scores:
        out = np.zeros((len(rows), len(word.senses)))
        for train, test in self._splitter.split(rows, word.y[rows]):
            out[test] = probabilities(recipe, word, rows[train], rows[test])
        return out

    def score(self, mix: Mix) -> tuple[float, float]:
        """Accuracy and macro-F1 over the rows of all words."""
        means = [np.mean(each, axis=0) for each in zip(*map(self.held_out, mix), strict=True)]
        accuracy, f1 = scores(*answers(self.words, means, self.rows))
        self.tried[" | ".join(map(str, mix))] = {
            "accuracy": round(accuracy, 4),
            "macro_f1": round(f1, 4),
        }
        return accuracy, f1

    def best(self, mixes: Sequence[Mix]) -> Mix:
        """The one with the highest mean of accuracy and macro-F1; the first of equal ones."""
        return max(mixes, key=lambda mix: sum(self.score(mix)))

    def best_penalty(self, blocks: Sequence[tuple[str, ...]]) -> Recipe:
        """The best of some compositions with the best penalty."""
        (recipe,) = self.best([(Recipe(each, c),) for each in blocks for c in PENALTIES])
        return recipe


def answers(
    words: Sequence[Word], decided: Sequence[Scores], rows: Sequence[Ints1d]
) -> tuple[list[str], list[str], list[str]]:
    """Word, right sense and chosen sense of each row."""
    names: list[str] = []
    gold: list[str] = []
    chosen: list[str] = []
    for word, each, mine in zip(words, decided, rows, strict=True):
        names += [word.name] * len(mine)
        gold += [word.senses[k] for k in word.y[mine]]
        chosen += [word.senses[k] for k in each.argmax(axis=1)]
    return names, gold, chosen


def scores(names: Sequence[str], gold: Sequence[str], chosen: Sequence[str]) -> tuple[float, float]:
    """Micro accuracy, and the mean over words of the mean F1 over the word's senses."""
    right = float(np.mean([g == c for g, c in zip(gold, chosen, strict=True)]))
    return right, macro_f1(names, gold, chosen)


def choose(cv: CrossValidation) -> dict[str, Mix]:
    """What each row with a choice is made of."""
    tfidf = cv.best_penalty([("tf-idf 1",), ("tf-idf 2",)])
    static = cv.best_penalty([("static text",), ("static near",), ("static near", "static text")])
    plain = {name: cv.best_penalty([_blocks(name, "target", "context")]) for name in _ENCODERS}
    richer = {
        name: cv.best_penalty(
            [
                _blocks(name, "target", "context"),
                _blocks(name, "target", "text"),
                _blocks(name, *PARTS),
            ]
        )
        for name in _ENCODERS
    }
    raw, adapted = richer["raw"], richer["adapted"]
    both = cv.best_penalty([raw.blocks + adapted.blocks])
    singles = [(raw,), (adapted,), (both,), (raw, adapted), (raw, adapted, both)]
    alike = [tuple(replace(r, is_balanced=True) for r in mix) for mix in singles]
    attention = cv.best(singles + alike)
    joined = [attention + more for more in ((tfidf,), (static,), (tfidf, static))]
    return {
        "tf-idf": (tfidf,),
        "static": (static,),
        **{name: (recipe,) for name, recipe in plain.items()},
        "attention": attention,
        "joined": cv.best(joined),
    }


def _blocks(encoder: str, *parts: str) -> tuple[str, ...]:
    return tuple(f"{encoder} {part}" for part in parts)


# -- measuring on the test split ------------------------------------------------------------------


def macro_interval(
    names: Sequence[str], gold: Sequence[str], chosen: Sequence[str]
) -> tuple[float, float]:
    """95 % bootstrap interval of macro-F1, each word's sentences drawn anew among themselves.

    To draw n of a word's sentences is to draw n cells of its table of right and chosen senses.
    """
    rng = np.random.default_rng(SEED)
    by_word: dict[str, Counter[tuple[str, str]]] = {}
    for name, g, c in zip(names, gold, chosen, strict=True):
        by_word.setdefault(name, Counter())[g, c] += 1
    means = []
    for cells in by_word.values():
        pairs, counts = list(cells), np.array(list(cells.values()))
        draws = rng.multinomial(counts.sum(), counts / counts.sum(), 2000)
        f1s = []
        for sense in sorted({g for g, _ in pairs}):
            is_gold = np.array([g == sense for g, _ in pairs])
            is_chosen = np.array([c == sense for _, c in pairs])
            right = draws[:, is_gold & is_chosen].sum(axis=1)
            both = draws[:, is_gold].sum(axis=1) + draws[:, is_chosen].sum(axis=1)
            # A sense that was neither drawn nor chosen does not count in that draw.
            f1s.append(np.where(both > 0, 2 * right / np.maximum(both, 1), np.nan))
        means.append(np.nanmean(f1s, axis=0))
    low, high = np.quantile(np.mean(means, axis=0), [0.025, 0.975])
    return float(low), float(high)


def row(name: str, kind: str, words: Sequence[Word], decided: Sequence[Any]) -> Result:
    """The row of one system; ``right`` is taken out before it is written."""
    names, gold, chosen = answers(words, decided, [word.test for word in words])
    right = np.array([g == c for g, c in zip(gold, chosen, strict=True)])
    labels = np.array(names)
    return {
        "name": name,
        "kind": kind,
        **accuracy(right),
        "macro_f1": round(macro_f1(names, gold, chosen), 4),
        "macro_f1_ci95": rounded(macro_interval(names, gold, chosen)),
        "by_word": {
            word.name: round(float(right[labels == word.name].mean()), 4) for word in words
        },
        "right": right,
    }


def measure(words: Sequence[Word], chosen: dict[str, Mix], head: SenseHead) -> list[Result]:
    """All rows of the table: fitted on all of the training split, asked about the test split."""
    pair = {name: _blocks(name, "target", "context") for name in _ENCODERS}
    static = chosen["static"][0].blocks
    ridge = head.ridge
    systems: list[tuple[str, str, Any]] = [
        ("most frequent sense", "classic", most_frequent),
        (BASELINE, "classic", partial(mixed, chosen["tf-idf"])),
        ("GloVe 50d, nearest centroid", "classic", partial(nearest_mean, static)),
        ("GloVe 50d, logistic regression", "classic", partial(mixed, chosen["static"])),
        ("MiniLM, nearest centroid", "attention", partial(nearest_mean, pair["raw"])),
        ("sense model, nearest centroid", "attention", partial(nearest_mean, pair["adapted"])),
        ("MiniLM, logistic regression", "attention", partial(mixed, chosen["raw"])),
        ("sense model, logistic regression", "attention", partial(mixed, chosen["adapted"])),
        ("sense model, ridge regression", "attention", partial(regression, pair["adapted"], ridge)),
        ("attention, chosen on training data", "attention", partial(mixed, chosen["attention"])),
        ("attention and classic, averaged", "both", partial(mixed, chosen["joined"])),
    ]
    out = []
    for name, kind, decide in progress(systems, "systems"):
        out.append(row(name, kind, words, [decide(w, train=w.train, test=w.test) for w in words]))
    tests = comparisons({each["name"]: each.pop("right") for each in out}, BASELINE)
    for each in out:
        each["comparison"] = tests.get(each["name"])
    return out


def draw(word: Word, n: int, rng: np.random.Generator) -> Ints1d:
    """At most n training rows of each sense."""
    train = word.train
    rows = [rng.permutation(train[word.y[train] == k])[:n] for k in range(len(word.senses))]
    return np.concatenate(rows)


def few_shot(words: Sequence[Word], chosen: dict[str, Mix], head: SenseHead) -> Result:
    """Scores with few training sentences of each sense, over several draws."""
    pair = _blocks("adapted", "target", "context")
    systems: Result = {
        BASELINE: partial(mixed, chosen["tf-idf"]),
        "GloVe 50d, logistic regression": partial(mixed, chosen["static"]),
        "sense model, ridge regression": partial(regression, pair, head.ridge),
    }
    curve: dict[str, list[Result]] = {name: [] for name in systems}
    tests = [word.test for word in words]
    for n in SHOTS:
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in systems}
        for seed in range(DRAWS):
            rng = np.random.default_rng([SEED, n, seed])
            drawn = [draw(word, n, rng) for word in words]
            for name, decide in systems.items():
                decided = [
                    decide(w, train=rows, test=w.test) for w, rows in zip(words, drawn, strict=True)
                ]
                found[name].append(scores(*answers(words, decided, tests)))
        for name, each in found.items():
            curve[name].append({"size": n, **spread(each), "short": short(words, n)})
    return {"sizes": list(SHOTS), "draws": DRAWS, "systems": curve}


def short(words: Sequence[Word], n: int) -> int:
    """How many senses have fewer than n training sentences."""
    return sum(
        int((np.bincount(word.y[word.train], minlength=len(word.senses)) < n).sum())
        for word in words
    )


def spread(found: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Mean and standard deviation (of a sample) over draws of accuracy and macro-F1."""
    means, deviations = np.mean(found, axis=0), np.std(found, axis=0, ddof=1)
    names = ("accuracy", "macro_f1", "accuracy_sd", "macro_f1_sd")
    return dict(zip(names, rounded([*means, *deviations]), strict=True))


def classic_wins(systems: Sequence[Result]) -> Iterator[Result]:
    """The words on which the best classic row is better than the attention row of choice."""
    ours = next(s for s in systems if s["name"] == "attention, chosen on training data")
    classic = [s for s in systems if s["kind"] == "classic"]
    for word, score in ours["by_word"].items():
        best = max(classic, key=lambda s: s["by_word"][word])
        if best["by_word"][word] > score:
            yield {
                "word": word,
                "system": best["name"],
                "accuracy": best["by_word"][word],
                "attention": score,
            }


def run() -> Result:
    """The whole benchmark."""
    items = read(CORPUS)
    head = SenseHead.load(SENSE_MODEL)
    blocks: dict[str, Any] = dict(static_blocks(items, shared_vectors(None)))
    for name, encoder in encoders().items():
        blocks |= split_parts(name, encode(items, encoder, head.context_radius))
    words = words_of(items, blocks)
    del blocks
    cv = CrossValidation(words)
    chosen = choose(cv)
    systems = measure(words, chosen, head)
    return {
        "dataset": "CoarseWSD-20, its training split and its test split",
        "n": sum(len(word.test) for word in words),
        "n_train": sum(len(word.train) for word in words),
        "n_words": len(words),
        "n_senses": sum(len(word.senses) for word in words),
        "baseline": BASELINE,
        "precision": "float32",
        "systems": systems,
        "chosen": {name: [str(recipe) for recipe in mix] for name, mix in chosen.items()},
        "cross_validation": {
            "folds": FOLDS,
            "n": sum(map(len, cv.rows)),
            "cap": CAP,
            "tried": cv.tried,
        },
        "classic_wins": list(classic_wins(systems)),
        "few_shot": few_shot(words, chosen, head),
        "from_paper": FROM_PAPER,
        **TO_REACH,
    }


def main() -> None:
    need(CORPUS, "CoarseWSD-20")
    files = [CORPUS, SENSE_MODEL, *glove_files()]
    publish("coarsewsd20", run(), ".coarsewsd20", files, seed=SEED)


if __name__ == "__main__":
    run_command(main, __doc__)

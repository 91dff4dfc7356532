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

import gzip
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.common import DATA, ROOT, manifest
from spacy_attn.classic.vectors import shared_vectors
from spacy_attn.compare.metrics import holm, interval, macro_f1, mcnemar
from spacy_attn.encoder.device import pick_device, pick_precision
from spacy_attn.encoder.huggingface import EncoderSettings, shared_encoder
from spacy_attn.errors import SpacyAttnError
from spacy_attn.methods import SENSE_MODEL
from spacy_attn.models import cache_folder, glove_files
from spacy_attn.wsd.context import Context, Target
from spacy_attn.wsd.methods.attention import SenseHead, fit_examples, occurrences

CORPUS = DATA / "coarsewsd20.jsonl.gz"
RESULTS = ROOT / "benchmarks" / "results"
RESULT = RESULTS / "coarsewsd20.json"
BASELINE = "tf-idf, logistic regression"
SEED = 0
FOLDS = 5
CAP = 1000  # training sentences of a sense that take part in the choice of settings
PENALTIES = (
    1.0,
    5.0,
    25.0,
    125.0,
    625.0,
    3125.0,
)  # C of the logistic regression: more means less penalty
SHOTS = (1, 3, 10, 30)
DRAWS = 5
NEAR = 3  # words each side of the target in the narrow window of static vectors
#: Micro accuracy and macro-F1 as the paper gives them, in points.
FROM_PAPER = {
    "fastText-crawl": (96.9, 86.8),
    "BERT-base, 1NN": (95.7, 91.0),
    "BERT-large, 1NN": (96.7, 93.2),
}
TO_REACH = {"to_reach": (97.1, 93.5), "aim": (97.8, 95.0)}
_PARTS = ("target", "context", "text")
_ENCODERS = ("raw", "adapted")

Floats2d = NDArray[np.float32]
Ints1d = NDArray[np.int64]


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


def missing(path: Path, what: str) -> SystemExit:
    """How a benchmark ends that lacks its data: one sentence, exit code 1."""
    return SystemExit(
        f"{what} is missing: {path.name} is looked for in {path.parent}; put it there, or set "
        "SPACY_ATTN_DATA to the folder with the corpora (see benchmarks/README.md)"
    )


# -- reading ----------------------------------------------------------------------------------


def read(path: Path) -> list[Occurrence]:
    """All occurrences of both splits, in the order of the file."""
    out = []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for record in map(json.loads, file):
            tokens = tuple(record["tokens"])
            is_test = record["split"] == "test"
            out.append(
                Occurrence(record["word"], record["sense"], is_test, tokens, record["index"])
            )
    return out


def context_of_tokens(tokens: Sequence[str]) -> Context:
    """Given tokens as a text, joined by blanks."""
    offsets, at = [], 0
    for token in tokens:
        offsets.append((at, at + len(token)))
        at += len(token) + 1
    blank = ("",) * len(tokens)
    return Context(" ".join(tokens), tuple(tokens), offsets, blank, blank)


def words_of(items: Sequence[Occurrence], blocks: dict[str, Any]) -> list[Word]:
    """The occurrences by word.

    *Shape:* each block (n_occurrences, width)
    """
    names = np.array([item.word for item in items])
    out = []
    for name in dict.fromkeys(names.tolist()):
        rows = np.flatnonzero(names == name)
        mine = [items[i] for i in rows]
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


def encode(
    encoder: Any, contexts: Sequence[Context], targets: Sequence[Target], radius: int
) -> Floats2d:
    """Target, context and whole text of each occurrence, side by side; one target a text.

    *Shape:* (n, 3 * width)
    """
    arrays = encoder.encode([c.text for c in contexts], [c.offsets for c in contexts])
    read_ = [replace(c, contextual=a) for c, a in zip(contexts, arrays, strict=True)]
    whole = np.stack([array.mean(axis=0) for array in arrays])
    return np.concatenate([occurrences(read_, targets, radius), whole], axis=1)


def encode_all(items: Sequence[Occurrence], settings: EncoderSettings, radius: int) -> Any:
    """The same for all, a few hundred texts at a time. *Shape:* (n, 3 * width), float16"""
    encoder = shared_encoder(settings)
    out = np.empty((len(items), 3 * encoder.width), dtype=np.float16)
    step = 512
    for first in track(range(0, len(items), step), "encoding", disable=not sys.stderr.isatty()):
        part = items[first : first + step]
        contexts = [context_of_tokens(item.tokens) for item in part]
        targets = [
            Target(i, item.index, item.index + 1, item.word, ()) for i, item in enumerate(part)
        ]
        out[first : first + step] = encode(encoder, contexts, targets, radius)
    return out


def cached(items: Sequence[Occurrence], settings: EncoderSettings, radius: int) -> Any:
    """:func:`encode_all`, kept in the user's cache, mapped. *Shape:* (n, 3 * width), float16"""
    encoder = shared_encoder(settings)
    text = "\n".join(f"{item.index} {' '.join(item.tokens)}" for item in items)
    key = f"1\n{encoder.identity}\n{radius}\n{text}"
    name = f"coarsewsd20-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"
    path = cache_folder() / "benchmarks" / name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npy")
        np.save(part, encode_all(items, settings, radius))
        part.replace(path)
    return np.load(path, mmap_mode="r")


def static_blocks(items: Sequence[Occurrence], vectors: Any) -> dict[str, Floats2d]:
    """Means of the static vectors of the other words: near the target, and of the whole text.

    *Shape:* of each (n, width)
    """
    blocks = {name: np.zeros((len(items), vectors.width), np.float32) for name in ("near", "text")}
    for i, item in enumerate(items):
        lower = [token.lower() for token in item.tokens]
        rows = vectors.vectors(lower)
        is_other = np.arange(len(lower)) != item.index
        near = is_other & (np.abs(np.arange(len(lower)) - item.index) <= NEAR)
        for name, chosen in (("near", near), ("text", is_other)):
            known = rows[chosen & rows.any(axis=1)]
            if len(known):
                blocks[name][i] = known.mean(axis=0)
    return {f"static {name}": block for name, block in blocks.items()}


def encoder_settings(precision: str) -> dict[str, EncoderSettings]:
    """The encoder as it comes and with the shipped adapter, reading sentence by sentence."""
    plain = EncoderSettings(unit="sentence", precision=precision)
    return {"raw": plain, "adapted": replace(plain, adapter=str(SENSE_MODEL))}


def split_parts(name: str, array: Any) -> dict[str, Any]:
    """The blocks of an encoder. *Shape:* (n, 3 * width) -> of each (n, width)"""
    width = array.shape[1] // 3
    return {
        f"{name} {part}": array[:, k * width : (k + 1) * width] for k, part in enumerate(_PARTS)
    }


def unit(rows: Any) -> Floats2d:
    """Rows to unit length; zeros stay. *Shape:* (n, width), the same"""
    rows = np.asarray(rows, dtype=np.float32)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9))


def side_by_side(word: Word, blocks: Sequence[str], rows: Ints1d) -> Floats2d:
    """Some blocks of a word, each to unit length. *Shape:* (n_rows, sum of the widths)"""
    return np.concatenate([unit(word.blocks[name][rows]) for name in blocks], axis=1)


# -- classifiers --------------------------------------------------------------------------------


def probabilities(recipe: Recipe, word: Word, train: Ints1d, test: Ints1d) -> NDArray[np.float64]:
    """Of each sense for the test rows, fitted on the training rows.

    *Shape:* (n_train,), (n_test,) -> (n_test, n_senses)
    """
    from sklearn.linear_model import LogisticRegression

    if recipe.blocks[0].startswith("tf-idf"):
        seen, asked = _tfidf(int(recipe.blocks[0][-1]), word, train, test)
    else:
        seen = side_by_side(word, recipe.blocks, train)
        asked = side_by_side(word, recipe.blocks, test)
    model = LogisticRegression(
        C=recipe.penalty, max_iter=3000, class_weight="balanced" if recipe.is_balanced else None
    )
    model.fit(seen, word.y[train])
    out = np.zeros((len(test), len(word.senses)))
    out[:, model.classes_] = model.predict_proba(asked)
    return out


def _tfidf(n: int, word: Word, train: Ints1d, test: Ints1d) -> tuple[Any, Any]:
    """Weighted n-grams up to a length, vocabulary and weights of the training rows alone."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    # Tokens are the set's own: blanks part them.
    vectorizer = TfidfVectorizer(
        tokenizer=str.split, token_pattern=None, ngram_range=(1, n), sublinear_tf=True
    )
    seen = vectorizer.fit_transform([word.texts[i] for i in train])
    return seen, vectorizer.transform([word.texts[i] for i in test])


def mixed(mix: Mix, word: Word, train: Ints1d, test: Ints1d) -> NDArray[np.float64]:
    """Mean probabilities of several classifiers. *Shape:* (n_test, n_senses)"""
    return np.mean([probabilities(recipe, word, train, test) for recipe in mix], axis=0)


def nearest_mean(
    blocks: Sequence[str], word: Word, train: Ints1d, test: Ints1d
) -> NDArray[np.float64]:
    """Cosine to the mean vector of each sense: 1NN of the sense vectors, as in the paper.

    *Shape:* (n_test, n_senses)
    """
    seen = side_by_side(word, blocks, train)
    means = np.stack([seen[word.y[train] == k].mean(axis=0) for k in range(len(word.senses))])
    return np.asarray(unit(side_by_side(word, blocks, test)) @ unit(means).T, dtype=np.float64)


def most_frequent(word: Word, train: Ints1d, test: Ints1d) -> NDArray[np.float64]:
    """The commonest sense of the training rows, always. *Shape:* (n_test, n_senses)"""
    counts = np.bincount(word.y[train], minlength=len(word.senses)).astype(float)
    return np.tile(counts / counts.sum(), (len(test), 1))


def regression(
    blocks: Sequence[str], penalty: float, word: Word, train: Ints1d, test: Ints1d
) -> NDArray[np.float64]:
    """What the attention method makes of examples: ridge regression. *Shape:* (n_test, n_senses)"""
    seen = side_by_side(word, blocks, train)
    examples = [seen[word.y[train] == k] for k in range(len(word.senses))]
    weights, bias = fit_examples(examples, penalty)
    return np.asarray(side_by_side(word, blocks, test) @ weights.T + bias, dtype=np.float64)


# -- choosing settings on the training split ------------------------------------------------------


def capped(word: Word, cap: int = CAP) -> Ints1d:
    """Training rows, at most some of each sense, drawn with a fixed seed."""
    rng = np.random.default_rng(SEED)
    rows = [rng.permutation(word.train[word.y[word.train] == k])[:cap] for k in
            range(len(word.senses))]  # fmt: skip
    return np.sort(np.concatenate(rows))


class CrossValidation:
    """Probabilities of training rows by classifiers that have not seen them; each asked once."""

    def __init__(self, words: Sequence[Word], cap: int = CAP) -> None:
        from sklearn.model_selection import StratifiedKFold

        self.words = words
        self.rows = [capped(word, cap) for word in words]
        self._splitter = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
        self._known: dict[Recipe, list[NDArray[np.float64]]] = {}
        self.tried: dict[str, dict[str, float]] = {}

    def held_out(self, recipe: Recipe) -> list[NDArray[np.float64]]:
        """For each word. *Shape:* of each (n_rows, n_senses)"""
        if recipe not in self._known:
            self._known[recipe] = [
                self._of_word(recipe, word, rows)
                for word, rows in zip(self.words, self.rows, strict=True)
            ]
        return self._known[recipe]

    def _of_word(self, recipe: Recipe, word: Word, rows: Ints1d) -> NDArray[np.float64]:
        out = np.zeros((len(rows), len(word.senses)))
        for train, test in self._splitter.split(rows, word.y[rows]):
            out[test] = probabilities(recipe, word, rows[train], rows[test])
        return out

    def score(self, mix: Mix) -> tuple[float, float]:
        """Accuracy and macro-F1 over the rows of all words."""
        means = [np.mean(each, axis=0) for each in zip(*map(self.held_out, mix), strict=True)]
        accuracy, f1 = scores(*answers(self.words, means, self.rows))
        self.tried[" | ".join(map(str, mix))] = {
            "accuracy": round(accuracy, 4), "macro_f1": round(f1, 4),
        }  # fmt: skip
        return accuracy, f1

    def best(self, mixes: Sequence[Mix]) -> Mix:
        """The one with the highest mean of accuracy and macro-F1; the first of equal ones."""
        return max(mixes, key=lambda mix: sum(self.score(mix)))

    def best_penalty(self, blocks: Sequence[tuple[str, ...]]) -> Recipe:
        """The best of some compositions with the best penalty."""
        (recipe,) = self.best([(Recipe(each, c),) for each in blocks for c in PENALTIES])
        return recipe


def answers(
    words: Sequence[Word], decided: Sequence[NDArray[np.float64]], rows: Sequence[Ints1d]
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
                _blocks(name, *_PARTS),
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


def precision_check(items: Sequence[Occurrence], precision: str, radius: int) -> dict[str, Any]:
    """Cross-validated scores of the same training sentences in float32 and in what was picked."""
    train = [item for item in items if not item.is_test]
    full = words_of(train, {"row": np.arange(len(train))[:, None]})
    rows = np.concatenate([word.blocks["row"][capped(word, 60), 0] for word in full])
    few = [train[i] for i in rows]
    recipe = Recipe(_blocks("raw", "target", "context"), 25.0)
    out: dict[str, Any] = {"n": len(few)}
    chosen = {}
    for name in dict.fromkeys(("float32", precision)):
        array = encode_all(few, encoder_settings(name)["raw"], radius)
        cv = CrossValidation(words_of(few, split_parts("raw", array)))
        accuracy, f1 = cv.score((recipe,))
        out[name] = {"accuracy": round(accuracy, 4), "macro_f1": round(f1, 4)}
        chosen[name] = answers(cv.words, cv.held_out(recipe), cv.rows)[2]
    pairs = zip(chosen["float32"], chosen[precision], strict=True)
    out["decided_otherwise"] = sum(a != b for a, b in pairs)
    return out


# -- measuring on the test split ------------------------------------------------------------------


def macro_interval(
    names: Sequence[str], gold: Sequence[str], chosen: Sequence[str], n_draws: int = 2000
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
        draws = rng.multinomial(counts.sum(), counts / counts.sum(), n_draws)
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


def comparisons(names: Sequence[str], rights: Sequence[Any], baseline: str) -> list[Any]:
    """McNemar's test of each system against one, with p corrected for their number (Holm).

    *Shape:* of each of ``rights`` (n,): what was right

    Returns:
        For each system a dict; None for the baseline itself.
    """
    kept = rights[list(names).index(baseline)]
    tests = {n: mcnemar(r, kept) for n, r in zip(names, rights, strict=True) if n != baseline}
    corrected = dict(zip(tests, holm([p for _, _, p in tests.values()]), strict=True))
    found = {
        name: {
            "baseline": baseline, "only_this": only, "only_baseline": other, "p": p,
            "p_holm": corrected[name],
        }
        for name, (only, other, p) in tests.items()
    }  # fmt: skip
    return [found.get(name) for name in names]


def duel(
    names: Sequence[str], kinds: Sequence[str], rights: Sequence[NDArray[np.bool_]]
) -> dict[str, Any]:
    """The attention system with most right against the classic one, by McNemar's test.

    Each is the best of its kind by these same scores, which flatters the kind with more rows.

    *Shape:* of each of ``rights`` (n,): what was right
    """
    best = {
        kind: max(
            (i for i, each in enumerate(kinds) if each == kind), key=lambda i: rights[i].sum()
        )
        for kind in ("attention", "classic")
    }
    ours, theirs = rights[best["attention"]], rights[best["classic"]]
    only_attention, only_classic, p = mcnemar(ours, theirs)
    return {
        "attention": names[best["attention"]],
        "classic": names[best["classic"]],
        "accuracies": [round(float(ours.mean()), 4), round(float(theirs.mean()), 4)],
        "only_attention": only_attention,
        "only_classic": only_classic,
        "p": p,
    }


def row(name: str, kind: str, words: Sequence[Word], decided: Sequence[Any]) -> dict[str, Any]:
    """The row of one system; ``right`` is taken out before it is written."""
    names, gold, chosen = answers(words, decided, [word.test for word in words])
    accuracy, f1 = scores(names, gold, chosen)
    right = np.array([g == c for g, c in zip(gold, chosen, strict=True)])
    labels = np.array(names)
    return {
        "name": name,
        "kind": kind,
        "accuracy": round(accuracy, 4),
        "macro_f1": round(f1, 4),
        "ci95": [round(bound, 4) for bound in interval(right)],
        "macro_f1_ci95": [round(bound, 4) for bound in macro_interval(names, gold, chosen)],
        "by_word": {
            word.name: round(float(right[labels == word.name].mean()), 4) for word in words
        },
        "right": right,
    }


def measure(words: Sequence[Word], chosen: dict[str, Mix], head: SenseHead) -> list[dict[str, Any]]:
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
    ]  # fmt: skip
    out = []
    for name, kind, decide in track(systems, "systems", disable=not sys.stderr.isatty()):
        out.append(row(name, kind, words, [decide(w, train=w.train, test=w.test) for w in words]))
    names, rights = [each["name"] for each in out], [each.pop("right") for each in out]
    for each, comparison in zip(out, comparisons(names, rights, BASELINE), strict=True):
        each["comparison"] = comparison
    return out


def draw(word: Word, n: int, rng: np.random.Generator) -> Ints1d:
    """At most n training rows of each sense."""
    train = word.train
    rows = [rng.permutation(train[word.y[train] == k])[:n] for k in range(len(word.senses))]
    return np.concatenate(rows)


def few_shot(words: Sequence[Word], chosen: dict[str, Mix], head: SenseHead) -> dict[str, Any]:
    """Scores with few training sentences of each sense, over several draws."""
    pair = _blocks("adapted", "target", "context")
    systems: dict[str, Any] = {
        BASELINE: partial(mixed, chosen["tf-idf"]),
        "GloVe 50d, logistic regression": partial(mixed, chosen["static"]),
        "sense model, ridge regression": partial(regression, pair, head.ridge),
    }
    curve: dict[str, list[dict[str, Any]]] = {name: [] for name in systems}
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
    values = np.array(found)
    names = ("accuracy", "macro_f1")
    means = {name: round(float(values[:, k].mean()), 4) for k, name in enumerate(names)}
    deviations = {
        f"{name}_sd": round(float(values[:, k].std(ddof=1)), 4) for k, name in enumerate(names)
    }
    return means | deviations


def classic_wins(systems: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The words on which the best classic row is better than the attention row of choice."""
    ours = next(s for s in systems if s["name"] == "attention, chosen on training data")
    classic = [s for s in systems if s["kind"] == "classic"]
    for word, score in ours["by_word"].items():
        best = max(classic, key=lambda s: s["by_word"][word])
        if best["by_word"][word] > score:
            yield {"word": word, "system": best["name"], "accuracy": best["by_word"][word],
                   "attention": score}  # fmt: skip


def run() -> dict[str, Any]:
    """The whole benchmark."""
    items = read(CORPUS)
    head = SenseHead.load(SENSE_MODEL)
    precision = pick_precision("auto", pick_device("auto"))
    check = precision_check(items, precision, head.context_radius)
    # Faster arithmetic only where it is as good on training sentences, within 0.1 points.
    if check[precision]["accuracy"] < check["float32"]["accuracy"] - 0.001:
        precision = "float32"
    blocks: dict[str, Any] = dict(static_blocks(items, shared_vectors(None)))
    for name, settings in encoder_settings(precision).items():
        blocks |= split_parts(name, cached(items, settings, head.context_radius))
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
        "precision": precision,
        "precision_check": check,
        "systems": systems,
        "chosen": {name: [str(recipe) for recipe in mix] for name, mix in chosen.items()},
        "cross_validation": {
            "folds": FOLDS, "n": sum(map(len, cv.rows)), "cap": CAP, "tried": cv.tried,
        },
        "classic_wins": list(classic_wins(systems)),
        "few_shot": few_shot(words, chosen, head),
        "from_paper": FROM_PAPER,
        **TO_REACH,
    }  # fmt: skip


def main() -> None:
    if not CORPUS.is_file():
        raise missing(CORPUS, "CoarseWSD-20")
    try:
        result = run()
        files = [CORPUS, SENSE_MODEL, *glove_files()]
    except SpacyAttnError as error:
        sys.exit(str(error))
    result["manifest"] = manifest("python -m benchmarks.coarsewsd20", files, seed=SEED)
    RESULTS.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    console = Console()
    console.print(_table(result))
    console.print(_curve(result["few_shot"]))


def _table(result: dict[str, Any]) -> Table:
    table = Table(title=f"CoarseWSD-20 with its training split, n = {result['n']:,}")
    for head in ("system", "accuracy", "95 %", "macro-F1", "95 %", "p against tf-idf"):
        table.add_column(head)
    for each in result["systems"]:
        cells = []
        for score, bounds in (("accuracy", "ci95"), ("macro_f1", "macro_f1_ci95")):
            low, high = each[bounds]
            cells += [f"{100 * each[score]:.1f}", f"{100 * low:.1f} to {100 * high:.1f}"]
        test = each["comparison"]
        table.add_row(each["name"], *cells, "" if test is None else f"{test['p_holm']:.2g}")
    for name, (accuracy, f1) in result["from_paper"].items():
        table.add_row(f"{name} (from the paper)", f"{accuracy}", "", f"{f1}", "", "")
    return table


def _curve(curve: dict[str, Any]) -> Table:
    table = Table(
        title=f"examples of a sense, mean of {curve['draws']} draws (accuracy / macro-F1)"
    )
    for head in ("system", *map(str, curve["sizes"])):
        table.add_column(head)
    for name, points in curve["systems"].items():
        cells = (f"{100 * p['accuracy']:.1f} / {100 * p['macro_f1']:.1f}" for p in points)
        table.add_row(name, *cells)
    return table


if __name__ == "__main__":
    main()

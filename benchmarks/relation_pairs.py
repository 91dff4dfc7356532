"""Who is related to whom: patterns over the parse, a classifier over attention, and both.

    python -m benchmarks.relation_pairs            # results/relation-pairs.json
    python -m benchmarks.relation_pairs --quick    # an eighth of the sentences, writes nothing

The hand-written triples of ``tests/data``; a pair is right when subject and object are those of a
triple, word for word and in any case (the word of the relation between them is not asked for).
40 development sentences to train and choose on, 90 to measure.

* ``adjacent``: neighbouring phrases with a verb between them.
* ``patterns``: the pairs of ``relation_extractor``.
* ``attention``: ordered pairs of the phrases that ``nltk_chunker`` finds, by a logistic regression
  over their contextual vectors; no parse is read. Features, penalty and threshold are chosen by
  cross-validation over the development sentences.
* ``both``: the same regression, with one more feature, whether the patterns have the pair, and
  with the pairs of the patterns among those that are judged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations, product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc

from benchmarks.common import (
    ROOT,
    SEED,
    Result,
    is_quick,
    progress,
    publish,
    run_command,
    small_pipeline,
)
from benchmarks.spans import f1, fractions, interval
from spacy_attn._types import Floats2d
from spacy_attn.classic.relations import BUNDLED
from spacy_attn.components.attention_encoder import offsets_of
from spacy_attn.encoder.attention_map import attention_map
from spacy_attn.encoder.huggingface import HuggingFaceEncoder, shared_encoder
from spacy_attn.settings import EncoderSettings

DEV, TEST = (ROOT / "tests" / "data" / f"relations.{part}.jsonl" for part in ("dev", "test"))
PENALTIES = (0.01, 0.1, 1.0, 10.0)  # C of the regression
THRESHOLDS = tuple(np.arange(0.1, 0.91, 0.05).round(2).tolist())
FOLDS = 8

Pair = tuple[str, str]  # subject and object, lower case
Span = tuple[int, int]


@dataclass(frozen=True)
class Sentence:
    """What is known of a sentence: pairs that are right, and those that may be.

    *Shape:* of each features (n_candidates, n_features)
    """

    gold: set[Pair]
    adjacent: set[Pair]
    by_patterns: set[Pair]
    candidates: list[Pair]
    is_phrase: NDArray[np.bool_]  # both parts are phrases of the chunker
    features: dict[str, Floats2d]


def gold_of(record: dict[str, Any]) -> set[Pair]:
    """The pairs of the triples that have both parts."""
    parts = ([part.strip().lower() for part in t.split(" | ")] for t in record["relations"])
    return {(first, last) for first, *_, last in parts if "-" not in (first, last)}


def phrases_of(doc: Doc) -> list[Span]:
    """What may be related: the phrases of nouns and adjectives."""
    spans = doc.spans["chunks"]
    return sorted({(s.start, s.end) for s in spans if s.label_ in ("NP", "ADJP")})


def text_of(doc: Doc, span: Span) -> str:
    return doc[span[0] : span[1]].text.lower()


def read(path: Path, nlp: Any, encoder: HuggingFaceEncoder) -> list[Sentence]:
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [_sentence(r, nlp(r["text"]), encoder) for r in progress(records, path.name)]


def _sentence(record: dict[str, Any], doc: Doc, encoder: HuggingFaceEncoder) -> Sentence:
    phrases = phrases_of(doc)
    related = [
        (relation.subject, relation.object)
        for relation in doc._.relations
        if relation.subject is not None and relation.object is not None
    ]
    spans = list(dict.fromkeys([*permutations(phrases, 2), *related]))
    adjacent = {
        (text_of(doc, a), text_of(doc, b))
        for a, b in pairwise(phrases)
        if any(token.pos_ in ("VERB", "AUX") for token in doc[a[1] : b[0]])
    }
    return Sentence(
        gold_of(record),
        adjacent,
        {(text_of(doc, a), text_of(doc, b)) for a, b in related},
        [(text_of(doc, a), text_of(doc, b)) for a, b in spans],
        np.array([a in phrases and b in phrases for a, b in spans], dtype=bool),
        features_of(doc, spans, encoder),
    )


def features_of(
    doc: Doc, spans: Sequence[tuple[Span, Span]], encoder: HuggingFaceEncoder
) -> dict[str, Floats2d]:
    """Three descriptions of ordered pairs, by attention alone."""
    (vectors,) = encoder.encode([doc.text], [offsets_of(doc)])
    weights = attention_map(encoder, doc.text, offsets_of(doc)).weights
    weights = weights.reshape(-1, *weights.shape[2:])
    out: dict[str, list[Any]] = {"vectors": [], "vectors and between": [], "weights": []}
    for a, b in spans:
        one, two = vectors[slice(*a)].mean(axis=0), vectors[slice(*b)].mean(axis=0)
        inside = vectors[min(a[1], b[1]) : max(a[0], b[0])]
        between = inside.mean(axis=0) if len(inside) else np.zeros_like(one)
        pair = [one, two, one * two]
        out["vectors"].append(np.concatenate(pair))
        out["vectors and between"].append(np.concatenate([*pair, between]))
        there = weights[:, slice(*a), slice(*b)].mean(axis=(1, 2))
        back = weights[:, slice(*b), slice(*a)].mean(axis=(1, 2))
        out["weights"].append(np.concatenate([there, back, [a < b]]))
    return {name: np.asarray(rows, dtype=np.float32) for name, rows in out.items()}


# -- the classifier ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """What cross-validation chooses."""

    features: str
    penalty: float
    with_patterns: bool


def table_of(sentence: Sentence, choice: Choice) -> Floats2d:
    """*Shape:* (n_candidates, n_features)"""
    rows = sentence.features[choice.features]
    if not choice.with_patterns:
        return rows
    found = [[pair in sentence.by_patterns] for pair in sentence.candidates]
    return np.hstack([rows, np.asarray(found, dtype=np.float32).reshape(-1, 1)])


def fit(sentences: Sequence[Sentence], choice: Choice) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    used = [s for s in sentences if s.candidates]
    rows = np.concatenate([table_of(s, choice) for s in used])
    right = np.concatenate([[pair in s.gold for pair in s.candidates] for s in used])
    regression = LogisticRegression(C=choice.penalty, max_iter=2000)
    return make_pipeline(StandardScaler(), regression).fit(rows, right)


def scores_of(model: Any, sentence: Sentence, choice: Choice) -> dict[Pair, float]:
    """The probability of each candidate; without patterns, of phrases alone."""
    if not sentence.candidates:
        return {}
    scores = model.predict_proba(table_of(sentence, choice))[:, 1]
    allowed = sentence.is_phrase | choice.with_patterns
    out: dict[Pair, float] = {}
    for pair, score, is_allowed in zip(sentence.candidates, scores, allowed, strict=True):
        if is_allowed:
            out[pair] = max(out.get(pair, 0.0), float(score))
    return out


def counts_of(sentences: Sequence[Sentence], found: Sequence[set[Pair]]) -> NDArray[np.int64]:
    """Right, found, gold. *Shape:* (n_sentences, 3)"""
    return np.array(
        [
            [len(s.gold & pairs), len(pairs), len(s.gold)]
            for s, pairs in zip(sentences, found, strict=True)
        ]
    )


def above(scores: dict[Pair, float], threshold: float) -> set[Pair]:
    return {pair for pair, score in scores.items() if score >= threshold}


def choose(sentences: Sequence[Sentence], with_patterns: bool) -> tuple[Choice, float, float]:
    """The choice and threshold with the best F1, each fold scored by a model of the others."""
    best: tuple[float, Choice, float] | None = None
    folds = np.random.default_rng(SEED).permutation(len(sentences)) % FOLDS
    for choice in _choices(with_patterns):
        scores: list[dict[Pair, float]] = [{} for _ in sentences]
        for fold in range(FOLDS):
            model = fit([s for s, k in zip(sentences, folds, strict=True) if k != fold], choice)
            for i in np.flatnonzero(folds == fold).tolist():
                scores[i] = scores_of(model, sentences[i], choice)
        for threshold in THRESHOLDS:
            counts = counts_of(sentences, [above(each, threshold) for each in scores])
            reached = float(f1(counts.sum(axis=0)))
            if best is None or reached > best[0]:
                best = reached, choice, threshold
    if best is None:
        raise AssertionError("there is always a choice")
    return best[1], best[2], best[0]


def _choices(with_patterns: bool) -> Iterator[Choice]:
    names = ("vectors", "vectors and between", "weights")
    for name, penalty in product(names, PENALTIES):
        yield Choice(name, penalty, with_patterns)


def main() -> None:
    nlp = small_pipeline()
    nlp.add_pipe("nltk_chunker")
    nlp.add_pipe("relation_extractor")
    encoder = shared_encoder(EncoderSettings())
    part = slice(None, None, 8 if is_quick() else 1)
    dev, test = (read(path, nlp, encoder)[part] for path in (DEV, TEST))
    found: dict[str, list[set[Pair]]] = {
        "adjacent": [s.adjacent for s in test],
        "patterns": [s.by_patterns for s in test],
    }
    chosen: Result = {}
    for name, with_patterns in (("attention", False), ("both", True)):
        choice, threshold, reached = choose(dev, with_patterns)
        model = fit(dev, choice)
        found[name] = [above(scores_of(model, s, choice), threshold) for s in test]
        chosen[name] = {
            "features": choice.features,
            "penalty": choice.penalty,
            "threshold": threshold,
            "f1_cross_validated": round(reached, 4),
        }
    rows = []
    for name, pairs in found.items():
        counts = counts_of(test, pairs)
        total = fractions(counts.sum(axis=0))
        rows.append({"name": name, **total, "ci95": interval(counts), **chosen.get(name, {})})
    reachable = [
        {p for p, fits in zip(s.candidates, s.is_phrase, strict=True) if fits} for s in test
    ]
    result = {
        "n_sentences": {"dev": len(dev), "test": len(test)},
        "n_pairs": {"dev": sum(len(s.gold) for s in dev), "test": sum(len(s.gold) for s in test)},
        "reachable_by_phrases": fractions(counts_of(test, reachable).sum(axis=0))["recall"],
        "rows": rows,
    }
    model_name = f"{nlp.meta['name']} {nlp.meta['version']}"
    publish("relation-pairs", result, ".relation_pairs", [DEV, TEST, BUNDLED], pipeline=model_name)


if __name__ == "__main__":
    run_command(main, __doc__)

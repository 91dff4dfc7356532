"""The arithmetic of benchmarks/relation_pairs.py, on sentences that are made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import relation_pairs as module
from benchmarks.relation_pairs import (
    Choice,
    Sentence,
    above,
    choose,
    counts_of,
    fit,
    gold_of,
    scores_of,
    table_of,
)

PAIRS = [("a", "b"), ("b", "a"), ("a", "c")]


def sentence(shift=0.0, by_patterns=()):
    """The first pair is right; its features tell it."""
    rows = np.array([[1.0 + shift, 0], [-1.0 - shift, 0.1], [-1.0, -0.1]], dtype=np.float32)
    features = dict.fromkeys(("vectors", "vectors and between", "weights"), rows)
    return Sentence(
        {PAIRS[0]}, set(), {*by_patterns}, PAIRS, np.array([True, True, False]), features
    )


def test_pairs_of_triples():
    record = {"relations": ["Anna | give to | Him", "Anna | give | a book", "- | break | it"]}
    assert gold_of(record) == {("anna", "him"), ("anna", "a book")}


def test_the_patterns_are_a_feature():
    without, together = Choice("vectors", 1.0, False), Choice("vectors", 1.0, True)
    one = sentence(by_patterns=[PAIRS[0]])
    assert table_of(one, without).shape == (3, 2)
    assert table_of(one, together)[:, 2].tolist() == [1, 0, 0]


def test_what_is_no_phrase_counts_with_patterns_alone():
    sentences = [sentence(0.1 * i) for i in range(4)]
    for with_patterns in (False, True):
        choice = Choice("vectors", 1.0, with_patterns)
        scores = scores_of(fit(sentences, choice), sentences[0], choice)
        assert (PAIRS[2] in scores) == with_patterns
        assert scores[PAIRS[0]] > 0.5 > scores[PAIRS[1]]


def test_counts():
    counts = counts_of([sentence()], [{PAIRS[0], PAIRS[1]}])
    assert counts.tolist() == [[1, 2, 1]]
    assert above({PAIRS[0]: 0.5, PAIRS[1]: 0.4}, 0.5) == {PAIRS[0]}


def test_the_choice_is_cross_validated(monkeypatch):
    monkeypatch.setattr(module, "FOLDS", 2)
    choice, threshold, reached = choose([sentence(0.1 * i) for i in range(6)], False)
    assert (choice.with_patterns, reached) == (False, pytest.approx(1.0))
    assert threshold in module.THRESHOLDS

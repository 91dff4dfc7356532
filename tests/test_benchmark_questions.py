"""The texts of benchmarks/questions.py and its arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import spacy

from benchmarks.questions import N_CENTRAL, Text, measure, order, read, tfidf_rows


@pytest.fixture(scope="module")
def texts():
    return read(spacy.blank("en"))


def test_the_texts(texts):
    assert [len(text.sentences) for text in texts] == [10] * 10
    assert [len(text.questions) for text in texts] == [4] * 10
    assert {len(text.central) for text in texts} == {N_CENTRAL}
    for text in texts:
        assert len({*text.sentences}) == 10
        assert all(0 <= right < 10 for _, right in text.questions)


def test_sentences_are_cut_as_they_were_written(texts):
    """So that the sentences that the package gives can be looked up."""
    from spacy_attn.explain.relevance import _sentences

    for text in texts:
        assert text.numbers(_sentences(text.doc)) == list(range(10))


def test_answers_are_spread(texts):
    """By position alone little is gained."""
    places = np.bincount([right for text in texts for _, right in text.questions], minlength=10)
    assert places.max() <= 10
    assert (places > 0).sum() >= 9


def test_measures_by_hand(texts):
    first = [Text(["a", "b", "c"], [("q", 1), ("r", 0)], {0, 2}, None)]
    found = measure(first, lambda text, question: [1, 0, 2], lambda text: [0, 1, 2])
    assert found["answers"]["accuracy"] == 0.5
    assert found["answers"]["mean_reciprocal_rank"] == 0.75
    assert found["summaries"]["accuracy"] == 0.5


def test_order_keeps_ties():
    assert order([0.1, 0.5, 0.5, 0.0]) == [1, 2, 0, 3]


def test_tfidf_rows_have_unit_length():
    rows = tfidf_rows(["a cat sat", "dogs run"], ["a cat sat", "dogs run"])
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1)

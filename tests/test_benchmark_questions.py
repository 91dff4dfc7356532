"""The texts of benchmarks/questions.py and its arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import spacy

from benchmarks.questions import N_CENTRAL, Text, agreement, measure, order, read, tfidf_rows


@pytest.fixture(scope="module")
def texts():
    return read(spacy.blank("en"))


def test_the_texts(texts):
    assert [len(text.sentences) for text in texts] == [10] * 10
    assert [len(text.questions) for text in texts] == [4] * 10
    assert {len(marked) for text in texts for marked in text.central} == {N_CENTRAL}
    for text in texts:
        assert len({*text.sentences}) == 10
        assert all(0 <= i < 10 for _, right in text.questions for i in right)


def test_sentences_are_cut_as_they_were_written(texts):
    """So that the sentences that the package gives can be looked up."""
    from spacy_attn.explain.relevance import _sentences

    for text in texts:
        assert text.numbers(_sentences(text.doc)) == list(range(10))


def test_answers_are_spread(texts):
    """By position alone little is gained."""
    places = np.bincount(
        [i for text in texts for _, right in text.questions for i in right], minlength=10
    )
    assert places.max() <= 10
    assert (places > 0).sum() >= 9


def test_measures_by_hand(texts):
    questions = [("q", {1}), ("r", {0}), ("s", {0, 2})]
    marked = [Text(["a", "b", "c", "d"], questions, ({0, 2}, {1, 2}), None)]
    found = measure(marked, lambda text, question: [1, 0, 2, 3], lambda text: [2, 0, 1, 3])
    assert found["answers"]["accuracy"] == pytest.approx(1 / 3, abs=1e-4)
    assert found["answers"]["mean_reciprocal_rank"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["summaries"]["accuracy"] == 1
    assert found["summaries_by_both"]["accuracy"] == 0.5
    assert agreement(marked) == {
        "answers": {"n": 3, "same": 2},
        "central": {"n": 2, "same": 1},
    }


def test_order_keeps_ties():
    assert order([0.1, 0.5, 0.5, 0.0]) == [1, 2, 0, 3]


def test_tfidf_rows_have_unit_length():
    rows = tfidf_rows(["a cat sat", "dogs run"], ["a cat sat", "dogs run"])
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1)

"""The arithmetic of benchmarks/chunking.py, against hand-worked values and NLTK's count."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.chunking import base_chunks, most_frequent, nltk_f1
from benchmarks.spans import by_text, count, fractions, interval
from spacy_attn.classic.chunk import GrammarChunker
from spacy_attn.classic.sequence import iob_spans

LABELS = ["O", "B-NP", "I-NP", "B-VP", "I-VP"]


def test_base_chunks_of_the_default_grammar():
    tags = ["DT", "NN", "VBD", "IN", "DT", "NN", "."]
    nested = GrammarChunker().find(tags, tags)
    assert ("CLAUSE", 0, 6) in [(kind, start, end) for start, end, kind in nested]
    expected = [(0, 2, "NP"), (2, 3, "VP"), (3, 4, "PP"), (4, 6, "NP")]
    assert sorted(base_chunks(nested)) == expected


def test_count_by_hand():
    gold = [[(0, 1, "NP"), (1, 3, "VP")], [(0, 2, "NP")]]
    found = [[(0, 1, "NP"), (1, 2, "VP")], []]
    counts = count(gold, found)
    assert counts["NP"].tolist() == [[1, 1, 1], [0, 0, 1]]
    assert counts["VP"].tolist() == [[0, 1, 1], [0, 0, 0]]
    # 1 right of 2 found and 3 in the corpus: F1 = 2 / 5
    overall = fractions(by_text(gold, found).sum(axis=0))
    assert overall == {"precision": 0.5, "recall": 0.3333, "f1": 0.4}


@pytest.mark.parametrize("seed", range(10))
def test_f1_equals_nltk(seed):
    rng = np.random.default_rng(seed)
    labels = rng.choice(LABELS, (2, 20, 12)).tolist()
    sentences = [[(f"w{i}", "T", label) for i, label in enumerate(row)] for row in labels[0]]
    found = [iob_spans(row) for row in labels[1]]
    counts = by_text([iob_spans(row) for row in labels[0]], found)
    f1 = fractions(counts.sum(axis=0))["f1"]
    assert f1 == pytest.approx(nltk_f1(sentences, found), abs=1e-4)


def test_interval_holds_the_score():
    counts = np.array([[1, 1, 1], [0, 1, 1]] * 50)
    low, high = interval(counts)
    # 0.5, standard error 0.05 as of 100 coin tosses
    assert 0.37 < low < 0.43
    assert 0.57 < high < 0.63


def test_most_frequent_label_of_a_tag():
    sentences = [[("a", "DT", "B-NP"), ("bat", "NN", "I-NP"), ("bat", "NN", "B-NP")]] * 2
    sentences.append([("bat", "NN", "I-NP")])
    find = most_frequent(sentences)
    assert find(["x", "y", "z"], ["DT", "NN", "?"]) == [(0, 2, "NP")]

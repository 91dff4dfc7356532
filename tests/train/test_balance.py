"""Weights and shifts of tagged words, each worked out by hand."""

from __future__ import annotations

import math

import pytest

from spacy_attn.train.balance import balanced
from spacy_attn.train.rows import Row, RowTarget


def row(*right: int) -> Row:
    """A row with a word of three senses for each number of the right one."""
    targets = [RowTarget(0, 1, (4, 5, 6), tuple(i == r for i in range(3))) for r in right]
    return Row([1], [0], 1, targets)


def test_targets_are_numbered_and_weighed_by_their_corpus():
    out = balanced([("semcor", [row(0, 1)]), ("pmb", [row(0)])], {"semcor": 1.0, "pmb": 0.5}.get)
    targets = [t for rows in out for each in rows for t in each.targets]
    assert [t.number for t in targets] == [0, 1, 2]
    assert [t.weight for t in targets] == [1.0, 1.0, 0.5]
    assert all(t.shift == () for t in targets)


def test_a_sense_with_many_tags_counts_as_much_as_the_cap_allows():
    out = balanced([("semcor", [row(0, 0, 0, 0, 1)])], lambda genre: 1.0, cap=2, balance=0.5)
    often, rare = out[0][0].targets[0], out[0][0].targets[4]
    assert often.weight == pytest.approx(2 / 4 / math.sqrt(4))
    assert rare.weight == pytest.approx(1.0)


def test_a_written_corpus_explains_its_own_frequencies():
    documents = [("semcor", [row(0, 0, 0)]), ("written", [row(2, 2)])]
    natural, written = balanced(documents, lambda genre: 1.0, shift=0.5)
    assert natural[0].targets[0].shift == ()
    # Written 0, 0 and 2 times, tagged 3, 0 and 0 times in running text, half a time more each.
    expected = [0.5 * math.log(ratio) for ratio in (0.5 / 3.5, 0.5 / 0.5, 2.5 / 0.5)]
    assert written[0].targets[0].shift == pytest.approx(expected)


def test_of_several_allowed_senses_the_most_frequent_decides_the_weight():
    both = Row([1], [0], 1, [RowTarget(0, 1, (4, 5, 6), (True, True, False))])
    out = balanced([("semcor", [row(0, 0, 0), both])], lambda genre: 1.0, cap=1)
    assert out[0][1].targets[0].weight == pytest.approx(1 / 4)

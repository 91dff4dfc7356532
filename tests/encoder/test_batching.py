from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_attn.encoder.batching import batch_by_length

lengths_of_items = st.lists(st.integers(0, 60), max_size=60)


@given(lengths_of_items, st.integers(1, 200), st.integers(1, 20))
def test_each_item_is_in_one_batch_within_the_budget(lengths, budget, most):
    batches = batch_by_length(lengths, budget, most)
    order = [i for batch in batches for i in batch]
    assert sorted(order) == list(range(len(lengths)))
    assert all(lengths[a] >= lengths[b] for a, b in pairwise(order))  # similar lengths meet
    for batch in batches:
        assert 1 <= len(batch) <= most
        assert max(lengths[i] for i in batch) * len(batch) <= budget or len(batch) == 1


@given(lengths_of_items, st.integers(1, 200), st.integers(1, 20))
def test_a_batch_is_full_before_the_next_begins(lengths, budget, most):
    batches = batch_by_length(lengths, budget, most)
    for batch, _ in pairwise(batches):
        assert len(batch) == most or lengths[batch[0]] * (len(batch) + 1) > budget


def test_by_hand():
    assert batch_by_length([3, 9, 1, 4, 4], budget=12) == [[1], [3, 4, 0], [2]]


def test_equal_lengths_keep_their_order():
    assert batch_by_length([2] * 5, budget=4) == [[0, 1], [2, 3], [4]]


def test_an_item_longer_than_the_budget_is_alone():
    assert batch_by_length([50, 2, 2], budget=10) == [[0], [1, 2]]


def test_at_most_so_many_items():
    assert [len(batch) for batch in batch_by_length([1] * 600, budget=4096)] == [256, 256, 88]


@pytest.mark.parametrize("budget", [1, 100])
def test_nothing(budget):
    assert batch_by_length([], budget) == []

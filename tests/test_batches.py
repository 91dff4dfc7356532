"""Streams are cut by documents and by tokens, and nothing is lost."""

from __future__ import annotations

import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_attn.batches import batches

VOCAB = spacy.blank("en").vocab


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 8), st.integers(1, 20))
def test_order_is_kept_and_both_bounds_hold(lengths, batch_size, max_tokens):
    docs = [Doc(VOCAB, words=["a"] * n) for n in lengths]
    lists = list(batches(iter(docs), len, max_tokens, batch_size))
    assert [doc for each in lists for doc in each] == docs
    for each in lists:
        assert 1 <= len(each) <= batch_size
        assert sum(map(len, each[:-1])) < max_tokens  # the last Doc alone may go over
    for each in lists[:-1]:
        assert len(each) == batch_size or sum(map(len, each)) >= max_tokens


def test_a_batch_comes_before_the_next_document_is_asked_for():
    asked = []

    def stream():
        for n in range(3):
            asked.append(n)
            yield Doc(VOCAB, words=["a"] * 5)

    first = next(batches(stream(), len, 5, 100))
    assert (len(first), asked) == (1, [0])

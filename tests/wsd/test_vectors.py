"""The lazy source of vectors: each token is encoded at most once."""

from __future__ import annotations

import numpy as np
import pytest

from spacy_attn.wsd.context import Context
from spacy_attn.wsd.vectors import Texts
from tests.wsd.given import given


def context(text):
    words = text.split(" ")
    ends = np.cumsum([len(word) + 1 for word in words]).tolist()
    offsets = [(end - len(word) - 1, end - 1) for word, end in zip(words, ends, strict=True)]
    return Context(text, words, offsets, [""] * len(words), [""] * len(words))


class Encoder:
    """Gives a token its place, from 1, where it is read; else zero."""

    identity, width = "places", 1

    def __init__(self):
        self.calls = []

    def encode(self, texts, offsets, reads=None):
        self.calls.append((list(texts), [list(ranges) for ranges in reads]))
        arrays = [np.zeros((len(o), 1), dtype=np.float32) for o in offsets]
        for array, ranges in zip(arrays, reads, strict=True):
            for start, end in ranges:
                array[start:end, 0] = np.arange(start, end) + 1
        return arrays


CONTEXTS = [context("a b c d"), context("e f"), context("g h i")]


def test_nothing_is_encoded_before_it_is_asked_for():
    encoder, texts = Encoder(), Texts(CONTEXTS)
    assert list(texts) == CONTEXTS
    assert len(texts) == 3
    assert texts[1:] == CONTEXTS[1:]
    assert texts.vectors(encoder, [[], [], []]) == [None, None, None]
    assert encoder.calls == []


def test_only_the_ranges_that_are_not_known_are_encoded():
    encoder, texts = Encoder(), Texts(CONTEXTS)
    first, none, third = texts.vectors(encoder, [[(0, 2)], [], [(1, 2)]])
    assert none is None
    assert first[:, 0].tolist() == [1, 2, 0, 0]
    assert third[:, 0].tolist() == [0, 2, 0]
    again = texts.vectors(encoder, [[(1, 2)], [], []])
    assert again[0] is first
    wider = texts.vectors(encoder, [[(0, 3)], [(0, 2)], []])
    assert wider[0][:, 0].tolist() == [1, 2, 3, 0]
    assert wider[1][:, 0].tolist() == [1, 2]
    assert encoder.calls == [
        (["a b c d", "g h i"], [[(0, 2)], [(1, 2)]]),
        (["a b c d", "e f"], [[(2, 3)], [(0, 2)]]),
    ]
    assert texts.counts() == {"places": (3, 0)}


def test_white_space_is_not_asked_for_again():
    encoder = Encoder()
    spaced = Context("a  b", ["a", " ", "b"], [(0, 1), (1, 2), (3, 4)], [""] * 3, [""] * 3)
    texts = Texts([spaced])
    texts.vectors(encoder, [[(0, 1)]])
    texts.vectors(encoder, [[(0, 2)]])
    assert len(encoder.calls) == 1


def test_two_encoders_have_vectors_of_their_own():
    one, other = Encoder(), Encoder()
    other.identity = "others"
    texts = Texts(CONTEXTS[:1])
    texts.vectors(one, [[(0, 1)]])
    texts.vectors(other, [[(0, 1)]])
    assert len(one.calls) == len(other.calls) == 1


def test_what_is_there_already_is_not_encoded():
    encoder = Encoder()
    array = np.zeros((4, 1), dtype=np.float32)
    texts = given(CONTEXTS[:1], [array])
    assert texts.vectors(encoder, [[(0, 4)]])[0] is array
    assert encoder.calls == []
    assert texts.counts() == {"places": (0, 1)}


@pytest.mark.parametrize("identity", ["places", "others"])
def test_stored_vectors_are_asked_for_by_text_and_encoder(identity):
    asked, encoder = [], Encoder()

    def stored(index, name):
        asked.append((index, name))
        return np.ones((2, 1), dtype=np.float32) if name == "places" and index == 1 else None

    encoder.identity = identity
    texts = Texts(CONTEXTS, stored)
    texts.vectors(encoder, [[], [(0, 1)], [(0, 1)]])
    texts.vectors(encoder, [[], [(1, 2)], []])
    assert asked == [(1, identity), (2, identity)]
    n_calls = 1 if identity == "places" else 2
    assert len(encoder.calls) == n_calls

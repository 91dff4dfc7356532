"""The cascade: who decides what, and what is encoded for it."""

from __future__ import annotations

import numpy as np
import pytest

from spacy_attn.errors import ConfigError
from spacy_attn.wsd.context import Context, Target
from spacy_attn.wsd.decide import log_softmax
from spacy_attn.wsd.method import as_decided
from spacy_attn.wsd.methods.cascade import Cascade, cascade_v1
from spacy_attn.wsd.vectors import Texts


class Fixed:
    """Gives each target of a context the same scores."""

    def __init__(self, name, rows, temperature=1.0, encoder=None):
        self.name, self.rows, self.temperature, self.encoder = name, rows, temperature, encoder
        self.asked = []

    def score(self, contexts, targets):
        self.asked += [target.context for target in targets]
        return [np.array(self.rows[target.context], dtype=np.float32) for target in targets]


class Reading(Fixed):
    """One that reads the vectors of the target's tokens."""

    def score(self, texts, targets):
        reads = [[] for _ in texts]
        for target in targets:
            reads[target.context].append((target.start, target.end))
        texts.vectors(self.encoder, reads)
        return super().score(texts, targets)


class Recorder:
    identity, width = "recorder", 1

    def __init__(self):
        self.calls = []

    def encode(self, texts, offsets, reads=None):
        self.calls.append((list(texts), reads))
        return [np.ones((len(o), 1), dtype=np.float32) for o in offsets]


def context(text):
    words = text.split()
    starts = [0, *np.cumsum([len(w) + 1 for w in words])[:-1].tolist()]
    offsets = [(s, s + len(w)) for s, w in zip(starts, words, strict=True)]
    return Context(text, words, offsets, [""] * len(words), [""] * len(words))


CONTEXTS = [context("the bat flew"), context("a bat"), context("bat and bat")]
CANDIDATES = ("one", "two")
TARGETS = [Target(i, 1, 2, "bat", CANDIDATES) for i in range(3)]
# Probabilities of the cheap one at temperature 2: 0.5/0.5, 0.88/0.12, 0.62/0.38.
CHEAP = {0: [0.0, 0.0], 1: [4.0, 0.0], 2: [1.0, 0.0]}
SECOND = {0: [0.0, 3.0], 1: [0.0, 3.0], 2: [0.0, 3.0]}


@pytest.mark.parametrize(
    ("margin", "left"), [(0.0, []), (0.1, [0]), (0.3, [0, 2]), (0.9, [0, 1, 2]), (1.0, [0, 1, 2])]
)
def test_the_second_decides_where_the_margin_of_the_first_is_small(margin, left):
    second = Fixed("second", SECOND, temperature=0.5)
    scores = Cascade(Fixed("cheap", CHEAP, temperature=2.0), second, margin).score(
        CONTEXTS, TARGETS
    )
    assert second.asked == left
    for i, got in enumerate(scores):
        want = log_softmax(SECOND[i], 0.5) if i in left else log_softmax(CHEAP[i], 2.0)
        np.testing.assert_allclose(got, want, atol=1e-6)


def test_only_what_is_left_is_encoded():
    second = Reading("s", SECOND, encoder=Recorder())
    cascade = Cascade(Fixed("cheap", CHEAP, temperature=2.0), second, 0.3)
    cascade.score(Texts(CONTEXTS), TARGETS)
    assert second.encoder.calls == [(["the bat flew", "bat and bat"], [[(1, 2)], [(1, 2)]])]


def test_wrong_settings_are_one_sentence(toy_inventory):
    with pytest.raises(ConfigError, match=r"margin = 1.5; allowed is 0 .* to 1"):
        cascade_v1(margin=1.5)
    with pytest.raises(ConfigError, match=r"cheap = 'none'; allowed are random, first_sense"):
        cascade_v1(cheap="none")


@pytest.mark.parametrize(("index", "name"), [(0, "second"), (1, "cheap")])
def test_what_is_explained_is_the_method_that_decided(index, name):
    cheap, second = Fixed("cheap", CHEAP, temperature=2.0), Fixed("second", SECOND)
    cascade = Cascade(cheap, second, margin=0.5)
    target = Target(0, 1, 2, "bat", CANDIDATES)
    for method in (cheap, second):
        method.rows = {0: method.rows[index]}
    texts = Texts([CONTEXTS[index]])
    assert as_decided(cascade, texts, target).name == name
    assert as_decided(cheap, texts, target) is cheap


def test_the_second_says_itself_how_it_decided():
    class Widening(Fixed):
        def as_decided(self, texts, target):
            assert (texts[0], target.context) == (CONTEXTS[0], 0)
            return Fixed("as it decided", self.rows)

    cascade = Cascade(Fixed("cheap", CHEAP), Widening("second", SECOND), margin=0.5)
    assert as_decided(cascade, Texts(CONTEXTS), TARGETS[0]).name == "as it decided"

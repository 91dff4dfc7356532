"""The dull baselines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import spacy
from scipy.stats import chisquare

from spacy_attn.components.adapter import context_of
from spacy_attn.wsd.context import Target
from spacy_attn.wsd.methods.first_sense import FirstSense
from spacy_attn.wsd.methods.random import RandomSense
from spacy_attn.wsd.sense import Sense
from tests.wsd.decided import decide

SENSES = tuple(Sense(f"w.{i}", "w", "NOUN", "a definition") for i in range(5))


def contexts(*texts):
    nlp = spacy.blank("en")
    return [context_of(nlp(text)) for text in texts]


def target(context, start=0, n=5):
    return Target(context, start, start + 1, "w", SENSES[:n])


def test_first_sense_is_zipf():
    scores = FirstSense().score(contexts("w"), [target(0, n=4), target(0, n=1)])
    np.testing.assert_allclose(np.exp(scores[0]), [1, 1 / 2, 1 / 3, 1 / 4], rtol=1e-6)
    assert scores[1].tolist() == [0]


def test_first_sense_decides_for_the_first():
    (scores,) = FirstSense().score(contexts("w"), [target(0, n=2)])
    decision = decide(target(0, n=2), scores)
    assert decision.sense.id == "w.0"
    assert decision.score == pytest.approx(2 / 3)


def test_no_targets():
    assert FirstSense().score([], []) == []
    assert RandomSense().score([], []) == []


def test_random_is_uniform_over_texts():
    texts = contexts(*(f"w number {i}" for i in range(3000)))
    targets = [target(i) for i in range(3000)]
    scores = RandomSense(seed=0).score(texts, targets)
    chosen = [decide(t, s).sense.id for t, s in zip(targets, scores, strict=True)]
    counts = [chosen.count(sense.id) for sense in SENSES]
    assert chisquare(counts).pvalue > 0.01


def test_random_is_equally_sure_of_all_senses():
    (scores,) = RandomSense().score(contexts("w"), [target(0)])
    decision = decide(target(0), scores)
    assert [p for _, p in decision.ranked] == pytest.approx([0.2] * 5, abs=1e-4)


def test_random_repeats_and_does_not_depend_on_the_batch():
    texts = contexts("one w", "another w w", "w")
    targets = [target(0, 1), target(1, 1), target(1, 2), target(2)]
    together = RandomSense(seed=3).score(texts, targets)
    again = RandomSense(seed=3).score(texts, targets)
    alone = [
        RandomSense(seed=3).score([texts[t.context]], [replace(t, context=0)])[0] for t in targets
    ]
    np.testing.assert_array_equal(together, again)
    np.testing.assert_array_equal(together, alone)


def test_random_depends_on_seed_text_and_position():
    texts = contexts(*(f"w w {i}" for i in range(30)))

    def draws(seed, start):
        scores = RandomSense(seed).score(texts, [target(i, start) for i in range(30)])
        return [int(s.argmax()) for s in scores]

    assert len({tuple(draws(0, 0)), tuple(draws(0, 1)), tuple(draws(1, 0))}) == 3
    assert len(set(draws(0, 0))) > 1

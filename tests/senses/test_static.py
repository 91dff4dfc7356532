"""Static vectors against a computation of its own in numpy."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import spacy

from spacy_attn.components.sense_disambiguator import context_of, resources_of
from spacy_attn.senses.context import find_targets
from spacy_attn.senses.inventory import Example, Inventory, Sense
from spacy_attn.senses.static import StaticCentroid

NLP = spacy.blank("en")
RESOURCES = resources_of(NLP)
INVENTORY = Inventory(
    "toy",
    (
        Sense("bat.animal", "bat", "NOUN", "a flying animal", (Example("A bat in a cave", 2, 5),)),
        Sense("bat.club", "bat", "NOUN", "the club for a ball", (Example("Ball, bat", 6, 9),)),
        Sense("bat.zero", "bat", "NOUN", "zzz"),
    ),
    "en",
)
# What stands for each sense: no stop words, no punctuation, without the word itself.
BAGS = {
    "bat.animal": ["flying", "animal", "cave"],
    "bat.club": ["club", "ball", "ball"],
    "bat.zero": ["zzz"],
}


class Rows:
    """Random vectors of a few words, zero for the others."""

    width = 4
    identity = "rows"

    def __init__(self):
        words = ["flying", "animal", "cave", "club", "ball", "night", "red"]
        self.rows = dict(zip(words, np.random.default_rng(0).normal(size=(7, 4)), strict=True))

    def vectors(self, words):
        rows = [self.rows.get(word, np.zeros(4)) for word in words]
        return np.array(rows, dtype=np.float32).reshape(-1, 4)


def direction(words, rows, counts):
    """Mean direction with weights a / (a + p), a = 0.001; weight 1 where p = 0."""
    total = sum(counts.values())
    mean = sum(
        (0.001 / (0.001 + counts[w] / total)) * rows.get(w, np.zeros(4)) for w in words
    ) + np.zeros(4)
    norm = np.linalg.norm(mean)
    return mean / norm if norm else mean


def obtained(method, text):
    context = context_of(NLP(text))
    (target,) = find_targets(context, INVENTORY)
    (array,) = method.score([context], [target])
    return array


@pytest.fixture
def method():
    return StaticCentroid(INVENTORY, RESOURCES, Rows())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the bat of a red cave at night", ["red", "cave", "night"]),
        ("Red ball, RED bat!", ["red", "ball", "red"]),
        ("bat flying", ["flying"]),
        ("an unknown bat of the night", ["unknown", "night"]),
        ("42 bat of the ball-club", ["ball", "club"]),
    ],
)
def test_the_score_is_a_cosine_of_weighted_means(method, text, words):
    rows = Rows().rows
    counts = Counter(word for bag in BAGS.values() for word in bag)
    context = direction(words, rows, counts)
    expected = [direction(bag, rows, counts) @ context for bag in BAGS.values()]
    np.testing.assert_allclose(obtained(method, text), expected, atol=1e-6)


@pytest.mark.parametrize("text", ["bat", "the bat!", "an unknown bat"])
def test_a_context_without_known_words_leaves_the_senses_level(method, text):
    np.testing.assert_array_equal(obtained(method, text), np.zeros(3, dtype=np.float32))


def test_a_sense_without_known_words_scores_zero(method):
    assert obtained(method, "a red bat")[2] == 0


def test_the_window_is_counted_in_tokens():
    near = StaticCentroid(INVENTORY, RESOURCES, Rows(), window=1)
    np.testing.assert_allclose(
        obtained(near, "night red bat ball cave"), obtained(near, "red bat ball"), atol=1e-6
    )
    far = StaticCentroid(INVENTORY, RESOURCES, Rows(), window=2)
    assert np.abs(
        obtained(far, "night red bat ball cave") - obtained(far, "red bat ball")
    ).max() > (0.01)


def test_a_batch_equals_its_texts_alone(method):
    texts = ["a red bat", "bat in a cave of the night", "the bat"]
    contexts = [context_of(NLP(text)) for text in texts]
    targets = [t for i, c in enumerate(contexts) for t in find_targets(c, INVENTORY, i)]
    together = method.score(contexts, targets)
    np.testing.assert_array_equal(together, [obtained(method, text) for text in texts])
    assert method.score([], []) == []

"""Lesk against overlaps counted by hand on the toy world."""

from __future__ import annotations

from fractions import Fraction
from math import log

import numpy as np
import pytest
import spacy

from spacy_attn.components.sense_disambiguator import context_of, resources_of
from spacy_attn.senses.context import find_targets
from spacy_attn.senses.decide import decide
from spacy_attn.senses.inventory import Example, Inventory, Sense, load_inventory
from spacy_attn.senses.lesk import Lesk, LeskExtended, stems

NLP = spacy.blank("en")
RESOURCES = resources_of(NLP)


@pytest.fixture(scope="module")
def inventory(toy_inventory):
    return load_inventory(toy_inventory, "en")


def scores(method, inventory, *texts):
    """Sense id to score, for the one target of each text."""
    contexts = [context_of(NLP(text)) for text in texts]
    targets = [t for i, c in enumerate(contexts) for t in find_targets(c, inventory, i)]
    assert len(targets) == len(texts)
    return [
        dict(zip((s.id for s in target.candidates), array.tolist(), strict=True))
        for target, array in zip(targets, method.score(contexts, targets), strict=True)
    ]


def one(*senses):
    return Inventory("one", senses, "en")


# -- stems ------------------------------------------------------------------------------


def test_stems():
    tokens = ["The", "Bats", "were", "flying", ",", "42", "x", "non-stop", "CAVES", ""]
    stop = frozenset({"the", "were"})
    assert stems(tokens, stop) == ["", "bat", "", "fli", "", "", "", "", "cave", ""]


# -- lesk -------------------------------------------------------------------------------
# bat.animal: flying animal night lives cave; bat.club: club hit ball (the rest are stop words).
# bank.money: house keeps money; bank.river: river ("side" is one of spaCy's stop words).


@pytest.mark.parametrize(
    ("text", "animal", "club"),
    [
        ("Swing the bat!", 0, 0),
        ("The bat flew at night.", 1, 0),
        ("He hit the ball with a bat.", 0, 2),
        ("In the caves a bat lives, an animal that never hits balls.", 3, 2),
        ("night nights NIGHT bat", 1, 0),  # a word counts once
        ("a bat of a club", 0, 1),
    ],
)
def test_shared_words_are_counted(inventory, text, animal, club):
    (obtained,) = scores(Lesk(inventory, RESOURCES), inventory, text)
    assert obtained == {"bat.animal": animal, "bat.club": club}


def test_other_words_in_a_batch(inventory):
    texts = ["money in the bank", "The bat flew at night.", "the bank of the river keeps"]
    obtained = scores(Lesk(inventory, RESOURCES), inventory, *texts)
    assert obtained == [
        {"bank.money": 1, "bank.river": 0},
        {"bat.animal": 1, "bat.club": 0},
        {"bank.money": 1, "bank.river": 1},
    ]


def test_two_targets_of_one_text_share_its_words(inventory):
    context = context_of(NLP("the bat at the bank of the river at night"))
    targets = find_targets(context, inventory)
    obtained = [s.tolist() for s in Lesk(inventory, RESOURCES).score([context], targets)]
    assert obtained == [[1, 0], [0, 1]]


def test_the_window_is_counted_in_tokens(inventory):
    text = "cave , the bat , night"
    for window, expected in ((1, 0), (2, 1), (3, 2), (50, 2)):
        (obtained,) = scores(Lesk(inventory, RESOURCES, window), inventory, text)
        assert obtained["bat.animal"] == expected


def test_the_word_itself_is_no_evidence():
    inventory = one(
        Sense("bat.1", "bat", "NOUN", "bats are bats of a bat"), Sense("bat.2", "bat", "NOUN", "x")
    )
    (obtained,) = scores(Lesk(inventory, RESOURCES), inventory, "bat and batch")
    assert obtained == {"bat.1": 0, "bat.2": 0}


def test_probabilities_are_the_softmax_of_the_counts(inventory):
    context = context_of(NLP("He hit the ball with a bat."))
    (target,) = find_targets(context, inventory)
    method = Lesk(inventory, RESOURCES, temperature=2 / log(3))
    (array,) = method.score([context], [target])
    decision = decide(target, array, method.temperature)
    # Scores 0 and 2 over 2 / log 3: odds of 1 to 3.
    assert decision.score == pytest.approx(float(Fraction(3, 4)))
    assert decision.margin == pytest.approx(float(Fraction(1, 2)))


# -- lesk_extended ----------------------------------------------------------------------
# In the toy world no word stands with two of the four senses, so all weigh log(4 / 1) + 0.001.

W = log(4) + 1e-3


@pytest.mark.parametrize(
    ("text", "animal", "club"),
    [
        ("Swing the bat!", 0, 1 * W),  # "swing" stands in an example
        ("The bat flew at night.", 2 * W, 0),
        ("an artifact like the bat of an animal", 1 * W, 1 * W),  # names of supersenses
        # "flying animal" are neighbours in the definition: 2 + 2; then "hit" and "ball".
        ("a flying animal and a bat and hit a ball", 4 * W, 2 * W),
        ("an animal , flying , bat", 2 * W, 0),  # no neighbours here
        ("animal flying bat", 2 * W, 0),  # another order
        ("flying bat animal", 2 * W, 0),  # the word stands between them
    ],
)
def test_weighted_overlap(inventory, text, animal, club):
    (obtained,) = scores(LeskExtended(inventory, RESOURCES), inventory, text)
    assert obtained == pytest.approx({"bat.animal": animal, "bat.club": club}, abs=1e-5)


def test_words_of_many_senses_weigh_less():
    inventory = one(
        Sense("w.1", "w", "NOUN", "red green"),
        Sense("w.2", "w", "NOUN", "red blue"),
        Sense("w.3", "w", "NOUN", "red blue yellow"),
    )
    red, blue, green = 0 + 1e-3, log(3 / 2) + 1e-3, log(3 / 1) + 1e-3
    yellow = green
    method = LeskExtended(inventory, RESOURCES)
    (obtained,) = scores(method, inventory, "red , blue and green w yellow")
    expected = {"w.1": red + green, "w.2": red + blue, "w.3": red + blue + yellow}
    assert obtained == pytest.approx(expected, abs=1e-5)
    # Three neighbours are two pairs: 3 words and 2 + 2 for the pairs.
    (obtained,) = scores(method, inventory, "red blue yellow w")
    assert obtained["w.3"] == pytest.approx(red + blue + yellow + red + 2 * blue + yellow, abs=1e-5)


def test_the_word_itself_is_no_neighbour():
    inventory = one(
        Sense("w.1", "big w", "NOUN", "x", (Example("a red big w today", 6, 11),)),
        Sense("w.2", "big w", "NOUN", "y"),
    )
    (obtained,) = scores(LeskExtended(inventory, RESOURCES), inventory, "red big w")
    assert obtained == pytest.approx({"w.1": log(2) + 1e-3, "w.2": 0}, abs=1e-5)


def test_scores_are_single_precision_arrays(inventory):
    for method in (Lesk(inventory, RESOURCES), LeskExtended(inventory, RESOURCES)):
        context = context_of(NLP("a bat"))
        (array,) = method.score([context], find_targets(context, inventory))
        assert (array.dtype, array.shape) == (np.float32, (2,))
        assert method.score([], []) == []

"""Occlusion, on methods whose arithmetic is known."""

from __future__ import annotations

from dataclasses import replace
from math import e, log

import numpy as np
import pytest
import spacy

from spacy_attn.components.adapter import context_of, resources_of
from spacy_attn.explain.occlusion import Attribution, occlusion
from spacy_attn.wsd.decide import log_softmax, margin_between
from spacy_attn.wsd.inventory.find import find_targets
from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.methods.attention import attention_v1
from spacy_attn.wsd.methods.lesk import Lesk
from spacy_attn.wsd.vectors import Texts

NLP = spacy.blank("en")
RESOURCES = resources_of(NLP)


@pytest.fixture(scope="module")
def inventory(toy_inventory):
    return load_inventory(toy_inventory, "en")


def explain(method, inventory, text, chosen, **options):
    context = context_of(NLP(text))
    (target,) = find_targets(context, inventory)
    return occlusion(method, context, target, chosen, **options)


def test_without_a_shared_word_the_probability_falls_by_the_worked_amount(inventory):
    # lesk: club 2 (hit, ball), animal 1 (night); club is candidate 1.
    text = "At night he hit the ball with a bat."
    found = explain(Lesk(inventory, RESOURCES), inventory, text, chosen=1)
    with_all = 2 - log(e**2 + e)
    without_hit = 1 - log(e + e)
    without_night = 2 - log(e**2 + 1)
    expected = {
        "hit": with_all - without_hit,
        "ball": with_all - without_hit,
        "night": with_all - without_night,
        "At": 0,
        "he": 0,
        "the": 0,
        "with": 0,
        "a": 0,
    }
    assert {a.text: a.weight for a in found} == pytest.approx(expected, abs=1e-6)
    assert [a.text for a in found[:2]] == ["hit", "ball"]  # equal: in the order of the text
    assert found[-1].text == "night"  # speaks against
    assert found[0] == Attribution(3, "hit", (12, 15), found[0].weight)


def test_the_temperature_divides(inventory):
    method = Lesk(inventory, RESOURCES, temperature=4.0)
    (hit,) = explain(method, inventory, "hit bat", chosen=1)
    assert hit.weight == pytest.approx((0.25 - log(e**0.25 + 1)) - log(1 / 2))


def test_of_the_other_sense_the_sign_is_the_opposite(inventory):
    method = Lesk(inventory, RESOURCES)
    text = "he hit the bat"
    for_club, for_animal = (explain(method, inventory, text, chosen=i) for i in (1, 0))
    assert for_club[0].text == for_animal[-1].text == "hit"
    assert for_club[0].weight > 0 > for_animal[-1].weight


def test_white_space_and_punctuation_are_not_tried(inventory):
    found = explain(Lesk(inventory, RESOURCES), inventory, "hit , \n\n bat !", chosen=1)
    assert [a.text for a in found] == ["hit"]


@pytest.mark.parametrize(("radius", "tried"), [(1, "b c"), (2, "a b c d"), (9, "a b c d")])
def test_the_radius_is_counted_in_tokens(inventory, radius, tried):
    found = explain(Lesk(inventory, RESOURCES), inventory, "a b bat c d", 0, radius=radius)
    assert sorted(a.text for a in found) == tried.split()


def test_a_word_alone_has_nothing_to_take_away(inventory):
    assert explain(Lesk(inventory, RESOURCES), inventory, "bat", chosen=0) == []


class Sees:
    """Keeps the contexts that it is asked to score."""

    name = "sees"
    encoder = None
    temperature = 1.0

    def score(self, contexts, targets):
        self.contexts, self.targets = contexts, targets
        return [np.zeros(2, dtype=np.float32) for _ in targets]


def test_a_word_is_blanked_with_its_lemma_and_tag_and_nothing_moves(inventory):
    context = context_of(NLP("he hit the bat"))
    context = replace(context, lemmas=["he", "hit", "the", "bat"], tags=["PRON", "VERB", "DET", ""])
    (target,) = find_targets(context, inventory)
    method = Sees()
    occlusion(method, context, target, 0)
    first, _, second, _ = method.contexts
    assert first is context
    assert second.text == "he     the bat"
    assert second.tokens == ["he", "   ", "the", "bat"]
    assert second.lemmas == ["he", "", "the", "bat"]
    assert second.tags == ["PRON", "", "DET", ""]
    assert second.offsets == context.offsets
    assert [t.context for t in method.targets] == [0, 1, 2, 3]
    assert {(t.start, t.end) for t in method.targets} == {(3, 4)}


def test_with_an_encoder_each_blanked_text_is_encoded(inventory, toy_model, toy_sense_model):
    fitted = attention_v1(
        model=str(toy_model), sense_model=str(toy_sense_model), window=64, overlap=16
    ).prepare(inventory, RESOURCES)
    text, blanked = "swing the bat", "      the bat"
    found = {a.text: a.weight for a in explain(fitted, inventory, text, chosen=1)}
    context = context_of(NLP(text))
    (target,) = find_targets(context, inventory)
    log_p = []
    for each in (text, blanked):
        (scores,) = fitted.score(Texts([replace(context, text=each)]), [target])
        log_p.append(log_softmax(scores, fitted.temperature)[1])
    assert set(found) == {"swing", "the"}
    assert found["swing"] == pytest.approx(log_p[0] - log_p[1], abs=1e-4)


def test_a_method_in_doubt_without_a_word_does_not_look_further(
    inventory, toy_model, toy_sense_model
):
    """What it did with the whole text is explained, not what it would do with less."""
    fitted = attention_v1(
        model=str(toy_model), sense_model=str(toy_sense_model), window=64, overlap=16
    ).prepare(inventory, RESOURCES)
    text = f"swing the bat. money in a cave{' at night' * 18}."  # two passages
    context = context_of(NLP(text))
    (target,) = find_targets(context, inventory)
    (scores,) = fitted._scores(fitted._parts(Texts([context]), [target]), [target])
    margin = margin_between(log_softmax(scores, fitted.temperature))
    for widen_below, is_read in ((margin - 1e-6, False), (margin + 1e-6, True)):
        fitted.widen_below = widen_below
        found = {a.text: a.weight for a in explain(fitted, inventory, text, chosen=1)}
        assert all((abs(found[word]) > 1e-4) == is_read for word in ("a", "cave"))
        assert fitted.widen_below == widen_below

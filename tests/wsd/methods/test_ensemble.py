"""The ensemble: sums of calibrated log-probabilities, and what is encoded for it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import spacy

from spacy_attn.components.adapter import resources_of
from spacy_attn.errors import ConfigError
from spacy_attn.wsd.context import Context, Target
from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.method import as_decided
from spacy_attn.wsd.methods.cascade import Cascade
from spacy_attn.wsd.methods.ensemble import Ensemble, ensemble_v1
from spacy_attn.wsd.methods.registry import sense_method
from spacy_attn.wsd.vectors import Texts
from tests.wsd.decided import decide
from tests.wsd.methods.test_cascade import Fixed, Reading


class Ones:
    width = 1

    def __init__(self, identity="ones"):
        self.identity, self.reads = identity, []

    def encode(self, texts, offsets, reads=None):
        self.reads.append(reads)
        return [np.ones((len(o), 1), dtype=np.float32) for o in offsets]


CONTEXTS = [
    Context(text, text.split(), [(0, 1)] * len(text.split()), [""] * 3, [""] * 3)
    for text in ("the bat flew", "a new bat")
]
TARGETS = [Target(0, 1, 2, "bat", ("one", "two")), Target(1, 2, 3, "bat", ("one", "two"))]
LOG = np.log


def test_probabilities_are_multiplied():
    # 3/5 * 1/4 against 2/5 * 3/4: 3 to 6.
    first = Fixed("first", {0: [LOG(3), LOG(2)], 1: [0, 0]})
    second = Fixed("second", {0: [LOG(1), LOG(3)], 1: [LOG(9), LOG(1)]})
    scores = Ensemble([first, second]).score(CONTEXTS, TARGETS)
    want = [
        (Fraction(3, 5) * Fraction(1, 4), Fraction(2, 5) * Fraction(3, 4)),
        (Fraction(1, 2) * Fraction(9, 10), Fraction(1, 2) * Fraction(1, 10)),
    ]
    for got, fractions in zip(scores, want, strict=True):
        np.testing.assert_allclose(np.exp(got), [float(f) for f in fractions], rtol=1e-6)


def test_each_method_has_its_temperature():
    # Scores of log 9 and 0 at temperature 2 are 3 to 1.
    mild = Fixed("mild", {0: [LOG(9), 0]}, temperature=2.0)
    plain = Fixed("plain", {0: [0, LOG(2)]})
    (scores,) = Ensemble([mild, plain]).score(CONTEXTS, TARGETS[:1])
    assert scores[0] - scores[1] == pytest.approx(LOG(3 / 2), abs=1e-6)


def test_its_own_temperature_makes_it_less_sure(toy_inventory):
    inventory = load_inventory(toy_inventory)
    target = Target(0, 1, 2, "bat", inventory.candidates("bat")[:2])
    methods = [Fixed(name, {0: [0.0, 2.0]}) for name in ("first", "second")]
    (scores,) = Ensemble(methods).score(CONTEXTS, [target])
    sure, less = decide(target, scores, 1.0), decide(target, scores, 2.0)
    assert sure.sense == less.sense
    assert sure.score == pytest.approx(1 / (1 + np.exp(-4)), rel=1e-5)
    assert less.score == pytest.approx(1 / (1 + np.exp(-2)), rel=1e-5)


def test_only_what_a_method_with_an_encoder_reads_is_encoded():
    encoder = Ones()
    rows = {0: [0, 1], 1: [0, 1]}
    members = [
        Fixed("words", rows),
        Reading("reader", rows, encoder=encoder),
        Reading("another", rows, encoder=encoder),
    ]
    ensemble = Ensemble(members)
    assert ensemble.encoder is encoder
    ensemble.score(Texts(CONTEXTS), TARGETS)
    assert encoder.reads == [[[(1, 2)], [(2, 3)]]]  # once for both


def test_without_an_encoder_nothing_is_encoded():
    ensemble = Ensemble([Fixed("a", {}), Fixed("b", {})])
    assert ensemble.encoder is None


def test_a_cascade_asks_it_where_the_cheap_method_is_not_sure():
    cheap = Fixed("cheap", {0: [5.0, 0.0], 1: [0.0, 0.0]})
    rows, encoder = {0: [0, 1], 1: [0, 1]}, Ones()
    second = Ensemble([Fixed("a", rows), Reading("b", rows, encoder=encoder)])
    cascade = Cascade(cheap, second, 0.9)
    scores = cascade.score(Texts(CONTEXTS), TARGETS)
    assert [int(row.argmax()) for row in scores] == [0, 1]
    assert encoder.reads == [[[(2, 3)]]]


def test_two_encoders_are_refused():
    methods = [Fixed(name, {}, encoder=Ones(name)) for name in ("small", "large")]
    with pytest.raises(ConfigError, match=r"methods = \['small', 'large'\] need vectors of 2 enc"):
        Ensemble(methods)


@pytest.mark.parametrize("methods", [[], ["lesk"], "lesk"])
def test_fewer_than_two_are_refused(methods):
    with pytest.raises(ConfigError, match=r"^methods = .* allowed are two or more, such as \['att"):
        ensemble_v1(methods)


def test_an_unknown_member_is_named():
    with pytest.raises(ConfigError, match=r"^methods = 'leks'; allowed are random, "):
        ensemble_v1(["lesk", "leks"])


def test_it_is_made_of_the_methods_of_the_config(toy_inventory):
    block = {"@sense_methods": "spacy_attn.ensemble.v1", "methods": ["lesk", "first_sense"]}
    resources = resources_of(spacy.blank("en"))
    fitted = sense_method(block).prepare(load_inventory(toy_inventory), resources)
    assert [method.name for method in fitted.methods] == ["lesk", "first_sense"]


def test_each_is_explained_as_it_decided():
    class Stepwise(Fixed):
        def as_decided(self, texts, target):
            return Fixed(f"{self.name}, {texts[target.context].text}", self.rows)

    rows = {0: [0, 1]}
    ensemble = Ensemble([Fixed("plain", rows), Stepwise("stepwise", rows)], temperature=2.0)
    fixed = as_decided(ensemble, Texts(CONTEXTS), TARGETS[1])
    assert [method.name for method in fixed.methods] == ["plain", "stepwise, a new bat"]
    assert fixed.temperature == 2.0
    assert [method.name for method in ensemble.methods] == ["plain", "stepwise"]

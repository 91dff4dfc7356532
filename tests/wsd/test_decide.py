"""From log-scores to a decision, against scipy and known temperatures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax as scipy_log_softmax
from scipy.special import softmax

from spacy_attn.wsd.context import Reading, Target
from spacy_attn.wsd.decide import (
    decide_all,
    fit_temperature,
    log_posterior,
    log_softmax,
    without_opinion,
)
from spacy_attn.wsd.sense import Sense
from tests.wsd.decided import decide

SCORES = st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=9)
TEMPERATURES = st.floats(0.05, 20)
# Few different numbers make ties; very different ones, probabilities of 0.
TIED = st.lists(st.sampled_from([-np.inf, -3.0, 0.0, 1.0, 1.0 + 1e-9, 700.0]), max_size=12)
BATCHES = st.lists(SCORES | TIED.map(lambda scores: [0.5, *scores]), max_size=12)


def target(n):
    senses = tuple(Sense(f"w.{i}", "w", "NOUN", f"sense {i}") for i in range(n))
    return Target(0, 0, 1, "w", senses)


def array(*scores):
    return np.array(scores, dtype=np.float32)


def test_three_senses():
    decision = decide(target(3), array(1.0, 3.0, 2.0))
    p = softmax([1.0, 3.0, 2.0])
    assert decision.sense.id == "w.1"
    assert decision.score == pytest.approx(p[1])
    assert decision.margin == pytest.approx(p[1] - p[2])
    assert [sense for sense, _ in decision.ranked] == ["w.1", "w.2", "w.0"]
    assert [score for _, score in decision.ranked] == pytest.approx(sorted(p, reverse=True))


def test_one_candidate_is_certain():
    decision = decide(target(1), array(-1000.0))
    assert (decision.score, decision.margin) == (1.0, 1.0)
    assert decision.ranked == (("w.0", 1.0),)


def test_ties_go_to_the_first():
    assert decide(target(3), array(0, 5, 5)).sense.id == "w.1"
    equal = decide(target(4), array(2, 2, 2, 2))
    assert [sense for sense, _ in equal.ranked] == ["w.0", "w.1", "w.2", "w.3"]
    assert (equal.score, equal.margin) == (0.25, 0.0)


def test_a_difference_of_rounding_is_a_tie():
    decision = decide(target(2), np.array([1.0, 1.0 + 1e-9]))
    assert decision.sense.id == "w.0"
    assert decision.margin == 0.0


def test_a_sense_can_be_ruled_out():
    decision = decide(target(3), array(-np.inf, 0, -np.inf))
    assert (decision.sense.id, decision.score, decision.margin) == ("w.1", 1.0, 1.0)


def test_temperature():
    cold, warm = (decide(target(2), array(0, 1), t).score for t in (0.5, 2.0))
    assert cold == pytest.approx(1 / (1 + np.exp(-2.0)))
    assert warm == pytest.approx(1 / (1 + np.exp(-0.5)))


def test_what_is_decided_is_plain_data():
    decision = decide(target(2), array(0, 1))
    assert type(decision.score) is float
    assert type(decision.margin) is float
    assert {type(score) for _, score in decision.ranked} == {float}


@given(scores=SCORES, temperature=TEMPERATURES)
def test_log_softmax_is_that_of_scipy(scores, temperature):
    obtained = log_softmax(array(*scores), temperature)
    expected = scipy_log_softmax(np.float64(array(*scores)) / temperature)
    np.testing.assert_allclose(obtained, expected, rtol=1e-9, atol=1e-9)


@given(scores=SCORES, temperature=TEMPERATURES, shift=st.floats(-10, 10))
def test_a_decision_is_a_ranked_distribution(scores, temperature, shift):
    n = len(scores)
    decision = decide(target(n), array(*scores), temperature)
    probabilities = [p for _, p in decision.ranked]
    assert sum(probabilities) == pytest.approx(1.0)
    assert sorted(probabilities, reverse=True) == pytest.approx(probabilities, abs=1e-6)
    assert {sense for sense, _ in decision.ranked} == {f"w.{i}" for i in range(n)}
    assert decision.ranked[0] == (decision.sense.id, decision.score)
    assert 0.0 <= decision.margin <= decision.score
    # A constant added to all scores changes nothing.
    moved = decide(target(n), np.float64(array(*scores)) + shift, temperature)
    assert moved.score == pytest.approx(decision.score, abs=1e-5)


@given(batch=BATCHES, temperature=TEMPERATURES, kind=st.sampled_from(["f4", "f8"]))
def test_all_together_equal_one_by_one_to_the_last_bit(batch, temperature, kind):
    targets = [target(len(scores)) for scores in batch]
    arrays = [np.array(scores, dtype=kind) for scores in batch]
    together = decide_all(targets, arrays, temperature)
    assert together == [decide(t, a, temperature) for t, a in zip(targets, arrays, strict=True)]
    assert {type(p) for d in together for _, p in d.ranked} <= {float}


def test_many_together_equal_one_by_one():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 75, 3000)
    targets = [target(n) for n in sizes]
    arrays = [rng.normal(size=n).astype(np.float32) for n in sizes]
    assert decide_all(targets, arrays, 0.7) == [
        decide(t, a, 0.7) for t, a in zip(targets, arrays, strict=True)
    ]


def test_nothing_to_decide():
    assert decide_all([], []) == []


def test_one_candidate_needs_no_score():
    assert decide(target(1), array(np.nan)) == decide(target(1), array(0))
    assert decide_all([target(1)], [array(-np.inf)]) == [decide(target(1), array(0))]


@pytest.mark.parametrize("temperature", [0.2, 1.0, 5.0])
def test_the_temperature_that_made_the_data_is_found(temperature):
    rng = np.random.default_rng(0)
    scores = [rng.normal(size=4) * 3 for _ in range(4000)]
    gold = [int(rng.choice(4, p=softmax(s / temperature))) for s in scores]
    assert fit_temperature(scores, gold) == pytest.approx(temperature, rel=0.1)


def test_targets_may_differ_in_their_number_of_senses():
    # Right by 1 in three of four: p = 3/4 = 1 / (1 + exp(-1 / t)), so t = 1 / log 3.
    scores = [array(1, 0)] * 3 + [array(0, 1)] + [array(7)]
    assert fit_temperature(scores, [0, 0, 0, 0, 0]) == pytest.approx(1 / np.log(3), rel=1e-3)


def test_each_score_has_its_gold():
    with pytest.raises(ValueError, match="shorter"):
        fit_temperature([array(1, 0)] * 2, [0])


# -- readings --------------------------------------------------------------------------------


def _of_two_words(first: float, second: float) -> Target:
    """Two readings of two senses and one."""
    senses = tuple(Sense(f"{i}", "ab"[i == 2], "NOUN", "") for i in range(3))
    readings = (Reading("a", "NOUN", 2, first, 1), Reading("b", "NOUN", 1, second, 1))
    return Target(0, 0, 1, "a", senses, readings)


def test_readings_share_their_probability_by_the_softmax_within_each():
    p = np.exp(log_posterior(_of_two_words(0.6, 0.3), np.array([1.0, 0.0, 5.0])))
    within = np.exp([1.0, 0.0]) / np.exp([1.0, 0.0]).sum()
    assert np.allclose(p, [*(0.6 * within), 0.3])


@pytest.mark.parametrize("weight", [0.25, 1.0, 2.0])
def test_a_method_decides_between_readings_by_bayes(weight):
    """Prior times the sum of the powers by the root of their number, to the weight."""
    scores = np.array([1.0, 0.0, 2.0])
    p = np.exp(log_posterior(_of_two_words(0.6, 0.3), scores, 0.5, weight))
    powers = np.exp(scores / 0.5)
    likelihood = np.array([powers[:2].sum() / np.sqrt(2), powers[2]]) ** weight
    posterior = np.array([0.6, 0.3]) * likelihood
    posterior *= 0.9 / posterior.sum()
    assert np.allclose(p[:2].sum(), posterior[0])
    assert np.allclose(p[2], posterior[1])
    assert np.allclose(p[0] / p[1], np.exp(2.0))


@pytest.mark.parametrize("weight", [0.25, 1.0])
def test_a_reading_that_a_method_cannot_score_keeps_its_probability(weight):
    word = _of_two_words(0.6, 0.3)
    known = np.array([True, True, False])
    scores = without_opinion(word, np.array([1.0, 0.0, 99.0], dtype=np.float32), known, 0.5)
    assert scores[:2].tolist() == [1.0, 0.0]
    p = np.exp(log_posterior(word, scores, 0.5, weight))
    assert p[2] == pytest.approx(0.3)
    assert p[0] / p[1] == pytest.approx(np.exp(2.0))
    nothing = without_opinion(word, scores, np.zeros(3, dtype=bool), 0.5)
    assert np.exp(log_posterior(word, nothing, 0.5, weight))[2] == pytest.approx(0.3)


def test_a_reading_whose_senses_are_all_ruled_out_has_nothing():
    p = np.exp(log_posterior(_of_two_words(0.6, 0.3), np.array([1.0, 0.0, -np.inf])))
    assert np.allclose(p.sum(), 0.9)
    assert p[2] == 0.0


def test_decisions_of_readings_alone_and_together_agree():
    targets = [_of_two_words(0.6, 0.3), _of_two_words(0.2, 0.7), target(3)]
    scores = [np.array([1.0, 0.0, 2.0], dtype=np.float32)] * 3
    together = decide_all(targets, scores, 1.5, 0.5, [0.5, 1.0, 0.25])
    for each, decision, share in zip(targets, together, (0.5, 1.0, 0.25), strict=True):
        alone = decide(each, scores[0], 1.5, 0.5)
        assert alone.ids == decision.ids
        assert np.allclose(np.array(alone.probabilities) * share, decision.probabilities)


def test_one_candidate_is_as_certain_as_its_word():
    sense = Sense("0", "a", "NOUN", "")
    found = Target(0, 0, 1, "a", (sense,), (Reading("a", "NOUN", 1, 0.7, 1),))
    given = Target(0, 0, 1, "a", (sense,))
    first, second = decide_all([found, given], [np.zeros(1, dtype=np.float32)] * 2)
    assert (first.score, first.margin) == (0.7, 0.7)
    assert (second.score, second.margin) == (1.0, 1.0)

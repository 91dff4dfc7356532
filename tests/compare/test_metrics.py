"""The arithmetic of the comparison, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from spacy_attn.compare.dataset import Instance
from spacy_attn.compare.metrics import (
    accuracy_by,
    calibration_error,
    groups_of,
    holm,
    interval,
    is_gold,
    macro_f1,
    mcnemar,
    reliability,
    supersense_of,
)
from spacy_attn.wsd.context import Target
from spacy_attn.wsd.sense import Sense


def test_macro_f1_by_hand():
    words = ["bat", "bat", "bat", "bank"]
    gold = ["a", "a", "b", "x"]
    # bat: F1(a) = 2*1/(2+1) = 2/3, F1(b) = 2*1/(1+2) = 2/3; bank: F1(x) = 0
    assert macro_f1(words, gold, ["a", "b", "b", "y"]) == pytest.approx((2 / 3 + 0) / 2)
    assert macro_f1(words, gold, gold) == 1.0
    assert macro_f1(words, gold, [None] * 4) == 0.0


def test_macro_f1_is_that_of_scikit_learn():
    rng = np.random.default_rng(3)
    n = 400
    words = [f"w{i}" for i in rng.integers(0, 20, n)]
    gold = [f"{word}.{i}" for word, i in zip(words, rng.integers(0, 4, n), strict=True)]
    predicted = [f"{word}.{i}" for word, i in zip(words, rng.integers(0, 5, n), strict=True)]
    expected = []
    for word in sorted(set(words)):
        g = [sense for sense, w in zip(gold, words, strict=True) if w == word]
        p = [sense for sense, w in zip(predicted, words, strict=True) if w == word]
        expected.append(f1_score(g, p, labels=sorted(set(g)), average="macro", zero_division=0.0))
    assert macro_f1(words, gold, predicted) == pytest.approx(np.mean(expected), abs=1e-12)


def test_the_interval_is_that_of_drawing_one_by_one():
    right = np.arange(300) < 240
    rng = np.random.default_rng(1)
    drawn = right[rng.integers(0, 300, (4000, 300))].mean(axis=1)
    assert interval(right) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.006)
    assert interval(right) == interval(right)
    assert interval(np.ones(5, dtype=bool)) == (1.0, 1.0)
    assert interval(np.zeros(5, dtype=bool)) == (0.0, 0.0)


def test_calibration_error_by_hand():
    scores = np.array([0.95, 0.95, 0.55, 0.55, 1.0])
    right = np.array([True, True, True, False, True])
    # bin 0.9 to 1: |2.9/3 - 1| * 3/5; bin 0.5 to 0.6: |0.55 - 0.5| * 2/5
    assert calibration_error(scores, right) == pytest.approx(0.02 + 0.02)


def test_reliability_is_what_calibration_error_is_made_of():
    rng = np.random.default_rng(4)
    scores, right = rng.random(500), rng.random(500) < 0.6
    points = reliability(scores, right)
    assert sum(point["n"] for point in points) == 500
    assert [point["low"] for point in points] == pytest.approx(np.arange(10) / 10)
    error = sum(abs(p["confidence"] - p["accuracy"]) * p["n"] / 500 for p in points)
    assert calibration_error(scores, right) == pytest.approx(error)
    (only,) = reliability(np.array([1.0, 1.0]), np.array([True, False]))
    assert (only["low"], only["n"], only["confidence"], only["accuracy"]) == (0.9, 2, 1.0, 0.5)


def test_mcnemar_by_hand():
    right = np.array([True] * 6 + [False] + [True] * 20 + [False] * 3)
    other = np.array([False] * 6 + [True] + [True] * 20 + [False] * 3)
    # two-sided binomial of 6 of 7: 2 * (7 + 1) / 2**7
    assert mcnemar(right, other) == (6, 1, pytest.approx(16 / 128))
    assert mcnemar(other, right) == (1, 6, pytest.approx(16 / 128))
    assert mcnemar(right, right) == (0, 0, 1.0)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_accuracy_by_group_in_the_order_of_the_data():
    right = np.array([True, False, True, True])
    found = accuracy_by(["plain", "", "near", "plain"], right)
    assert list(found.items()) == [("plain", 1.0), ("near", 1.0)]
    assert accuracy_by(["b", "a", "b", "a"], right) == {"b": 1.0, "a": 0.5}


def sense(name, *keys):
    return Sense(name, "bat", "NOUN", "", wordnet=keys)


CANDIDATES = (sense("bat.animal", "bat%1:05:00::"), sense("bat.club", "bat%1:06:00::", "k"))
TARGET = Target(0, 0, 1, "bat", CANDIDATES)


def instance(*gold):
    return Instance("1", 0, 0, 1, "bat", "NOUN", gold)


def test_a_sense_is_right_by_id_or_by_wordnet_key():
    assert is_gold("bat.club", instance("bat.animal", "bat.club"), None)
    assert not is_gold("bat.club", instance("bat.animal"), TARGET)
    assert is_gold("bat.club", instance("k"), TARGET)
    assert not is_gold("bat.club", instance("k"), None)
    assert not is_gold("bat.ghost", instance("k"), TARGET)


def test_supersenses():
    assert supersense_of("bat%1:05:00::", {}) == "noun.animal"
    assert supersense_of("peculiar%5:00:00:specific:00", {}) == "adj.all"
    assert supersense_of("bat.animal", {"bat.animal": "noun.animal"}) == "noun.animal"
    assert supersense_of("bat.animal", {}) == ""
    assert supersense_of("bat%1:99:00::", {}) == ""


def test_groups_of_instances():
    one = Target(0, 0, 1, "bat", CANDIDATES[:1])
    instances = [instance(g) for g in ("bat.animal", "bat.club", "bat.animal", "gone", "x")]
    targets = [TARGET, TARGET, one, TARGET, None]
    groups = groups_of(instances, targets, lambda s: s.id == "bat.animal")
    assert {name: members.tolist() for name, members in groups.items()} == {
        "ambiguous": [True, True, False, True, False],
        "first": [True, False, True, False, False],
        "not_first": [False, True, False, True, False],
        "unseen_sense": [False, True, False, False, False],  # "gone" is no sense at all
    }
    nothing = groups_of(instances, targets, lambda s: False)
    assert nothing["unseen_lemma"].tolist() == [True, True, True, True, False]
    assert "unseen_sense" not in groups_of(instances, targets)

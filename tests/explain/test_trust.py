"""Comprehensiveness, sufficiency and agreement, on a method whose arithmetic is known."""

from __future__ import annotations

from math import e

import numpy as np
import pytest

from spacy_attn.errors import ConfigError
from spacy_attn.explain.attribution import ATTRIBUTIONS, DECIDING, Weights, attribute
from spacy_attn.explain.decision import subjects_of
from spacy_attn.explain.trust import Trust, agreement, trust
from spacy_attn.wsd.methods import calibration

TEXT = "he hit the ball with a bat"


@pytest.fixture
def subject(toy_nlp, monkeypatch):
    """Lesk: club 2 (hit, ball), animal 0; nothing divides the scores."""
    monkeypatch.setattr(calibration, "_fitted", lambda folder: {})
    ((_, found),) = subjects_of(toy_nlp, [TEXT], method="lesk")
    return found


def test_taken_away_and_alone_by_hand(subject):
    p = {n: e**n / (e**n + 1) for n in (0, 1, 2)}  # of club, with n words of its definition
    (found,) = trust(subject, [attribute(subject, "occlusion")])
    assert (subject.decision.sense.id, found.n_words) == ("bat.club", 1)
    assert found.comprehensiveness == pytest.approx(p[2] - p[1])
    assert found.sufficiency == pytest.approx(p[2] - p[1])
    both, one = trust(
        subject, [attribute(subject, "occlusion"), attribute(subject, "nearness")], share=0.4
    )
    assert both.n_words == 2
    assert both.comprehensiveness == pytest.approx(p[2] - p[0])
    assert both.sufficiency == pytest.approx(0)
    assert both.is_better_than_random
    assert one.comprehensiveness == pytest.approx(0)  # "with a" decides nothing
    assert one.sufficiency == pytest.approx(p[2] - p[0])
    assert not one.is_better_than_random


def test_random_words_are_the_mean_over_draws(subject):
    """Of six words one is drawn; two of them matter, so the mean tends to a third."""
    p = {n: e**n / (e**n + 1) for n in (0, 1, 2)}
    first, again = (trust(subject, [attribute(subject, "random")], draws=3000)[0] for _ in range(2))
    assert first == again
    assert first.comprehensiveness_random == pytest.approx((p[2] - p[1]) / 3, abs=0.01)
    assert first.sufficiency_random == pytest.approx(p[2] - (p[1] * 2 + p[0] * 4) / 6, abs=0.02)


def test_a_word_alone_has_nothing_to_explain(toy_nlp):
    ((_, subject),) = subjects_of(toy_nlp, ["bat"], method="lesk")
    assert trust(subject, [attribute(subject, "occlusion")]) == [Trust(0, 0, 0, 0, 0)]
    assert attribute(subject, "nearness").top(3) == []


def test_agreement_is_the_rank_correlation():
    def weights(attribution, *values):
        return Weights(attribution, (0, 1, 2, 3), np.array(values, dtype=np.float32))

    found = agreement(
        [weights("a", 1, 2, 3, 4), weights("b", 1, 3, 2, 9), weights("c", 5, 5, 5, 5)]
    )
    # Ranks 1 2 3 4 and 1 3 2 4: 1 - 6 * (0 + 1 + 1 + 0) / (4 * 15).
    assert found["a", "b"] == pytest.approx(0.8)
    assert found["a", "c"] is None


@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
def test_every_way_weighs_the_same_words(toy_nlp, toy_vectors, attribution):
    from spacy_attn.classic.vectors import shared_vectors

    ((_, subject),) = subjects_of(toy_nlp, ["he hit the ball, with a bat!"], "bat")
    made = attribute(subject, attribution, vectors=shared_vectors(str(toy_vectors), "zero"))
    assert made.words == (0, 1, 2, 3, 5, 6)
    assert made.values.shape == (9,)
    assert not made.values[[4, 7, 8]].any()
    assert made.values[list(made.words)].any()
    assert (made.gap is not None) == (attribution == "integrated_gradients")
    again = attribute(subject, attribution, vectors=shared_vectors(str(toy_vectors), "zero"))
    np.testing.assert_array_equal(made.values, again.values)
    assert len(made.top(2)) == 2
    assert set(DECIDING) < set(ATTRIBUTIONS)


def test_nearness_and_static_by_hand(toy_nlp, toy_vectors):
    from spacy_attn.classic.vectors import shared_vectors

    ((_, subject),) = subjects_of(toy_nlp, [TEXT], method="lesk")
    near = attribute(subject, "nearness")
    assert near.values.tolist() == pytest.approx([1 / 6, 1 / 5, 1 / 4, 1 / 3, 1 / 2, 1, 0])
    assert near.top(2) == [5, 4]
    vectors = shared_vectors(str(toy_vectors), "zero")
    static = attribute(subject, "static", vectors=vectors)
    bat, ball = vectors.vectors(["bat", "ball"])
    cosine = bat @ ball / np.linalg.norm(bat) / np.linalg.norm(ball)
    assert static.values[3] == pytest.approx(cosine, abs=1e-6)


def test_attention_is_the_row_of_the_target(toy_nlp):
    from spacy_attn.encoder.attention_map import attention_map

    ((_, subject),) = subjects_of(toy_nlp, [TEXT], "bat")
    made = attention_map(subject.encoder, TEXT, subject.context.offsets)
    one = attribute(subject, "attention", layer=2, head=1)
    np.testing.assert_allclose(one.values[:6], made.of(2, 1)[6, :6], atol=1e-6)
    mean = attribute(subject, "attention")
    want = np.mean([made.of(layer)[6, :6] for layer in (1, 2)], axis=0)
    np.testing.assert_allclose(mean.values[:6], want, atol=1e-6)


def test_what_is_wrong_is_told(toy_nlp, subject):
    with pytest.raises(
        ConfigError, match=r"attributions? = 'lime'; allowed are occlusion, integrated"
    ):
        attribute(subject, "lime")
    with pytest.raises(ConfigError, match="attribution = 'static' needs vectors"):
        attribute(subject, "static")
    with pytest.raises(ConfigError, match="the method 'lesk' looks through no encoder"):
        attribute(subject, "attention")
    with pytest.raises(ConfigError, match=r"share = 0 and draws = 1: allowed are 0 < share <= 1"):
        trust(subject, [], share=0, draws=1)
    with pytest.raises(ConfigError, match=r"word = 'cave': no text has it .* in them: bat"):
        subjects_of(toy_nlp, [TEXT], "cave")

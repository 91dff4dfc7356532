"""Gradients: the log-odds are the method's own, the weights hold against finite differences."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from spacy_attn.encoder import inspected
from spacy_attn.encoder.inspected import inspected_model
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.explain import gradients
from spacy_attn.explain.decision import subjects_of
from spacy_attn.explain.gradients import gradient_attribution
from spacy_attn.wsd.methods.attention import attention_v1
from spacy_attn.wsd.methods.known_senses import KnownSenses

TEXT = "he hit the ball with a bat at night"


@pytest.fixture
def knows_wordnet(monkeypatch):
    """The toy model knows five senses of every word."""
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(5, 8)).astype(np.float32)

    def known(lemmas, sense_model, width):
        rows, bounds = np.arange(5, dtype=np.int32), np.array([[0, 5]] * len(lemmas), np.int32)
        return KnownSenses(rows, vectors, vectors[:, 0].copy(), bounds)

    monkeypatch.setattr(KnownSenses, "of", known)


@pytest.fixture
def subject(toy_nlp):
    ((_, found),) = subjects_of(toy_nlp, [TEXT])
    return found


def attributed(subject, **options):
    return gradient_attribution(
        subject.fitted,
        subject.context,
        subject.target,
        subject.chosen,
        subject.runner_up,
        **options,
    )


def log_odds(subject):
    ranked = dict(subject.decision.ranked)
    one, two = (subject.decision.ids[i] for i in (0, 1))
    return np.log(ranked[one]) - np.log(ranked[two])


@contextmanager
def in_float64():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    "way",
    [
        torch.inference_mode,
        torch.no_grad,
        partial(torch.autocast, "cpu", torch.bfloat16),
        in_float64,
        partial(torch.device, "meta"),
    ],
)
def test_the_callers_torch_changes_nothing(subject, way):
    expected = [attributed(subject, kind=kind).weights for kind in gradients.GRADIENTS]
    inspected._shared.clear()
    with way():  # the model is read there, and used there and afterwards
        inside = [attributed(subject, kind=kind).weights for kind in gradients.GRADIENTS]
    after = [attributed(subject, kind=kind).weights for kind in gradients.GRADIENTS]
    for found in (inside, after):
        np.testing.assert_allclose(found, expected, atol=1e-6)


AFAR = "the river " + "in a cave " * 12 + "at night. "  # too long to share a passage


@pytest.mark.parametrize("widen_below", [0.0, 1.1])
@pytest.mark.parametrize("text", [TEXT, AFAR + "a bat flew at night. the bank of money."])
def test_the_log_odds_are_those_of_the_method(toy_nlp, widen_below, text):
    component = toy_nlp.get_pipe("sense_disambiguator")
    component.prepared().widen_below = widen_below
    subject = subjects_of(toy_nlp, [text], "bat")[0][1]
    found = attributed(subject)
    assert found.log_odds == pytest.approx(log_odds(subject), abs=1e-4)
    assert found.log_odds > 0
    assert bool(found.weights[:2].any()) == (widen_below > 1 or text == TEXT)


def test_the_log_odds_are_those_of_a_method_that_knows_wordnet(
    toy_nlp, toy_model, toy_sense_model, knows_wordnet
):
    toy_nlp.get_pipe("sense_disambiguator").method = attention_v1(
        str(toy_model), str(toy_sense_model), wordnet=True, window=64, overlap=16
    )
    subject = subjects_of(toy_nlp, [TEXT])[0][1]
    found = attributed(subject, steps=64)
    assert found.log_odds == pytest.approx(log_odds(subject), abs=1e-4)
    assert found.gap < 0.05


def test_weights_sum_to_what_the_context_adds(subject):
    coarse, fine = (attributed(subject, steps=steps) for steps in (2, 64))
    assert fine.gap < 1e-3
    assert fine.gap <= coarse.gap + 1e-6
    assert fine.weights.shape == (9,)
    assert abs(fine.weights[6]) < 1e-6  # the target is the same in the baseline


def test_gradient_x_input_is_the_slope_of_a_scaled_embedding(subject, monkeypatch):
    kept = []
    made = gradients._Differentiated
    monkeypatch.setattr(
        gradients, "_Differentiated", lambda *given: kept.append(made(*given)) or kept[-1]
    )
    found = attributed(subject, kind="gradient_x_input")
    assert found.gap is None
    (work,) = kept
    step = 0.01
    for token in range(9):  # each token of the toy text is one piece behind [CLS]
        scale = torch.ones(work.embedded.shape[1], 1)
        values = []
        for sign in (1, -1):
            scale[token + 1] = 1 + sign * step
            with torch.no_grad():
                values.append(float(work.log_odds_of(work.embedded * scale)))
        slope = (values[0] - values[1]) / (2 * step)
        assert found.weights[token] == pytest.approx(slope, abs=2e-3)


def test_no_gradient_is_left_on_the_model(subject):
    attributed(subject)
    model = inspected_model(subject.encoder.settings).model
    assert all(p.grad is None and not p.requires_grad for p in model.parameters())


def test_the_other_sense_has_the_opposite_weights(subject):
    there = attributed(subject)
    turned = replace(subject, chosen=subject.runner_up, runner_up=subject.chosen)
    np.testing.assert_allclose(attributed(turned).weights, -there.weights, atol=1e-5)


def test_small_batches_change_nothing(subject, monkeypatch):
    there = attributed(subject)
    monkeypatch.setattr(gradients, "_MOST_PIECES", 1)
    np.testing.assert_allclose(attributed(subject).weights, there.weights, atol=1e-5)


def test_a_long_text_in_several_windows(toy_nlp, toy_model, toy_sense_model):
    from spacy_attn.wsd.methods.attention import attention_v1

    component = toy_nlp.get_pipe("sense_disambiguator")
    component.method = attention_v1(
        model=str(toy_model), sense_model=str(toy_sense_model), window=10, overlap=4
    )
    ((_, subject),) = subjects_of(toy_nlp, [f"{TEXT} {TEXT.replace('bat', 'river')}"], "bat")
    found = attributed(subject, steps=64)
    assert found.log_odds == pytest.approx(log_odds(subject), abs=1e-4)
    assert found.gap < 1e-2


def test_what_is_wrong_is_told(toy_nlp, subject, monkeypatch):
    with pytest.raises(ConfigError, match="kind = 'lime'; allowed are integrated_gradients, grad"):
        attributed(subject, kind="lime")
    with pytest.raises(ConfigError, match="steps = 1; allowed is 2 or more"):
        attributed(subject, steps=1)
    ((_, plain),) = subjects_of(toy_nlp, [TEXT], method="lesk")
    with pytest.raises(ConfigError, match="the method 'lesk' has no gradients; explain 'attention"):
        attributed(plain)
    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(ResourceError, match=r"explaining by gradients needs captum.*pip install"):
        attributed(subject)

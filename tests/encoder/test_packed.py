"""The packed forward pass: what it takes over, what it falls back to, what it leaves out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModel, BertConfig

from spacy_attn.encoder import linear, packed
from spacy_attn.encoder.attention import ATTENTION_WAYS
from spacy_attn.encoder.linear import LINEAR_WAYS, fused_linear_works
from spacy_attn.encoder.packed import PackedBert
from spacy_attn.encoder.padded import PaddedModel
from spacy_attn.encoder.rows import rounded
from spacy_attn.encoder.tuning import Choice

ROWS = [[2, 5, 6, 7, 3], [2, 8, 3], [2, 9, 10, 11, 12, 13, 3], [2, 3]]


@pytest.fixture
def model(toy_model):
    return AutoModel.from_pretrained(toy_model).eval()


def packed_bert(model, dtype, layers, choice=None):
    weights = model.state_dict().__getitem__
    return PackedBert(model.config.to_dict(), weights, dtype, layers, choice=choice)


def alone(model, row):
    with torch.inference_mode():
        return model(input_ids=torch.tensor([row])).last_hidden_state[0].numpy()


CHOICES = [
    Choice(way, attention, step)
    for way in LINEAR_WAYS
    for attention in ATTENTION_WAYS
    for step in (1, 8)
]


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_rows_are_those_of_hugging_face_one_behind_another(model, choice):
    want = np.concatenate([alone(model, row) for row in ROWS])
    forward = packed_bert(model, torch.float32, [2], choice)
    np.testing.assert_allclose(forward(ROWS), want, atol=1e-5)
    for row in ROWS:  # one length alone takes the way without a mask
        equal = forward([row, row])
        np.testing.assert_allclose(equal, np.concatenate([alone(model, row)] * 2), atol=1e-5)


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_a_row_does_not_feel_its_neighbours(model, choice):
    forward = packed_bert(model, torch.float32, [2], choice)
    rng = np.random.default_rng(0)
    (first,) = (forward([ROWS[0]]),)
    for n, longest in ((3, 9), (20, 40), (63, 60)):
        others = [[2, *rng.integers(5, 20, size=rng.integers(1, longest)), 3] for _ in range(n)]
        np.testing.assert_allclose(forward([ROWS[0], *others])[:5], first, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_long_job_meets_few_sizes(model, dtype):
    """Each size of a product is a kernel that oneDNN keeps: in a long job they must not grow."""
    forward = packed_bert(model, dtype, [2])
    sizes, lengths = set(), set()
    linear, attend = forward._ops.linear, packed.attend

    def counted(x, weight, bias):
        sizes.add(len(x))
        return linear(x, weight, bias)

    def noted(projected, group, n_heads, way):
        lengths.add(group.length)
        return attend(projected, group, n_heads, way)

    forward._ops = replace(forward._ops, linear=counted)
    rng = np.random.default_rng(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "attend", noted)
        for _ in range(60):
            forward([rng.integers(5, 20, size=n).tolist() for n in rng.integers(1, 40, size=12)])
    assert sizes <= {rounded(n) for n in range(1, 12 * 40 + 1)}
    assert len(sizes) <= 16
    if dtype == torch.bfloat16:  # here there is one for each length of a row as well
        assert lengths <= {8, 16, 24, 32, 40}


def test_the_change_to_bfloat16_leaves_the_directions(model):
    exact, near = (
        packed_bert(model, dtype, [2])(ROWS) for dtype in (torch.float32, torch.bfloat16)
    )
    cosines = (exact * near).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(near, axis=1)
    assert cosines.min() > 0.99
    assert not np.array_equal(exact, near)


def test_layers_above_the_highest_that_is_read_are_not_kept(model):
    assert len(packed_bert(model, torch.float32, [0, 1])._layers) == 1
    assert len(packed_bert(model, torch.float32, [0])._layers) == 0


@pytest.mark.parametrize(
    "change",
    [{"hidden_act": "relu"}, {"is_decoder": True}, {"position_embedding_type": "relative_key"}],
)
def test_other_arithmetic_is_left_to_hugging_face(change):
    assert PackedBert.supports(BertConfig().to_dict())
    assert not PackedBert.supports({**BertConfig().to_dict(), **change})


def test_the_padded_model_gives_the_same_rows(model):
    want = packed_bert(model, torch.float32, [1, 2])(ROWS)
    np.testing.assert_allclose(PaddedModel(model, torch.float32, [1, 2], 0)(ROWS), want, atol=1e-5)


def test_fused_layers_that_compute_something_else_are_not_trusted(monkeypatch):
    monkeypatch.setattr(linear, "_works", {})
    wrong = replace(linear.ops_for("fused"), linear_gelu=linear.fused_linear)
    monkeypatch.setitem(linear._OPS, "fused", wrong)
    assert not fused_linear_works(torch.float32)


def test_a_torch_without_fused_layers_is_no_error(monkeypatch):
    monkeypatch.setattr(linear, "_works", {})

    def gone(layer, part, weight, bias):
        raise AttributeError("no such operator")

    without = replace(linear.ops_for("fused"), arranged=gone)
    monkeypatch.setitem(linear._OPS, "fused", without)
    assert not fused_linear_works(torch.float32)

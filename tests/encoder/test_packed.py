"""The packed forward pass: what it takes over, what it falls back to, what it leaves out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoModel, BertConfig

from spacy_attn.encoder import packed
from spacy_attn.encoder.packed import PackedBert, fused_linear_works
from spacy_attn.encoder.padded import PaddedModel

ROWS = [[2, 5, 6, 7, 3], [2, 8, 3], [2, 9, 10, 11, 12, 13, 3], [2, 3]]


@pytest.fixture
def model(toy_model):
    return AutoModel.from_pretrained(toy_model).eval()


def packed_bert(model, dtype, layers):
    return PackedBert(model.config.to_dict(), model.state_dict().__getitem__, dtype, layers)


def alone(model, row):
    with torch.inference_mode():
        return model(input_ids=torch.tensor([row])).last_hidden_state[0].numpy()


@pytest.mark.parametrize("fused", [True, False])
def test_rows_are_those_of_hugging_face_one_behind_another(model, fused, monkeypatch):
    monkeypatch.setattr(packed, "fused_linear_works", lambda dtype: fused)
    want = np.concatenate([alone(model, row) for row in ROWS])
    got = packed_bert(model, torch.float32, [2])(ROWS)
    np.testing.assert_allclose(got, want, atol=1e-5)
    for row in ROWS:  # one length alone takes the way without a mask
        equal = packed_bert(model, torch.float32, [2])([row, row])
        np.testing.assert_allclose(equal, np.concatenate([alone(model, row)] * 2), atol=1e-5)


def test_a_row_does_not_feel_its_neighbours(model):
    forward = packed_bert(model, torch.float32, [2])
    rng = np.random.default_rng(0)
    (first,) = (forward([ROWS[0]]),)
    for n, longest in ((3, 9), (20, 40), (63, 60)):
        others = [[2, *rng.integers(5, 20, size=rng.integers(1, longest)), 3] for _ in range(n)]
        np.testing.assert_allclose(forward([ROWS[0], *others])[:5], first, atol=1e-5)


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
    monkeypatch.setattr(packed, "_works", {})
    wrong = packed._Ops(packed.fused_linear, packed.fused_linear, packed._onednn_linear_add)
    monkeypatch.setattr(packed, "_FUSED", wrong)
    assert not fused_linear_works(torch.float32)


def test_a_torch_without_fused_layers_is_no_error(monkeypatch):
    monkeypatch.setattr(packed, "_works", {})

    def gone(weight):
        raise AttributeError("no such operator")

    monkeypatch.setattr(packed, "reordered", gone)
    assert not fused_linear_works(torch.float32)

"""The attention layer against torch's own."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from spacy_attn.encoder.self_attention import (
    MultiHeadAttention,
    SelfAttention,
    SelfAttentionLayer,
    sinusoidal_positions,
)
from spacy_attn.errors import ConfigError

EXACT = [torch.float32, torch.float64]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
LENGTHS = (9, 4, 1)  # tokens of the texts of a batch


def batch(width=8, dtype=torch.float64, lengths=LENGTHS, seed=0):
    torch.manual_seed(seed)
    x = torch.randn(len(lengths), max(lengths), width, dtype=dtype)
    present = torch.arange(max(lengths))[None, :] < torch.tensor(lengths)[:, None]
    return x, present


def torchs_own(layer, dropout=0.0):
    """torch.nn.MultiheadAttention with the weights of ours."""
    width = layer.query.weight.shape[0]
    parts = (layer.query, layer.key, layer.value)
    other = nn.MultiheadAttention(width, layer.heads, dropout=dropout, batch_first=True)
    other = other.to(layer.query.weight.dtype)
    with torch.no_grad():
        other.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        other.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        other.out_proj.weight.copy_(layer.out.weight)
        other.out_proj.bias.copy_(layer.out.bias)
    return other


# -- the layer -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize("heads", [1, 2, 4, 8])
def test_it_is_torchs_multihead_attention(dtype, heads):
    x, present = batch(dtype=dtype)
    layer = MultiHeadAttention(8, heads).to(dtype).eval()
    expected, weights = torchs_own(layer).eval()(
        x, x, x, key_padding_mask=~present, average_attn_weights=False
    )
    tolerance = {"atol": TOLERANCE[dtype], "rtol": 0}
    torch.testing.assert_close(layer(x, present)[present], expected[present], **tolerance)
    torch.testing.assert_close(layer.weights(x, present), weights, **tolerance)


def test_gradients_are_torchs_too():
    x, present = batch()
    layer = MultiHeadAttention(8, 2).double()
    other = torchs_own(layer)
    one, two = x.clone().requires_grad_(), x.clone().requires_grad_()
    layer(one, present)[present].square().sum().backward()
    out, _ = other(two, two, two, key_padding_mask=~present, need_weights=False)
    out[present].square().sum().backward()
    torch.testing.assert_close(one.grad, two.grad, atol=1e-10, rtol=0)
    gradients = [part.weight.grad for part in (layer.query, layer.key, layer.value)]
    torch.testing.assert_close(torch.cat(gradients), other.in_proj_weight.grad, atol=1e-10, rtol=0)


def test_training_drops_the_weights_that_torch_drops():
    x, present = batch(lengths=(9, 9))
    layer = MultiHeadAttention(8, 2, dropout=0.4).double().train()
    other = torchs_own(layer, dropout=0.4).train()
    torch.manual_seed(5)
    obtained = layer(x, present)
    torch.manual_seed(5)
    expected, _ = other(x, x, x, need_weights=False)
    torch.testing.assert_close(obtained, expected, atol=1e-10, rtol=0)
    assert not torch.allclose(obtained, layer(x, present))  # drawn anew each time
    layer.eval()
    torch.testing.assert_close(layer(x, present), layer(x, present), atol=0, rtol=0)


@pytest.mark.parametrize("is_training", [False, True])
def test_a_whole_layer_is_torchs_encoder_layer(is_training):
    x, present = batch(dtype=torch.float64)
    layer = SelfAttentionLayer(8, 2, hidden=12).double().train(is_training)
    other = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True).double()
    other.self_attn = torchs_own(layer.attention)
    pairs = {"linear1": "inner", "linear2": "outer", "norm1": "attention_norm", "norm2": "norm"}
    for theirs, ours in pairs.items():
        getattr(other, theirs).load_state_dict(getattr(layer, ours).state_dict())
    expected = other.train(is_training)(x, src_key_padding_mask=~present)
    torch.testing.assert_close(layer(x, present)[present], expected[present], atol=1e-10, rtol=0)


@pytest.mark.parametrize("is_training", [False, True])
def test_padding_changes_nothing(is_training):
    x, present = batch(dtype=torch.float64)
    model = SelfAttention(2, 8, 2, hidden=8).double().train(is_training)
    together = model(x, present)
    for i, n in enumerate(LENGTHS):
        alone = model(x[i : i + 1, :n], present[i : i + 1, :n])
        torch.testing.assert_close(together[i, :n], alone[0], atol=1e-10, rtol=0)
    weights = model.weights(x, present)
    assert weights.shape == (2, 3, 2, 9, 9)
    real = weights.transpose(2, 3)[:, present]  # (layers, tokens, heads, to token)
    torch.testing.assert_close(real.sum(-1), torch.ones_like(real.sum(-1)))
    assert not weights[:, 1, :, :4, 4:].any()


def test_order_counts_through_positions_alone():
    x, present = batch(lengths=(5,))
    layer = MultiHeadAttention(8, 2).double()
    backwards = layer(x.flip(1), present).flip(1)
    torch.testing.assert_close(layer(x, present), backwards, atol=1e-10, rtol=0)
    places = sinusoidal_positions(5, 8).double()
    forwards, turned = layer(x + places, present), layer(x.flip(1) + places, present).flip(1)
    assert not torch.allclose(forwards, turned)


def test_positions_by_hand():
    expected = [[0, 1, 0, 1], [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)]]
    torch.testing.assert_close(sinusoidal_positions(2, 4), torch.tensor(expected))
    assert sinusoidal_positions(3, 5).shape == (3, 5)


def test_heads_divide_the_width():
    with pytest.raises(
        ConfigError, match=r"heads = 3; allowed are divisors of width 8: 1, 2, 4, 8$"
    ):
        MultiHeadAttention(8, 3)


def test_dropout_that_cannot_be():
    with pytest.raises(ConfigError, match=r"attention_dropout = 1; allowed is 0 to below 1"):
        MultiHeadAttention(8, dropout=1)

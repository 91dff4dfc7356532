"""The attention layer against torch's own, against dense matrices, and against its error bound."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from spacy_attn.encoder.attention_patterns import (
    PATTERNS,
    Pattern,
    attend,
    attention_weights,
    kernel_deviation,
    random_features,
)
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


def heads_of(n_heads=2, **more):
    """Random queries, keys and values. *Shape:* three (batch, heads, n_tokens, 4)"""
    x, present = batch(3 * 4 * n_heads, **more)
    query, key, value = x.unflatten(-1, (3, n_heads, 4)).permute(2, 0, 3, 1, 4)
    return query, key, value, present


def dense(query, key, value, allowed):
    """Equation 1 written out, token by token."""
    out = torch.zeros_like(query)
    for i in range(query.shape[-2]):
        scores = (query[..., i : i + 1, :] * key).sum(-1) / math.sqrt(query.shape[-1])
        scores = scores.masked_fill(~allowed[:, None, i], float("-inf"))
        out[..., i, :] = (scores.softmax(-1).unsqueeze(-1) * value).sum(-2)
    return out


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


@pytest.mark.parametrize("kind", PATTERNS)
@pytest.mark.parametrize("is_training", [False, True])
def test_padding_changes_nothing(kind, is_training):
    pattern = Pattern(kind, window=2, chunk=3, features=16)
    x, present = batch(dtype=torch.float64)
    model = SelfAttention(2, 8, 2, hidden=8, pattern=pattern).double().train(is_training)
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
    with pytest.raises(ConfigError, match=r"heads = 3; legal are divisors of width 8: 1, 2, 4, 8$"):
        MultiHeadAttention(8, 3)


# -- patterns --------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 2, 5, 50])
def test_a_window_is_a_band_of_the_dense_matrix(window):
    query, key, value, present = heads_of()
    place = torch.arange(9)
    band = (place[:, None] - place[None, :]).abs() <= window
    allowed = present[:, None, :] & band | torch.eye(9, dtype=torch.bool)
    obtained = attend(query, key, value, present, Pattern("window", window=window))
    expected = dense(query, key, value, allowed)
    rows = present[:, None, :].expand(obtained.shape[:-1])
    torch.testing.assert_close(obtained[rows], expected[rows], atol=1e-10, rtol=0)
    weights = attention_weights(query, key, present, Pattern("window", window=window))
    torch.testing.assert_close((weights @ value)[rows], expected[rows], atol=1e-10, rtol=0)


@pytest.mark.parametrize("chunk", [1, 2, 4, 9, 100])
def test_chunks_give_the_dense_result(chunk):
    query, key, value, present = heads_of()
    obtained = attend(query, key, value, present, Pattern("chunked", chunk=chunk))
    allowed = present[:, None, :].expand(-1, 9, -1)
    expected = dense(query, key, value, allowed)
    torch.testing.assert_close(obtained, expected, atol=1e-10, rtol=0)


def test_chunks_hold_scores_that_exp_cannot():
    query, key, value, present = heads_of(dtype=torch.float32)
    query = query * 300  # scores of hundreds: exp() of them is infinite
    obtained = attend(query, key, value, present, Pattern("chunked", chunk=2))
    allowed = present[:, None, :].expand(-1, 9, -1)
    torch.testing.assert_close(obtained, dense(query, key, value, allowed), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pattern", [Pattern("window", window=2), Pattern("chunked", chunk=4)],
                         ids=["window", "chunked"])  # fmt: skip
def test_gradients_of_patterns_are_those_of_the_dense_matrix(pattern):
    given = heads_of(lengths=(7, 3))
    grads = []
    for function in (
        lambda q, k, v, present: attend(q, k, v, present, pattern),
        lambda q, k, v, present: attention_weights(q, k, present, pattern) @ v,
    ):
        leaves = [tensor.clone().requires_grad_() for tensor in given[:3]]
        out = function(*leaves, given[3]).transpose(1, 2)[given[3]]
        out.square().sum().backward()
        grads.append([leaf.grad for leaf in leaves])
    for one, two in zip(*grads, strict=True):
        assert torch.isfinite(one).all()
        torch.testing.assert_close(one, two, atol=1e-10, rtol=0)


@pytest.mark.parametrize("kind", ["full", "window", "chunked", "low_rank"])
def test_gradcheck(kind):
    query, key, value, present = heads_of(n_heads=1, lengths=(4, 2))
    leaves = [tensor.clone().requires_grad_() for tensor in (query, key, value)]
    pattern = Pattern(kind, window=1, chunk=2, features=8)

    def seen(q, k, v):
        return attend(q, k, v, present, pattern).transpose(1, 2)[present]

    assert torch.autograd.gradcheck(seen, leaves)


@pytest.mark.parametrize("kind", ["full", "window", "chunked"])
def test_dropout_keeps_the_mean(kind):
    query, key, value, present = heads_of(n_heads=1, lengths=(6,))
    pattern = Pattern(kind, window=6, chunk=2)
    expected = attend(query, key, value, present, pattern)
    n = 4000
    many = [tensor.expand(n, -1, -1, -1) for tensor in (query, key, value)]
    torch.manual_seed(1)
    draws = attend(*many, present.expand(n, -1), pattern, dropout=0.5)
    error = draws.std(0) / math.sqrt(n)
    assert draws.std() > 0.1
    assert ((draws.mean(0) - expected[0]).abs() <= 5 * error + 1e-9).all()


# -- low rank --------------------------------------------------------------------------------


def test_features_of_a_block_are_orthogonal_and_repeat():
    pattern = Pattern("low_rank", features=10, seed=3)
    features = random_features(pattern, 4)
    assert features.shape == (10, 4)
    for block in features.split(4):
        products = block @ block.T
        off = products - products.diag().diag()
        torch.testing.assert_close(off, torch.zeros_like(off), atol=1e-5, rtol=0)
    assert torch.equal(features, random_features(pattern, 4))
    assert not torch.equal(features, random_features(Pattern("low_rank", features=10), 4))


def test_the_kernel_is_unbiased_and_within_its_deviation():
    """exp(q . k) estimated 2,000 times: the mean is right, the spread is below the bound."""
    torch.manual_seed(0)
    query, key = torch.randn(2, 4, dtype=torch.float64) / 2
    exact = (query @ key).exp()
    draws = []
    for seed in range(2000):
        w = random_features(Pattern("low_rank", features=8, seed=seed), 4).double()
        of_query = (w @ query - query.square().sum() / 2).exp()
        of_key = (w @ key - key.square().sum() / 2).exp()
        draws.append((of_query * of_key).mean() / exact)
    obtained = torch.stack(draws)
    bound = kernel_deviation(query, key, 8)
    assert abs(obtained.mean() - 1) < 4 * bound / math.sqrt(2000)
    assert obtained.std() < 1.05 * bound


def test_low_rank_is_the_product_of_its_weights_and_nears_the_dense_result():
    query, key, value, present = heads_of()
    allowed = present[:, None, :].expand(-1, 9, -1)
    expected = dense(query, key, value, allowed)
    errors = []
    for features in (16, 256, 4096):
        pattern = Pattern("low_rank", features=features)
        obtained = attend(query, key, value, present, pattern)
        weights = attention_weights(query, key, present, pattern)
        torch.testing.assert_close(obtained, weights @ value, atol=1e-10, rtol=0)
        errors.append((obtained - expected).abs().mean().item())
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.1


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "sparse"}, r"pattern = 'sparse'; legal are full, window, chunked, low_rank"),
        ({"window": 0}, r"window = 0; legal is 1 or more"),
        ({"chunk": -1}, r"chunk = -1; legal is 1 or more"),
        ({"features": 0}, r"features = 0; legal is 1 or more"),
    ],
)
def test_patterns_that_are_none(arguments, message):
    with pytest.raises(ConfigError, match=message):
        Pattern(**arguments)


def test_dropout_that_cannot_be():
    with pytest.raises(ConfigError, match=r"attention_dropout = 1; legal is 0 to below 1"):
        MultiHeadAttention(8, dropout=1)
    with pytest.raises(ConfigError, match=r"0\.1 with pattern = 'low_rank', which forms no"):
        MultiHeadAttention(8, dropout=0.1, pattern=Pattern("low_rank"))

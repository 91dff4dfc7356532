"""Patterns of attention against dense matrices, and against their error bound."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks.attention.patterns import (
    PATTERNS,
    Pattern,
    PatternedAttention,
    attend,
    attention_weights,
    patterned,
    random_features,
)
from spacy_attn.encoder.self_attention import MultiHeadAttention, SelfAttention
from spacy_attn.errors import ConfigError

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


@pytest.mark.parametrize("kind", PATTERNS)
@pytest.mark.parametrize("is_training", [False, True])
def test_padding_changes_nothing(kind, is_training):
    pattern = Pattern(kind, window=2, chunk=3, sentence=3, features=16)
    x, present = batch(dtype=torch.float64)
    model = (
        SelfAttention(2, 8, 2, hidden=8, attention=patterned(pattern)).double().train(is_training)
    )
    together = model(x, present)
    for i, n in enumerate(LENGTHS):
        alone = model(x[i : i + 1, :n], present[i : i + 1, :n])
        torch.testing.assert_close(together[i, :n], alone[0], atol=1e-10, rtol=0)
    weights = model.weights(x, present)
    assert weights.shape == (2, 3, 2, 9, 9)
    real = weights.transpose(2, 3)[:, present]  # (layers, tokens, heads, to token)
    torch.testing.assert_close(real.sum(-1), torch.ones_like(real.sum(-1)))
    assert not weights[:, 1, :, :4, 4:].any()


def test_full_attention_is_that_of_the_package():
    x, present = batch()
    torch.manual_seed(3)
    ours = PatternedAttention(8, 2, 0.0, Pattern("full")).double()
    torch.manual_seed(3)
    plain = MultiHeadAttention(8, 2).double()
    assert torch.equal(ours(x, present), plain(x, present))
    assert torch.equal(ours.weights(x, present), plain.weights(x, present))


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


@pytest.mark.parametrize("size", [1, 2, 4, 9, 100])
def test_a_hierarchy_is_a_block_and_the_means_of_blocks(size):
    query, key, value, present = heads_of()
    pattern = Pattern("hierarchical", sentence=size)
    obtained = attend(query, key, value, present, pattern)
    weights = attention_weights(query, key, present, pattern)
    for i, n in enumerate(LENGTHS):
        parts = [range(first, min(first + size, n)) for first in range(0, n, size)]
        q, k, v = (
            torch.stack([each[i : i + 1, :, [*part]].mean(2) for part in parts], 2)
            for each in (query, key, value)
        )
        between = dense(q, k, v, torch.ones(1, len(parts), len(parts), dtype=torch.bool))
        for number, part in enumerate(parts):
            q, k, v = (each[i : i + 1, :, [*part]] for each in (query, key, value))
            inside = dense(q, k, v, torch.ones(1, len(part), len(part), dtype=torch.bool))
            expected = (inside + between[:, :, number : number + 1]) / 2
            got = obtained[i : i + 1, :, [*part]]
            torch.testing.assert_close(got, expected, atol=1e-10, rtol=0)
    rows = present[:, None, :].expand(obtained.shape[:-1])
    torch.testing.assert_close((weights @ value)[rows], obtained[rows], atol=1e-10, rtol=0)


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


@pytest.mark.parametrize(
    "pattern", [Pattern("window", window=2), Pattern("chunked", chunk=4)], ids=["window", "chunked"]
)
def test_gradients_of_patterns_are_those_of_the_dense_matrix(pattern):
    given = heads_of(lengths=(7, 3))
    grads = []
    for function in (
        lambda q, k, v, present: attend(q, k, v, present, pattern),
        lambda q, k, v, present: attention_weights(q, k, present, pattern) @ v,
    ):
        leaves = [tensor.clone().requires_grad_() for tensor in given[:3]]
        q, k, v = leaves
        out = function(q, k, v, given[3]).transpose(1, 2)[given[3]]
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
    q, k, v = many
    draws = attend(q, k, v, present.expand(n, -1), pattern, dropout=0.5)
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
    """exp(q . k) estimated 2,000 times: the mean is right, the spread is below the bound.

    Lemma 2 of Choromanski et al. 2021: with z = q + k and m independent features the standard
    deviation is ``sqrt((exp(|z|^2) - 1) / m)`` of the value; orthogonal ones are never worse.
    """
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
    bound = ((query + key).square().sum().expm1() / 8).sqrt()
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
        ({"kind": "sparse"}, r"pattern = 'sparse'; allowed are full, window, chunked, low_rank"),
        ({"window": 0}, r"window = 0; allowed is 1 or more"),
        ({"chunk": -1}, r"chunk = -1; allowed is 1 or more"),
        ({"features": 0}, r"features = 0; allowed is 1 or more"),
    ],
)
def test_patterns_that_are_none(arguments, message):
    with pytest.raises(ConfigError, match=message):
        Pattern(**arguments)


def test_dropout_that_cannot_be():
    with pytest.raises(ConfigError, match=r"0\.1 with pattern = 'low_rank', which forms no"):
        PatternedAttention(8, 1, 0.1, Pattern("low_rank"))

"""The decoder against torch's own, and what it may look at."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from spacy_attn.encoder.encoder_decoder import (
    PAD,
    DecoderLayer,
    EncoderDecoder,
    EncoderDecoderConfig,
)
from tests.encoder.test_self_attention import torchs_own

CONFIG = EncoderDecoderConfig(n_symbols=11, width=8, layers=2, heads=2, hidden=12, dropout=0.0)
LENGTHS = (6, 3, 1)  # symbols of the sources of a batch


@pytest.fixture
def network():
    torch.manual_seed(3)
    return EncoderDecoder(CONFIG).double().eval()


def sources():
    torch.manual_seed(4)
    rows = torch.randint(1, CONFIG.n_symbols, (len(LENGTHS), max(LENGTHS)))
    return rows.masked_fill(torch.arange(max(LENGTHS)) >= torch.tensor(LENGTHS)[:, None], PAD)


def test_a_layer_is_torchs_decoder_layer():
    torch.manual_seed(0)
    y, memory = torch.randn(3, 5, 8).double(), torch.randn(3, 6, 8).double()
    present = torch.arange(6)[None, :] < torch.tensor(LENGTHS)[:, None]
    layer = DecoderLayer(8, 2, hidden=12).double().eval()
    other = nn.TransformerDecoderLayer(8, 2, 12, dropout=0.0, batch_first=True).double().eval()
    other.self_attn = torchs_own(layer.attention)
    other.multihead_attn = torchs_own(layer.cross)
    pairs = {
        "linear1": "inner",
        "linear2": "outer",
        "norm1": "attention_norm",
        "norm2": "cross_norm",
        "norm3": "norm",
    }
    for theirs, ours in pairs.items():
        getattr(other, theirs).load_state_dict(getattr(layer, ours).state_dict())
    ahead = torch.ones(5, 5, dtype=torch.bool).triu(1)
    expected = other(y, memory, tgt_mask=ahead, memory_key_padding_mask=~present)
    obtained, weights = layer.decode(y, memory, present)
    torch.testing.assert_close(obtained, expected, atol=1e-10, rtol=0)
    own = layer.attention_norm(y + layer.attention(y, ~ahead[None]))
    _, theirs = other.multihead_attn(
        own, memory, memory, key_padding_mask=~present, average_attn_weights=False
    )
    torch.testing.assert_close(weights, theirs, atol=1e-10, rtol=0)


def test_it_gives_probabilities(network):
    target = torch.tensor([[1, 5, 6], [1, 7, PAD], [1, PAD, PAD]])
    total = network(sources(), target).exp().sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total), atol=1e-6, rtol=0)


def test_it_does_not_look_ahead(network):
    source = sources()
    target = torch.tensor([[1, 5, 6, 7], [1, 7, 8, 9], [1, 2, 3, 4]])
    other = target.clone()
    other[:, 2:] = 10
    one, two = network(source, target), network(source, other)
    torch.testing.assert_close(one[:, :2], two[:, :2], atol=0, rtol=0)
    assert not torch.allclose(one[:, 2:], two[:, 2:])


def test_padding_changes_nothing(network):
    source, target = sources(), torch.tensor([[1, 5, 6], [1, 7, PAD], [1, PAD, PAD]])
    together = network(source, target)
    for i, (n_source, n_target) in enumerate(zip(LENGTHS, (3, 2, 1), strict=True)):
        alone = network(source[i : i + 1, :n_source], target[i : i + 1, :n_target])
        torch.testing.assert_close(together[i, :n_target], alone[0], atol=1e-10, rtol=0)


def test_copying_takes_the_weights_of_the_last_layer(network):
    """With the gate open, the probability of a symbol is the attention on where it stands."""
    source, target = sources(), torch.tensor([[1, 5]] * 3)
    with torch.no_grad():
        network.is_copied.weight.zero_()
        network.is_copied.bias.fill_(60.0)
    memory, present = network.encode(source)
    logs, weights = network.decode(target, source, memory, present)
    mean = weights.mean(1)
    for i, row in enumerate(source.tolist()):
        for symbol in {*row} - {PAD}:
            share = mean[i][:, [j for j, each in enumerate(row) if each == symbol]].sum(-1)
            torch.testing.assert_close(logs[i, :, symbol].exp(), share, atol=1e-8, rtol=0)


def test_its_gradients_reach_every_part(network):
    logs = network(sources(), torch.tensor([[1, 5, 6], [1, 7, 4], [1, 3, 3]]))
    logs.mean().backward()
    without = [name for name, each in network.named_parameters() if each.grad is None]
    assert without == []

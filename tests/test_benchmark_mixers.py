"""What stands between static vectors and the head: sizes alike, padding without effect."""

from __future__ import annotations

import pytest
import torch

from benchmarks.attention.mixers import MIXERS, make_mixer, matched_hidden, mixer_of
from spacy_attn.encoder.static_network import (
    NetworkConfig,
    StaticContextNetwork,
    inner_width,
    n_parameters,
)
from spacy_attn.errors import ConfigError

LENGTHS = (7, 3, 1)


def batch(width=8):
    torch.manual_seed(0)
    x = torch.randn(3, 7, width, dtype=torch.float64)
    return x, torch.arange(7)[None, :] < torch.tensor(LENGTHS)[:, None]


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["feed_forward", "cnn", "bilstm", "attention"])
def test_all_have_the_same_number_of_parameters(kind, layers):
    mixer = make_mixer(kind, layers, 64, heads=8)
    assert n_parameters(mixer) == pytest.approx(20 * 64**2, rel=0.1)


@pytest.mark.parametrize("heads", [1, 2, 4, 8])
def test_heads_cost_no_parameters(heads):
    one, many = (make_mixer("attention", 2, 64, heads=n) for n in (1, heads))
    assert n_parameters(one) == n_parameters(many)


def test_nothing_changes_nothing_and_has_no_parameters():
    x, present = batch()
    mixer = make_mixer("none", 3, 8)
    torch.testing.assert_close(mixer(x, present), x, atol=0, rtol=0)
    assert n_parameters(mixer) == 0


@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("kind", MIXERS)
def test_padding_changes_nothing(kind, is_training):
    x, present = batch()
    mixer = make_mixer(kind, 2, 8, heads=2, hidden=6).double().train(is_training)
    together = mixer(x, present)
    for i, n in enumerate(LENGTHS):
        alone = mixer(x[i : i + 1, :n], present[i : i + 1, :n])
        torch.testing.assert_close(together[i, :n], alone[0], atol=1e-10, rtol=0)


@pytest.mark.parametrize(
    ("kind", "reach"),
    [("none", 0), ("feed_forward", 0), ("cnn", 2), ("bilstm", 6), ("attention", 6)],
)
def test_how_far_one_layer_sees(kind, reach):
    """The last token is changed: whose vectors change with it?"""
    x, present = batch()
    mixer = make_mixer(kind, 1, 8, hidden=6).double().eval()
    changed = x[:1].clone()
    changed[0, 6] += 1
    moved = (mixer(changed, present[:1]) - mixer(x[:1], present[:1])).abs().amax(-1)[0] > 0
    assert [6 - i for i in range(7) if moved[i]] == list(range(reach, -1, -1))


def test_dropout_is_for_training_alone():
    x, present = batch()
    mixer = make_mixer("cnn", 1, 8, dropout=0.5, hidden=6).double()
    assert not torch.equal(mixer(x, present), mixer(x, present))
    mixer.eval()
    assert torch.equal(mixer(x, present), mixer(x, present))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rnn", 1, 8), r"mixer = 'rnn'; allowed are none, feed_forward, cnn, bilstm, attention"),
        (("cnn", 0, 8), r"layers = 0; allowed is 1 or more"),
        (("attention", 6, 64), r"layers = 6 of attention at width 64 cannot be brought within 10"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        make_mixer(*arguments)


def test_the_inner_width_is_the_nearest():
    n = matched_hidden("feed_forward", 1, 16)  # 2 * 16 * n + n + 16, and 32 of the norm
    sizes = {m: abs(33 * m + 48 - 20 * 256) for m in range(1, 300)}
    assert n == min(sizes, key=sizes.get)


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
@pytest.mark.parametrize("width", [16, 64, 100])
def test_the_package_sizes_its_attention_alike(layers, width):
    assert abs(inner_width(layers, width) - matched_hidden("attention", layers, width)) <= 1


def test_the_networks_own_attention_is_the_mixer_of_that_name():
    config = NetworkConfig(4, 16, layers=2, heads=2)
    networks = []
    for arguments in ((), (mixer_of("attention"),)):
        torch.manual_seed(0)
        networks.append(StaticContextNetwork(config, *arguments).eval())
    x, present = torch.randn(2, 5, 4), torch.ones(2, 5, dtype=torch.bool)
    assert torch.equal(*(network(x, present) for network in networks))


@pytest.mark.parametrize("kind", MIXERS)
def test_attention_alone_has_positions_and_weights(kind):
    network = StaticContextNetwork(NetworkConfig(4, 16, heads=2), mixer_of(kind))
    assert network.position.requires_grad == (kind == "attention")
    static, present = torch.randn(1, 3, 4), torch.ones(1, 3, dtype=torch.bool)
    if kind == "attention":
        assert network.weights(static, present).shape == (1, 1, 2, 3, 3)
    else:
        with pytest.raises(ConfigError, match="has no attention weights"):
            network.weights(static, present)

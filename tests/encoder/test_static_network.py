"""Contextual vectors out of static ones: batches, sentences, unknown words, files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spacy_attn.encoder.static_network import (
    NetworkConfig,
    StaticContextEncoder,
    StaticContextNetwork,
    _config_of,
    read_model,
)
from spacy_attn.errors import ConfigError, ResourceError

WORDS = ["the", "bat", "flew", "at", "night", ".", "swing", "!"]
TEXTS = ["the bat flew at night .", "swing the bat !", "", "bat", "xyzzy flew"]


class Toy:
    """Static vectors of width 4; the words above alone are known."""

    width, identity = 4, "toy:0"

    def vectors(self, words):
        table = np.random.default_rng(0).normal(size=(len(WORDS), 4)).astype(np.float32)
        zero = np.zeros(4, dtype=np.float32)
        rows = [table[WORDS.index(w)] if w in WORDS else zero for w in words]
        return np.stack(rows) if rows else np.zeros((0, 4), dtype=np.float32)


def make_encoder(**more):
    torch.manual_seed(0)
    network = StaticContextNetwork(NetworkConfig(4, 8, heads=2, **more))
    with torch.no_grad():
        network.unknown.normal_()
    return StaticContextEncoder(network, Toy())


def offsets_of(text):
    out, at = [], 0
    for token in text.split():
        at = text.index(token, at)
        out.append((at, at + len(token)))
        at += len(token)
    return out


def encode(encoder, texts, reads=None):
    return encoder.encode(texts, [offsets_of(text) for text in texts], reads)


def test_a_batch_gives_what_single_texts_give():
    encoder = make_encoder()
    together = encode(encoder, TEXTS)
    for text, rows in zip(TEXTS, together, strict=True):
        (alone,) = encode(encoder, [text])
        assert rows.shape == (len(text.split()), 8)
        assert rows.dtype == np.float32
        np.testing.assert_allclose(rows, alone, atol=1e-6)


def test_the_same_word_has_another_vector_in_another_context():
    one, two = encode(make_encoder(), TEXTS[:2])
    assert np.abs(one[1] - two[2]).max() > 0.01


def test_it_is_the_network_itself():
    encoder = make_encoder()
    (rows,) = encode(encoder, TEXTS[:1])
    static = torch.from_numpy(Toy().vectors(TEXTS[0].split()))[None]
    expected = encoder.network(static, torch.ones(1, 6, dtype=torch.bool))
    np.testing.assert_allclose(rows, expected[0].detach().numpy(), atol=1e-6)


def test_sentences_are_read_one_by_one_and_only_where_something_is_read():
    encoder = make_encoder()
    text = "the bat flew . swing the bat !"
    (rows,) = encode(encoder, [text])
    alone = encode(encoder, ["the bat flew .", "swing the bat !"])
    np.testing.assert_allclose(rows, np.concatenate(alone), atol=1e-6)
    (part,) = encode(encoder, [text], [[(5, 6)]])
    assert not part[:4].any()
    np.testing.assert_allclose(part[4:], rows[4:], atol=1e-6)
    (none,) = encode(encoder, [text], [[]])
    assert not none.any()


def test_a_very_long_sentence_is_cut():
    encoder = make_encoder()
    (rows,) = encode(encoder, ["bat flew " * 300])
    (first,) = encode(encoder, ["bat flew " * 256])
    np.testing.assert_allclose(rows[:512], first, atol=1e-5)
    assert np.abs(rows).sum(axis=1).all()


def test_unknown_words_share_a_learnt_vector():
    encoder = make_encoder()
    one, two = encode(encoder, ["xyzzy", "frobnicate"])
    np.testing.assert_allclose(one, two, atol=0)
    assert np.abs(one).max() > 0.1


def test_its_own_attention_weights():
    weights = make_encoder(layers=2).attention(TEXTS[0].split())
    assert weights.shape == (2, 6, 6)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)


def test_other_vectors_are_refused():
    with pytest.raises(ConfigError, match=r"the vectors have width 4, those of .* training 5;"):
        StaticContextEncoder(StaticContextNetwork(NetworkConfig(5, 8, heads=2)), Toy())


def test_identity_names_weights_and_vectors():
    network = StaticContextNetwork(NetworkConfig(4, 8, heads=2))
    encoder = StaticContextEncoder(network, Toy(), "ab" * 32)
    assert encoder.identity == f"static_network/{'ab' * 8}/toy:0"
    assert encoder.width == 8


@pytest.mark.parametrize("content", [None, b"", b"not a model", b"\x08" + bytes(15)])
def test_a_file_that_is_no_model(content, tmp_path):
    path = tmp_path / "model.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ResourceError, match=r"model\.safetensors is no self-attention model .*; t"):
        read_model(path)


def test_a_model_of_another_kind(toy_sense_model):
    with pytest.raises(ResourceError, match=r"no self-attention model \(KeyError: 'network'\)"):
        read_model(toy_sense_model)


@pytest.mark.parametrize(
    ("recorded", "message"),
    [({"mixer": "cnn"}, r"mixer 'cnn' and pattern 'full'"), ({"pattern": "window"}, "'window'")],
)
def test_a_model_of_the_study_is_none_of_the_method(recorded, message):
    with pytest.raises(ValueError, match=message):
        _config_of({"static_width": 4, **recorded})


def test_what_older_files_record_is_read():
    recorded = {"static_width": 4, "mixer": "attention", "pattern": "full", "window": 8, "heads": 2}
    assert _config_of(recorded) == NetworkConfig(4, heads=2)


@pytest.mark.parametrize(
    ("layers", "message"),
    [(0, r"layers = 0; allowed is 1 or more"), (6, r"layers = 6 at width 64 cannot be brought")],
)
def test_layers_that_cannot_be(layers, message):
    with pytest.raises(ConfigError, match=message):
        StaticContextNetwork(NetworkConfig(4, layers=layers))

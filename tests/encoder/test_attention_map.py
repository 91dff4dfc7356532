"""Attention maps against Hugging Face's own attentions, merged here by plain loops."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from spacy_attn.encoder import attention_map as module
from spacy_attn.encoder import inspected
from spacy_attn.encoder.attention_map import KINDS, attention_map, head_vectors
from spacy_attn.encoder.huggingface import HuggingFaceEncoder
from spacy_attn.encoder.inspected import inspected_model
from spacy_attn.errors import ConfigError
from spacy_attn.settings import EncoderSettings

TEXT = "swing the bats, don't hit xyz at night"


def offsets_of(words, text):
    out, at = [], 0
    for word in words:
        at = text.index(word, at)
        out.append((at, at + len(word)))
        at += len(word)
    return out


# "hit" is one piece and two tokens; "xyz" and "bats" are a token and several pieces.
WORDS = ["swing", "the", "bats", ",", "do", "n't", "hi", "t", "xyz", "at", "night"]
OFFSETS = offsets_of(WORDS, TEXT)


@pytest.fixture(scope="module")
def encoder(toy_model):
    return HuggingFaceEncoder(EncoderSettings(str(toy_model), window=64, overlap=16))


@pytest.fixture(scope="module")
def theirs(toy_model):
    """Attentions, hidden states and offsets of Hugging Face, by another way than ours."""
    model = AutoModel.from_pretrained(toy_model, attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(toy_model)

    def run(text):
        encoded = tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
        spans = encoded.pop("offset_mapping")[0].tolist()
        with torch.no_grad():
            out = model(**encoded, output_attentions=True, output_hidden_states=True)
        return model, out, spans

    return run


def owners(spans, offsets):
    """For each piece the tokens that share a character with it; none for special tokens."""
    return [[t for t, (c, d) in enumerate(offsets) if max(a, c) < min(b, d)] for a, b in spans]


def merged(weights, spans, offsets):
    """Sum over keys, mean over queries, a shared piece in equal parts. (n, n), (n,)"""
    owned = owners(spans, offsets)
    n = len(offsets)
    out, special = np.zeros((n, n)), np.zeros(n)
    for token in range(n):
        mine = [i for i, tokens in enumerate(owned) if token in tokens]
        for i in mine:
            for j, tokens in enumerate(owned):
                for other in tokens:
                    out[token, other] += weights[i, j] / len(tokens) / len(mine)
                if not tokens:
                    special[token] += weights[i, j] / len(mine)
    return out, special


def test_equal_to_hugging_face_after_merging(encoder, theirs):
    obtained = attention_map(encoder, TEXT, OFFSETS)
    _, out, spans = theirs(TEXT)
    assert any(len(tokens) > 1 for tokens in owners(spans, OFFSETS))  # a piece is shared
    assert obtained.tokens == tuple(WORDS)
    assert (obtained.layers, obtained.n_heads) == ((1, 2), 2)
    for layer in (1, 2):
        for head in (1, 2):
            want, special = merged(out.attentions[layer - 1][0, head - 1].numpy(), spans, OFFSETS)
            np.testing.assert_allclose(obtained.of(layer, head), want, atol=1e-5)
            np.testing.assert_allclose(obtained.special_of(layer, head), special, atol=1e-5)
        mean = np.mean([obtained.of(layer, head) for head in (1, 2)], axis=0)
        np.testing.assert_allclose(obtained.of(layer), mean, atol=1e-6)


def test_rollout_is_the_product_of_the_layers(encoder, theirs):
    obtained = attention_map(encoder, TEXT, OFFSETS, kind="rollout")
    _, out, spans = theirs(TEXT)
    first, second = ((each[0].mean(0).numpy() + np.eye(len(spans))) / 2 for each in out.attentions)
    for layer, want in ((1, first), (2, second @ first)):
        np.testing.assert_allclose(obtained.of(layer), merged(want, spans, OFFSETS)[0], atol=1e-5)


def test_norms_are_lengths_of_what_is_carried(encoder, theirs):
    obtained = attention_map(encoder, TEXT, OFFSETS, kind="norms")
    model, out, spans = theirs(TEXT)
    for number, layer in enumerate(model.encoder.layer):
        x = out.hidden_states[number][0]
        for head in (0, 1):
            part = slice(8 * head, 8 * head + 8)
            value = layer.attention.self.value
            f = (x @ value.weight[part].T + value.bias[part]) @ layer.attention.output.dense.weight[
                :, part
            ].T
            alpha = out.attentions[number][0, head]
            lengths = np.array(
                [
                    [float((alpha[i, j] * f[j]).detach().norm()) for j in range(len(f))]
                    for i in range(len(f))
                ]
            )
            want, special = merged(lengths / lengths.sum(1, keepdims=True), spans, OFFSETS)
            counted = number + 1, head + 1
            np.testing.assert_allclose(obtained.of(*counted), want, atol=1e-5)
            np.testing.assert_allclose(obtained.special_of(*counted), special, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [64, 12])
def test_rows_sum_to_one(toy_model, kind, size):
    encoder = HuggingFaceEncoder(EncoderSettings(str(toy_model), window=size, overlap=size // 4))
    text = f"{TEXT}  {TEXT} \n {TEXT}"
    words = [*WORDS, " ", *WORDS, "\n ", *WORDS]
    made = attention_map(encoder, text, offsets_of(words, text), kind=kind)
    totals = made.weights.sum(-1) + made.special
    blank = [i for i, word in enumerate(words) if word.isspace()]
    np.testing.assert_allclose(np.delete(totals, blank, axis=-1), 1, atol=1e-5)
    assert not totals[..., blank].any()
    assert (made.weights >= 0).all()
    assert (made.special >= -1e-6).all()


def test_a_window_of_a_long_text_is_that_of_its_piece(toy_model, theirs):
    encoder = HuggingFaceEncoder(EncoderSettings(str(toy_model), window=8, overlap=2))
    words = "the bat flew at night swing ball bank river money".split()
    text = " ".join(words)
    obtained = attention_map(encoder, text, offsets_of(words, text))
    wordpieces = encoder.wordpieces(text, offsets_of(words, text))
    assert len(wordpieces.windows) == 2
    for window in wordpieces.windows:
        part = " ".join(words[window.start : window.end])
        _, out, spans = theirs(part)
        want, _ = merged(
            out.attentions[1][0].mean(0).numpy(),
            spans,
            offsets_of(words[window.start : window.end], part),
        )
        for token in range(window.take, window.until):
            row = np.zeros(len(words))
            row[window.start : window.end] = want[token - window.start]
            np.testing.assert_allclose(obtained.of(2)[token], row, atol=1e-5)


def test_a_sentence_is_read_for_itself_where_the_encoder_does_so(toy_model):
    encoder = HuggingFaceEncoder(
        EncoderSettings(str(toy_model), window=64, overlap=16, unit="sentence")
    )
    words = ["the", "bat", ".", "the", "bank", "."]
    text = "the bat. the bank."
    made = attention_map(encoder, text, offsets_of(words, text))
    assert not made.weights[:, :, :3, 3:].any()
    assert not made.weights[:, :, 3:, :3].any()
    assert made.weights[:, :, :3, :3].all()


def test_the_sense_model_is_merged_in_and_the_fast_pass_gives_the_same(toy_model, toy_sense_model):
    settings = EncoderSettings(
        str(toy_model), adapter=str(toy_sense_model), strength=0.5, window=64, overlap=16
    )
    encoder = HuggingFaceEncoder(settings)
    wordpieces = encoder.wordpieces("the bat", [(0, 3), (4, 7)])
    seen = inspected_model(settings).look(wordpieces.row(wordpieces.windows[0]))
    (fast,) = encoder.encode(["the bat"], [[(0, 3), (4, 7)]])
    np.testing.assert_allclose(seen.hidden[-1, 1:3].numpy(), fast, atol=1e-5)
    plain = inspected_model(EncoderSettings(str(toy_model)))
    assert not torch.allclose(plain.look(wordpieces.row(wordpieces.windows[0])).hidden, seen.hidden)


def test_only_some_layers(encoder):
    whole = attention_map(encoder, TEXT, OFFSETS)
    one = attention_map(encoder, TEXT, OFFSETS, layers=[2])
    assert one.layers == (2,)
    np.testing.assert_array_equal(one.of(2), whole.of(2))
    np.testing.assert_array_equal(one.of(-1, 1), whole.of(2, 1))


@pytest.mark.parametrize("size", [64, 12])
def test_only_some_tokens(toy_model, size):
    """They are those of the whole map; what falls on others stands with special tokens."""
    encoder = HuggingFaceEncoder(EncoderSettings(str(toy_model), window=size, overlap=size // 4))
    text = f"{TEXT} {TEXT}"
    offsets = offsets_of(WORDS * 2, text)
    whole = attention_map(encoder, text, offsets)
    part = attention_map(encoder, text, offsets, within=(5, 13))
    assert (part.first, part.tokens) == (5, tuple((WORDS * 2)[5:13]))
    np.testing.assert_allclose(part.weights, whole.weights[:, :, 5:13, 5:13], atol=1e-6)
    np.testing.assert_allclose(part.weights.sum(-1) + part.special, 1, atol=1e-5)
    with pytest.raises(ConfigError, match=r"within = \(5, 99\); allowed is from 0 to 22"):
        attention_map(encoder, text, offsets, within=(5, 99))


@pytest.mark.parametrize("text", ["", " "])
def test_without_a_piece_the_map_is_empty(encoder, text):
    made = attention_map(encoder, text, [(0, 1)] if text else [])
    assert made.weights.shape == (2, 2, len(text), len(text))
    assert not made.weights.any()
    assert not made.special.any()


def test_saved_and_read_again(encoder, tmp_path):
    made = attention_map(encoder, TEXT, OFFSETS)
    made.save(tmp_path / "map.npz")
    with np.load(tmp_path / "map.npz", allow_pickle=False) as read:
        np.testing.assert_array_equal(read["weights"], made.weights)
        np.testing.assert_array_equal(read["special"], made.special)
        assert read["tokens"].tolist() == WORDS
        assert read["layers"].tolist() == [1, 2]
        assert str(read["kind"]) == "attention"
        assert int(read["first"]) == 0
    with pytest.raises(ConfigError, match=r"map\.txt: allowed is a name that ends in \.npz"):
        made.save(tmp_path / "map.txt")


def test_what_is_wrong_is_told(encoder, monkeypatch):
    made = attention_map(encoder, TEXT, OFFSETS)
    for of in (made.of, made.special_of):
        with pytest.raises(ConfigError, match="head = 9; this map has heads 1 to 2"):
            of(1, 9)
    with pytest.raises(ConfigError, match="kind = 'flow'; allowed are attention, rollout, norms"):
        attention_map(encoder, TEXT, OFFSETS, kind="flow")
    with pytest.raises(ConfigError, match=r"layers = \[3\]; allowed are numbers from 1 to 2"):
        attention_map(encoder, TEXT, OFFSETS, layers=[3])
    made = attention_map(encoder, TEXT, OFFSETS)
    with pytest.raises(ConfigError, match="layer = 0; this map has 1, 2, or -1"):
        made.of(0)
    with pytest.raises(ConfigError, match="head = 0; this map has heads 1 to 2"):
        made.of(1, 0)
    monkeypatch.setattr(module, "_MOST_BYTES", 100)
    with pytest.raises(ConfigError, match="of 11 tokens and 2 layers would take"):
        attention_map(encoder, TEXT, OFFSETS)


def test_queries_and_keys_make_the_attention(encoder, theirs):
    _, out, spans = theirs(TEXT)
    for layer, head in ((1, 1), (2, 2)):
        made = head_vectors(encoder, TEXT, OFFSETS, layer=layer, head=head, token=2)
        assert made.pieces[0] == "[CLS]"
        assert len(made.pieces) == len(spans)
        scores = made.queries @ made.keys.T / np.sqrt(8)
        weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
        want = out.attentions[layer - 1][0, head - 1].numpy()
        np.testing.assert_allclose(weights, want, atol=1e-5)
    assert made.values.shape == (len(spans), 8)


def test_a_head_that_is_not_there_is_told(encoder):
    for head in (0, 3):
        with pytest.raises(ConfigError, match=f"head = {head}; allowed is 1 to 2"):
            head_vectors(encoder, TEXT, OFFSETS, layer=1, head=head, token=0)
    with pytest.raises(ConfigError, match="token = 11; allowed is 0 to 10"):
        head_vectors(encoder, TEXT, OFFSETS, layer=1, head=1, token=11)


def test_an_unknown_architecture_has_weights_but_no_norms(encoder, monkeypatch):
    monkeypatch.setattr(inspected, "_PROJECTIONS", ())
    assert attention_map(encoder, TEXT, OFFSETS).weights.any()
    with pytest.raises(ConfigError, match=r"\(BertModel\): queries, keys, values and their norms"):
        attention_map(encoder, TEXT, OFFSETS, kind="norms")


def test_each_piece_is_taken_from_one_window(encoder):
    windows = encoder.wordpieces(TEXT, OFFSETS).windows
    assert [a.until for a in windows[:-1]] == [b.take for _, b in pairwise(windows)]


def small(name, folder, toy_model):
    """A random model of another architecture with the toy tokenizer."""
    import shutil

    import transformers

    shutil.copytree(toy_model, folder, ignore=shutil.ignore_patterns("*.safetensors", "config*"))
    common = {"vocab_size": 200, "max_position_embeddings": 70}
    usual = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    torch.manual_seed(1)
    if name == "DistilBert":
        config = transformers.DistilBertConfig(
            dim=16, n_layers=2, n_heads=2, hidden_dim=32, **common
        )
    else:
        config = getattr(transformers, f"{name}Config")(**usual, **common)
    pooling = {} if name in ("DistilBert", "Electra") else {"add_pooling_layer": False}
    getattr(transformers, f"{name}Model")(config, **pooling).eval().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", ["DistilBert", "MPNet", "Roberta", "Electra"])
def test_other_architectures(name, toy_model, tmp_path):
    folder = small(name, tmp_path / name, toy_model)
    encoder = HuggingFaceEncoder(EncoderSettings(str(folder), window=64, overlap=16))
    for kind in KINDS:
        made = attention_map(encoder, TEXT, OFFSETS, kind=kind)
        np.testing.assert_allclose(made.weights.sum(-1) + made.special, 1, atol=1e-5)
    model = inspected_model(encoder.settings)
    wordpieces = encoder.wordpieces(TEXT, OFFSETS)
    row = wordpieces.row(wordpieces.windows[0])
    seen = model.look(row, projected=True)
    queries, keys, values = seen.projected
    if name != "MPNet":  # which adds a bias for the distance
        weights = torch.softmax(queries @ keys.transpose(-1, -2) / 8**0.5, dim=-1)
        torch.testing.assert_close(weights, seen.attentions, atol=1e-5, rtol=0)
    # What the heads carry is what the output projection gives, but for its bias.
    carried = torch.einsum("lhij,lhjd,lhdw->liw", seen.attentions, values, model.output_weights())
    kept = []
    hooks = [
        m.register_forward_hook(lambda m, _, out: kept.append(out - m.bias))
        for m in model._projections(3)
    ]
    model.look(row)
    for hook in hooks:
        hook.remove()
    torch.testing.assert_close(carried, torch.cat(kept), atol=1e-5, rtol=0)
    # The same vectors from embeddings that carry gradients as from pieces.
    embedded = model.embeddings()(torch.tensor([row]))
    torch.testing.assert_close(model.hidden_of(embedded)[0], seen.hidden[-1], atol=1e-5, rtol=0)

"""Maps of a Doc: those of its text and tokens, merged tokens too."""

from __future__ import annotations

import numpy as np
import pytest
import spacy

from spacy_attn.encoder.attention_map import attention_map
from spacy_attn.encoder.huggingface import HuggingFaceEncoder
from spacy_attn.errors import ConfigError
from spacy_attn.explain.attention import attention_of, head_of, save_attention
from spacy_attn.explain.decision import subjects_of
from spacy_attn.settings import EncoderSettings


@pytest.fixture(scope="module")
def encoder(toy_model):
    return HuggingFaceEncoder(EncoderSettings(str(toy_model), window=64, overlap=16))


def test_the_map_is_that_of_its_tokens(encoder):
    doc = spacy.blank("en")("the bat flew  at night")
    made = attention_of(doc, kind="norms", layers=[2], encoder=encoder)
    want = attention_map(
        encoder, doc.text, [(t.idx, t.idx + len(t)) for t in doc], kind="norms", layers=[2]
    )
    np.testing.assert_array_equal(made.weights, want.weights)
    assert made.tokens == ("the", "bat", "flew", " ", "at", "night")
    assert doc.user_data == {}
    assert head_of(doc, layer=1, head=1, token=1, encoder=encoder).pieces[2] == "bat"


def test_a_merged_token_has_the_weight_of_its_parts(encoder):
    doc = spacy.blank("en")("the bat flew at night")
    before = attention_of(doc, encoder=encoder)
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[3:5])
    after = attention_of(doc, encoder=encoder)
    assert after.tokens[-1] == "at night"
    np.testing.assert_allclose(
        after.weights[:, :, 1, 3], before.weights[:, :, 1, 3:].sum(-1), atol=1e-6
    )
    np.testing.assert_allclose(
        after.weights[:, :, 3, 1], before.weights[:, :, 3:, 1].mean(-1), atol=1e-6
    )


def test_all_of_a_decision_in_one_file(toy_nlp, tmp_path):
    ((_, subject),) = subjects_of(toy_nlp, ["the bat flew at night"])
    path = tmp_path / "all.npz"
    save_attention(subject, path, layer=2, head=2)
    offsets = subject.context.offsets
    want = {"attention": "weights", "norms": "norms", "rollout": "rollout"}
    with np.load(path, allow_pickle=False) as read:
        for kind, name in want.items():
            made = attention_map(subject.encoder, subject.context.text, offsets, kind=kind)
            np.testing.assert_array_equal(read[name], made.weights)
            special = "special" if kind == "attention" else f"{kind}_special"
            np.testing.assert_array_equal(read[special], made.special)
        assert read["tokens"].tolist() == subject.context.text.split()
        assert int(read["first"]) == 0
        # One head's attention, by hand from what the file holds of it.
        q, k = read["queries"].astype(np.float64), read["keys"]
        scores = np.exp(q @ k.T / np.sqrt(q.shape[1]))
        rows = scores / scores.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(rows[1:-1, 1:-1], read["weights"][1, 1], atol=1e-5)
        assert read["values"].shape == q.shape
        assert read["pieces"][2] == "bat"
    with pytest.raises(ConfigError, match=r"all\.txt: allowed is a name that ends in \.npz"):
        save_attention(subject, tmp_path / "all.txt")
    with pytest.raises(ConfigError, match="head = 1 needs a layer"):
        save_attention(subject, path, head=1)

"""Maps of a Doc: those of its text and tokens, merged tokens too."""

from __future__ import annotations

import numpy as np
import pytest
import spacy

from spacy_attn.encoder.attention_map import attention_map
from spacy_attn.encoder.huggingface import EncoderSettings, HuggingFaceEncoder
from spacy_attn.explain.attention import attention_of, head_of


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
    assert head_of(doc, layer=1, head=0, token=1, encoder=encoder).pieces[2] == "bat"


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

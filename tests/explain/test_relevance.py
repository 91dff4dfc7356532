"""Relevance by hand, on vectors that are known."""

from __future__ import annotations

import numpy as np
import pytest
import spacy

from spacy_attn.classic.vectors import shared_vectors
from spacy_attn.encoder.attention_map import layer_vectors
from spacy_attn.encoder.huggingface import HuggingFaceEncoder
from spacy_attn.errors import ConfigError
from spacy_attn.explain.relevance import centrality, relevance, summary, top_sentences
from spacy_attn.settings import EncoderSettings

NLP = spacy.blank("en")
TEXT = "the bat flew at night, in a cave."


@pytest.fixture(scope="module")
def encoder(toy_model):
    return HuggingFaceEncoder(EncoderSettings(str(toy_model), window=64, overlap=16))


def softmax(scores):
    return np.exp(scores) / np.exp(scores).sum()


def test_static_weights_are_the_softmax_of_scaled_dot_products(encoder, toy_vectors):
    vectors = shared_vectors(str(toy_vectors), "zero")
    found = relevance(NLP(TEXT), "river bank", encoder=encoder, vectors=vectors)
    words = "the bat flew at night in a cave".split()
    key = vectors.vectors(["river", "bank"]).mean(axis=0)
    want = softmax(vectors.vectors(words) @ key / np.sqrt(4))
    obtained = found.weights["static"]
    np.testing.assert_allclose(obtained[[0, 1, 2, 3, 4, 6, 7, 8]], want, atol=1e-6)
    assert not obtained[[5, 9]].any()  # punctuation
    best = int(want.argmax())
    assert found.top("static", 1) == [(words[best], pytest.approx(float(want[best]), abs=1e-6))]


def test_the_last_layer_is_that_of_the_fast_pass(encoder):
    found = relevance(NLP(TEXT), "river", encoder=encoder)
    assert list(found.weights) == ["layer 0", "layer 1", "layer 2"]
    (rows,) = encoder.encode([TEXT], [[(t.idx, t.idx + len(t)) for t in NLP(TEXT)]])
    (query,) = encoder.encode(["river"], [[(0, 5)]])
    words = [i for i, t in enumerate(NLP(TEXT)) if t.is_alpha]
    want = softmax(rows[words] @ query[0] / np.sqrt(16))
    np.testing.assert_allclose(found.weights["layer 2"][words], want, atol=1e-5)


def test_layers_of_a_long_text_in_windows(toy_model):
    encoder = HuggingFaceEncoder(EncoderSettings(str(toy_model), window=8, overlap=2))
    text = "the bat flew at night swing ball bank river money"
    offsets = [(t.idx, t.idx + len(t)) for t in NLP(text)]
    (fast,) = encoder.encode([text], [offsets])
    np.testing.assert_allclose(layer_vectors(encoder, text, offsets)[-1], fast, atol=1e-5)


def test_centrality_is_the_stationary_distribution():
    """Two sentences alike and one apart: solved by hand, as a linear system."""
    rows = np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    scores = rows @ rows.T / np.sqrt(2)
    weights = np.zeros((3, 3))
    for i in range(3):
        others = [j for j in range(3) if j != i]
        weights[i, others] = softmax(scores[i, others])
    want = np.linalg.solve(np.eye(3) - 0.85 * weights.T, np.full(3, 0.15 / 3))
    found = centrality(rows)
    np.testing.assert_allclose(found, want, atol=1e-6)
    assert found.sum() == pytest.approx(1)
    assert found[2] < found[0]


def test_top_sentences_and_summary(encoder):
    doc = NLP("The bat flew at night. Money in the bank! He hit the ball. ... A river.")
    best = top_sentences(doc, "money", 4, encoder=encoder)
    assert sorted(span.start for span, _ in best) == [0, 6, 11, 17]
    scores = [score for _, score in best]
    assert scores == sorted(scores, reverse=True)
    n_words = [sum(t.is_alpha for t in span) for span, _ in best]
    # The mean over all words is 1, whatever the sentences.
    assert np.average(scores, weights=n_words) == pytest.approx(1, abs=1e-5)
    short = summary(doc, 2, encoder=encoder)
    assert len(short) == 2
    assert short[0].start < short[1].start
    assert [span.text for span in summary(NLP("A bat."), 2, encoder=encoder)] == ["A bat."]
    assert summary(NLP(""), encoder=encoder) == []


def test_what_is_wrong_is_told(encoder):
    with pytest.raises(ConfigError, match=r"query = '\?'; allowed is a word or some"):
        relevance(NLP(TEXT), "?", encoder=encoder)
    found = relevance(NLP(TEXT), "bat", encoder=encoder)
    with pytest.raises(ConfigError, match="by = 'static'; allowed are layer 0, layer 1, layer 2"):
        found.top("static")
    with pytest.raises(ConfigError, match="n = 0; allowed is 1 or more sentences"):
        summary(NLP(TEXT), 0, encoder=encoder)

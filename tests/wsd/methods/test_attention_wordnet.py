"""Attention over WordNet: arithmetic by hand, files that do not fit, one candidate."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from spacy_attn.errors import ResourceError
from spacy_attn.wsd.context import Context, Reading, Target
from spacy_attn.wsd.engine import disambiguate
from spacy_attn.wsd.inventory.wordnet import WordNetInventory
from spacy_attn.wsd.methods import attention_wordnet
from spacy_attn.wsd.methods.attention_wordnet import AllWordsAttention, SenseVectors
from spacy_attn.wsd.methods.calibration import Calibration
from spacy_attn.wsd.methods.sense_head import SenseHead
from spacy_attn.wsd.vectors import Texts
from tests.wsd.given import given


@pytest.fixture(scope="module")
def lexicon(toy_lexicon):
    return WordNetInventory(toy_lexicon)


HEAD = SenseHead(
    target=np.eye(2, dtype=np.float32),
    context=np.eye(2, dtype=np.float32),
    gloss=np.eye(2, dtype=np.float32),
    scale=1.0,
    context_radius=2,
    ridge=1.0,
    gloss_weight=0.1,
    sha256="0" * 64,
)


class NoEncoder:
    identity, width = "none", 2

    def encode(self, texts, offsets, reads=None):
        raise AssertionError("vectors are given")


def sense_vectors(lexicon):
    """Synset i has the vector (i + 1, 0), in steps of a half."""
    n = int(lexicon.synset_of_row.max()) + 1
    settings = {
        "project": np.eye(2, dtype=np.float32),
        "rows": np.arange(n, dtype=np.int32),
        "vectors": np.array([[2 * (i + 1), 0] for i in range(n)], dtype=np.int8),
        "scales": np.full(n, 0.5, dtype=np.float32),
        "seen": np.zeros(lexicon.n_senses, dtype=bool),
        "temperature": 2.0,
        "lexicon": lexicon.digest,
    }
    return SenseVectors(**settings)


def context(words):
    tokens = words.split()
    offsets = [(i, i + 1) for i in range(len(tokens))]
    return Context(words, tokens, offsets, tokens, [""] * len(tokens))


def test_a_score_is_the_product_with_the_synsets_vector(lexicon):
    method = AllWordsAttention(lexicon, NoEncoder(), HEAD, sense_vectors(lexicon))
    # z = normalize(target + mean of the others) = (3, 4) / 5
    text = given([context("a bat b")], [np.array([[2, 4], [1, 0], [2, 4]], dtype=np.float32)])
    senses = lexicon.candidates("bat", "NOUN")
    (scores,) = method.score(text, [Target(0, 1, 2, "bat", senses)])
    synsets = [int(lexicon.synset_of_row[sense.row]) for sense in senses]
    assert scores.tolist() == pytest.approx([0.6 * (synset + 1) for synset in synsets])
    assert method.temperature == 2.0
    assert (
        AllWordsAttention(lexicon, NoEncoder(), HEAD, sense_vectors(lexicon), 0.7).temperature
        == 0.7
    )


def test_frequent_senses_are_a_little_ahead(lexicon):
    vectors = replace(sense_vectors(lexicon), prior=0.5)
    method = AllWordsAttention(lexicon, NoEncoder(), HEAD, vectors)
    text = given([context("a bat b")], [np.array([[2, 4], [1, 0], [2, 4]], dtype=np.float32)])
    senses = lexicon.candidates("bat", "NOUN")
    target = Target(0, 1, 2, "bat", senses)
    (scores,) = method.score(text, [target])
    synsets = [int(lexicon.synset_of_row[sense.row]) for sense in senses]
    counts = [lexicon.count(sense) for sense in senses]
    assert len(set(counts)) > 1
    pairs = zip(synsets, counts, strict=True)
    expected = [0.6 * (synset + 1) + 0.5 * np.log(1 + count) for synset, count in pairs]
    assert scores.tolist() == pytest.approx(expected, rel=1e-5)
    odds = method.log_odds(text, target, 0, 1)
    z = np.array([0.6, 0.8])
    assert odds.gloss @ z + odds.bias == pytest.approx((scores[0] - scores[1]) / 2.0, rel=1e-5)


def test_a_word_without_a_vector_keeps_its_probability(lexicon):
    """It had the vector of the last synset: a row of -1 is an index too."""
    bat = lexicon.candidates("bat", "NOUN")
    (river_bank,) = lexicon.candidates("river bank", "NOUN")
    given_vectors = sense_vectors(lexicon)
    rows = given_vectors.rows.copy()
    rows[lexicon.synset_of_row[river_bank.row]] = -1
    readings = (Reading("bat", "NOUN", len(bat), 0.5, 2), Reading("river bank", "NOUN", 1, 0.4, 2))
    target = Target(0, 1, 2, "bat", (*bat, river_bank), readings)
    text = given([context("a bat b")], [np.array([[2, 4], [1, 0], [2, 4]], dtype=np.float32)])
    calibration = Calibration(reading_weight=1.0)
    found = []
    for last in (1, 100):  # whatever stands in the last row
        vectors = given_vectors.vectors.copy()
        vectors[-1] = last
        fitted = replace(given_vectors, rows=rows, vectors=vectors)
        method = AllWordsAttention(
            lexicon, NoEncoder(), HEAD, fitted, temperature=1.0, calibration=calibration
        )
        (decision,) = disambiguate(method, text, [target])
        found.append(dict(decision.ranked)[river_bank.id])
        odds = method.log_odds(text, target, 0, len(bat))
        assert np.isfinite(odds.gloss).all()
    assert found == pytest.approx([0.4, 0.4])


def test_one_candidate_needs_no_vectors(lexicon):
    method = AllWordsAttention(lexicon, NoEncoder(), HEAD, sense_vectors(lexicon))
    only = lexicon.candidates("river bank", "NOUN")
    assert len(only) == 1
    target = Target(0, 0, 2, "river bank", only)
    (decision,) = disambiguate(method, [context("river bank")], [target])
    assert (decision.sense, decision.score) == (only[0], 1.0)
    assert method.score(Texts([]), []) == []


def test_alone_and_in_a_batch_give_the_same(lexicon):
    rng = np.random.default_rng(0)
    method = AllWordsAttention(lexicon, NoEncoder(), HEAD, sense_vectors(lexicon))
    senses = lexicon.candidates("bank", "NOUN")
    contexts = [context(" ".join(["w"] * n)) for n in (1, 3, 9)]
    arrays = [rng.normal(size=(n, 2)).astype(np.float32) for n in (1, 3, 9)]
    targets = [Target(i, i, i + 1, "bank", senses) for i in range(3)]
    together = method.score(given(contexts, arrays), targets)
    for i, got in enumerate(together):
        (alone,) = method.score(
            given([contexts[i]], [arrays[i]]), [Target(0, i, i + 1, "bank", senses)]
        )
        assert np.allclose(got, alone, atol=1e-6)


def test_another_lexicon_is_one_sentence(lexicon):
    vectors = replace(sense_vectors(lexicon), lexicon="f" * 64)
    with pytest.raises(ResourceError, match=r"for a lexicon of WordNet with hash f{12}, .*pip"):
        AllWordsAttention(lexicon, NoEncoder(), HEAD, vectors)


def test_a_model_without_wordnet_is_one_sentence(tmp_path):
    with pytest.raises(ResourceError, match=r"has no sense vectors of WordNet .* train-senses"):
        SenseVectors.load(tmp_path / "none.safetensors")
    old = tmp_path / "old.safetensors"
    save_file({"head.scale": np.zeros(1)}, old, metadata={"manifest": json.dumps({})})
    with pytest.raises(ResourceError, match="has no sense vectors of WordNet"):
        SenseVectors.load(old)


def test_the_form_of_a_margin_gives_the_log_odds(lexicon):
    """What gradients are taken of is what the method decides by."""
    method = AllWordsAttention(lexicon, NoEncoder(), HEAD, sense_vectors(lexicon))
    vectors = np.array([[1, 2], [3, 1], [0, 1]], dtype=np.float32)
    text = given([context("the bat flew")], [vectors])
    target = Target(0, 1, 2, "bat", lexicon.candidates("bat", "NOUN"))
    (scores,) = method.score(text, [target])
    form = method.log_odds(text, target, 1, 0)
    assert form.bounds == (1, 2, 0, 3)
    assert form.context_tokens == [0, 2]
    z = form.to_target @ vectors[1] + form.to_context @ vectors[[0, 2]].mean(axis=0)
    log_odds = form.gloss @ z / np.linalg.norm(z)
    assert log_odds == pytest.approx((scores[1] - scores[0]) / method.temperature, abs=1e-6)


def test_many_targets_are_pooled_in_parts_and_encoded_at_once(lexicon, monkeypatch):
    rng = np.random.default_rng(0)
    calls, sizes = [], []

    class Random:
        identity, width = "random", 2

        def encode(self, texts, offsets, reads=None):
            calls.append(texts)
            return [rng.normal(size=(len(o), 2)).astype(np.float32) for o in offsets]

    method = AllWordsAttention(lexicon, Random(), HEAD, sense_vectors(lexicon))
    pooled = attention_wordnet.occurrences

    def spy(contexts, vectors, targets, radius):
        sizes.append(len(targets))
        return pooled(contexts, vectors, targets, radius)

    monkeypatch.setattr(attention_wordnet, "occurrences", spy)
    monkeypatch.setattr(attention_wordnet, "_AT_ONCE", 4)
    senses = lexicon.candidates("bank", "NOUN")
    text = Texts([context(" ".join(["w"] * 9))])
    targets = [Target(0, i, i + 1, "bank", senses) for i in range(9)]
    in_parts = method.score(text, targets)
    assert (len(calls), sizes) == (1, [4, 4, 1])
    monkeypatch.setattr(attention_wordnet, "_AT_ONCE", 512)
    np.testing.assert_allclose(in_parts, method.score(text, targets), atol=1e-6)

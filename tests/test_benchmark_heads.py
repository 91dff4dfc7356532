"""The arithmetic of benchmarks/heads.py on Docs that are made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import spacy
import torch
from spacy.tokens import Doc, Span

from benchmarks import heads as module
from benchmarks.heads import (
    Half,
    Probe,
    accuracy,
    best_heads,
    best_layer,
    best_offset,
    chunk_heads,
    chunks_right,
    distances,
    head_right,
    labels_right,
    measure,
    probe_right,
    train_probe,
)
from spacy_attn.explain.syntax import arcs_of

VOCAB = spacy.blank("en").vocab


def sentence():
    words = "in the old cave bats sleep".split()
    doc = Doc(
        VOCAB,
        words=words,
        heads=[5, 3, 3, 0, 5, 5],
        tags=["IN", "DT", "JJ", "NN", "NNS", "VBP"],
        deps=["prep", "det", "amod", "pobj", "nsubj", "ROOT"],
    )
    doc.spans["chunks"] = [Span(doc, 1, 4, "NP"), Span(doc, 4, 5, "NP"), Span(doc, 0, 4, "PP")]
    return doc


@pytest.fixture
def half():
    """Head 2 of layer 2 goes up along every det, downwards along every nsubj."""
    docs = [sentence(), sentence()]
    arcs = [arcs_of(doc) for doc in docs]
    follows = np.zeros((10, 2, 2, 3), dtype=bool)
    labels = np.array([arc.label for each in arcs for arc in each])
    follows[labels == "det", 0, 1, 1] = True
    follows[labels == "nsubj", 1, 1, 1] = True
    told = [np.eye(6, 8, dtype=np.float32) for _ in docs]
    untold = [np.ones((6, 8), dtype=np.float32) for _ in docs]
    return Half(docs, arcs, follows, {1: untold, 2: told})


def test_the_best_head_has_a_direction(half):
    det, nsubj = best_heads(half, "det")[0], best_heads(half, "nsubj")[0]
    assert det == {"direction": "dependent to head", "layer": 2, "head": 2}
    assert nsubj == {"direction": "head to dependent", "layer": 2, "head": 2}
    assert head_right(half, "det", det).tolist() == [True, True]
    assert head_right(half, "det", nsubj).tolist() == [False, False]
    assert len(best_heads(half, "det")) == 3


def test_offsets(half):
    assert distances(half, "det").tolist() == [2, 2]
    assert best_offset(half, "pobj") == -3
    assert sorted(distances(half, None).tolist()) == [-3, -3, 1, 1, 1, 1, 2, 2, 5, 5]
    assert best_offset(half, None) == 1


def test_heads_that_phrases_tell(half):
    assert chunk_heads(sentence()) == {1: 3, 2: 3, 3: 0}
    assert chunks_right(half, "det").tolist() == [True, True]
    assert chunks_right(half, "pobj").tolist() == [True, True]
    assert chunks_right(half, "nsubj").tolist() == [False, False]


def test_a_probe_learns_what_can_be_told(half, monkeypatch):
    """Each place has a vector of its own, and the same head in both sentences."""
    monkeypatch.setattr(module, "BATCH", 1)
    monkeypatch.setattr(module, "EPOCHS", 60)
    probe = train_probe(half, 2, range(2))
    assert probe_right(probe, half, 2, range(2)).all()
    assert probe_right(probe, half, 2, [1]).shape == (5,)
    assert labels_right(half, half, 2).all()
    layer, shares = best_layer(half)
    assert (layer, shares[2]) == (2, 1.0)
    assert shares[1] < 1


def test_no_word_is_its_own_head():
    torch.manual_seed(0)
    scores = Probe(8)(torch.randn(5, 8))
    assert scores.shape == (5, 5)
    assert torch.isinf(scores.diagonal()).all()


def test_intervals_draw_sentences():
    right = np.repeat([True, False], 50)
    alone = accuracy(right, np.arange(100))
    together = accuracy(right, np.repeat([3, 8], 50))
    assert alone["accuracy"] == together["accuracy"] == 0.5
    assert 0.35 < alone["ci95"][0] < alone["ci95"][1] < 0.65
    assert together["ci95"] == [0.0, 1.0]


def test_relations_inside_phrases_count_together(half, monkeypatch):
    for name, value in (("BATCH", 1), ("EPOCHS", 1), ("LEAST", 1)):
        monkeypatch.setattr(module, name, value)
    result = measure(half, half)
    assert [row["n"] for row in result["relations"]] == [2] * 5
    inside = result["inside_phrases"]
    assert (inside["n"], inside["chunks"]["accuracy"]) == (6, 1.0)  # det, amod, pobj
    assert inside["best"]["accuracy"] == round(2 / 6, 4)  # det alone

"""The places of one word in many sentences."""

from __future__ import annotations

import numpy as np
import pytest

from spacy_attn.classic.vectors import shared_vectors
from spacy_attn.compare import vector_map as module
from spacy_attn.compare.systems import MethodSystem
from spacy_attn.compare.vector_map import vector_map
from spacy_attn.errors import ConfigError
from tests.compare.conftest import labelled

ROWS = [
    ("the bat flew at night", "bat", "bat", "bat.animal", ""),
    ("a bat in the cave", "bat", "bat", "bat.animal", ""),
    ("swing the bat", "bat", "bat", "bat.club", ""),
    ("money in the bank", "bank", "bank", "bank.money", ""),
]


def quiet(done, total):
    pass


@pytest.fixture
def attention(toy_model, toy_sense_model, toy_vectors, monkeypatch):
    monkeypatch.setattr(module, "shared_vectors", lambda *_: shared_vectors(str(toy_vectors)))
    return MethodSystem(
        {
            "@sense_methods": "spacy_attn.attention.v1",
            "model": str(toy_model),
            "sense_model": str(toy_sense_model),
            "window": 64,
            "overlap": 16,
        }
    )


def task_of(make_task, folder, rows):
    path = folder / "rows.jsonl"
    path.write_text(labelled(rows), encoding="utf-8")
    return make_task(path)


def test_static_vectors_stay_and_contextual_ones_move(attention, make_task, tmp_path):
    found = vector_map(attention, task_of(make_task, tmp_path, ROWS), quiet)
    assert (found["lemma"], found["pos"]) == ("bat", "NOUN")
    assert [point["instance"] for point in found["points"]] == ["1", "2", "3"]
    assert [point["sense"] for point in found["points"]] == ["bat.animal"] * 2 + ["bat.club"]
    assert {tuple(point["static"]) for point in found["points"]} == {(0.0, 0.0)}
    moved = np.array([point["attention"] for point in found["points"]])
    assert len({tuple(row) for row in moved.tolist()}) == 3
    assert moved.mean(axis=0) == pytest.approx(0.0, abs=1e-3)  # principal components are centred
    # three points lie in a plane
    assert found["method"] == "PCA of 32 dimensions; 100 % of the variance"


def test_two_sentences_are_no_map(attention, make_task, tmp_path):
    assert vector_map(attention, task_of(make_task, tmp_path, ROWS[1:]), quiet) is None


def test_a_method_without_an_encoder_has_no_map(make_task, tmp_path):
    with pytest.raises(ConfigError, match="needs a method with an encoder, such as attention"):
        vector_map(MethodSystem("lesk"), task_of(make_task, tmp_path, ROWS), quiet)

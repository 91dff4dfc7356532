"""A new method touches one file and one entry point, and is everywhere at once."""

from __future__ import annotations

import json

import catalogue
import numpy as np
import pytest
from typer.testing import CliRunner

from spacy_attn.cli.app import app
from spacy_attn.errors import ConfigError
from spacy_attn.wsd.method import BuiltInMethod
from spacy_attn.wsd.methods.registry import sense_method, short_names


class Shortest:
    """The sense with the shortest definition."""

    name, temperature = "shortest", 1.0

    def score(self, texts, targets):
        return [
            -np.array([len(s.definition) for s in t.candidates], dtype=np.float32) for t in targets
        ]


def shortest_v1():
    return BuiltInMethod("shortest", lambda inventory, resources: Shortest())


@pytest.fixture
def _added(monkeypatch):
    for version in ("v1", "v2"):
        key = ("spacy_attn", "sense_methods", f"spacy_attn.shortest.{version}")
        monkeypatch.setitem(catalogue.REGISTRY, key, shortest_v1)


@pytest.mark.usefixtures("_added")
def test_it_has_a_short_name_for_its_newest_version():
    assert list(short_names())[-1] == "shortest"
    assert short_names()["shortest"] == "spacy_attn.shortest.v2"
    assert sense_method("shortest").name == "shortest"


@pytest.mark.usefixtures("_added")
def test_messages_name_it():
    with pytest.raises(ConfigError, match=r"^method = 'x'; allowed are random, .*, shortest"):
        sense_method("x")


@pytest.mark.usefixtures("_added")
def test_it_is_a_row_of_the_comparison(tmp_path, toy_inventory):
    data = tmp_path / "labelled.jsonl"
    row = {
        "text": "the bat flew at night",
        "start": 4,
        "end": 7,
        "lemma": "bat",
        "pos": "NOUN",
        "sense": "bat.club",
    }
    data.write_text(json.dumps(row) + "\n", encoding="utf-8")
    arguments = [
        "compare",
        data,
        "--inventory",
        toy_inventory,
        "--methods",
        "first_sense,shortest",
        "--in-process",
        "--no-curves",
        "-o",
        tmp_path / "out",
    ]
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    systems = json.loads((tmp_path / "out" / "results.json").read_text())["systems"]
    assert {row["name"]: row["accuracy"] for row in systems}["shortest"] == 1.0


def test_without_it_there_is_no_such_name():
    assert "shortest" not in short_names()


def test_a_name_with_a_slip_is_told_the_nearest():
    with pytest.raises(ConfigError, match=r"; did you mean 'attention'\?$"):
        sense_method("atention")
    with pytest.raises(ConfigError, match=r'"NAME", \.\.\.\}$'):
        sense_method("xyzzy")

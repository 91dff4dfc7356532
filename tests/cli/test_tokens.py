"""The command ``tokens``."""

from __future__ import annotations

import json

from spacy_attn.cli.app import main


def test_json_has_one_list_for_each_text(capsys):
    assert main(["tokens", "The bats were flying.", "Stop!", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert [row["text"] for row in first] == ["The", "bats", "were", "flying", "."]
    bats, flying = first[1], first[3]
    assert (bats["stem"], bats["lemma"], bats["tag"]) == ("bat", "bat", "NNS")
    assert bats["wordpieces"] == ["bats"]
    assert flying["stem"] == "fli"
    assert [row["text"] for row in second] == ["Stop", "!"]


def test_a_table_for_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["tokens", "Windermere"]) == 0
    out = capsys.readouterr().out
    assert "wordpieces" in out
    assert "wind ##er ##mere" in out


def test_bytes_that_are_no_text(capsys):
    assert main(["tokens", "fine", "bad \udcff"]) == 2
    said = capsys.readouterr().err
    assert "a text holds bytes that are not UTF-8; save or type it as UTF-8" in said
    assert said.rstrip("\n").count("\n") == 0


def test_an_unknown_stemmer_names_the_legal_ones(capsys):
    assert main(["tokens", "bats", "--stemmer", "poter"]) == 2
    said = capsys.readouterr().err
    assert "poter" in said
    assert "porter" in said
    assert "snowball" in said


def test_an_unknown_language_names_those_of_spacy(capsys):
    assert main(["tokens", "bats", "--pipeline", "blank:english"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: pipeline blank:english: spaCy has no tokenizer for 'english'")
    assert said.endswith("; did you mean 'en'?\n")

"""``spacy-attn read``: files in, one page out."""

from __future__ import annotations

import gzip
import io
import json
import re
import sys

import pytest
import spacy

from spacy_attn.cli import main

FAST = ["--method", "first_sense", "--why", "0", "--layers", "none"]

pytest.importorskip("jinja2")


def data_of(path):
    page = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', page)[1])


def test_files_become_one_page(tmp_path, capsys):
    one, two = tmp_path / "one.txt", tmp_path / "b" / "one.txt"
    two.parent.mkdir()
    one.write_text("Swing the bat!\r\n", newline="")
    two.write_text("The bank.")
    page = tmp_path / "page.html"
    arguments = [str(one), str(two), "-o", str(page), "--against", "random", "--review"]
    assert main(["read", *arguments, *FAST]) == 0
    assert capsys.readouterr().out == f"{page}\n"
    data = data_of(page)
    assert data["texts"] == [["one.txt", "Swing the bat!\n"], ["one.txt (2)", "The bank."]]
    assert (data["against"], data["review"]) == ("random", True)
    assert [mark[0] for mark in data["marks"]] == [0, 1]


def test_standard_input_and_granularity(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Swing the bat!")))
    page = tmp_path / "page.html"
    arguments = ["read", "-", "-o", str(page), "--granularity", "supersense", *FAST]
    assert main(arguments) == 0
    data = data_of(page)
    assert data["texts"][0][0] == "standard input"
    assert {sense for sense, *_ in data["senses"]} >= {"noun.animal", "noun.artifact"}


def test_compressed_bytes_are_said_to_be_so(tmp_path, monkeypatch, capsys):
    packed = gzip.compress(b"Swing the bat!")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(packed)))
    page = str(tmp_path / "page.html")
    assert main(["read", "-", "-o", page, *FAST]) == 2
    assert "standard input is compressed; unpack it first: gunzip -c" in capsys.readouterr().err
    path = tmp_path / "story.txt.gz"
    path.write_bytes(packed)
    assert main(["read", str(path), "-o", page, *FAST]) == 2
    assert f"compressed; unpack it first: gunzip -c {path} > TEXT.txt" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason", "code"),
    [
        (["x.txt", "-o", "x.txt"], "-o x.txt: allowed are names that end in .html or .htm", 2),
        (["x.txt", "-o", "no/x.html"], "-o no/x.html: its folder does not exist; make it with", 2),
        (["x.txt", "-o", "x.html", "--layers", "ents"], "--layers has 'ents': allowed are", 2),
        (["x.txt", "-o", "x.html"], "x.txt cannot be read: No such file", 2),
        (["bad.txt", "-o", "x.html"], "bad.txt: byte 1 is not UTF-8; save it as UTF-8", 2),
        (["ok.txt", "-o", "x.html", "--against", "nothing"], "'nothing'; allowed are", 2),
        (["ok.txt", "-o", "x.html", "--method", "lesc"], "did you mean 'lesk'?", 2),
        (["ok.txt", "-o", "x.html", "--inventory", "wordnt"], "did you mean 'wordnet'?", 2),
        (["ok.txt", "-o", "x.html", "--granularity", "big"], "granularity = 'big'; allowed", 2),
    ],
)
def test_wrong_calls(tmp_path, monkeypatch, capsys, arguments, reason, code):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.txt").write_bytes(b"\xff")
    (tmp_path / "ok.txt").write_text("ok")
    monkeypatch.setattr(spacy, "load", None)  # all is told before spaCy reads its models
    assert main(["read", *arguments]) == code
    assert reason in capsys.readouterr().err

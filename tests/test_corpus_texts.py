"""The script with which running texts are labelled: what it shows, refuses and builds."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spacy_attn.models import resolve_pipeline
from spacy_attn.wsd.inventory.wordnet_files import find_wordnet
from tests.scripts import script

TEXT = "She took the jacket off in the swimming pool at 5 p.m.\n"

pytestmark = [
    pytest.mark.skipif(find_wordnet() is None, reason="no WordNet on this machine"),
    pytest.mark.skipif(resolve_pipeline() is None, reason="no English pipeline is installed"),
]


@pytest.fixture(scope="module")
def main() -> Callable[[], None]:
    """What the script runs; its pipeline is loaded once."""
    run: Callable[[], None] = script("corpus_texts").main
    return run


@pytest.fixture
def call(main, drafts, monkeypatch, capsys):
    """Calls the script on the drafts and returns what it prints."""

    def run(command: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["corpus_texts.py", command, str(drafts), *arguments])
        main()
        printed: str = capsys.readouterr().out
        return printed

    return run


@pytest.fixture
def drafts(tmp_path: Path) -> Path:
    """A folder with one text."""
    (tmp_path / "a01.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path


def test_a_labeller_sees_the_senses_once_and_a_number_at_each_word(call):
    shown = call("show")
    assert "took/1 the jacket/2 off/3? in/4? the swimming/5 pool/6 at" in shown
    assert "5-6: swimming_pool.n" in shown
    assert "  1: take.v" in shown
    assert "jacket.n\n  n1 " in shown
    again = call("show")
    assert "jacket.n\n" not in again
    assert "jacket/2" in again


def test_answers_become_spans_and_keys(call, drafts):
    (drafts / "a01.ans").write_text("1+3=take_off.v.2 2=n1 4=- 5-6=swimming_pool.n.1 8=r1", "utf-8")
    out = drafts / "out.jsonl"
    assert "1 texts, 4 labels, 0 faults" in call("build", "-o", str(out))
    record = json.loads(out.read_text(encoding="utf-8"))
    assert record["text"] == TEXT
    assert [(TEXT[a:b], keys) for a, b, keys in record["senses"]] == [
        ("took", ["take_off%2:30:00::"]),
        ("jacket", ["jacket%1:06:00::"]),
        ("swimming pool", ["swimming_pool%1:06:00::"]),
        ("p.m.", ["p.m.%4:02:00::"]),
    ]


@pytest.mark.parametrize(
    ("answers", "fault"),
    [
        ("1=v1 2=n1", "a01: 5 (swimming) has no answer"),
        ("1=v1 1=v2 2=n1 5-6=swimming_pool.n.1", "a word of it has an answer already"),
        ("1=v99 2=n1 5-6=swimming_pool.n.1", "take.v has 42 senses"),
        ("1=x1 2=n1 5-6=swimming_pool.n.1", "cannot read x1"),
        ("1=v1 2=n1 99=n1 5-6=swimming_pool.n.1", "99=n1: no answer, or no such number"),
        ("1=n1 2=n1 5=v1 6=n1", "name the lemma, one of []"),
    ],
)
def test_faults_are_named_and_nothing_is_built(call, drafts, capsys, answers, fault):
    (drafts / "a01.ans").write_text(answers, encoding="utf-8")
    out = drafts / "out.jsonl"
    with pytest.raises(SystemExit, match="1"):
        call("build", "-o", str(out))
    assert fault in capsys.readouterr().out
    assert not out.exists()

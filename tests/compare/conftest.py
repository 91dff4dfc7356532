"""A labelled file about the toy inventory, and the task that it makes."""

from __future__ import annotations

import json

import pytest
import spacy

from spacy_attn.compare.dataset import open_dataset
from spacy_attn.compare.task import gold_task, tagged_by
from spacy_attn.components.adapter import resources_of
from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.methods import calibration

# text, word, lemma, sense, stratum; and what lesk says
ROWS = [
    ("he hit the ball with the bat", "bat", "bat", "bat.club", "plain"),  # right: 2 to 0
    ("the bat flew at night", "bat", "bat", "bat.animal", "plain"),  # right: 1 to 0
    ("money in the bank of the river", "bank", "bank", "bank.river", "near"),  # 1 to 1: money
    ("a house bank", "bank", "bank", "bank.money", "near"),  # right: 1 to 0
    ("the club", "club", "club", "club.golf", ""),  # no such word
]


def labelled(rows=ROWS):
    out = []
    for text, word, lemma, sense, stratum in rows:
        start = text.index(word)
        out.append(
            {
                "text": text,
                "start": start,
                "end": start + len(word),
                "lemma": lemma,
                "pos": "NOUN",
                "sense": sense,
                "stratum": stratum,
            }
        )
    return "".join(json.dumps(row) + "\n" for row in out)


@pytest.fixture(autouse=True)
def _temperature_of_one(monkeypatch):
    """The fitted temperatures are those of the bundled inventory."""
    monkeypatch.setattr(calibration, "_fitted", lambda folder: {})


@pytest.fixture
def labelled_file(tmp_path):
    path = tmp_path / "toy.jsonl"
    path.write_text(labelled(), encoding="utf-8")
    return path


@pytest.fixture
def make_task(toy_inventory):
    def make(path):
        nlp = spacy.blank("en")
        data = open_dataset(path, tagged_by(nlp))
        return gold_task(data, load_inventory(toy_inventory), resources_of(nlp))

    return make


@pytest.fixture
def task(make_task, labelled_file):
    return make_task(labelled_file)

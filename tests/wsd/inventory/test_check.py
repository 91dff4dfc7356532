"""What a check tells of an inventory."""

from __future__ import annotations

import spacy

from spacy_attn.components.adapter import resources_of
from spacy_attn.wsd.inventory.check import check_inventory
from spacy_attn.wsd.inventory.jsonl import load_inventory

WORDS = {
    "bat": {"animal": "A small animal that flies at night.", "club": ["Swing the bat!"]},
    "car": {"thing": {"examples": [{"text": "He drove it.", "start": 3, "end": 8}]}},
    "bank": {
        "one": "A house of money that lends.",
        "two": "A house that lends money.",
        "x": "A bank.",
    },
    "can't": {"only": "An inability."},
}


def test_counts_and_findings():
    nlp = spacy.blank("en")
    inventory = load_inventory(WORDS, "en")
    report = check_inventory(inventory, resources_of(nlp).tokenize, nlp.Defaults.stop_words)
    assert (report.n_words, report.n_senses, report.n_examples) == (4, 7, 2)
    assert report.n_of_pos == {"NOUN": 7}
    assert report.without_definition == ["bat.club", "car.thing"]
    assert len(report.without_examples) == 5
    assert report.one_sense == ["car", "can't"]
    assert report.says_nothing == ["bank.x"]
    assert report.alike == [("bank.one", "bank.two", 5 / 6)]
    assert report.not_found == [("can't", "ca | n't")]
    assert report.other_words == [("car.thing", "drove")]


def test_an_inventory_without_findings(toy_inventory):
    tokenize = resources_of(spacy.blank("en")).tokenize
    report = check_inventory(load_inventory(toy_inventory, "en"), tokenize)
    assert report.says_nothing == report.alike == report.not_found == report.other_words == []

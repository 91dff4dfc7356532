"""Occurrences out of examples, labels and corpora."""

from __future__ import annotations

import json

import pytest

from spacy_attn.errors import ConfigError
from spacy_attn.train.corpora import TaggedSentence
from spacy_attn.train.held_out import blank_resources
from spacy_attn.train.occurrences import SenseList, cut, of_examples, of_labels, of_sentences
from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.inventory.wordnet import WordNetInventory
from spacy_attn.wsd.inventory.wordnet_files import WordNet


@pytest.fixture(scope="module")
def toy(toy_inventory):
    return load_inventory(toy_inventory, "en")


def test_examples_of_an_inventory(toy):
    senses = SenseList()
    rows = list(of_examples(toy, blank_resources(toy), senses))
    assert [s.id for s in senses.senses] == ["bat.animal", "bat.club", "bank.money", "bank.river"]
    assert all(owner is toy for owner in senses.owners)
    first = rows[0]
    assert first.tokens == ["the", "bat", "flew", "at", "night"]
    assert (first.start, first.end, first.candidates, first.allowed) == (1, 2, (0, 1), (0,))
    assert [row.allowed for row in rows] == [(0,), (0,), (1,), (1,), (2,), (3,)]
    assert len({row.group for row in rows}) == 6


def label(tmp_path, **more):
    record = {
        "text": "A bat slept.",
        "start": 2,
        "end": 5,
        "lemma": "bat",
        "pos": "NOUN",
        "sense": "bat.animal",
        **more,
    }
    path = tmp_path / "labels.jsonl"
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    return path


def test_labels(toy, tmp_path):
    (row,) = of_labels(label(tmp_path), toy, blank_resources(toy), SenseList())
    assert (row.tokens, row.start, row.allowed) == (["A", "bat", "slept", "."], 1, (0,))
    assert row.source == "own"


def test_a_label_of_no_sense(toy, tmp_path):
    path = label(tmp_path, sense="bat.vampire")
    sentence = r"label 1: bat \(NOUN\) has no sense 'bat\.vampire' in the inventory 'toy\.jsonl'"
    with pytest.raises(ConfigError, match=sentence):
        list(of_labels(path, toy, blank_resources(toy), SenseList()))


def test_sentences_of_corpora(toy_lexicon, toy_wordnet):
    lexicon, wordnet = WordNetInventory(toy_lexicon, toy_wordnet), WordNet(toy_wordnet)
    tokens = "the bats flew to the bank".split()
    bat, bank = ["bat%1:05:00::"], ["bank%1:14:00::", "bank%1:17:00::"]
    river = ["river_bank%1:17:00::"]  # one sense: nothing to choose
    sentences = [
        TaggedSentence("d1", "semcor", tokens, [(1, 2, bat), (5, 6, bank), (4, 6, river)]),
        TaggedSentence("d2", "written/blog", tokens, [(1, 2, bat)]),
    ]
    senses = SenseList()
    rows = list(of_sentences(sentences, wordnet, lexicon, senses))
    chosen = [[senses.senses[i].id for i in row.allowed] for row in rows]
    assert chosen == [bat, bank, bat]
    assert [(row.source, row.group) for row in rows] == [
        ("semcor", "d1"),
        ("semcor", "d1"),
        ("written/blog", "written/blog"),
    ]


@pytest.mark.parametrize(("n", "at"), [(1, 0), (64, 63), (100, 0), (100, 50), (100, 99), (65, 3)])
def test_long_sentences_are_cut_around_the_word(n, at):
    tokens = [str(i) for i in range(n)]
    row = cut(tokens, at, at + 1, (0, 1), (0,), "own", "g")
    assert len(row.tokens) == min(n, 64)
    assert row.tokens[row.start : row.end] == [str(at)]
    first = int(row.tokens[0])
    assert row.tokens == [str(i) for i in range(first, first + len(row.tokens))]

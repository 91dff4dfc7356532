"""What is made of a sense at first use: once, within a bound, by several threads."""

from __future__ import annotations

import pickle
import threading

from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.inventory.wordnet import WordNetInventory
from spacy_attn.wsd.methods import glosses as prepared
from spacy_attn.wsd.methods.glosses import PreparedSenses, gloss_words
from spacy_attn.wsd.sense import Sense

SENSES = [Sense(f"w.{i}", "w", "NOUN", "x" * i) for i in range(5)]


def length(sense):
    return len(sense.definition)


def test_a_sense_is_made_once():
    asked = []
    lengths = PreparedSenses(lambda sense: asked.append(sense.id) or length(sense))
    assert asked == []
    assert [lengths[SENSES[i]] for i in (3, 1, 3, 3)] == [3, 1, 3, 3]
    assert asked == ["w.3", "w.1"]
    assert len(lengths) == 2


def test_no_more_than_the_bound_is_kept(monkeypatch):
    monkeypatch.setattr(prepared, "_CACHED_SENSES", 2)
    lengths = PreparedSenses(length)
    for _ in range(3):
        for i, sense in enumerate(SENSES):
            assert lengths[sense] == i
            assert len(lengths) <= 2


def test_threads_share_it(monkeypatch):
    monkeypatch.setattr(prepared, "_CACHED_SENSES", 2)  # so that they also empty it
    lengths = PreparedSenses(length)
    seen = []

    def read():
        seen.append([lengths[sense] for _ in range(500) for sense in SENSES])

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [list(range(5)) * 500] * 8
    assert len(lengths) <= 2


def test_it_is_pickled_empty():
    lengths = PreparedSenses(length)
    assert lengths[SENSES[4]] == 4
    received = pickle.loads(pickle.dumps(lengths))  # noqa: S301 - our own bytes
    assert len(received) == 0
    assert received[SENSES[4]] == 4


# -- words of glosses ----------------------------------------------------------------------


def test_words_of_a_files_glosses(toy_inventory):
    found = list(gloss_words(load_inventory(toy_inventory, "en")))
    assert len(found) == 4
    assert found[1] == (
        "noun.artifact",
        "a club to hit the ball with swing the bat he hit the ball with the bat".split(),
    )


def test_words_of_the_users_wordnet(toy_lexicon, toy_wordnet):
    found = list(gloss_words(WordNetInventory(toy_lexicon, toy_wordnet)))
    assert len(found) == 7  # of synsets; the licence above them is none
    assert ("noun.artifact", ["a", "club", "for", "a", "ball", "swing", "the", "bat"]) in found
    assert ("verb.social", ["reach", "with", "success"]) in found

"""The arithmetic of benchmarks/lemmas.py, and that the invented words are what they should be."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from benchmarks.lemmas import conflation, is_irregular, read_invented, right_of, sets_of
from spacy_attn.train.lemmatizer import FormLemma, held_out
from spacy_attn.wsd.inventory.forms import english_forms
from spacy_attn.wsd.inventory.wordnet import WordNetInventory


def rows_of(*words):
    return [FormLemma(form, pos, lemma, 1) for form, pos, lemma in map(str.split, words)]


ROWS = rows_of(
    "walk NOUN walk",
    "walks NOUN walk",
    "walk VERB walk",
    "walked VERB walk",
    "wall NOUN wall",
    "walls NOUN wall",
    "tree NOUN tree",
)


def by_hand(rows, found):
    """Every pair of different forms, one after the other."""
    right = together = same = 0
    for (one, a), (two, b) in combinations(zip(rows, found, strict=True), 2):
        if one.form != two.form:
            right += a == b and one.lemma == two.lemma
            together += a == b
            same += one.lemma == two.lemma
    return [right, together, same]


@pytest.mark.parametrize("seed", range(20))
def test_conflation_counts_pairs(seed):
    found = np.random.default_rng(seed).choice(["a", "b", "c"], len(ROWS)).tolist()
    counts = conflation(ROWS, found)
    assert counts.shape == (3, 3)
    assert counts.sum(axis=0).tolist() == by_hand(ROWS, found)


def test_conflation_of_each_lemma():
    counts = conflation(ROWS, ["wal", "wal", "wal", "wal", "wal", "wall", "tree"])
    # walk: walk/walks, walk/walked twice, walks/walked; four pairs with wall, half for each
    assert counts.tolist() == [[5, 7, 5], [0, 2, 1], [0, 0, 0]]


def test_right():
    assert right_of(ROWS[:2], ["walk", "walks"]).tolist() == [True, False]


def test_sets():
    rows = rows_of("went VERB go", "walked VERB walk", "mice NOUN mouse", "tree NOUN tree")
    wordnet = WordNetInventory()
    assert [is_irregular(row, wordnet) for row in rows] == [True, False, True, False]
    listed = [FormLemma("went", "VERB", "go", 0)]  # SemCor's already
    listed += [FormLemma(f"x{i}en", "NOUN", f"x{i}", 0) for i in range(40)]
    sets = sets_of(rows, listed, wordnet)
    assert {row for kind in ("seen", "unseen") for row in sets.get(kind, [])} == {*rows}
    assert {row.lemma for row in sets.get("unseen", [])} == held_out(rows)
    unseen = held_out([*rows, *listed])
    of_the_list = {kind: [row for row in sets[kind] if row.n == 0] for kind in sets}
    assert sets["irregular, listed"] == [row for row in listed[1:] if row.lemma not in unseen]
    assert of_the_list["irregular, unseen"] == [row for row in listed if row.lemma in unseen]
    assert len(sets["invented"]) == len(read_invented())


def test_invented_words_follow_the_rules_and_are_no_words():
    wordnet = WordNetInventory()
    words = {pair[0] for pair in wordnet.words}
    for row, tag in read_invented().items():
        assert row.form in english_forms(row.lemma, row.pos), row
        assert row.lemma not in words, row
        assert {"V": "VERB", "N": "NOUN", "J": "ADJ", "R": "ADV"}[tag[0]] == row.pos

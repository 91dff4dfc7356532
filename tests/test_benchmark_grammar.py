"""A grammar read off a parse, and the heads that its trees tell."""

from __future__ import annotations

import numpy as np
import spacy
from nltk import Tree
from spacy.tokens import Doc

from benchmarks.grammar import accuracy, grammar_of, heads_of, parsed_right, productions
from spacy_attn.explain.syntax import arcs_of

VOCAB = spacy.blank("en").vocab


def sentence():
    return Doc(
        VOCAB,
        words="the dog saw a cat".split(),
        heads=[1, 2, 2, 4, 2],
        tags=["DT", "NN", "VBD", "DT", "NN"],
        deps=["det", "nsubj", "ROOT", "det", "dobj"],
        sent_starts=[True, False, False, False, False],
    )


def test_productions_go_outwards_from_the_head():
    of_verb = [each for each in productions(sentence()) if "VBD" in each[0] or each[0] == "S"]
    assert of_verb == [
        ("S", "L:VBD"),
        ("R:VBD", "'VBD"),
        ("R:VBD", "R:VBD L:NN"),
        ("L:VBD", "R:VBD"),
        ("L:VBD", "L:NN L:VBD"),
    ]


def test_a_tree_tells_the_heads():
    tree = Tree.fromstring("(S (L (L2 (R2 (NN dog))) (L (R (R (VBD saw)) (L3 (R3 (NN cat)))))))")
    assert heads_of(tree) == {0: 1, 2: 1}


def test_the_parser_finds_the_arcs_again():
    doc = sentence()
    nlp = spacy.blank("en", vocab=VOCAB)
    parser = nlp.add_pipe(
        "nltk_parser", config={"grammar": grammar_of([doc, doc]), "terminals": "tag"}
    )
    parser(doc)
    assert parsed_right(doc, arcs_of(doc)) == [True] * 4


def test_a_sentence_without_a_tree_has_no_arc_right():
    doc = sentence()
    other = Doc(VOCAB, words=["cat", "the"], tags=["NN", "DT"], heads=[1, 1], deps=["x", "ROOT"])
    nlp = spacy.blank("en", vocab=VOCAB)
    nlp.add_pipe("nltk_parser", config={"grammar": grammar_of([doc, doc]), "terminals": "tag"})(
        other
    )
    assert parsed_right(other, arcs_of(other)) == [False]


def test_intervals_draw_sentences():
    right = np.repeat([True, False], 50)
    alone = accuracy(right, np.arange(100))
    together = accuracy(right, np.repeat([3, 8], 50))
    assert alone["accuracy"] == together["accuracy"] == 0.5
    assert 0.35 < alone["ci95"][0] < alone["ci95"][1] < 0.65
    assert together["ci95"] == [0.0, 1.0]

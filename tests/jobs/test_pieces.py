"""Long texts go through a pipeline in pieces, and come back as one."""

from __future__ import annotations

import numpy as np
import pytest
import spacy

from spacy_attn.jobs import Annotator
from spacy_attn.jobs import annotator as annotator_module
from spacy_attn.jobs.pieces import cut, join, may_cut
from tests.memory import LINUX, output_and_peak


@pytest.mark.parametrize(
    "text", ["", "one", "a. b? c! d\n\ne f\ng", "x" * 50, "ab " * 30, " " * 40]
)
@pytest.mark.parametrize("most", [1, 7, 10, 1000])
def test_pieces_are_the_text(text, most):
    pieces = list(cut(text, most))
    assert "".join(piece for _, piece in pieces) == text
    assert all(text[start : start + len(piece)] == piece for start, piece in pieces)
    assert all(len(piece) <= most for _, piece in pieces)


def test_a_piece_ends_between_paragraphs_before_lines_before_sentences_before_words():
    assert [piece for _, piece in cut("aaa. bbb\nccc\n\nddd e", 16)] == [
        "aaa. bbb\nccc\n\n",
        "ddd e",
    ]
    assert [piece for _, piece in cut("aaaa bbb. ccc ddd", 14)] == ["aaaa bbb. ", "ccc ddd"]
    assert [piece for _, piece in cut("aaaa bbb ccc", 11)] == ["aaaa bbb ", "ccc"]


def test_places_are_those_of_the_whole():
    part = {"start": 1, "end": 2, "text": "b"}
    rows = [
        {"chunks": [part], "relations": [], "vectors": np.zeros((2, 3))},
        {
            "chunks": [part],
            "relations": [{"subject": part, "object": None, "relation": "is"}],
            "vectors": np.ones((1, 3)),
        },
    ]
    joined = join(rows, [0, 10])
    assert joined["chunks"] == [part, {"start": 11, "end": 12, "text": "b"}]
    assert joined["relations"][0]["subject"] == {"start": 11, "end": 12, "text": "b"}
    assert joined["vectors"].shape == (3, 3)


def test_places_in_lists_within_records_are_those_of_the_whole():
    rows = [{"found": [{"parts": [{"start": 1, "end": 2}], "score": 0.5}]}] * 2
    assert join(rows, [0, 10])["found"] == [
        {"parts": [{"start": 1, "end": 2}], "score": 0.5},
        {"parts": [{"start": 11, "end": 12}], "score": 0.5},
    ]


def test_only_what_is_known_to_read_sentences_is_cut():
    nlp = spacy.blank("en")
    nlp.add_pipe("nltk_stemmer")
    assert may_cut(nlp)
    nlp.add_pipe("doc_cleaner")
    assert not may_cut(nlp)


def test_pieces_give_what_the_whole_gives(monkeypatch):
    text = "Swing the bat! The bat flew at night.\n\n" * 3
    fields = ("senses", "stems", "tokens")
    annotator = Annotator(fields=fields, method="lesk")
    (whole,) = annotator.annotate_rows([text])
    monkeypatch.setattr(annotator_module, "_PIECE_CHARS", 50)
    (pieces,) = annotator.annotate_rows([text])
    assert isinstance(whole, dict)
    assert pieces == whole
    assert annotator.annotate([text]) == [whole["senses"]]


@pytest.mark.slow
@LINUX
def test_memory_for_a_long_text_is_bounded(tmp_path):
    """Of the tagger alone it was 5 GB."""
    before = """
from spacy_attn.jobs import Annotator
text = "The bat flew at night, and she swung the other bat at it. " * 25_000
annotator = Annotator(fields=("tokens",))
annotator.annotate_rows(["a bat"])
"""
    code = """
(row,) = annotator.annotate_rows([text])
print(len(row["tokens"]))
"""
    n_tokens, megabytes = output_and_peak(before, code, cwd=tmp_path)
    assert int(n_tokens) == 25_000 * 15
    assert megabytes < 1500

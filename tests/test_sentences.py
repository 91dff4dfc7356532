"""Where sentences and passages begin, against spaCy's own sentencizer and by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest
import spacy

from spacy_attn.sentences import passage_starts, sentence_of, sentence_starts

TEXTS = [
    "Swing the bat! The bat flew at night.",
    'He left. "Was that a bat?" she asked. Nobody knew',
    "Mr. Smith paid 3.50 to the U.S. bank. Then he left (at last.) It rained?! Yes.",
    "one sentence without an end",
    "",
    "!",
]


@pytest.mark.parametrize("text", TEXTS)
def test_equal_to_the_sentencizer(text):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    doc = nlp(text)
    assert sentence_starts([t.text for t in doc]) == [s.start for s in doc.sents]


def test_a_blank_line_ends_a_sentence_and_a_line_break_does_not():
    assert sentence_starts(["A", "title", "\n\n", "The", "bat"]) == [0, 3]
    assert sentence_starts(["The", "\n", "bat"]) == [0]


def test_other_scripts():
    assert sentence_starts(["飞", "。", "来", "！", "好"]) == [0, 2, 4]


def test_sentence_of_a_token():
    assert [sentence_of([0, 4, 9], token, 12) for token in (0, 3, 4, 8, 9, 11)] == [
        (0, 4),
        (0, 4),
        (4, 9),
        (4, 9),
        (9, 12),
        (9, 12),
    ]


def test_three_dots_end_a_sentence_as_the_sentencizer_does_not():
    assert sentence_starts(["Well", "...", "The", "bat"]) == [0, 2]


def test_a_passage_is_as_many_sentences_as_fit():
    tokens = "a b . c d . e f g h i . j .".split()
    assert passage_starts(tokens, 6) == [0, 6, 12]
    assert passage_starts(tokens, 8) == [0, 6]
    assert passage_starts(tokens, 14) == [0]
    assert passage_starts(tokens, 1) == sentence_starts(tokens) == [0, 3, 6, 12]
    assert passage_starts([], 6) == []


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("longest", [1, 5, 12])
def test_passages_begin_where_sentences_begin_and_cannot_take_one_more(text, longest):
    tokens = [token.text for token in spacy.blank("en")(text)]
    sentences, passages = sentence_starts(tokens), passage_starts(tokens, longest)
    assert set(passages) <= set(sentences)
    assert passages[:1] == sentences[:1]
    for first, following in pairwise([*passages, len(tokens)]):
        inside = [start for start in sentences if first <= start < following]
        assert following - first <= longest or len(inside) == 1
        after = [end for end in [*sentences, len(tokens)] if end > following]
        assert not after or after[0] - first > longest

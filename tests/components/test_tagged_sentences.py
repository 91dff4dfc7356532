from __future__ import annotations

import pytest
import spacy
from spacy.tokens import Doc

from spacy_attn.components.tagged_sentences import tagged_sentences
from spacy_attn.errors import ConfigError

WORDS = ["The", "bat", "\n", "It", "flew", " "]
TAGS = ["DT", "NN", "_SP", "PRP", "VBD", "_SP"]


def texts(doc):
    return [[token.text for token in tokens] for tokens in tagged_sentences(doc, "pipe")]


def test_sentences_without_white_space():
    vocab = spacy.blank("en").vocab
    starts = [True, False, False, True, False, True]  # the last one is white space alone
    doc = Doc(vocab, words=WORDS, tags=TAGS, sent_starts=starts)
    assert texts(doc) == [["The", "bat"], ["It", "flew"]]
    assert texts(Doc(vocab, words=WORDS, tags=TAGS)) == [["The", "bat", "It", "flew"]]


def test_words_with_an_invisible_character_are_words():
    words = ["ba\u200bt", "\u200b", "\U0001f987", "e\u0301", "."]
    doc = Doc(spacy.blank("en").vocab, words=words, tags=["NN"] * 5)
    assert texts(doc) == [[words[0], *words[2:]]]


def test_tags_are_needed_by_words_only():
    vocab = spacy.blank("en").vocab
    assert texts(Doc(vocab)) == []
    assert texts(Doc(vocab, words=["\n", "\u200b", "\u00a0", "\x07"])) == []
    with pytest.raises(ConfigError, match=r"'pipe' reads token\.tag.*put it before 'pipe'"):
        texts(Doc(vocab, words=["bat"]))

"""One text as every component cuts it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import spacy
from spacy.tokens import Doc, Span

from spacy_attn.explain.tokens import token_table


class ThreePieces:
    """A tokenizer as those of the tokenizers package are called: threes of letters."""

    def encode(self, text, add_special_tokens):
        assert not add_special_tokens
        spans = []
        for start, word in self.words(text):
            spans += [(start + i, start + min(i + 3, len(word))) for i in range(0, len(word), 3)]
        return SimpleNamespace(offsets=spans, tokens=[text[start:end] for start, end in spans])

    def words(self, text):
        at = 0
        for word in text.split(" "):
            yield at, word
            at += len(word) + 1


@pytest.fixture
def doc():
    nlp = spacy.blank("en")
    doc = Doc(
        nlp.vocab,
        words=["Bats", "fly", " ", "over", "Windermere"],
        spaces=[True, True, False, True, False],
        tags=["NNS", "VBP", "_SP", "IN", "NNP"],
        lemmas=["bat", "fly", " ", "over", "Windermere"],
        ents=["O", "O", "O", "O", "B-GPE"],
    )
    spans = [(0, 5, "CLAUSE"), (0, 1, "NP"), (3, 5, "PP"), (4, 5, "NP")]
    doc.spans["chunks"] = [Span(doc, start, end, label) for start, end, label in spans]
    return doc


def test_pieces_stand_beside_their_tokens(doc):
    rows = token_table(doc, ThreePieces())
    assert [(row.text, row.wordpieces) for row in rows] == [
        ("Bats", ("Bat", "s")),
        ("fly", ("fly",)),
        ("over", ("ove", "r")),
        ("Windermere", ("Win", "der", "mer", "e")),
    ]


def test_the_inner_chunk_is_named(doc):
    assert [row.chunk for row in token_table(doc)] == ["B-NP", "I-CLAUSE", "B-PP", "B-NP"]


def test_what_the_pipeline_wrote(doc):
    row = token_table(doc)[-1]
    assert (row.lemma, row.tag, row.entity, row.start) == ("Windermere", "NNP", "B-GPE", 15)
    assert row.wordpieces == ()


def test_stems_of_the_component():
    nlp = spacy.blank("en")
    nlp.add_pipe("nltk_stemmer", config={"attr": "token_table_stem"})
    rows = token_table(nlp("flying bats"), stem_attr="token_table_stem")
    assert [row.stem for row in rows] == ["fli", "bat"]


def test_missing_annotation_is_empty():
    rows = token_table(spacy.blank("en")("flying bats"), stem_attr="no_such_attribute")
    assert len(rows) == 2
    for row in rows:
        assert (row.stem, row.lemma, row.tag, row.chunk, row.entity) == ("",) * 5


def test_an_empty_text_has_no_rows():
    assert token_table(spacy.blank("en")("")) == []

"""Texts made ready to be read, and their page: everything is there, hostile text stays text."""

from __future__ import annotations

import html
import json
import re

import pytest
import spacy
from spacy.tokens import Doc

from spacy_attn.components.extensions import install_extensions
from spacy_attn.errors import ConfigError
from spacy_attn.explain.reading import (
    Choice,
    Mark,
    ReadText,
    Word,
    read_doc,
    read_texts,
    to_displacy,
)
from spacy_attn.explain.reading_page import Page, reading_page, render

pytest.importorskip("jinja2")

BAT = Word("bat", "NOUN", (Choice("bat.animal", "a flying animal"), Choice("bat.club", "a club")))
ONE = Word("reed", "NOUN", (Choice("reed.plant", "a plant"),))
HOSTILE = (
    '</script><script>alert(1)</script> <img src=x onerror="x"> bat & \x00\u202e \ud800 🦇 bat'
)
LEAF = {"lemma": "leaf", "pos": "NOUN", "sense": "leaf.plant", "definition": "a part of a plant"}
LEAVE = {"lemma": "leave", "pos": "VERB", "sense": "leave.go", "definition": "to go away"}
TWO_WORDS = [{**LEAF, "forms": ["leaves"]}, {**LEAVE, "forms": ["leaves"]}]


def mark(text, word, ranked, at=0, **more):
    start = text.index(word.lemma, at)
    return Mark(start, start + len(word.lemma), word, tuple(ranked.items()), (0, len(text)), **more)


def data_of(page):
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1]
    )


def text_of(page):
    """What the page shows of a text, without the markers of chunks."""
    body = re.search(r'<article aria-label="[^"]*">\n(.*?)\n</article>', page, re.DOTALL)[1]
    return html.unescape(re.sub(r"<[^>]*>", "", body.replace("</p><p>", "\n\n")))


def read(text, marks=(), **more):
    return ReadText("a title", text, tuple(marks), **more)


def test_marks_show_their_certainty_and_where_methods_differ():
    text = "bat bat bat reed"
    marks = [
        mark(text, BAT, {"bat.animal": 0.95, "bat.club": 0.05}, other=("bat.club", 0.6)),
        mark(text, BAT, {"bat.club": 0.7, "bat.animal": 0.3}, 4, other=("bat.club", 0.9)),
        mark(text, BAT, {"bat.club": 0.55, "bat.animal": 0.45}, 8, cues=(("fly", 0.5),)),
        mark(text, ONE, {"reed.plant": 1.0}),
    ]
    page = reading_page([read(text, marks, against="word2vec")])
    classes = re.findall(r'<b id=m\d+ class="?([a-z ]+)"?>', page)
    assert classes == ["c d", "f", "u", "o"]
    assert "differences with word2vec (1)" in page
    data = data_of(page)
    assert data["words"] == [["bat", "NOUN", [0, 1]], ["reed", "NOUN", [2]]]
    assert data["senses"] == [
        ["bat.animal", "a flying animal", "", ""],
        ["bat.club", "a club", "", ""],
        ["reed.plant", "a plant", "", ""],
    ]
    assert data["marks"][0] == [0, 0, 3, 0, [0, 95, 1, 5], [0, 16], "", [1, 60, "bat.club"], []]
    assert data["marks"][2][-1] == [["fly", 0.5]]
    assert text_of(page) == text


def test_hostile_text_stays_text():
    marks = [mark(HOSTILE, BAT, {"bat.animal": 1.0, "bat.club": 0.0})]
    evil = Word("bat", "NOUN", (Choice("</script>", "<b>x</b>"),))
    marks.append(mark(HOSTILE, evil, {"</script>": 1.0}, 60))
    page = reading_page([read(HOSTILE, marks, entities=((0, 5, '"><script>'),))])
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    assert text_of(page) == HOSTILE.replace("\x00", "\ufffd").replace("\u202e", "\ufffd").replace(
        "\ud800", "\ufffd"
    )
    assert data_of(page)["texts"][0][1] == HOSTILE
    assert page.encode("utf-8").decode("utf-8") == page


def test_characters_that_join_and_part_stay():
    text = "👩\u200d🔬 bat, می\u200cخواهم, ex\u00adam\u00adple, a\u200bb, \u200fשלום\u200e"
    page = reading_page([read(text, [mark(text, BAT, {"bat.animal": 1.0, "bat.club": 0.0})])])
    assert text_of(page) == text


def test_what_spans_ends_within_marks_and_blank_lines_part_paragraphs():
    text = "The hot dog stand\n\nof Al\nand Bo  \n \n"
    hot_dog = Word("hot dog", "NOUN", (Choice("a", ""), Choice("b", "")))
    page = reading_page(
        [
            read(
                text,
                [mark(text, hot_dog, {"a": 0.9, "b": 0.1})],
                entities=((8, 17, "ORG"), (12, 24, "X")),
                chunks=((0, 7, "NP"), (8, 17, "NP")),
                relations=((0, "stand → of"), (22, "Al → Bo")),
                layers=("entities", "chunks"),
            )
        ]
    )
    body = re.search(r"<article.*?</article>", page, re.DOTALL)[0]
    hot_dog_stand = "<b id=m0 class=c>hot dog</b><i class=j></i> stand</span><i class=j></i></p>"
    assert f'<span class=e data-l="ORG">{hot_dog_stand}' in body
    assert body.count("class=e") == 1
    assert body.count("class=k") == body.count("class=j") == 2
    assert "<ul class=r><li>stand → of</li></ul><p>of Al\nand Bo" in body
    assert "<ul class=r><li>Al → Bo</li></ul>" in body
    assert 'id="show-chunks"' in page
    assert 'id="show-relations"' not in page


def test_the_same_texts_give_the_same_page():
    texts = [read("a bat", [mark("a bat", BAT, {"bat.animal": 0.5, "bat.club": 0.5})])]
    assert reading_page(texts) == reading_page(texts)
    assert data_of(reading_page(texts))["key"] != data_of(reading_page(texts, review=True))["key"]
    with pytest.raises(ConfigError, match=r"^there is nothing to read: give one text or more$"):
        reading_page([])


def test_a_page_of_20_000_words_is_below_five_megabytes():
    words = [
        Word(
            f"word{i}",
            "NOUN",
            tuple(Choice(f"word{i}%1:{k:02d}:00::", "definition " * 8) for k in range(8)),
        )
        for i in range(2000)
    ]
    text = " ".join(f"word{i % 2000}" for i in range(20_000))
    marks, at = [], 0
    for i in range(20_000):
        word = words[i % 2000]
        ranked = tuple((sense.id, 0.125) for sense in word.senses)
        marks.append(Mark(at, at + len(word.lemma), word, ranked, (at, at + 80)))
        at += len(word.lemma) + 1
    assert len(reading_page([read(text, marks)]).encode()) < 5_000_000


# -- from a pipeline --------------------------------------------------------------------------


@pytest.fixture
def nlp(toy_inventory):
    nlp = spacy.blank("en")
    config = {"inventory": str(toy_inventory), "method": "lesk_extended"}
    nlp.add_pipe("sense_disambiguator", config=config)
    return nlp


def test_texts_are_read_with_a_second_method_and_reasons(nlp):
    text = "The bat flew at night. He swung it.\n\nMoney is in the bank."
    (found,) = read_texts(nlp, {"t": text}, against="first_sense", why=1)
    assert [text[m.start : m.end] for m in found.marks] == ["bat", "bank"]
    bat, bank = found.marks
    assert text[slice(*bat.sentence)] == "The bat flew at night."
    assert text[slice(*bank.sentence)] == "Money is in the bank."
    assert [sense.id for sense in bank.word.senses] == ["bank.money", "bank.river"]
    assert all(sense.definition for sense in bank.word.senses)
    assert bank.word.pos == "NOUN"
    assert bat.other[0] == "bat.animal"
    assert found.against == "first_sense"
    assert sum(bool(m.cues) for m in found.marks) <= 1
    assert sum(p for _, p in bat.ranked) == pytest.approx(1.0)


def test_a_form_of_two_words_has_the_senses_of_both():
    nlp = spacy.blank("en")
    nlp.add_pipe("sense_disambiguator", config={"inventory": TWO_WORDS, "method": "first_sense"})
    doc = Doc(nlp.vocab, ["He", "leaves"], lemmas=["he", "leave"], pos=["PRON", "VERB"])
    (mark,) = read_doc(nlp(doc), "", nlp.get_pipe("sense_disambiguator")).marks
    assert (mark.word.lemma, mark.word.pos) == ("leave", "VERB")
    assert mark.word.senses == (
        Choice("leave.go", "to go away", "leave", "VERB"),
        Choice("leaf.plant", "a part of a plant", "leaf", "NOUN"),
    )


def test_supersenses_have_no_list_of_senses(toy_inventory):
    nlp = spacy.blank("en")
    config = {"inventory": "homographs", "method": "first_sense", "granularity": "supersense"}
    nlp.add_pipe("sense_disambiguator", config=config)
    (found,) = read_texts(nlp, {"": "The bat flew."}, against="random")
    assert found.marks[0].word.senses[0].id == "noun.animal"
    assert found.marks[0].other[0].startswith("noun.")
    reading_page([found])


def test_a_doc_alone_knows_the_definition_of_its_sense(nlp):
    install_extensions()
    doc = nlp("The bat flew.")
    (mark,) = read_doc(doc).marks
    assert {sense.definition for sense in mark.word.senses} != {""}
    assert render(doc)._repr_html_().startswith('<iframe title="Senses" srcdoc="&lt;!DOCTYPE html')
    assert isinstance(render([doc, doc], nlp, review=True), Page)
    assert re.fullmatch(r"Page\([\d,]+ characters of HTML\)", repr(render(doc)))
    with pytest.raises(ConfigError, match=r"^docs has a str: allowed are Docs, as nlp\(text\)$"):
        render([doc, "bat"])  # type: ignore[list-item]


def test_without_an_inventory_the_tagger_says_the_part_of_speech(nlp):
    doc = Doc(nlp.vocab, ["Bats", "flew"], lemmas=["bat", "fly"], pos=["PROPN", "VERB"])
    (mark,) = read_doc(nlp(doc)).marks
    assert (mark.word.lemma, mark.word.pos) == ("bat", "NOUN")


def test_spans_for_displacy(nlp):
    from spacy import displacy

    doc = nlp("The bat flew.")
    shown = displacy.render(to_displacy(doc), style="span", manual=True, jupyter=False)
    assert doc.spans["senses"][0].kb_id_ in shown
    assert to_displacy(spacy.blank("en")("bat"))["spans"] == []

"""Readers of sense-labelled data sets."""

from __future__ import annotations

import gzip

import pytest

from spacy_attn.compare.datasets import key_file_of, read_keys, read_raganato
from spacy_attn.errors import RecordError, ResourceError

XML = """<?xml version="1.0"?>
<corpus lang="en" source="toy">
  <text id="d000">
    <sentence id="d000.s000">
      <wf lemma="the" pos="DET">The</wf>
      <instance id="d000.s000.t000" lemma="bat" pos="NOUN">bat</instance>
      <instance id="d000.s000.t001" lemma="take_off" pos="VERB">took off</instance>
      <wf lemma="." pos=".">.</wf>
    </sentence>
  </text>
  <text id="d001">
    <sentence id="d001.s000"><wf lemma="yes" pos="X">Yes</wf></sentence>
  </text>
</corpus>
"""
KEYS = "d000.s000.t000 bat%1:05:00:: bat%1:06:00::\n\nd000.s000.t001 take_off%2:38:00::\n"


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "toy.data.xml").write_text(XML, encoding="utf-8")
    (tmp_path / "toy.gold.key.txt").write_text(KEYS, encoding="utf-8")
    return tmp_path / "toy.data.xml"


def test_sentences_with_their_words(corpus):
    first, second = read_raganato(corpus)
    assert (first.id, first.doc, second.doc) == ("d000.s000", "d000", "d001")
    assert first.tokens == ("The", "bat", "took off", ".")
    assert first.lemmas == ("the", "bat", "take off", ".")
    assert first.tags == ("DET", "NOUN", "VERB", ".")
    bat, took_off = first.words
    assert (bat.id, bat.token, bat.lemma, bat.pos) == ("d000.s000.t000", 1, "bat", "NOUN")
    assert bat.senses == ("bat%1:05:00::", "bat%1:06:00::")
    assert (took_off.token, took_off.lemma) == (2, "take off")
    assert second.words == ()


def test_compressed_files_are_the_same(corpus, tmp_path):
    plain = list(read_raganato(corpus))
    packed = tmp_path / "packed"
    packed.mkdir()
    for name, text in (("toy.data.xml.gz", XML), ("toy.gold.key.txt.gz", KEYS)):
        (packed / name).write_bytes(gzip.compress(text.encode()))
    assert list(read_raganato(packed / "toy.data.xml.gz")) == plain
    assert key_file_of(packed / "toy.data.xml.gz") == packed / "toy.gold.key.txt.gz"


def test_keys_of_a_system_may_be_given(corpus, tmp_path):
    other = tmp_path / "system.key.txt"
    other.write_text("d000.s000.t000 x\nd000.s000.t001 y\n", encoding="utf-8")
    assert [word.senses for word in next(read_raganato(corpus, other)).words] == [("x",), ("y",)]


def test_an_instance_without_key(corpus):
    (corpus.parent / "toy.gold.key.txt").write_text("d000.s000.t000 x\n", encoding="utf-8")
    with pytest.raises(RecordError, match=r"instance 'd000\.s000\.t001' has no gold key"):
        list(read_raganato(corpus))


def test_a_line_without_key(tmp_path):
    path = tmp_path / "a.key.txt"
    path.write_text("one two\nthree\n", encoding="utf-8")
    with pytest.raises(RecordError, match=r"a\.key\.txt, line 2: must be an id and its sense keys"):
        read_keys(path)


def test_no_key_file_beside_it(corpus):
    (corpus.parent / "toy.gold.key.txt").unlink()
    with pytest.raises(ResourceError, match=r"put toy\.gold\.key\.txt \(one id .* beside it"):
        list(read_raganato(corpus))


def test_broken_xml(corpus):
    corpus.write_text(XML.replace("</corpus>", ""), encoding="utf-8")
    with pytest.raises(RecordError, match="is no XML of sense-labelled text: no element found"):
        list(read_raganato(corpus))


def test_an_unknown_part_of_speech(corpus):
    corpus.write_text(XML.replace('lemma="bat" pos="NOUN"', 'lemma="bat" pos="N"'), "utf-8")
    with pytest.raises(RecordError, match="pos 'N' is none of NOUN, VERB, ADJ, ADV"):
        list(read_raganato(corpus))


def test_a_missing_file(tmp_path):
    with pytest.raises(ResourceError, match="cannot be read: No such file"):
        list(read_keys(tmp_path / "no.key.txt"))

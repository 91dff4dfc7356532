"""Readers of sense-labelled data sets."""

from __future__ import annotations

import gzip
import json
import re

import pytest
import spacy

from spacy_attn.compare.dataset import (
    BUNDLED,
    LabelledSentence,
    LabelledWord,
    dataset_of,
    key_file_of,
    open_dataset,
    peers_of,
    read_keys,
    read_raganato,
)
from spacy_attn.components.adapter import context_of
from spacy_attn.errors import ConfigError, RecordError, ResourceError
from tests.memory import LINUX, output_and_peak

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


@pytest.mark.parametrize("encoding", ["evil", "utf-7", "idna"])
def test_xml_in_an_encoding_that_is_none(corpus, encoding):
    corpus.write_text(XML.replace('version="1.0"', f'version="1.0" encoding="{encoding}"'))
    with pytest.raises(RecordError, match="is no XML of sense-labelled text: "):
        list(read_raganato(corpus))


def test_broken_xml(corpus):
    corpus.write_text(XML.replace("</corpus>", ""), encoding="utf-8")
    with pytest.raises(RecordError, match="is no XML of sense-labelled text: no element found"):
        list(read_raganato(corpus))


def test_an_unknown_part_of_speech(corpus):
    corpus.write_text(XML.replace('lemma="bat" pos="NOUN"', 'lemma="bat" pos="N"'), "utf-8")
    with pytest.raises(RecordError, match="pos 'N'; allowed are NOUN, VERB, ADJ, ADV"):
        list(read_raganato(corpus))


def test_a_missing_file(tmp_path):
    with pytest.raises(ResourceError, match="cannot be read: No such file"):
        list(read_keys(tmp_path / "no.key.txt"))


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\n", gzip.compress(b"a b\n" * 1000, mtime=0)[:-20], b"no gzip"],
    ids=["not UTF-8", "cut gzip", "no gzip"],
)
def test_a_file_that_holds_no_keys(tmp_path, content):
    path = tmp_path / ("a.key.txt" if content[:1] == b"\xff" else "a.key.txt.gz")
    path.write_bytes(content)
    with pytest.raises(RecordError, match=r"a\.key\.txt(\.gz)? is no file of sense keys: "):
        read_keys(path)


def test_xml_that_is_cut_off(corpus):
    packed = corpus.with_name("toy.data.xml.gz")
    packed.write_bytes(gzip.compress(XML.encode())[:-30])
    with pytest.raises(RecordError, match="is no XML of sense-labelled text: "):
        list(read_raganato(packed))


def test_keys_whose_gzip_is_damaged(tmp_path):
    path = tmp_path / "a.key.txt.gz"
    data = bytearray(gzip.compress(b"".join(b"d%d a%%1:05:00::\n" % i for i in range(1000))))
    data[len(data) // 2 :] = b"\xff" * (len(data) // 2)
    path.write_bytes(data)
    with pytest.raises(RecordError, match=r"a\.key\.txt\.gz is no file of sense keys: "):
        read_keys(path)


def test_an_element_outside_sentences_and_one_within_a_token(corpus):
    corpus.write_text(
        XML.replace("<corpus", "<!-- set --><?set 1?><corpus", 1)
        .replace("<sentence", "<note>two</note>words<sentence", 1)
        .replace(">bat<", "><b>b</b>at<"),
        encoding="utf-8",
    )
    first, second = read_raganato(corpus)
    assert first.tokens == ("The", "at", "took off", ".")
    assert (second.doc, second.tokens) == ("d001", ("Yes",))


def test_sentences_come_before_the_file_is_read(corpus):
    """What is broken far behind costs nothing of what is read first."""
    many = "".join(f'<sentence id="s{i}"><wf>a</wf></sentence>' for i in range(10_000))
    corpus.write_text(XML.replace('<text id="d001">', f'<text id="d001">{many}<'), "utf-8")
    sentences = read_raganato(corpus)
    assert [next(sentences).id for _ in range(3)] == ["d000.s000", "s0", "s1"]
    with pytest.raises(RecordError, match="is no XML of sense-labelled text: "):
        list(sentences)


# -- files that grow ------------------------------------------------------------------------

_WORD = '<wf lemma="a" pos="X">a</wf>'
_SENTENCE = f'<sentence id="s">{_WORD}</sentence>'
#: Beginning, what is repeated, how often, and why the file is refused.
BOMBS = {
    "text of a token": ("<c><sentence><wf>", "word ", 4, "sentence '' is longer than 1,048,576"),
    "tokens": ("<c><sentence>", "<a/>", 4, "sentence '' is longer than 1,048,576 characters"),
    "a lemma": ('<c><sentence><wf lemma="', "word ", 4, "a tag or comment is longer than"),
    "a comment": ("<c><!--", "word ", 4, "a tag or comment is longer than 1,048,576 characters"),
    "an entity": ('<!DOCTYPE c [<!ENTITY a "', "word ", 4, "a tag or comment is longer than"),
    "sentences": ("<c>", "<sentence/>", 100, "grows more than 50 times .* gunzip -k "),
    "labelled sentences": ("<c>", _SENTENCE, 100, "grows more than 50 times when it is decom"),
    "other elements": ("<c>", "<a/>", 100, "grows more than 50 times when it is decompressed"),
    "text outside": ("<c>", "word ", 100, "grows more than 50 times when it is decompressed"),
    "nested elements": ("<c>", "<a>", 4, "elements are more than 100 deep; allowed: 4"),
    "nested sentences": ("<c>", "<sentence>", 4, "elements are more than 100 deep; allowed: 4"),
    "a line of keys": ("d.t0 ", "a ", 4, "line 1: longer than 10,000 bytes; must be an id"),
    "a key": ("d.t0 ", "a", 4, "line 1: longer than 10,000 bytes; must be an id"),
    "lines of keys": ("", "d.t0 " + "a b " * 200 + "\n", 100, "grows more than 50 times when it"),
    "empty lines": ("", "\n", 100, "grows more than 50 times when it is decompressed"),
}

IMPORTS = """
import sys
from pathlib import Path
from spacy_attn.compare.dataset import read_keys, read_raganato
from spacy_attn.errors import RecordError
"""
READ = """
for path in map(Path, sys.argv[1:]):
    try:
        for _ in read_raganato(path) if ".xml" in path.name else read_keys(path):
            pass
        print("good")
    except RecordError as error:
        print(error)
"""


@pytest.mark.slow
@LINUX
def test_small_files_that_grow_are_refused_without_being_held(tmp_path):
    """Some hundred kilobytes that would be 100 MB, as a tree up to three gigabytes."""
    paths = []
    for kind, (start, repeated, n_mebibytes, _) in BOMBS.items():
        ending = "data.xml.gz" if "<" in start else "key.txt.gz"
        (tmp_path / f"{kind}.gold.key.txt").write_text("d.t0 a%1:05:00::\n")
        times = (n_mebibytes << 20) // len(repeated)
        paths.append(tmp_path / f"{kind}.{ending}")
        paths[-1].write_bytes(gzip.compress(f"{start}{repeated * times}".encode(), 1))
    said, megabytes = output_and_peak(IMPORTS, READ, *paths, cwd=tmp_path)
    for (kind, (*_, reason)), line in zip(BOMBS.items(), said.splitlines(), strict=True):
        assert re.search(reason, line), kind
    assert megabytes < 100


# -- one form for all sets ------------------------------------------------------------------


def tag(texts):
    nlp = spacy.blank("en")
    return [context_of(nlp(text)) for text in texts]


def test_a_raganato_set(corpus):
    data = open_dataset(corpus, tag)
    assert (data.name, data.may_quote) == ("toy", False)
    assert data.files == (corpus, corpus.with_name("toy.gold.key.txt"))
    first, second = data.contexts
    assert (first.text, second.text) == ("The bat took off .", "Yes")
    assert first.tokens == ["The", "bat", "took", "off", "."]
    assert [first.text[a:b] for a, b in first.offsets] == first.tokens
    assert first.lemmas == ["the", "bat", "take", "off", "."]
    assert first.tags == ["DET", "NOUN", "VERB", "VERB", "PUNCT"]
    bat, took_off = data.instances
    assert (bat.context, bat.start, bat.end, bat.lemma, bat.pos) == (0, 1, 2, "bat", "NOUN")
    assert bat.gold == ("bat%1:05:00::", "bat%1:06:00::")
    assert (took_off.start, took_off.end, took_off.lemma) == (2, 4, "take off")


def test_a_token_of_several_words_with_a_lemma_of_another_number():
    sentence = LabelledSentence(
        "s",
        "senseval9.d000",
        ("new york 's",),
        ("new york",),
        ("NOUN",),
        (LabelledWord("a", 0, "new york", "NOUN", ("x",)),),
    )
    data = dataset_of("one", [sentence])
    assert data.contexts[0].lemmas == ["", "", ""]
    assert (data.instances[0].start, data.instances[0].end) == (0, 3)
    assert data.instances[0].stratum == "senseval9"
    by_genre = dataset_of("one", [sentence], stratum=lambda s: s.doc[-4:])
    assert by_genre.instances[0].stratum == "d000"


def test_a_sentence_without_a_word():
    data = dataset_of("none", [LabelledSentence("s", "d", (), (), (), ())])
    assert (data.contexts[0].text, list(data.contexts[0].offsets)) == ("", [])


def test_an_id_that_stands_twice(corpus):
    corpus.write_text(XML.replace("t001", "t000"), encoding="utf-8")
    with pytest.raises(RecordError, match=r"toy: the id 'd000\.s000\.t000' stands at two words"):
        open_dataset(corpus, tag)


LABELLED = {
    "text": "the bat took off",
    "start": 4,
    "end": 7,
    "lemma": "Bat",
    "pos": "NOUN",
    "sense": "bat.animal",
    "stratum": "near",
    "cues": [[8, 16]],
}


def test_a_labelled_file(tmp_path):
    path = tmp_path / "mine.test.jsonl"
    other = {"text": "bats", "start": 0, "end": 4, "lemma": "bat", "pos": "NOUN", "sense": "x"}
    verb = {**LABELLED, "start": 8, "end": 16, "lemma": "take_off", "pos": "VERB", "sense": "y"}
    path.write_text("\n".join(map(json.dumps, (LABELLED, other, verb))), encoding="utf-8")
    data = open_dataset(path, tag, {"bat.animal": ("bat%1:05:00::",)})
    assert (data.name, data.may_quote, data.files) == ("mine", True, (path,))
    assert [context.text for context in data.contexts] == ["the bat took off", "bats"]
    assert [(i.id, i.context, i.start, i.end, i.lemma) for i in data.instances] == [
        ("1", 0, 1, 2, "bat"),
        ("2", 1, 0, 1, "bat"),
        ("3", 0, 2, 4, "take off"),
    ]
    assert [i.gold for i in data.instances] == [("bat%1:05:00::",), ("x",), ("y",)]
    assert (data.instances[0].stratum, data.instances[0].cues) == ("near", ((8, 16),))


def test_the_bundled_set():
    data = open_dataset(None, tag)
    assert data.name == "homographs"
    assert len(data.instances) == len(BUNDLED.read_text("utf-8").splitlines())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nowhere.jsonl", r"nowhere\.jsonl does not exist; give labelled \.jsonl"),
        ("words.csv", r"words\.csv is of no kind that can be compared; allowed are"),
        ("", r"does not exist; give labelled \.jsonl"),  # the folder
    ],
)
def test_files_that_cannot_be_compared(tmp_path, name, reason):
    (tmp_path / "words.csv").write_text("bat,1")
    with pytest.raises(ConfigError, match=reason):
        open_dataset(tmp_path / name, tag)


def test_an_empty_file(tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(RecordError, match=r"empty\.jsonl holds no labelled word"):
        open_dataset(tmp_path / "empty.jsonl", tag)


def test_peers_lie_beside_the_set(corpus, tmp_path):
    folder = tmp_path / "peers"
    folder.mkdir()
    (folder / "a.key.txt").write_text(KEYS)
    (folder / "b.key.txt.gz").write_bytes(gzip.compress(KEYS.encode()))
    (folder / "other.key.txt").write_text("d999.s000.t000 bat%1:05:00::\n")
    (folder / "c.key.txt.bak").write_text(KEYS)
    peers = peers_of(open_dataset(corpus, tag))
    assert {name: path.name for name, path in peers.items()} == {
        "a": "a.key.txt",
        "b": "b.key.txt.gz",
    }

"""Synsets of senses: names, offsets and relations are those of NLTK; wn's by the index."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import pytest

import spacy_attn
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.wsd.annotation import SenseAnnotation
from spacy_attn.wsd.inventory import wordnet_more
from spacy_attn.wsd.inventory.jsonl import load_inventory
from spacy_attn.wsd.inventory.synsets import synset_of
from spacy_attn.wsd.inventory.wordnet import wordnet_inventory
from spacy_attn.wsd.inventory.wordnet_files import SUPERSENSES, find_wordnet

BAT = "bat%1:05:00::"
# The index of WordNet 3.0's synset 02139199-n.
LMF = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE LexicalResource SYSTEM "http://globalwordnet.github.io/schemas/WN-LMF-1.1.dtd">
<LexicalResource xmlns:dc="https://globalwordnet.github.io/schemas/dc/">
  <Lexicon id="{id}" label="x" language="en" email="a" license="b" version="{version}">
    <LexicalEntry id="{id}-e"><Lemma writtenForm="bat" partOfSpeech="n"/>
      <Sense id="{id}-s" synset="{synset}"/></LexicalEntry>
    <Synset id="{synset}" ili="{ili}" partOfSpeech="n"><Definition>a bat</Definition></Synset>
  </Lexicon>
</LexicalResource>
"""


def annotation(sense):
    return SenseAnnotation(sense, "bat", "", 1.0, 1.0, ((sense, 1.0),), "attention")


@pytest.fixture(scope="module")
def installed():
    if find_wordnet() is None:
        pytest.skip("no WordNet: apt-get install wordnet-base wordnet-sense-index")
    return find_wordnet()


def test_a_sense_key_gives_its_synset():
    synset = synset_of(BAT)
    assert (synset.key, synset.name, synset.offset) == (BAT, "bat.n.01", "02139199-n")
    assert (synset.pos, synset.supersense) == ("NOUN", "noun.animal")
    assert synset.lemmas == ("bat", "chiropteran")
    assert annotation(BAT).synset is synset
    assert annotation("bat.animal").synset is None
    assert annotation("100%").synset is None


def test_senses_of_homographs_name_theirs():
    sense = load_inventory("homographs").candidates("bat")[0]
    assert spacy_attn.synset_of(sense).name == "bat.n.01"


def test_what_is_no_sense_of_wordnet():
    with pytest.raises(ConfigError, match=r"^'bat\.animal' is no sense of WordNet 3\.0; allowed"):
        synset_of("bat.animal")


def test_what_it_is_a_kind_of(installed):
    assert [each.name for each in synset_of(BAT).hypernyms] == ["placental.n.01"]
    assert synset_of(BAT).definition.startswith("nocturnal")


def test_without_wordnet_there_are_no_hypernyms(monkeypatch):
    monkeypatch.setattr(type(wordnet_inventory()), "_open_synsets", lambda self: None)
    with pytest.raises(ResourceError, match=r"^hypernyms reads the definitions of inventory = "):
        synset_of(BAT).hypernyms  # noqa: B018


def test_names_and_relations_are_those_of_nltk(installed, tmp_path, monkeypatch):
    nltk = pytest.importorskip("nltk")
    folder = tmp_path / "corpora" / "wordnet"
    folder.mkdir(parents=True)
    for path in Path(installed).iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    lines = (f"{i:02d}\t{name}\t1\n" for i, name in enumerate(SUPERSENSES))
    (folder / "lexnames").write_text("".join(lines))
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its multilingual functions
        reader = WordNetCorpusReader(nltk.data.find("corpora/wordnet"), None)
    monkeypatch.setattr(nltk.corpus, "wordnet", reader)
    inventory = wordnet_inventory()
    words = inventory.words[::300]
    for lemma, pos in [*words, ("possessive", "ADJ"), ("good", "ADJ"), ("full", "ADJ")]:
        for sense in inventory.candidates(lemma, pos)[:3]:
            ours, theirs = synset_of(sense), reader.lemma_from_key(sense.id).synset()
            assert ours.name == theirs.name()
            assert ours.nltk() == theirs
            assert ours.lemmas[0].replace(" ", "_") == theirs.lemma_names()[0].lower()
            above = theirs.hypernyms() + theirs.instance_hypernyms()
            assert {each.name for each in ours.hypernyms} == {each.name() for each in above}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (LookupError(), "^NLTK has no WordNet; "),
        (OSError("No such file: 'lexnames'"), "^NLTK's WordNet cannot be read .*'lexnames'.*; "),
        (ValueError(), "^NLTK's WordNet has no synset 02139199-n: it is not WordNet 3.0; "),
    ],
)
def test_nltk_without_data(monkeypatch, error, reason):
    nltk = pytest.importorskip("nltk")
    monkeypatch.setattr(nltk.data, "path", [])

    class Missing:
        def synset_from_pos_and_offset(self, pos, offset):
            raise error

    monkeypatch.setattr(nltk.corpus, "wordnet", Missing())
    with pytest.raises(ResourceError, match=reason + ".*: python -m nltk.downloader wordnet$"):
        synset_of(BAT).nltk()


def test_wn_by_offset_and_by_index(tmp_path):
    wn = pytest.importorskip("wn")
    before = wn.config.data_directory
    wn.config.data_directory = tmp_path / "wn"
    try:
        with pytest.raises(
            ResourceError, match=r"get them with: python -m wn download omw-en:1\.4"
        ):
            synset_of(BAT).wn()
        for name, version, synset, ili in (
            ("omw-en", "1.4", "omw-en-02139199-n", "i46360"),
            ("oewn", "2024", "oewn-1-n", "i46360"),
            ("other", "1", "other-1-n", "i1"),
        ):
            path = tmp_path / f"{name}.xml"
            path.write_text(LMF.format(id=name, version=version, synset=synset, ili=ili))
            wn.add(path, progress_handler=None)
        assert synset_of(BAT).wn().id == "omw-en-02139199-n"
        assert synset_of(BAT).wn("oewn:2024").id == "oewn-1-n"
        with pytest.raises(ConfigError, match=r"^other:1 has no synset for bat\.n\.01 \(index i46"):
            synset_of(BAT).wn("other:1")
        with pytest.raises(ConfigError, match=r"^wn has no lexicon 'no:1' .*; it has omw-en:1.4, "):
            synset_of(BAT).wn("no:1")
        with pytest.raises(ResourceError, match=r"omw-en:1\.4 of wn has no synset 02806379-n"):
            synset_of("bat%1:06:00::").wn()
    finally:
        wn.config.data_directory = before


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"no archive", "cannot be read"), (None, "was made for a lexicon with hash 000000000000")],
)
def test_a_damaged_or_strange_file_of_the_package(tmp_path, monkeypatch, content, reason):
    path = tmp_path / "more.npz"
    if content is None:
        arrays = wordnet_more.read_more(wordnet_inventory().digest)
        wordnet_more.write_more(path, "00" * 32, arrays)
    else:
        path.write_bytes(content)
    monkeypatch.setattr(wordnet_more, "FILE", path)
    with pytest.raises(ResourceError, match=reason):
        wordnet_more.read_more(wordnet_inventory().digest)

"""Wordnets as inventories: WN-LMF files and the ``wn`` library."""

from __future__ import annotations

import gzip
import re

import pytest

from spacy_attn.errors import ConfigError, InventoryError, ResourceError
from spacy_attn.wsd.inventory.importers.run import import_inventory
from spacy_attn.wsd.inventory.importers.wordnets import _definition
from spacy_attn.wsd.sense import Example, Sense
from tests.wsd.inventory.given import imported, written

LMF = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE LexicalResource SYSTEM "http://globalwordnet.github.io/schemas/WN-LMF-1.1.dtd">
<LexicalResource xmlns:dc="https://globalwordnet.github.io/schemas/dc/">
  <Lexicon id="toy" label="Toy" language="en" email="a@b.c" license="MIT" version="1">
    <LexicalEntry id="toy-bat-n">
      <Lemma writtenForm="bat" partOfSpeech="n"/>
      <Form writtenForm="batz"/>
      <Sense id="toy-bat-1" synset="toy-1-n"><Example>Two batz flew.</Example></Sense>
      <Sense id="toy-bat-2" synset="toy-2-n"/>
    </LexicalEntry>
    <LexicalEntry id="toy-good-s">
      <Lemma writtenForm="Good" partOfSpeech="s"/>
      <Sense id="toy-good-1" synset="toy-3-s"/>
    </LexicalEntry>
    <LexicalEntry id="toy-of-p">
      <Lemma writtenForm="of" partOfSpeech="p"/>
      <Sense id="toy-of-1" synset="toy-4-p"/>
    </LexicalEntry>
    <Synset id="toy-1-n" ili="i100" partOfSpeech="n" lexfile="noun.animal">
      <Definition>a flying animal</Definition>
      <SynsetRelation relType="hypernym" target="toy-2-n"/>
      <Example>A bat hangs in the cave.</Example>
      <Example>No such word here.</Example>
    </Synset>
    <Synset id="toy-2-n" ili="in" partOfSpeech="n">
      <Definition>a club
        for a ball</Definition>
      <ILIDefinition>a club used to hit a ball in games</ILIDefinition>
    </Synset>
    <Synset id="toy-3-s" ili="" partOfSpeech="s"><Definition>not bad</Definition></Synset>
    <Synset id="toy-4-p" ili="" partOfSpeech="p"><Definition>belonging to</Definition></Synset>
  </Lexicon>
</LexicalResource>
"""

OF_LMF = (
    Sense(
        "toy-bat-1",
        "bat",
        "NOUN",
        "a flying animal",
        (Example("Two batz flew.", 4, 8), Example("A bat hangs in the cave.", 2, 5)),
        "noun.animal",
        ("batz",),
        ids=(("synset", "toy-1-n"), ("ili", "i100")),
    ),
    Sense(
        "toy-bat-2",
        "bat",
        "NOUN",
        "a club for a ball",
        (),
        "",
        ("batz",),
        ids=(("synset", "toy-2-n"),),
    ),
    Sense("toy-good-1", "good", "ADJ", "not bad", ids=(("synset", "toy-3-s"),)),
)


@pytest.mark.parametrize("name", ["toy.xml", "toy.xml.gz"])
def test_a_wordnet_in_lmf(tmp_path, name):
    content = LMF.encode()
    path = written(tmp_path, name, gzip.compress(content) if name.endswith(".gz") else content)
    summary, inventory = imported(tmp_path, path)
    assert inventory.senses == OF_LMF
    assert inventory.lang == "en"
    assert summary.left_out == {
        "part of speech p": 1,
        "examples in which the word was not found": 1,
    }


SEVERAL = """<LexicalResource>
  <Lexicon id="toy" label="Toy Net" language="en" email="a@b.c" license="x" version="1">
    <LexicalEntry id="toy-bat"><Lemma writtenForm="bat" partOfSpeech="n"/>
      <Sense id="toy-bat-1" synset="toy-1"/><Sense id="toy-bat-2" synset="toy-2"/></LexicalEntry>
    <Synset id="toy-1" ili="i1" partOfSpeech="n"><Definition>A flying mammal.</Definition>
      <Example>The bat flew.</Example></Synset>
    <Synset id="toy-2" ili="i2" partOfSpeech="n"><Definition>A club.</Definition></Synset>
  </Lexicon>
  <Lexicon id="med" language="en" label="" email="a@b.c" license="x" version="2.0">
    <LexicalEntry id="med-cell"><Lemma writtenForm="cell" partOfSpeech="n"/>
      <Sense id="med-cell-1" synset="med-1"/></LexicalEntry>
    <Synset id="med-1" ili="" partOfSpeech="n">
      <Definition>The smallest unit of life.</Definition></Synset>
  </Lexicon>
</LexicalResource>"""
EXTENSION = """<LexiconExtension id="ext" label="More" language="en" email="a@b.c" license="x"
    version="1">
  <Extends id="toy" version="1"/>
  <ExternalLexicalEntry id="toy-bat"><Form writtenForm="battes"/>
    <Sense id="ext-bat-3" synset="ext-3"/>
    <ExternalSense id="toy-bat-2"><Example>He broke the bat.</Example></ExternalSense>
  </ExternalLexicalEntry>
  <LexicalEntry id="ext-noctule"><Lemma writtenForm="noctule" partOfSpeech="n"/>
    <Sense id="ext-noctule-1" synset="toy-1"/></LexicalEntry>
  <ExternalSynset id="toy-1"><Example>Bats hunt by night.</Example></ExternalSynset>
  <Synset id="ext-3" ili="" partOfSpeech="n"><Definition>A cross woman.</Definition></Synset>
</LexiconExtension></LexicalResource>"""


def test_of_several_languages_one_is_chosen(tmp_path):
    other = re.search(r"  <Lexicon .*</Lexicon>\n", LMF, re.DOTALL)[0]
    other = other.replace("toy", "spiel").replace('"en"', '"de"')
    path = written(
        tmp_path, "two.xml", LMF.replace("</LexicalResource>", other + "</LexicalResource>")
    )
    with pytest.raises(ConfigError, match=r"two\.xml has lexicons of en, de; choose a language"):
        import_inventory(path, tmp_path / "x.jsonl")
    with pytest.raises(ConfigError, match=r"^--lang fr: .*two\.xml has lexicons of en, de$"):
        import_inventory(path, tmp_path / "x.jsonl", lang="fr")
    _, inventory = imported(tmp_path, path, lang="de")
    assert {sense.id.partition("-")[0] for sense in inventory.senses} == {"spiel"}


ENTRY = '<LexicalEntry id="e"><Lemma writtenForm="bat" partOfSpeech="n"/>'
SYNSET = '<Synset id="s" partOfSpeech="n"><Definition>x</Definition></Synset>'


@pytest.mark.parametrize(
    ("body", "senses"),
    [
        (f'{ENTRY}<Sense synset="s"/><Sense synset="s"/></LexicalEntry>', ["bat.n.1", "bat.n.2"]),
        (f'{ENTRY}<Form writtenForm="_"/><Sense id="a" synset="s"/></LexicalEntry>', ["a"]),
        (
            f'{ENTRY.replace("bat", "")}<Sense id="a" synset="s"/></LexicalEntry>'
            f'{ENTRY}<Sense id="b" synset="s"/></LexicalEntry>',
            ["b"],
        ),
    ],
)
def test_wordnets_of_odd_shapes(tmp_path, body, senses):
    lexicon = '<Lexicon id="x" language="en">' + body + SYNSET + "</Lexicon>"
    for text in (
        lexicon,
        lexicon.replace("Lexicon ", "LexiconExtension ").replace("/Lexicon>", "/LexiconExtension>"),
    ):
        path = written(tmp_path, "w.xml", f"<LexicalResource>{text}</LexicalResource>")
        assert [sense.id for sense in imported(tmp_path, path)[1].senses] == senses


def test_a_compressed_file_whose_name_does_not_say_so(tmp_path):
    path = written(tmp_path, "w.xml", gzip.compress(LMF.encode()))
    with pytest.raises(InventoryError, match=r"w\.xml is compressed; unpack .*with gunzip -c$"):
        import_inventory(path, tmp_path / "x.jsonl")


def test_of_several_lexicons_all_are_taken_and_named(tmp_path):
    summary, inventory = imported(tmp_path, written(tmp_path, "w.xml", SEVERAL))
    assert [sense.id for sense in inventory.senses] == ["toy-bat-1", "toy-bat-2", "med-cell-1"]
    assert summary.notes == [
        "lexicons taken: toy:1 (Toy Net, en), med:2.0 (en); --lexicon ID takes one"
    ]


@pytest.mark.parametrize("lexicon", ["med", "med:2.0"])
def test_one_of_several_lexicons(tmp_path, lexicon):
    path = written(tmp_path, "w.xml", SEVERAL)
    summary, inventory = imported(tmp_path, path, lexicon=lexicon)
    assert [sense.id for sense in inventory.senses] == ["med-cell-1"]
    assert summary.notes == ["lexicons left out: toy:1 (Toy Net, en)"]
    _, both = imported(tmp_path, path, lexicon="med toy:1")
    assert len(both.senses) == 3


def test_an_unknown_lexicon(tmp_path):
    path = written(tmp_path, "w.xml", SEVERAL)
    said = r"^--lexicon mad: .*w\.xml has toy:1 \(Toy Net, en\), med:2\.0 .*; did you mean 'med'\?$"
    with pytest.raises(ConfigError, match=said):
        import_inventory(path, tmp_path / "x.jsonl", lexicon="mad")
    with pytest.raises(ConfigError, match=r"^--lexicon is for a wn-lmf; .*g\.csv is read as g"):
        import_inventory(written(tmp_path, "g.csv", "a,b"), tmp_path / "x.jsonl", lexicon="mad")
    for name, value in {"pos": "NOUN", "columns": {"term": "x"}}.items():
        with pytest.raises(ConfigError, match=rf"^--{name} is for a glossary; .*read as wn-lmf$"):
            import_inventory(path, tmp_path / "x.jsonl", **{name: value})


def test_two_versions_of_a_lexicon(tmp_path):
    both = SEVERAL.replace('"med"', '"toy"').replace("med-cell-1", "toy-bat-1")
    path = written(tmp_path, "w.xml", both)
    with pytest.raises(
        ConfigError, match=r"^toy:1 and toy:2\.0 have a sense 'toy-bat-1' each; cho"
    ):
        import_inventory(path, tmp_path / "x.jsonl")
    _, inventory = imported(tmp_path, path, lexicon="toy:2.0")
    assert [sense.definition for sense in inventory.senses] == ["The smallest unit of life."]


def test_an_extension_adds_to_its_lexicon(tmp_path):
    path = written(tmp_path, "w.xml", SEVERAL.replace("</LexicalResource>", EXTENSION))
    summary, inventory = imported(tmp_path, path, lexicon="ext")
    found = {sense.id: sense for sense in inventory.senses}
    assert list(found) == ["toy-bat-1", "toy-bat-2", "ext-bat-3", "ext-noctule-1"]
    assert found["toy-bat-1"].forms == ("battes",)
    assert [e.text for e in found["toy-bat-1"].examples] == ["The bat flew.", "Bats hunt by night."]
    assert [example.text for example in found["toy-bat-2"].examples] == ["He broke the bat."]
    assert found["ext-noctule-1"].definition == "A flying mammal."
    assert summary.notes[0] == "lexicons left out: med:2.0 (en)"


def test_an_extension_without_its_lexicon(tmp_path):
    path = written(tmp_path, "w.xml", "<LexicalResource>" + EXTENSION)
    with pytest.raises(InventoryError, match=r"left out: 2 word of toy:1, which is not here"):
        import_inventory(path, tmp_path / "x.jsonl")


def test_an_example_with_elements_is_whole(tmp_path):
    example = '<Sense id="a" synset="s"><Example>A <b>bat</b> flew.</Example></Sense>'
    lexicon = f'<Lexicon id="x" language="en">{ENTRY}{example}</LexicalEntry>{SYNSET}</Lexicon>'
    _, inventory = imported(tmp_path, written(tmp_path, "w.xml", lexicon))
    assert inventory.senses[0].examples == (Example("A bat flew.", 2, 5),)


@pytest.fixture
def wn(tmp_path):
    """The ``wn`` library with data of its own."""
    library = pytest.importorskip("wn")
    before = library.config.data_directory
    library.config.data_directory = tmp_path / "wn"
    yield library
    library.config.data_directory = before


HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE LexicalResource SYSTEM '
    '"http://globalwordnet.github.io/schemas/WN-LMF-1.3.dtd">\n'
)


@pytest.mark.parametrize("is_of_library", [False, True])
@pytest.mark.parametrize(
    ("languages", "definition"),
    [(("de", "en"), "2"), (("de", ""), "2"), (("de", "fr"), "1"), (("", "en"), "1")],
)
def test_the_definition_in_the_language_of_the_lexicon(
    tmp_path, wn, languages, definition, is_of_library
):
    texts = "".join(
        f'<Definition language="{language}">{n}</Definition>'
        for n, language in enumerate(languages, 1)
    ).replace(' language=""', "")
    synset = f'<Synset id="s" ili="" partOfSpeech="n">{texts}</Synset>'
    entry = f'{ENTRY}<Sense id="a" synset="s"/></LexicalEntry>'
    named = 'label="X" language="en" email="a@b.c" license="MIT" version="1"'
    lexicon = f'<Lexicon id="x" {named}>{entry}{synset}</Lexicon>'
    path = written(tmp_path, "w.xml", f"{HEAD}<LexicalResource>{lexicon}</LexicalResource>")
    if is_of_library:
        wn.add(path, progress_handler=None)
    _, inventory = imported(tmp_path, "wn:x" if is_of_library else path)
    assert [sense.definition for sense in inventory.senses] == [definition]


@pytest.mark.parametrize("texts", [["a flying animal", "ein Tier"], []])
def test_an_older_wn_names_no_languages(texts):
    class Synset:
        def definition(self):
            return texts[0] if texts else None

        def definitions(self):
            return texts

    assert _definition(Synset(), "en") == "".join(texts[:1])


def test_the_wn_library_gives_the_same(tmp_path, wn):
    wn.add(written(tmp_path, "toy.xml", LMF), progress_handler=None)
    _, inventory = imported(tmp_path, "wn:toy:1")
    with pytest.raises(ConfigError, match=r"wn has no lexicon 'oewn:1' .*it has toy:1; get one"):
        import_inventory("wn:oewn:1", tmp_path / "x.jsonl")
    assert set(inventory.senses) == set(OF_LMF)


@pytest.mark.parametrize("lexicons", ["*", "ext:1", "toy:1 med", "toy ext"])
def test_the_wn_library_gives_the_same_of_several_lexicons(tmp_path, wn, lexicons):
    whole = SEVERAL.replace("</LexicalResource>", EXTENSION)
    wn.add(written(tmp_path, "base.xml", HEAD + SEVERAL), progress_handler=None)
    more = f"{HEAD}<LexicalResource>{EXTENSION}"
    wn.add(written(tmp_path, "more.xml", more), progress_handler=None)
    summary, inventory = imported(tmp_path, f"wn:{lexicons}")
    assert "; wn:ID:VERSION takes one" in summary.notes[0]
    path = written(tmp_path, "whole.xml", whole)
    _, of_file = imported(tmp_path, path, lexicon=None if lexicons == "*" else lexicons)
    known = {sense.id: sense.definition for sense in of_file.senses}
    assert {sense.id: sense.definition for sense in inventory.senses} == known
    with pytest.raises(ConfigError, match=r"^wn has no lexicon 'toy nope' \(.*'nope'"):
        import_inventory("wn:toy nope", tmp_path / "x.jsonl")


def test_without_the_wn_library(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "wn", None)
    with pytest.raises(ResourceError, match=r"^wn:oewn:2024 needs wn, .*run: pip install wn$"):
        import_inventory("wn:oewn:2024", tmp_path / "x.jsonl")

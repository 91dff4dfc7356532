"""Glossaries and Wiktionary as inventories; what cannot be taken is counted."""

from __future__ import annotations

import gzip
import json

import pytest

from spacy_attn.errors import ConfigError, InventoryError
from spacy_attn.wsd.inventory.importers.glossary import parse_columns
from spacy_attn.wsd.inventory.importers.records import pos_of
from spacy_attn.wsd.inventory.importers.run import import_inventory
from spacy_attn.wsd.sense import Example, Sense
from tests.wsd.inventory.given import imported, written

WIKTEXTRACT = [
    {
        "word": "bat",
        "lang": "English",
        "lang_code": "en",
        "pos": "noun",
        "forms": [
            {"form": "bats", "tags": ["plural"]},
            {"form": "no-table", "tags": ["table-tags"]},
        ],
        "senses": [
            {
                "glosses": ["Animal", "A flying mammal."],
                "id": "en-bat-en-noun-1",
                "examples": [
                    {"text": "The bat flew.", "bold_text_offsets": [[4, 7]]},
                    {"text": "Bats sleep by day."},
                    {"text": "x" * 600},
                    {"text": "Nothing here."},
                ],
            },
            {"glosses": ["A club."]},
            {"glosses": ["plural of ba"], "form_of": [{"word": "ba"}], "tags": ["form-of"]},
            {"tags": ["no-gloss"]},
        ],
    },
    {"title": "Bat", "redirect": "bat"},
    {"word": "bat", "lang_code": "en", "pos": "verb", "senses": [{"glosses": ["To hit."]}]},
    {"word": "of", "lang_code": "en", "pos": "prep", "senses": [{"glosses": ["Belonging to."]}]},
]


# -- glossaries ---------------------------------------------------------------------------


def test_a_glossary_with_all_columns(tmp_path):
    text = (
        "\ufeffTerm;Definition;POS;ID;Examples;Forms;Domain\n"
        'bat;"An animal; it flies.";noun;bat.animal;The bat flew. | Bats sleep.;;zoo\n'
        "\n"
        "Hot Spot;A place.;n.;;;hot spotz | hotspots;\n"
        "to run;;v;;They **ran** off.;;\n"
        "under;Below.;prep;;;;\n"
        ";no term;;;;;\n"
        "term alone;;;;;;\n"
    )
    summary, inventory = imported(tmp_path, written(tmp_path, "g.csv", text), lang="en")
    assert inventory.senses == (
        Sense(
            "bat.animal",
            "bat",
            "NOUN",
            "An animal; it flies.",
            (Example("The bat flew.", 4, 7), Example("Bats sleep.", 0, 4)),
            "zoo",
        ),
        Sense("hot_spot.n.1", "hot spot", "NOUN", "A place.", forms=("hot spotz", "hotspots")),
        Sense("run.v.1", "run", "VERB", "", (Example("They ran off.", 5, 8),)),
    )
    assert (summary.n_senses, len(summary.words), summary.n_examples) == (3, 3, 3)
    assert inventory.lang == summary.lang == "en"
    assert summary.left_out == {
        "part of speech prep": 1,
        "no term": 1,
        "neither definition nor example": 1,
    }


def test_a_glossary_of_two_columns_needs_no_header(tmp_path):
    path = written(tmp_path, "g.tsv", "bat\tan animal, that flies\nbat\tto hit\n")
    _, inventory = imported(tmp_path, path)
    assert [(s.id, s.definition) for s in inventory.senses] == [
        ("bat.n.1", "an animal, that flies"),
        ("bat.v.1", "to hit"),
    ]
    _, inventory = imported(tmp_path, path, pos="ADJ")
    assert [s.id for s in inventory.senses] == ["bat.a.1", "bat.a.2"]


def test_columns_of_other_names(tmp_path):
    path = written(tmp_path, "g.csv", "Lemma,Erklärung,Quelle\nBank,Ein Sitz,Buch\n")
    _, inventory = imported(
        tmp_path, path, columns=parse_columns("definition=erklärung, supersense=Quelle")
    )
    assert inventory.senses == (Sense("bank.n.1", "bank", "NOUN", "Ein Sitz", supersense="Buch"),)
    with pytest.raises(InventoryError, match=r"has the columns lemma, erklärung, quelle; name th"):
        import_inventory(path, tmp_path / "x.jsonl")
    with pytest.raises(ConfigError, match=r"has no column 'Sinn'; it has lemma, erklärung, quelle"):
        import_inventory(path, tmp_path / "x.jsonl", columns={"definition": "Sinn"})
    assert not (tmp_path / "x.jsonl").exists()


def senses_of(tmp_path, text):
    """The summary, and (id, definition, words of the examples) of each sense of a glossary."""
    summary, inventory = imported(tmp_path, written(tmp_path, "g.csv", text))
    return summary, [
        (s.id, s.definition, [e.text[e.start : e.end] for e in s.examples])
        for s in inventory.senses
    ]


TWO = [("bat.n.1", "an animal", []), ("bat.n.2", "a club", [])]


@pytest.mark.parametrize(
    "text",
    [
        "A glossary, 2024\n\nterm,definition\nbat,an animal\nbat,a club\n",  # a title
        "sep=;\nterm;definition\nbat;an animal\nbat;a club\n",  # Excel's
        "term,definition\rbat,an animal\rbat,a club\r",  # of an old Mac
        "term,definition\nbat,an animal\nbat,a club\n".encode("utf-16"),
        "\ufeffterm,definition\nbat,an animal\nbat,a club\n".encode("utf-8-sig"),  # twice
        "palabra|significado\nbat|an animal\nbat|a club\n",
        "term,definition\nbat,<p>an <b>animal</b></p>\nbat,a&nbsp;club<br/>\n",
        "term,definition\nbat,an animal\nbat,a club\nbat,an animal\n_,x\nbat,-\n",
    ],
)
def test_glossaries_of_odd_shapes(tmp_path, text):
    summary, senses = senses_of(tmp_path, text)
    assert senses == TWO
    assert summary.notes == []


def test_rows_of_one_sense_are_one_sense(tmp_path):
    text = (
        "term,definition,examples,id,forms\nbat,an animal,A bat flew.,,\n"
        "Bat,an animal,Bats sleep.,,batz\nbat,an animal,A bat flew.,,\nbat,a club,,bat.n.1,\n"
    )
    summary, senses = senses_of(tmp_path, text)
    assert senses == [("bat.n.2", "an animal", ["bat", "Bats"]), ("bat.n.1", "a club", [])]
    assert summary.left_out == {"the same as a row before": 1}


def test_what_a_user_should_know_of_a_glossary(tmp_path):
    summary, _ = senses_of(tmp_path, "nimi,merkitys\nbat,an animal\n")
    assert summary.notes == [
        "no header: the first row, nimi | merkitys, is a sense; if it names the columns, say so "
        "with --columns term=HEADER,definition=HEADER"
    ]
    summary, _ = senses_of(tmp_path, "term,definition,note,\nbat (animal),x,y\nbat,z,,\n")
    assert summary.notes == [
        "columns that are not read: note",
        "words with a bracket, comma or slash: 1, such as 'bat (animal)'; a text that writes them "
        "otherwise does not hold them",
    ]
    with pytest.raises(InventoryError, match=r"columns a, b, c; .* two columns need no header$"):
        senses_of(tmp_path, "a,b,c\nd,e,f\n")


@pytest.mark.parametrize("text", ["termin=x", "term", "term="])
def test_columns_that_a_glossary_does_not_have(text):
    with pytest.raises(ConfigError, match=f"^columns {text!r}: give NAME=HEADER with"):
        parse_columns(text)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("g.csv", b"", r"g\.csv holds no row; a glossary has a term and a definition in each"),
        ("g.csv", b"bat\n", r"g\.csv has the columns bat; name those of the glossary with"),
        ("g.csv", b"term,definition\n,\xff\n", r"g\.csv: byte 18 is not UTF-8; save it as UTF-8"),
        ("g.csv", b"term,definition\n,x\n", r"g\.csv holds no sense; left out: 1 no term$"),
        ("g.csv", b"term,gloss,id\na,x,i\nb,y,i\n", r"record 2, field 'sense': 'i' stands twice"),
        ("w.xml", b"<a><b></a>", r"w\.xml is no XML \(mismatched tag.*; a wordnet is in WN-LMF"),
        ("w.xml", b'<?xml version="1.0" encoding="evil"?><a/>', r"w\.xml is no XML \(unknown enc"),
        ("w.xml", b'<?xml version="1.0" encoding="idna"?><a/>', r"w\.xml is no XML \("),
        ("w.xml", b'<?xml version="1.0" encoding="big5"?><a/>', r"w\.xml is no XML \("),
        ("w.xml", b"<a/>", r"w\.xml holds no <Lexicon>; a wordnet of WN-LMF has one or more"),
        ("w.jsonl", b'{"word": "a", "senses": []}\n{', r"w\.jsonl, line 2: not JSON \(Expecting"),
    ],
)
def test_what_is_broken_is_refused(tmp_path, name, content, reason):
    path = written(tmp_path, name, content)
    with pytest.raises(InventoryError, match=reason):
        import_inventory(path, tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"format": "xml"}, "^format = 'xml'; allowed are glossary, wn-lmf, wiktextract$"),
        ({"pos": "noun"}, "^pos = 'noun'; allowed are NOUN, VERB, ADJ, ADV; did you mean 'NOUN'"),
    ],
)
def test_options_that_are_not_allowed(tmp_path, options, reason):
    with pytest.raises(ConfigError, match=reason):
        import_inventory("x.csv", tmp_path / "out.jsonl", **options)


def test_a_text_that_holds_the_delimiter_without_quotes_is_told(tmp_path):
    text = "term,definition\nbat,a club, for balls\nbat,an animal,\n"
    summary, senses = senses_of(tmp_path, text)
    assert [definition for _, definition, _ in senses] == ["a club", "an animal"]
    assert summary.notes == [
        "rows with more cells than the header: 1, such as that of 'bat'; what is beyond is left "
        "out: put a text that holds the delimiter in quotes"
    ]


@pytest.mark.parametrize(
    "header", ["mot;sens;catégorie grammaticale", "palabra;definición;categoría gramatical"]
)
def test_headers_in_other_languages(tmp_path, header):
    _, inventory = imported(tmp_path, written(tmp_path, "g.csv", f"{header}\nbat;x;verb\n"))
    assert [sense.pos for sense in inventory.senses] == ["VERB"]


def test_a_workbook_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"g\.xlsx is a workbook; save its sheet as CSV, or give"):
        import_inventory(written(tmp_path, "g.xlsx", b"PK"), tmp_path / "out.jsonl")


def test_a_format_that_the_name_does_not_tell(tmp_path):
    path = written(tmp_path, "g.dat", "bat,an animal\n")
    with pytest.raises(ConfigError, match=r"g\.dat is no format that is known by its name; say"):
        import_inventory(path, tmp_path / "out.jsonl")
    assert imported(tmp_path, path, format="glossary")[0].n_senses == 1
    own = written(tmp_path, "own.jsonl", '{"lemma": "bat", "sense": "x"}')
    with pytest.raises(ConfigError, match=r"own\.jsonl is an inventory already; give it as"):
        import_inventory(own, tmp_path / "out.jsonl")


# -- Wiktionary ----------------------------------------------------------------------------


def test_wiktionary_by_wiktextract(tmp_path):
    path = written(tmp_path, "w.jsonl", "\n".join(map(json.dumps, WIKTEXTRACT)))
    summary, inventory = imported(tmp_path, path)
    assert inventory.senses == (
        Sense(
            "bat.n.1",
            "bat",
            "NOUN",
            "Animal: A flying mammal.",
            (Example("The bat flew.", 4, 7), Example("Bats sleep by day.", 0, 4)),
            forms=("bats",),
            ids=(("wiktextract", "en-bat-en-noun-1"),),
        ),
        Sense("bat.n.2", "bat", "NOUN", "A club.", forms=("bats",)),
        Sense("bat.v.1", "bat", "VERB", "To hit."),
    )
    assert inventory.lang == "en"
    assert summary.left_out == {
        "form of another word, or no definition": 2,
        "part of speech prep": 1,
        "examples in which the word was not found": 1,
    }


@pytest.mark.parametrize(
    ("entry", "sense"),
    [
        ({}, {"glosses": None, "raw_glosses": ["An animal."]}),
        ({}, {"glosses": "An animal."}),
        ({"forms": None}, {"examples": None, "tags": None}),
        ({"forms": ["bats", {"form": "_"}, {}]}, {"examples": ["x", {"text": None}]}),
        ({}, {"examples": [{"text": "x", "bold_text_offsets": [[4], ["0", "1"], None]}]}),
        ({}, {"id": 7}),
    ],
)
def test_wiktionary_of_odd_shapes(tmp_path, entry, sense):
    good = {"word": "bat", "lang_code": "en", "pos": "noun"}
    lines = [
        {**good, "senses": [{"glosses": ["An animal."], **sense}], **entry},
        {**good, "senses": None},
        {**good, "senses": [{"glosses": ["\ud800"]}]},
    ]
    path = written(tmp_path, "w.jsonl", "\n".join(map(json.dumps, lines)))
    summary, inventory = imported(tmp_path, path)
    assert [(s.definition, s.forms, s.examples) for s in inventory.senses] == [
        ("An animal.", (), ())
    ]
    assert summary.left_out["half of a surrogate pair, which is no character"] == 1


def test_a_place_in_bold_that_is_not_of_the_word(tmp_path):
    bold = [
        {"text": " The bat flew.", "bold_text_offsets": [[5, 8]]},  # counted from the blank
        {"text": "A bat flew.", "bold_text_offsets": [[6, 10]]},
        {"text": "Batman bats.", "bold_text_offsets": [[0, 3]]},
        {"text": "Batman flew.", "bold_text_offsets": [[0, 3]]},
    ]
    sense = {"glosses": ["An animal."], "examples": bold}
    entry = {"word": "bat", "lang_code": "en", "pos": "noun", "senses": [sense]}
    summary, inventory = imported(tmp_path, written(tmp_path, "w.jsonl", json.dumps(entry)))
    assert inventory.senses[0].examples == (
        Example("The bat flew.", 4, 7),
        Example("A bat flew.", 2, 5),
        Example("Batman bats.", 7, 11),
    )
    assert summary.left_out == {"examples in which the word was not found": 1}


def test_wiktionary_of_several_languages(tmp_path):
    german = {"word": "Bank", "lang_code": "de", "pos": "noun", "senses": [{"glosses": ["Sitz"]}]}
    path = written(tmp_path, "w.jsonl", "\n".join(map(json.dumps, [*WIKTEXTRACT, german])))
    with pytest.raises(ConfigError, match=r"line 5: a word of 'de' after words of 'en'; an invent"):
        import_inventory(path, tmp_path / "x.jsonl")
    summary, inventory = imported(tmp_path, path, lang="de")
    assert [sense.lemma for sense in inventory.senses] == ["bank"]
    assert summary.left_out["another language"] == 6


def test_names_of_parts_of_speech():
    names = ("Noun", " V. ", "s", "ADV", "Adjektiv", "Proper noun", "v.t.", "n.f.", "prep", "")
    tags = ["NOUN", "VERB", "ADJ", "ADV", "ADJ", "NOUN", "VERB", "NOUN", None, None]
    assert [pos_of(name) for name in names] == tags


@pytest.mark.parametrize("name", ["toy.xml.gz", "toy.jsonl.gz", "toy.csv.gz"])
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (gzip.compress(b"<a>" * 1000, mtime=0)[:-12], "Compressed file ended before"),
        (b"no gzip", "Not a gzipped file"),
        (
            gzip.compress(b" " * 20_000_000, mtime=0),
            "grows more than 50 times when it is decompressed",
        ),
    ],
)
def test_damaged_and_growing_files_are_one_sentence(tmp_path, name, data, reason):
    path = written(tmp_path, name, data)
    with pytest.raises(InventoryError, match=rf"{name} cannot be read: .*{reason}"):
        import_inventory(path, tmp_path / "out.jsonl", format=None if "x" in name else "glossary")
    assert not list(tmp_path.glob("*out*"))

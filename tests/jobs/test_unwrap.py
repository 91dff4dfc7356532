"""Lines as scanners give them: words cut at line ends, wrapped paragraphs, places as given."""

from __future__ import annotations

import csv
import json
import random
from typing import Any

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span, SpanGroup

from spacy_attn import install_extensions
from spacy_attn.errors import ConfigError
from spacy_attn.jobs import Annotator, JobOptions, annotate_files, annotate_frame
from spacy_attn.jobs.unwrap import move_to_given, unwrap, word_test
from spacy_attn.jobs.wrapped_docs import doc_as_given
from tests.jobs.toy import TOY, make_toy

ENGLISH = word_test("en", frozenset(spacy.blank("en").Defaults.stop_words))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # the joined form is a word
        ("an exam-\nple", "an example"),
        ("the gov-\nernment's plan", "the government's plan"),
        ("with-\nout them-\nselves there-\nfore", "without themselves therefore"),
        ("infor-\nma-\ntion", "information"),
        ("they hap-  \n   pened", "they happened"),
        ("foot-\r\nball and data-\rbase", "football and database"),
        ("a re-\nform", "a reform"),
        ("EXAM-\nPLE", "EXAMPLE"),
        ("walk-\ning, stud-\nies, bat-\nted", "walking, studies, batted"),
        ("exam\u2010\nple", "example"),
        ("exam\u00ac\nple", "example"),
        ("at the end of a page hap-\n\fpened", "at the end of a page happened"),
        # the hyphenated form is one
        ("well-\nknown", "well-known"),
        ("mother-\nin-law", "mother-in-law"),
        ("state-of-the-\nart", "state-of-the-art"),
        ("twenty-\none", "twenty-one"),
        ("left-\nhanded", "left-handed"),
        ("a self-\nmade man", "a self-made man"),
        # neither is known
        ("a sauce-\nstained shirt", "a sauce-stained shirt"),
        ("in Kes-\nwick", "in Keswick"),
        ("the blorp-\nkin", "the blorpkin"),
        ("the log-in page; log-\nin", "the log-in page; log-in"),
        ("a zorgwump and a zorg-\nwump", "a zorgwump and a zorgwump"),
        ("a zorg-wump and a zorg-\nwump", "a zorg-wump and a zorg-wump"),
        ("pre-\nand post-war", "pre- and post-war"),
        # before a capital or a digit
        ("Anglo-\nSaxon", "Anglo-Saxon"),
        ("1990-\n1995", "1990-1995"),
        ("a 3-\nyear-old", "a 3-year-old"),
        # a dash, not a hyphen
        ("the house -\nan old one", "the house - an old one"),
        ("5 \u00ac 3", "5 \u00ac 3"),
        ("- \nab", "- ab"),
        ("x-\n", "x-\n"),
        # soft hyphens
        ("exam\u00ad\nple", "example"),
        ("a ba\u00adt", "a bat"),
        ("ex\u00adam\u00ad\n  ple", "example"),
        # wrapped lines
        ("The old\nhouse", "The old house"),
        ("The old  \n   house", "The old house"),
        ("old\r\nhouse\nby the\rsea", "old house by the sea"),
        (
            "The quick brown fox jumped over the lazy dog and then it\n"
            "Ran over the hills to see the sea. The other fox was\n"
            "not amused.\n\nThe next paragraph",
            "The quick brown fox jumped over the lazy dog and then it "
            "Ran over the hills to see the sea. The other fox was "
            "not amused.\n\nThe next paragraph",
        ),
        # lines that stand alone
        ("one\n\ntwo", "one\n\ntwo"),
        ("one\n \t\ntwo", "one\n \t\ntwo"),
        ("Roses are red\nViolets are blue", "Roses are red\nViolets are blue"),
        ("Mr Smith\n12 High Street\nLondon", "Mr Smith\n12 High Street\nLondon"),
        ("Bring:\n- eggs\n- flour", "Bring:\n- eggs\n- flour"),
        ("1. one\n2. two\na) three\n• four", "1. one\n2. two\na) three\n• four"),
        ("He left.\nshe stayed", "He left.\nshe stayed"),
        # nothing to do
        ("", ""),
        ("\n", "\n"),
        ("A text of one line.\n", "A text of one line.\n"),
        ("well-known and co-op", "well-known and co-op"),
    ],
)
def test_what_is_joined(text, expected):
    assert unwrap(text, ENGLISH).text == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("der Donau-\ndampfer", "der Donaudampfer"),
        ("Kinder-\nund Jugendbücher", "Kinder- und Jugendbücher"),
        ("die E-Mail und die E-\nMail", "die E-Mail und die E-Mail"),
        ("ein Arbeits-\nplatz", "ein Arbeitsplatz"),
    ],
)
def test_without_a_dictionary_the_text_decides(text, expected):
    assert word_test("de") is None
    assert unwrap(text).text == expected


PIECES = [
    *("bat", "exam-", "ple", "well-", "known", "and", "A", "é", "😀", "1990-", "-", "- ", "1. "),
    *("\u00ad", "\u00ac", "\u200b", ".", " ", "  ", "\t", "\n", "\n\n", "\r\n", "\f"),
]


@pytest.mark.parametrize("seed", range(200))
def test_each_character_knows_its_place(seed):
    rng = random.Random(seed)  # noqa: S311
    text = "".join(rng.choice(PIECES) for _ in range(rng.randint(0, 40)))
    joined = unwrap(text, ENGLISH)
    places = [joined.start(i) for i in range(len(joined.text))]
    assert places == sorted(set(places))
    for letter, place in zip(joined.text, places, strict=True):
        is_space = letter == " " and text[place].isspace()
        is_hyphen = letter in "- " and text[place] in "-\u00ac\n\r\f "
        assert letter == text[place] or is_space or is_hyphen, (text, joined.text)
    left_out = [text[i] for i in sorted(set(range(len(text))) - set(places))]
    assert all(letter.isspace() or letter in "-\u00ad\u00ac" for letter in left_out), (
        text,
        left_out,
    )
    assert joined.start(len(joined.text)) == len(text) or not joined.text
    assert joined.end(0) == 0


@pytest.mark.parametrize(
    "text",
    [" " * 10**6, "a" * 10**6, "-" * 10**6, "a-" * 500_000, "\u00ad" * 10**6, "a-\n" * 300_000],
)
def test_a_long_text_takes_no_power_of_its_length(text):
    assert len(unwrap(text).text) <= len(text)


def test_places_of_results():
    joined = unwrap("an exam-\nple of it", ENGLISH)
    part = {"start": 3, "end": 10, "text": "example", "lemma": "example", "score": 0.5}
    assert move_to_given([{"subject": part, "object": None}], joined) == [
        {"subject": {**part, "end": 12, "text": "exam-\nple"}, "object": None}
    ]


# -- jobs --------------------------------------------------------------------------------

TEXT = "Swing the\nba\u00adt! The well-\nknown bat ate an in-\nsect."
FIELDS = ("senses", "stems", "tokens", "chunks", "relations", "entities")


def check_places(value, text):
    """Each place gives its text."""
    if isinstance(value, list):
        return sum(check_places(item, text) for item in value)
    if not isinstance(value, dict):
        return 0
    n = sum(check_places(item, text) for item in value.values())
    if "start" in value:
        assert text[value["start"] : value["end"]] == value["text"]
        n += 1
    return n


def write_jsonl(path):
    path.write_text(json.dumps({"id": 1, "text": TEXT}) + "\n", encoding="utf-8")


def write_csv(path):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "text"], ["1", TEXT]])


@pytest.mark.parametrize(("name", "write"), [("in.jsonl", write_jsonl), ("in.csv", write_csv)])
def test_the_record_is_as_given_and_so_are_its_places(tmp_path, spacy_english, name, write):
    write(tmp_path / name)
    annotator = Annotator(fields=FIELDS, method="lesk")
    output = tmp_path / "out.jsonl"
    annotate_files([tmp_path / name], output, annotator, JobOptions(unwrap=True))
    record = json.loads(output.read_text(encoding="utf-8"))
    assert record["text"] == TEXT
    assert check_places(record, TEXT) > 30
    lemmas = {token["text"]: token["lemma"] for token in record["tokens"]}
    assert lemmas["ba\u00adt"] == "bat"
    assert lemmas["in-\nsect"] == "insect"
    assert [sense["text"] for sense in record["senses"]] == ["ba\u00adt", "bat"]


def test_without_the_option_lines_stay(tmp_path, spacy_english):
    write_jsonl(tmp_path / "in.jsonl")
    annotator = Annotator(fields=("tokens",))
    annotate_files([tmp_path / "in.jsonl"], tmp_path / "out.jsonl", annotator)
    record = json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))
    assert "sect" in [token["text"] for token in record["tokens"]]


def test_a_docbin_has_the_text_as_given(tmp_path, spacy_english):
    write_jsonl(tmp_path / "in.jsonl")
    annotator = Annotator(fields=FIELDS, method="lesk")
    output = tmp_path / "out.spacy"
    annotate_files([tmp_path / "in.jsonl"], output, annotator, JobOptions(unwrap=True))
    install_extensions()
    (doc,) = DocBin(store_user_data=True).from_disk(output).get_docs(spacy.blank("en").vocab)
    assert doc.text == TEXT
    insect = next(token for token in doc if token.norm_ == "insect")
    assert (insect.text, insect.lemma_, insect.tag_) == ("in-\nsect", "insect", "NN")
    assert (insect.dep_, insect.head.text, insect._.stem) == ("dobj", "ate", "insect")
    senses = [(span.text, span.kb_id_, span._.sense.id) for span in doc.spans["senses"]]
    assert [text for text, _, _ in senses] == ["ba\u00adt", "bat"]
    assert all(sense == other for _, sense, other in senses)
    assert [token._.sense is not None for token in doc if token.norm_ == "bat"] == [True, True]
    assert [relation.text(doc) for relation in doc._.relations][-1].endswith("eat | an in-\nsect")
    assert len(list(doc.sents)) == 2
    assert [token.head.text for token in doc if token.is_space] == ["the", "-"]


def test_the_doc_of_a_text_with_all_that_a_doc_can_have():
    joined = unwrap("A New-\nport\nman left", ENGLISH)
    assert joined.text == "A New-port man left" or joined.text == "A Newport man left"
    vocab = spacy.blank("en").vocab
    doc = Doc(vocab, words=joined.text.split(), sent_starts=[True, False, False, True])
    doc.ents = [Span(doc, 1, 3, "PERSON", kb_id="Q1", span_id="x")]
    doc.cats = {"good": 1.0}
    doc.spans["all"] = SpanGroup(
        doc, name="all", spans=[doc[0:4]], attrs={"records": [{"start": 2, "end": 9}]}
    )
    data: Any = doc.user_data  # typed for names, used with tuples by spaCy itself
    data["._.", "note", 2, 9] = "town"
    doc.user_data["rows"] = doc.to_array(["LENGTH", "ORTH"]).astype("float32")
    new = doc_as_given(doc, joined)
    assert new.text == joined.given
    assert [(e.text, e.label_, e.kb_id_, e.id_) for e in new.ents] == [
        ("New-\nport\nman", "PERSON", "Q1", "x")
    ]
    assert new.cats == doc.cats
    assert new.spans["all"][0].text == joined.given
    assert new.spans["all"].attrs["records"] == [{"start": 2, "end": 2 + len("New-\nport")}]
    moved: Any = new.user_data
    assert moved["._.", "note", 2, 11] == "town"
    assert [len(sent) for sent in new.sents] == [4, 1]
    assert [row.any() for row in new.user_data["rows"]] == [True, True, False, True, True]
    assert not doc_as_given(Doc(vocab), unwrap("")).text


def test_the_manifest_says_so_and_a_resumed_job_has_to(tmp_path):
    (tmp_path / "in.txt").write_text("a bat\n", encoding="utf-8")
    output = tmp_path / "out.jsonl"
    annotate_files([tmp_path / "in.txt"], output, TOY, JobOptions(unwrap=True, resume=True))
    manifest = (tmp_path / "out.jsonl.manifest.jsonl").read_text(encoding="utf-8")
    assert json.loads(manifest.splitlines()[0])["unwrap"] is True
    with pytest.raises(ConfigError, match=r"unwrap was true and is false"):
        annotate_files([tmp_path / "in.txt"], output, TOY, JobOptions(resume=True))


def test_errors_speak_of_the_text_as_given():
    (row,) = Annotator(factory=make_toy, unwrap=True).annotate_rows(["exam-\nple \ud800"])
    assert "U+D800 at character 10" in row.reason


def test_long_texts_go_in_pieces(monkeypatch):
    from spacy_attn.jobs import annotator as annotator_module

    text = "The old\nba\u00adt flew over the gar-\nden.\n\n" * 5
    annotator = Annotator(fields=("senses", "tokens"), method="lesk", unwrap=True)
    (whole,) = annotator.annotate_rows([text])
    monkeypatch.setattr(annotator_module, "_PIECE_CHARS", 60)
    (pieces,) = annotator.annotate_rows([text])
    assert pieces == whole
    assert check_places(whole, text) > 30


def test_frames():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"text": ["a ba\u00adt", "no", None]})
    found = annotate_frame(frame, fields="senses", method="lesk", unwrap=True)
    assert [sense["text"] for sense in found["senses"][0]] == ["ba\u00adt"]
    assert found["error"][2] is not None

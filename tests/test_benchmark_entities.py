"""The entity benchmark: its reader against the raw corpus, its arithmetic by hand."""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter

import numpy as np
import pytest
import spacy

from benchmarks.entities import LABELS, in_common_labels, most_frequent, record
from benchmarks.ieer import IEER, Document, Paragraph, Sample, align, folds, read_ieer, stories
from benchmarks.spans import difference, f1

#: A document in the markup of IEER.
RAW = """<DOC>
<DOCNO> TOY1 </DOCNO>
<DOCTYPE> NEWS STORY </DOCTYPE>
<DATE_TIME> 03/14/1998 10:36:00 </DATE_TIME>
<BODY>
<HEADLINE>
News of <b_enamex type="PERSON">Ann<e_enamex>
</HEADLINE>
<TEXT>
\t   <b_enamex type="LOCATION">New
York<e_enamex>'s <b_enamex type="ORGANIZATION" status="opt">A&AMP;B<e_enamex>
(<b_timex type="DATE">1997<e_timex>-<b_timex type="DATE">98<e_timex>)
grew.
<ANNOTATION>
\t   (STORY CAN END HERE)
</ANNOTATION>
\t   b <b_enamex type="PERSON">Lee J.
\t   Cobb<e_enamex> left.
</TEXT>
</BODY>
</DOC>
"""


@pytest.fixture
def toy_zip(tmp_path):
    path = tmp_path / "ieer.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ieer/TOY", f"<IEER_DOC>\n{RAW}</IEER_DOC>\n")
        archive.writestr("ieer/README", "no document")
    return path


def in_characters(paragraph):
    return [(paragraph.text[start:end], label) for start, end, label in paragraph.entities]


def test_reader_by_hand(toy_zip):
    (document,) = read_ieer(toy_zip)
    assert document.name == "TOY1"
    assert [p.text for p in document.paragraphs] == [
        "News of Ann",
        "New York's A&B (1997-98) grew.",
        "b Lee J. Cobb left.",
    ]
    assert [in_characters(p) for p in document.paragraphs] == [
        [("Ann", "PERSON")],
        [("New York", "LOCATION"), ("A&B", "ORGANIZATION"), ("1997", "DATE"), ("98", "DATE")],
        [("Lee J. Cobb", "PERSON")],
    ]


@pytest.mark.skipif(not IEER.is_file(), reason=f"{IEER.name} is not beside the project")
def test_reader_finds_all_entities_of_the_corpus():
    """Against the markup itself, read by an expression of our own; one entity holds another."""
    documents = read_ieer()
    with zipfile.ZipFile(IEER) as archive:
        raw = "".join(archive.read(name).decode() for name in sorted(archive.namelist()))
    raw = raw.replace("&AMP;", "&")
    nested = r'(<b_\w+ type="ORGANIZATION">)<b_\w+ [^>]*>([^<]*)<e_\w+>'
    flat, n_nested = re.subn(nested, r"\1\2", raw)
    marked = re.findall(r'<b_\w+ type="(\w+)"[^>]*>([^<]*)<e_\w+>', flat)
    expected = [(" ".join(text.split()), label) for label, text in marked]
    found = [pair for d in documents for p in d.paragraphs for pair in in_characters(p)]
    assert n_nested == 1
    assert found == expected
    assert len(documents) == 94
    sizes = [len(group) for group in stories(documents)]
    assert (len(sizes), sum(sizes)) == (81, 94)


# -- splits ------------------------------------------------------------------------------


def document(text):
    return Document(text[:1], (Paragraph(text, ()),))


def test_stories_sent_again_are_one():
    long = " ".join(f"w{i}" for i in range(40))
    again = long.replace("w5 ", "other ")
    texts = [f"a {long}", "b nothing", f"c {again} more", "d " + long[:60]]
    assert stories([document(text) for text in texts]) == [[0, 2], [1], [3]]


def test_folds_keep_groups_and_cover_all():
    groups = [[0, 3], [1], [2], [4, 5, 6], [7], [8]]
    sizes = [5, 1, 1, 5, 2, 2, 2, 4, 3]
    parts = folds(groups, sizes, 3, seed=0)
    assert sorted(i for part in parts for i in part) == list(range(9))
    for group in groups:
        assert sum(set(group) <= set(part) for part in parts) == 1
    weights = [sum(sizes[i] for i in part) for part in parts]
    assert max(weights) - min(weights) <= 10  # the largest group
    assert parts == folds(groups, sizes, 3, seed=0)
    assert parts != folds(groups, sizes, 3, seed=1)


def test_alignment_takes_whole_tokens():
    paragraph = Paragraph("1997-98x Ann", ((0, 4, "DATE"), (5, 7, "DATE"), (9, 12, "PERSON")))
    doc = spacy.tokens.Doc(spacy.blank("en").vocab, ["1997-98x", "Ann"])
    seen: Counter[str] = Counter()
    assert align(paragraph, doc, seen) == ((0, 1, "DATE"), (1, 2, "PERSON"))
    assert seen == {"entities": 3, "widened": 1, "dropped": 1}


# -- labels and scores -------------------------------------------------------------------


def test_every_label_has_a_reason_and_common_ones_are_on_both_sides():
    sets = json.loads(LABELS.read_text(encoding="utf-8"))["labels"]
    entries = [entry for labels in sets.values() for entry in labels.values()]
    assert all(len(entry["reason"]) > 5 for entry in entries)
    common = [{e["common"] for e in labels.values()} - {None} for labels in sets.values()]
    assert common[0] == common[1]


def test_common_labels_and_boundaries_by_hand():
    words = "The Hague 's the Kenyans saw the 's of a FAC".split()
    doc = spacy.tokens.Doc(spacy.blank("en").vocab, words)
    spans = [(0, 3, "GPE"), (3, 5, "NORP"), (6, 7, "ORG"), (7, 8, "DATE"), (9, 11, "FAC")]
    expected = [(1, 2, "LOCATION"), (6, 7, "ORGANIZATION"), (7, 8, "WHEN")]
    assert in_common_labels(doc, spans, "ontonotes") == expected


GOLD = [[(0, 2, "PERSON"), (3, 4, "WHEN")], [(0, 1, "PERSON")], []]
#         right               label wrong      end wrong        invented
FOUND = [[(0, 2, "PERSON"), (3, 4, "MONEY")], [(0, 2, "PERSON")], [(1, 2, "WHEN")]]


def test_scores_by_hand():
    found = record([0, 1, 1], GOLD, FOUND)
    # 1 right of 4 found and 3 gold
    assert (found["precision"], found["recall"]) == (0.25, 0.3333)
    assert found["f1"] == pytest.approx(2 / 7, abs=1e-4)
    assert found["span_only"]["f1"] == pytest.approx(4 / 7, abs=1e-4)
    assert found["names_only"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5}
    assert found["by_label"]["WHEN"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "n": 1}
    assert found["by_label"]["MONEY"]["n"] == 0
    # both stories drawn twice, or one of them: (2, 4, 4) -> 1/2 is the first story alone
    assert found["ci95"] == [0.0, 0.5]


def test_nothing_found_and_nothing_there_is_zero():
    assert f1([0, 0, 0]) == 0
    found = record([0, 1], [[], [(0, 1, "PERSON")]], [[], []])
    assert (found["precision"], found["recall"], found["f1"]) == (0.0, 0.0, 0.0)


def test_difference_of_a_system_from_itself_is_none():
    counts = np.array([[3, 4, 5], [1, 2, 2], [0, 1, 3], [2, 2, 2]])
    assert difference(counts, counts) == [0.0, 0.0]
    low, high = difference(counts, counts * [0, 1, 1])
    assert 0 < low < high  # it is better on every story but one


def test_most_frequent_label_of_a_word_by_hand():
    nlp = spacy.blank("en")
    samples = [
        Sample(0, nlp("Ann Lee saw May"), ((0, 2, "PERSON"), (3, 4, "DATE"))),
        Sample(0, nlp("May Lee saw May"), ((0, 2, "PERSON"), (3, 4, "DATE"))),
    ]
    # May is B-DATE twice and B-PERSON once; Lee alone is I-PERSON, which begins an entity
    found = most_frequent(nlp, samples)(["May Lee", "Ann unknown", ""])
    assert found == [[(0, 1, "DATE"), (1, 2, "PERSON")], [(0, 1, "PERSON")], []]

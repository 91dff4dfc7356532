from __future__ import annotations

import json
import os

import pytest
import spacy
from spacy.tokens import Doc

from spacy_attn.classic.relations import BUNDLED, Relation, load_patterns, parse_patterns
from spacy_attn.errors import ResourceError

NODES = [
    {"RIGHT_ID": "verb", "RIGHT_ATTRS": {"POS": "VERB"}},
    {"LEFT_ID": "verb", "REL_OP": ">", "RIGHT_ID": "object", "RIGHT_ATTRS": {"DEP": "dobj"}},
]
ROLES = {"predicate": "verb", "object": "object"}


def line(**changes):
    return json.dumps({"name": "own", "pattern": NODES, "roles": ROLES, **changes})


@pytest.fixture
def doc():
    words = "He never turned the old lights off .".split()
    return Doc(spacy.blank("en").vocab, words=words)


@pytest.fixture
def relation():
    return Relation(
        subject=(0, 1),
        predicate=(2, 3),
        object=(3, 6),
        relation="turn off",
        pattern="object",
        negated=True,
        parts=((2, 3), (6, 7)),
    )


# -- records -----------------------------------------------------------------------------


def test_text(doc, relation):
    assert relation.text(doc) == "He | not turn off | the old lights"
    nobody = Relation(None, (2, 3), (3, 6), "turn", "passive")
    assert nobody.text(doc) == "- | turn | the old lights"
    assert Relation((0, 1), (2, 3), None, "turn", "own").text(doc) == "He | turn | -"


def test_record_is_plain_and_names_characters(doc, relation):
    record = relation.to_record(doc)
    assert json.loads(json.dumps(record)) == record
    assert record["object"] == {"start": 16, "end": 30, "text": "the old lights"}
    assert record["parts"] == [
        {"start": 9, "end": 15, "text": "turned"},
        {"start": 31, "end": 34, "text": "off"},
    ]


def test_record_gives_the_relation_again(doc, relation):
    assert Relation.from_record(relation.to_record(doc), doc) == relation
    nobody = Relation(None, (2, 3), None, "turn", "own", parts=((2, 3),))
    assert Relation.from_record(nobody.to_record(doc), doc) == nobody


def test_merged_tokens_are_taken_whole(doc, relation):
    record = relation.to_record(doc)
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[0:2])
        retokenizer.merge(doc[4:6])
    merged = Relation.from_record(record, doc)
    assert merged.text(doc) == "He never | not turn off | the old lights"
    assert (merged.subject, merged.predicate, merged.object) == ((0, 1), (1, 2), (2, 4))
    assert merged.parts == ((1, 2), (4, 5))


def test_parts_in_one_merged_token_are_one(doc, relation):
    record = relation.to_record(doc)
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[2:7])
    assert Relation.from_record(record, doc).parts == ((2, 3),)


def test_a_text_that_is_gone_has_no_relation(doc, relation):
    record = relation.to_record(doc)
    assert Relation.from_record(record, doc[3:].as_doc()) is None
    other = Doc(doc.vocab, words="He never washed the old lights off .".split())
    assert Relation.from_record(record, other) is None


# -- pattern files -----------------------------------------------------------------------


def test_bundled_patterns_are_few_and_of_both_kinds():
    patterns = load_patterns(BUNDLED)
    assert len(patterns) <= 30
    assert {pattern.kind for pattern in patterns} == {"clause", "noun"}


def test_a_line_is_written_as_it_was_read():
    for text in (line(), line(kind="noun"), line(word="to")):
        (pattern,) = parse_patterns(text, "here")
        assert parse_patterns(pattern.to_line(), "there") == [pattern]
    assert pattern.roles == {"predicate": 0, "object": 1}
    assert pattern.word == "to"


def test_blank_lines_and_a_byte_order_mark_are_passed_over(tmp_path):
    file = tmp_path / "own.jsonl"
    file.write_text("\n\n" + line() + "\r\n\n", encoding="utf-8-sig")
    assert [pattern.name for pattern in load_patterns(file)] == ["own"]


BAD_NODE = {"LEFT_ID": "verb", "REL_OP": "~", "RIGHT_ID": "object", "RIGHT_ATTRS": {}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "Expecting property name"),
        ("[1]", r"'\[1\]' is no JSON object"),
        ("[" * 100_000, "nested too deeply"),
        (line(nodes=[]), "unknown key 'nodes'"),
        (line(name=""), "name = '' is no name"),
        (line(name=None), "name = None is no name"),
        (line(kind="verb"), "kind = 'verb'; allowed are clause, noun"),
        (line(word=1), "word = 1 is no text"),
        (line(pattern=[]), r"pattern = \[\] is no list of nodes"),
        (line(pattern=None), "pattern = None is no list of nodes"),
        (line(pattern=["verb"]), "the node 'verb' has no RIGHT_ID"),
        (line(pattern=[{"RIGHT_ID": "verb"}]), "the node 'verb' has no RIGHT_ATTRS"),
        (line(pattern=[NODES[0], {**NODES[1], "REL": ">"}]), "unknown key 'REL' in the node"),
        (line(pattern=[NODES[0], NODES[0]]), "E100"),  # spaCy's number of its error
        (line(pattern=[NODES[0], BAD_NODE]), "~"),
        (line(pattern=[{**NODES[0], "RIGHT_ATTRS": {"POZ": "VERB"}}]), "POZ"),
        (line(pattern=[{**NODES[0], "RIGHT_ATTRS": {"LOWER": {"REGEX": "("}}}]), "REGEX|unterm"),
        (line(roles={}), r"roles = \{\} does not name the predicate"),
        (line(roles=None), "roles = None does not name the predicate"),
        (line(roles={"predicate": "verb", "agent": "verb"}), "unknown role 'agent'"),
        (line(roles={"predicate": "noun"}), "the predicate is 'noun', which is no RIGHT_ID"),
        (line(roles={"predicate": 0}), "the predicate is 0, which is no RIGHT_ID"),
    ],
)
def test_a_broken_line_is_one_sentence(tmp_path, text, problem):
    file = tmp_path / "own.jsonl"
    file.write_text(line(name="good") + "\n" + text + "\n")
    with pytest.raises(ResourceError, match=rf"own\.jsonl, line 2: .*{problem}.*; allowed: one"):
        load_patterns(file)


def test_a_name_is_there_once():
    with pytest.raises(ResourceError, match="here, line 3: the name 'own' is there twice"):
        parse_patterns(f"{line()}\n\n{line()}", "here")


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_file_without_a_pattern(tmp_path, text):
    file = tmp_path / "own.jsonl"
    file.write_text(text)
    with pytest.raises(ResourceError, match=r"own\.jsonl has no pattern; allowed: one JSON"):
        load_patterns(file)


def test_a_file_that_is_no_text(tmp_path):
    file = tmp_path / "own.jsonl"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ResourceError, match=r"own\.jsonl is not UTF-8 .*; allowed: one JSON"):
        load_patterns(file)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ResourceError, match=r"own\.jsonl is not there; give patterns = "):
        load_patterns(tmp_path / "own.jsonl")


def test_a_folder_and_a_device_are_no_pattern_files(tmp_path):
    with pytest.raises(ResourceError, match=r"is a folder; give patterns = the path of a \.jsonl"):
        load_patterns(tmp_path)
    device = tmp_path / "device.jsonl"
    device.symlink_to(os.devnull)
    with pytest.raises(ResourceError, match=r"device\.jsonl is no file of text; give patterns = "):
        load_patterns(device)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all files")
def test_a_file_that_cannot_be_read(tmp_path):
    path = tmp_path / "own.jsonl"
    path.write_text(line())
    path.chmod(0)
    with pytest.raises(ResourceError, match=r"own\.jsonl cannot be read \(.*\); make it readable"):
        load_patterns(path)

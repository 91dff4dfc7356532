"""Texts of a DocBin: those that spaCy reads, and little memory for those that are none."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import spacy
import srsly
from spacy.tokens import Doc, DocBin

from spacy_attn.jobs import JobOptions, docbin
from spacy_attn.jobs.docbin import quick_packing
from spacy_attn.jobs.readers import read_records
from spacy_attn.jobs.records import BadRecord, Record
from spacy_attn.jobs.sources import find_sources
from tests.memory import LINUX, output_and_peak

TEXTS = [
    "The bat  flew.",
    "",
    "  two\n lines ",
    "NOUN VERB ORTH",
    "a",
    "üñí 🦇 \ud7ff\x00x",
    "it's",
]


def read(path, **options):
    made = JobOptions(**options)
    return [r for source in find_sources([path]) for r in read_records(source, made)]


def parts_of(*docs):
    """What is in a DocBin."""
    return srsly.msgpack_loads(zlib.decompress(DocBin(docs=docs).to_bytes()))


def write(path, parts):
    path.write_bytes(zlib.compress(srsly.msgpack_dumps(parts), 9))
    return path


@pytest.fixture
def nlp():
    return spacy.blank("en")


@pytest.mark.parametrize("attrs", [("ORTH",), ("LEMMA", "TAG", "DEP", "HEAD")])
def test_texts_are_those_of_spacy(tmp_path, nlp, attrs):
    docs = [nlp(text) for text in TEXTS]
    docs.append(Doc(nlp.vocab, words=["no", "spaces", "known"]))
    docs.append(Doc(nlp.vocab, words=["a", "b"], spaces=[False, True]))
    path = tmp_path / "docs.spacy"
    DocBin(attrs=attrs, docs=docs, store_user_data=True).to_disk(path)
    expected = [doc.text for doc in DocBin().from_disk(path).get_docs(spacy.blank("xx").vocab)]
    records = read(path)
    assert [record.text for record in records] == expected
    assert sum(record.n_bytes for record in records) == path.stat().st_size


def test_damage_in_parts_that_are_not_read_costs_nothing(tmp_path, nlp):
    parts = parts_of(nlp("a bat"), nlp("b"))
    path = write(tmp_path / "docs.spacy", {**parts, "user_data": [b"\xc1"], "span_groups": 7})
    assert [record.text for record in read(path)] == ["a bat", "b"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lengths": np.array([-5, 8], "int32").tobytes()}, "has 3 tokens and 3 in its Docs"),
        ({"lengths": np.array([2**30], "int32").tobytes()}, "has 3 tokens and 1073741824"),
        ({"attrs": []}, "cannot reshape array"),
        ({"attrs": [99]}, "65 is not in list"),
        ({"attrs": 65}, "Unexpected type header"),
        ({"strings": ["a"]}, "lacks the string with hash"),
        ({"strings": 5}, "Unexpected type header"),
        ({"strings": [5, 7]}, "lacks the string with hash"),
        ({"strings": [["a"]]}, "exceeds max_array_len"),
        ({"flags": []}, "has 2 Docs and 0 flags"),
        ({"flags": [1, 2]}, "Unexpected type header"),
        ({"flags": [{"a": {"b": 1}}, {}]}, "exceeds max_map_len"),
        ({"spaces": b""}, "has 3 tokens and 3 in its Docs"),
        ({"tokens": "text"}, "TypeError"),
    ],
)
def test_a_crafted_docbin_is_one_bad_record(tmp_path, nlp, change, reason):
    path = write(tmp_path / "docs.spacy", {**parts_of(nlp("a bat"), nlp("b")), **change})
    (record,) = read(path)
    assert isinstance(record, BadRecord)
    assert "the rest of the file is no DocBin" in record.reason
    assert reason in record.reason


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no zlib",
        zlib.compress(b"\x93\1\2\3"),
        zlib.compress(b"\x91" * 10**6),
        zlib.compress(b"\x81\xa1a"),
        zlib.compress(b"\xdf\xff\xff\xff\xff"),
    ],
)
def test_what_is_no_docbin_is_one_bad_record(tmp_path, data):
    path = tmp_path / "docs.spacy"
    path.write_bytes(data)
    (record,) = read(path)
    assert "the rest of the file is no DocBin" in record.reason


def test_a_text_above_the_limit_costs_itself_alone(tmp_path, nlp):
    path = tmp_path / "docs.spacy"
    DocBin(docs=[nlp("short"), nlp("long " * 40), nlp("éé " * 20), nlp("end")]).to_disk(path)
    records = read(path, max_record_bytes=60)
    assert [isinstance(record, Record) for record in records] == [True, False, False, True]
    assert "more than 60 bytes" in records[1].reason


def test_a_long_doc_is_put_together_in_pieces(tmp_path, nlp, monkeypatch):
    monkeypatch.setattr(docbin, "_TOKENS", 2)
    docs = [nlp("one two three four five"), Doc(nlp.vocab, words=["no", "spaces", "known"])]
    path = tmp_path / "docs.spacy"
    DocBin(docs=docs).to_disk(path)
    assert [record.text for record in read(path)] == [doc.text for doc in docs]
    long, _ = read(path, max_record_bytes=20)
    assert "more than 20 bytes" in long.reason


def bomb(kind, nlp, n_docs=0):
    """Some kilobytes that spaCy would unpack to gigabytes."""
    parts = parts_of(nlp("a bat"))
    lists = {
        "cats": (100_000_000, b"\x90"),  # empty lists
        "zzz": (100_000_000, b"\x90"),
        "attrs": (100_000_000, b"\x01"),
        "flags": (100_000_000, b"\x80"),  # empty objects
        "lists for flags": (60_000_000, b"\x90"),
        "strings": (15_000_000, b"\xa3abc"),
    }
    if kind in lists:
        length, item = lists[kind]
        name = kind.rpartition(" ")[2]
        rest = srsly.msgpack_dumps({key: value for key, value in parts.items() if key != name})
        n_parts = bytes([rest[0] + 1])
        many = b"\xdd" + struct.pack(">I", length) + item * length
        return zlib.compress(n_parts + rest[1:] + srsly.msgpack_dumps(name) + many)
    if kind == "empty":
        parts |= {
            "lengths": bytes(4 * n_docs),
            "tokens": b"",
            "spaces": b"",
            "flags": [{}] * n_docs,
        }
    if kind == "different strings":
        parts["strings"] = [f"{i:x}" for i in range(1_200_000)]
    if kind == "lengths":
        parts["lengths"] = bytes(100_000_000)
    if kind == "tokens":
        parts["tokens"] = bytes(2**28)
    if kind == "text":  # 100,000 tokens of a million characters
        word, n = "bat " * 250_000, 100_000
        parts |= {
            "attrs": [65],
            "strings": [word],
            "lengths": np.array([n], "int32").tobytes(),
            "tokens": np.full(n, nlp.vocab.strings.add(word), "uint64").tobytes(),
            "spaces": b"\1" * n,
            "flags": [{}],
        }
    return zlib.compress(srsly.msgpack_dumps(parts))


IMPORTS = """
import sys
from spacy_attn.jobs import JobOptions
from spacy_attn.jobs.readers import read_records
from spacy_attn.jobs.sources import find_sources
import numpy, spacy.strings, srsly.msgpack
"""
READ = """
for path in sys.argv[1:]:
    (source,) = find_sources([path])
    (record,) = read_records(source, JobOptions())
    print(getattr(record, "reason", "good"))
"""
BOMBS = {
    "cats": "more than 67,108,864 bytes; split it",
    "zzz": "more than 67,108,864 bytes; split it",
    "lengths": "more than 67,108,864 bytes; split it",
    "tokens": "more than 67,108,864 bytes; split it",
    "text": "more than 16,777,216 bytes; raise the limit with --max-record-bytes",
    "attrs": "cannot reshape array",
    "flags": "it has 100,000,000 Docs, most of a file of its size 262,144; split it",
    "lists for flags": "it has 60,000,000 Docs",
    "strings": "it lacks the string with hash",
    "different strings": "it has more than 1,048,576 different strings; split it",
}


@pytest.mark.slow
@LINUX
def test_bombs_are_refused_without_being_held(tmp_path, nlp):
    paths = [tmp_path / f"{kind}.spacy" for kind in BOMBS]
    for path in paths:
        path.write_bytes(bomb(path.stem, nlp))
    said, megabytes = output_and_peak(IMPORTS, READ, *paths, cwd=tmp_path)
    for kind, reason, line in zip(BOMBS, BOMBS.values(), said.splitlines(), strict=True):
        assert reason in line, kind
    assert megabytes < 300


@pytest.mark.parametrize(("n_docs", "is_good"), [(30, True), (5000, False)])
def test_docs_of_no_bytes_are_refused_beyond_a_number(tmp_path, nlp, monkeypatch, n_docs, is_good):
    monkeypatch.setattr(docbin, "_MOST_DOCS", 30)
    path = tmp_path / "docs.spacy"
    path.write_bytes(bomb("empty", nlp, n_docs))
    assert path.stat().st_size < 1000
    reason = f"it has {n_docs:,} Docs, most of a file of its size"
    if is_good:
        assert [record.text for record in read(path)] == [""] * n_docs
    else:
        (record,) = read(path)
        assert reason in record.reason


def test_many_small_docs_that_pack_well_are_read(tmp_path, nlp, monkeypatch):
    monkeypatch.setattr(docbin, "_MOST_DOCS", 30)
    path = tmp_path / "docs.spacy"
    DocBin(docs=[nlp(f"bat {i} flew") for i in range(2000)]).to_disk(path)
    assert len(read(path)) == 2000


def test_quick_packing_leaves_the_registries_as_they_were(nlp):
    from srsly.msgpack import msgpack_encoders

    doc = nlp("a bat")
    doc.user_data["array"] = np.arange(3)
    with quick_packing():
        packed = doc.to_bytes()
        assert Doc(nlp.vocab).from_bytes(packed).user_data["array"].tolist() == [0, 1, 2]
    assert "get_all" not in vars(msgpack_encoders)
    assert packed == doc.to_bytes()
    msgpack_encoders.register("spacy_attn_test", func=lambda obj, chain=None: chain(obj))
    with quick_packing():
        assert "spacy_attn_test" in msgpack_encoders.get_all()
    import catalogue

    del catalogue.REGISTRY["srsly", "msgpack_encoders", "spacy_attn_test"]

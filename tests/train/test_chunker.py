from __future__ import annotations

import gzip
import pickle
import re
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spacy
import srsly
from spacy.tokens import Doc, DocBin, Span

from spacy_attn.errors import ConfigError, RecordError, ResourceError
from spacy_attn.train.chunker import read_labelled_sentences, score_tagger

TEXT = "The DT B-NP\nbat NN I-NP\n\nIt PRP B-NP\nflew VBD B-VP\n"
SENTENCES = [
    [("The", "DT", "B-NP"), ("bat", "NN", "I-NP")],
    [("It", "PRP", "B-NP"), ("flew", "VBD", "B-VP")],
]


def read(path, task="chunks", **settings):
    return list(read_labelled_sentences(path, task=task, **settings))


def write_docs(path, *docs):
    DocBin(docs=docs).to_disk(path)
    return path


def make_doc(*, words=("The", "\n", "bat", "It"), tags=("DT", "_SP", "NN", "PRP"), **settings):
    return Doc(spacy.blank("en").vocab, words=words, tags=tags, **settings)


# -- columns -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.rstrip("\n"),
        "\ufeff" + TEXT,
        TEXT.replace("\n", "\r\n"),
        "\n\n" + TEXT.replace("\n\n", "\n \n\n") + "\n\n",
        TEXT.replace(" ", "\t"),
        "-DOCSTART- -X- O\n\n" + TEXT,
        TEXT.replace("-NP\n", "-NP O\n").replace("-VP\n", "-VP O\n"),  # CoNLL-2003's columns
    ],
)
def test_columns(tmp_path, text):
    file = tmp_path / "a.conll"
    file.write_bytes(text.encode())
    assert read(file) == SENTENCES


def test_the_column_of_each_task(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("EU NNP I-NP I-ORG\n")
    assert read(file, "chunks") == [[("EU", "NNP", "I-NP")]]
    assert read(file, "entities") == [[("EU", "NNP", "I-ORG")]]


def test_a_word_with_a_blank_between_tabs(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("New York\tNNP\tB-NP\n")
    assert read(file) == [[("New York", "NNP", "B-NP")]]


def test_packed_columns(tmp_path):
    with gzip.open(tmp_path / "a.gz", "wt") as file:
        file.write(TEXT)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("corpus/", "")
        archive.writestr("corpus/a.txt", TEXT)
    assert read(tmp_path / "a.gz") == SENTENCES
    assert read(tmp_path / "a.zip" / "corpus" / "a.txt") == SENTENCES
    for path in (tmp_path / "a.zip", tmp_path / "a.zip" / "b.txt"):
        with pytest.raises(ResourceError, match=r"name a file within .*a\.zip/corpus/a\.txt; it"):
            read(path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("bat NN", "line 4: 'bat NN' has not the columns word, tag and IOB label"),
        ("bat", "line 4: 'bat' has not the columns"),
        ("bat\t\tB-NP", "line 4: .* has not the columns"),
        ("bat NN NP", "line 4: 'NP' is no IOB label; allowed: O"),
        ("1 bat bat NOUN NN", "line 4: 'bat' is no IOB label"),  # CoNLL-U
        ("x" * 500, r"line 4: 'x{57}\.\.\.' has not the columns"),
    ],
)
def test_bad_lines_name_file_and_line(tmp_path, line, reason):
    file = tmp_path / "a.txt"
    file.write_text(f"The DT B-NP\nbat NN I-NP\n\n{line}\n")
    with pytest.raises(RecordError, match=rf"a\.txt, {reason}"):
        read(file)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.txt", None, "cannot read .*No such file"),
        ("a.gz", None, "cannot read .*No such file"),
        ("a.spacy", None, "cannot read .*No such file"),
        ("a.txt", b"\xff\xfe\x00", "is not UTF-8 text .*columns are read from"),
        ("a.gz", b"The DT B-NP\n", "cannot read .*Not a gzipped file"),
        ("a.gz", gzip.compress(TEXT.encode() * 100, mtime=0)[:50], "cannot read .*Compressed file"),
        (
            "a.gz",
            gzip.compress(b"The DT B-NP\n" * 2_000_000, mtime=0),
            "cannot read .*grows more than 50 t",
        ),
        ("a.zip", b"The DT B-NP\n", "is damaged .*not a zip file"),
        ("a.spacy", b"The DT B-NP\n", r"is no DocBin .*to_disk"),
        ("a.spacy", b"", r"is no DocBin"),
    ],
)
def test_bad_files(tmp_path, name, data, reason):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ResourceError, match=reason):
        read(tmp_path / name)


# -- Docs ----------------------------------------------------------------------------------


def test_docs_with_span_groups(tmp_path):
    doc = make_doc(sent_starts=[True, False, False, True])
    doc.spans["chunks"] = [Span(doc, 0, 3, "NP"), Span(doc, 3, 4, "NP")]
    doc.spans["none"] = []
    file = write_docs(tmp_path / "a.spacy", doc, make_doc(words=["\n"], tags=["_SP"]))
    first = [("The", "DT", "B-NP"), ("bat", "NN", "I-NP")]  # white space is left out
    assert read(file) == [first, [("It", "PRP", "B-NP")]]
    assert [label for s in read(file, "entities", spans_key="none") for *_, label in s] == ["O"] * 3


def test_docs_with_entities_and_no_sentences(tmp_path):
    doc = make_doc()
    doc.ents = [Span(doc, 2, 3, "ANIMAL")]
    file = write_docs(tmp_path / "a.spacy", doc)
    assert read(file, "entities") == [
        [("The", "DT", "O"), ("bat", "NN", "B-ANIMAL"), ("It", "PRP", "O")]
    ]


def test_docs_that_cannot_be_used(tmp_path):
    with pytest.raises(ConfigError, match=r"Doc 1 has no doc\.spans\['chunks'\].*--spans-key"):
        read(write_docs(tmp_path / "a.spacy", make_doc()))
    file = write_docs(tmp_path / "a.spacy", make_doc(), make_doc(tags=None))
    with pytest.raises(RecordError, match=r"a\.spacy, Doc 2: it has no tags; run a pipeline"):
        read(file, "entities")
    nested = make_doc()
    nested.spans["chunks"] = [Span(nested, 0, 3, "PP"), Span(nested, 2, 3, "NP")]
    with pytest.raises(RecordError, match=r"Doc 1: the span \(2, 3, 'NP'\) shares tokens"):
        read(write_docs(tmp_path / "a.spacy", nested))


# -- scores --------------------------------------------------------------------------------


class Fixed:
    """Says the same labels whatever the sentence."""

    def __init__(self, *labels):
        self.labels = list(labels)

    def tag(self, words, tags):
        return self.labels[: len(words)]


def test_scores_by_hand():
    # gold: NP(0, 2); NP(0, 1) VP(1, 2). said: NP(0, 1) VP(1, 2) twice
    scores = score_tagger(Fixed("B-NP", "B-VP"), SENTENCES)
    assert (scores["n"], scores["precision"]) == (3, 2 / 4)
    assert scores["recall"] == pytest.approx(2 / 3)
    assert scores["f1"] == pytest.approx(4 / 7)
    assert scores["types"]["NP"] == {"n": 2, "precision": 0.5, "recall": 0.5, "f1": 0.5}
    assert scores["types"]["VP"] == {"n": 1, "precision": 0.5, "recall": 1.0, "f1": 2 / 3}


@pytest.mark.parametrize("sentences", [[], SENTENCES])
def test_scores_of_nothing(sentences):
    scores = score_tagger(Fixed("O", "O"), sentences)
    assert (scores["precision"], scores["recall"], scores["f1"]) == (0.0, 0.0, 0.0)


def parts_of(*docs):
    return srsly.msgpack_loads(zlib.decompress(DocBin(docs=docs, store_user_data=True).to_bytes()))


def span_outside() -> bytes:
    """The packed groups of a longer Doc."""
    long = Doc(spacy.blank("en").vocab, words=["a"] * 20)
    long.spans["chunks"] = [Span(long, 15, 18, label="NP")]
    return long.spans.to_bytes()


DOCBINS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "attribute that does not exist": lambda parts: {"attrs": [65, 99_999]},
    "no text": lambda parts: {"attrs": [75] * len(parts["attrs"])},
    "attributes of another type": lambda parts: {"attrs": 5},
    "strings missing": lambda parts: {"strings": []},
    "cut tokens": lambda parts: {"tokens": parts["tokens"][:-3]},
    "span groups of another type": lambda parts: {"span_groups": [b"\x05"]},
    "span outside": lambda parts: {"span_groups": [span_outside()]},
}


@pytest.mark.parametrize("kind", DOCBINS)
def test_a_crafted_docbin_is_one_sentence(tmp_path, kind):
    parts = parts_of(make_doc())
    content = srsly.msgpack_dumps({**parts, **DOCBINS[kind](parts)})
    (tmp_path / "a.spacy").write_bytes(zlib.compress(content))
    with pytest.raises(ResourceError, match=r"a\.spacy.* is no DocBin \(.*; write it again") as one:
        read(tmp_path / "a.spacy")
    assert "\n" not in str(one.value)


def test_a_truncated_docbin_is_one_sentence(tmp_path):
    data = DocBin(docs=[make_doc()]).to_bytes()
    for end in range(0, len(data) - 1, 9):
        (tmp_path / "a.spacy").write_bytes(data[:end])
        with pytest.raises(ResourceError, match="is no DocBin"):
            read(tmp_path / "a.spacy")


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("ran"),)


def test_user_data_is_neither_unpickled_nor_unpacked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    doc = make_doc()
    doc.spans["chunks"] = [Span(doc, 0, 3, label="NP")]
    parts = parts_of(doc)
    for data in (pickle.dumps(Evil()), b"\xc1", 7):
        content = srsly.msgpack_dumps({**parts, "user_data": [data]})
        Path("a.spacy").write_bytes(zlib.compress(content))
        assert read(Path("a.spacy"))[0][0] == ("The", "DT", "B-NP")
    Path("b.spacy").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ResourceError, match="is no DocBin"):
        read(Path("b.spacy"))
    assert not Path("ran").exists()


def with_more(parts, name, count, item):
    """A DocBin with a list of many small values in one of its parts, which packs well."""
    packed = srsly.msgpack_dumps({key: value for key, value in parts.items() if key != name})
    many = b"\xdd" + struct.pack(">I", count) + item * count
    return zlib.compress(bytes([packed[0] + 1]) + packed[1:] + srsly.msgpack_dumps(name) + many, 9)


def group(name, spans=(), attrs=b"\x80"):
    """A span group as spaCy packs it."""
    packed = srsly.msgpack_dumps({"name": name, "spans": list(spans)})
    return b"\x83" + packed[1:] + srsly.msgpack_dumps("attrs") + attrs


def groups_of(count, item):
    """Attributes of a span group that are a list of many small values."""
    bad = group("chunks", attrs=b"\xdd" + struct.pack(">I", count) + item * count)
    return srsly.msgpack_dumps({bad: ["chunks"]})


def names_of(n_spans, n_names):
    """A group of many spans with many names: spaCy copies it for each."""
    spans = [struct.pack(">QQQllll", 0, 0, 0, 0, 1, 0, 3)] * n_spans
    return srsly.msgpack_dumps({group("x", spans): [f"{i:x}" for i in range(n_names)]})


GROWING = {
    "another part": lambda parts: with_more(parts, "more", 3_000_000, b"\x90"),
    "categories": lambda parts: with_more(parts, "cats", 3_000_000, b"\x80"),
    "the same string": lambda parts: with_more(
        parts, "strings", 400_000, b"\xa2NN"
    ),  # others are missing
    "attributes of spans": lambda parts: zlib.compress(
        srsly.msgpack_dumps({**parts, "span_groups": [groups_of(3_000_000, b"\x90")]}), 9
    ),
    "names of spans": lambda parts: zlib.compress(
        srsly.msgpack_dumps({**parts, "span_groups": [names_of(500, 5000)]}), 9
    ),
    "empty Docs": lambda parts: with_more(parts, "flags", 3_000_000, b"\x80"),
    "empty span groups": lambda parts: with_more(parts, "span_groups", 3_000_000, b"\xc4\x00"),
}


@pytest.mark.parametrize("kind", GROWING)
def test_a_small_docbin_that_grows_takes_little_memory(tmp_path, kind):
    """spaCy would take 280 MB for 4 KB, and gigabytes for some names of a group."""
    path = tmp_path / "a.spacy"
    path.write_bytes(GROWING[kind](parts_of(make_doc())))
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    try:
        try:
            found = read(path)
        except (ResourceError, ConfigError) as error:
            found = str(error)
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()
    if kind == "attributes of spans":  # they are passed over
        assert found[0][0] == ("The", "DT", "O")
    else:
        assert re.search(r"is no DocBin|no doc\.spans", found)
        assert len(found) < 1000


def test_the_wanted_group_is_read_among_others(tmp_path):
    doc = make_doc(words=("The", "bat"), tags=("DT", "NN"))
    spans = [Span(doc, 0, 2, label="NP")]
    for name in [f"{i:02}" for i in range(40)]:
        doc.spans[name] = []
    doc.spans["mine"] = spans
    doc.spans["mine"].attrs["records"] = [{"a": [1]}]
    expected = [[("The", "DT", "B-NP"), ("bat", "NN", "I-NP")]]
    path = write_docs(tmp_path / "a.spacy", doc)
    assert read(path, spans_key="mine") == expected
    assert read(path, spans_key="07")[0][0][2] == "O"
    with pytest.raises(ConfigError, match=r"has no doc.spans\['chunks'\], but \['00', '01', .*\]"):
        read(path)
    old = srsly.msgpack_dumps([doc.spans["00"].to_bytes(), doc.spans["mine"].to_bytes()])
    parts = parts_of(doc)
    content = {**parts, "span_groups": [old]}  # as spaCy 3.0 packed them
    path.write_bytes(zlib.compress(srsly.msgpack_dumps(content)))
    assert read(path, spans_key="mine") == expected


def test_a_docbin_that_grows_is_refused_before_it_is_unpacked(tmp_path):
    (tmp_path / "a.spacy").write_bytes(with_more(parts_of(make_doc()), "more", 50_000_000, b"\x90"))
    tracemalloc.start()
    try:
        with pytest.raises(ResourceError, match=r"unpacked it has more than 4,194,304 bytes"):
            read(tmp_path / "a.spacy")
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()

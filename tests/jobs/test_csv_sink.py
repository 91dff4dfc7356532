"""CSV and TSV as output: read back as they were, by Python's reader, pandas and our own."""

from __future__ import annotations

import csv
import gzip
import io
import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spacy_attn.errors import ConfigError
from spacy_attn.jobs import JobOptions, annotate_files
from spacy_attn.jobs.csv_sink import CsvSink, item_columns
from spacy_attn.jobs.fields import FIELDS, Field
from spacy_attn.jobs.readers import read_records
from spacy_attn.jobs.records import Record, as_text
from spacy_attn.jobs.sources import find_sources
from tests.jobs.toy import TOY, sense

HOSTILE = [
    'a "bat", cut',
    "a\nbat",
    "a\rbat",
    "a\r\nbat\t;|",
    "=HYPERLINK(bat)",
    "  bat  ",
    "'bat",
    '"',
    "",
    "\x00bat",
    "Fledermaus, \N{BAT} café",
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def annotate(inputs, output, annotator=TOY, **options):
    return annotate_files(inputs, output, annotator, JobOptions(**options))


def write_lines(path, records):
    Path(path).write_text("".join(json.dumps(record) + "\n" for record in records))


def rows_of(path, delimiter=","):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter, strict=True))


# -- a row a record ----------------------------------------------------------------------


@pytest.mark.parametrize(("name", "delimiter"), [("out.csv", ","), ("out.tsv", "\t")])
def test_every_text_comes_back(folder, name, delimiter):
    write_lines("a.jsonl", [{"id": i, "text": text} for i, text in enumerate(HOSTILE)])
    assert annotate(["a.jsonl"], name, batch_size=3).n_out == len(HOSTILE)
    rows = rows_of(name, delimiter)
    assert [row["text"] for row in rows] == HOSTILE
    assert [row["id"] for row in rows] == [str(i) for i in range(len(HOSTILE))]
    assert json.loads(rows[0]["senses"]) == [sense(3)]
    (source,) = find_sources([name])
    records = list(read_records(source, JobOptions(), ()))
    assert [record.text for record in records if isinstance(record, Record)] == HOSTILE


def test_pandas_reads_the_same(folder):
    pd = pytest.importorskip("pandas")
    texts = [text for text in HOSTILE if "\x00" not in text]
    write_lines("a.jsonl", [{"text": text} for text in texts])
    annotate(["a.jsonl"], "out.csv")
    frame = pd.read_csv("out.csv", keep_default_na=False, dtype=str)
    # pandas takes a lone carriage return inside quotes for a line end of its own.
    assert [text.replace("\r\n", "\n") for text in frame["text"]] == [
        text.replace("\r\n", "\n") for text in texts
    ]


def test_columns_of_csv_stay_as_they_were(folder):
    (folder / "a.csv").write_text('id,text,x\n007,"bat, ""bat""",\n1e3,null,NA\n')
    annotate(["a.csv"], "out.csv")
    lines = (folder / "out.csv").read_text().splitlines()
    assert lines[0] == "id,text,x,senses"
    assert lines[1].startswith('007,"bat, ""bat""",,"[{""start"": 0, ')
    assert lines[2] == "1e3,null,NA,[]"


def test_what_json_holds_is_text_or_json(folder):
    write_lines(
        "a.jsonl",
        [
            {"text": "bat", "n": 1.5, "ok": True, "tags": ["a"], "none": None, "deep": {"b": "é"}},
            {"text": "no", "n": "two"},
        ],
    )
    annotate(["a.jsonl"], "out.csv")
    one, two = rows_of("out.csv")
    assert [one[name] for name in ("n", "ok", "tags")] == ["1.5", "true", '["a"]']
    assert (one["none"], json.loads(one["deep"])) == ("", {"b": "é"})
    assert (two["n"], two["ok"], two["other_fields"], two["senses"]) == ("two", "", "", "[]")


def test_fields_that_come_late_are_kept(folder):
    write_lines("a.jsonl", [*[{"text": "bat", "n": 1}] * 1000, {"text": "bat", "late": ["é"]}])
    annotate(["a.jsonl"], "out.csv")
    rows = rows_of("out.csv")
    assert json.loads(rows[-1]["other_fields"]) == {"late": ["é"]}
    assert {row["other_fields"] for row in rows[:-1]} == {""}


def test_types_of_parquet_are_text(folder):
    table = pa.table(
        {
            "text": ["bat", "no"],
            "when": pa.array([1, None], pa.timestamp("ns", tz="UTC")),
            "x": pa.array([float("nan"), 0.1]),
        }
    )
    pq.write_table(table, "a.parquet")
    annotate(["a.parquet"], "out.csv")
    rows = rows_of("out.csv")
    assert rows[0]["when"].startswith("1970-01-01T00:00:00.000000001")
    assert [(row["x"]) for row in rows] == ["", "0.1"]
    assert rows[1]["when"] == ""


def test_a_value_as_text():
    assert [as_text(value) for value in (None, "a", True, 1, 0.5, [1, None], {"a": "é"})] == [
        "", "a", "true", "1", "0.5", "[1, null]", '{"a": "é"}',
    ]  # fmt: skip
    assert as_text(b"\xff") == "/w=="


def test_several_inputs_share_their_columns(folder):
    (folder / "a.txt").write_text("bat\n")
    (folder / "b.csv").write_text("text,id\nbat,1\n")
    annotate(["a.txt", "b.csv"], "out.csv")
    assert [(row["text"], row["id"]) for row in rows_of("out.csv")] == [("bat", ""), ("bat", "1")]


def test_what_has_no_utf_8_is_kept(folder):
    write_lines("a.jsonl", [{"text": "bat", "x": ["\ud800"]}, {"text": "bat", "x": "b"}])
    annotate(["a.jsonl"], "out.csv")
    one, two = rows_of("out.csv")
    assert (one["x"], json.loads(one["other_fields"])) == ("", {"x": ["\ud800"]})
    assert (two["x"], two["other_fields"]) == ("b", "")


def test_compressed_and_in_partitions(folder):
    (folder / "a.txt").write_text("bat\nexplode\n" * 6)
    annotate(["a.txt"], "out.csv.gz")
    plain = gzip.decompress((folder / "out.csv.gz").read_bytes()).decode()
    assert len(plain.splitlines()) == 7
    annotate(["a.txt"], "parts", output_format="tsv", batch_size=2, partition_size=4)
    parts = sorted((folder / "parts").iterdir())
    assert [path.name for path in parts] == ["part-00000.tsv", "part-00001.tsv"]
    assert [len(rows_of(path, "\t")) for path in parts] == [4, 2]


# -- a row an item -----------------------------------------------------------------------


def test_a_row_for_each_sense(folder):
    (folder / "a.csv").write_text("id,text\n1,the bat and the bat\n2,nothing\n3,bat\n")
    annotate(["a.csv"], "out.csv", rows="item")
    assert (folder / "out.csv").read_text() == (
        "id,text,start,end,word,lemma,sense,score\n"
        "1,the bat and the bat,4,7,bat,bat,bat.animal,0.5\n"
        "1,the bat and the bat,16,19,bat,bat,bat.animal,0.5\n"
        "3,bat,0,3,bat,bat,bat.animal,0.5\n"
    )


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if not field.is_array])
def test_items_of_every_field_have_columns(name):
    columns = item_columns([name])
    assert "text" not in columns
    assert len(set(columns)) == len(columns) > 3


def test_parts_of_a_relation_have_columns():
    assert item_columns(["relations"]) == (
        "subject", "subject_start", "subject_end", "relation",
        "object", "object_start", "object_end", "negated", "pattern",
    )  # fmt: skip
    subject = {"start": 0, "end": 3, "text": "Ann"}
    found = {"subject": subject, "relation": "slept", "object": None, "negated": False,
             "pattern": "p"}  # fmt: skip
    sink = CsvSink(",", ["text"], ["relations"], by_item=True)
    record = Record("a.txt", 1, "Ann slept.", None, 10)
    assert sink.encode([(record, {"relations": [found]})]) == (
        b"Ann slept.,Ann,0,3,slept,,,,false,p\n"
    )


def test_a_record_in_an_item_needs_no_place(monkeypatch):
    columns = {"head": {"lemma": "string", "text": "string"}, "role": "string"}
    monkeypatch.setitem(FIELDS, "roles", Field("roles", str, columns))
    assert item_columns(["roles"]) == ("head", "head_lemma", "role")


def test_runners_up_are_json():
    assert item_columns(["sense_details"])[-2:] == ("definition", "runners_up")
    runners = [{"sense": "b", "score": 0.25}]
    found = {"start": 0, "end": 1, "text": "x", "lemma": "x", "sense": "a", "score": None,
             "definition": "D.", "runners_up": runners}  # fmt: skip
    sink = CsvSink("\t", ["text"], ["sense_details"], by_item=True)
    (row,) = csv.reader(
        io.StringIO(
            sink.encode([(Record("a", 1, "x", None, 1), {"sense_details": [found]})]).decode()
        ),
        delimiter="\t",
    )
    assert row[:7] == ["x", "0", "1", "x", "x", "a", ""]
    assert json.loads(row[8]) == runners


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        (("senses", "stems"), "for one field of records, here are senses, stems: name one"),
        (("vectors",), "for one field of records, here are vectors"),
    ],
)
def test_what_has_no_items_is_refused(folder, fields, match):
    (folder / "a.txt").write_text("bat\n")
    with pytest.raises(ConfigError, match=match):
        annotate(["a.txt"], "out.csv", replace(TOY, fields=fields), rows="item")
    assert not (folder / "out.csv.part").exists()


def test_columns_of_the_same_name_are_refused(folder):
    (folder / "a.csv").write_text("text,score\nbat,5\n")
    with pytest.raises(ConfigError, match="the input has a column 'score', which the output adds"):
        annotate(["a.csv"], "out.csv", rows="item")
    assert annotate(["a.csv"], "out.csv").n_out == 1


# -- spreadsheets ------------------------------------------------------------------------


def test_formulas_are_marked_for_spreadsheets(folder):
    texts = ["=1+1", "+bat", "-bat", "@bat", "\tbat", "\rbat", " =bat", "bat"]
    write_lines("a.jsonl", [{"text": text, "=n": 1} for text in texts])
    annotate(["a.jsonl"], "plain.csv")
    assert [row["text"] for row in rows_of("plain.csv")] == texts
    annotate(["a.jsonl"], "out.csv", spreadsheet=True)
    data = (folder / "out.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbftext,'=n,")
    (source,) = find_sources(["out.csv"])
    read = [record.text for record in read_records(source, JobOptions(), ())]
    assert read == [*(f"'{text}" for text in texts[:6]), *texts[6:]]


def test_resumed_options_may_not_change(folder):
    (folder / "a.txt").write_text("bat\nexplode\nbat\n")
    with pytest.raises(Exception, match="--max-errors"):
        annotate(["a.txt"], "out.csv", max_errors=0, batch_size=1, resume=True)
    for changed, match in (
        ({"rows": "item"}, 'rows was "record" and is "item"'),
        ({"spreadsheet": True}, "spreadsheet was false and is true"),
    ):
        with pytest.raises(ConfigError, match=match):
            annotate(["a.txt"], "out.csv", batch_size=1, resume=True, **changed)
    assert annotate(["a.txt"], "out.csv", batch_size=1, resume=True).n_out == 2

"""CSV, TSV, Parquet, DocBin and compressed files, in and out."""

from __future__ import annotations

import datetime
import gzip
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import spacy
from spacy.tokens import DocBin

from spacy_attn.errors import ConfigError
from spacy_attn.jobs import JobOptions, annotate_files
from spacy_attn.jobs.job import _check_call
from spacy_attn.jobs.readers import read_records
from spacy_attn.jobs.records import BadRecord, Record
from spacy_attn.jobs.sources import find_sources
from spacy_attn.jobs.tables import _batches
from tests.jobs.toy import SENSES, TOY, sense
from tests.memory import LINUX, output_and_peak


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(name, added=("senses",), **options):
    made = JobOptions(**options)
    return [r for source in find_sources([name]) for r in read_records(source, made, added)]


def annotate(inputs, output, **options):
    return annotate_files(inputs, output, TOY, JobOptions(**options))


def read_jsonl(path):
    return [json.loads(line) for line in Path(path).read_bytes().splitlines()]


# -- CSV ---------------------------------------------------------------------------------


def test_csv_columns_stay_text(folder):
    (folder / "a.csv").write_text('id,text,x\n007,"bat, ""bat""\nbat",\n1e3,null,NA\n')
    annotate(["a.csv"], "out.jsonl")
    assert read_jsonl("out.jsonl") == [
        {
            "id": "007",
            "text": 'bat, "bat"\nbat',
            "x": "",
            "senses": [sense(0), sense(6), sense(11)],
        },
        {"id": "1e3", "text": "null", "x": "NA", "senses": []},
    ]


def test_tsv_and_text_key(folder):
    (folder / "a.tsv").write_text('n\tbody\n1\tbat, "\n')
    annotate(["a.tsv"], "out.jsonl", text_key="body")
    assert read_jsonl("out.jsonl")[0]["n"] == "1"


def test_bad_rows_of_csv_are_told_with_their_number(folder):
    (folder / "a.csv").write_bytes(
        b"id,text\n1,bat\n2\n3,bat\n4,caf\xe9\n5,bat,x\n6,bat,x\n7,bat\n8\n"
    )
    records = read("a.csv")
    assert [(r.line, r.text) for r in records if isinstance(r, Record)] == [
        (1, "bat"),
        (3, "bat"),
        (7, "bat"),
    ]
    bad = [(r.line, r.reason) for r in records if isinstance(r, BadRecord)]
    assert bad == [
        (2, "1 column in place of 2"),
        (4, "column 'text' is not utf-8; name the right --encoding"),
        (5, "3 columns in place of 2"),
        (6, "3 columns in place of 2"),
        (8, "1 column in place of 2"),
    ]


def test_csv_in_latin_1(folder):
    (folder / "a.csv").write_bytes(b"text\ncaf\xe9\n")
    assert [r.text for r in read("a.csv", encoding="iso8859-1")] == ["café"]


def test_csv_with_header_alone_or_nothing(folder):
    (folder / "a.csv").write_text("text\n")
    assert annotate(["a.csv"], "out.jsonl").n_in == 0
    (folder / "b.csv").touch()
    with pytest.raises(ConfigError, match=r"input b.csv is not csv: it is empty"):
        annotate(["b.csv"], "out2.jsonl")


# -- Parquet -----------------------------------------------------------------------------

TABLE = pa.table(
    {
        "id": pa.array([1, 2, None], pa.int16()),
        "text": pa.array(["bat", "a bat", None], pa.large_string()),
        "when": pa.array([1, 2, 3], pa.timestamp("ns", tz="UTC")),
        "price": pa.array([Decimal("1.10"), None, Decimal("2.00")], pa.decimal128(6, 2)),
        "tags": pa.array([["a"], [], None], pa.list_(pa.string())),
        "raw": pa.array([b"\xff", b"", None], pa.binary()),
        "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
    }
)


def test_parquet_columns_are_carried_through_untouched(folder):
    pq.write_table(TABLE, "a.parquet", row_group_size=1)
    summary = annotate(["a.parquet"], "out.parquet", batch_size=1)
    assert (summary.n_in, summary.n_out, summary.n_failed) == (3, 2, 1)
    result = pq.read_table("out.parquet")
    assert result.column_names == [*TABLE.column_names, "senses"]
    carried = result.select(TABLE.column_names)
    assert carried.schema.remove_metadata() == pq.read_table("a.parquet").schema.remove_metadata()
    assert carried.equals(pq.read_table("a.parquet").slice(0, 2))
    assert result.column("senses").to_pylist() == [SENSES, [sense(2)]]
    (error,) = read_jsonl("out.parquet.errors.jsonl")
    assert (error["line"], error["reason"]) == (3, "the text is null")


def test_parquet_to_jsonl_writes_what_json_knows(folder):
    days = pa.array([datetime.date(2026, 1, 2)])
    table = pa.table({"text": ["bat"], "day": days, "x": [float("nan")], "raw": [b"\xff"]})
    pq.write_table(table, "a.parquet")
    annotate(["a.parquet"], "out.jsonl")
    assert read_jsonl("out.jsonl") == [
        {"text": "bat", "day": "2026-01-02", "x": None, "raw": "/w==", "senses": SENSES}
    ]


def test_damaged_parquet_ends_with_an_error_and_the_next_file_is_read(folder):
    pq.write_table(
        pa.table({"text": ["bat " * 1000] * 50}),
        "a.parquet",
        compression="none",
        use_dictionary=False,
    )
    data = bytearray((folder / "a.parquet").read_bytes())
    data[4:60] = b"\xff" * 56  # the head of the first page
    (folder / "a.parquet").write_bytes(data)
    (folder / "b.txt").write_text("bat\n")
    summary = annotate(["a.parquet", "b.txt"], "out.jsonl")
    assert (summary.n_out, summary.n_failed) == (1, 1)
    (error,) = read_jsonl("out.jsonl.errors.jsonl")
    assert error["reason"].startswith("the rest of the file cannot be read as parquet")


@pytest.mark.parametrize(
    ("table", "match"),
    [
        (
            {"body": ["x"]},
            r"no single column 'text' \(columns: body\); name it with text_key / --text-key",
        ),
        ({"text": [1]}, "column 'text' of input a.parquet is int64: allowed is string"),
        ({"text": ["x"], "senses": [1]}, "has a column 'senses' already"),
    ],
)
def test_wrong_tables_are_refused_before_any_work(folder, table, match):
    pq.write_table(pa.table(table), "a.parquet")
    with pytest.raises(ConfigError, match=match):
        annotate(["a.parquet"], "out.jsonl")
    assert sorted(path.name for path in folder.iterdir()) == ["a.parquet"]


def test_a_column_of_a_csv_that_is_there_twice_is_one_sentence(folder):
    (folder / "a.csv").write_text("text,text\nbat,1\n")
    with pytest.raises(ConfigError, match=r"\(columns: text, text\); rename all but one of them"):
        annotate(["a.csv"], "out.jsonl")


def test_file_that_is_no_parquet_is_refused(folder):
    (folder / "a.parquet").write_bytes(b"PK\x03\x04")
    with pytest.raises(ConfigError, match=r"input a.parquet is not parquet"):
        annotate(["a.parquet"], "out.jsonl")


# -- JSONL to Parquet --------------------------------------------------------------------


def test_jsonl_fields_become_columns_and_the_rest_is_kept(folder):
    records = [
        {"text": "bat", "n": 1, "tags": ["a"], "deep": {"b": 1}, "mixed": 1},
        {"text": "bat", "n": None, "tags": [], "mixed": "one"},
    ]
    later = [{"text": "bat", "n": "two", "late": True}, {"text": "explode"}]
    lines = [json.dumps(r) for r in [*records, *([{"text": "bat", "n": 2}] * 1000), *later]]
    (folder / "a.jsonl").write_text("\n".join(lines))
    summary = annotate(["a.jsonl"], "out.parquet")
    assert (summary.n_out, summary.n_failed) == (1003, 1)
    table = pq.read_table("out.parquet")
    assert table.column_names == ["text", "n", "tags", "other_fields", "senses"]
    rows = table.to_pylist()
    assert [rows[0]["n"], rows[0]["tags"]] == [1, ["a"]]
    assert json.loads(rows[0]["other_fields"]) == {"deep": {"b": 1}, "mixed": 1}
    assert json.loads(rows[1]["other_fields"]) == {"mixed": "one"}
    assert rows[2]["other_fields"] is None
    assert rows[1002]["n"] is None
    assert json.loads(rows[1002]["other_fields"]) == {"n": "two", "late": True}


def test_inputs_of_several_formats_share_a_parquet(folder):
    (folder / "a.txt").write_text("bat\n")
    (folder / "b.csv").write_text("text,id\nbat,1\n")
    (folder / "c.jsonl").write_text('{"text": "bat", "n": 5}\n')
    annotate(["a.txt", "b.csv", "c.jsonl"], "out.parquet")
    rows = pq.read_table("out.parquet").select(["text", "id", "n"]).to_pylist()
    assert rows == [
        {"text": "bat", "id": None, "n": None},
        {"text": "bat", "id": "1", "n": None},
        {"text": "bat", "id": None, "n": 5},
    ]


def test_columns_that_do_not_meet_are_refused(folder):
    (folder / "a.csv").write_text("text,n\nbat,1\n")
    pq.write_table(pa.table({"text": ["bat"], "n": [[1]]}), "b.parquet")
    with pytest.raises(ConfigError, match="do not fit into one Parquet output"):
        annotate(["a.csv", "b.parquet"], "out.parquet")


# -- DocBin, partitions, compression -----------------------------------------------------


def test_docbin_out_and_in_again(folder):
    (folder / "a.jsonl").write_text('{"id": 1, "text": "a bat"}\n{"id": 2, "text": "explode"}\n')
    annotate(["a.jsonl"], "out.spacy")
    (doc,) = DocBin().from_disk("out.spacy").get_docs(spacy.blank("en").vocab)
    assert doc.spans["senses"].attrs["records"][0]["sense"] == "bat.animal"
    (doc,) = DocBin(store_user_data=True).from_disk("out.spacy").get_docs(spacy.blank("en").vocab)
    assert json.loads(doc.user_data["record"]) == {"id": 1, "text": "a bat"}
    annotate(["out.spacy"], "again.jsonl")
    assert read_jsonl("again.jsonl") == [{"text": "a bat", "senses": [sense(2)]}]


def test_what_is_no_docbin_is_one_error(folder):
    (folder / "a.spacy").write_bytes(b"\x80\x04K\x01.")  # a pickle
    summary = annotate(["a.spacy"], "out.jsonl")
    assert (summary.n_in, summary.n_failed) == (1, 1)
    assert "is no DocBin" in read_jsonl("out.jsonl.errors.jsonl")[0]["reason"]


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "parquet", "spacy"])
def test_partitions_hold_every_record_once(folder, ending):
    (folder / "a.txt").write_text("bat\nexplode\n" * 10)
    annotate(["a.txt"], f"out.{ending}", batch_size=2, partition_size=4)
    names = sorted(path.name for path in (folder / f"out.{ending}").iterdir())
    assert names == [f"part-0000{i}.{ending}" for i in range(3)]
    counts = [len(read(f"out.{ending}/{name}", added=())) for name in names]
    assert counts == [4, 4, 2]
    with pytest.raises(ConfigError, match="exists: name another"):
        annotate(["a.txt"], f"out.{ending}", partition_size=4)


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_compressed_lines_in_and_out(folder, ending):
    (folder / "a.txt").write_text("bat\n" * 1000)
    annotate(["a.txt"], f"b.jsonl{ending}")
    assert (folder / f"b.jsonl{ending}").stat().st_size < 2000
    records = read(f"b.jsonl{ending}", added=())
    assert [record.line for record in records] == list(range(1, 1001))
    assert sum(record.n_bytes for record in records) == (folder / f"b.jsonl{ending}").stat().st_size


@pytest.mark.slow
def test_truncated_gzip_keeps_what_was_before(folder):
    data = gzip.compress(b"bat\n" * 100_000 + bytes(range(256)) * 50)
    (folder / "a.txt.gz").write_bytes(data[: len(data) // 2])
    (folder / "b.txt").write_text("bat\n")
    summary = annotate(["a.txt.gz", "b.txt"], "out.jsonl")
    assert summary.n_failed == 1
    (error,) = read_jsonl("out.jsonl.errors.jsonl")
    assert error["reason"].startswith("gzip breaks off or is damaged")
    assert read_jsonl("out.jsonl")[-1]["text"] == "bat"


def test_compressed_bomb_is_one_bad_record(folder):
    (folder / "a.txt.gz").write_bytes(gzip.compress(b"x" * 50_000_000 + b"\nbat\n"))
    bad, good = read("a.txt.gz", max_record_bytes=1000)
    assert isinstance(bad, BadRecord)
    assert bad.reason == (
        "the record has more than 1,000 bytes; raise the limit with --max-record-bytes"
    )
    assert len(bad.raw) <= 8000
    assert good.text == "bat"


@pytest.mark.parametrize(("size", "is_good"), [(10, True), (11, False)])
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.parquet"])
def test_record_limit_is_exact(folder, name, size, is_good):
    text = "x" * size
    if name == "a.parquet":
        pq.write_table(pa.table({"text": [text]}), name)
    else:
        (folder / name).write_text(("text\n" if name == "a.csv" else "") + text + "\r\n")
    (record,) = read(name, max_record_bytes=10)
    assert isinstance(record, Record) is is_good


# -- which files -------------------------------------------------------------------------


def test_folders_and_patterns(folder):
    for name in ("d/b.txt", "d/a.jsonl.gz", "d/sub/c.csv", "d/x.log", "d/.h.txt", "d/_s.txt"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert [s.name for s in find_sources(["d"])] == ["d/a.jsonl.gz", "d/b.txt", "d/sub/c.csv"]
    assert [s.name for s in find_sources(["d/**/*.csv"])] == ["d/sub/c.csv"]
    assert find_sources(["d/a.jsonl.gz"])[0].compression == "gzip"


def test_file_as_a_document(folder):
    (folder / "a.txt").write_bytes(b"\xef\xbb\xbfone bat\r\ntwo\n")
    (folder / "b.txt").write_bytes(b"\xff")
    annotate(["a.txt", "b.txt"], "out.jsonl", input_format="txt-file")
    assert [r["text"] for r in read_jsonl("out.jsonl")] == ["one bat\r\ntwo\n"]
    assert read_jsonl("out.jsonl.errors.jsonl")[0]["reason"].startswith("not utf-8: byte 0xff")


def test_limit_reads_no_further(folder):
    (folder / "a.txt").write_text("bat\n" * 10)
    assert annotate(["a.txt"], "out.jsonl", limit=3).n_in == 3
    assert annotate(["a.txt"], "none.jsonl", limit=0).n_in == 0


def test_times_finer_than_pythons_are_text_in_json(folder):
    fine = pa.array([1_767_312_000_000_000_003], pa.timestamp("ns"))
    table = pa.table(
        {
            "text": ["bat"],
            "at": fine,
            "many": pa.array([[fine[0]]], pa.list_(fine.type)),
            "in": pa.array([{"at": fine[0]}], pa.struct([("at", fine.type)])),
        }
    )
    pq.write_table(table, "a.parquet", version="2.6")
    annotate(["a.parquet"], "out.jsonl")
    (record,) = read_jsonl("out.jsonl")
    assert record.pop("senses") == SENSES
    assert record == {
        "text": "bat",
        "at": (said := "2026-01-02T00:00:00.000000003"),
        "many": [said],
        "in": {"at": said},
    }


def rows_of_batches(**columns):
    pq.write_table(pa.table(columns), "a.parquet", compression="zstd", use_dictionary=False)
    (source,) = find_sources(["a.parquet"])
    return [batch.num_rows for batch, *_ in _batches(source)]


def test_large_rows_of_parquet_are_decoded_one_by_one(folder):
    assert rows_of_batches(text=[f"bat {i}" for i in range(40)]) == [16, 16, 8]
    assert rows_of_batches(text=["x" * 2**21] * 3) == [1, 1, 1]
    small = rows_of_batches(text=["bat"] * 40, beside=["x" * 2**19] * 40)
    assert small == [1] * 40  # some KB that become 20 MB
    annotate(["a.parquet"], "out.jsonl", limit=3)
    assert [record["senses"] for record in read_jsonl("out.jsonl")] == [SENSES] * 3


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_what_is_large_beside_the_text_is_held_in_smaller_chunks(folder, suffix):
    """Each record has a megabyte that nobody annotates; 16 of them are read at a time."""
    line = {"jsonl": json.dumps({"text": "bat", "x": "y" * 10**6}), "csv": f"bat,{'y' * 10**6}"}
    head = "text,x\n" if suffix == "csv" else ""
    (folder / f"a.{suffix}").write_text(head + f"{line[suffix]}\n" * 40)
    call = _check_call([f"a.{suffix}"], "out.jsonl", TOY, JobOptions())
    assert [len(chunk) for chunk in call.chunks()] == [16, 16, 8]


IMPORTS = """
import sys
import pyarrow.parquet as pq
from spacy_attn.jobs import JobOptions, annotate_files
from tests.jobs.toy import TOY

TOY.load()
"""
ANNOTATE = """
options = JobOptions(max_record_bytes=1_000_000)
print(annotate_files(["a.parquet"], sys.argv[1], TOY, options).n_in)
"""


@pytest.mark.slow
@LINUX
@pytest.mark.parametrize("large", ["text", "beside"])
@pytest.mark.parametrize("output", ["out.jsonl", "out.parquet"])
def test_small_parquet_of_large_rows_takes_little_memory(folder, large, output):
    """A dictionary holds the large value once; all rows together would take 2 GB."""
    columns = {"text": ["bat"] * 1024, "beside": ["no"] * 1024, large: ["x" * 2_000_000] * 1024}
    if large == "beside" and output == "out.jsonl":
        columns = {name: values[:100] for name, values in columns.items()}  # it is all written
    pq.write_table(pa.table(columns), "a.parquet")
    assert (folder / "a.parquet").stat().st_size < 200_000
    n_in, megabytes = output_and_peak(IMPORTS, ANNOTATE, output, cwd=folder)
    assert int(n_in) == len(columns["text"])
    assert megabytes < 600


READ = """
from collections import Counter
(source,) = find_sources(["a.parquet"])
records = read_records(source, JobOptions())
places = Counter()
for number, record in enumerate(records, 1):
    found = record.reason if hasattr(record, "reason") else record.text == ""
    places[found, record.line == number] += 1
print(dict(places))
"""


@LINUX
@pytest.mark.parametrize("encoding", ["dictionary", "plain"])
@pytest.mark.parametrize(("text", "found"), [("", True), (None, "the text is null")])
def test_a_great_many_empty_rows_are_each_accounted_for_in_little_memory(
    folder, text, found, encoding
):
    """A row takes no byte of the file, and hundreds when it is a record: 2 GB for 2 million."""
    n = 100_000
    table = pa.table({"text": pa.array([text] * n, pa.string())})
    plain = {"use_dictionary": False, "compression": "zstd"} if encoding == "plain" else {}
    pq.write_table(table, "a.parquet", row_group_size=n // 2, **plain)
    assert (folder / "a.parquet").stat().st_size < 2500
    imports = "from spacy_attn.jobs import JobOptions\nimport pyarrow.compute, pyarrow.parquet\n"
    imports += "from spacy_attn.jobs.readers import read_records\n"
    imports += "from spacy_attn.jobs.sources import find_sources\n"
    places, megabytes = output_and_peak(imports, READ, cwd=folder)
    assert places == str({(found, True): n})
    assert megabytes < 30

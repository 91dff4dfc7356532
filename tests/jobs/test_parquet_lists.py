"""Lists, maps and structs of Parquet: small as packed, large as read."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spacy_attn.jobs import JobOptions, annotate_files
from spacy_attn.jobs.readers import read_records
from spacy_attn.jobs.sources import find_sources
from tests.jobs.toy import TOY
from tests.memory import LINUX, output_and_peak


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def same_values(n, value):
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([value]))


def nested(kind, values, n_rows):
    each = len(values) // n_rows
    starts = pa.array(np.arange(n_rows + 1) * each, pa.int32())
    if kind == "map":
        return pa.MapArray.from_arrays(starts, pa.array(np.arange(len(values)) % each), values)
    lists = pa.ListArray.from_arrays(starts, values)
    return pa.StructArray.from_arrays([lists], ["a"]) if kind == "struct" else lists


def write_nested(kind, values, n_rows):
    columns = {"text": ["bat"] * n_rows, "beside": nested(kind, values, n_rows)}
    pq.write_table(pa.table(columns), "a.parquet", store_schema=False)


IMPORTS = """
from spacy_attn.jobs import JobOptions
from spacy_attn.jobs.readers import read_records
from spacy_attn.jobs.sources import find_sources
import pyarrow.compute, pyarrow.parquet
"""
READ = """
(source,) = find_sources(["a.parquet"])
records = read_records(source, JobOptions())
print(*[getattr(record, "reason", "good") for record in records], sep="|")
"""


def reasons_and_peak(folder):
    """Why each record is refused, and the memory that reading them took, in MB."""
    reasons, megabytes = output_and_peak(IMPORTS, READ, cwd=folder)
    return reasons.split("|"), megabytes


@LINUX
@pytest.mark.parametrize("kind", ["list", "map", "struct"])
def test_row_whose_lists_repeat_a_value_is_refused_before_it_is_decoded(folder, kind):
    """Each row would take 100 MB."""
    write_nested(kind, same_values(300_000, "z" * 1000), 3)
    if kind != "map":  # whose keys differ
        assert (folder / "a.parquet").stat().st_size < 5000
    reasons, megabytes = reasons_and_peak(folder)
    assert reasons == [LONG] * 3
    assert megabytes < 150


@LINUX
def test_row_group_whose_lists_hold_a_number_too_often_is_refused(folder):
    write_nested("list", pa.array(np.zeros(40_000_000, np.int64)), 2)
    (reason,), megabytes = reasons_and_peak(folder)
    assert "row group 0 has 320,0" in reason
    assert reason.endswith("write the file with smaller row groups")
    assert megabytes < 100


LONG = "the record has more than 16,777,216 bytes; raise the limit with --max-record-bytes"


def letters(n, packs):
    """Text of n bytes that shrinks about so many times: kilobytes, each so often."""
    drawn = np.random.default_rng(0).integers(97, 123, (n // packs >> 10, 1024), dtype=np.uint8)
    return np.repeat(drawn, packs, axis=0).tobytes().decode()


@pytest.mark.slow
@LINUX
@pytest.mark.parametrize("packs", [1, 80])
@pytest.mark.parametrize("kind", ["list", "map", "struct"])
def test_a_large_value_in_lists_that_hardly_packs_is_not_held_often(folder, kind, packs):
    """One row of 60 times 33 MB, beside rows that are good."""
    values = same_values(60, letters(33 * 2**20, packs))
    lists = nested(kind, values, 1)
    rest = pa.nulls(40, lists.type)
    table = pa.table({"text": ["bat"] * 41, "beside": pa.chunked_array([lists, rest])})
    options = {"store_schema": False, "dictionary_pagesize_limit": 2**30, "compression": "zstd"}
    pq.write_table(table, "a.parquet", **options)
    size = (folder / "a.parquet").stat().st_size
    assert 0.3 < size * packs / 2**25 < 2.5
    reasons, megabytes = reasons_and_peak(folder)
    assert reasons == [LONG] + ["good"] * 40
    assert megabytes < 300


@pytest.mark.slow
@LINUX
def test_a_small_value_often_beside_large_lists_that_are_good(folder):
    """The dictionary is small and the column large: 40 MB of other values."""
    n, text = 400_000, letters(40 * 2**20, 1).encode()
    ends = np.arange(n + 1, dtype=np.int32) * 100
    values = pa.StringArray.from_buffers(n, pa.py_buffer(ends), pa.py_buffer(text))
    first, rest = pa.array([["z" * 100_000] * 3000]), nested("list", values, 20_000)
    columns = {"text": ["bat"] * 20_001, "beside": pa.chunked_array([first, rest])}
    pq.write_table(pa.table(columns), "a.parquet")
    reasons, megabytes = reasons_and_peak(folder)
    assert reasons == [LONG] + ["good"] * 20_000
    assert megabytes < 450


@pytest.mark.slow
@LINUX
def test_a_large_text_that_hardly_packs_is_decoded_once_at_a_time(folder):
    pq.write_table(
        pa.table({"text": same_values(64, letters(100 * 2**20, 3))}),
        "a.parquet",
        store_schema=False,
        dictionary_pagesize_limit=2**30,
    )
    reasons, megabytes = reasons_and_peak(folder)
    assert reasons == [LONG] * 64
    assert megabytes < 800


@LINUX
def test_a_small_file_of_one_large_text_is_refused(folder):
    pq.write_table(pa.table({"text": ["x" * 400_000_000]}), "a.parquet", compression="zstd")
    (reason,), megabytes = reasons_and_peak(folder)
    assert "row group 0 has 400,0" in reason
    assert megabytes < 100


@pytest.mark.parametrize("kind", ["list", "map", "struct"])
@pytest.mark.parametrize(
    "value_type",
    [pa.string(), pa.large_string(), pa.binary(), pa.string_view(), pa.decimal128(9, 2)],
)
@pytest.mark.parametrize("store_schema", [True, False])
def test_lists_keep_their_types_and_values(folder, kind, value_type, store_schema):
    given = ["1.50", None, "", "2.00"] if value_type != pa.decimal128(9, 2) else ["1.50", None] * 2
    values = pa.array(given).cast(value_type)
    table = pa.table({"text": ["bat", "bat"], "beside": nested(kind, values, 2)})
    pq.write_table(table, "a.parquet", store_schema=store_schema)
    annotate_files(["a.parquet"], "out.parquet", TOY, JobOptions())
    expected = pq.read_table("a.parquet")
    written = pq.read_table("out.parquet").drop_columns(["senses"])
    assert written.schema.equals(expected.schema)
    assert written.to_pylist() == expected.to_pylist()


def test_limit_is_that_of_the_whole_row(folder):
    pq.write_table(pa.table({"text": ["bat"] * 3, "x": ["y" * 7, "y" * 8, None]}), "a.parquet")
    (source,) = find_sources(["a.parquet"])
    first, second, third = read_records(source, JobOptions(max_record_bytes=10))
    assert (first.as_dict(), third.as_dict()["x"]) == ({"text": "bat", "x": "yyyyyyy"}, None)
    assert (second.line, second.raw) == (2, "bat")
    assert second.reason.startswith("the record has more than 10 bytes")

"""Lists, maps and structs of Parquet: small as packed, large as read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spacy_attn.jobs import JobOptions, annotate_files
from spacy_attn.jobs.readers import read_records
from spacy_attn.jobs.sources import find_sources
from tests.jobs.toy import TOY


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


PEAK = """
from spacy_attn.jobs import JobOptions
from spacy_attn.jobs.readers import read_records
from spacy_attn.jobs.sources import find_sources
import pyarrow.compute, pyarrow.parquet

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

before = peak()
(source,) = find_sources(["a.parquet"])
records = read_records(source, JobOptions())
print(*[getattr(record, "reason", "good") for record in records], sep="|")
print(peak() - before)
"""


def reasons_and_peak(folder):
    """Why each record is refused, and the memory that reading them took, in MB."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    reasons, kilobytes = done.stdout.splitlines()
    return reasons.split("|"), int(kilobytes) // 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kind", ["list", "map", "struct"])
def test_row_whose_lists_repeat_a_value_is_refused_before_it_is_decoded(folder, kind):
    """Each row would take 100 MB."""
    write_nested(kind, same_values(300_000, "z" * 1000), 3)
    if kind != "map":  # whose keys differ
        assert (folder / "a.parquet").stat().st_size < 5000
    reasons, megabytes = reasons_and_peak(folder)
    long = "the record has more than 16,777,216 bytes; raise the limit with --max-record-bytes"
    assert reasons == [long] * 3
    assert megabytes < 150


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_row_group_whose_lists_hold_a_number_too_often_is_refused(folder):
    write_nested("list", pa.array(np.zeros(40_000_000, np.int64)), 2)
    (reason,), megabytes = reasons_and_peak(folder)
    assert "the lists of row group 0 have 320,000,000 bytes" in reason
    assert reason.endswith("write the file with smaller row groups")
    assert megabytes < 100


@pytest.mark.parametrize("kind", ["list", "map", "struct"])
@pytest.mark.parametrize(
    "value_type", [pa.string(), pa.large_string(), pa.binary(), pa.decimal128(9, 2)]
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

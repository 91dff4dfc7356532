"""Lists, values of fixed length and pages of Parquet: small as packed, large as read."""

from __future__ import annotations

from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spacy_attn.jobs import JobOptions, annotate_files, parquet_pages
from spacy_attn.jobs.parquet_pages import column_size
from spacy_attn.jobs.readers import read_records
from spacy_attn.jobs.sources import find_sources
from spacy_attn.jobs.tables import _batches
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
from spacy_attn.jobs.tables import _batches
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


@pytest.mark.slow
@LINUX
def test_a_small_file_of_one_large_text_is_refused(folder):
    pq.write_table(pa.table({"text": ["x" * 400_000_000]}), "a.parquet", compression="zstd")
    (reason,), megabytes = reasons_and_peak(folder)
    assert "a page of column 'text' has 400,0" in reason
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


# -- values of fixed length, and pages ---------------------------------------------------


def write_fixed(rows, **options):
    kind = pa.binary(len(rows[0]))
    table = pa.table({"text": ["bat"] * len(rows), "beside": pa.array(rows, kind)})
    pq.write_table(table, "a.parquet", store_schema=False, **options)


def batches():
    (source,) = find_sources(["a.parquet"])
    return [batch.num_rows for batch, *_ in _batches(source)]


def test_rows_with_large_values_of_fixed_length_are_decoded_in_smaller_numbers(folder):
    write_fixed([b"x" * 2**22] * 9)
    assert batches() == [4, 4, 1]
    write_fixed([b"x" * 16] * 20)
    assert batches() == [16, 4]


@pytest.mark.slow
@LINUX
def test_a_large_value_of_fixed_length_is_not_held_often(folder):
    """A dictionary holds it once, and it hardly packs."""
    value = letters(25 * 2**20, 1).encode()
    write_fixed([value] * 32, dictionary_pagesize_limit=2**30, compression="zstd")
    reasons, megabytes = reasons_and_peak(folder)
    assert reasons == [LONG] * 32
    assert megabytes < 250


@pytest.mark.slow
@LINUX
@pytest.mark.parametrize("kind", [pa.binary(1_024_000), pa.binary(), pa.string()])
def test_a_page_that_is_far_larger_than_it_looks_is_refused(folder, kind):
    value = letters(2**20, 40)
    value = value if kind == pa.string() else value.encode()
    table = pa.table({"text": ["bat"] * 400, "beside": pa.array([value] * 400, kind)})
    pq.write_table(table, "a.parquet", use_dictionary=False, compression="zstd")
    (reason,), megabytes = reasons_and_peak(folder)
    assert "a page of column 'beside' has 409,6" in reason
    assert reason.endswith("write the file with smaller row groups")
    assert megabytes < 100


def test_pages_are_measured_whatever_the_footer_says(folder, monkeypatch):
    monkeypatch.setattr(parquet_pages, "MOST_BYTES", 2**19)
    write_fixed([b"x" * 2**16] * 16, use_dictionary=False, compression="zstd")
    column = pq.ParquetFile("a.parquet").metadata.row_group(0).column(1)
    said, less = (varint(column.total_uncompressed_size), b"\x82\x80\x80\x00")
    data = (folder / "a.parquet").read_bytes()
    assert len(said) == len(less)
    assert said in data
    (folder / "a.parquet").write_bytes(data.replace(said, less))
    assert pq.ParquetFile("a.parquet").metadata.row_group(0).column(1).total_uncompressed_size == 1
    (source,) = find_sources(["a.parquet"])
    (record,) = read_records(source, JobOptions())
    assert "a page of column 'beside' has 1,048,5" in record.reason


def varint(number):
    """As Thrift's compact protocol writes it."""
    left, out = 2 * number, b""
    while left > 127:
        left, out = left >> 7, out + bytes([left & 127 | 128])
    return out + bytes([left])


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_pages_are_those_that_pyarrow_writes(folder, version, compression):
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 9, 30_000)
    table = pa.table(
        {
            "text": [f"{'bat ' * n}" for n in numbers],
            "number": numbers,
            "none": pa.array([None if n else True for n in numbers], pa.bool_()),
            "list": pa.array([[float(n)] * n for n in numbers.tolist()]),
            "fixed": pa.array([bytes(rng.bytes(16)) for _ in numbers], pa.binary(16)),
        }
    )
    options = {"data_page_version": version, "compression": compression, "data_page_size": 4096}
    pq.write_table(table, "a.parquet", row_group_size=20_000, write_page_checksum=True, **options)
    metadata = pq.ParquetFile("a.parquet").metadata
    with (folder / "a.parquet").open("rb") as file:
        for group in range(metadata.num_row_groups):
            for i in range(metadata.num_columns):
                column = metadata.row_group(group).column(i)
                size = column_size(file, column)
                headers = column.total_compressed_size - size.packed
                assert size.n_values == column.num_values
                assert size.unpacked + headers == column.total_uncompressed_size
                assert headers > 0


@pytest.mark.parametrize(
    "header",
    [b"", b"\0", b"\x15", b"\x15\1\x15\1\x15\1\0", b"\x1c" * 5000, b"\x19\xf8\xff\xff\x7f"],
)
def test_damaged_header_of_a_page(header):
    column = SimpleNamespace(
        dictionary_page_offset=None, data_page_offset=4, total_compressed_size=9, path_in_schema="a"
    )
    with pytest.raises(OSError, match="the header of a page at byte 4 is damaged"):
        column_size(BytesIO(b"PAR1" + header), column)

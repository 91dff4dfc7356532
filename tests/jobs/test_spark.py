"""Spark on this machine: python -m pytest tests/jobs/test_spark.py, or make test-spark."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spacy_attn.jobs.engines.spark import map_in_arrow
from tests.jobs.toy import SENSES, TOY, sense

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    texts = ["Swing the bat!", "The bat flew at night.", None, "Nothing here."]
    table = pa.table({"id": pa.array(range(4), pa.int16()), "text": texts})
    pq.write_table(table, tmp_path / "in" / "a.parquet")
    return tmp_path


def test_function_for_map_in_arrow_without_spark():
    batches = pa.table({"text": ["bat", "a bat", "explode"]}).to_batches(max_chunksize=2)
    result = pa.Table.from_batches(map_in_arrow(TOY)(iter(batches)))
    assert result.column("senses").to_pylist() == [SENSES, [sense(2)], None]
    assert list(map_in_arrow(TOY)(iter([]))) == []


@pytest.mark.cluster
def test_example(folder):
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    example = str(ROOT / "examples" / "spark_job.py")
    done = subprocess.run(
        [sys.executable, example, str(folder / "in"), str(folder / "out")],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = pq.read_table(folder / "out").sort_by("id").to_pylist()
    assert [row["senses"] and [s["sense"] for s in row["senses"]] for row in rows] == [
        ["bat.club"],
        ["bat.animal"],
        None,
        [],
    ]
    assert rows[2]["error"] == "the text is not a string but of type NoneType"

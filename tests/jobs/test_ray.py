"""Ray Data on this machine: python -m pytest tests/jobs/test_ray.py, or make test-ray."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.jobs.toy import TOY

pytest.importorskip("ray")
pytestmark = pytest.mark.skipif(
    os.environ.get("SPACY_ATTN_CLUSTERS") != "1", reason="make test-ray runs it"
)
ROOT = Path(__file__).parents[2]
TEXTS = ["Swing the bat!", "The bat flew at night.", None, "Nothing here."]
# In a process of its own: Ray warns and starts threads, which other tests must not meet.
TOY_JOB = """
import sys
from spacy_attn.jobs.ray import annotate_with_ray
from tests.jobs.toy import TOY

print(annotate_with_ray([sys.argv[1]], sys.argv[2], TOY, n_actors=2))
"""


def run(*command, cwd):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
    return subprocess.run(
        [sys.executable, *map(str, command)], cwd=cwd, env=environment, capture_output=True,
        text=True, timeout=280,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    ids = pa.array(range(4), pa.int16())
    pq.write_table(pa.table({"id": ids, "text": TEXTS}), tmp_path / "in" / "a.parquet")
    return tmp_path


def read(folder):
    return pq.read_table(folder).sort_by("id")


def test_toy_annotator_gives_what_it_gives_without_ray(folder):
    done = run("-c", TOY_JOB, folder / "in", folder / "out", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "RaySummary(n_in=4, n_failed=1" in done.stdout
    expected = TOY.annotate_table(pq.read_table(folder / "in"))
    result = read(folder / "out").select(expected.column_names)
    assert result.to_pylist() == expected.to_pylist()
    assert result.schema.field("id").type == pa.int16()


def test_command_line(folder):
    (folder / "in.jsonl").write_text("".join(f"{json.dumps({'text': t})}\n" for t in TEXTS[:2]))
    command = ["-m", "spacy_attn", "annotate", "in.jsonl", "-o", "out", "--engine", "ray"]
    done = run(*command, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "annotated 2 of 2 records"
    senses = pq.read_table(folder / "out").to_pylist()
    assert sorted(row["senses"][0]["sense"] for row in senses) == ["bat.animal", "bat.club"]
    done = run(*command, cwd=folder)
    assert done.returncode == 2
    assert "output folder out is not empty: name another" in done.stderr


def test_example(folder):
    done = run(ROOT / "examples" / "ray_job.py", folder / "in", folder / "out", cwd=folder)
    assert done.returncode == 0, done.stderr
    rows = read(folder / "out").to_pylist()
    assert [row["senses"] and [s["sense"] for s in row["senses"]] for row in rows] == [
        ["bat.club"],
        ["bat.animal"],
        None,
        [],
    ]
    assert rows[2]["error"] == "the text is not a string but of type NoneType"

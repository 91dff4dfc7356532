"""Ray Data on this machine: python -m pytest tests/jobs/test_ray.py, or make test-ray."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spacy_attn.jobs import annotate_files
from tests.jobs.toy import SENSES, TOY

pytest.importorskip("ray")
pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
TEXTS = ["Swing the bat!", "The bat flew at night.", None, "Nothing here."]
# In a process of its own: Ray warns and starts threads, which other tests must not meet.
TOY_FOLDERS = """
import ray
from spacy_attn.jobs.engines.ray import annotate_with_ray
from tests.jobs.toy import TOY

ray.init(include_dashboard=False, num_cpus=3, log_to_driver=False)
print(annotate_with_ray(["in"], "out", TOY, n_actors=2))
print(annotate_with_ray(["in"], "two", TOY, output_format="jsonl", limit=2))
print(annotate_with_ray(["rows.csv"], "rows", TOY, output_format="jsonl"))
print(annotate_with_ray(["lines.txt"], "lines", TOY, n_actors=-1))
"""
TOY_WORKERS = """
import os
from dataclasses import replace
from pathlib import Path
from spacy_attn.errors import ConfigError
from spacy_attn.jobs import JobError, JobOptions, annotate_files
from spacy_attn.jobs.engines.ray import RayWorkers
from tests.jobs.toy import TOY, refuse

del os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"]
workers = RayWorkers(1)
workers.start(TOY)
import ray
print("told:", *(node["NodeManagerAddress"] for node in ray.nodes()))
workers.stop(at_once=True)
print("told:", ray.is_initialized())

ray.init(include_dashboard=False, num_cpus=3, log_to_driver=False)
job = {"engine": RayWorkers(2)}
options = JobOptions(resume=True, batch_size=2)
try:
    annotate_files(["in.jsonl"], "out.jsonl", TOY, replace(options, max_errors=0), **job)
except JobError as error:
    print("told:", error)
print("told:", annotate_files(["in.jsonl"], "out.jsonl", TOY, options, **job))
try:
    annotate_files(["die.jsonl"], "die.parquet", TOY, options, **job)
except JobError as error:
    print("told:", error)
try:
    annotate_files(["in.jsonl"], "refused.jsonl", replace(TOY, factory=refuse), options, **job)
except ConfigError as error:
    print("told:", error, Path("refused.jsonl.part").exists())
"""


def environment():
    # The last one: Ray listens on loopback.
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }


def run(*command, cwd):
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=280,
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    ids = pa.array(range(4), pa.int16())
    pq.write_table(pa.table({"id": ids, "text": TEXTS}), tmp_path / "in" / "a.parquet")
    return tmp_path


def read(folder):
    return pq.read_table(folder).sort_by("id")


def test_folders_hold_what_the_annotator_gives_without_ray(folder):
    (folder / "rows.csv").write_text("id,text\n007,bat\n008,explode\n")
    (folder / "lines.txt").write_text("bat\n\nbat\n")
    done = run("-c", TOY_FOLDERS, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("RaySummary")] == [
        "RaySummary(n_in=4, n_failed=1, output='out')",
        "RaySummary(n_in=2, n_failed=0, output='two')",
        "RaySummary(n_in=2, n_failed=1, output='rows')",
        "RaySummary(n_in=3, n_failed=0, output='lines')",
    ]
    expected = TOY.annotate_table(pq.read_table(folder / "in"))
    result = read(folder / "out").select(expected.column_names)
    assert result.to_pylist() == expected.to_pylist()
    assert result.schema.field("id").type == pa.int16()
    rows = {row["id"]: row for row in read_jsonl(folder / "rows")}
    assert rows["007"]["senses"] == SENSES
    assert rows["008"]["error"] == "the pipeline failed: ValueError: boom"
    assert [row["id"] for row in read_jsonl(folder / "two")] == [0, 1]


def read_jsonl(folder):
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def test_workers_of_a_job_that_is_resumed(folder):
    """What is written is what one process writes; a lost actor and a wrong call are told."""
    texts = ["bat", "a bat", "explode", "the bat, the bat", "", "caf\u00e9 bat"] * 2
    lines = [json.dumps({"id": i, "text": text}) for i, text in enumerate(texts)]
    (folder / "in.jsonl").write_text("\n".join([*lines, "{no"]) + "\n")
    (folder / "die.jsonl").write_text('{"text": "bat"}\n{"text": "die"}\n')
    done = run("-c", TOY_WORKERS, cwd=folder)
    assert done.returncode == 0, done.stderr
    told = [line.removeprefix("told: ") for line in done.stdout.splitlines() if "told: " in line]
    address, still_runs, stopped, finished, died, refused = told  # the others are Ray's
    assert (address, still_runs) == ("127.0.0.1", "False")
    assert "1 record failed, more than --max-errors 0" in stopped
    assert finished.startswith("JobSummary(n_in=13, n_out=10, n_failed=3, output='out.jsonl'")
    assert died.startswith("a Ray actor died (")
    assert refused == "no such pipeline: name another False"
    annotate_files([folder / "in.jsonl"], folder / "whole.jsonl", TOY)
    assert (folder / "out.jsonl").read_bytes() == (folder / "whole.jsonl").read_bytes()


def test_command_line(folder):
    (folder / "in.jsonl").write_text("".join(f"{json.dumps({'text': t})}\n" for t in TEXTS[:2]))
    command = ["-m", "spacy_attn", "annotate", "in.jsonl", "--engine", "ray", "-n", "-1"]
    done = run(*command, "-o", "out", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "annotated 2 of 2 records"
    senses = pq.read_table(folder / "out").to_pylist()
    assert sorted(row["senses"][0]["sense"] for row in senses) == ["bat.animal", "bat.club"]


def test_ctrl_c_exits_130_and_resume_goes_on(folder):
    lines = "".join(f"{json.dumps({'text': text})}\n" for text in TEXTS[:2] * 200)
    (folder / "in.jsonl").write_text(lines)
    command = [
        "-m",
        "spacy_attn",
        "annotate",
        "in.jsonl",
        "-o",
        "out.jsonl",
        "-b",
        "1",
        "--engine",
        "ray",
        "--resume",
    ]
    # A group of its own, so that all its processes get the signal, as in a terminal.
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env=environment(),
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    part = folder / "out.jsonl.part"
    deadline = time.monotonic() + 200
    while not (part.exists() and part.read_bytes().count(b"\n") > 3):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=100)
    assert process.returncode == 130, said
    assert "go on with --resume" in said
    kept = part.read_bytes().count(b"\n")
    assert 3 < kept < 400
    done = run(*command, cwd=folder)
    assert done.returncode == 0, done.stderr
    lines = (folder / "out.jsonl").read_text().splitlines()
    senses = [json.loads(line)["senses"] for line in lines]
    assert [one["sense"] for each in senses for one in each] == ["bat.club", "bat.animal"] * 200


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

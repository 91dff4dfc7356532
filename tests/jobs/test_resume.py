"""A job that is killed goes on: nothing lost, nothing twice, the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import spacy_attn
from spacy_attn.errors import ConfigError
from spacy_attn.files import locked
from spacy_attn.jobs import JobError, JobOptions, annotate_files
from spacy_attn.jobs.resume import Manifest
from tests.jobs.toy import TOY, make_toy

RESUME = JobOptions(batch_size=4, resume=True)
LINES = ["bat", "a bat", "explode", "", "the bat, the bat", "x" * 50, "café bat"] * 3
OUTPUTS = [
    ("out.jsonl", {}),
    ("out.jsonl.gz", {}),
    ("out.jsonl.zst", {}),
    ("out.parquet", {}),
    ("out.spacy", {}),
    ("out.csv", {}),
    ("out.tsv.gz", {"rows": "item", "spreadsheet": True}),
    ("parts.parquet", {"partition_size": 6}),
    ("parts.jsonl", {"partition_size": 6}),
    ("parts.csv", {"partition_size": 6}),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    records = [json.dumps({"id": i, "text": text}) for i, text in enumerate(LINES)]
    (tmp_path / "a.jsonl").write_text("\n".join([*records, "{no"]) + "\n")
    return tmp_path


def job(output, **options):
    made = JobOptions(**{"batch_size": 4, "resume": True} | options)
    return annotate_files(["a.jsonl"], output, TOY, made)


def contents(folder, name):
    """All bytes of an output and of its error file."""
    output = folder / name
    files = sorted(output.iterdir()) if output.is_dir() else [output]
    files.append(folder / f"{name}.errors.jsonl")
    return [(str(path.relative_to(folder)), path.read_bytes()) for path in files]


class KillAt:
    """Kills this process at the n-th thing that changes a file, some of it half done."""

    def __init__(self, number, patch):
        self.number, self.count = number, 0
        self.write, self.note = os.write, Manifest._write
        for name in ("fsync", "replace", "ftruncate", "unlink", "open", "link"):
            patch.setattr(os, name, self.before(getattr(os, name)))
        patch.setattr(os, "write", self.half_write)
        patch.setattr(Manifest, "_write", lambda manifest, line: self.half_note(manifest, line))

    def is_due(self):
        self.count += 1
        return self.count == self.number

    def before(self, function):
        def call(*args, **options):
            if self.is_due():
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **options)

        return call

    def half_write(self, descriptor, data):
        if self.is_due():
            self.write(descriptor, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return self.write(descriptor, data)

    def half_note(self, manifest, line):
        if self.is_due():
            manifest._file.write(json.dumps(line).encode()[:20])
            os.kill(os.getpid(), signal.SIGKILL)
        self.note(manifest, line)


def run_and_kill(number, output, options):
    """Whether the job was killed; False where it ended before the n-th change."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with pytest.MonkeyPatch.context() as patch:
                KillAt(number, patch)
                job(output, **options)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
@pytest.mark.parametrize(("name", "options"), OUTPUTS)
def test_killed_at_every_change_of_a_file(folder, name, options):
    TOY.load()
    undisturbed = job(name, **options)
    assert (undisturbed.n_in, undisturbed.n_out, undisturbed.n_failed) == (22, 18, 4)
    expected = contents(folder, name)
    kills = 0
    for number in range(1, 500):
        clean(folder)
        if not run_and_kill(number, name, options):
            break
        kills += 1
        summary = job(name, **options)
        assert (summary.n_in, summary.n_out, summary.n_failed) == (22, 18, 4), number
        assert contents(folder, name) == expected, number
        assert not (folder / f"{name}.part").exists()
    assert kills > 30


def clean(folder):
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.name != "a.jsonl":
            path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_killed_again_and_again(folder):
    expected = contents_of_undisturbed(folder, "out.parquet")
    TOY.load()
    kills = 0
    while run_and_kill(25, "out.parquet", {}):  # some steps forward each time
        kills += 1
        assert kills < 50
    assert kills >= 2
    assert contents(folder, "out.parquet") == expected


def contents_of_undisturbed(folder, name, **options):
    job(name, **options)
    expected = contents(folder, name)
    clean(folder)
    return expected


# -- what is refused ---------------------------------------------------------------------


def stop_early(output="out.jsonl", **options):
    with pytest.raises(JobError, match=r"1 record failed, more than --max-errors 0.*--resume"):
        job(output, max_errors=0, **options)


def test_max_errors_stops_and_resume_goes_on(folder):
    expected = contents_of_undisturbed(folder, "out.jsonl")
    stop_early()
    assert (folder / "out.jsonl.part").exists()
    assert job("out.jsonl").n_in == 22
    assert contents(folder, "out.jsonl") == expected


def test_a_job_that_is_left_is_not_replaced(folder):
    stop_early()
    with pytest.raises(ConfigError, match=r"out.jsonl.part is left from an .*with --resume, or"):
        job("out.jsonl", resume=False)
    assert job("out.jsonl", resume=False, overwrite=True).n_in == 22


def test_finished_job_is_not_done_again(folder):
    first = job("out.jsonl")
    made = (folder / "out.jsonl").stat().st_mtime_ns
    assert job("out.jsonl") == first
    assert (folder / "out.jsonl").stat().st_mtime_ns == made
    with (folder / "a.jsonl").open("a") as file:
        file.write('{"text": "more"}\n')
    with pytest.raises(ConfigError, match=r"input a.jsonl has changed \(sha256"):
        job("out.jsonl")


def test_changed_input_is_refused(folder):
    stop_early()
    (folder / "a.jsonl").write_text('{"text": "other"}\n')
    before = (folder / "out.jsonl.part").read_bytes()
    with pytest.raises(ConfigError, match=r"input a.jsonl has changed .*with --overwrite"):
        job("out.jsonl")
    assert (folder / "out.jsonl.part").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"batch_size": 5}, "batch_size was 4 and is 5"),
        ({"text_key": "body"}, 'text_key was "text" and is "body"'),
        ({"limit": 3}, "limit was null and is 3"),
        ({"partition_size": 3}, "partition_size was null and is 3"),
    ],
)
def test_changed_options_are_refused(folder, options, match):
    stop_early()
    with pytest.raises(ConfigError, match=match):
        job("out.jsonl", **options)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"method": "lesk"}, 'method was "attention" and is "lesk"'),
        ({"pipeline": "other"}, "pipeline was .* and is .*other"),
        ({"inventory": "mine.jsonl"}, "inventory was"),
        ({"fields": ("senses", "tokens")}, r'fields was \["senses"\] and is'),
    ],
)
def test_changed_annotator_is_refused(folder, changed, match):
    stop_early()
    with pytest.raises(ConfigError, match=match):
        annotate_files(["a.jsonl"], "out.jsonl", replace(TOY, **changed), RESUME)


def test_changed_order_and_number_of_inputs_are_refused(folder):
    (folder / "b.jsonl").write_text('{"text": "bat"}\n')
    with pytest.raises(JobError, match="--max-errors"):
        annotate_files(["a.jsonl", "b.jsonl"], "out.jsonl", TOY, JobOptions(max_errors=0))
    for inputs, match in [
        (["b.jsonl", "a.jsonl"], "the inputs come in another order"),
        (["a.jsonl"], "input b.jsonl is gone"),
        (["a.jsonl", "b.jsonl", "b.jsonl"], "b.jsonl is given 2 times"),
    ]:
        with pytest.raises(ConfigError, match=match):
            annotate_files(inputs, "out.jsonl", TOY, JobOptions(resume=True))


@pytest.mark.slow
def test_processes_may_change_between_runs(folder):
    expected = contents_of_undisturbed(folder, "out.jsonl")
    stop_early()
    job("out.jsonl", n_process=2)
    assert contents(folder, "out.jsonl") == expected


def test_shortened_part_is_refused(folder):
    stop_early()
    os.truncate(folder / "out.jsonl.part", 3)
    with pytest.raises(ConfigError, match="is shorter than its manifest says"):
        job("out.jsonl")


def test_part_without_manifest_is_refused(folder):
    (folder / "out.jsonl.part").write_text("x")
    with pytest.raises(ConfigError, match="has no manifest beside it"):
        job("out.jsonl")


def test_running_job_is_not_joined(folder):
    with (
        locked(folder / "out.jsonl.lock"),
        pytest.raises(ConfigError, match="a running job writes"),
    ):
        job("out.jsonl")


@pytest.mark.parametrize(
    ("inputs", "output", "options", "match"),
    [
        (["-"], "out.jsonl", {}, "--resume needs files as input and output"),
        (["a.jsonl"], "-", {}, "--resume needs files as input and output"),
        (["a.jsonl"], "out.jsonl", {"overwrite": True}, "exclude each other"),
    ],
)
def test_streams_cannot_be_resumed(folder, inputs, output, options, match):
    with pytest.raises(ConfigError, match=match):
        annotate_files(inputs, output, TOY, JobOptions(resume=True, **options))


# -- worker killed, disk full, real pipeline ---------------------------------------------


@pytest.mark.slow
def test_worker_killed_by_the_kernel(folder):
    """The job stops with one sentence, and goes on when the cause is gone."""
    (folder / "a.jsonl").write_text('{"text": "bat"}\n' * 30 + '{"text": "die"}\n')
    with pytest.raises(JobError, match=r"a child process died.*--resume"):
        job("out.jsonl", batch_size=1, n_process=2)
    kept = len((folder / "out.jsonl.part").read_bytes().splitlines())
    assert 0 < kept <= 30
    manifest = (folder / "out.jsonl.manifest.jsonl").read_text().splitlines()
    assert json.loads(manifest[-1])["n_in"] == kept


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
def test_full_disk_is_said_and_resumed(folder):
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("may not mount")
    try:
        (folder / "a.jsonl").write_text('{"text": "%s bat"}\n' % ("x" * 1000) * 100)
        with pytest.raises(JobError, match=r"No space left on device.*--resume"):
            job("disk/out.jsonl")
        grown = ["mount", "-o", "remount,size=1m", str(disk)]
        subprocess.run(grown, check=True, capture_output=True)
        assert job("disk/out.jsonl").n_out == 100
        job("whole.jsonl", resume=False)
        assert (disk / "out.jsonl").read_bytes() == (folder / "whole.jsonl").read_bytes()
    finally:
        subprocess.run(["umount", str(disk)], check=True, capture_output=True)


@pytest.mark.slow
def test_real_pipeline_killed_twice(folder):
    """Killed when about a third, then two thirds are done; the bytes are those of one run."""
    texts = ["Swing the bat!", "The bat flew at night.", "She sat on the bank of the river."]
    records = [{"text": texts[i % 3] + " " + texts[i % 2]} for i in range(120)]
    (folder / "a.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    for target in (40, 80):
        process = start_real(folder, "out.jsonl")
        part = folder / "out.jsonl.part"
        deadline = time.monotonic() + 200
        while lines_of(part) < target and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not (folder / "out.jsonl").exists()
    for name in ("out.jsonl", "whole.jsonl"):
        assert start_real(folder, name).wait(timeout=200) == 0
    assert (folder / "out.jsonl").read_bytes() == (folder / "whole.jsonl").read_bytes()
    assert lines_of(folder / "out.jsonl") == 120


def lines_of(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def start_real(folder, output):
    root = str(Path(spacy_attn.__path__[0]).parent)
    options = ["a.jsonl", "-o", output, "--resume", "--batch-size", "1"]
    return subprocess.Popen(
        [sys.executable, "-m", "spacy_attn", "annotate", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": root},
        stderr=subprocess.DEVNULL,
    )


def test_toy_factory_is_named_in_the_manifest(folder):
    stop_early()
    first = json.loads((folder / "out.jsonl.manifest.jsonl").read_text().splitlines()[0])
    assert first["pipeline"]["factory"] == f"{make_toy.__module__}.make_toy"
    assert first["inputs"][0]["name"] == "a.jsonl"
    assert len(first["inputs"][0]["sha256"]) == 64

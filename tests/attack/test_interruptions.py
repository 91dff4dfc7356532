"""Jobs that are interrupted: kills of the job and of its workers, a full disk, a changed input.

Most jobs are forked processes with a toy pipeline, so that hundreds of them take a minute.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import spacy_attn
from spacy_attn.errors import ConfigError, SpacyAttnError
from spacy_attn.jobs import JobOptions, annotate_files
from spacy_attn.models import DEFAULT_ENCODER, locate, resolve_pipeline
from tests.attack.conftest import SEED
from tests.jobs.toy import TOY

ROOT = Path(spacy_attn.__path__[0]).parent
OUTPUTS = ("out.jsonl", "out.jsonl.gz", "out.parquet", "out.spacy", "parts")
LINES = [f"bat {i}" if i % 50 else f"explode {i}" for i in range(400)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("".join(f"{line}\n" for line in LINES))
    TOY.load()
    return tmp_path


def job(output, **options):
    more = {"partition_size": 100} if output == "parts" else {}
    options = {"resume": True, "batch_size": 8} | more | options
    return annotate_files(["in.txt"], output, TOY, JobOptions(**options))


def forked(call):
    """The process that makes a call: it ends with 0, with 1 after a sentence of ours, else 2."""
    child = os.fork()
    if child:
        return child
    code = 2
    try:
        call()
        code = 0
    except SpacyAttnError:
        code = 1
    finally:
        os._exit(code)


def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def clean(folder, output):
    """Begin again: what a job made of this output goes."""
    for path in [*folder.glob(f"{output}*/*"), *folder.glob(f"{output}*"), *folder.glob("_*")]:
        path.rmdir() if path.is_dir() else path.unlink()


def contents(folder, output):
    """All bytes of the output and of its error file."""
    path = folder / output
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [each.read_bytes() for each in [*files, folder / f"{output}.errors.jsonl"]]


def undisturbed(folder, output, **options):
    job(output, **options)
    expected = contents(folder, output)
    clean(folder, output)
    return expected


@pytest.mark.parametrize("output", OUTPUTS)
def test_random_kills(folder, size, tally, output):
    """Each job is killed at a random time, then finished: the bytes are those of one run."""
    rng = random.Random(f"{SEED}/{output}")  # noqa: S311
    start = time.perf_counter()
    expected = undisturbed(folder, output)
    seconds = time.perf_counter() - start
    for number in range(max(4, min(1000, size // 500))):
        child = forked(lambda: job(output))
        time.sleep(rng.random() * seconds)
        os.kill(child, signal.SIGKILL)
        tally.check(f"kills, {output}", ended(child) in (-signal.SIGKILL, 0), number)
        job(output)
        tally.check(f"bytes after a kill, {output}", contents(folder, output) == expected, number)
        tally.check("nothing left behind", not [*folder.glob("*.part")], number)
        clean(folder, output)


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_full_disk(folder, size, tally, output):
    """A file cannot grow above a random size: the job says so, and goes on when it can."""
    rng = random.Random(f"{SEED}/{output}")  # noqa: S311
    expected = undisturbed(folder, output)
    largest = max(map(len, expected))

    def limited(most):
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        job(output)

    for number in range(max(4, min(1000, size // 500))):
        most = rng.randint(0, largest)
        code = ended(forked(lambda: limited(most)))  # noqa: B023
        tally.check(f"full disks, {output}", code in (0, 1), f"{number}: {code}")
        job(output)
        good = contents(folder, output) == expected
        tally.check(f"bytes after a full disk, {output}", good, f"{number}: {most}")
        clean(folder, output)


def changed(path, rng):
    """Some change of an input; whether its bytes are others now."""
    data = path.read_bytes()
    at = rng.randrange(len(data))
    new = rng.choice(
        [
            data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
            data[:at],
            data + b"bat\n",
            b"",
            data[at:] + data[:at],
            data,
        ]
    )
    if rng.random() < 0.5:
        path.unlink()  # another file of the name, not other bytes of the file
    path.write_bytes(new)
    return new != data


def test_an_input_that_changes_between_kill_and_resume(folder, size, tally):
    rng = random.Random(SEED)  # noqa: S311
    start = time.perf_counter()
    expected, data = undisturbed(folder, "out.jsonl"), (folder / "in.txt").read_bytes()
    seconds = time.perf_counter() - start
    for number in range(max(10, min(1000, size // 100))):
        child = forked(lambda: job("out.jsonl"))
        time.sleep(rng.random() * seconds)
        os.kill(child, signal.SIGKILL)
        ended(child)
        begun = (folder / "out.jsonl.manifest.jsonl").exists()
        is_changed = changed(folder / "in.txt", rng)
        try:
            job("out.jsonl")
        except ConfigError as error:
            good = is_changed and "has changed" in str(error)
            tally.check("changed inputs", good, f"{number}: {error}")
        else:
            # Before the first line of the manifest nothing was done, so nothing is mixed.
            good = not is_changed and contents(folder, "out.jsonl") == expected
            tally.check("changed inputs", good or not begun, f"{number}: not noticed")
        (folder / "in.txt").write_bytes(data)
        clean(folder, "out.jsonl")


WORKERS = """
import sys
from spacy_attn.jobs import JobOptions, annotate_files
from tests.jobs.toy import TOY

if __name__ == "__main__":
    options = JobOptions(resume=True, batch_size=1, n_process=2)
    annotate_files(["in.txt"], "out.jsonl", TOY, options)
"""


def test_random_kills_of_workers(folder, size, tally):
    """One of two worker processes is killed: the job stops with a sentence, and is resumed."""
    rng = random.Random(SEED)  # noqa: S311
    expected = undisturbed(folder, "out.jsonl", batch_size=1)
    (folder / "work.py").write_text(WORKERS)
    for number in range(max(1, min(200, size // 1000))):
        process = subprocess.Popen(
            [sys.executable, "work.py"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )
        part = folder / "out.jsonl.part"
        while process.poll() is None and not (part.exists() and part.stat().st_size):
            time.sleep(0.005)
        time.sleep(rng.random() / 5)
        if worker := rng.choice(workers(process.pid) or [None]):
            os.kill(worker, signal.SIGKILL)
        _, said = process.communicate()
        good = process.returncode == 0 or "a child process died" in said
        tally.check("killed workers", good, f"{number}: {said[-500:]}")
        job("out.jsonl", batch_size=1)
        good = contents(folder, "out.jsonl") == expected
        tally.check("bytes after a killed worker", good, number)
        clean(folder, "out.jsonl")


def workers(process):
    """The children of a process that run Python's spawned main function."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        return [
            int(child)
            for child in children
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
        ]
    except FileNotFoundError:
        return []


def test_kills_of_the_real_pipeline(folder, size, tally):
    if resolve_pipeline(None) is None or locate(DEFAULT_ENCODER, "encoder") is None:
        pytest.skip("the extra [models] is not installed")
    some = ["Swing the bat!", "The bat flew at night.", "She sat on the bank of the river."]
    (folder / "in.txt").write_text("".join(f"{some[i % 3]} {some[i % 2]}\n" for i in range(150)))
    command = [sys.executable, "-m", "spacy_attn", "annotate", "in.txt", "--resume", "-b", "1"]

    def start(output):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            [*command, "-o", output], env=environment, stderr=subprocess.DEVNULL
        )

    assert start("whole.jsonl").wait() == 0
    part, wanted = folder / "out.jsonl.part", max(1, min(20, size // 1000))
    for number in range(1, wanted + 1):  # each a little further
        process = start("out.jsonl")
        while process.poll() is None and not (
            part.exists() and part.read_bytes().count(b"\n") >= 140 * number // wanted
        ):
            time.sleep(0.01)
        process.kill()
        tally.check("kills, real pipeline", process.wait() == -signal.SIGKILL, number)
    assert start("out.jsonl").wait() == 0
    whole = [json.loads(line)["text"] for line in (folder / "whole.jsonl").open()]
    found = [json.loads(line)["text"] for line in (folder / "out.jsonl").open()]
    tally.check("records of the real pipeline", len(found) == 150 and found == whole)
    same = (folder / "out.jsonl").read_bytes() == (folder / "whole.jsonl").read_bytes()
    tally.check("bytes of the real pipeline", same)

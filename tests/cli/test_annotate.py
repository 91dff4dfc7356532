"""``spacy-attn annotate`` in a process of its own, with a toy pipeline."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

import spacy_attn
import spacy_attn.cli.annotate as command
from spacy_attn.cli import main
from spacy_attn.cli.annotate import _Lines, _progress_bar, annotate
from spacy_attn.jobs import Annotator, JobProgress
from spacy_attn.jobs.engines.ray import RaySummary
from spacy_attn.jobs.output_paths import names_folder
from spacy_attn.jobs.records import ERROR_RECORD_CHARS
from tests.jobs.toy import SENSES, make_toy

N_PROCESS = ["1", pytest.param("2", marks=pytest.mark.slow)]

# The command with the toy pipeline of jobs.
DRIVER = """
import sys
from functools import partial

import spacy_attn.cli.annotate as command
from spacy_attn.cli import main
from spacy_attn.jobs import Annotator
from tests.jobs.toy import make_toy

if __name__ == "__main__":
    command.Annotator = partial(Annotator, factory=make_toy)
    sys.exit(main())
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "driver.py").write_text(DRIVER)
    return tmp_path


def start(folder, *arguments, **options):
    paths = [str(Path(spacy_attn.__path__[0]).parent), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "driver.py", "annotate", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "TERM": "dumb"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def run(folder, *arguments, data=None):
    """Exit code, stdout and stderr."""
    process = start(folder, *arguments, stdin=subprocess.PIPE)
    out, err = process.communicate(data, timeout=120)
    return process.returncode, out, err.decode()


@pytest.fixture
def here(folder, monkeypatch, capsys):
    """The same in this process, where all libraries are loaded."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(command, "Annotator", partial(Annotator, factory=make_toy))

    def call(*arguments):
        code = main(["annotate", *arguments])
        return code, *capsys.readouterr()

    return call


def read_jsonl(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("n_process", N_PROCESS)
def test_corrections_without_an_effect_are_counted(folder, here, n_process):
    made = {"lemma": "bat", "sense": "", "verdict": "none"}
    lines = [{**made, "text": "A bat.", "start": 2, "end": 5}]
    lines += [{**made, "text": "The old bat.", "start": 8, "end": 11}]
    lines += [{**made, "text": "Gone bat.", "start": 5, "end": 8, "verdict": "unclear"}]
    lines += [{**made, "text": "A bat\nflew.", "start": 2, "end": 5}]
    (folder / "fix.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "in.jsonl").write_text('{"text": "So. A bat."}\n{"text": "Now a A bat flew."}\n')
    options = ("-o", "out.jsonl", "--corrections", "fix.jsonl", "--n-process", n_process)
    code, _, err = here("in.jsonl", *options)
    assert code == 0
    assert err.splitlines()[-2:] == [  # before them progress, where it takes long
        "annotated 2 of 2 records",
        "1 correction of fix.jsonl had no effect: the texts do not hold the same sentence",
    ]
    assert [record["senses"] for record in read_jsonl(folder / "out.jsonl")] == [[], []]


def test_they_are_counted_after_an_interruption_too(folder, here):
    made = {"lemma": "bat", "sense": "", "verdict": "none", "start": 2, "end": 5}
    lines = [{**made, "text": text} for text in ("A bat.", "A bat!", "A bat?")]
    (folder / "fix.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "in.txt").write_text("A bat.\nexplode\nA bat!\n")
    options = ("-o", "out.jsonl", "--corrections", "fix.jsonl", "--batch-size", "1", "--resume")
    code, _, err = here("in.txt", *options, "--max-errors", "0")
    assert (code, "go on with --resume" in err) == (1, True)
    code, _, err = here("in.txt", *options)
    assert err.endswith(
        "1 correction of fix.jsonl had no effect: the texts do not hold the same sentence\n"
    )
    code, _, err = here("in.txt", *options)
    assert err.endswith(
        "corrections that had no effect are not counted: the job was finished before\n"
    )


def test_where_ray_writes_a_folder_they_are_said_not_to_be_counted(folder, monkeypatch, capsys):
    pytest.importorskip("pyarrow")
    summary = RaySummary(n_in=2, n_failed=0, output="out")
    monkeypatch.setattr("spacy_attn.jobs.engines.ray.annotate_with_ray", lambda *_, **__: summary)
    monkeypatch.chdir(folder)
    (folder / "fix.jsonl").write_text("")
    call = ["annotate", "in.jsonl", "-o", "out", "--engine", "ray"]
    assert main([*call, "--corrections", "fix.jsonl"]) == 0
    assert capsys.readouterr().err == (
        "corrections that had no effect are not counted where Ray writes a folder; with a file as "
        "output, such as OUT.jsonl, they are\nannotated 2 of 2 records\n"
    )
    assert main(call) == 0
    assert capsys.readouterr().err == "annotated 2 of 2 records\n"


def test_good_records_exit_0_and_say_the_count(folder):
    (folder / "in.jsonl").write_text('{"id": 7, "body": "bat"}\n' * 1200)
    code, out, err = run(folder, "in.jsonl", "-o", "out.jsonl", "--text-key", "body")
    assert (code, out, err) == (0, b"", "annotated 1,200 of 1,200 records\n")
    assert read_jsonl(folder / "out.jsonl") == [{"id": 7, "body": "bat", "senses": SENSES}] * 1200
    assert not (folder / "out.jsonl.errors.jsonl").exists()


@pytest.mark.parametrize("n_process", N_PROCESS)
def test_bad_records_exit_1_and_say_where_they_are(folder, here, n_process):
    (folder / "in.jsonl").write_bytes(b'{"text": "bat"}\n[]\n{"text": "\\udc00"}\n{"text": "\xff"}')
    (folder / "in.txt").write_bytes(b"explode\nbat\n")
    options = ("-o", "out.jsonl", "--n-process", n_process, "--batch-size", "1")
    code, out, err = here("in.jsonl", "in.txt", *options)
    assert (code, out) == (1, "")
    assert err.endswith("annotated 2 of 6 records, 4 failed: see out.jsonl.errors.jsonl\n")
    errors = read_jsonl(folder / "out.jsonl.errors.jsonl")
    assert [(e["file"], e["line"]) for e in errors] == [
        ("in.jsonl", 2),
        ("in.jsonl", 3),
        ("in.jsonl", 4),
        ("in.txt", 1),
    ]


def test_stdin_to_stdout(folder):
    code, out, err = run(folder, "-", "-o", "-", data='{"text": "bat", "x": "é"}\nno\n'.encode())
    assert code == 1
    assert json.loads(out) == {"text": "bat", "x": "é", "senses": SENSES}
    assert err == "annotated 1 of 2 records, 1 failed: see annotate.errors.jsonl\n"
    assert [e["file"] for e in read_jsonl(folder / "annotate.errors.jsonl")] == ["-"]


def test_plain_text_from_stdin_in_latin_1(folder):
    options = ["--input-format", "txt", "--encoding", "latin-1"]
    code, out, _err = run(folder, "-", "-o", "-", *options, data=b"bat\n\ncaf\xe9")
    assert code == 0
    assert [json.loads(line)["text"] for line in out.splitlines()] == ["bat", "", "café"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in.txt", "-o", "old.jsonl"], "output old.jsonl exists: name another, or replace it"),
        (["in.txt", "-o", "no/out.jsonl"], "make it with mkdir -p no"),
        (["no.txt", "-o", "out.jsonl"], "input no.txt cannot be read: No such file or directory"),
        (
            ["in.txt", "-o", "o.jsonl", "--fields", "senses,stem"],
            "--fields has 'stem': allowed are senses, sense_details, entities",
        ),
        (
            ["in.txt", "-o", "o.jsonl", "--batch-size", "0"],
            "--batch-size is 0: allowed are 1 and more",
        ),
        (["in.txt"], "--output"),
    ],
)
def test_wrong_calls_exit_2_with_one_sentence(folder, here, arguments, message):
    (folder / "in.txt").write_text("bat\n")
    (folder / "old.jsonl").write_text("old\n")
    code, out, err = here(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1
    assert sorted(p.name for p in folder.iterdir()) == ["driver.py", "in.txt", "old.jsonl"]


@pytest.mark.slow
@pytest.mark.parametrize("n_process", ["1", "2"])
def test_ctrl_c_keeps_what_is_finished_and_exits_130(folder, n_process):
    (folder / "in.txt").write_text("bat\n" * 50 + "wait\n" + "bat\n" * 50)
    arguments = ["in.txt", "-o", "out.jsonl", "--n-process", n_process, "--batch-size", "1"]
    # A group of its own, so that all its processes get the signal, as in a terminal.
    process = start(folder, *arguments, start_new_session=True)
    part = folder / "out.jsonl.part"
    _wait_until((folder / "waiting").exists)
    _wait_until(lambda: len(part.read_bytes().splitlines()) > 40)
    os.killpg(process.pid, signal.SIGINT)
    _out, err = process.communicate(timeout=100)
    assert process.returncode == 130
    kept = read_jsonl(part)
    assert kept == [{"text": "bat", "senses": SENSES}] * len(kept)
    assert (
        err.decode()
        .splitlines()[-1]
        .startswith(f"interrupted: annotated {len(kept)} of {len(kept)} records; they are kept in ")
    )
    assert "Traceback" not in err.decode()
    assert not (folder / "out.jsonl").exists()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds children under /proc")
def test_children_end_with_a_killed_parent(folder):
    (folder / "in.txt").write_text("wait\n" * 50)
    process = start(folder, "in.txt", "-o", "out.jsonl", "--n-process", "2", start_new_session=True)
    _wait_until((folder / "waiting").exists)
    assert len(_members(process.pid)) >= 2
    process.kill()
    process.communicate(timeout=100)
    _wait_until(lambda: not _members(process.pid))
    assert not (folder / "out.jsonl").exists()


def _members(group):
    """Living processes of a process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _parent, its_group = path.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its_group) == group and state != "Z":
            found.append(path.parent.name)
    return found


def _wait_until(condition):
    deadline = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_reader_that_leaves_early_ends_the_job_quietly(folder):
    (folder / "in.txt").write_text("bat\n" * 50_000)
    process = start(folder, "in.txt", "-o", "-")
    assert json.loads(process.stdout.readline()) == {"text": "bat", "senses": SENSES}
    process.stdout.close()
    err = process.stderr.read().decode()
    assert process.wait(timeout=100) == 1
    assert err == ""
    process.stderr.close()


# -- in this process -------------------------------------------------------------------


def test_bar_shows_records_rate_and_bytes_on_a_terminal_only(capsys):
    shown = Console(stderr=True, force_terminal=True, width=120)
    with _progress_bar(shown) as show:
        show(JobProgress(n_in=1500, n_failed=2, bytes_read=1000, bytes_total=2000))
    assert "1.0/2.0 kB" in (err := capsys.readouterr().err)
    assert "1,500 records, " in err
    assert "/s, 2 failed" in err
    with _progress_bar(Console(stderr=True, force_terminal=False)) as show:
        show(JobProgress(n_in=1, n_failed=0, bytes_read=1, bytes_total=None))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("n_in", "said"),
    [
        (1, "1 record, 0 failed\n"),
        (3, "3 records, 0 failed, 0.05/s\n"),
        (61, "61 records, 0 failed, 1.5/s\n"),
        (601, "601 records, 0 failed, 15/s\n"),
    ],
)
def test_the_rate_of_long_texts_is_not_zero(capsys, n_in, said):
    seconds = iter([0.0, 0.0, 40.0])
    show = _Lines(Console(stderr=True, force_terminal=False), lambda: next(seconds))
    show(JobProgress(n_in=1, n_failed=0, bytes_read=1, bytes_total=None))
    show(JobProgress(n_in=n_in, n_failed=0, bytes_read=1, bytes_total=None))
    assert capsys.readouterr().err == said


def test_plain_lines_where_stderr_is_no_terminal(capsys):
    seconds = iter([0.0, 1.0, 11.0, 31.0])
    show = _Lines(Console(stderr=True, force_terminal=False), lambda: next(seconds))
    show(JobProgress(n_in=100, n_failed=0, bytes_read=100, bytes_total=10_000))
    show(JobProgress(n_in=200, n_failed=0, bytes_read=200, bytes_total=10_000))
    assert capsys.readouterr().err == ""
    show(JobProgress(n_in=1600, n_failed=2, bytes_read=1600, bytes_total=10_000))
    # 1,500 bytes in 30 seconds; 8,400 are left.
    assert capsys.readouterr().err == "1,600 records, 2 failed, 50/s, 16.0%, 0:02:48 left\n"


def test_dry_run_writes_nothing(folder, here):
    (folder / "in.txt").write_text("bat\nexplode\n")
    before = sorted(path.name for path in folder.iterdir())
    code, out, err = here("in.txt", "-o", "out.jsonl", "--dry-run")
    assert (code, out) == (0, "")
    assert "1 input file, 12 bytes, to out.jsonl" in err
    assert "tried 2 records, 1 failed" in err
    assert "the process takes about " in err
    assert "nothing was written" in err
    assert sorted(path.name for path in folder.iterdir()) == before


RAY = ["--engine", "ray"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "out", *RAY, "--resume"], "--resume does not work where Ray writes a folder"),
        (["-o", "out", *RAY, "--max-errors", "0"], "--max-errors does not work where Ray"),
        (["-o", "s3://b/out.parquet", *RAY, "--dry-run"], "--dry-run does not work where"),
        (["-o", "out/", *RAY, "--overwrite"], "--overwrite does not work where Ray writes"),
        (["-o", "out", *RAY, "--errors", "e"], "name a file as output, such as OUT.jsonl"),
        (["-o", "out", *RAY, "--encoding", "latin-1"], "--encoding does not work where Ray"),
        (["-o", "-", *RAY], "-o - does not work with --engine ray"),
        (["-o", "out.jsonl", "--address", "auto"], "--address works with --engine ray only"),
        (["-o", "out.jsonl", "--engine", "dask"], "--engine is dask: allowed are local, ray"),
    ],
)
def test_options_that_an_engine_does_not_have(folder, here, arguments, message):
    (folder / "in.txt").write_text("bat\n")
    code, _out, err = here("in.txt", *arguments)
    assert code == 2
    assert message in err
    assert sorted(path.name for path in folder.glob("*out*")) == []


@pytest.mark.parametrize(
    ("name", "is_folder"),
    [
        ("out", True),
        ("out/", True),
        ("s3://b/out.parquet", True),
        ("old.d", True),
        ("out.jsonl", False),
        ("out.jsonl.gz", False),
        ("-", False),
    ],
)
def test_which_output_is_meant_as_a_folder(tmp_path, monkeypatch, name, is_folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.d").mkdir()
    assert names_folder(name) is is_folder


def test_help_states_the_length_that_error_records_are_cut_at():
    assert f"first {ERROR_RECORD_CHARS:,} characters" in (annotate.__doc__ or "")


def test_command_line_imports_no_heavy_library():
    code = (
        "import sys, spacy_attn.cli.annotate\n"
        "sys.exit(', '.join({'spacy', 'torch', 'numpy', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(spacy_attn.__path__[0]).parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.strip() == ""

"""The job on one machine, with a toy pipeline: every "bat" is an animal."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Span, SpanGroup

from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.jobs import Annotator, JobError, JobInterrupted, JobOptions, JobSummary
from spacy_attn.jobs import annotate_files as annotate_files_with
from spacy_attn.jobs import job as job_module
from spacy_attn.jobs import partfile as partfile_module


@Language.component("local_toy")
def toy(doc):
    text = doc.text
    if "explode" in text:
        raise ValueError("boom")
    if "missing" in text:
        raise ResourceError("the model is missing")
    if "die" in text:
        os.kill(os.getpid(), signal.SIGKILL)
    if text.startswith("stop "):
        _interrupt_when_written(Path(text.removeprefix("stop ")))
    records = [
        {
            "start": t.idx,
            "end": t.idx + 3,
            "lemma": "bat",
            "sense": "bat.animal",
            "score": 0.5,
            "method": "toy",
        }
        for t in doc
        if t.text == "bat"
    ]
    spans = [Span(doc, t.i, t.i + 1, kb_id="bat.animal") for t in doc if t.text == "bat"]
    doc.spans["senses"] = SpanGroup(doc, name="senses", spans=spans, attrs={"records": records})
    return doc


def _interrupt_when_written(part):
    """Ctrl-C for the process that runs the job, once its first chunk is in the file."""
    while not part.stat().st_size:
        time.sleep(0.01)
    child = (part.parent / "job.pid").read_text() != str(os.getpid())
    os.kill(os.getppid() if child else os.getpid(), signal.SIGINT)


def make_toy(pipeline, *, inventory, method):
    nlp = spacy.blank("en")
    nlp.add_pipe("local_toy")
    return nlp


def make_broken(pipeline, *, inventory, method):
    raise ResourceError(f"pipeline {pipeline} is missing")


TOY = Annotator(factory=make_toy)
SENSES = [
    {"start": 0, "end": 3, "text": "bat", "lemma": "bat", "sense": "bat.animal", "score": 0.5}
]
BATCHES = [{"batch_size": 1}, {"batch_size": 3}, {}, {"batch_size": 2, "n_process": 2}]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.pid").write_text(str(os.getpid()))
    return tmp_path


def annotate_files(inputs, output, annotator, *, on_progress=None, **options):
    made = JobOptions(**options)
    return annotate_files_with(inputs, output, annotator, made, on_progress=on_progress)


def write_jsonl(path, records):
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))


def read_jsonl(path):
    return [json.loads(line) for line in Path(path).read_bytes().splitlines()]


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "job.pid")


# -- the whole way ---------------------------------------------------------------------


@pytest.mark.parametrize("options", BATCHES)
def test_good_and_bad_records_in_order(folder, options):
    (folder / "a.jsonl").write_bytes(
        b'{"id": 0, "text": "bat"}\n'
        b"{not json\n"
        b'{"id": 1, "text": "explode"}\n'
        b'{"id": 2, "text": ""}\n'
        b'{"id": 3, "text": "\\ud800"}\n'
        b'{"id": 4, "text": "caf\xe9"}\n'
        b'{"id": 5, "text": "bat"}\n'
    )
    (folder / "b.txt").write_bytes(b"bat\r\n\nexplode\nlast")
    summary = annotate_files(["a.jsonl", "b.txt"], "out.jsonl", TOY, **options)
    assert summary == JobSummary(11, 6, 5, "out.jsonl", Path("out.jsonl.errors.jsonl"), None)
    assert read_jsonl("out.jsonl") == [
        {"id": 0, "text": "bat", "senses": SENSES},
        {"id": 2, "text": "", "senses": []},
        {"id": 5, "text": "bat", "senses": SENSES},
        {"text": "bat", "senses": SENSES},
        {"text": "", "senses": []},
        {"text": "last", "senses": []},
    ]
    errors = read_jsonl("out.jsonl.errors.jsonl")
    assert [(error["file"], error["line"]) for error in errors] == [
        ("a.jsonl", 2),
        ("a.jsonl", 3),
        ("a.jsonl", 5),
        ("a.jsonl", 6),
        ("b.txt", 3),
    ]
    assert [error["reason"].split(":")[0] for error in errors] == [
        "not JSON",
        "the pipeline failed",
        "lone surrogate U+D800 at character 0",
        "not utf-8",
        "the pipeline failed",
    ]
    assert errors[2]["record"] == '{"id": 3, "text": "\\ud800"}'
    assert errors[4]["record"] == "explode"
    assert names(folder) == ["a.jsonl", "b.txt", "out.jsonl", "out.jsonl.errors.jsonl"]


@pytest.mark.slow
def test_processes_write_the_same_bytes_as_one(folder):
    write_jsonl(folder / "a.jsonl", [{"id": i, "text": "bat " * (i % 7)} for i in range(300)])
    annotate_files(["a.jsonl"], "one.jsonl", TOY, batch_size=7)
    annotate_files(["a.jsonl"], "two.jsonl", TOY, batch_size=11, n_process=2)
    assert (folder / "one.jsonl").read_bytes() == (folder / "two.jsonl").read_bytes()
    assert [record["id"] for record in read_jsonl("two.jsonl")] == list(range(300))


@pytest.mark.parametrize("n_process", [1, 2])
def test_empty_input_gives_empty_output(folder, n_process):
    (folder / "a.txt").touch()
    summary = annotate_files(["a.txt"], "out.jsonl", TOY, n_process=n_process)
    assert summary == JobSummary(0, 0, 0, "out.jsonl", None, None)
    assert (folder / "out.jsonl").read_bytes() == b""


def test_when_every_record_fails_the_output_is_empty(folder):
    (folder / "a.txt").write_text("explode\nexplode\n")
    summary = annotate_files(["a.txt"], "out.jsonl", TOY)
    assert (summary.n_in, summary.n_out, summary.n_failed) == (2, 0, 2)
    assert (folder / "out.jsonl").read_bytes() == b""


def test_error_file_of_an_earlier_run_goes_when_nothing_fails(folder):
    (folder / "a.txt").write_text("bat\n")
    (folder / "out.jsonl.errors.jsonl").write_text("old\n")
    assert annotate_files(["a.txt"], "out.jsonl", TOY).errors is None
    assert names(folder) == ["a.txt", "out.jsonl"]


def test_error_file_can_be_named(folder):
    (folder / "a.txt").write_text("explode\n")
    summary = annotate_files(["a.txt"], "out.jsonl", TOY, errors="bad.jsonl")
    assert summary.errors == Path("bad.jsonl")
    assert names(folder) == ["a.txt", "bad.jsonl", "out.jsonl"]


def test_output_that_is_no_file_is_written_directly(folder):
    (folder / "a.txt").write_text("bat\nexplode\n")
    summary = annotate_files(["a.txt"], os.devnull, TOY)
    assert summary == JobSummary(2, 1, 1, os.devnull, Path("annotate.errors.jsonl"), None)
    assert names(folder) == ["a.txt", "annotate.errors.jsonl"]


def test_overwrite_follows_a_link(folder):
    (folder / "a.txt").write_text("bat\n")
    (folder / "real.jsonl").write_text("old\n")
    (folder / "out.jsonl").symlink_to("real.jsonl")
    annotate_files(["a.txt"], "out.jsonl", TOY, overwrite=True)
    assert (folder / "out.jsonl").is_symlink()
    assert read_jsonl("real.jsonl") == [{"text": "bat", "senses": SENSES}]


def test_progress_is_told_after_each_chunk(folder):
    data = b"bat\n\nexplode\nbat\nbat\n"
    (folder / "a.txt").write_bytes(data)
    told = []
    annotate_files(["a.txt"], "out.jsonl", TOY, batch_size=2, on_progress=told.append)
    assert [(now.n_in, now.n_failed, now.bytes_read) for now in told] == [
        (2, 0, 5),
        (4, 1, 17),
        (5, 1, 21),
    ]
    assert {now.bytes_total for now in told} == {len(data)}


def test_long_texts_close_a_chunk_early(folder, monkeypatch):
    monkeypatch.setattr(job_module, "_CHUNK_CHARS", 10)
    (folder / "a.txt").write_text("123456\n" * 5)
    told = []
    annotate_files(["a.txt"], "out.jsonl", TOY, on_progress=told.append)
    assert [now.n_in for now in told] == [2, 4, 5]


@pytest.mark.parametrize("n_process", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_only_a_few_chunks_are_read_ahead(folder, monkeypatch, n_process):
    read = []

    def counting(*args):
        for record in real(*args):
            read.append(record.line)
            yield record

    real = job_module.read_records
    monkeypatch.setattr(job_module, "read_records", counting)
    (folder / "a.txt").write_text("bat\n" * 200)
    ahead = []
    annotate_files(
        ["a.txt"],
        "out.jsonl",
        TOY,
        batch_size=2,
        n_process=n_process,
        on_progress=lambda now: ahead.append(len(read) - now.n_in),
    )
    assert len(ahead) == 100
    assert max(ahead) == (0 if n_process == 1 else 2 * (2 * n_process - 1))


# -- refused before any work -----------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (
            {"output": "no/out.jsonl"},
            r"folder of output no/out.jsonl does not exist: .* mkdir -p no",
        ),
        ({"output": "a.txt/out.jsonl"}, "does not exist: make it with mkdir -p a.txt"),
        ({"output": "."}, r"output . is a folder: name a file in it"),
        ({"output": "a.xls"}, r"output a.xls: a job writes .jsonl, .parquet, .csv, .tsv, .spacy"),
        ({"output": "a.xlsx"}, r"output a.xlsx: a job writes .jsonl, .parquet, .csv, .tsv, .spacy"),
        ({"output": "a.json.gz"}, r"output a.json.gz: a job writes .jsonl, .parquet"),
        ({"rows": "item"}, r"--rows item is for CSV and TSV: name an output such as OUT.csv"),
        ({"output": "a.parquet", "spreadsheet": True}, "--spreadsheet is for CSV and TSV"),
        ({"output": "a.csv", "rows": "sense"}, "rows / --rows is sense: allowed are record, item"),
        ({"output": "old.jsonl"}, "output old.jsonl exists: name another, or replace it with --o"),
        ({"output": "kept.jsonl"}, r"kept.jsonl.part is left from an interrupted job"),
        (
            {"output": "a.txt", "output_format": "jsonl", "overwrite": True},
            "a.txt is an input of this job",
        ),
        ({"errors": "a.txt"}, "a.txt is an input of this job"),
        ({"errors": "./out.jsonl"}, "--errors out.jsonl is the output itself"),
        ({"errors": "no/bad.jsonl"}, r"error file no/bad.jsonl does not exist: .* mkdir -p no"),
        ({"errors": "."}, r"the error file . is a folder"),
        ({"batch_size": 0}, "batch_size / --batch-size is 0: allowed are 1 and more"),
        ({"n_process": 0}, "--n-process is 0: allowed are 1 and more, or -1 for all cores"),
        ({"batch_size": "3"}, "batch_size / --batch-size is '3': allowed are 1 and more"),
        ({"n_process": 1.5}, "--n-process is 1.5: allowed are 1 and more, or -1 for all cores"),
        ({"encoding": "utf-16"}, "does not end lines with the byte 0x0A"),
        ({"text_key": "senses"}, "--text-key is senses"),
        ({"inputs": ["b.txt"]}, "input b.txt cannot be read: No such file"),
    ],
)
def test_wrong_calls_change_nothing(folder, arguments, match):
    (folder / "a.txt").write_text("bat\n")
    (folder / "old.jsonl").write_text("old\n")
    (folder / "old.jsonl.errors.jsonl").write_text("old errors\n")
    (folder / "kept.jsonl.part").write_text("kept\n")
    before = {name: (folder / name).read_text() for name in names(folder)}
    with pytest.raises(ConfigError, match=match):
        annotate_files(**{"inputs": ["a.txt"], "output": "out.jsonl", "annotator": TOY} | arguments)
    assert {name: (folder / name).read_text() for name in names(folder)} == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder_is_told_before_any_work(folder):
    (folder / "a.txt").write_text("bat\n")
    (folder / "closed").mkdir(mode=0o500)
    with pytest.raises(
        ConfigError, match=r"closed/out.jsonl cannot be written \(Permission denied\)"
    ):
        annotate_files(["a.txt"], "closed/out.jsonl", TOY)


def test_output_that_cannot_be_opened_is_told_before_any_work(folder, monkeypatch):
    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    (folder / "a.txt").write_text("bat\n")
    monkeypatch.setattr(partfile_module, "_create", lambda path, replace: refuse())
    with pytest.raises(ConfigError, match=r"out.jsonl cannot be written \(Permission denied\)"):
        annotate_files(["a.txt"], "out.jsonl", Annotator(factory=make_broken))


def test_overwrite_replaces_output_and_part(folder):
    (folder / "a.txt").write_text("bat\n")
    (folder / "out.jsonl").write_text("old\n")
    (folder / "out.jsonl.part").write_text("a longer old part that must go\n" * 99)
    annotate_files(["a.txt"], "out.jsonl", TOY, overwrite=True)
    assert read_jsonl("out.jsonl") == [{"text": "bat", "senses": SENSES}]
    assert names(folder) == ["a.txt", "out.jsonl"]


@pytest.mark.parametrize("n_process", [1, 2])
def test_missing_pipeline_leaves_no_files_and_the_old_output(folder, n_process):
    (folder / "a.txt").write_text("bat\n")
    (folder / "out.jsonl").write_text("old\n")
    broken = Annotator("x", factory=make_broken)
    with pytest.raises(ResourceError, match="pipeline x is missing"):
        annotate_files(["a.txt"], "out.jsonl", broken, n_process=n_process, overwrite=True)
    assert names(folder) == ["a.txt", "out.jsonl"]
    assert (folder / "out.jsonl").read_text() == "old\n"


# -- stopped on the way ----------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("n_process", [1, 2])
def test_interrupt_keeps_finished_chunks(folder, n_process):
    part = folder / "out.jsonl.part"
    lines = ["explode", "bat", f"stop {part}", *["bat"] * 20]
    (folder / "a.txt").write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(JobInterrupted, match="interrupted") as caught:
        annotate_files(["a.txt"], "out.jsonl", TOY, batch_size=1, n_process=n_process)
    summary = caught.value.summary
    assert summary.part == part
    assert summary.n_failed == len(read_jsonl("out.jsonl.errors.jsonl")) == 1
    assert summary.n_out == len(read_jsonl(part))
    assert 1 <= summary.n_out < len(lines) - 2
    assert read_jsonl(part)[0] == {"text": "bat", "senses": SENSES}
    assert not (folder / "out.jsonl").exists()


def test_interrupt_in_the_middle_of_a_write_leaves_whole_lines(folder, monkeypatch):
    real_write = os.write
    calls = []

    def interrupted(descriptor, data):
        calls.append(len(data))
        if len(calls) == 2:
            real_write(descriptor, data[:5])
            raise KeyboardInterrupt
        return real_write(descriptor, data)

    (folder / "a.txt").write_text("bat\nbat\n")
    monkeypatch.setattr(os, "write", interrupted)
    with pytest.raises(JobInterrupted, match="interrupted"):
        annotate_files(["a.txt"], "out.jsonl", TOY, batch_size=1)
    assert read_jsonl("out.jsonl.part") == [{"text": "bat", "senses": SENSES}]


def test_interrupt_before_the_first_record_leaves_nothing(folder):
    def interrupt(pipeline, *, inventory, method):
        raise KeyboardInterrupt

    (folder / "a.txt").write_text("bat\n")
    with pytest.raises(JobInterrupted, match="interrupted") as caught:
        annotate_files(["a.txt"], "out.jsonl", Annotator(factory=interrupt))
    assert caught.value.summary == JobSummary(0, 0, 0, "out.jsonl", None, None)
    assert names(folder) == ["a.txt"]


def test_short_writes_are_continued(folder, monkeypatch):
    real_write = os.write
    (folder / "a.txt").write_text("bat\nbat\n")
    monkeypatch.setattr(os, "write", lambda descriptor, data: real_write(descriptor, data[:3]))
    annotate_files(["a.txt"], "out.jsonl", TOY)
    assert read_jsonl("out.jsonl") == [{"text": "bat", "senses": SENSES}] * 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_full_disk_is_one_sentence(folder):
    (folder / "a.txt").write_text("bat\n")
    with pytest.raises(
        JobError, match=r"failed: No space left on device; finished before: 0 records"
    ):
        annotate_files(["a.txt"], "/dev/full", TOY)


def test_full_disk_keeps_what_was_finished(folder, monkeypatch):
    real_write = os.write
    calls = []

    def full(descriptor, data):
        calls.append(len(data))
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return real_write(descriptor, data)

    (folder / "a.txt").write_text("bat\nbat\n")
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(
        JobError, match=r"finished before: 1 record, kept in .*out.jsonl.part"
    ) as got:
        annotate_files(["a.txt"], "out.jsonl", TOY, batch_size=1)
    assert got.value.summary.n_out == 1
    assert read_jsonl("out.jsonl.part") == [{"text": "bat", "senses": SENSES}]


def test_missing_model_in_the_middle_stops_the_job(folder):
    (folder / "a.txt").write_text("bat\nmissing\nbat\n")
    with pytest.raises(ResourceError, match="the model is missing"):
        annotate_files(["a.txt"], "out.jsonl", TOY, batch_size=1)
    assert read_jsonl("out.jsonl.part") == [{"text": "bat", "senses": SENSES}]


@pytest.mark.slow
def test_child_that_dies_is_noticed(folder):
    (folder / "a.txt").write_text("die\n" + "bat\n" * 20)
    with pytest.raises(JobError, match=r"a child process died.*smaller --n-process"):
        annotate_files(["a.txt"], "out.jsonl", TOY, batch_size=1, n_process=2)
    assert not (folder / "out.jsonl").exists()

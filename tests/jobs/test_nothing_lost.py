"""What destroyed or dropped data once, and its relatives: each done for real, on scratch nodes."""

from __future__ import annotations

import gzip
import json
import os
import re
import stat
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import spacy_attn
from spacy_attn.errors import ConfigError
from spacy_attn.jobs import JobError, JobOptions, annotate_files
from spacy_attn.jobs.output_paths import find_output_paths
from spacy_attn.jobs.readers import read_records
from spacy_attn.jobs.records import BadRecord, Record
from spacy_attn.jobs.sources import find_sources
from tests.jobs.toy import SENSES, TOY

ROOT = Path(spacy_attn.__path__[0]).parent
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="makes a device node")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def job(inputs, output, **options):
    on_progress = options.pop("on_progress", None)
    made = JobOptions(**options)
    return annotate_files(inputs, output, TOY, made, on_progress=on_progress)


def read(name, **options):
    made = JobOptions(**options)
    return [r for source in find_sources([name]) for r in read_records(source, made)]


def texts(records):
    return [record.text for record in records if isinstance(record, Record)]


def reasons(records):
    return [record.reason for record in records if isinstance(record, BadRecord)]


def read_jsonl(path):
    return [json.loads(line) for line in Path(path).read_bytes().splitlines()]


def device(path):
    """Another /dev/null, which may be destroyed."""
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    return path


def is_device(path):
    return stat.S_ISCHR(os.lstat(path).st_mode)


# -- two jobs on one output --------------------------------------------------------------

TWO_JOBS = """
import sys
import time
from pathlib import Path
from spacy_attn.errors import ConfigError
from spacy_attn.jobs import JobOptions, annotate_files
from tests.jobs.toy import TOY

TOY.load()
Path(f"ready{sys.argv[2]}").touch()
while not Path("go").exists():
    time.sleep(0.001)
options = JobOptions(batch_size=5, **{sys.argv[1]: True})
try:
    print(annotate_files(["in.txt"], "out.jsonl", TOY, options))
except ConfigError as error:
    print("refused:", error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("option", ["overwrite", "resume"])
def test_jobs_that_start_together_lose_nothing(folder, option):
    (folder / "in.txt").write_text("a bat\n" * 400)
    (folder / "out.jsonl").write_text("old\n") if option == "overwrite" else None
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", TWO_JOBS, option, str(number)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    while len(list(folder.glob("ready*"))) < len(jobs):
        assert all(each.poll() is None for each in jobs)
    (folder / "go").touch()
    told = [each.communicate(timeout=250)[0] for each in jobs]
    assert [each.returncode for each in jobs] == [0] * 4
    done = [line for line in told if line.startswith("JobSummary(n_in=400, n_out=400")]
    refused = [line for line in told if "a running job writes out.jsonl" in line]
    assert len(done) + len(refused) == 4
    assert done
    assert len(read_jsonl("out.jsonl")) == 400
    assert not list(folder.glob("out.jsonl.*lock"))


def test_second_job_touches_nothing_of_the_first(folder):
    (folder / "in.txt").write_text("bat\n" * 8)
    (folder / "out.jsonl").write_text("old\n")
    tried = []

    def start_another(now):
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        for option in ("overwrite", "resume"):
            with pytest.raises(ConfigError, match=r"a running job writes out.jsonl: wait for it"):
                job(["in.txt"], "out.jsonl", **{option: True})
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        tried.append(now.n_in)

    job(["in.txt"], "out.jsonl", batch_size=2, overwrite=True, on_progress=start_another)
    assert tried == [2, 4, 6, 8]
    assert len(read_jsonl("out.jsonl")) == 8


@pytest.mark.parametrize("name", ["bad.jsonl", "link.jsonl"])
def test_error_file_of_a_running_job_is_not_shared(folder, name):
    (folder / "in.txt").write_text("explode\nbat\nbat\n")
    if name == "link.jsonl":
        (folder / "bad.jsonl").touch()
        os.symlink("bad.jsonl", name)
    tried = []

    def start_another(now):
        with pytest.raises(ConfigError, match=rf"a running job writes {name}.*--errors"):
            job(["in.txt"], "other.jsonl", errors=name)
        tried.append(now.n_in)

    job(["in.txt"], "out.jsonl", errors="bad.jsonl", batch_size=1, on_progress=start_another)
    assert tried == [1, 2, 3]
    assert [error["record"] for error in read_jsonl("bad.jsonl")] == ["explode"]


@pytest.mark.parametrize("options", [{}, {"overwrite": True}, {"resume": True}])
@pytest.mark.parametrize(
    "name", ["data.lock", "data.manifest.jsonl", "data.errors.jsonl.lock", "data.part"]
)
def test_a_file_of_another_that_has_a_name_the_job_needs_stays(folder, name, options):
    """The lock file of a package, the manifest of a data set; and the part by a link."""
    (folder / "in.txt").write_text("bat\nexplode\n")
    (folder / "mine").write_text("mine\n")
    os.link("mine", name) if name != "data.part" else os.symlink("mine", name)
    with pytest.raises(ConfigError, match=rf"{name} was not made by a job.*move it away"):
        job(["in.txt"], "data", partition_size=2, **options)
    assert (folder / name).read_text() == "mine\n"
    assert sorted(os.listdir()) == sorted(["in.txt", "mine", name])


@pytest.mark.parametrize("options", [{}, {"overwrite": True}, {"resume": True}])
@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
@pytest.mark.parametrize(
    ("output", "name"),
    [("out.parquet", "_out.parquet.tmp"), ("out", "_part-00000.jsonl.tmp")],
)
def test_what_is_no_file_and_has_the_name_of_an_unfinished_one_stays(
    folder, output, name, kind, options
):
    (folder / "in.txt").write_text("bat\nexplode\n")
    place = folder / "out" / name if output == "out" else folder / name
    place.parent.mkdir(exist_ok=True)
    make = {"pipe": os.mkfifo, "folder": os.mkdir, "link": lambda path: os.symlink("mine", path)}
    make[kind](place)
    size = {"partition_size": 2} if output == "out" else {}
    with pytest.raises(ConfigError, match=rf"{name} was not made by a job.*move it away"):
        job(["in.txt"], output, **size, **options)
    assert os.path.lexists(place)


def test_a_pipe_with_the_name_of_the_error_file_is_told_at_the_start(folder):
    (folder / "in.txt").write_text("bat\nexplode\n")
    os.mkfifo("out.jsonl.errors.jsonl")
    with pytest.raises(ConfigError, match=r"errors.jsonl was not made by a job.*move it away"):
        job(["in.txt"], "out.jsonl")
    assert sorted(os.listdir()) == ["in.txt", "out.jsonl.errors.jsonl"]


@pytest.mark.parametrize("left", [b"", b'{"vers', b'{"version": 2, "inp'])
def test_a_manifest_that_a_kill_cut_is_that_of_a_job(folder, left):
    (folder / "in.txt").write_text("bat\n")
    (folder / "out.jsonl.manifest.jsonl").write_bytes(left)
    (folder / "out.jsonl.lock").touch()
    assert job(["in.txt"], "out.jsonl", resume=True).n_out == 1


@AS_ROOT
def test_jobs_without_output_files_take_error_files_of_their_own(folder):
    (folder / "a.txt").write_text("explode\nbat\n")
    (folder / "b.txt").write_text("explode b\n")
    device(folder / "null")
    told = []

    def start_another(now):
        if now.n_in == 1:
            told.append(job(["b.txt"], "null").errors)

    summary = job(["a.txt"], "null", batch_size=1, on_progress=start_another)
    assert summary.errors == Path("annotate.errors.jsonl")
    assert read_jsonl(summary.errors)[0]["record"] == "explode"
    assert told[0] != summary.errors
    assert read_jsonl(told[0])[0]["record"] == "explode b"


# -- devices, pipes and links ------------------------------------------------------------


@AS_ROOT
@pytest.mark.parametrize("text", ["bat\n", "explode\n", "explode\n" * 20])
def test_error_device_is_written_and_stays(folder, text):
    (folder / "in.txt").write_text(text)
    device(folder / "null")
    summary = job(["in.txt"], "out.jsonl", errors="null", batch_size=1)
    assert summary.n_failed == text.count("explode")
    assert is_device(folder / "null")


@AS_ROOT
def test_error_device_stays_when_the_job_stops(folder):
    (folder / "in.txt").write_text("bat\nexplode\nbat\n")
    device(folder / "null")
    with pytest.raises(JobError, match="more than --max-errors 0"):
        job(["in.txt"], "out.jsonl", errors="null", batch_size=1, max_errors=0, resume=True)
    assert is_device(folder / "null")
    assert job(["in.txt"], "out.jsonl", errors="null", batch_size=1, resume=True).n_in == 3
    assert is_device(folder / "null")


@AS_ROOT
@pytest.mark.parametrize("options", [{}, {"overwrite": True}])
def test_output_device_stays(folder, options):
    (folder / "in.txt").write_text("bat\nexplode\n")
    device(folder / "null")
    os.symlink("null", "link")
    for name in ("null", "link"):
        assert job(["in.txt"], name, **options).n_out == 1
        assert is_device(folder / "null")
    assert (folder / "link").is_symlink()


def test_error_pipe_is_written_and_stays(folder):
    (folder / "in.txt").write_text("bat\nexplode\n")
    os.mkfifo("pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((folder / "pipe").read_bytes()))
    reader.start()
    job(["in.txt"], "out.jsonl", errors="pipe")
    reader.join()
    assert json.loads(got[0])["record"] == "explode"
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)


@pytest.mark.parametrize("text", ["bat\n", "explode\n"])
def test_error_link_stays_a_link(folder, text):
    (folder / "in.txt").write_text(text)
    (folder / "real.jsonl").write_text("old\n")
    os.symlink("real.jsonl", "link.jsonl")
    job(["in.txt"], "out.jsonl", errors="link.jsonl")
    assert (folder / "link.jsonl").is_symlink()
    assert len(read_jsonl("real.jsonl")) == text.count("explode")


@pytest.mark.parametrize("options", [{"errors": "other"}, {"errors": "link"}, {}])
def test_an_input_with_a_second_name_is_not_emptied(folder, options):
    """The error file, or the part that is to be replaced, is the input by a hard link."""
    (folder / "in.txt").write_text("bat\nexplode\n")
    for name in ("other", "out.jsonl.part"):
        os.link("in.txt", name)
    os.symlink("other", "link")
    with pytest.raises(ConfigError, match=r"is an input of this job"):
        job(["in.txt"], "out.jsonl", overwrite=True, **options)
    assert (folder / "in.txt").read_text() == "bat\nexplode\n"


def test_an_output_that_was_a_hard_link_of_the_input_leaves_it(folder):
    (folder / "in.txt").write_text("bat\n")
    os.link("in.txt", "out.jsonl")
    assert job(["in.txt"], "out.jsonl", overwrite=True).n_out == 1
    assert (folder / "in.txt").read_text() == "bat\n"


def test_link_that_leads_nowhere_is_one_sentence(folder):
    (folder / "in.txt").write_text("bat\n")
    os.symlink("self.jsonl", "self.jsonl")
    with pytest.raises(ConfigError, match=r"self.jsonl is a link that leads back to itself"):
        job(["in.txt"], "self.jsonl")
    os.symlink("no/there.jsonl", "broken.jsonl")
    with pytest.raises(ConfigError, match=r"folder of output broken.jsonl does not exist"):
        job(["in.txt"], "broken.jsonl")


# -- resuming what is gone ---------------------------------------------------------------

OUTPUTS = ["out.jsonl", "out.jsonl.gz", "out.parquet", "out.spacy"]


@pytest.mark.parametrize("name", OUTPUTS)
def test_finished_output_that_is_gone_is_made_again(folder, name, caplog):
    (folder / "in.txt").write_text("bat\nexplode\n")
    job(["in.txt"], name, resume=True)
    before = (folder / name).read_bytes()
    (folder / name).unlink()
    assert job(["in.txt"], name, resume=True).n_out == 1
    assert (folder / name).read_bytes() == before
    assert f"{name} is gone since the job wrote it: the job begins anew" in caplog.text


def test_finished_output_that_was_changed_is_made_again_and_kept(folder, caplog):
    (folder / "in.txt").write_text("bat\n")
    job(["in.txt"], "out.jsonl", resume=True)
    before = (folder / "out.jsonl").read_bytes()
    changed = before.replace(b"b", b"c", 1)
    (folder / "out.jsonl").write_bytes(changed)
    job(["in.txt"], "out.jsonl", resume=True)
    assert (folder / "out.jsonl").read_bytes() == before
    assert (folder / "_out.jsonl.changed").read_bytes() == changed
    assert "out.jsonl is changed since the job wrote it" in caplog.text


@pytest.mark.parametrize("damage", ["gone", "changed"])
@pytest.mark.parametrize("is_link", [False, True])
@pytest.mark.parametrize("options", [{}, {"partition_size": 2, "batch_size": 2}])
def test_error_file_of_a_finished_job_is_made_again(folder, damage, is_link, options, caplog):
    (folder / "in.txt").write_text("bat\nexplode\nbat\n")
    if is_link:
        os.symlink("bad.jsonl", "link.jsonl")
    options = {**options, "errors": "link.jsonl" if is_link else "bad.jsonl", "resume": True}
    name = "out" if "partition_size" in options else "out.jsonl"
    job(["in.txt"], name, **options)
    bad = folder / "bad.jsonl"
    before = bad.read_bytes()
    changed = before.replace(b"explode", b"implode")
    bad.unlink() if damage == "gone" else bad.write_bytes(changed)
    assert job(["in.txt"], name, **options).n_failed == 1
    assert bad.read_bytes() == before
    assert (folder / "link.jsonl").is_symlink() is is_link
    assert f"{options['errors']} is {damage} since the job wrote it" in caplog.text
    kept = folder / f"_{options['errors']}.changed"
    assert kept.exists() is (damage == "changed")
    assert damage == "gone" or kept.read_bytes() == changed
    caplog.clear()
    job(["in.txt"], name, **options)
    assert not caplog.text


@AS_ROOT
def test_error_device_of_a_finished_job_is_not_missed(folder, caplog):
    (folder / "in.txt").write_text("bat\nexplode\n")
    null = str(device(folder / "null"))
    for _ in range(2):
        job(["in.txt"], "out.jsonl", errors=null, resume=True)
    assert not caplog.text


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_partition_that_is_gone_or_changed_is_made_again(folder, damage, caplog):
    (folder / "in.txt").write_text("bat\n" * 6)
    options = {"partition_size": 2, "batch_size": 2, "resume": True}
    job(["in.txt"], "out", **options)
    before = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
    path = folder / "out" / "part-00001.jsonl"
    path.unlink() if damage == "gone" else path.write_bytes(path.read_bytes() + b"\n")
    job(["in.txt"], "out", **options)
    after = {path.name: path.read_bytes() for path in (folder / "out").glob("part-*")}
    assert after == before
    assert f"part-00001.jsonl is {damage}" in caplog.text


def test_partition_that_goes_during_the_run_is_noticed(folder):
    (folder / "in.txt").write_text("bat\n" * 6)
    options = {"partition_size": 2, "batch_size": 2, "resume": True}

    def remove(now):
        if now.n_in == 4:
            (folder / "out" / "part-00000.jsonl").unlink()

    with pytest.raises(JobError, match=r"part-00000.jsonl was removed or changed while"):
        job(["in.txt"], "out", **options, on_progress=remove)
    assert job(["in.txt"], "out", **options).n_out == 6
    assert len(list((folder / "out").glob("part-*"))) == 3


@pytest.mark.parametrize("name", OUTPUTS)
def test_part_that_goes_during_the_run_is_noticed(folder, name):
    (folder / "in.txt").write_text("bat\n" * 4)

    def remove(now):
        if now.n_in == 2:
            (folder / f"{name}.part").unlink()

    with pytest.raises(JobError, match=r"part was removed or replaced while the job ran"):
        job(["in.txt"], name, batch_size=2, resume=True, on_progress=remove)
    assert not (folder / name).exists()
    assert job(["in.txt"], name, batch_size=2, resume=True).n_out == 4
    assert (folder / name).stat().st_size


@pytest.mark.parametrize("name", [*OUTPUTS, "parts"])
def test_part_that_is_changed_during_the_run_is_noticed(folder, name):
    """A changed byte, or bytes behind the job's own, do not reach the output."""
    (folder / "in.txt").write_text("bat\n" * 4)
    part = folder / f"{name}.part"
    options = {"batch_size": 2, "resume": True}
    if name == "parts":
        options["partition_size"] = 4

    def flip(now):
        if now.n_in == 2:
            with part.open("r+b") as file:
                file.seek(5)
                file.write(b"#")

    def extend(now):
        if now.n_in == 4:
            with part.open("ab") as file:
                file.write(b"of another")

    for change in (flip,) if name == "parts" else (flip, extend):
        with pytest.raises(JobError, match=r"part was changed while the job ran; finished before"):
            job(["in.txt"], name, **options, on_progress=change)
        assert not (folder / name).is_file()
        assert not list(folder.glob("parts/part-*"))
        assert job(["in.txt"], name, overwrite=True, **options | {"resume": False}).n_out == 4
        for path in [*folder.glob("parts/*"), *folder.glob("parts"), *folder.glob(f"{name}*")]:
            path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)


def interrupted(folder, name="out.jsonl"):
    (folder / "in.txt").write_text("bat\nexplode\nbat\nbat\n")
    with pytest.raises(JobError, match="more than --max-errors 0"):
        job(["in.txt"], name, batch_size=1, max_errors=0, resume=True)


@pytest.mark.parametrize("file", ["out.jsonl.part", "out.jsonl.errors.jsonl"])
def test_changed_byte_of_an_unfinished_job_is_noticed(folder, file):
    interrupted(folder)
    data = bytearray((folder / file).read_bytes())
    data[5] ^= 1
    (folder / file).write_bytes(data)
    with pytest.raises(ConfigError, match=r"differs from what its manifest says .*--overwrite"):
        job(["in.txt"], "out.jsonl", batch_size=1, resume=True)
    assert (folder / file).read_bytes() == data


@pytest.mark.parametrize("file", ["out.jsonl.part", "out.jsonl.errors.jsonl"])
def test_file_of_an_unfinished_job_that_is_gone_begins_it_anew(folder, file, caplog):
    interrupted(folder)
    (folder / file).unlink()
    assert job(["in.txt"], "out.jsonl", batch_size=1, resume=True).n_out == 3
    assert len(read_jsonl("out.jsonl")) == 3
    assert f"{file} is gone since the job wrote it" in caplog.text


@pytest.mark.parametrize("name", OUTPUTS)
def test_output_that_another_makes_during_the_run_stays(folder, name):
    (folder / "in.txt").write_text("bat\n" * 4)
    other = folder / name

    def make(now):
        other.write_text("of another\n")

    with pytest.raises(JobError, match=r"was made by another while this job ran.*--resume"):
        job(["in.txt"], name, batch_size=2, resume=True, on_progress=make)
    assert other.read_text() == "of another\n"
    with pytest.raises(ConfigError, match=r"was made by another since this job began"):
        job(["in.txt"], name, batch_size=2, resume=True)
    other.rename(folder / "away")
    assert job(["in.txt"], name, batch_size=2, resume=True).n_out == 4
    job(["in.txt"], name, overwrite=True, on_progress=make)  # as it was told to
    assert other.read_bytes() != b"of another\n"


def test_overwriting_partitions_leaves_none_of_the_old_ones(folder):
    (folder / "in.txt").write_text("bat\n" * 6)
    job(["in.txt"], "out", partition_size=2, batch_size=2)
    (folder / "out" / "mine.txt").touch()
    job(["in.txt"], "out", partition_size=4, batch_size=2, overwrite=True)
    names = sorted(path.name for path in (folder / "out").iterdir())
    assert names == ["mine.txt", "part-00000.jsonl", "part-00001.jsonl"]


def test_odd_line_in_a_manifest_is_one_sentence(folder):
    interrupted(folder)
    with (folder / "out.jsonl.manifest.jsonl").open("a") as file:
        file.write('{"n_cats": 7}\n')
    with pytest.raises(ConfigError, match="has a line that no job wrote"):
        job(["in.txt"], "out.jsonl", batch_size=1, resume=True)


@pytest.mark.parametrize(
    ("number", "change"),
    [
        (0, {"inputs": 5}),
        (0, {"inputs": [1]}),
        (0, {"inputs": [{}]}),
        (0, {"files": 3}),
        (-1, {"n_chunks": "2"}),
        (-1, {"n_in": None}),
        (-1, {"part": -9}),
        (-1, {"part": "9"}),
        (-1, {"part": float("inf")}),
        (-1, {"finished": 1}),
        (-1, {"n_out": True}),
        (-1, {"partitions": []}),
        (-1, {"made": {"out.jsonl": {"size": "a", "sha256": 3}}}),
    ],
)
def test_odd_values_in_a_manifest_are_one_sentence(folder, number, change):
    interrupted(folder)
    path = folder / "out.jsonl.manifest.jsonl"
    lines = path.read_text().splitlines()
    lines[number] = resealed(lines[number], change)
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ConfigError, match="has a line that no job wrote"):
        job(["in.txt"], "out.jsonl", batch_size=1, resume=True)


@pytest.mark.parametrize("name", ["n_chunks", "n_in", "n_out", "n_failed", "bytes_read", "pending"])
def test_a_changed_number_in_a_manifest_is_noticed(folder, name):
    """It looks as good as the right one, and records would be passed over or counted wrong."""
    interrupted(folder)
    path = folder / "out.jsonl.manifest.jsonl"
    *before, last = path.read_text().splitlines()
    last = json.dumps(json.loads(last) | {name: 3})
    path.write_text("\n".join([*before, last]) + "\n")
    with pytest.raises(ConfigError, match=r"has a line that no job wrote.* anew with --overw"):
        job(["in.txt"], "out.jsonl", batch_size=1, resume=True)


DAMAGES = {
    "a changed byte": lambda data, at: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
    "cut short": lambda data, at: data[:at],
    "zeros": lambda data, at: data[:at] + bytes(len(data) - at),
    "halves swapped": lambda data, at: data[at:] + data[:at],
    "twice": lambda data, at: data * 2,
    "more at the end": lambda data, at: data + data[:at],
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", OUTPUTS)
def test_files_that_were_damaged_before_going_on(folder, name, damage):
    """Either one sentence, or the output of an undisturbed job."""
    interrupted(folder, name)
    files = [folder / f"{name}.{end}" for end in ("part", "manifest.jsonl", "errors.jsonl")]
    kept = {path: path.read_bytes() for path in files}
    job(["in.txt"], name, batch_size=1, resume=True)
    expected = (folder / name).read_bytes()
    for path in files:
        for quarter in range(4):
            (folder / name).unlink(missing_ok=True)
            for each, data in kept.items():
                each.write_bytes(data)
            data = kept[path]
            path.write_bytes(DAMAGES[damage](data, 3 + quarter * (len(data) - 4) // 4))
            try:
                job(["in.txt"], name, batch_size=1, resume=True)
                said = ""
            except ConfigError as error:
                said = str(error)
            if said:
                assert "\n" not in said
                assert re.search("--overwrite|move it away", said)
            else:
                assert (folder / name).read_bytes() == expected


def resealed(line, change):
    """A line with other values, as a job would have written it."""
    values = {key: value for key, value in json.loads(line).items() if key != "crc32"} | change
    return json.dumps(values | {"crc32": zlib.crc32(json.dumps(values).encode())})


def test_a_manifest_that_tells_of_more_chunks_than_there_are(folder):
    interrupted(folder)
    path = folder / "out.jsonl.manifest.jsonl"
    *before, last = path.read_text().splitlines()
    last = resealed(last, {"n_chunks": 10**15})
    path.write_text("\n".join([*before, last, "[" * 100_000]) + "\n")
    with pytest.raises(ConfigError, match="tells of more records than the input has"):
        job(["in.txt"], "out.jsonl", batch_size=1, resume=True)
    assert not (folder / "out.jsonl").exists()


# -- values that a format cannot hold ----------------------------------------------------


def test_huge_integers_reach_parquet_as_text(folder):
    number = "9" * 5000
    lines = [f'{{"id": {i}, "n": {number if i == 1 else i}, "text": "bat"}}' for i in range(3)]
    (folder / "in.jsonl").write_text("\n".join(lines) + f'\n{{"text": "bat", "in": [{number}]}}\n')
    assert job(["in.jsonl"], "out.parquet").n_out == 4
    rows = pq.read_table("out.parquet").to_pylist()
    assert [row["text"] for row in rows] == ["bat"] * 4
    assert [row["id"] for row in rows] == [0, 1, 2, None]
    assert [row["senses"] for row in rows] == [SENSES] * 4
    assert json.loads(rows[1]["other_fields"]) == {"n": number}
    assert rows[3]["in"] == [number]


@pytest.mark.parametrize("name", ["out.parquet", "out.csv"])
def test_numbers_beyond_floats_are_carried_as_text(folder, name):
    lines = [f'{{"text": "bat", "f": {number}}}\n' for number in ("1e400", "[-1E+999]", "1.5")]
    (folder / "in.jsonl").write_text("".join(lines))
    assert job(["in.jsonl"], name).n_out == 3
    told = Path(name).read_bytes() if name == "out.csv" else str(pq.read_table(name)).encode()
    assert b"1e400" in told
    assert b"-1E+999" in told
    assert b"inf" not in told.lower()


def test_columns_of_the_same_name_are_told(folder):
    """A record would hold one of them."""
    arrays = [pa.array(["bat"]), pa.array([1]), pa.array([2])]
    pq.write_table(pa.Table.from_arrays(arrays, names=["text", "x", "x"]), "a.parquet")
    (folder / "a.csv").write_text("text,x,x\nbat,1,2\n")
    for name in ("a.parquet", "a.csv"):
        with pytest.raises(ConfigError, match=rf"input {name} has two columns 'x'.*rename"):
            job([name], "out.jsonl")
    os.mkfifo("pipe.csv")
    writer = threading.Thread(
        target=(folder / "pipe.csv").write_bytes, args=[b"text,x,x\nbat,1,2\n"]
    )
    writer.start()
    assert job(["pipe.csv"], "out.jsonl").n_failed == 1
    writer.join()
    (folder / "b.csv").write_text("text,,\nbat,,\n")  # as spreadsheets end their lines
    assert job(["b.csv"], "b.jsonl").n_out == 1


@pytest.mark.parametrize("name", OUTPUTS)
def test_lone_surrogates_in_other_fields_stop_no_job(folder, name):
    records = [
        r'{"text": "bat", "x": "\ud800"}',
        r'{"text": "bat", "x": ["\udfff"]}',
        r'{"text": "bat", "\ud800": 1}',
        r'{"text": "bat", "x": "fine"}',
    ]
    (folder / "in.jsonl").write_text("\n".join(records))
    summary = job(["in.jsonl"], name)
    assert (summary.n_out, summary.n_failed) == (4, 0)
    if name == "out.parquet":
        rows = pq.read_table(name).to_pylist()
        assert [row["text"] for row in rows] == ["bat"] * 4
        assert json.loads(rows[0]["other_fields"]) == {"x": "\ud800"}
    if name == "out.jsonl":
        assert [json.loads(record)["text"] for record in records] == ["bat"] * 4


def test_text_that_is_no_utf8_in_parquet_is_a_bad_row(folder):
    raw = pa.array([b"bat", b"\xff bat", b"bat"])
    other = pa.array([b"a", b"b", b"\xff"])
    strings = [pa.Array.from_buffers(pa.string(), 3, each.buffers()) for each in (raw, other)]
    pq.write_table(pa.table({"text": strings[0], "x": strings[1]}), "in.parquet")
    summary = job(["in.parquet"], "out.jsonl")
    assert (summary.n_out, summary.n_failed) == (1, 2)
    assert [error["line"] for error in read_jsonl("out.jsonl.errors.jsonl")] == [2, 3]


# -- compressed files that are damaged ---------------------------------------------------

LINES = b"".join(b"line %06d of some text\n" % i for i in range(30_000))


def lines_of(records):
    assert all(isinstance(record, BadRecord) for record in records[-1:])
    return len(texts(records))


def expected_lines(data):
    """The whole lines that zlib gives when it is fed byte by byte."""
    member, out = zlib.decompressobj(31), b""
    for i in range(len(data)):
        try:
            out += member.decompress(data[i : i + 1])
        except zlib.error:
            break
    return out.count(b"\n")


@pytest.mark.parametrize("tenth", [1, 5, 9])
def test_truncated_gzip_gives_all_whole_lines(folder, tenth):
    data = gzip.compress(LINES)
    cut = data[: len(data) * tenth // 10]
    (folder / "a.txt.gz").write_bytes(cut)
    records = read("a.txt.gz")
    assert lines_of(records) == expected_lines(cut) > 1000
    assert reasons(records) == ["gzip breaks off or is damaged: it ends in the middle"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[:-4] + b"\1\2\3\4", "incorrect length check"),
        (lambda data: data[:-8] + b"\1\2\3\4" + data[-4:], "incorrect data check"),
        (lambda data: data + b"\0" * 512, "incorrect header check"),
        (lambda data: data + b"rubbish", "incorrect header check"),
    ],
)
def test_damage_behind_the_last_line_costs_no_line(folder, damage, reason):
    (folder / "a.txt.gz").write_bytes(damage(gzip.compress(LINES)))
    records = read("a.txt.gz")
    assert lines_of(records) == 30_000
    assert len(reasons(records)) == 1
    assert reason in reasons(records)[0]


@pytest.mark.slow
def test_changed_byte_in_the_middle_costs_what_follows(folder):
    data = bytearray(gzip.compress(LINES))
    data[len(data) // 2] ^= 0xFF
    (folder / "a.txt.gz").write_bytes(data)
    assert lines_of(read("a.txt.gz")) >= expected_lines(bytes(data)) - 1
    assert summary_of(["a.txt.gz"]).n_failed


def summary_of(inputs):
    return job(inputs, "out.jsonl", overwrite=True)


def test_members_of_gzip_are_read_one_after_the_other(folder):
    (folder / "a.txt.gz").write_bytes(gzip.compress(b"one\ntw") + gzip.compress(b"o\nthree\n"))
    records = read("a.txt.gz")
    assert texts(records) == ["one", "two", "three"]
    assert reasons(records) == []


@pytest.mark.parametrize("tenth", [3, 9])
def test_truncated_zstd_gives_what_was_unpacked(folder, tenth):
    packed = pa.Codec("zstd").compress(LINES * 20, asbytes=True)
    (folder / "a.txt.zst").write_bytes(packed[: len(packed) * tenth // 10])
    records = read("a.txt.zst")
    # A block of zstd is 128 KiB, and only whole ones can be unpacked.
    assert lines_of(records) > 600_000 * tenth / 10 * 0.5
    assert len(reasons(records)) == 1


def test_rows_of_csv_before_the_damage_are_kept(folder):
    rows = b"id,text\n" + b"".join(b'%d,"a bat"\n' % i for i in range(20_000))
    data = gzip.compress(rows)
    (folder / "a.csv.gz").write_bytes(data[:-6])
    records = read("a.csv.gz")
    assert len(texts(records)) == 20_000
    assert "the rest of the file cannot be read as csv" in reasons(records)[0]


# -- CSV ---------------------------------------------------------------------------------

GOOD = "".join(f"{i},bat\n" for i in range(3, 2003))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ('2,"never closed\n', "the quote that opens in line 3 of the file is not closed before"),
        ('2,"closed" not\n', None),  # as it always was: the text is taken
        (f"2,{'x' * 3000}\n", "the record has more than 1,000 bytes"),
        (f'2,"{"x" * 3000}"\n', "the record has more than 1,000 bytes"),
        ('2,bat,"open\n', "line 3 of the file is not closed"),
    ],
)
def test_a_bad_row_costs_itself_alone(folder, bad, reason):
    (folder / "a.csv").write_text(f"id,text\n1,bat\n{bad}{GOOD}")
    records = read("a.csv", max_record_bytes=1000 if "xxx" in bad else 2**20)
    assert texts(records).count("bat") == 2001
    assert all(reason in each for each in reasons(records))
    assert len(reasons(records)) == (reason is not None)
    if reason:
        (error,) = [record for record in records if isinstance(record, BadRecord)]
        assert error.line == 2
        assert error.raw.startswith(bad[:10])


def test_open_quote_beyond_the_limit_costs_its_line_alone(folder):
    (folder / "a.csv").write_text(f'id,text\n1,bat\n2,"open\n{GOOD}')
    records = read("a.csv", max_record_bytes=2000)
    assert texts(records).count("bat") == 2001
    assert reasons(records) == [
        "the quote that opens in line 3 of the file is not closed within 2,000 bytes "
        "(--max-record-bytes); the lines after it are read as rows of their own"
    ]


def test_open_quote_before_quoted_rows_costs_its_line_alone(folder):
    quoted = "".join(f'{i},"a bat, {i}"\n' for i in range(500))
    (folder / "a.csv").write_text(f'id,text\n1,bat\n2,"open\n{quoted}')
    records = read("a.csv")
    assert len(texts(records)) == 501
    assert (
        "line 3 of the file is not closed properly: other text follows the quote in line 4"
        in (reasons(records)[0])
    )


def test_open_quote_before_an_empty_one_costs_its_line_alone(folder):
    (folder / "a.csv").write_text('id,text\n1,"open\n2,""\n3,bat\n4,bat\n')
    records = read("a.csv")
    assert texts(records) == ["", "bat", "bat"]
    assert len(reasons(records)) == 1


def test_well_formed_rows_of_many_lines_stay_one(folder):
    body = "\n".join(f'line {i} says ""hi"", and so on' for i in range(300))
    (folder / "a.csv").write_text(f'id,text\r\n1,"{body}"\r\n2,bat\r\n')
    (first, second) = read("a.csv")
    assert first.text == body.replace('""', '"')
    assert second.text == "bat"


@pytest.mark.parametrize("data", [b"id,text\r1,bat\r2,a bat\r", b"id,text\r\n1,bat\r\n2,a bat"])
def test_line_ends_of_all_systems(folder, data):
    (folder / "a.csv").write_bytes(data)
    assert texts(read("a.csv")) == ["bat", "a bat"]


def test_many_open_quotes_take_linear_time(folder):
    (folder / "a.csv").write_text("id,text\n" + 'a",b,"c\n' * 60_000)
    records = read("a.csv")
    assert len(records) == 60_000
    assert not texts(records)


def test_bad_row_of_bytes_is_shown_as_other_records(folder):
    (folder / "a.csv").write_bytes(b"id,text\n1,caf\xe9,x\n")
    (bad,) = read("a.csv")
    assert bad.raw == "1,caf\\xe9,x"


def test_delimiter(folder):
    (folder / "a.csv").write_text("id;text\n1;bat, bat\n")
    with pytest.raises(ConfigError, match=r"looks divided by ';': give that as .*--delimiter"):
        job(["a.csv"], "out.jsonl")
    (folder / "b.csv").write_text("id, no;text\n1;bat\n")
    with pytest.raises(ConfigError, match=r"looks divided by ';'"):
        job(["b.csv"], "out.jsonl")
    job(["a.csv"], "out.jsonl", delimiter=";")
    assert read_jsonl("out.jsonl")[0]["text"] == "bat, bat"
    with pytest.raises(ConfigError, match="--delimiter is ';;': allowed is one character"):
        JobOptions(delimiter=";;")


@pytest.mark.parametrize(
    ("header", "given"),
    [
        ('id,"text"', "text"),
        ('"id","my ""text"""', 'my "text"'),
        ("id,'text'", "'text'"),
        ("id, text", " text"),
    ],
)
def test_quoted_columns(folder, header, given):
    (folder / "a b's.csv").write_text(f'{header}\n1,"bat, ""bat"""\n')
    (record,) = read("a b's.csv", text_key=given)
    assert record.text == 'bat, "bat"'


@pytest.mark.parametrize(
    ("header", "repair"),
    [("id, text", "' text'"), ("id,'text'", """''"'"'text'"'"''"""), ("id,Text", "Text")],
)
def test_a_column_that_is_nearly_the_one_is_named_for_the_shell(folder, header, repair):
    (folder / "a.csv").write_text(f"{header}\n1,bat\n")
    with pytest.raises(ConfigError, match=f"; name it with text_key / --text-key {repair}$"):
        job(["a.csv"], "out.jsonl")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32be"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.txt"])
def test_utf_16_is_one_sentence(folder, name, encoding):
    """With a byte order mark and without."""
    (folder / name).write_bytes("id,text\n1,bat\n".encode(encoding))
    match = rf"begins like {encoding.upper()}, .*iconv -f {encoding} -t utf-8 {name}"
    with pytest.raises(ConfigError, match=match):
        job([name], "out.jsonl")


def test_a_text_that_begins_with_a_zero_byte_is_a_text(folder):
    (folder / "a.txt").write_text("\0bat\n")
    assert texts(read("a.txt")) == ["\0bat"]


def test_byte_order_marks_of_joined_files(folder):
    (folder / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "a"}\n\xef\xbb\xbf{"text": "b"}\n')
    assert texts(read("a.jsonl")) == ["a", "b"]


# -- which files -------------------------------------------------------------------------


def test_named_pipe_is_read_once_and_whole(folder):
    os.mkfifo("in.txt")

    def write():
        with open("in.txt", "wb") as pipe:
            pipe.write(b"bat\n" * 1000)

    writer = threading.Thread(target=write)
    writer.start()
    summary = job(["in.txt"], "out.jsonl")
    writer.join()
    assert summary.n_out == 1000
    with pytest.raises(ConfigError, match="--resume needs files"):
        job(["in.txt"], "out2.jsonl", resume=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.parametrize("mode", [0o000, 0o444])
@pytest.mark.parametrize("given", ["d", "d/*/*.txt", "d/**/*.txt", "d/*/b.txt", "out"])
def test_unreadable_folder_is_told(tmp_path, given, mode):
    """Also one of which the names can be read and not what they are.

    Also where a folder beside it has a file of the name, and where it is that of an output.
    """
    for name in ("closed", "open"):
        (tmp_path / "d" / name).mkdir(parents=True)
        (tmp_path / "d" / name / "b.txt").write_text("bat\n")
    (tmp_path / "d" / "a.txt").write_text("bat\n")
    for parent in (tmp_path, *tmp_path.parents):
        if parent.name.startswith(("test_", "popen-", "pytest-")):  # pytest's own, closed to others
            parent.chmod(0o755)
    os.symlink("b.txt", tmp_path / "d" / "closed" / "a.link")
    (tmp_path / "d" / "closed").chmod(mode)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setuid(65534)
            if given == "out":
                inputs = find_sources([tmp_path / "d" / "a.txt"])
                with pytest.raises(
                    ConfigError, match=r"o.jsonl cannot be written \(Permission den"
                ):
                    find_output_paths(
                        str(tmp_path / "d" / "closed" / "o.jsonl"), JobOptions(), inputs
                    )
            else:
                with pytest.raises(
                    ConfigError, match=r"closed.* cannot be read(:| \() ?Permission den"
                ):
                    find_sources([tmp_path / given])
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    (tmp_path / "d" / "closed").chmod(0o755)
    assert status == 0


def test_a_pattern_leaves_nothing_out_in_silence(folder):
    """A link that leads nowhere is told, and a pipe is an input like another."""
    (folder / "a.txt").write_text("bat\n")
    os.mkfifo("b.txt")
    (folder / "c.txt").mkdir()
    assert [source.name for source in find_sources(["?.txt"])] == ["a.txt", "b.txt"]
    os.symlink("nowhere", "d.txt")
    with pytest.raises(ConfigError, match=r"input d.txt cannot be read: No such file"):
        find_sources(["?.txt"])


@pytest.mark.parametrize("given", ["d", "d/**/*.txt", "d/*", "d/loop.txt", "d/?oop.txt"])
def test_a_link_to_itself_is_told(folder, given):
    (folder / "d").mkdir()
    (folder / "d" / "a.txt").write_text("bat\n")
    os.symlink("loop.txt", "d/loop.txt")
    with pytest.raises(ConfigError, match=r"input d/loop.txt cannot be read: Too many levels"):
        find_sources([given])
    with pytest.raises(ConfigError, match=r"no file matches d/\*/\*.txt"):
        find_sources(["d/*/*.txt"])


def test_pattern_takes_each_file_once_over_a_link_loop(folder):
    (folder / "d" / "sub").mkdir(parents=True)
    for name in ("d/a.txt", "d/sub/b.txt", "d/sub/c.txt"):
        (folder / name).write_text("bat\n")
    os.symlink("..", "d/sub/back")
    os.symlink("sub", "d/again")
    assert [s.name for s in find_sources(["d/**/*.txt"])] == [
        "d/a.txt",
        "d/again/b.txt",
        "d/again/c.txt",
    ]
    assert len(find_sources(["d"])) == 3
    assert len(find_sources(["d/*/*.txt"])) == 2


@pytest.mark.parametrize("output", [b"out\xff.jsonl", b"out\xff.parquet", b"out\xff.spacy"])
@pytest.mark.parametrize("ending", [b"txt", b"csv", b"parquet", b"jsonl"])
def test_file_names_that_are_not_utf8(folder, ending, output):
    name = os.fsdecode(b"in\xff." + ending)
    if ending == b"parquet":
        with open(name, "wb") as file:
            pq.write_table(pa.table({"text": ["bat", "explode"]}), file)
    else:
        lines = {b"txt": "bat\nexplode\n", b"csv": "text\nbat\nexplode\n"}
        Path(name).write_text(lines.get(ending, '{"text": "bat"}\n{"text": "explode"}\n'))
    summary = job([name], os.fsdecode(output), resume=True)
    assert (summary.n_out, summary.n_failed) == (1, 1)
    assert job([name], os.fsdecode(output), resume=True) == summary


def test_folders_of_tables_keep_their_partition_columns(folder):
    for lang in ("en", "de%2FAT", "__HIVE_DEFAULT_PARTITION__"):
        path = folder / "d" / f"lang={lang}"
        path.mkdir(parents=True)
        pq.write_table(pa.table({"text": ["bat"]}), path / "0.parquet")
    (folder / "d" / "lang=en" / "1.csv").write_text("text\nbat\n")
    job(["d"], "out.jsonl")
    assert [record["lang"] for record in read_jsonl("out.jsonl")] == [None, "de/AT", "en", "en"]
    job(["d"], "out.parquet")
    table = pq.read_table("out.parquet")
    assert table.column_names == ["text", "lang", "senses"]
    assert table.column("lang").to_pylist() == [None, "de/AT", "en", "en"]


def test_all_kinds_of_columns_pass_through(folder):
    table = pa.table(
        {
            "text": pa.array(["bat", "a bat"], pa.string_view()),
            "map": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int8())),
            "none": pa.nulls(2),
            "words": pa.array(["x", None]).dictionary_encode(),
            "lists": pa.array([[[1], []], None], pa.list_(pa.list_(pa.int16()))),
        }
    )
    pq.write_table(table, "in.parquet")
    job(["in.parquet"], "out.parquet")
    carried = pq.read_table("out.parquet").select(table.column_names)
    assert carried.equals(pq.read_table("in.parquet"))
    job(["in.parquet"], "out.jsonl")
    assert read_jsonl("out.jsonl")[0]["map"] == [["a", 1]]

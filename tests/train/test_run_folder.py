"""The folder of a run: held by one, and what no run made stays as it is."""

from __future__ import annotations

import io
import os
import pickle
import signal
import stat
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.train.run_folder import (
    CHECKPOINT,
    held_folder,
    read_array,
    read_checkpoint,
    refused_state,
)

RESULT = "senses.safetensors"
KINDS = {
    "pipe": os.mkfifo,
    "folder": os.mkdir,
    "link": lambda path: os.symlink("mine", path),
    "broken link": lambda path: os.symlink("nowhere", path),
}


def shape_of(path):
    mode = os.lstat(path).st_mode
    return stat.S_IFMT(mode), os.readlink(path) if stat.S_ISLNK(mode) else None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name", [CHECKPOINT, f"{CHECKPOINT}.part", "curve.json", "glosses-0.npy", RESULT]
)
def test_what_no_run_made_is_refused_and_left(tmp_path, kind, name):
    (tmp_path / "mine").write_text("mine")
    KINDS[kind](tmp_path / name)
    before = shape_of(tmp_path / name)
    with (
        pytest.raises(ConfigError, match=f"{name} is a link, pipe, device or folder"),
        held_folder(tmp_path, RESULT),
    ):
        pass
    assert shape_of(tmp_path / name) == before
    assert (tmp_path / "mine").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == sorted(["mine", name])


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "folder"])
def test_an_output_that_is_no_folder_is_one_sentence(tmp_path, kind):
    (tmp_path / "mine").write_text("mine")
    KINDS[kind](tmp_path / "run")
    before = shape_of(tmp_path / "run")
    with (
        pytest.raises(ConfigError, match=r"run cannot be written \(File exists\); give a folder"),
        held_folder(tmp_path / "run", RESULT),
    ):
        pass
    assert shape_of(tmp_path / "run") == before


def test_a_link_to_a_folder_is_a_folder(tmp_path):
    (tmp_path / "large").mkdir()
    (tmp_path / "run").symlink_to("large")
    with held_folder(tmp_path / "run", RESULT):
        (tmp_path / "run" / RESULT).touch()
    assert os.listdir(tmp_path / "large") == [RESULT]


def test_a_second_run_in_a_folder_touches_nothing(tmp_path):
    folder = tmp_path / "new" / "run"
    with held_folder(folder, RESULT):
        (folder / CHECKPOINT).write_text("of the first")
        with (
            pytest.raises(ConfigError, match=r"another run is using .*; wait for its end or give"),
            held_folder(folder, RESULT),
        ):
            pass
        assert (folder / CHECKPOINT).read_text() == "of the first"
    with held_folder(folder, RESULT):  # it goes on when the first has ended
        pass
    assert os.listdir(folder) == [CHECKPOINT]


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("ran"),)


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "pickle", "tensor", "pipe"])
def test_a_damaged_checkpoint_is_one_sentence(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / CHECKPOINT
    torch.save({"config": {}}, path)
    assert read_checkpoint(path, "cpu") == {"config": {}}
    content = {
        "empty": b"",
        "text": b"not a checkpoint",
        "cut": path.read_bytes()[:200],
        "pickle": pickle.dumps(Evil()),
    }
    if kind == "pipe":
        path.unlink()
        os.mkfifo(path)
    elif kind == "tensor":
        torch.save(torch.zeros(()), path)
    else:
        path.write_bytes(content[kind])
    with pytest.raises(ResourceError, match=r"checkpoint.pt is damaged or no checkpoint") as raised:
        read_checkpoint(path, "cpu")
    assert "\n" not in str(raised.value)
    assert not Path("ran").exists()


def huge_array():
    """128 bytes that say that they are an array of 40 GB."""
    file = io.BytesIO()
    shape = {"descr": "<f4", "fortran_order": False, "shape": (10_000_000, 1000)}
    np.lib.format.write_array_header_1_0(file, shape)
    return file.getvalue()


def whole_array(value):
    file = io.BytesIO()
    np.save(file, value, allow_pickle=True)
    return file.getvalue()


ARRAYS = {
    "empty": b"",
    "text": b"not an array",
    "cut": whole_array(np.zeros(100))[:-8],
    "huge": huge_array(),
    "pickle": whole_array(np.array([Evil()], dtype=object)),
}


@pytest.mark.parametrize("kind", [*ARRAYS, "pipe", "folder"])
def test_a_damaged_array_is_one_sentence_and_takes_no_memory(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "glosses-0.npy"
    if kind in KINDS:
        KINDS[kind](path)
    else:
        path.write_bytes(ARRAYS[kind])
    tracemalloc.start()
    try:
        with pytest.raises(ResourceError, match=r"glosses-0.npy is damaged .*; delete it"):
            read_array(path)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
    assert not Path("ran").exists()


def test_an_array_is_read_whole(tmp_path):
    np.save(tmp_path / "a.npy", np.eye(3))
    array = read_array(tmp_path / "a.npy")
    (tmp_path / "a.npy").unlink()
    assert array.tolist() == np.eye(3).tolist()


def test_a_killed_run_holds_nothing(tmp_path):
    """Nor does a child that it has forked, and that lives longer."""
    read, write = os.pipe()
    run = os.fork()
    if not run:
        with held_folder(tmp_path, RESULT):
            if not os.fork():  # it tells when it has begun, and has let go of the lock
                os.write(write, str(os.getpid()).encode())
            time.sleep(600)
        os._exit(0)
    child = int(os.read(read, 20))
    try:
        with pytest.raises(ConfigError, match="another run is using"), held_folder(tmp_path):
            pass
        os.kill(run, signal.SIGKILL)
        os.waitpid(run, 0)
        with held_folder(tmp_path, RESULT):
            os.kill(child, 0)  # it is still there
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(read)
        os.close(write)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root makes devices")
@pytest.mark.parametrize("name", [CHECKPOINT, RESULT])
def test_a_device_is_refused_and_left(tmp_path, name):
    """A scratch one like /dev/null."""
    try:
        os.mknod(tmp_path / name, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("no devices here")
    before = shape_of(tmp_path / name)
    with pytest.raises(ConfigError, match=f"{name} is a link, pipe"), held_folder(tmp_path, RESULT):
        pass
    assert shape_of(tmp_path / name) == before


@pytest.mark.parametrize("state", [{}, {"weight": None}, {"weight": torch.zeros(3)}])
def test_a_checkpoint_of_another_shape_is_one_sentence(tmp_path, state):
    with (
        pytest.raises(ConfigError, match="was made with another encoder or inventory") as raised,
        refused_state(tmp_path / CHECKPOINT),
    ):
        torch.nn.Linear(2, 2, bias=False).load_state_dict(state)
    assert "\n" not in str(raised.value)

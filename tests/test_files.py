"""Files written whole or not at all, locks that hold, hashes."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import spacy_attn
from spacy_attn.files import atomic_write, is_replaceable, locked, sha256_of

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(spacy_attn.__path__[0]).parent)}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_sha256(tmp_path):
    data = bytes(range(256)) * 10_000
    (tmp_path / "a").write_bytes(data)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(data).hexdigest()


def test_file_appears_whole(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
        assert Path(file.name).parent == tmp_path
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


def test_file_that_a_library_writes_by_its_name(tmp_path):
    with atomic_write(tmp_path / "a") as file:
        Path(file.name).write_bytes(b"by name")
    assert (tmp_path / "a").read_bytes() == b"by name"


def test_an_error_names_the_file_that_was_asked_for(tmp_path):
    with pytest.raises(OSError, match=r"No such file or directory: .*/no/a'$"):
        with atomic_write(tmp_path / "no" / "a"):
            pass


def test_what_fails_leaves_the_old_file(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(TypeError, match="bytes-like"), atomic_write(tmp_path / "a") as file:
        file.writelines([b"ne", None])
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_kill_leaves_the_old_file(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    code = (
        "import os, sys\n"
        "from spacy_attn.files import atomic_write\n"
        "with atomic_write('a') as file:\n"
        "    file.write(b'x' * 10_000_000)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=ENVIRONMENT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with atomic_write(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a device node")
def test_a_device_is_written_and_not_replaced(tmp_path):
    node = tmp_path / "null"
    os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    assert not is_replaceable(node)
    with atomic_write(node) as file:
        file.write(b"gone")
    assert stat.S_ISCHR(node.stat().st_mode)
    assert names(tmp_path) == ["null"]


def test_a_pipe_is_written_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    with atomic_write(pipe) as file:
        file.write(b"through")
    reader.join()
    assert got == [b"through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_lock_keeps_others_out(tmp_path):
    path = tmp_path / "lock"
    with locked(path):
        with pytest.raises(TimeoutError, match="could not be acquired"), locked(path, wait=False):
            pass
        code = "from spacy_attn.files import locked\nwith locked('lock', wait=False): pass"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=ENVIRONMENT, capture_output=True
        )
        assert b"Timeout" in done.stderr
    with locked(path, wait=False, remove=True):
        assert names(tmp_path) == ["lock"]
    assert names(tmp_path) == []


def test_a_lock_ends_with_its_process(tmp_path):
    code = (
        "import os\n"
        "from spacy_attn.files import locked\n"
        "with locked('lock'): os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=ENVIRONMENT, check=False)
    assert done.returncode == -signal.SIGKILL
    with locked(tmp_path / "lock", wait=False):
        pass


def test_one_at_a_time_though_the_file_is_removed(tmp_path):
    """Each holder removes the file; a lock on the removed one would let a second in."""
    path, inside, most = tmp_path / "lock", [0], [0]

    def work():
        for _ in range(100):
            with locked(path, remove=True):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert most == [1]

"""What an unfinished job was asked to do and how far it is: ``OUT.manifest.jsonl``.

The first line says what decides the output (:mod:`spacy_attn.jobs.fingerprint`). Each further line
says what holds once a chunk is safe: how many records were read, how long ``OUT.part`` and
``OUT.errors.jsonl`` are, and their hashes. A line is written after the data it speaks of has
reached the disk. So a job that was killed goes on by cutting both files to the lengths of the last
whole line and passing over the records before it::

    OUT.part     [chunk 0][chunk 1][chunk 2][half of ch        <- the kill
    manifest     {job}{0}{1}{2}                                 -> cut after chunk 2, go on with 3

Other lines say what the job made (size and hash of the output or of a partition, before it has its
name), and which older output it was told to replace. Each line ends with a checksum of itself: one
changed digit would pass over records in silence. What is compared on resuming is not the number of
processes: it does not decide the output.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, TypeVar

from spacy_attn.errors import ConfigError
from spacy_attn.files import sha256_of
from spacy_attn.jobs.output_paths import OutputPaths

logger = logging.getLogger(__name__)

_VERSION: Final = 3
_SUM: Final = "crc32"  # the last value of each line


@dataclass(frozen=True, slots=True)
class Progress:
    """What of a job is safe on disk."""

    n_chunks: int = 0
    n_in: int = 0
    n_out: int = 0
    n_failed: int = 0
    bytes_read: int = 0
    part: int = 0  # bytes of OUT.part
    part_sha256: str = ""
    errors: int = 0  # bytes of the error file
    errors_sha256: str = ""
    pending: int = 0  # records in OUT.part
    partitions: int = 0  # finished files of a partitioned output
    finished: bool = False  # all input is in OUT.part or in partitions


@dataclass(frozen=True, slots=True)
class Made:
    """A whole file that the job made, or is about to give its name."""

    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Made:
        """What a file is now.

        Raises:
            OSError: it cannot be read.
        """
        return cls(path.stat().st_size, sha256_of(path))

    def fits(self, path: Path) -> bool:
        """Whether the file of this name is the one that was made."""
        return path.is_file() and path.stat().st_size == self.size and Made.of(path) == self


_Item = TypeVar("_Item", Progress, Made)


@dataclass(slots=True)
class State:
    """All that a manifest says beside its job."""

    progress: Progress = field(default_factory=Progress)
    made: dict[str, Made] = field(default_factory=dict)  # by the name of the file
    replaces: bool = False  # the job was told to replace what is there


class Manifest:
    """The file. The caller sees to it that only one job has it.

    Args:
        path: of the file.
        job: what :func:`spacy_attn.jobs.fingerprint.describe_job` gives.
    """

    def __init__(self, path: Path, job: Mapping[str, Any]) -> None:
        self.path = path
        self._job = dict(job)
        self._file: Any = None

    def start(self, *, replaces: bool = False) -> None:
        """Begin a new file, in place of an old one.

        Raises:
            OSError: it cannot be written.
        """
        self._file = open(self.path, "ab", buffering=0)  # close() closes it
        self._file.truncate(0)
        self._write({"version": _VERSION, **self._job})
        if replaces:
            self._write({"replaces": True})

    def resume(self) -> State | None:
        """How far the job was, or None where it wrote no manifest.

        Raises:
            ConfigError: this job differs from the one that was begun, or a line is none.
            OSError: it cannot be read or written.
        """
        if not self.path.is_file():
            return None
        lines = self.path.read_bytes().split(b"\n")[:-1]  # what has no line end was not finished
        whole: list[dict[str, Any]] = []
        size = 0
        for line in lines:
            try:
                whole.append(dict(json.loads(line)))
            except (ValueError, TypeError, RecursionError):
                break
            size += len(line) + 1
        if not whole:
            return None
        try:
            self._refuse_other(whole[0])
            state = _fold([_unsealed(line) for line in whole][1:])
        except (TypeError, AttributeError, KeyError):
            raise ConfigError(
                f"{self.path} has a line that no job wrote: begin anew with --overwrite"
            ) from None
        self._file = open(self.path, "ab", buffering=0)
        self._file.truncate(size)
        return state

    def note(self, progress: Progress) -> None:
        """Say what holds now.

        Raises:
            OSError: the line cannot be written.
        """
        self._write(asdict(progress))

    def note_made(self, name: str, made: Made) -> None:
        """Say what a file is that gets this name next.

        Raises:
            OSError: the line cannot be written.
        """
        self._write({"made": {name: asdict(made)}})

    def close(self) -> None:
        """Write no more."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """The job is done."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _write(self, line: Mapping[str, Any]) -> None:
        sealed = {**line, _SUM: _checksum(line)}
        data = json.dumps(sealed).encode() + b"\n"  # ASCII: names of files need not be Unicode
        while data:
            data = data[self._file.write(data) :]
        os.fsync(self._file.fileno())

    def _refuse_other(self, begun: dict[str, Any]) -> None:
        now = json.loads(json.dumps({"version": _VERSION, **self._job}))
        changes = _differences(_values(begun), now)
        if changes:
            raise ConfigError(
                f"{self.path} belongs to another job: {'; '.join(changes[:3])}; "
                "undo that, or begin anew with --overwrite"
            )


def _checksum(line: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(line).encode())


def _values(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name: line[name] for name in line if name != _SUM}


def _unsealed(line: dict[str, Any]) -> dict[str, Any]:
    """A line without its checksum.

    Raises:
        TypeError: it is another than was written.
    """
    values = _values(line)
    if line.get(_SUM) != _checksum(values):
        raise TypeError(f"{line} was changed")
    return values


def _fold(lines: list[dict[str, Any]]) -> State:
    state = State()
    for line in lines:
        if "made" in line:
            state.made |= {name: _checked(Made(**made)) for name, made in line["made"].items()}
        elif "replaces" in line:
            state.replaces = True
        else:
            state.progress = _checked(Progress(**line))
    return state


def _checked(item: _Item) -> _Item:
    """The same.

    Raises:
        TypeError: a value is of another type than the job writes, or negative.
    """
    for each in fields(item):
        value = getattr(item, each.name)
        if type(value).__name__ != each.type or (isinstance(value, int) and value < 0):
            raise TypeError(f"{each.name} = {value!r}")
    return item


def _differences(begun: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What changed, one phrase each."""
    changes = []
    before = {item["name"]: item for item in begun.get("inputs", ())}
    for item in now["inputs"]:
        if item["name"] not in before:
            changes.append(f"input {item['name']} was not there")
        elif before[item["name"]] != item:
            changes.append(f"input {item['name']} has changed (sha256 {item['sha256'][:12]})")
    missing = set(before) - {item["name"] for item in now["inputs"]}
    changes += [f"input {name} is gone" for name in sorted(missing)]
    if not changes and begun.get("inputs") != now["inputs"]:
        changes.append("the inputs come in another order")
    old_files, new_files = begun.get("files", {}), now.get("files", {})
    for name in sorted(old_files.keys() | new_files.keys()):
        if old_files.get(name) != new_files.get(name):
            what = "has changed" if name in old_files and name in new_files else "is new or gone"
            changes.append(f"{name}, which the pipeline reads, {what}")
    for name in sorted((begun.keys() | now.keys()) - {"inputs", "files"}):
        old, new = begun.get(name), now.get(name)
        if old != new:
            changes.append(f"{name} was {_show(old)} and is {_show(new)}")
    return changes


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:97]}..."


# -- what is left of an interrupted job --------------------------------------------------


def is_whole(paths: OutputPaths, state: State) -> bool:
    """Whether all that a finished job makes is there as it made it."""
    if paths.output is None:
        return False
    if paths.partition_size is not None:
        return True  # find_lost has looked at them
    made = state.made.get(paths.output.name)
    return made is not None and made.fits(paths.output)


def find_lost(paths: OutputPaths, state: State, errors: Path) -> str | None:
    """What of the job's own files is gone or was changed, so that it has to begin anew."""
    progress = state.progress
    if paths.part is None or paths.output is None:
        return None
    lost = _find_lost_partition(paths, state)
    if lost is not None:
        return lost
    if progress.errors and not errors.exists():
        return f"{errors} is gone"
    if paths.part.exists():
        return None
    if progress.finished:
        if not is_whole(paths, state):
            return f"{paths.name} is {'changed' if paths.output.exists() else 'gone'}"
        return f"{errors} is changed" if _are_changed(errors, progress) else None
    return f"{paths.part} is gone" if progress.part else None


def _are_changed(errors: Path, progress: Progress) -> bool:
    """Whether an error file is another than a finished job wrote; a device keeps nothing."""
    wrote = Made(progress.errors, progress.errors_sha256)
    return progress.errors > 0 and errors.is_file() and not wrote.fits(errors)


def _find_lost_partition(paths: OutputPaths, state: State) -> str | None:
    for number in range(state.progress.partitions):
        path = paths.partition(number)
        made = state.made.get(path.name)
        if made is None or not made.fits(path):
            return f"{path} is {'changed' if path.exists() else 'gone'}"
    return None


def step_aside(paths: OutputPaths, state: State, errors: Path) -> None:
    """Before a job begins anew: its own files go, those that somebody changed get other names."""
    if paths.part is not None:
        paths.part.unlink(missing_ok=True)
    single = [] if paths.output is None else [paths.output]
    for path in single if paths.partition_size is None else paths.partitions():
        made = state.made.get(path.name)
        if made is None or not path.exists():
            continue
        if made.fits(path):
            path.unlink()
            continue
        aside = _name_aside(path)
        os.rename(path, aside)
        logger.warning("%s is kept as %s", path, aside)
    if state.progress.finished and _are_changed(errors, state.progress):
        aside = _name_aside(errors)
        shutil.copyfile(errors, aside)  # it may be a link, which stays
        logger.warning("%s is kept as %s", errors, aside)


def _name_aside(path: Path) -> Path:
    aside = path.with_name(f"_{path.name}.changed")
    number = 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"_{path.name}.changed-{number}")
    return aside

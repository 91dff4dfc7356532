"""What an unfinished job was asked to do and how far it is: ``OUT.manifest.jsonl``.

The first line says what decides the output: hashes of the inputs, of the pipeline, of the
inventory and the models, the options, versions. Each further line says what holds once a chunk is
safe: how many records were read, and how long ``OUT.part`` and ``OUT.errors.jsonl`` are. A line
is written after the data it speaks of has reached the disk. So a job that was killed goes on by
cutting both files to the lengths of the last whole line and passing over the records before it::

    OUT.part     [chunk 0][chunk 1][chunk 2][half of ch        <- the kill
    manifest     {job}{0}{1}{2}                                 -> cut after chunk 2, go on with 3

The number of processes is not among what is compared: it does not decide the output.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.jobs.records import STDIN, Source

if TYPE_CHECKING:
    from spacy_attn.jobs.annotator import Annotator

__all__ = ["Manifest", "Progress", "describe_job"]

_VERSION: Final = 1
_PACKAGES: Final = ("spacy-attn", "spacy", "torch", "numpy", "transformers")


@dataclass(frozen=True, slots=True)
class Progress:
    """What of a job is safe on disk."""

    n_chunks: int = 0
    n_in: int = 0
    n_out: int = 0
    n_failed: int = 0
    bytes_read: int = 0
    part: int = 0  # bytes of OUT.part
    errors: int = 0  # bytes of the error file
    pending: int = 0  # records in OUT.part
    partitions: int = 0  # finished files of a partitioned output
    finished: bool = False  # all input is in OUT.part or in partitions


class Manifest:
    """The file, locked while a job runs.

    Args:
        path: of the file.
        job: what :func:`describe_job` gives.
    """

    def __init__(self, path: Path, job: Mapping[str, Any]) -> None:
        self.path = path
        self._job = dict(job)
        self._file: Any = None

    def start(self) -> None:
        """Begin a new file, in place of an old one.

        Raises:
            OSError: it cannot be written.
        """
        self._open()
        self._file.truncate(0)
        self._write({"version": _VERSION, **self._job})

    def resume(self) -> Progress | None:
        """How far the job was, or None where it wrote no manifest.

        Raises:
            ConfigError: this job differs from the one that was begun, or that one still runs.
        """
        if not self.path.is_file():
            return None
        self._open()
        lines = self.path.read_bytes().split(b"\n")[:-1]  # what has no line end was not finished
        whole: list[dict[str, Any]] = []
        size = 0
        for line in lines:
            try:
                whole.append(json.loads(line))
            except ValueError:
                break
            size += len(line) + 1
        if not whole:
            self.close()
            return None
        self._refuse_other(whole[0])
        self._file.truncate(size)
        return Progress(**whole[-1]) if len(whole) > 1 else Progress()

    def note(self, progress: Progress) -> None:
        """Say what holds now.

        Raises:
            OSError: the line cannot be written.
        """
        self._write(asdict(progress))

    def close(self) -> None:
        """Let another job have the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """The job is done."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _open(self) -> None:
        self._file = open(self.path, "ab", buffering=0)  # close() closes it
        try:
            import fcntl
        except ImportError:  # Windows: the part's exclusive creation has to do
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise ConfigError(
                f"a running job writes {self.path}: wait for it, or name another output"
            ) from None

    def _write(self, line: Mapping[str, Any]) -> None:
        data = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        while data:
            data = data[self._file.write(data) :]
        os.fsync(self._file.fileno())

    def _refuse_other(self, begun: dict[str, Any]) -> None:
        now = json.loads(json.dumps({"version": _VERSION, **self._job}))
        changes = _differences(begun, now)
        if changes:
            self.close()
            raise ConfigError(
                f"{self.path} belongs to another job: {'; '.join(changes[:3])}; "
                "undo that, or begin anew with --overwrite"
            )


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
    for name in sorted((begun.keys() | now.keys()) - {"inputs"}):
        old, new = begun.get(name), now.get(name)
        if old != new:
            changes.append(f"{name} was {_show(old)} and is {_show(new)}")
    return changes


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:97]}..."


# -- what a job is -----------------------------------------------------------------------


def describe_job(
    sources: Sequence[Source], annotator: Annotator, options: Mapping[str, Any]
) -> dict[str, Any]:
    """All that decides the output, as plain data; reads each input once for its hash.

    Raises:
        OSError: an input cannot be read.
    """
    from importlib.metadata import PackageNotFoundError, version

    described: dict[str, Any] = {
        "inputs": [_describe_source(source) for source in sources],
        "pipeline": _describe_pipeline(annotator),
        "inventory": _describe_file(annotator.inventory),
        "method": annotator.method,
        "fields": list(annotator.added),
        "spans_key": annotator.spans_key,
        **_describe_models(annotator),
        **options,
    }
    for package in _PACKAGES:
        try:
            described[package] = version(package)
        except PackageNotFoundError:
            described[package] = None
    return described


def _describe_source(source: Source) -> dict[str, Any]:
    path = Path(source.name)
    if source.name == STDIN or not path.is_file():
        return {"name": source.name, "format": source.format, "sha256": ""}
    return {"name": source.name, "format": source.format, "sha256": _sha256(path)}


def _sha256(path: Path) -> str:
    """Without the cache of ``models.file_sha256``: an input is no model."""
    import hashlib

    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _describe_file(name: str) -> str:
    path = Path(name)
    return _sha256(path) if path.is_file() else name


def _describe_pipeline(annotator: Annotator) -> dict[str, Any]:
    """Name and hash of a pipeline's files."""
    from importlib.util import find_spec

    factory = annotator.factory
    if factory is not None:
        maker = f"{factory.__module__}.{getattr(factory, '__qualname__', repr(factory))}"
        return {"factory": maker, "name": annotator.pipeline}
    from spacy_attn.models import resolve_pipeline

    name = resolve_pipeline(annotator.pipeline)
    if name is None or name.startswith("blank:"):
        return {"name": name}
    folder = Path(name)
    if not folder.is_dir():
        spec = find_spec(name)
        places = list(spec.submodule_search_locations or ()) if spec is not None else []
        if not places:
            return {"name": name}
        folder = Path(places[0])
    return {"name": name, "sha256": _folder_sha256(folder)}


def _folder_sha256(folder: Path) -> str:
    import hashlib

    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(f"{path.relative_to(folder)} {_sha256(path)}\n".encode())
    return digest.hexdigest()


def _describe_models(annotator: Annotator) -> dict[str, Any]:
    """Hashes of the encoder and of what the package ships; none where a factory chooses."""
    if annotator.factory is not None:
        return {}
    from spacy_attn.models import resolve_encoder, weights_sha256

    try:
        encoder: str | None = weights_sha256(resolve_encoder().path)
    except ResourceError:
        encoder = None  # a classic method needs none; another one says so when it loads
    data = Path(__file__).parent.parent / "data"
    return {"encoder": encoder, "data": _folder_sha256(data)}

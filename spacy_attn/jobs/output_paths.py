"""Where a job writes, such that a kill at any moment loses nothing that was finished.

Chunks are appended to ``OUT.part``; the manifest says which of them are safe. A finished part takes
the name of the output, or is turned into one file that does; a partitioned output does that for
every ``partition_size`` records. No file has its final name before it is whole. What the job has
not made, such as a device, a pipe or the file of somebody else, is neither removed nor replaced.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

from spacy_attn.errors import ConfigError, explain_missing_package
from spacy_attn.files import is_replaceable
from spacy_attn.jobs.options import JobOptions, OutputFormat, option_name
from spacy_attn.jobs.sources import COMPRESSIONS, DELIMITERS, Source

STDOUT: Final = "-"
_SUFFIXES: Final[dict[OutputFormat, str]] = {
    "jsonl": ".jsonl",
    "parquet": ".parquet",
    "csv": ".csv",
    "tsv": ".tsv",
    "docbin": ".spacy",
}
_ALSO_JSONL: Final = ("", ".ndjson")  # a folder or a device has no suffix
_ERRORS_WITHOUT_OUT: Final = "annotate.errors.jsonl"
MANIFEST_START: Final = b'{"version": '


@dataclass(frozen=True, slots=True)
class OutputPaths:
    """Where a job writes."""

    name: str  # the output as the caller gave it
    output: Path | None  # None: standard output
    part: Path | None  # None: the output is no file and is written directly
    errors: Path
    errors_named: bool = False  # by the caller: then the file is emptied and never removed
    format: OutputFormat = "jsonl"
    compression: str | None = None
    partition_size: int | None = None  # None: one file

    @property
    def manifest(self) -> Path | None:
        """Beside the part."""
        return None if self.part is None else self.part.with_suffix(".manifest.jsonl")

    @property
    def lock(self) -> Path | None:
        """Beside the part, while a job runs."""
        return None if self.part is None else self.part.with_suffix(".lock")

    def errors_lock(self, errors: Path) -> Path:
        """Beside an error file, by whatever links it is named, while a job writes it."""
        file = follow(errors)
        return file.with_name(f"{file.name}.lock")

    def partition(self, number: int) -> Path:
        """File of a partitioned output."""
        if self.output is None:
            raise ConfigError("standard output has no partitions")
        return self.output / f"part-{number:05d}{self._ending}"

    def partitions(self) -> list[Path]:
        """Those that are there."""
        return [] if self.output is None else sorted(self.output.glob(f"part-?????{self._ending}"))

    @property
    def _ending(self) -> str:
        packed = {name: suffix for suffix, name in COMPRESSIONS.items()}
        return _SUFFIXES[self.format] + packed.get(self.compression or "", "")

    def unfinished(self) -> list[Path]:
        """What the files that the job converts are called until they are whole."""
        if self.output is None or self.part is None:
            return []
        if self.partition_size is not None:
            return sorted(self.output.glob("_part-?????.*.tmp"))
        return [unfinished_name(self.output)]

    def exists(self) -> bool:
        """Whether there is a finished output."""
        if self.output is None or self.part is None:
            return False
        if self.partition_size is not None:
            return self.output.is_dir() and any(self.output.glob("part-*"))
        return self.output.exists()


def find_output_paths(name: str, options: JobOptions, sources: Sequence[Source]) -> OutputPaths:
    """Check and complete what the caller said about the output.

    Raises:
        ConfigError: it cannot be so.
    """
    try:
        return _find_output_paths(name, options, sources)
    except OSError as error:  # a folder that may not be entered, a name that is too long
        raise _unwritable(name, error) from None


def _find_output_paths(name: str, options: JobOptions, sources: Sequence[Source]) -> OutputPaths:
    found, compression = _find_format(name, options.output_format)
    if found not in DELIMITERS and (options.rows != "record" or options.spreadsheet):
        given = "--spreadsheet" if options.spreadsheet else f"--rows {options.rows}"
        raise ConfigError(f"{given} is for CSV and TSV: name an output such as OUT.csv")
    size = options.partition_size
    output = None if name == STDOUT else follow(Path(name))
    part = None
    if output is not None and size is not None:
        if output.exists() and not output.is_dir():
            raise ConfigError(f"output {name} is a file: name a folder for the partitions")
        part = output.with_name(f"{output.name}.part")
    elif output is not None and output.is_dir():
        raise ConfigError(
            f"output {name} is a folder: name a file in it, such as {name}/out.jsonl, or have "
            "it filled with --partition-size 100000"
        )
    elif output is not None and is_replaceable(output):
        part = output.with_name(f"{output.name}.part")
    if part is None and (found != "jsonl" or compression or size):
        raise ConfigError(f"output {name} takes JSONL in one piece: name a file with -o")
    if options.errors is not None:
        errors = Path(options.errors)
    elif part is not None:
        errors = Path(f"{name.rstrip('/')}.errors.jsonl")
    else:
        errors = Path(_ERRORS_WITHOUT_OUT)
    is_named = options.errors is not None
    paths = OutputPaths(name, output, part, errors, is_named, found, compression, size)
    _check_distinct(paths, sources)
    _check_errors(paths)
    _refuse_foreign(paths)
    return paths


def unfinished_name(path: Path) -> Path:
    """What a file that is converted is called until it is whole."""
    return path.with_name(f"_{path.name}.tmp")


def follow(path: Path) -> Path:
    """The file that a link names, so that this is replaced and not the link.

    Raises:
        ConfigError: it leads back to itself.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        raise ConfigError(f"{path} is a link that leads back to itself: name another") from None


def names_folder(name: str) -> bool:
    """Whether an output is meant as a folder: a URI, one that exists, or without a suffix."""
    if name == STDOUT:
        return False
    return "://" in name or name.endswith("/") or Path(name).is_dir() or not Path(name).suffix


def _find_format(name: str, wanted: str | None) -> tuple[OutputFormat, str | None]:
    path = Path(name)
    compression = COMPRESSIONS.get(path.suffix.lower())
    if compression is not None:
        path = path.with_suffix("")
    suffix = path.suffix.lower()
    is_known = suffix in (*_SUFFIXES.values(), *_ALSO_JSONL) or names_folder(name)
    if wanted is None and not is_known:
        raise ConfigError(
            f"output {name}: a job writes {', '.join(_SUFFIXES.values())}, all text also with "
            f"{' and '.join(COMPRESSIONS)}; name one of these, or give --output-format"
        )
    by_suffix = {suffix: known for known, suffix in _SUFFIXES.items()}
    found = by_suffix.get(suffix, "jsonl") if wanted is None else wanted
    if compression is not None and found not in ("jsonl", *DELIMITERS):
        raise ConfigError(f"output {name}: {found} is compressed already; leave the ending off")
    if found in ("parquet", *DELIMITERS) or compression is not None:
        with explain_missing_package(f"output {name}"):
            import pyarrow  # noqa: F401
    return next(item for item in get_args(OutputFormat) if item == found), compression


def _check_distinct(paths: OutputPaths, sources: Sequence[Source]) -> None:
    inputs = {follow(Path(source.name)) for source in sources if not source.is_stdin}
    identities = {identity for path in inputs if (identity := _identity(path)) is not None}
    emptied = [paths.part, paths.errors, paths.manifest, paths.lock]
    # An output takes the place of a file: what has another name, by a hard link, stays.
    written = [*emptied, paths.output] if paths.part is not None else emptied
    for path in written:
        if path is None or not is_replaceable(path):
            continue
        if follow(path) in inputs or (path in emptied and _identity(path) in identities):
            raise ConfigError(f"{path} is an input of this job: name another output with -o")
    if paths.partition_size is not None and paths.output is not None:
        for path in inputs:
            if path.parent == paths.output:
                raise ConfigError(f"output {paths.name} holds an input: name another with -o")
    errors = follow(paths.errors)
    if errors in {paths.output, paths.part, paths.manifest} and is_replaceable(errors):
        raise ConfigError(
            f"{option_name('errors')} {paths.errors} is the output itself: name another file"
        )


def _refuse_foreign(paths: OutputPaths) -> None:
    """Refuse what has a name that the job needs beside the output, and is of no job.

    ``data.lock`` may be the lock file of a package, and ``data.manifest.jsonl`` that of a data set.
    """
    locks = [paths.lock]
    if is_replaceable(paths.errors):
        locks.append(paths.errors_lock(paths.errors))
    for path in [paths.part, paths.manifest, *locks, *paths.unfinished()]:
        if path is None or not os.path.lexists(path):
            continue
        with suppress(FileNotFoundError):  # a job that ends just now removes its own
            status = path.lstat()
            is_ours = stat.S_ISREG(status.st_mode)
            if path in locks:
                is_ours = is_ours and status.st_size == 0
            elif path == paths.manifest:
                is_ours = is_ours and is_manifest(path)
            if not is_ours:
                raise _foreign(path)


def _foreign(path: Path) -> ConfigError:
    return ConfigError(
        f"{path} was not made by a job, which needs a file of this name: move it away, or name "
        "another output"
    )


def is_manifest(path: Path) -> bool:
    """Whether a file begins as a manifest does, or as far as it goes where a kill cut it."""
    with open(path, "rb") as file:
        data = file.read(len(MANIFEST_START))
    return MANIFEST_START.startswith(data)


def _identity(path: Path) -> tuple[int, int] | None:
    """What two names of one file share; None where there is no file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _check_errors(paths: OutputPaths) -> None:
    path, part = paths.errors, paths.part
    if path.is_dir():
        raise ConfigError(f"the error file {path} is a folder: name a file with --errors")
    if not is_replaceable(path):
        if not paths.errors_named:  # it would be waited for at the first bad record
            raise _foreign(path)
        return
    if part is not None and path.parent.resolve() == part.parent:
        return  # opening the part tells what is wrong with the folder
    if not path.parent.is_dir():
        raise ConfigError(
            f"the folder of the error file {path} does not exist: "
            f"make it with mkdir -p {path.parent}"
        )
    if not os.access(path.parent, os.W_OK):
        raise ConfigError(f"the folder {path.parent} is not writable: name a file with --errors")


def explain_unwritable(paths: OutputPaths, error: OSError) -> ConfigError:
    """Why nothing can be written beside the output."""
    folder = Path(paths.name.rstrip("/")).parent if paths.output is None else paths.output.parent
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        shown = Path(paths.name.rstrip("/")).parent
        folder = shown if not shown.is_dir() else folder  # a link may lead elsewhere
        return ConfigError(
            f"the folder of output {paths.name} does not exist: make it with mkdir -p {folder}"
        )
    return _unwritable(paths.name, error)


def _unwritable(name: str, error: OSError) -> ConfigError:
    return ConfigError(
        f"output {name} cannot be written ({error.strerror or error}): "
        "name a file in a folder that you may write to"
    )

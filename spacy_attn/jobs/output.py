"""Where a job writes, such that a kill at any moment loses nothing that was finished.

Chunks are appended to ``OUT.part``: lines of JSONL, or for Parquet and DocBin one Arrow stream
after the other. The manifest says which of them are safe. A finished part takes the name of the
output (JSONL), or is turned into one file that does; a partitioned output does that for every
``partition_size`` records. No file has its final name before it is whole.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from spacy_attn.errors import ConfigError, explain_missing_package
from spacy_attn.jobs.records import COMPRESSIONS, STDIN, Source

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["OutputFormat", "PartFile", "Places", "convert_part", "create", "find_places",
           "names_folder"]  # fmt: skip

OutputFormat: TypeAlias = Literal["jsonl", "parquet", "docbin"]

STDOUT: Final = "-"
RECORD_KEY: Final = "record"  # of doc.user_data: the input record as JSON
_SUFFIXES: Final = {"jsonl": ".jsonl", "parquet": ".parquet", "docbin": ".spacy"}
_GROUP_ROWS: Final = 10_000  # of a Parquet row group, or fewer when they are large
_GROUP_BYTES: Final = 64 * 2**20
_ERRORS_WITHOUT_OUT: Final = "annotate.errors.jsonl"


@dataclass(frozen=True, slots=True)
class Places:
    """Where a job writes."""

    name: str  # the output as the caller gave it
    output: Path | None  # None: standard output
    part: Path | None  # None: the output is no file and is written directly
    errors: Path
    format: OutputFormat = "jsonl"
    compression: str | None = None
    partition_size: int | None = None  # None: one file

    @property
    def manifest(self) -> Path | None:
        """Beside the part."""
        return None if self.part is None else self.part.with_suffix(".manifest.jsonl")

    @property
    def is_plain(self) -> bool:
        """Whether the part has the bytes of the output."""
        return self.format == "jsonl" and self.compression is None

    def partition(self, number: int) -> Path:
        """File of a partitioned output; before it is whole it is hidden from its readers."""
        if self.output is None:
            raise ConfigError("standard output has no partitions")
        ending = {name: suffix for suffix, name in COMPRESSIONS.items()}.get(
            self.compression or "", ""
        )
        return self.output / f"part-{number:05d}{_SUFFIXES[self.format]}{ending}"

    def exists(self) -> bool:
        """Whether there is a finished output."""
        if self.output is None or self.part is None:
            return False
        if self.partition_size is not None:
            return self.output.is_dir() and any(self.output.glob("part-*"))
        return self.output.exists()


def find_places(
    name: str,
    errors: str | Path | None,
    sources: Sequence[Source],
    *,
    output_format: str | None = None,
    partition_size: int | None = None,
) -> Places:
    """Check and complete what the caller said about the output.

    Raises:
        ConfigError: it cannot be so.
    """
    found, compression = _find_format(name, output_format)
    if partition_size is not None and partition_size < 1:
        raise ConfigError(f"--partition-size {partition_size}: legal are 1 and more")
    output = None if name == STDOUT else Path(name)
    part = None
    if output is not None and partition_size is not None:
        if output.exists() and not output.is_dir():
            raise ConfigError(f"output {name} is a file: name a folder for the partitions")
        output = output.resolve()
        part = output.with_name(f"{output.name}.part")
    elif output is not None and (not output.exists() or output.is_file()):
        # A link is followed, so that the file it names is replaced and not the link.
        output = output.resolve()
        part = output.with_name(f"{output.name}.part")
    elif output is not None and output.is_dir():
        raise ConfigError(
            f"output {name} is a folder: name a file in it, such as {name}/out.jsonl, or have "
            "it filled with --partition-size 100000"
        )
    if part is None and (found != "jsonl" or compression or partition_size):
        raise ConfigError(f"output {name} takes JSONL in one piece: name a file with -o")
    if errors is not None:
        error_path = Path(errors)
    elif part is not None:
        error_path = Path(f"{name.rstrip('/')}.errors.jsonl")
    else:
        error_path = Path(_ERRORS_WITHOUT_OUT)
    places = Places(name, output, part, error_path, found, compression, partition_size)
    _check_distinct(places, sources)
    _check_error_path(error_path, part)
    return places


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
    if wanted is not None and wanted not in get_args(OutputFormat):
        legal = ", ".join(get_args(OutputFormat))
        raise ConfigError(f"--output-format {wanted}: legal are {legal}")
    by_suffix = {suffix: known for known, suffix in _SUFFIXES.items()}
    found = by_suffix.get(path.suffix.lower(), "jsonl") if wanted is None else wanted
    if compression is not None and found != "jsonl":
        raise ConfigError(f"output {name}: {found} is compressed already; leave the ending off")
    if found != "jsonl" or compression is not None:
        with explain_missing_package(f"output {name}"):
            import pyarrow  # noqa: F401
    return next(item for item in get_args(OutputFormat) if item == found), compression


def _check_distinct(places: Places, sources: Sequence[Source]) -> None:
    inputs = {Path(source.name).resolve() for source in sources if source.name != STDIN}
    written = [places.part, places.errors, places.manifest]
    if places.part is not None:
        written.append(places.output)
    for path in written:
        if path is not None and path.resolve() in inputs:
            raise ConfigError(f"{path} is an input of this job: name another output with -o")
    if places.partition_size is not None and places.output is not None:
        for path in inputs:
            if path.parent == places.output:
                raise ConfigError(f"output {places.name} holds an input: name another with -o")
    if places.errors.resolve() in {places.output, places.part}:
        raise ConfigError(f"--errors {places.errors} is the output itself: name another file")


def _check_error_path(path: Path, part: Path | None) -> None:
    if path.is_dir():
        raise ConfigError(f"the error file {path} is a folder: name a file with --errors")
    if part is not None and path.parent.resolve() == part.parent:
        return  # opening the part tells what is wrong with the folder
    if not path.parent.is_dir():
        raise ConfigError(
            f"the folder of the error file {path} does not exist: "
            f"make it with mkdir -p {path.parent}"
        )
    if not os.access(path.parent, os.W_OK):
        raise ConfigError(f"the folder {path.parent} is not writable: name a file with --errors")


# -- files that grow ---------------------------------------------------------------------


class PartFile:
    """A file that grows by chunks: what is not committed can be taken back.

    Written without a buffer, so that nothing is left to fail when it is closed.

    Args:
        descriptor: of the file, its position at the end of what is safe.
        can_rewind: False for a pipe or device.
        size: bytes that are safe already.
    """

    def __init__(self, descriptor: int, *, can_rewind: bool, size: int = 0) -> None:
        self._descriptor = descriptor
        self._can_rewind = can_rewind
        self._size = size
        self.committed = size

    def write(self, chunk: bytes) -> None:
        """Append, in as many pieces as the system takes."""
        data = memoryview(chunk)
        while data:
            written = os.write(self._descriptor, data)
            self._size += written
            data = data[written:]

    def commit(self, *, sync: bool = False) -> None:
        """Keep what was written."""
        if sync and self._can_rewind:
            os.fsync(self._descriptor)
        self.committed = self._size

    def roll_back(self) -> None:
        """Take back what was not committed."""
        if self._can_rewind:
            self.cut(self.committed)

    def cut(self, size: int) -> None:
        """Make it so long, and go on from there."""
        os.ftruncate(self._descriptor, size)
        os.lseek(self._descriptor, size, os.SEEK_SET)
        self._size = self.committed = size

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)


def create(path: Path, *, replace: bool) -> int:
    """Descriptor of a new file.

    Raises:
        OSError: there is one and it is not to be replaced, or none can be made.
    """
    how = os.O_TRUNC if replace else os.O_EXCL
    return os.open(path, os.O_WRONLY | os.O_CREAT | how | getattr(os, "O_BINARY", 0), 0o666)


def open_part(places: Places, *, replace: bool) -> PartFile:
    """The file that chunks are appended to.

    Raises:
        ConfigError: it cannot be made.
    """
    try:
        if places.output is None:
            sys.stdout.flush()
            return PartFile(os.dup(sys.stdout.fileno()), can_rewind=False)
        if places.part is None:
            return PartFile(os.open(places.output, os.O_WRONLY), can_rewind=False)
        return PartFile(create(places.part, replace=replace), can_rewind=True)
    except FileExistsError:
        raise ConfigError(
            f"{places.part} is left from an interrupted job or belongs to a running one: "
            "go on with it with --resume, or replace it with --overwrite"
        ) from None
    except (FileNotFoundError, NotADirectoryError):
        folder = Path(places.name.rstrip("/")).parent
        raise ConfigError(
            f"the folder of output {places.name} does not exist: make it with mkdir -p {folder}"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"output {places.name} cannot be written ({error.strerror or error}): "
            "name a file in a folder that you may write to"
        ) from None


def reopen_part(path: Path, size: int) -> PartFile:
    """A file of an interrupted job, cut to what is safe.

    Raises:
        ConfigError: it is shorter than that.
        OSError: it cannot be opened.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    if os.fstat(descriptor).st_size < size:
        os.close(descriptor)
        raise ConfigError(
            f"{path} is shorter than its manifest says ({size:,} bytes): "
            "it was changed since; begin anew with --overwrite"
        )
    file = PartFile(descriptor, can_rewind=True)
    file.cut(size)
    return file


# -- from the part to the output ---------------------------------------------------------


def to_stream(table: pa.Table) -> bytes:
    """One Arrow stream."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def convert_part(part: Path, output: Path, places: Places, schema: pa.Schema | None) -> None:
    """Turn a part into a whole file of the output's format, which then takes its name.

    Raises:
        OSError: it cannot be written.
    """
    unfinished = output.with_name(f"_{output.name}.tmp")
    if places.format == "jsonl":
        _compress(part, unfinished, places.compression)
    elif places.format == "docbin":
        _write_docbin(part, unfinished)
    else:
        _write_parquet(part, unfinished, schema)
    with open(unfinished, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(unfinished, output)


def _compress(part: Path, output: Path, compression: str | None) -> None:
    import shutil

    import pyarrow as pa

    with open(part, "rb") as plain, open(output, "wb") as packed:
        if compression is None:
            shutil.copyfileobj(plain, packed, 2**20)
            return
        with pa.CompressedOutputStream(packed, compression) as stream:
            while block := plain.read(2**20):
                stream.write(block)


def _tables(part: Path) -> Iterator[pa.Table]:
    """The Arrow streams of a part, one at a time."""
    import pyarrow as pa

    size = part.stat().st_size
    with pa.OSFile(str(part)) as file:
        while file.tell() < size:
            yield pa.ipc.open_stream(file).read_all()


def _write_parquet(part: Path, output: Path, schema: pa.Schema | None) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    waiting: list[Any] = []
    with pq.ParquetWriter(output, schema, compression="zstd") as writer:
        for table in _tables(part):
            waiting.append(table)
            if (
                sum(each.num_rows for each in waiting) >= _GROUP_ROWS
                or sum(each.nbytes for each in waiting) >= _GROUP_BYTES
            ):
                writer.write_table(pa.concat_tables(waiting))
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting))


def _write_docbin(part: Path, output: Path) -> None:
    import spacy
    from spacy.tokens import Doc, DocBin

    vocab = spacy.blank("xx").vocab
    docs = DocBin(store_user_data=True)
    for table in _tables(part):
        for data, record in zip(
            table.column("doc").to_pylist(), table.column(RECORD_KEY).to_pylist(), strict=True
        ):
            doc = Doc(vocab).from_bytes(data)
            doc.user_data[RECORD_KEY] = record
            docs.add(doc)
    output.write_bytes(docs.to_bytes())

"""The job on one machine: files in, annotated files out, bad records beside them.

The reader cuts the input into chunks (so many records, or so many characters), the annotator
turns each chunk's table of texts into a table of fields, the writer appends it to ``OUT.part``,
and at the end the part becomes ``OUT``. At any moment memory holds a few chunks, however long
the input::

    read_records -> chunks -> Annotator.annotate_table -> OUT.part -> OUT
                              (here, in n_process spawned     `-> OUT.errors.jsonl
                               processes, or on Ray)
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from spacy_attn.errors import ConfigError, SpacyAttnError, explain_missing_package
from spacy_attn.jobs.annotator import Annotator
from spacy_attn.jobs.columns import carry, check_tables, declare_columns
from spacy_attn.jobs.fields import ERROR_FIELD
from spacy_attn.jobs.manifest import Manifest, Progress, describe_job
from spacy_attn.jobs.output import (
    RECORD_KEY,
    PartFile,
    Places,
    convert_part,
    create,
    find_places,
    open_part,
    reopen_part,
    to_stream,
)
from spacy_attn.jobs.records import (
    DEFAULT_MAX_RECORD_BYTES,
    STDIN,
    BadRecord,
    Record,
    Source,
    check_text_key,
    find_sources,
    line_encoding,
    read_records,
    total_bytes,
)
from spacy_attn.jobs.workers import LostWorkerError, ProcessWorkers, Workers

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "DEFAULT_BATCH_SIZE",
    "JobError",
    "JobInterrupted",
    "JobPlan",
    "JobProgress",
    "JobSummary",
    "annotate_files",
    "plan_job",
]

DEFAULT_BATCH_SIZE: Final = 256  # records
_CHUNK_CHARS: Final = 1_000_000  # a chunk of long texts is closed before it has its records
_CHUNKS_PER_WORKER: Final = 2  # one at work, one waiting, so that no worker idles
_GRACE_SECONDS: Final = 20.0  # that a chunk has to end after Ctrl-C

Chunk: TypeAlias = list[Record | BadRecord]


@dataclass(frozen=True, slots=True)
class JobSummary:
    """What a job did."""

    n_in: int  # records read
    n_out: int  # records written
    n_failed: int  # records in the error file
    output: str  # as the caller gave it
    errors: Path | None  # the error file; None where nothing failed
    part: Path | None  # what an unfinished job left; None where it finished


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is, told after each chunk."""

    n_in: int
    n_failed: int
    bytes_read: int  # input bytes of the records so far
    bytes_total: int | None  # None where an input is a stream


@dataclass(frozen=True, slots=True)
class JobPlan:
    """What a job would do, and how long: measured on its first records."""

    sources: list[Source]
    bytes_total: int | None
    output: str
    fields: tuple[str, ...]
    n_sample: int  # records that were tried
    n_failed: int  # of them
    seconds: float  # that they took, without loading
    hours: float | None  # for the whole, with as many processes as cores used; None: unknown


class JobError(SpacyAttnError):
    """A job could not go on; ``summary`` says what it had finished."""

    __module__ = "spacy_attn.jobs"

    def __init__(self, message: str, summary: JobSummary) -> None:
        super().__init__(message)
        self.summary = summary


class JobInterrupted(KeyboardInterrupt):
    """Ctrl-C stopped a job; ``summary`` says what it had finished."""

    __module__ = "spacy_attn.jobs"

    def __init__(self, summary: JobSummary) -> None:
        super().__init__("interrupted")
        self.summary = summary


@dataclass(frozen=True, slots=True)
class _Call:
    """A checked call."""

    sources: list[Source]
    places: Places
    annotator: Annotator
    text_key: str
    encoding: str
    batch_size: int
    n_process: int
    limit: int | None
    max_record_bytes: int

    def chunks(self) -> Iterator[Chunk]:
        """The input, piece by piece; the same pieces whenever it is read."""
        records = (
            record
            for source in self.sources
            for record in read_records(
                source,
                text_key=self.text_key,
                encoding=self.encoding,
                added=self.annotator.fields,
                max_record_bytes=self.max_record_bytes,
            )
        )
        return _cut_chunks(_take(records, self.limit), self.batch_size)

    def describe(self) -> dict[str, Any]:
        """All that decides the output."""
        options = {
            "text_key": self.text_key,
            "encoding": self.encoding,
            "batch_size": self.batch_size,
            "limit": self.limit,
            "max_record_bytes": self.max_record_bytes,
            "output_format": self.places.format,
            "compression": self.places.compression,
            "partition_size": self.places.partition_size,
        }
        return describe_job(self.sources, self.annotator, options)


def annotate_files(
    inputs: Iterable[str | Path],
    output: str | Path,
    annotator: Annotator,
    *,
    text_key: str = "text",
    input_format: str | None = None,
    encoding: str = "utf-8",
    output_format: str | None = None,
    partition_size: int | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
    n_process: int = 1,
    workers: Workers | None = None,
    overwrite: bool = False,
    resume: bool = False,
    errors: str | Path | None = None,
    max_errors: int | None = None,
    limit: int | None = None,
    max_record_bytes: int = DEFAULT_MAX_RECORD_BYTES,
    on_progress: Callable[[JobProgress], None] | None = None,
) -> JobSummary:
    """Annotate files of records, in the order of the input.

    Args:
        inputs: files, folders, patterns; "-" is standard input (:func:`find_sources`).
        output: file to make (.jsonl, .jsonl.gz, .jsonl.zst, .parquet, .spacy), or with
            partition_size a folder; "-" is standard output. A device or pipe is written directly.
        annotator: finds the fields.
        text_key: field of a JSONL record, or column of a table, that holds the text.
        input_format: one format for all inputs; by default the suffixes decide.
        encoding: of the input; the output is UTF-8.
        output_format: "jsonl", "parquet" or "docbin"; by default the suffix decides.
        partition_size: records in each file of a partitioned output, to the next chunk.
        batch_size: records that go through the pipeline together, at least 1 (fewer where
            they have more than 1,000,000 characters).
        n_process: processes, at least 1, or -1 for one per core. With more than one the
            calling script needs its ``if __name__ == "__main__":``.
        workers: annotate the chunks in place of n_process processes, such as
            :class:`spacy_attn.jobs.ray.RayWorkers`. They do not decide the output.
        overwrite: replace an output, and a part that an interrupted job left.
        resume: go on with the part that an interrupted job left, if there is one. The manifest
            is then kept beside the output, so that resuming a finished job does nothing.
        errors: the error file, replaced if it exists; by default ``OUT.errors.jsonl``, or
            ``annotate.errors.jsonl`` in the current folder where the output is no file.
        max_errors: stop when more records than that have failed.
        limit: read only so many records.
        max_record_bytes: refuse larger records.
        on_progress: called after each chunk.

    Raises:
        ConfigError: the call is wrong, or what would be resumed is another job; nothing has
            been read or written.
        InventoryError, ResourceError: the pipeline cannot be loaded.
        JobError: reading, writing or a child process failed on the way, or too many records.
        BrokenPipeError: the reader of standard output has left.
        JobInterrupted: SIGINT. The chunk at work is finished (a second SIGINT, or 20 seconds,
            stop it too); what was finished is in ``OUT.part``.
    """
    call = _check_call(
        inputs, output, annotator, text_key=text_key, input_format=input_format,
        encoding=encoding, output_format=output_format, partition_size=partition_size,
        batch_size=batch_size, n_process=n_process, errors=errors, limit=limit,
        max_record_bytes=max_record_bytes,
    )  # fmt: skip
    if max_errors is not None and max_errors < 0:
        raise ConfigError(f"--max-errors {max_errors}: legal are 0 and more")
    _check_output(call, overwrite, resume)
    job = _Job(call, overwrite=overwrite, resume=resume)
    if job.is_done:
        return job.summary()
    if workers is None and call.n_process > 1:
        workers = ProcessWorkers(call.n_process)
    with job.guarded():
        if workers is None:
            call.annotator.load()
        chunks = call.chunks()
        _pass_over(chunks, job.n_chunks)
        with _Interrupts() as interrupts:
            annotated = _annotate_chunks(chunks, call.annotator, workers, interrupts)
            with closing(annotated):
                for chunk, table in annotated:
                    job.write(chunk, table)
                    if on_progress is not None:
                        on_progress(job.progress())
                    job.check_errors(max_errors)
                    interrupts.release()
        job.finish(keep_manifest=resume)
    return job.summary()


def plan_job(
    inputs: Iterable[str | Path], output: str | Path, annotator: Annotator, **options: Any
) -> JobPlan:
    """Check a call and try its first records, without writing anything.

    Args:
        inputs: as of :func:`annotate_files`.
        output: as there.
        annotator: as there.
        options: keyword arguments of :func:`annotate_files` that decide what is read.

    Raises:
        ConfigError, InventoryError, ResourceError: as :func:`annotate_files`.
    """
    call = _check_call(inputs, output, annotator, **options)
    call.annotator.load()
    chunk = next(call.chunks(), []) if all(s.name != STDIN for s in call.sources) else []
    start = time.perf_counter()
    reasons = _reasons(chunk, call.annotator.annotate_table(_to_table(chunk)))
    seconds = time.perf_counter() - start
    n_failed = len(_divide(chunk, reasons)[1])
    n_bytes = sum(len(text.encode("utf-8", "replace")) for text in _texts(chunk))
    total = total_bytes(call.sources)
    hours = None
    if total is not None and n_bytes and all(s.compression is None for s in call.sources):
        hours = total / n_bytes * seconds / call.n_process / 3600
    return JobPlan(
        sources=call.sources,
        bytes_total=total,
        output=call.places.name,
        fields=annotator.fields,
        n_sample=len(chunk),
        n_failed=n_failed,
        seconds=seconds,
        hours=hours,
    )


# -- checks before any work ------------------------------------------------------------


def _check_call(
    inputs: Iterable[str | Path],
    output: str | Path,
    annotator: Annotator,
    *,
    text_key: str = "text",
    input_format: str | None = None,
    encoding: str = "utf-8",
    output_format: str | None = None,
    partition_size: int | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
    n_process: int = 1,
    errors: str | Path | None = None,
    limit: int | None = None,
    max_record_bytes: int = DEFAULT_MAX_RECORD_BYTES,
) -> _Call:
    sources = find_sources(inputs, input_format)
    check_text_key(text_key, annotator.fields)
    encoding = line_encoding(encoding)
    n_process = _check_numbers(batch_size, n_process, limit, max_record_bytes)
    places = find_places(
        str(output), errors, sources, output_format=output_format, partition_size=partition_size
    )
    with explain_missing_package("annotating files"):
        import pyarrow  # noqa: F401
    check_tables(sources, text_key, encoding, annotator.fields)
    if places.format == "docbin":
        annotator = replace(annotator, with_doc=True)
    return _Call(
        sources, places, annotator, text_key, encoding, batch_size, n_process, limit,
        max_record_bytes,
    )  # fmt: skip


def _check_numbers(batch_size: int, n_process: int, limit: int | None, max_bytes: int) -> int:
    """The number of processes to start."""
    if batch_size < 1:
        raise ConfigError(f"--batch-size {batch_size}: legal are 1 and more")
    if limit is not None and limit < 0:
        raise ConfigError(f"--limit {limit}: legal are 0 and more")
    if not 1 <= max_bytes < 2**31:
        raise ConfigError(f"--max-record-bytes {max_bytes}: legal are 1 to {2**31 - 1}")
    if n_process == -1:
        return os.cpu_count() or 1
    if n_process < 1:
        raise ConfigError(f"--n-process {n_process}: legal are 1 and more, or -1 for all cores")
    return n_process


def _check_output(call: _Call, overwrite: bool, resume: bool) -> None:
    """Refuse what would destroy an output, or cannot be resumed."""
    places = call.places
    if overwrite and resume:
        raise ConfigError("--resume and --overwrite exclude each other: leave one of them out")
    if resume and (places.part is None or any(s.name == STDIN for s in call.sources)):
        raise ConfigError(
            "--resume needs files as input and output: a stream cannot be read or written twice"
        )
    manifest = places.manifest
    has_manifest = resume and manifest is not None and manifest.is_file()
    if places.exists() and not overwrite and not has_manifest:
        is_folder = places.partition_size is not None
        shown = f"folder {places.name} with partitions" if is_folder else places.name
        raise ConfigError(f"output {shown} exists: name another, or replace it with --overwrite")
    part = places.part
    if resume and not has_manifest and part is not None and part.exists() and part.stat().st_size:
        raise ConfigError(
            f"{part} has no manifest beside it, so that it cannot be resumed: "
            "move it away, or replace it with --overwrite"
        )


# -- chunks ----------------------------------------------------------------------------


def _take(records: Iterable[Record | BadRecord], limit: int | None) -> Iterator[Any]:
    for number, record in enumerate(records):
        if limit is not None and number >= limit:
            return
        yield record
        if limit is not None and number + 1 == limit:
            return  # without reading one more


def _cut_chunks(records: Iterable[Record | BadRecord], batch_size: int) -> Iterator[Chunk]:
    """Runs of records: ``batch_size`` of them, or as many as reach _CHUNK_CHARS."""
    chunk: Chunk = []
    n_chars = 0
    for record in records:
        chunk.append(record)
        n_chars += len(record.text) if isinstance(record, Record) else len(record.raw)
        if len(chunk) >= batch_size or n_chars >= _CHUNK_CHARS:
            yield chunk
            chunk, n_chars = [], 0
    if chunk:
        yield chunk


def _pass_over(chunks: Iterator[Chunk], n_chunks: int) -> None:
    """What an interrupted job finished already."""
    for _ in range(n_chunks):
        next(chunks, None)


def _texts(chunk: Chunk) -> list[str]:
    return [record.text for record in chunk if isinstance(record, Record)]


def _to_table(chunk: Chunk) -> pa.Table:
    """The texts, without those that are not Unicode: Arrow cannot hold them."""
    import pyarrow as pa

    texts = [text for text in _texts(chunk) if _surrogate(text) is None]
    return pa.table({"text": pa.array(texts, pa.large_string())})


def _surrogate(text: str) -> str | None:
    """Why a text has no UTF-8, or None."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        return f"lone surrogate U+{code:04X} at character {error.start}: it is no character"
    return None


def _reasons(chunk: Chunk, table: pa.Table) -> list[str | None]:
    """For each Record why it failed, or None; the table has those that are Unicode."""
    from_pipeline = iter(table.column(ERROR_FIELD).to_pylist())
    reasons: list[str | None] = []
    for text in _texts(chunk):
        wrong = _surrogate(text)
        reasons.append(next(from_pipeline) if wrong is None else wrong)
    return reasons


# -- Ctrl-C ------------------------------------------------------------------------------


class _Interrupts:
    """SIGINT waits until the chunk at work is written, but not for ever.

    Between :meth:`hold` and :meth:`release` the first SIGINT is noted; a second one, or
    _GRACE_SECONDS, interrupt at once. Outside a main thread nothing is changed.
    """

    def __init__(self) -> None:
        self._held = self._wanted = False
        self._before: Any = None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> _Interrupts:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *args: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def hold(self) -> None:
        """A chunk is at work."""
        self._held = True

    def release(self) -> None:
        """It is written: now an interrupt is due."""
        self._held = False
        if self._wanted:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: object) -> None:
        if not self._held or self._wanted or not hasattr(signal, "pthread_kill"):
            raise KeyboardInterrupt
        self._wanted = True
        main = threading.main_thread().ident
        self._timer = threading.Timer(_GRACE_SECONDS, signal.pthread_kill, (main, number))
        self._timer.daemon = True
        self._timer.start()


# -- at work -----------------------------------------------------------------------------


def _annotate_chunks(
    chunks: Iterator[Chunk], annotator: Annotator, workers: Workers | None, interrupts: _Interrupts
) -> Generator[tuple[Chunk, pa.Table], None, None]:
    """Each chunk with the fields of its texts, in order."""
    if workers is not None:
        yield from _annotate_in_workers(chunks, annotator, workers, interrupts)
        return
    for chunk in chunks:
        interrupts.hold()
        yield chunk, annotator.annotate_table(_to_table(chunk))


def _annotate_in_workers(
    chunks: Iterator[Chunk], annotator: Annotator, workers: Workers, interrupts: _Interrupts
) -> Generator[tuple[Chunk, pa.Table], None, None]:
    """The same with workers; at most _CHUNKS_PER_WORKER chunks each are under way."""
    waiting: deque[tuple[Chunk, Callable[[], pa.Table]]] = deque()
    done = False
    try:
        n_workers = workers.start(annotator)
        for chunk in chunks:
            waiting.append((chunk, workers.submit(_to_table(chunk))))
            if len(waiting) >= _CHUNKS_PER_WORKER * n_workers:
                first, wait = waiting.popleft()
                interrupts.hold()
                yield first, wait()
        while waiting:
            first, wait = waiting.popleft()
            interrupts.hold()
            yield first, wait()
        done = True
    finally:
        workers.stop(at_once=not done)


# -- writing ---------------------------------------------------------------------------


class _Job:
    """Files and counts of one run.

    Raises:
        ConfigError: a file cannot be made, or what is to be resumed is another job.
    """

    def __init__(self, call: _Call, *, overwrite: bool, resume: bool) -> None:
        self._call = call
        self._places = places = call.places
        self._bytes_total = total_bytes(call.sources)
        self._progress = Progress()
        self._columns: pa.Schema | None = None  # what Parquet carries through
        self._finished = self._closed = False
        self._errors: PartFile | None = None
        self._manifest: Manifest | None = None
        self.is_done = False
        if places.format == "parquet":
            self._columns = declare_columns(call.sources, call.text_key, call.encoding)
        if resume and self._resume():
            return
        # A kill between the making of part and manifest leaves an empty part.
        begun = places.part is not None and places.part.exists() and places.part.stat().st_size
        self._out = open_part(places, replace=overwrite or (resume and not begun))
        self._start()

    def _start(self) -> None:
        """Make the manifest; an error file of an earlier run says nothing about this one."""
        places = self._places
        try:
            if places.manifest is not None:
                self._manifest = Manifest(places.manifest, self._call.describe())
                self._manifest.start()
        except BaseException as error:
            self._out.close()
            if places.part is not None:
                places.part.unlink(missing_ok=True)
            if self._manifest is not None:
                self._manifest.remove()
            if isinstance(error, OSError):
                raise ConfigError(
                    f"{error.filename or places.manifest} cannot be read or written "
                    f"({error.strerror or error}): see that it can, with ls -l"
                ) from None
            raise

    def _resume(self) -> bool:
        """Take up an interrupted job; False where there is none."""
        places = self._places
        if places.manifest is None or places.part is None or not places.manifest.is_file():
            return False
        manifest = Manifest(places.manifest, self._call.describe())
        progress = manifest.resume()
        if progress is None:
            return False
        self._manifest, self._progress = manifest, progress
        if progress.finished and not places.part.exists():
            manifest.close()
            self.is_done = True
            return True
        try:
            self._out = reopen_part(places.part, progress.part)
            if progress.errors:
                self._errors = reopen_part(places.errors, progress.errors)
            # The kill may have come between a partition and the line that counts it.
            self._end_partition(places.partition_size)
        except BaseException:
            manifest.close()
            raise
        return True

    @property
    def n_chunks(self) -> int:
        """Chunks that are safe."""
        return self._progress.n_chunks

    def write(self, chunk: Chunk, table: pa.Table) -> None:
        """Append a chunk, all of it or nothing."""
        reasons = _reasons(chunk, table)
        good, errors = _divide(chunk, reasons)
        if errors and self._errors is None:
            descriptor = create(self._places.errors, replace=True)
            self._errors = PartFile(descriptor, can_rewind=True)
        if self._errors is not None:
            self._errors.write("".join(f"{error.to_json()}\n" for error in errors).encode())
            self._errors.commit(sync=True)
        self._out.write(self._render(good, table))
        self._out.commit(sync=self._manifest is not None)
        self._note(
            n_chunks=self._progress.n_chunks + 1,
            n_in=self._progress.n_in + len(chunk),
            n_out=self._progress.n_out + len(good),
            n_failed=self._progress.n_failed + len(errors),
            bytes_read=self._progress.bytes_read + sum(record.n_bytes for record in chunk),
            pending=self._progress.pending + len(good),
        )
        self._end_partition(self._places.partition_size)

    def _note(self, **changes: Any) -> None:
        """From here on a kill goes back to this moment."""
        n_errors = 0 if self._errors is None else self._errors.committed
        self._progress = replace(
            self._progress, part=self._out.committed, errors=n_errors, **changes
        )
        if self._manifest is not None:
            self._manifest.note(self._progress)

    def _render(self, good: Sequence[Record], table: pa.Table) -> bytes:
        """What a chunk adds to the part."""
        import pyarrow.compute as pc

        fields = table.filter(pc.is_null(table.column(ERROR_FIELD)))
        fields = fields.drop_columns(["text", ERROR_FIELD])
        if self._places.format == "jsonl":
            rows = zip(good, fields.to_pylist(), strict=True)
            return "".join(f"{record.to_json(row)}\n" for record, row in rows).encode()
        if not good:
            return b""
        if self._places.format == "parquet":
            carried = carry(good, self._columns)
        else:
            import pyarrow as pa

            carried = pa.table({RECORD_KEY: [record.as_json() for record in good]})
            fields = fields.select(["doc"])
        for name in fields.column_names:
            carried = carried.append_column(fields.schema.field(name), fields.column(name))
        return to_stream(carried)

    def _schema(self) -> pa.Schema | None:
        """Of the finished Parquet."""
        if self._columns is None:
            return None
        schema = self._call.annotator.output_schema(self._columns)
        return schema.remove(schema.get_field_index(ERROR_FIELD))

    def _end_partition(self, size: int | None) -> None:
        """Turn a full part into a file of the partitioned output."""
        places, progress = self._places, self._progress
        if size is None or progress.pending < size or places.part is None:
            return
        if places.output is not None:
            places.output.mkdir(exist_ok=True)
        target = places.partition(progress.partitions)
        convert_part(places.part, target, places, self._schema())
        self._progress = replace(progress, pending=0, partitions=progress.partitions + 1)
        if self._manifest is not None:
            # The part is empty from here on, even if the next line is not reached.
            self._progress = replace(self._progress, part=0)
            self._manifest.note(self._progress)
        self._out.cut(0)

    def check_errors(self, max_errors: int | None) -> None:
        """Stop where too many records failed.

        Raises:
            JobError: so it is.
        """
        n_failed = self._progress.n_failed
        if max_errors is not None and n_failed > max_errors:
            raise self._stop_with(
                f"{n_failed:,} records failed, more than --max-errors {max_errors}: "
                f"see {self._places.errors}"
            )

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Whatever ends the job, what it finished is kept and said."""
        try:
            if self._errors is None and self._places.errors.is_file():
                self._places.errors.unlink()
            yield
        except JobError:
            raise
        except KeyboardInterrupt:
            raise JobInterrupted(self._stop()) from None
        except LostWorkerError as error:
            raise self._stop_with(
                f"{error}, perhaps for want of memory: try a smaller --n-process or --batch-size"
            ) from error
        except BrokenPipeError:
            self._stop()
            raise  # the reader of standard output, such as head, has seen enough
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            reason = f"reading or writing failed: {error.strerror or error}{where}"
            raise self._stop_with(reason) from error
        except BaseException:
            self._stop()
            raise

    def finish(self, *, keep_manifest: bool) -> None:
        """Give the output its name."""
        places = self._places
        if places.partition_size is not None and (
            self._progress.pending or not self._progress.partitions
        ):
            self._end_partition(0)
        if not self._progress.finished:
            self._note(finished=True)
        if places.part is not None and places.output is not None:
            if places.partition_size is None and places.is_plain:
                os.replace(places.part, places.output)
            else:
                if places.partition_size is None:
                    convert_part(places.part, places.output, places, self._schema())
                places.part.unlink()
        self._close()
        if self._manifest is not None and not keep_manifest:
            self._manifest.remove()
        self._finished = True

    def _stop_with(self, reason: str) -> JobError:
        summary = self._stop()
        kept = f", kept in {summary.part}: go on with --resume" if summary.part is not None else ""
        return JobError(f"{reason}; {summary.n_out:,} records were finished{kept}", summary)

    def _stop(self) -> JobSummary:
        """Keep whole chunks only; a job that finished none leaves nothing."""
        if not self._closed:
            for file in self._files():
                with suppress(OSError):
                    file.roll_back()
            with suppress(OSError):
                self._close()
        part = self._places.part
        if part is not None and self._progress.n_in == 0 and not self._finished:
            part.unlink(missing_ok=True)
            if self._manifest is not None:
                self._manifest.remove()
        if self._progress.n_failed == 0 and self._errors is not None:
            self._places.errors.unlink(missing_ok=True)
        return self.summary()

    def _files(self) -> list[PartFile]:
        return [self._out] if self._errors is None else [self._out, self._errors]

    def _close(self) -> None:
        self._closed = True
        if self._manifest is not None:
            self._manifest.close()
        for file in self._files():
            file.close()

    def progress(self) -> JobProgress:
        now = self._progress
        return JobProgress(now.n_in, now.n_failed, now.bytes_read, self._bytes_total)

    def summary(self) -> JobSummary:
        part = self._places.part
        return JobSummary(
            n_in=self._progress.n_in,
            n_out=self._progress.n_out,
            n_failed=self._progress.n_failed,
            output=self._places.name,
            errors=self._places.errors if self._progress.n_failed else None,
            part=part if part is not None and part.exists() else None,
        )


def _divide(chunk: Chunk, reasons: Sequence[str | None]) -> tuple[list[Record], list[BadRecord]]:
    """The good records of a chunk, and the bad ones, each in order."""
    good: list[Record] = []
    bad: list[BadRecord] = []
    remaining = iter(reasons)
    for record in chunk:
        if isinstance(record, BadRecord):
            bad.append(record)
            continue
        reason = next(remaining)
        if reason is None:
            good.append(record)
        else:
            bad.append(record.failed(reason))
    return good, bad

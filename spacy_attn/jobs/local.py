"""The job on one machine: files in, an annotated file out, bad records beside it.

The reader cuts the input into chunks (so many records, or so many characters), the annotator
turns each chunk into plain data, the writer appends it to ``OUT.part``, and at the end the
part takes the name ``OUT``. At any moment memory holds a few chunks, however long the input::

    read_records -> chunks -> Annotator.annotate -> OUT.part -> OUT
                              (here, or in n_process        `-> OUT.errors.jsonl
                               spawned processes)

Child processes are a pool of our own and not those of ``nlp.pipe(n_process=...)``: each child
opens a memory zone for every chunk and sends back the senses instead of whole Docs, a text on
which the pipeline fails stays a value with its reason, and a child that dies is noticed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Final, TypeAlias

from spacy_attn.errors import ConfigError, SpacyAttnError
from spacy_attn.jobs.annotator import Annotator, Result, TextError
from spacy_attn.jobs.records import (
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

__all__ = [
    "DEFAULT_BATCH_SIZE",
    "JobError",
    "JobInterrupted",
    "JobProgress",
    "JobSummary",
    "annotate_files",
]

STDOUT: Final = "-"
DEFAULT_BATCH_SIZE: Final = 256  # records
_CHUNK_CHARS: Final = 1_000_000  # a chunk of long texts is closed before it has its records
_CHUNKS_PER_PROCESS: Final = 2  # one at work, one waiting, so that no child idles
_ERRORS_WITHOUT_OUT: Final = "annotate.errors.jsonl"

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


def annotate_files(
    inputs: Iterable[str | Path],
    output: str | Path,
    annotator: Annotator,
    *,
    text_key: str = "text",
    input_format: str | None = None,
    encoding: str = "utf-8",
    batch_size: int = DEFAULT_BATCH_SIZE,
    n_process: int = 1,
    overwrite: bool = False,
    errors: str | Path | None = None,
    on_progress: Callable[[JobProgress], None] | None = None,
) -> JobSummary:
    """Annotate files of records into one JSONL file, in the order of the input.

    Args:
        inputs: .jsonl and .txt files; "-" is standard input.
        output: file to make; "-" is standard output. A device or pipe is written directly.
        annotator: finds the senses.
        text_key: field of a JSONL record that holds the text.
        input_format: "jsonl" or "txt" for all inputs; by default the suffixes decide.
        encoding: of the input; the output is UTF-8.
        batch_size: records that go through the pipeline together, at least 1 (fewer where
            they have more than 1,000,000 characters).
        n_process: processes, at least 1, or -1 for one per core. With more than one the
            calling script needs its ``if __name__ == "__main__":``.
        overwrite: replace an output, and a part that an interrupted job left.
        errors: the error file, replaced if it exists; by default ``OUT.errors.jsonl``, or
            ``annotate.errors.jsonl`` in the current folder where the output is no file.
        on_progress: called after each chunk.

    Raises:
        ConfigError: the call is wrong; nothing has been read or written.
        InventoryError, ResourceError: the pipeline cannot be loaded.
        JobError: reading, writing or a child process failed on the way.
        BrokenPipeError: the reader of standard output has left.
        JobInterrupted: SIGINT. What was finished is in ``OUT.part``.
    """
    sources = find_sources(inputs, input_format)
    check_text_key(text_key)
    encoding = line_encoding(encoding)
    n_process = _check_numbers(batch_size, n_process)
    places = _find_places(str(output), errors, sources, overwrite)
    total = total_bytes(sources)
    records = (
        record
        for source in sources
        for record in read_records(source, text_key=text_key, encoding=encoding)
    )
    job = _Job(places, total, overwrite)
    with job.guarded():
        if n_process == 1:
            annotator.load()
        chunks = _cut_chunks(records, batch_size)
        with closing(_annotate_chunks(chunks, annotator, n_process)) as annotated:
            for chunk, results in annotated:
                job.write(chunk, results)
                if on_progress is not None:
                    on_progress(job.progress())
        job.finish()
    return job.summary()


# -- checks before any work ------------------------------------------------------------


def _check_numbers(batch_size: int, n_process: int) -> int:
    """The number of processes to start."""
    if batch_size < 1:
        raise ConfigError(f"--batch-size {batch_size}: legal are 1 and more")
    if n_process == -1:
        return os.cpu_count() or 1
    if n_process < 1:
        raise ConfigError(f"--n-process {n_process}: legal are 1 and more, or -1 for all cores")
    return n_process


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a job writes."""

    name: str  # the output as the caller gave it
    output: Path | None  # None: standard output
    part: Path | None  # None: the output is no file and is written directly
    errors: Path


def _find_places(
    name: str, errors: str | Path | None, sources: Sequence[Source], overwrite: bool
) -> _Places:
    output = None if name == STDOUT else Path(name)
    part = None
    if output is not None and (not output.exists() or output.is_file()):
        # A link is followed, so that the file it names is replaced and not the link.
        output = output.resolve()
        part = output.with_name(f"{output.name}.part")
    elif output is not None and output.is_dir():
        raise ConfigError(f"output {name} is a folder: name a file in it, such as {name}/out.jsonl")
    if errors is not None:
        error_path = Path(errors)
    elif part is not None:
        error_path = Path(f"{name}.errors.jsonl")
    else:
        error_path = Path(_ERRORS_WITHOUT_OUT)
    places = _Places(name, output, part, error_path)
    _check_distinct(places, sources)
    if part is not None and output is not None and output.exists() and not overwrite:
        raise ConfigError(f"output {name} exists: name another, or replace it with --overwrite")
    _check_error_path(error_path, part)
    return places


def _check_distinct(places: _Places, sources: Sequence[Source]) -> None:
    inputs = {Path(source.name).resolve() for source in sources if source.name != STDIN}
    written = [places.part, places.errors]
    if places.part is not None:
        written.append(places.output)
    for path in written:
        if path is not None and path.resolve() in inputs:
            raise ConfigError(f"{path} is an input of this job: name another output with -o")
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


# -- chunks ----------------------------------------------------------------------------


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


def _texts(chunk: Chunk) -> list[str]:
    return [record.text for record in chunk if isinstance(record, Record)]


def _annotate_chunks(
    chunks: Iterator[Chunk], annotator: Annotator, n_process: int
) -> Generator[tuple[Chunk, list[Result]], None, None]:
    """Each chunk with one result for each of its Records, in order."""
    if n_process > 1:
        yield from _annotate_in_processes(chunks, annotator, n_process)
        return
    for chunk in chunks:
        yield chunk, annotator.annotate(_texts(chunk))


def _annotate_in_processes(
    chunks: Iterator[Chunk], annotator: Annotator, n_process: int
) -> Generator[tuple[Chunk, list[Result]], None, None]:
    """The same with child processes; at most _CHUNKS_PER_PROCESS chunks each are under way."""
    threads = max(1, (os.cpu_count() or 1) // n_process)
    pool = ProcessPoolExecutor(
        n_process,
        # Spawned, because a fork after a multi-threaded forward pass can hang.
        mp_context=get_context("spawn"),
        initializer=_start_worker,
        initargs=(annotator, threads),
    )
    waiting: deque[tuple[Chunk, Future[list[Result]]]] = deque()
    try:
        for chunk in chunks:
            with _interrupts_held():
                waiting.append((chunk, pool.submit(_annotate_in_worker, _texts(chunk))))
            if len(waiting) >= _CHUNKS_PER_PROCESS * n_process:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()
    except BaseException:
        # Nobody will take what the children are at, so that there is nothing to wait for.
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold SIGINT back for a moment; a child started meanwhile never gets it.

    Ctrl-C reaches every process of a terminal, but only the parent is to act on it. A
    blocked signal is not lost: the parent gets it when this block ends.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_worker_annotator: Annotator | None = None  # of this child process


def _start_worker(annotator: Annotator, threads: int) -> None:
    global _worker_annotator
    _worker_annotator = annotator
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch  # spaCy imports it in any case

    torch.set_num_threads(threads)


def _end_with_parent() -> None:
    """Leave no process behind when the parent is killed: it cannot tell its children then."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _annotate_in_worker(texts: list[str]) -> list[Result]:
    if _worker_annotator is None:
        raise RuntimeError("the worker process was not started by annotate_files")
    return _worker_annotator.annotate(texts)


# -- writing ---------------------------------------------------------------------------


class _LineFile:
    """A file of whole lines: what is not committed can be taken back.

    Written without a buffer, so that nothing is left to fail when it is closed.
    """

    def __init__(self, descriptor: int, *, can_rewind: bool) -> None:
        self._descriptor = descriptor
        self._can_rewind = can_rewind
        self._committed = 0
        self._size = 0

    def write(self, lines: Sequence[str]) -> None:
        data = memoryview("".join(f"{line}\n" for line in lines).encode("utf-8"))
        while data:
            written = os.write(self._descriptor, data)
            self._size += written
            data = data[written:]

    def commit(self) -> None:
        self._committed = self._size

    def roll_back(self) -> None:
        if self._can_rewind:
            os.ftruncate(self._descriptor, self._committed)

    def close(self, *, sync: bool = False) -> None:
        if sync and self._can_rewind:
            os.fsync(self._descriptor)
        os.close(self._descriptor)


class _Job:
    """Files and counts of one run."""

    def __init__(self, places: _Places, bytes_total: int | None, overwrite: bool) -> None:
        self._places = places
        self._bytes_total = bytes_total
        self._bytes_read = self._n_in = self._n_out = self._n_failed = 0
        self._finished = False
        self._closed = False
        self._out = _open_output(places, overwrite)
        self._errors: _LineFile | None = None

    def write(self, chunk: Chunk, results: Sequence[Result]) -> None:
        """Append a chunk, all of it or nothing."""
        lines, errors = _render(chunk, results)
        if errors and self._errors is None:
            self._errors = _LineFile(_create(self._places.errors, replace=True), can_rewind=True)
        if self._errors is not None:
            self._errors.write(errors)
        self._out.write(lines)
        self._out.commit()
        if self._errors is not None:
            self._errors.commit()
        self._n_in += len(chunk)
        self._n_out += len(lines)
        self._n_failed += len(errors)
        self._bytes_read += sum(record.n_bytes for record in chunk)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Whatever ends the job, what it finished is kept and said."""
        try:
            # An error file of an earlier run says nothing about this one.
            if self._places.errors.is_file():
                self._places.errors.unlink()
            yield
        except KeyboardInterrupt:
            raise JobInterrupted(self._stop()) from None
        except BrokenProcessPool:
            reason = (
                "a child process died, as one does when the machine runs out of memory: "
                "give a smaller --n-process or --batch-size"
            )
            raise self._stop_with(reason) from None
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

    def finish(self) -> None:
        """Give the part its name."""
        self._close(sync=True)
        if self._places.part is not None and self._places.output is not None:
            os.replace(self._places.part, self._places.output)
        self._finished = True

    def _stop_with(self, reason: str) -> JobError:
        summary = self._stop()
        kept = f", kept in {summary.part}" if summary.part is not None else ""
        return JobError(f"{reason}; {summary.n_out:,} records were finished{kept}", summary)

    def _stop(self) -> JobSummary:
        """Keep whole chunks only; an empty part is removed."""
        if not self._closed:
            for file in self._files():
                with suppress(OSError):
                    file.roll_back()
            with suppress(OSError):
                self._close()
        part = self._places.part
        if part is not None and self._n_out == 0 and not self._finished:
            part.unlink(missing_ok=True)
        if self._n_failed == 0 and self._errors is not None:
            self._places.errors.unlink(missing_ok=True)
        return self.summary()

    def _files(self) -> list[_LineFile]:
        return [self._out] if self._errors is None else [self._out, self._errors]

    def _close(self, *, sync: bool = False) -> None:
        self._closed = True
        for file in self._files():
            file.close(sync=sync)

    def progress(self) -> JobProgress:
        return JobProgress(self._n_in, self._n_failed, self._bytes_read, self._bytes_total)

    def summary(self) -> JobSummary:
        part = self._places.part
        return JobSummary(
            n_in=self._n_in,
            n_out=self._n_out,
            n_failed=self._n_failed,
            output=self._places.name,
            errors=self._places.errors if self._n_failed else None,
            part=part if part is not None and part.exists() else None,
        )


def _render(chunk: Chunk, results: Sequence[Result]) -> tuple[list[str], list[str]]:
    """Output lines and error lines of a chunk."""
    lines: list[str] = []
    errors: list[str] = []
    remaining = iter(results)
    for record in chunk:
        if isinstance(record, BadRecord):
            errors.append(record.to_json())
            continue
        result = next(remaining)
        if isinstance(result, TextError):
            errors.append(record.failed(result.reason).to_json())
        else:
            lines.append(record.to_json(result))
    return lines, errors


def _open_output(places: _Places, overwrite: bool) -> _LineFile:
    try:
        if places.output is None:
            sys.stdout.flush()
            return _LineFile(os.dup(sys.stdout.fileno()), can_rewind=False)
        if places.part is None:
            return _LineFile(os.open(places.output, os.O_WRONLY), can_rewind=False)
        return _LineFile(_create(places.part, replace=overwrite), can_rewind=True)
    except FileExistsError:
        raise ConfigError(
            f"{places.part} is left from an interrupted job or belongs to a running one: "
            "move it away, or replace it with --overwrite"
        ) from None
    except (FileNotFoundError, NotADirectoryError):
        folder = Path(places.name).parent
        raise ConfigError(
            f"the folder of output {places.name} does not exist: make it with mkdir -p {folder}"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"output {places.name} cannot be written ({error.strerror or error}): "
            "name a file in a folder that you may write to"
        ) from None


def _create(path: Path, *, replace: bool) -> int:
    how = os.O_TRUNC if replace else os.O_EXCL
    return os.open(path, os.O_WRONLY | os.O_CREAT | how | getattr(os, "O_BINARY", 0), 0o666)

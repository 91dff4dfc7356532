"""The job on one machine: files in, annotated files out, bad records beside them.

The reader cuts the input into chunks (so many records, or so many characters), the engine turns
the texts of each chunk into rows of plain data, the sink appends them to ``OUT.part``, and at the
end the part becomes ``OUT``. At any moment memory holds a few chunks, however long the input::

    read_records -> chunks -> engine.submit -> sink.encode -> OUT.part -> OUT
                              (here, in n_process spawned `-> OUT.errors.jsonl
                               processes, or on Ray)
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, assert_never

from spacy_attn.batches import batches
from spacy_attn.errors import ConfigError
from spacy_attn.jobs.annotator import Annotator
from spacy_attn.jobs.arrow import bytes_of
from spacy_attn.jobs.columns import declare_columns, name_columns
from spacy_attn.jobs.csv_sink import CsvSink
from spacy_attn.jobs.engines import Engine, Rows
from spacy_attn.jobs.engines.local import InProcess, ProcessWorkers
from spacy_attn.jobs.fields import TextError
from spacy_attn.jobs.fingerprint import describe_job
from spacy_attn.jobs.interrupts import Interrupts
from spacy_attn.jobs.options import JobOptions
from spacy_attn.jobs.outcome import JobProgress, JobSummary
from spacy_attn.jobs.output_paths import OutputPaths, find_output_paths
from spacy_attn.jobs.readers import check_sources, read_records
from spacy_attn.jobs.records import BadRecord, Record
from spacy_attn.jobs.run import Run
from spacy_attn.jobs.sinks import DocBinSink, JsonlSink, ParquetSink, Sink
from spacy_attn.jobs.sources import DELIMITERS, Source, find_sources, total_bytes

if TYPE_CHECKING:
    from spacy_attn.wsd.inventory.corrections import UnusedCorrections

_CHUNK_CHARS: Final = 1_000_000  # a chunk of long texts is closed before it has its records
_BYTES_PER_CHAR: Final = 16  # a record with more beside its text counts by its bytes

Chunk: TypeAlias = list[Record | BadRecord]


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
    n_process: int
    peak_mb: float | None  # of memory that this process took, as each will; None: unknown


def annotate_files(
    inputs: Iterable[str | Path],
    output: str | Path,
    annotator: Annotator,
    options: JobOptions | None = None,
    *,
    engine: Engine | None = None,
    on_progress: Callable[[JobProgress], None] | None = None,
) -> JobSummary:
    """Annotate files of records, in the order of the input.

    Args:
        inputs: files, folders, patterns; "-" is standard input
            (:func:`spacy_attn.jobs.sources.find_sources`).
        output: file to make (.jsonl, .csv, .tsv, all of them also with .gz or .zst; .parquet;
            .spacy), or with partition_size a folder; "-" is standard output. A device or pipe is
            written directly.
        annotator: finds the fields.
        options: how to read and write; by default those of :class:`JobOptions`. With n_process
            above one the calling script needs its ``if __name__ == "__main__":``.
        engine: annotates the chunks in place of n_process processes, such as
            :class:`spacy_attn.jobs.engines.ray.RayWorkers`. It does not decide the output.
        on_progress: called after each chunk.

    Raises:
        ConfigError: the call is wrong, what would be resumed is another job, or another job
            writes the same output; nothing has been read or written.
        InventoryError, ResourceError: the pipeline cannot be loaded.
        JobError: reading, writing or a child process failed on the way, or too many records.
        BrokenPipeError: the reader of standard output has left.
        JobInterrupted: SIGINT. The chunk at work is finished (a second SIGINT, or 20 seconds,
            stop it too); what was finished is in ``OUT.part``.
    """
    call = _check_call(inputs, output, annotator, options or JobOptions())
    options = call.options
    with Run(call.paths, options, call.describe, total_bytes(call.sources)) as run:
        if run.is_done:
            n_unused = 0 if call.annotator.corrections is None else None
            return replace(run.summary(), n_unused=n_unused)
        with run.guarded():
            run.sink = call.make_sink()
            run.end_full_partition()  # a kill may have come before it was counted
            if engine is None:
                n_process = call.n_process
                engine = InProcess() if n_process == 1 else ProcessWorkers(n_process)
            chunks = call.chunks()
            unused = _unused_corrections(call.annotator)
            for chunk in _finished(chunks, run.n_chunks, output):
                _note_read(unused, chunk)
            with (
                Interrupts() as interrupts,
                closing(_annotate(chunks, call.annotator, engine, interrupts)) as annotated,
            ):
                for chunk, rows in annotated:
                    _note_read(unused, chunk)
                    run.write(*_divide(chunk, rows), n_bytes=sum(r.n_bytes for r in chunk))
                    if on_progress is not None:
                        on_progress(run.progress())
                    run.check_errors()
                    interrupts.release()
            run.finish()
        return replace(run.summary(), n_unused=0 if unused is None else len(unused))


def _unused_corrections(annotator: Annotator) -> UnusedCorrections | None:
    if annotator.corrections is None:
        return None
    from spacy_attn.wsd.inventory.corrections import UnusedCorrections, read_corrections

    return UnusedCorrections(read_corrections(Path(annotator.corrections)))


def _note_read(unused: UnusedCorrections | None, chunk: Chunk) -> None:
    """Take out the corrections about the texts of a chunk."""
    if unused is None:
        return
    for record in chunk:
        if isinstance(record, Record):
            unused.read(record.text)


def _finished(chunks: Iterator[Chunk], n: int, output: str | Path) -> Iterator[Chunk]:
    """What an interrupted job finished already, which is read and not annotated again."""
    for _ in range(n):
        chunk = next(chunks, None)
        if chunk is None:
            raise ConfigError(
                f"the manifest of {output} tells of more records than the input has: begin anew "
                "with --overwrite"
            )
        yield chunk


def plan_job(
    inputs: Iterable[str | Path],
    output: str | Path,
    annotator: Annotator,
    options: JobOptions | None = None,
) -> JobPlan:
    """Check a call and try its first records, without writing anything.

    Args:
        inputs: as of :func:`annotate_files`; streams are not read.
        output: as there.
        annotator: as there.
        options: as there.

    Raises:
        ConfigError, InventoryError, ResourceError: as :func:`annotate_files`.
    """
    call = _check_call(inputs, output, annotator, options or JobOptions())
    call.annotator.load()
    chunk = next(call.chunks(), []) if all(source.is_file for source in call.sources) else []
    texts = [record.text for record in chunk if isinstance(record, Record)]
    start = time.perf_counter()
    rows = call.annotator.annotate_rows(texts)
    seconds = time.perf_counter() - start
    n_bytes = sum(len(text.encode("utf-8", "replace")) for text in texts)
    total = total_bytes(call.sources)
    hours = None
    if total is not None and n_bytes and all(s.compression is None for s in call.sources):
        hours = total / n_bytes * seconds / call.n_process / 3600
    return JobPlan(
        sources=call.sources,
        bytes_total=total,
        output=call.paths.name,
        fields=annotator.fields,
        n_sample=len(chunk),
        n_failed=len(_divide(chunk, rows)[1]),
        seconds=seconds,
        hours=hours,
        n_process=call.n_process,
        peak_mb=_peak_mb(),
    )


def _peak_mb() -> float | None:
    """The most memory that this process has taken, where the system tells."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


# -- checks before any work ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Call:
    """A checked call."""

    sources: list[Source]
    paths: OutputPaths
    annotator: Annotator
    options: JobOptions
    make_sink: Callable[[], Sink]

    @property
    def n_process(self) -> int:
        """Processes to start."""
        wanted = self.options.n_process
        return wanted if wanted > 0 else os.cpu_count() or 1

    def chunks(self) -> Iterator[Chunk]:
        """The input, piece by piece; the same pieces whenever it is read."""
        records = (
            record
            for source in self.sources
            for record in read_records(source, self.options, self.annotator.fields)
        )
        first = islice(records, self.options.limit)
        return batches(first, _n_chars, _CHUNK_CHARS, self.options.batch_size)

    def describe(self) -> dict[str, Any]:
        """All that decides the output."""
        names = ("text_key", "encoding", "delimiter", "batch_size", "limit", "max_record_bytes")
        decisive = {name: getattr(self.options, name) for name in names}
        decisive |= {
            "output_format": self.paths.format,
            "compression": self.paths.compression,
            "partition_size": self.paths.partition_size,
        }
        if self.paths.format in DELIMITERS:
            decisive |= {"rows": self.options.rows, "spreadsheet": self.options.spreadsheet}
        return describe_job(self.sources, self.annotator, decisive)


def _check_call(
    inputs: Iterable[str | Path], output: str | Path, annotator: Annotator, options: JobOptions
) -> _Call:
    """Refuse a call that cannot be carried out.

    Raises:
        ConfigError: so it is; nothing was written, and of the inputs no more than a beginning read.
    """
    sources = find_sources(inputs, options.input_format)
    paths = find_output_paths(str(output), options, sources)
    if options.resume and (paths.part is None or not all(s.is_file for s in sources)):
        raise ConfigError(
            "--resume needs files as input and output: a stream cannot be read or written twice"
        )
    check_sources(sources, options, annotator.fields)
    if options.unwrap:
        annotator = replace(annotator, unwrap=True)
    if paths.format == "docbin":
        annotator = replace(annotator, with_doc=True)
    make_sink = _sink_maker(sources, paths, annotator, options)
    return _Call(sources, paths, annotator, options, make_sink)


def _sink_maker(
    sources: list[Source], paths: OutputPaths, annotator: Annotator, options: JobOptions
) -> Callable[[], Sink]:
    """What makes that which writes the format; refuses at once columns that do not fit."""
    match paths.format:
        case "jsonl":
            return partial(JsonlSink, paths.compression)
        case "docbin":
            return DocBinSink
        case "csv" | "tsv":
            csv = CsvSink(
                DELIMITERS[paths.format],
                name_columns(sources, options, annotator.fields),
                annotator.fields,
                by_item=options.rows == "item",
                spreadsheet=options.spreadsheet,
                compression=paths.compression,
            )
            return lambda: csv
        case "parquet":
            columns = declare_columns(sources, options, annotator.fields)
            # The pipeline is loaded to know the width of vectors.
            return lambda: ParquetSink(columns, annotator.added, annotator.vector_width())
        case _:
            assert_never(paths.format)


# -- chunks ----------------------------------------------------------------------------


def _n_chars(record: Record | BadRecord) -> int:
    if isinstance(record, BadRecord):
        return len(record.raw)
    if record.row is not None:
        batch, _ = record.row
        n_bytes = int(bytes_of(batch) // batch.num_rows)
    else:
        n_bytes = len(record.raw or "") + sum(len(v or "") for v in (record.values or {}).values())
    return max(len(record.text), n_bytes // _BYTES_PER_CHAR)


def _annotate(
    chunks: Iterator[Chunk], annotator: Annotator, engine: Engine, interrupts: Interrupts
) -> Generator[tuple[Chunk, Rows], None, None]:
    """Each chunk with the rows of its texts, in order."""
    waiting: deque[tuple[Chunk, Callable[[], Rows]]] = deque()
    done = False
    try:
        most = engine.start(annotator)
        for chunk in chunks:
            texts = [record.text for record in chunk if isinstance(record, Record)]
            waiting.append((chunk, engine.submit(texts)))
            if len(waiting) >= most:
                first, wait = waiting.popleft()
                interrupts.hold()
                yield first, wait()
        for first, wait in waiting:
            interrupts.hold()
            yield first, wait()
        done = True
    finally:
        engine.stop(at_once=not done)


def _divide(chunk: Chunk, rows: Rows) -> tuple[list[tuple[Record, Any]], list[BadRecord]]:
    """The good records of a chunk with what was found, and the bad ones, each in order."""
    good: list[tuple[Record, Any]] = []
    bad: list[BadRecord] = []
    remaining = iter(rows)
    for record in chunk:
        if isinstance(record, BadRecord):
            bad.append(record)
            continue
        row = next(remaining)
        if isinstance(row, TextError):
            bad.append(record.failed(row.reason))
        else:
            good.append((record, row))
    return good, bad

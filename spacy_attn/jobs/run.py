"""The files of one run of a job: locked, begun or taken up, appended to, finished, or left whole.

Every step is such that a kill after it loses nothing: data is on disk before the manifest speaks of
it, and the manifest says what a file is before it gets its name.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from spacy_attn.errors import ConfigError, counted, first_line
from spacy_attn.files import is_replaceable, publish
from spacy_attn.jobs.engines import LostWorkerError
from spacy_attn.jobs.locks import hold
from spacy_attn.jobs.options import JobOptions
from spacy_attn.jobs.outcome import JobError, JobInterrupted, JobProgress, JobSummary
from spacy_attn.jobs.output_paths import OutputPaths, unfinished_name
from spacy_attn.jobs.partfile import PartFile, open_errors, open_part, reopen
from spacy_attn.jobs.records import BadRecord
from spacy_attn.jobs.resume import Made, Manifest, Progress, State, find_lost, is_whole, step_aside
from spacy_attn.jobs.sinks import Item, Sink

logger = logging.getLogger(__name__)


class Run:
    """Files and counts of one run. As a context it holds its locks, and nobody else writes there.

    Args:
        paths: where it writes.
        options: of the job.
        describe: gives what decides the output; called where there is a manifest.
        bytes_total: of the input; None where it is a stream.

    Raises:
        ConfigError: a file cannot be made, another job has it, or what is to be resumed is another
            job.
    """

    sink: Sink

    def __init__(
        self,
        paths: OutputPaths,
        options: JobOptions,
        describe: Callable[[], Mapping[str, Any]],
        bytes_total: int | None,
    ) -> None:
        self._paths, self._options = paths, options
        self._describe, self._bytes_total = describe, bytes_total
        self._state = State(replaces=options.overwrite)
        self._progress = Progress()
        self._out: PartFile | None = None
        self._errors: PartFile | None = None
        self._errors_path = paths.errors
        self._errors_existed = False
        self._manifest: Manifest | None = None
        self._is_closed = self._is_finished = False
        self.is_done = False

    def __enter__(self) -> Run:
        with ExitStack() as locks:
            # First of all: nothing is touched that another job holds.
            self._errors_path = locks.enter_context(hold(self._paths))
            self._begin()
            self._locks = locks.pop_all()
        return self

    def __exit__(self, *args: object) -> None:
        self._locks.close()

    # -- beginning -----------------------------------------------------------------------

    def _begin(self) -> None:
        paths, options = self._paths, self._options
        if options.resume and self._resume():
            return
        if paths.exists() and not self._state.replaces:
            is_folder = paths.partition_size is not None
            shown = f"folder {paths.name} with partitions" if is_folder else paths.name
            raise ConfigError(
                f"output {shown} exists: name another, or replace it with --overwrite"
            )
        part = paths.part
        # A kill between the making of part and manifest leaves an empty part.
        is_left = part is not None and part.exists() and part.stat().st_size > 0
        if is_left and options.resume and self._manifest is None:
            raise ConfigError(
                f"{part} has no manifest beside it, so that it cannot be resumed: "
                "move it away, or replace it with --overwrite"
            )
        is_ours = options.overwrite or options.resume
        self._out = open_part(paths, replace=is_ours)
        try:
            if paths.manifest is not None:
                self._manifest = Manifest(paths.manifest, self._describe())
                self._manifest.start(replaces=options.overwrite and paths.exists())
        except BaseException as error:
            self._out.close()
            if part is not None:
                part.unlink(missing_ok=True)
            if self._manifest is not None:
                self._manifest.remove()
            if isinstance(error, OSError):
                raise ConfigError(
                    f"{error.filename or paths.manifest} cannot be read or written "
                    f"({error.strerror or error}): see that it can, with ls -l"
                ) from None
            raise

    def _resume(self) -> bool:
        """Take up an interrupted job; False where there is none, or nothing of it is left."""
        paths = self._paths
        if paths.manifest is None or paths.part is None or not paths.manifest.is_file():
            return False
        manifest = Manifest(paths.manifest, self._describe())
        state = manifest.resume()
        if state is None:
            return False
        self._manifest, self._state = manifest, state
        try:
            lost = find_lost(paths, state, self._errors_path)
            if lost is not None:
                manifest.close()
                logger.warning("%s since the job wrote it: the job begins anew", lost)
                step_aside(paths, state, self._errors_path)
                manifest.remove()
                self._state = State(replaces=state.replaces)
                return False
            self._progress = state.progress
            if state.progress.finished and is_whole(paths, state):
                paths.part.unlink(missing_ok=True)
                manifest.close()
                self.is_done = True
                return True
            self._refuse_other_output()
            progress = state.progress
            self._out = reopen(paths.part, progress.part, progress.part_sha256)
            if progress.errors:
                self._errors_existed = True
                self._errors = reopen(self._errors_path, progress.errors, progress.errors_sha256)
        except BaseException:
            manifest.close()
            raise
        return True

    def _refuse_other_output(self) -> None:
        """Say at once what would be said at the end."""
        paths = self._paths
        if paths.partition_size is not None or paths.output is None:
            return
        if paths.output.exists() and not self._may_replace(paths.output):
            raise ConfigError(
                f"output {paths.name} was made by another since this job began: move it away, or "
                "begin anew with --overwrite"
            )

    # -- at work -------------------------------------------------------------------------

    @property
    def n_chunks(self) -> int:
        """Chunks that are safe."""
        return self._progress.n_chunks

    def write(self, good: list[Item], bad: list[BadRecord], *, n_bytes: int) -> None:
        """Append a chunk, all of it or nothing.

        Args:
            good: its records and what was found in them.
            bad: the others.
            n_bytes: input bytes of all of them.

        Raises:
            OSError: it cannot be written.
        """
        data, good, refused = self._encode(good)
        bad = [*bad, *refused]
        self._write_errors(bad)
        out = self._open()
        out.write(data)
        out.commit(sync=self._manifest is not None)
        now = self._progress
        self._note(
            n_chunks=now.n_chunks + 1,
            n_in=now.n_in + len(good) + len(bad),
            n_out=now.n_out + len(good),
            n_failed=now.n_failed + len(bad),
            bytes_read=now.bytes_read + n_bytes,
            pending=now.pending + len(good),
        )
        self.end_full_partition()

    def end_full_partition(self) -> None:
        """Make a file of the partitioned output, if there are enough records for one.

        Raises:
            JobError: another has made a file of its name.
            OSError: it cannot be written.
        """
        size = self._paths.partition_size
        if size is not None and self._progress.pending >= size:
            self._end_partition()

    def _open(self) -> PartFile:
        if self._out is None:
            raise RuntimeError("the job has not begun")
        return self._out

    def _encode(self, items: list[Item]) -> tuple[bytes, list[Item], list[BadRecord]]:
        """The bytes of a chunk, its items, and those that cannot be written in this format."""
        try:
            return self.sink.encode(items), items, []
        except (OSError, MemoryError):
            raise
        except Exception:  # one by one shows whose it is
            good: list[Item] = []
            refused: list[BadRecord] = []
            for record, row in items:
                try:
                    self.sink.encode([(record, row)])
                except (OSError, MemoryError):
                    raise
                except Exception as error:
                    reason = first_line(error)
                    shown = f"the record cannot be written as {self._paths.format}: {reason}"
                    refused.append(record.failed(shown))
                else:
                    good.append((record, row))
            return self.sink.encode(good), good, refused

    def _write_errors(self, bad: Sequence[BadRecord]) -> None:
        if bad and self._errors is None:
            self._errors_existed = os.path.lexists(self._errors_path)
            self._errors = open_errors(self._errors_path)
        if self._errors is not None:
            self._errors.write("".join(f"{each.to_json()}\n" for each in bad).encode())
            self._errors.commit(sync=True)

    def _note(self, **changes: Any) -> None:
        """From here on a kill goes back to this moment."""
        out, errors = self._open(), self._errors
        self._progress = replace(
            self._progress,
            part=out.committed,
            part_sha256=out.sha256,
            errors=0 if errors is None else errors.committed,
            errors_sha256="" if errors is None else errors.sha256,
            **changes,
        )
        if self._manifest is not None:
            self._manifest.note(self._progress)

    def check_errors(self) -> None:
        """Stop where too many records failed.

        Raises:
            JobError: so it is.
        """
        n_failed, most = self._progress.n_failed, self._options.max_errors
        if most is not None and n_failed > most:
            raise self._stop_with(
                f"{counted(n_failed, 'record')} failed, more than --max-errors {most}: "
                f"see {self._errors_path}"
            )

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Whatever ends the job, what it finished is kept and said.

        Raises:
            JobError, JobInterrupted: see :func:`annotate_files`.
        """
        try:
            if self._errors is None:
                self._clear_errors()
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

    def _clear_errors(self) -> None:
        """An error file of an earlier run says nothing about this one."""
        path = self._errors_path
        if not path.is_file():
            return
        if self._paths.errors_named or path.is_symlink():
            open_errors(path).close()
        else:
            path.unlink()

    # -- the end -------------------------------------------------------------------------

    def finish(self) -> None:
        """Give the output its name.

        Raises:
            JobError: what was written is gone, or the output belongs to somebody else by now.
            OSError: it cannot be written.
        """
        paths = self._paths
        if paths.part is not None and not self._open().is_at(paths.part):
            raise self._stop_with(f"{paths.part} was removed or replaced while the job ran")
        if paths.partition_size is not None and (
            self._progress.pending or not self._progress.partitions
        ):
            self._end_partition()
        if not self._progress.finished:
            self._note(finished=True)
        if paths.part is not None and paths.output is not None:
            if paths.partition_size is None:
                self._make(paths.output)
            else:
                self._check_partitions()
            paths.part.unlink(missing_ok=True)
        self._close()
        if self._manifest is not None and not self._options.resume:
            self._manifest.remove()
        self._is_finished = True

    def _end_partition(self) -> None:
        """Turn a full part into a file of the partitioned output."""
        paths, number = self._paths, self._progress.partitions
        if paths.output is not None:
            paths.output.mkdir(exist_ok=True)
        self._make(paths.partition(number))
        out = self._open()
        # The part is empty from here on, even if cutting it is not reached.
        self._progress = replace(
            self._progress, pending=0, partitions=number + 1, part=0, part_sha256=PartFile.EMPTY
        )
        if self._manifest is not None:
            self._manifest.note(self._progress)
        out.empty()

    def _make(self, path: Path) -> None:
        """Make a whole file of the part, and give it its name."""
        part = self._paths.part
        if part is None:
            return
        out = self._open()
        if not Made(out.committed, out.sha256).fits(part):
            raise self._stop_with(f"{part} was changed while the job ran")
        may_replace = self._may_replace(path)
        is_renamed = self.sink.is_plain and self._paths.partition_size is None
        unfinished = part
        if not is_renamed:
            unfinished = unfinished_name(path)
            unfinished.unlink(missing_ok=True)  # after a kill it may be another name of path
            with open(unfinished, "wb") as file:
                self.sink.convert(part, file)
            with open(unfinished, "rb+") as file:
                os.fsync(file.fileno())
        made = Made(out.committed, out.sha256) if is_renamed else Made.of(unfinished)
        self._state.made[path.name] = made
        if self._manifest is not None:
            self._manifest.note_made(path.name, made)
        try:
            publish(unfinished, path, replace=may_replace)
        except FileExistsError:
            if not is_renamed:
                unfinished.unlink()
            raise self._stop_with(
                f"{path} was made by another while this job ran: move it away"
            ) from None

    def _may_replace(self, path: Path) -> bool:
        """Whether a file of this name is the job's own, or was to be replaced."""
        if not os.path.lexists(path) or not is_replaceable(path):
            return False
        if self._state.replaces:
            return True
        made = self._state.made.get(path.name)
        return made is not None and made.fits(path)

    def _check_partitions(self) -> None:
        """See that all are still there; those of an output that was replaced go."""
        paths = self._paths
        wanted = {paths.partition(number) for number in range(self._progress.partitions)}
        for path in sorted(wanted):
            if not path.is_file() or path.stat().st_size != self._state.made[path.name].size:
                raise self._stop_with(f"{path} was removed or changed while the job ran")
        if self._state.replaces:
            for path in set(paths.partitions()) - wanted:
                path.unlink()

    def _stop_with(self, reason: str) -> JobError:
        summary = self._stop()
        kept = f", kept in {summary.part}: go on with --resume" if summary.part is not None else ""
        finished = f"finished before: {counted(summary.n_out, 'record')}"
        return JobError(f"{reason}; {finished}{kept}", summary)

    def _stop(self) -> JobSummary:
        """Keep whole chunks only; a job that finished none leaves nothing."""
        if not self._is_closed:
            for file in self._files():
                with suppress(OSError):
                    file.roll_back()
        part, out = self._paths.part, self._out
        is_ours = part is not None and out is not None and not self._is_closed and out.is_at(part)
        if not self._is_closed:
            with suppress(OSError):
                self._close()
        if part is not None and is_ours and self._progress.n_in == 0 and not self._is_finished:
            part.unlink(missing_ok=True)
            if self._manifest is not None:
                self._manifest.remove()
        if self._progress.n_failed == 0 and self._errors is not None and not self._errors_existed:
            self._errors_path.unlink(missing_ok=True)
        return self.summary()

    def _files(self) -> list[PartFile]:
        return [file for file in (self._out, self._errors) if file is not None]

    def _close(self) -> None:
        self._is_closed = True
        if self._manifest is not None:
            self._manifest.close()
        for file in self._files():
            file.close()

    def progress(self) -> JobProgress:
        """How far it is."""
        now = self._progress
        return JobProgress(now.n_in, now.n_failed, now.bytes_read, self._bytes_total)

    def summary(self) -> JobSummary:
        """What it did."""
        part = self._paths.part
        return JobSummary(
            n_in=self._progress.n_in,
            n_out=self._progress.n_out,
            n_failed=self._progress.n_failed,
            output=self._paths.name,
            errors=self._errors_path if self._progress.n_failed else None,
            part=part if part is not None and part.exists() else None,
        )

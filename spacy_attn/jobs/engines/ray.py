"""Ray: the annotator as an actor, that makes its pipeline once and annotates Arrow tables.

Two ways to use a cluster:

* *Ray Data* (:func:`annotate_dataset`, :func:`annotate_with_ray`): Ray reads, schedules, retries
  and writes a folder, on all nodes at once, also ``s3://`` and the like; ``map_batches`` with a
  pool of actors. The blocks that come out have the schema of ``Annotator.output_schema``.
* *A job's workers* (:class:`RayWorkers`): this process reads and writes, in order, with all that
  :func:`spacy_attn.jobs.annotate_files` has (every format, bad records, resuming); the actors
  annotate. Reading and writing are a hundredth of the work, so that one process feeds many.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spacy_attn.errors import ConfigError, allowed_names, explain_missing_package
from spacy_attn.jobs.annotator import Annotator
from spacy_attn.jobs.engines import LostWorkerError, Rows
from spacy_attn.jobs.fields import ERROR_FIELD

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

_BATCH_ROWS: Final = 1024
_READERS: Final = {
    ".parquet": "read_parquet",
    ".jsonl": "read_json",
    ".csv": "read_csv",
    ".txt": "read_text",
}
_WRITERS: Final = {"parquet": "write_parquet", "jsonl": "write_json"}
_RETRIES: Final = 3  # of a chunk whose actor died; Ray starts another one
_CHUNKS_PER_ACTOR: Final = 2  # one at work, one waiting


class RayAnnotator:
    """A callable for ``map_batches(RayAnnotator, fn_constructor_args=(annotator,), ...)``.

    Args:
        annotator: its settings travel to the actor, its pipeline is loaded there.
        text_column: column of the texts.
    """

    def __init__(self, annotator: Annotator, text_column: str = "text") -> None:
        self._annotator = annotator
        self._text_column = text_column
        _load(annotator)

    def __call__(self, table: pa.Table) -> pa.Table:
        """The table with the fields and ``error``."""
        return self._annotator.annotate_table(table, self._text_column)


def _load(annotator: Annotator) -> None:
    import torch

    # An actor has so many cores as it was given; torch would take all of the machine.
    torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", "1"))))
    annotator.load()


class _Actor:
    """Loads in a call of its own: what fails while an actor is made, Ray tells as words only."""

    def __init__(self, annotator: Annotator) -> None:
        self._annotator = annotator

    def load(self) -> None:
        _load(self._annotator)

    def annotate(self, texts: list[str]) -> Rows:
        self.load()  # again where Ray made this actor anew
        return self._annotator.annotate_rows(texts)


class RayWorkers:
    """Actors on a Ray cluster that annotate the chunks of a job, each on one core.

    ``annotate_files(..., engine=RayWorkers(8, "auto"))``. An actor that dies is started again and
    does its chunk once more; a chunk that kills its actor each time ends the job.

    Args:
        n_actors: how many, or -1 for one per core of the cluster.
        address: of an existing cluster, such as "auto" or "ray://host:10001"; None starts Ray
            in this machine, on loopback (unless Ray was imported before).

    Raises:
        ConfigError: n_actors is neither.
    """

    def __init__(self, n_actors: int = 1, address: str | None = None) -> None:
        _check_actors(n_actors)
        self._n_actors, self._address = n_actors, address
        self._started_ray = False
        self._actors: list[Any] = []
        self._coming: dict[Any, int] = {}  # actors that still wait for a core, or load
        self._at_work: dict[Any, int] = {}  # chunks under way, and which actor has them

    def start(self, annotator: Annotator) -> int:
        """Start or join Ray, and the actors; how many chunks keep them busy.

        Raises:
            ConfigError: there is no cluster at the address.
            ResourceError: Ray is not installed.
        """
        self._started_ray = _start_ray(self._address, self._n_actors)
        import ray

        n_actors = _count_actors(self._n_actors)
        actor = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=_RETRIES)(_Actor)
        self._actors = [actor.remote(annotator) for _ in range(n_actors)]
        self._coming = {each.load.remote(): i for i, each in enumerate(self._actors)}
        return _CHUNKS_PER_ACTOR * n_actors

    def submit(self, texts: list[str]) -> Callable[[], Rows]:
        """Begin a chunk with the actor that has least to do, of those that are there."""
        import ray

        with _translated():
            self._await_one()
        for reference in _done(self._at_work):
            del self._at_work[reference]
        ready = set(range(len(self._actors))) - set(self._coming.values())
        loads = Counter({i: 0 for i in ready})
        loads.update(self._at_work.values())
        chosen = min(sorted(ready), key=loads.__getitem__)
        reference = self._actors[chosen].annotate.remote(texts)
        self._at_work[reference] = chosen

        def wait() -> Rows:
            with _translated():
                rows: Rows = ray.get(reference)
                return rows

        return wait

    def _await_one(self) -> None:
        """Take in actors that are there by now; wait for the first, the cluster may be full."""
        import ray

        if len(self._coming) == len(self._actors):
            ray.wait(list(self._coming), num_returns=1)
        for reference in _done(self._coming):
            ray.get(reference)  # raises where its pipeline cannot be loaded
            del self._coming[reference]

    def stop(self, *, at_once: bool) -> None:
        """End the actors, and Ray where it was started here."""
        if not self._actors:
            return
        import ray

        for actor in self._actors:
            ray.kill(actor)
        self._actors, self._coming, self._at_work = [], {}, {}
        if self._started_ray:
            ray.shutdown()


def _done(references: dict[Any, int]) -> list[Any]:
    """Those that need not be waited for any more."""
    import ray

    if not references:
        return []
    given = list(references)
    done, _ = ray.wait(given, num_returns=len(given), timeout=0, fetch_local=False)
    return list(done)


@contextmanager
def _translated() -> Iterator[None]:
    """The annotator's own errors as they were; a lost actor as one of the job's."""
    import ray.exceptions

    try:
        yield
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise LostWorkerError(f"a Ray actor died ({type(error).__name__})") from error


@dataclass(frozen=True, slots=True)
class RaySummary:
    """What a job on Ray did."""

    n_in: int
    n_failed: int
    output: str


def annotate_dataset(
    dataset: Any, annotator: Annotator, *, text_column: str = "text", n_actors: int = 1
) -> Any:
    """A Ray Dataset with the fields added, computed by a pool of actors when it is read.

    Args:
        dataset: a ``ray.data.Dataset`` with a column of texts.
        annotator: finds the fields.
        text_column: column of the texts.
        n_actors: processes; each takes one core and its own copy of the pipeline. -1 for one
            per core of the cluster.

    Raises:
        ConfigError: n_actors is neither.
        ResourceError: Ray is not installed.
    """
    _check_actors(n_actors)
    with explain_missing_package("Ray (pip install 'spacy-attn[ray]')"):
        import ray.data
    n_actors = _count_actors(n_actors)
    return dataset.map_batches(
        RayAnnotator,
        fn_constructor_args=(annotator, text_column),
        batch_format="pyarrow",
        batch_size=_BATCH_ROWS,
        num_cpus=1,
        # It grows as cores come free: a pool that holds them all from the start leaves none for
        # the tasks that read, and waits for ever.
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=n_actors),
    )


def annotate_with_ray(
    inputs: Sequence[str],
    output: str,
    annotator: Annotator,
    *,
    text_key: str = "text",
    n_actors: int = 1,
    address: str | None = None,
    output_format: str = "parquet",
    limit: int | None = None,
) -> RaySummary:
    """Read files with Ray Data, annotate them and write a folder of files.

    Rows whose text failed are kept: their fields are null and ``error`` says why. What Ray's own
    reader cannot read, such as a broken line of JSON, ends the job.

    Args:
        inputs: files or folders of one format (.parquet, .jsonl, .csv, .txt), local or with a
            scheme that Ray knows, such as ``s3://``.
        output: folder to make.
        annotator: finds the fields.
        text_key: column of the texts.
        n_actors: processes, or -1 for one per core of the cluster.
        address: of an existing cluster, such as "auto" or "ray://host:10001"; None starts Ray
            in this machine, on loopback.
        output_format: "parquet" or "jsonl".
        limit: annotate only so many rows.

    Raises:
        ConfigError: the inputs are of several formats or of one that is not allowed here.
        ResourceError: Ray is not installed.
    """
    _check_actors(n_actors)
    if output_format not in _WRITERS:
        raise ConfigError(
            f"output_format / --output-format is {output_format}: with Ray "
            f"{allowed_names(output_format, _WRITERS)}"
        )
    if limit is not None and limit < 1:
        raise ConfigError(f"limit / --limit is {limit}: with Ray allowed are 1 and more")
    if os.path.exists(output) and (os.path.isfile(output) or os.listdir(output)):
        raise ConfigError(f"output folder {output} is not empty: name another")
    reader = _find_reader(inputs)
    started = _start_ray(address, n_actors)
    import ray
    import ray.data

    try:
        dataset = getattr(ray.data, reader)([str(name) for name in inputs], **_settings(reader))
        if limit is not None:
            dataset = dataset.limit(limit)
        annotated = annotate_dataset(dataset, annotator, text_column=text_key, n_actors=n_actors)
        # As a stream: what is written is nowhere whole in memory, so it is counted afterwards.
        getattr(annotated, _WRITERS[output_format])(output)
        return RaySummary(*_count_rows(output, output_format), output)
    finally:
        if started:
            ray.shutdown()


def _start_ray(address: str | None, n_actors: int) -> bool:
    """Whether Ray had to be started or joined; where this process has done so, it is used.

    Raises:
        ConfigError: there is no cluster at the address.
        ResourceError: Ray is not installed.
    """
    address = address or os.environ.get("RAY_ADDRESS") or None
    if address is None:
        # Ray reads these when it is imported: it then listens on loopback alone, and tells
        # nobody that it is used.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with explain_missing_package("--engine ray (pip install 'spacy-attn[ray]')"):
        import ray
        import ray.data
    if ray.is_initialized():
        return False
    # One core more than actors, for reading and writing.
    here = {"include_dashboard": False, "num_cpus": max(os.cpu_count() or 1, n_actors + 1)}
    try:
        ray.init(log_to_driver=False, **(here if address is None else {"address": address}))
    except (ConnectionError, ValueError) as error:
        reason = (str(error).strip().splitlines() or ["no answer"])[0]
        raise ConfigError(
            f"no Ray cluster at --address {address} ({reason}): start one with ray start --head"
        ) from error
    return True


def _check_actors(n_actors: int) -> None:
    if n_actors < 1 and n_actors != -1:
        raise ConfigError(f"n_actors = {n_actors}: allowed are 1 and more, or -1 for all cores")


def _count_actors(n_actors: int) -> int:
    """-1 is all cores of the cluster; Ray runs."""
    import ray

    return n_actors if n_actors > 0 else max(1, int(ray.cluster_resources().get("CPU", 1)))


def _settings(reader: str) -> dict[str, Any]:
    """So that records are carried through as they are."""
    if reader == "read_json":
        return {"file_extensions": None}
    if reader == "read_text":
        return {"drop_empty_lines": False}  # line n of the output is line n of the input
    if reader == "read_csv":
        import pyarrow as pa
        import pyarrow.csv as csv

        text = csv.ConvertOptions(default_column_type=pa.string(), strings_can_be_null=False)
        return {"convert_options": text}  # "007" stays
    return {}


def _count_rows(output: str, output_format: str) -> tuple[int, int]:
    """Rows, and how many of them failed."""
    import ray.data

    if output_format == "parquet":
        written = ray.data.read_parquet(output, columns=[ERROR_FIELD])
        counts = written.map_batches(_count_failed, batch_format="pyarrow")
    else:
        counts = ray.data.read_text(output).map_batches(_count_failed_lines, batch_format="pyarrow")
    total = counts.sum(["n", "n_failed"]) or {}
    return int(total.get("sum(n)") or 0), int(total.get("sum(n_failed)") or 0)


def _count_failed(table: pa.Table) -> pa.Table:
    import pyarrow as pa

    column = table.column(ERROR_FIELD)
    return pa.table({"n": [len(column)], "n_failed": [len(column) - column.null_count]})


def _count_failed_lines(table: pa.Table) -> pa.Table:
    import json

    import pyarrow as pa

    lines = [json.loads(line) for line in table.column("text").to_pylist()]
    failed = sum(line.get(ERROR_FIELD) is not None for line in lines)
    return pa.table({"n": [len(lines)], "n_failed": [failed]})


def _find_reader(inputs: Sequence[str]) -> str:
    from spacy_attn.jobs.sources import SUFFIXES

    found = set()
    for item in inputs:
        names = [item]
        if os.path.isdir(item):
            names = [name for name in os.listdir(item) if name[0] not in "._"]
        for name in names:
            root, suffix = os.path.splitext(str(name).lower())
            if suffix == ".gz":
                suffix = os.path.splitext(root)[1]
            found.add(".jsonl" if SUFFIXES.get(suffix) == "jsonl" else suffix)
    if len(found) != 1 or not found <= _READERS.keys():
        shown = ", ".join(sorted(found)) or "nothing"
        raise ConfigError(
            f"--engine ray reads files of one format among {', '.join(_READERS)} into a folder, "
            f"not {shown}: name a file as output, such as OUT.jsonl, which takes every format"
        )
    return _READERS[found.pop()]

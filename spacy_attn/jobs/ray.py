"""Ray Data: the annotator as an actor, for ``Dataset.map_batches``.

Each actor makes its pipeline once and annotates Arrow blocks; Ray reads, schedules, retries and
writes. The block that comes out has the declared schema of ``Annotator.output_schema``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spacy_attn.errors import ConfigError, explain_missing_package
from spacy_attn.jobs.annotator import Annotator
from spacy_attn.jobs.fields import ERROR_FIELD

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

__all__ = ["RayAnnotator", "RaySummary", "annotate_dataset", "annotate_with_ray"]

_BATCH_ROWS: Final = 1024
_READERS: Final = {".parquet": "read_parquet", ".jsonl": "read_json", ".csv": "read_csv",
                   ".txt": "read_text"}  # fmt: skip
_WRITERS: Final = {"parquet": "write_parquet", "jsonl": "write_json"}


class RayAnnotator:
    """A callable for ``map_batches(RayAnnotator, fn_constructor_args=(annotator,), ...)``.

    Args:
        annotator: its settings travel to the actor, its pipeline is loaded there.
        text_column: column of the texts.
    """

    def __init__(self, annotator: Annotator, text_column: str = "text") -> None:
        import torch

        # An actor has so many cores as it was given; torch would take all of the machine.
        torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", "1"))))
        self._annotator = annotator
        self._text_column = text_column
        annotator.load()

    def __call__(self, table: pa.Table) -> pa.Table:
        """The table with the fields and ``error``."""
        return self._annotator.annotate_table(table, self._text_column)


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
        n_actors: processes; each takes one core and its own copy of the pipeline.

    Raises:
        ConfigError: n_actors is below 1.
        ResourceError: Ray is not installed.
    """
    if n_actors < 1:
        raise ConfigError(f"n_actors = {n_actors}: legal are 1 and more")
    with explain_missing_package("Ray (pip install 'spacy-attn[ray]')"):
        import ray.data
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
) -> RaySummary:
    """Read files with Ray Data, annotate them and write a folder of files.

    Rows that failed are kept: their fields are null and ``error`` says why.

    Args:
        inputs: files or folders of one format (.parquet, .jsonl, .csv, .txt), local or with a
            scheme that Ray knows, such as ``s3://``.
        output: folder to make.
        annotator: finds the fields.
        text_key: column of the texts.
        n_actors: processes.
        address: of an existing cluster, such as "auto" or "ray://host:10001"; None starts Ray
            in this machine, on loopback.
        output_format: "parquet" or "jsonl".

    Raises:
        ConfigError: the inputs are of several formats or of one that is not legal here.
        ResourceError: Ray is not installed.
    """
    with explain_missing_package("--engine ray (pip install 'spacy-attn[ray]')"):
        import ray
        import ray.data
    if output_format not in _WRITERS:
        raise ConfigError(f"--output-format {output_format}: with Ray legal are parquet and jsonl")
    if os.path.exists(output) and os.listdir(output):
        raise ConfigError(f"output folder {output} is not empty: name another")
    read = getattr(ray.data, _find_reader(inputs))
    # Where Ray runs already, this joins it.
    if not ray.is_initialized():
        local = {
            "include_dashboard": False,
            "_node_ip_address": "127.0.0.1",
            "num_cpus": max(os.cpu_count() or 1, n_actors + 1),  # one for reading and writing
        }
        options = {"address": address} if address is not None else local
        ray.init(log_to_driver=False, **options)
    kinds = {"file_extensions": None} if read is ray.data.read_json else {}
    dataset = read([str(name) for name in inputs], **kinds)
    annotated = annotate_dataset(dataset, annotator, text_column=text_key, n_actors=n_actors)
    annotated = annotated.materialize()  # once: written and counted
    getattr(annotated, _WRITERS[output_format])(output)
    failed = annotated.map_batches(_count_failed, batch_format="pyarrow").sum("n_failed")
    return RaySummary(annotated.count(), int(failed or 0), output)


def _count_failed(table: pa.Table) -> pa.Table:
    import pyarrow as pa

    column = table.column(ERROR_FIELD)
    return pa.table({"n_failed": [len(column) - column.null_count]})


def _find_reader(inputs: Sequence[str]) -> str:
    from spacy_attn.jobs.records import SUFFIXES

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
            f"--engine ray reads files of one format among {', '.join(_READERS)}, not {shown}: "
            "convert them first, or leave --engine out"
        )
    return _READERS[found.pop()]

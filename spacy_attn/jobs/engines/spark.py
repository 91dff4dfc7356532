"""Spark: the annotator for ``DataFrame.mapInArrow``.

Spark hands each worker an iterator of Arrow batches; the pipeline is loaded once in each worker
and kept for its later tasks. Rows that failed stay, with null fields and the reason in ``error``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from spacy_attn.errors import explain_missing_package
from spacy_attn.jobs.annotator import Annotator

if TYPE_CHECKING:
    import pyarrow as pa

_loaded: dict[Annotator, Annotator] = {}  # of this worker: one for each setting


def annotate_dataframe(frame: Any, annotator: Annotator, *, text_column: str = "text") -> Any:
    """A Spark DataFrame with the fields and ``error`` added, computed when it is read.

    Args:
        frame: a ``pyspark.sql.DataFrame`` with a column of texts.
        annotator: finds the fields; its settings travel to the workers, which need spacy_attn
            and its models installed. Spark starts them with the Python of ``PYSPARK_PYTHON``.
        text_column: column of the texts.

    Raises:
        ConfigError: a column has a name that would be added.
        ResourceError: PySpark is not installed.
    """
    with explain_missing_package("Spark (pip install 'spacy-attn[spark]')"):
        from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
    schema = annotator.output_schema(to_arrow_schema(frame.schema))
    return frame.mapInArrow(map_in_arrow(annotator, text_column), from_arrow_schema(schema))


def map_in_arrow(
    annotator: Annotator, text_column: str = "text"
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function that ``mapInArrow`` takes."""

    def annotate_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        loaded = _take_loaded(annotator)
        for batch in batches:
            table = loaded.annotate_table(pa.Table.from_batches([batch]), text_column)
            yield from table.combine_chunks().to_batches()

    return annotate_batches


def _take_loaded(annotator: Annotator) -> Annotator:
    """The annotator of this worker with these settings, its pipeline loaded once."""
    if annotator not in _loaded:
        import torch

        torch.set_num_threads(1)  # Spark runs one worker for each core
        _loaded[annotator] = annotator
    return _loaded[annotator]

"""Users of pandas: a frame in, the same frame with a column more for each field out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spacy_attn.errors import ConfigError, explain_missing_package
from spacy_attn.jobs.annotator import Annotator
from spacy_attn.jobs.fields import ERROR_FIELD, parse_fields

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["annotate_frame"]


def annotate_frame(
    frame: pd.DataFrame,
    annotator: Annotator | None = None,
    *,
    text_column: str = "text",
    fields: str | Sequence[str] | None = None,
    **settings: Any,
) -> pd.DataFrame:
    """A copy of the frame with a column for each field, and ``error``.

    Keep the annotator and pass it again where there are several frames: it holds the loaded
    pipeline.

    Args:
        frame: any frame; its index and columns are kept.
        annotator: finds the fields.
        text_column: the column with the texts; a missing value is an error of its row.
        fields: what to add, comma between, in place of an annotator's.
        settings: of :class:`Annotator`, where none is given: pipeline, inventory, method.

    *Shape:* as many rows as the frame, in their order

    Raises:
        ConfigError: there is no such column, or one of a name that is added.
        ResourceError: a model, pandas or pyarrow is missing.
    """
    with explain_missing_package("annotate_frame"):
        import pandas as pd
        import pyarrow as pa
    if annotator is None:
        annotator = Annotator(fields=parse_fields(fields or "senses"), **settings)
    elif fields is not None or settings:
        raise ConfigError("annotate_frame takes an annotator or its settings, not both")
    if list(frame.columns).count(text_column) != 1:
        shown = ", ".join(map(str, frame.columns[:20])) or "none"
        raise ConfigError(f"no single column {text_column!r} (columns: {shown}); name another")
    for name in (*annotator.added, ERROR_FIELD):
        if name in frame.columns:
            raise ConfigError(f"the frame has a column {name!r} already: rename or drop it first")
    # Only the texts go through Arrow: whatever the other columns hold stays as it is.
    texts = [None if _is_missing(text) else text for text in frame[text_column]]
    table = annotator.annotate_table(pa.table({"text": pa.array(texts, pa.large_string())}))
    added = pd.DataFrame(
        {name: table.column(name).to_pylist() for name in (*annotator.added, ERROR_FIELD)},
        index=frame.index,
        dtype=object,
    )
    return pd.concat([frame, added], axis=1)


def _is_missing(text: object) -> bool:
    return text is None or bool(text != text) or type(text).__name__ in ("NAType", "NaTType")

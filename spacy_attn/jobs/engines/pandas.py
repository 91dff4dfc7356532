"""Users of pandas: a frame in, the same frame with a column more for each field out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spacy_attn.errors import ConfigError, explain_missing_package
from spacy_attn.jobs.annotator import Annotator, TextError
from spacy_attn.jobs.fields import ERROR_FIELD, parse_fields
from spacy_attn.jobs.sinks import to_lists

if TYPE_CHECKING:
    import pandas as pd


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
        settings: of :class:`Annotator`, where none is given: pipeline, inventory, method,
            threshold, backoff and the others.

    *Shape:* as many rows as the frame, in their order

    Raises:
        ConfigError: there is no such column, or one of a name that is added.
        ResourceError: a model or pandas is missing.
    """
    with explain_missing_package("annotate_frame"):
        import pandas as pd
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
    # Whatever the other columns hold stays as it is.
    is_scalar, is_missing = pd.api.types.is_scalar, pd.isna
    texts = [None if is_scalar(text) and is_missing(text) else text for text in frame[text_column]]
    rows = annotator.annotate_rows(texts)
    added: dict[str, list[Any]] = {
        name: [None if isinstance(row, TextError) else to_lists(row[name]) for row in rows]
        for name in annotator.added
    }
    added[ERROR_FIELD] = [row.reason if isinstance(row, TextError) else None for row in rows]
    return pd.concat([frame, pd.DataFrame(added, index=frame.index, dtype=object)], axis=1)

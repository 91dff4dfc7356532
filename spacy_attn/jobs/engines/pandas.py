"""Users of pandas: a frame in, a frame out, with a column for each field or a row a sense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from spacy_attn.errors import ConfigError, explain_missing_package
from spacy_attn.jobs.annotator import Annotator
from spacy_attn.jobs.fields import ERROR_FIELD, Row, TextError, parse_fields
from spacy_attn.jobs.sinks import to_lists

if TYPE_CHECKING:
    import pandas as pd

_DETAILS: Final = "sense_details"


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
    rows = _rows(frame, annotator, text_column, annotator.added)
    added: dict[str, list[Any]] = {
        name: [None if isinstance(row, TextError) else to_lists(row[name]) for row in rows]
        for name in annotator.added
    }
    added[ERROR_FIELD] = [row.reason if isinstance(row, TextError) else None for row in rows]
    return pd.concat([frame, pd.DataFrame(added, index=frame.index, dtype=object)], axis=1)


def senses_frame(
    frame: pd.DataFrame,
    annotator: Annotator | None = None,
    *,
    text_column: str = "text",
    **settings: Any,
) -> pd.DataFrame:
    """A row for each sense that was found, with the columns of its text.

    Added are ``start``, ``end``, ``word``, ``lemma``, ``sense``, ``score``, ``definition`` and
    ``error``. A text without senses has no row; one that failed has a row with its error.

    Args:
        frame: any frame; its columns and its index are repeated for each sense.
        annotator: with the field ``sense_details``.
        text_column: the column with the texts.
        settings: of :class:`Annotator`, where none is given.

    Raises:
        ConfigError: there is no such column, one of a name that is added, or the annotator has no
            details.
        ResourceError: a model or pandas is missing.
    """
    with explain_missing_package("senses_frame"):
        import pandas as pd
    if annotator is None:
        annotator = Annotator(fields=(_DETAILS,), **settings)
    elif settings or _DETAILS not in annotator.fields:
        raise ConfigError(
            f"senses_frame takes settings, or an annotator with the field {_DETAILS}, such as "
            f"Annotator(fields=({_DETAILS!r},))"
        )
    kinds = {"start": "Int64", "end": "Int64", "word": object, "lemma": object, "sense": object,
             "score": float, "definition": object, ERROR_FIELD: object}  # fmt: skip
    owners: list[int] = []
    found: list[dict[str, Any]] = []
    for i, row in enumerate(_rows(frame, annotator, text_column, tuple(kinds))):
        if isinstance(row, TextError):
            records: list[dict[str, Any]] = [{ERROR_FIELD: row.reason}]
        else:
            records = [{**each, "word": each["text"]} for each in row[_DETAILS]]
        owners += [i] * len(records)
        found += [{name: each.get(name) for name in kinds} for each in records]
    texts = frame.iloc[owners]
    columns = {name: [each[name] for each in found] for name in kinds}
    added = pd.DataFrame(columns, index=texts.index).astype(kinds)
    return pd.concat([texts, added], axis=1)


def _rows(
    frame: pd.DataFrame, annotator: Annotator, text_column: str, added: Sequence[str]
) -> list[Row | TextError]:
    """What was found in each text of a frame; whatever the other columns hold stays as it is."""
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise ConfigError(
            f"the texts are of type {type(frame).__name__}: allowed is a DataFrame with a column "
            f"{text_column!r}, such as pd.DataFrame({{{text_column!r}: texts}})"
        )
    if list(frame.columns).count(text_column) != 1:
        shown = ", ".join(map(str, frame.columns[:20])) or "none"
        raise ConfigError(f"no single column {text_column!r} (columns: {shown}); name another")
    for name in (*added, ERROR_FIELD):
        if name in frame.columns:
            raise ConfigError(f"the frame has a column {name!r} already: rename or drop it first")
    is_scalar, is_missing = pd.api.types.is_scalar, pd.isna
    texts = [None if is_scalar(text) and is_missing(text) else text for text in frame[text_column]]
    return annotator.annotate_rows(texts)

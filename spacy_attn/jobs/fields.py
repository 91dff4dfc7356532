"""What a job can write for each text: its names, Arrow types, and how it is read from a Doc.

Everything but vectors is a list of small records with character offsets into the text as given
(end exclusive), so that a reader needs no tokens. Values are plain data: they outlive the memory
zone in which the Doc was made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from spacy_attn.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa
    from spacy.tokens import Doc, Span

    from spacy_attn._types import PlainData

__all__ = ["DOC_FIELD", "ERROR_FIELD", "FIELDS", "arrow_type", "parse_fields", "read_senses",
           "readers", "to_array"]  # fmt: skip

FIELDS: Final = ("senses", "entities", "stems", "chunks", "relations", "tokens", "vectors")
ERROR_FIELD: Final = "error"  # why a text failed; null where it did not
DOC_FIELD: Final = "doc"  # the whole Doc as bytes, for DocBin
_SCORE_DIGITS: Final = 6

#: Columns of the records of a field, in order.
_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "senses": ("start", "end", "text", "lemma", "sense", "score"),
    "entities": ("start", "end", "text", "label"),
    "stems": ("start", "end", "text", "stem"),
    "chunks": ("start", "end", "text", "label"),
    "tokens": ("start", "end", "text", "lemma", "tag"),
    "relations": ("subject", "relation", "object", "negated", "pattern"),
}


def parse_fields(wanted: str | Sequence[str]) -> tuple[str, ...]:
    """Names of fields, in the order given, each once.

    Raises:
        ConfigError: a name is none, or there is no name.
    """
    given = wanted.split(",") if isinstance(wanted, str) else list(wanted)
    names = tuple(dict.fromkeys(name.strip() for name in given))
    for name in names or ("",):
        if name not in FIELDS:
            raise ConfigError(f"--fields {name!r}: legal are {', '.join(FIELDS)}, comma between")
    return names


def arrow_type(field: str, width: int | None = None) -> pa.DataType:
    """The declared type of a field's column.

    Args:
        field: one of FIELDS, or DOC_FIELD or ERROR_FIELD.
        width: of the vectors.
    """
    import pyarrow as pa

    if field == ERROR_FIELD:
        return pa.string()
    if field == DOC_FIELD:
        return pa.large_binary()
    if field == "vectors":
        return pa.list_(pa.list_(pa.float32(), width or 0))
    part = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("text", pa.string())])
    types = {"start": pa.int32(), "end": pa.int32(), "score": pa.float64(), "negated": pa.bool_()}
    types |= {"subject": part, "object": part}
    columns = [(name, types.get(name, pa.string())) for name in _COLUMNS[field]]
    return pa.list_(pa.struct(columns))


def to_array(field: str, values: Sequence[Any], width: int | None = None) -> pa.Array:
    """A column from what the reader of a field gave for each text; None stays null."""
    import numpy as np
    import pyarrow as pa

    if field != "vectors":
        return pa.array(values, arrow_type(field))
    lengths = [0 if value is None else len(value) for value in values]
    parts = [value.ravel() for value in values if value is not None]
    numbers = np.concatenate(parts) if parts else np.empty(0, np.float32)
    rows = pa.FixedSizeListArray.from_arrays(
        pa.array(numbers, pa.float32()), type=arrow_type(field, width).value_type
    )
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    mask = pa.array([value is None for value in values], pa.bool_())
    return pa.ListArray.from_arrays(offsets, rows, mask=mask)


# -- reading a Doc -----------------------------------------------------------------------


def readers(fields: Sequence[str], spans_key: str) -> dict[str, Callable[[Doc, str], Any]]:
    """A function from a Doc and its text to plain data, for each field."""

    def senses(doc: Doc, text: str) -> list[PlainData]:
        return read_senses(doc, text, spans_key)

    known: dict[str, Callable[[Doc, str], Any]] = {
        "senses": senses,
        "entities": _read_entities,
        "stems": _read_stems,
        "chunks": _read_chunks,
        "relations": _read_relations,
        "tokens": _read_tokens,
        "vectors": _read_vectors,
        DOC_FIELD: _read_doc,
    }
    return {name: known[name] for name in fields}


def read_senses(doc: Doc, text: str, spans_key: str) -> list[PlainData]:
    """The records of ``sense_disambiguator``.

    Raises:
        ConfigError: the pipeline writes no such span group.
        ValueError: a score is no number.
    """
    from spacy_attn.components.extensions import sense_records

    if spans_key not in doc.spans:
        # A pipeline of the user's own may write elsewhere; that must not look like no senses.
        groups = ", ".join(map(repr, doc.spans)) or "none"
        raise ConfigError(
            f"the pipeline writes no span group {spans_key!r} (its groups: {groups}); "
            f"set spans_key = {spans_key!r} in the config of its sense_disambiguator"
        )
    return [_read_sense(record, text) for record in sense_records(doc, spans_key)]


def _read_sense(record: PlainData, text: str) -> PlainData:
    start, end, score = int(record["start"]), int(record["end"]), float(record["score"])
    if not math.isfinite(score):
        raise ValueError(f"the score at characters {start} to {end} is {score}")
    return {
        "start": start,
        "end": end,
        "text": text[start:end],
        "lemma": record["lemma"],
        "sense": record["sense"],
        "score": round(score, _SCORE_DIGITS),
    }


def _place(span: Span) -> PlainData:
    return {"start": span.start_char, "end": span.end_char, "text": span.text}


def _read_entities(doc: Doc, text: str) -> list[PlainData]:
    return [{**_place(span), "label": span.label_} for span in doc.ents]


def _read_chunks(doc: Doc, text: str) -> list[PlainData]:
    if "chunks" not in doc.spans:
        raise ConfigError("the pipeline writes no chunks: add nltk_chunker to it")
    return [{**_place(span), "label": span.label_} for span in doc.spans["chunks"]]


def _read_stems(doc: Doc, text: str) -> list[PlainData]:
    if not doc.has_extension("stem") and len(doc) and not doc[0].has_extension("stem"):
        raise ConfigError("the pipeline writes no stems: add nltk_stemmer to it")
    return [
        {
            "start": token.idx,
            "end": token.idx + len(token),
            "text": token.text,
            "stem": token._.stem,
        }
        for token in doc
        if not token.is_space
    ]


def _read_tokens(doc: Doc, text: str) -> list[PlainData]:
    return [
        {
            "start": token.idx,
            "end": token.idx + len(token),
            "text": token.text,
            "lemma": token.lemma_,
            "tag": token.tag_,
        }
        for token in doc
    ]


def _read_relations(doc: Doc, text: str) -> list[PlainData]:
    def part(tokens: tuple[int, int] | None) -> PlainData | None:
        return None if tokens is None else _place(doc[tokens[0] : tokens[1]])

    return [
        {
            "subject": part(relation.subject),
            "relation": relation.relation,
            "object": part(relation.object),
            "negated": relation.negated,
            "pattern": relation.pattern,
        }
        for relation in doc._.relations
    ]


def _read_vectors(doc: Doc, text: str) -> Any:
    """One row for each token, those of white space included.

    *Shape:* (n_tokens, width)
    """
    import numpy as np

    vectors = doc._.attn_vectors
    if vectors is None:
        raise ConfigError("the pipeline keeps no vectors: add attention_encoder, keep = true")
    return np.array(vectors, dtype=np.float32)


def _read_doc(doc: Doc, text: str) -> bytes:
    data: bytes = doc.to_bytes()
    return data

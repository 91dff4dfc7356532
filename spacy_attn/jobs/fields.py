"""What a job can write for each text: one row of one table for each field.

Everything but vectors is a list of small records with character offsets into the text as given
(end exclusive), so that a reader needs no tokens. Values are plain data: they outlive the memory
zone in which the Doc was made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from spacy_attn.errors import ConfigError, allowed_names
from spacy_attn.jobs.docbin import quick_packing
from spacy_attn.models.catalogue import TAGGING

if TYPE_CHECKING:
    import pyarrow as pa
    from spacy.tokens import Doc, Span

    from spacy_attn._types import PlainData

ERROR_FIELD: Final = "error"  # why a text failed; null where it did not
DOC_FIELD: Final = "doc"  # the whole Doc as bytes, for DocBin
DISAMBIGUATOR: Final = "sense_disambiguator"
_SCORE_DIGITS: Final = 6
_RUNNERS_UP: Final = 3

Row: TypeAlias = dict[str, Any]  # what was found in a text: plain data by the names of fields
#: The type of each column of a record: a name of Arrow's, such a mapping, or [one of both].
Columns: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TextError:
    """Why one text could not be annotated: a value, so that the others go on."""

    reason: str


@dataclass(frozen=True, slots=True)
class Field:
    """Something that a job can write."""

    name: str
    read: Callable[..., Any]  # from a Doc with its text; of DISAMBIGUATOR with spans_key too
    columns: Columns | None  # of its records; None: an array with a row for each token
    #: Factory that writes it, added where the pipeline lacks it. It has to read no further than
    #: sentences: a long text goes through it in pieces.
    component: str | None = None
    needs: tuple[str, ...] = ()  # components of en_core_web_sm that are read for it
    written_by: tuple[str, ...] = ()  # factories of which the pipeline has to have one

    @property
    def is_array(self) -> bool:
        """Whether it is an array of float32 and not a list of records."""
        return self.columns is None

    def arrow_type(self, width: int = 0) -> pa.DataType:
        """Of its column, in a table with a row for each text.

        Args:
            width: of the rows of an array.
        """
        import pyarrow as pa

        if self.columns is None:
            return pa.list_(pa.list_(pa.float32(), width))
        return _arrow_type([self.columns])


def _arrow_type(kind: str | Columns | list[Any]) -> pa.DataType:
    import pyarrow as pa

    if isinstance(kind, str):
        return pa.type_for_alias(kind)
    if isinstance(kind, list):
        return pa.list_(_arrow_type(kind[0]))
    return pa.struct([(name, _arrow_type(inner)) for name, inner in kind.items()])


def parse_fields(wanted: str | Sequence[str]) -> tuple[str, ...]:
    """Names of fields, in the order given, each once.

    Raises:
        ConfigError: a name is none, or there is no name.
    """
    given = wanted.split(",") if isinstance(wanted, str) else wanted
    names = tuple(dict.fromkeys(str(name).strip() for name in given))
    for name in names or ("",):
        if name not in FIELDS:
            raise ConfigError(
                f"fields / --fields has {name!r}: {allowed_names(name, FIELDS, ', comma between')}"
            )
    return names


# -- reading a Doc -----------------------------------------------------------------------


def read_senses(
    doc: Doc, text: str, spans_key: str = "senses", *, details: bool = False
) -> list[PlainData]:
    """The records of ``sense_disambiguator``, with details also definition and runners-up.

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
    records = sense_records(doc, spans_key)
    if not details:
        return [_read_sense(record, text) for record in records]
    return [{**_read_sense(record, text), **_read_details(record)} for record in records]


def _read_details(record: PlainData) -> PlainData:
    """The definition, and the senses that came after the chosen one."""
    ranked = zip(record["ranked"], record["probabilities"], strict=True)
    others = [(sense, float(p)) for sense, p in ranked if sense != record["sense"]]
    return {
        "definition": record["definition"],
        "runners_up": [
            {"sense": sense, "score": round(score, _SCORE_DIGITS)}
            for sense, score in others[:_RUNNERS_UP]
        ],
    }


def _read_sense(record: PlainData, text: str) -> PlainData:
    start, end, score = int(record["start"]), int(record["end"]), float(record["score"])
    is_known = bool(record["method"])  # a group that was built anew has forgotten the score
    if is_known and not math.isfinite(score):
        raise ValueError(f"the score at characters {start} to {end} is {score}")
    return {
        "start": start,
        "end": end,
        "text": text[start:end],
        "lemma": record["lemma"],
        "sense": record["sense"],
        "score": round(score, _SCORE_DIGITS) if is_known else None,
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
    if len(doc) and not doc[0].has_extension("stem"):
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
        raise ConfigError("the pipeline keeps no vectors: add attention_encoder with keep = true")
    return np.array(vectors, dtype=np.float32)


def read_doc(doc: Doc, text: str) -> bytes:
    """The whole Doc."""
    with quick_packing():
        data: bytes = doc.to_bytes()
    return data


# -- places ------------------------------------------------------------------------------


def moved(value: Any, place: Callable[[int, int], PlainData]) -> Any:
    """What was read, with other places.

    Args:
        value: records with ``start`` and ``end``, and records and lists of them in these; what
            has no place stays as it is.
        place: gives of a start and an end those that take their place, and perhaps ``text``.
    """
    if isinstance(value, list):
        return [moved(item, place) for item in value]
    if not isinstance(value, dict):
        return value
    record = {name: moved(item, place) for name, item in value.items()}
    if isinstance(value.get("start"), int) and isinstance(value.get("end"), int):
        changed = place(value["start"], value["end"])
        record |= {name: changed[name] for name in changed if name in record}
    return record


# -- the table ---------------------------------------------------------------------------

_PLACE: Final = {"start": "int32", "end": "int32", "text": "string"}
_LABELLED: Final = {**_PLACE, "label": "string"}
_SENSE: Final = {**_PLACE, "lemma": "string", "sense": "string", "score": "float64"}
_DETAILS: Final = {"definition": "string", "runners_up": [{"sense": "string", "score": "float64"}]}

FIELDS: Final[dict[str, Field]] = {
    field.name: field
    for field in (
        Field("senses", read_senses, _SENSE, component=DISAMBIGUATOR, needs=TAGGING),
        Field("sense_details", partial(read_senses, details=True), {**_SENSE, **_DETAILS},
              component=DISAMBIGUATOR, needs=TAGGING),
        Field("entities", _read_entities, _LABELLED, needs=("tok2vec", "ner"),
              written_by=("ner", "beam_ner", "nltk_ner", "entity_ruler")),
        Field("stems", _read_stems, {**_PLACE, "stem": "string"}, component="nltk_stemmer"),
        Field("chunks", _read_chunks, _LABELLED, component="nltk_chunker", needs=TAGGING),
        Field("relations", _read_relations,
              {"subject": _PLACE, "relation": "string", "object": _PLACE, "negated": "bool",
               "pattern": "string"},
              component="relation_extractor", needs=(*TAGGING, "parser", "ner")),
        Field("tokens", _read_tokens, {**_PLACE, "lemma": "string", "tag": "string"},
              needs=TAGGING),
        Field("vectors", _read_vectors, None, component="attention_encoder"),
    )
}  # fmt: skip

"""What a job can write for each text: one row of one table for each field.

Everything but vectors is a list of small records with character offsets into the text as given
(end exclusive), so that a reader needs no tokens. Values are plain data: they outlive the memory
zone in which the Doc was made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from spacy_attn.errors import ConfigError, allowed_names
from spacy_attn.jobs.docbin import quick_packing

if TYPE_CHECKING:
    import pyarrow as pa
    from spacy.tokens import Doc, Span

    from spacy_attn._types import PlainData

ERROR_FIELD: Final = "error"  # why a text failed; null where it did not
DOC_FIELD: Final = "doc"  # the whole Doc as bytes, for DocBin
_SCORE_DIGITS: Final = 6
_RUNNERS_UP: Final = 3

Row: TypeAlias = dict[str, Any]  # what was found in a text: plain data by the names of fields


@dataclass(frozen=True, slots=True)
class TextError:
    """Why one text could not be annotated: a value, so that the others go on."""

    reason: str


@dataclass(frozen=True, slots=True)
class Field:
    """Something that a job can write."""

    name: str
    read: Callable[[Doc, str], Any]  # from a Doc with its text; of senses see readers()
    arrow_type: Callable[[], pa.DataType]  # of its column
    component: str | None = None  # factory that writes it, added where the pipeline lacks it
    needs: tuple[str, ...] = ()  # components of en_core_web_sm that are read for it
    written_by: tuple[str, ...] = ()  # factories of which the pipeline has to have one


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


def read_sense_details(doc: Doc, text: str, spans_key: str = "senses") -> list[PlainData]:
    """As :func:`read_senses`, with details."""
    return read_senses(doc, text, spans_key, details=True)


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
        raise ConfigError("the pipeline keeps no vectors: add attention_encoder with keep = true")
    return np.array(vectors, dtype=np.float32)


def read_doc(doc: Doc, text: str) -> bytes:
    """The whole Doc."""
    with quick_packing():
        data: bytes = doc.to_bytes()
    return data


# -- types of columns --------------------------------------------------------------------


def _records(*columns: str) -> Callable[[], pa.DataType]:
    """The type of lists of records: whole numbers, scores, flags, parts of a text, else text."""

    def make() -> pa.DataType:
        import pyarrow as pa

        part = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("text", pa.string())])
        types = {
            "start": pa.int32(),
            "end": pa.int32(),
            "score": pa.float64(),
            "negated": pa.bool_(),
            "subject": part,
            "object": part,
            "runners_up": pa.list_(pa.struct([("sense", pa.string()), ("score", pa.float64())])),
        }
        return pa.list_(pa.struct([(name, types.get(name, pa.string())) for name in columns]))

    return make


def vectors_type(width: int = 0) -> pa.DataType:
    """The type of vectors: a list of rows of this width."""
    import pyarrow as pa

    return pa.list_(pa.list_(pa.float32(), width))


# -- the table ---------------------------------------------------------------------------

# The tagger says noun or verb, the lemmatizer finds "bat" in "bats"; parser and NER cost more
# time than both.
_TAGGED: Final = ("tok2vec", "tagger", "attribute_ruler", "lemmatizer")

FIELDS: Final[dict[str, Field]] = {
    field.name: field
    for field in (
        Field("senses", read_senses,
              _records("start", "end", "text", "lemma", "sense", "score"),
              component="sense_disambiguator", needs=_TAGGED),
        Field("sense_details", read_sense_details,
              _records("start", "end", "text", "lemma", "sense", "score", "definition",
                       "runners_up"),
              component="sense_disambiguator", needs=_TAGGED),
        Field("entities", _read_entities, _records("start", "end", "text", "label"),
              needs=("tok2vec", "ner"), written_by=("ner", "beam_ner", "nltk_ner", "entity_ruler")),
        Field("stems", _read_stems, _records("start", "end", "text", "stem"),
              component="nltk_stemmer"),
        Field("chunks", _read_chunks, _records("start", "end", "text", "label"),
              component="nltk_chunker", needs=_TAGGED),
        Field("relations", _read_relations,
              _records("subject", "relation", "object", "negated", "pattern"),
              component="relation_extractor", needs=(*_TAGGED, "parser", "ner")),
        Field("tokens", _read_tokens, _records("start", "end", "text", "lemma", "tag"),
              needs=_TAGGED),
        Field("vectors", _read_vectors, vectors_type, component="attention_encoder"),
    )
}  # fmt: skip

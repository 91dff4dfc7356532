"""Extension attributes: what is stored on the Doc, and the getters that read it.

Getters are module-level functions (or partials of them), because spaCy pickles them for
child processes. What they read is plain data, so that it survives bytes and DocBin.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial, wraps
from math import nan
from operator import attrgetter, itemgetter
from typing import Any, ParamSpec, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup, Token
from spacy.tokens.underscore import Underscore

from spacy_attn._types import Floats1d, Floats2d
from spacy_attn.classic.relations import Relation
from spacy_attn.errors import ConfigError, ResourceError, SpacyAttnError, first_line
from spacy_attn.wsd.annotation import SenseAnnotation

_P = ParamSpec("_P")
_R = TypeVar("_R")

_LONGEST_WORD = 500  # characters; no word of an inventory is longer


@runtime_checkable
class WritesNames(Protocol):
    """A component that says which names it writes."""

    @property
    def written_names(self) -> Mapping[str, str]:
        """Setting and what it names, such as ``{"attr": "doc._.attn_vectors"}``."""
        ...


def install_extensions(
    *,
    attn_vectors: str = "attn_vectors",
    attn_vector: str = "attn_vector",
    attn_model: str = "attn_model",
    word2vec: str = "word2vec",
    sense: str = "sense",
    spans_key: str = "senses",
    stem: str = "stem",
    attn_lemma: str = "attn_lemma",
    parse_tree: str = "parse_tree",
    parse_status: str = "parse_status",
    parse_details: str = "parse_details",
    relations: str = "relations",
) -> None:
    """Install the extension attributes under their default or the given names.

    Safe to call any number of times. A process that only reads a DocBin needs nothing
    else: ``token._.sense`` and ``token._.attn_vector`` then work. ``token._.word2vec``
    is installed by its component, because its vectors are never stored on the Doc.

    Args:
        attn_vectors: Doc attribute, (n_tokens, width).
        attn_vector: Token attribute, (width,); of a Span or Doc the mean of its tokens.
        attn_model: Doc attribute, identity of the encoder that wrote the vectors.
        word2vec: unused here; kept so that all names of the package can be passed.
        sense: Token and Span attribute.
        spans_key: span group that the sense attributes read.
        stem: Token attribute.
        attn_lemma: Token attribute.
        parse_tree: Span attribute, a bracketed string.
        parse_status: Span attribute, how parsing ended.
        parse_details: Span attribute, edges, log-probability and uncovered words.
        relations: Doc attribute, a list of :class:`~spacy_attn.classic.relations.Relation`.

    Raises:
        ConfigError: one of the names is taken by an extension that is not ours.
    """
    del word2vec
    install_vector_extensions(attn_vectors, attn_vector, attn_model)
    install_sense_extensions(sense, spans_key)
    install_item_extension(stem)
    install_item_extension(attn_lemma)
    install_parse_extensions(parse_tree, parse_status, parse_details)
    install_relation_extension(relations)


def install_vector_extensions(doc_attr: str, token_attr: str, model_attr: str) -> None:
    """Install the attributes of one ``attention_encoder``."""
    install_extension(
        Doc,
        model_attr,
        setting="model_attr",
        getter=partial(_get_stored, attr=model_attr),
        setter=partial(_set_stored, attr=model_attr),
    )
    install_extension(
        Doc,
        doc_attr,
        setting="attr",
        getter=partial(token_vectors, attr=doc_attr),
        setter=partial(_set_stored, attr=doc_attr),
    )
    install_extension(
        Token, token_attr, setting="token_attr", getter=partial(_get_token_vector, attr=doc_attr)
    )
    taken = token_attr in (doc_attr, model_attr)  # one name for all is the user's choice
    for owner in (Span,) if taken else (Span, Doc):
        mean = partial(_get_mean_vector, attr=doc_attr)
        install_extension(owner, token_attr, setting="token_attr", getter=mean)


def install_sense_extensions(attr: str, spans_key: str) -> None:
    """Install the attributes of one ``sense_disambiguator``."""
    for owner, getter in ((Token, _get_token_sense), (Span, _get_span_sense)):
        install_extension(owner, attr, setting="attr", getter=partial(getter, spans_key=spans_key))


def install_item_extension(attr: str) -> None:
    """Install the attribute of one ``nltk_stemmer`` or ``attention_lemmatizer``."""
    install_extension(Token, attr, setting="attr", getter=partial(_get_token_item, attr=attr))


def install_parse_extensions(tree_attr: str, status_attr: str, details_attr: str) -> None:
    """Install the attributes of one ``nltk_parser``."""
    settings = {"attr": tree_attr, "status_attr": status_attr, "details_attr": details_attr}
    for setting, attr in settings.items():
        install_extension(
            Span,
            attr,
            setting=setting,
            getter=partial(_get_span_value, attr=attr),
            setter=partial(_set_span_value, attr=attr),
        )


def install_relation_extension(attr: str) -> None:
    """Install the attribute of one ``relation_extractor``."""
    install_extension(Doc, attr, setting="attr", getter=partial(_get_relations, attr=attr))


def refuse_shared_names(nlp: Language, name: str, written_names: Mapping[str, str]) -> None:
    """Refuse a component that would write what another one of its pipeline writes already.

    Args:
        nlp: the pipeline, the component not yet in it.
        name: of the component.
        written_names: see :class:`WritesNames`.

    Raises:
        ConfigError: the two share a name.
    """
    taken: dict[str, str] = {}  # what is written and by which component
    for other_name, other in nlp.components:
        written = other.written_names.values() if isinstance(other, WritesNames) else ()
        taken |= dict.fromkeys(written, other_name)
        # spancat, span_ruler and others say in their config which span group they write.
        key = nlp.get_pipe_config(other_name).get("spans_key")
        if key is not None:
            taken.setdefault(f"doc.spans[{key!r}]", other_name)
    for setting, written_name in written_names.items():
        if written_name in taken:
            raise ConfigError(
                f"{name!r} would write {written_name}, which {taken[written_name]!r} of this "
                f"pipeline writes; give it another name with {setting} = '...' in its config"
            )


def install_extension(
    owner: Any,
    name: str,
    *,
    setting: str,
    getter: partial[Any],
    setter: Callable[..., None] | None = None,
) -> None:
    """Set an extension unless the same one of ours is there already."""
    if not name.isidentifier() or hasattr(Underscore, name):
        raise ConfigError(
            f"{setting} = {name!r} cannot be an attribute name; use letters, digits and _, "
            "and not has, get or set"
        )
    if owner.has_extension(name):
        if _same(owner.get_extension(name)[2], getter):
            return
        raise ConfigError(
            f"{owner.__name__}._.{name} already exists and was not made by this setting; "
            f"give this component another name with {setting} = '...' in its config"
        )
    owner.set_extension(name, getter=getter, setter=setter)


def _same(installed: object, wanted: partial[Any]) -> bool:
    """Whether two getters are one function of ours with the same arguments."""
    return (
        isinstance(installed, partial)
        and installed.func is wanted.func
        and installed.keywords == wanted.keywords
    )


def _explained(getter: Callable[_P, _R]) -> Callable[_P, _R]:
    """A getter that says in one sentence that a Doc holds something else under our names.

    A DocBin may come from anywhere, and its user data are of any type.
    """

    @wraps(getter)
    def get(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return getter(*args, **kwargs)
        except SpacyAttnError:
            raise
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ResourceError(
                "this Doc holds something that spacy_attn did not write "
                f"({type(error).__name__}: {first_line(error)}); run the pipeline over its text"
            ) from error

    return get


# -- vectors ---------------------------------------------------------------------------


def _key(attr: str) -> Any:
    """Where spaCy keeps an extension of a Doc; its stub of user_data knows str keys only."""
    return ("._.", attr, None, None)


def set_vectors(doc: Doc, attr: str, vectors: Floats2d) -> None:
    """Store token vectors on a Doc under ``doc._.<attr>``.

    *Shape:* (n_tokens, width)
    """
    doc.user_data[_key(attr)] = vectors


def mark_unkept(doc: Doc, attr: str) -> None:
    """Note that the vectors under ``doc._.<attr>`` may go once the last component has read them."""
    doc.user_data[_UNKEPT] = [*doc.user_data.get(_UNKEPT, ()), attr]


def drop_unkept(doc: Doc, attr: str) -> None:
    """Empty ``doc._.<attr>`` if it was marked so."""
    marked = doc.user_data.get(_UNKEPT, ())
    if attr not in marked:
        return
    doc.user_data[_key(attr)] = None
    doc.user_data[_UNKEPT] = others = [name for name in marked if name != attr]
    if not others:
        del doc.user_data[_UNKEPT]


_UNKEPT = "spacy_attn.unkept"  # in Doc.user_data: a list of names


@_explained
def token_vectors(doc: Doc, attr: str) -> Floats2d | None:
    """The stored vectors, or None where there are none or the tokens have changed since.

    *Shape:* (n_tokens, width)
    """
    vectors: Floats2d | None = doc.user_data.get(_key(attr))
    if vectors is None or len(vectors) != len(doc):
        return None
    return vectors


def _get_stored(doc: Doc, attr: str) -> Any:
    return doc.user_data.get(_key(attr))


def _set_stored(doc: Doc, value: Any, attr: str) -> None:
    doc.user_data[_key(attr)] = value


@_explained
def _get_token_vector(token: Token, attr: str) -> Floats1d | None:
    vectors = token_vectors(token.doc, attr)
    return None if vectors is None else vectors[token.i]


@_explained
def _get_mean_vector(owner: Span | Doc, attr: str) -> Floats1d | None:
    """The mean of the tokens' vectors; None without vectors or tokens.

    *Shape:* (width,)
    """
    vectors = token_vectors(owner.doc if isinstance(owner, Span) else owner, attr)
    if vectors is None or not len(owner):
        return None
    rows = vectors[owner.start : owner.end] if isinstance(owner, Span) else vectors
    return np.asarray(rows.mean(axis=0))


# -- stems, lemmas, trees, relations ----------------------------------------------------


def set_token_items(doc: Doc, attr: str, items: list[str]) -> None:
    """Store one string for each token, read by ``token._.<attr>``.

    The characters of the tokens are stored beside them: a token that is merged later has no
    string of its own, and the others keep theirs.
    """
    places = doc.to_array(["IDX", "LENGTH"]).reshape(len(items), 2).astype(np.int32)
    doc.user_data[_key(attr)] = {"items": items, "places": places}


@_explained
def _get_token_item(token: Token, attr: str) -> str | None:
    stored = token.doc.user_data.get(_key(attr))
    if stored is None:
        return None
    items: list[str] = stored["items"]
    places: NDArray[np.int32] = stored["places"]
    i = token.i
    if i >= len(items) or places[i, 0] != token.idx:  # tokens were merged or split since
        i = int(np.searchsorted(places[:, 0], token.idx))
    is_same = i < len(items) and places[i, 0] == token.idx and places[i, 1] == len(token)
    return items[i] if is_same else None


def _span_key(span: Span, attr: str) -> Any:
    """Where spaCy keeps an extension of a Span; ``Doc.from_docs`` moves such keys along."""
    return ("._.", attr, span.start_char, span.end_char)


def _get_span_value(span: Span, attr: str) -> Any:
    return span.doc.user_data.get(_span_key(span, attr))


def _set_span_value(span: Span, value: Any, attr: str) -> None:
    span.doc.user_data[_span_key(span, attr)] = value


def set_relations(doc: Doc, attr: str, relations: Sequence[Relation]) -> None:
    """Store relations on a Doc as plain data, read by ``doc._.<attr>``."""
    doc.user_data[_key(attr)] = [relation.to_record(doc) for relation in relations]


@_explained
def _get_relations(doc: Doc, attr: str) -> list[Relation]:
    records = doc.user_data.get(_key(attr), [])
    relations = (Relation.from_record(record, doc) for record in records)
    return [relation for relation in relations if relation is not None]  # None: the text is gone


# -- senses ----------------------------------------------------------------------------


@_explained
def sense_records(doc: Doc, spans_key: str) -> list[dict[str, Any]]:
    """The plain records of a span group, one for each sense, in the order of the text.

    ``sense_disambiguator`` keeps them in the attributes of the group. spaCy drops these when a
    group is built anew, in ``Doc.from_docs`` and in ``to_json``; then a record says what the span
    itself tells, its id (``kb_id_``), and the group keeps it from then on.
    """
    if spans_key not in doc.spans:
        return []
    group = doc.spans[spans_key]
    records: list[dict[str, Any]] = group.attrs.get("records", [])
    if len(group) in (len(records), group.attrs.get("n_spans")):
        return records
    known = {(r["start"], r["end"], r["sense"]): r for r in records}
    spans = sorted((span for span in group if span.kb_id_), key=attrgetter("start_char"))
    if not spans:
        return []
    records = [known.get(_place(span)) or record_of(span) for span in spans]
    group.attrs["records"] = records
    group.attrs["n_spans"] = len(group)  # more than records where a span has no id
    return records


def record_of(span: Span) -> dict[str, Any]:
    """What a span tells of its sense."""
    wordnet_lemma, is_key, _ = span.kb_id_.partition("%")
    return {
        "start": span.start_char,
        "end": span.end_char,
        "sense": span.kb_id_,
        "lemma": wordnet_lemma.replace("_", " ") if is_key else span.lemma_.lower() or span.text,
        "definition": "",
        "score": nan,
        "margin": nan,
        "ranked": [],
        "probabilities": [],
        "method": "",
    }


def filter_senses(doc: Doc, keep: Callable[[Span], bool], spans_key: str = "senses") -> None:
    """Keep some senses of a Doc, with all that is known of them.

    A group that is built from a list of spans forgets definitions and probabilities; this does
    not::

        filter_senses(doc, lambda span: span._.sense.score >= 0.8)

    Args:
        doc: with a span group of ``sense_disambiguator``.
        keep: says of a span of the group whether it stays.
        spans_key: name of the group.
    """
    records = {(r["start"], r["end"], r["sense"]): r for r in sense_records(doc, spans_key)}
    if not records:
        return
    spans = sorted(
        (span for span in doc.spans[spans_key] if span.kb_id_ and keep(span)),
        key=attrgetter("start_char"),
    )
    kept = [records.get(_place(span)) or record_of(span) for span in spans]
    attrs = {"scores": [record["score"] for record in kept], "records": kept}
    doc.spans[spans_key] = SpanGroup(doc, name=spans_key, spans=spans, attrs=attrs)


def _place(span: Span) -> tuple[int, int, str]:
    return span.start_char, span.end_char, span.kb_id_


@_explained
def _get_token_sense(token: Token, spans_key: str) -> SenseAnnotation | None:
    start, end = token.idx, token.idx + len(token)
    best = None
    for record in _records_near(token.doc, spans_key, start, end):
        inside = record["start"] < end and start < record["end"]
        if inside and (best is None or _length(record) >= _length(best)):
            best = record
    return None if best is None else SenseAnnotation.from_record(best)


@_explained
def _get_span_sense(span: Span, spans_key: str) -> SenseAnnotation | None:
    if not len(span):
        return None
    # By the tokens: a span that was made before tokens were merged keeps its old characters.
    start, end = span[0].idx, span[-1].idx + len(span[-1])
    for record in _records_near(span.doc, spans_key, start, end):
        if record["start"] == start and record["end"] == end:
            return SenseAnnotation.from_record(record)
    return None


def _records_near(doc: Doc, spans_key: str, start: int, end: int) -> Iterator[dict[str, Any]]:
    """The records that may touch these characters, found by bisection, the last one first."""
    records = sense_records(doc, spans_key)
    for i in range(bisect_left(records, end, key=itemgetter("start")) - 1, -1, -1):
        if records[i]["start"] < start - _LONGEST_WORD:
            return
        yield records[i]


def _length(record: dict[str, Any]) -> int:
    return int(record["end"]) - int(record["start"])

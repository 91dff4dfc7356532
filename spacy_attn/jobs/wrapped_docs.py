"""A Doc of joined lines as a Doc of the text as given, with all that was found.

``doc.text`` is the text of the record and every place counts its characters. A word that was cut
is one token, "exam-/ple" with its line break, whose ``norm_`` is "example". Line breaks are tokens
of white space, as spaCy's tokenizer makes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup

from spacy_attn.jobs.fields import DOC_FIELD, Row
from spacy_attn.jobs.unwrap import Unwrapped, move_to_given

_COPIED: Final = ("TAG", "POS", "MORPH", "LEMMA", "NORM", "ENT_ID")
_KEY: Final = 4  # of an extension in user_data: "._.", its name, start and end


def row_as_given(row: Row, unwrapped: Unwrapped, nlp: Language) -> Row:
    """A row of results, or a whole Doc, with the places of the text as given."""
    moved = {name: move_to_given(value, unwrapped) for name, value in row.items()}
    if DOC_FIELD in moved:
        doc = Doc(nlp.vocab).from_bytes(moved[DOC_FIELD])
        moved[DOC_FIELD] = doc_as_given(doc, unwrapped).to_bytes()
    return moved


def doc_as_given(doc: Doc, unwrapped: Unwrapped) -> Doc:
    """The Doc of the text as given.

    Args:
        doc: of the joined text.
        unwrapped: that text and where its characters were.
    """
    words, spaces, old = _tokens(doc, unwrapped)
    new = Doc(doc.vocab, words=words, spaces=spaces)
    place = {before: after for after, before in enumerate(old) if before >= 0}
    _copy_annotation(doc, new, old, place)
    new.cats = dict(doc.cats)
    for key, group in doc.spans.items():
        spans = [_span(new, span, place) for span in group]
        attrs = move_to_given(group.attrs, unwrapped)
        new.spans[key] = SpanGroup(new, name=group.name, spans=spans, attrs=attrs)
    for name, value in doc.user_data.items():
        moved = _move_value(value, unwrapped, old, len(doc))
        new.user_data[_move_key(name, unwrapped)] = moved
    if doc.tensor.shape[0] == len(doc):
        new.tensor = _with_rows(doc.tensor, old)
    return new


def _tokens(doc: Doc, unwrapped: Unwrapped) -> tuple[list[str], list[bool], list[int]]:
    """Words, whether a space follows, and the index of each in the Doc; -1 for white space."""
    given = unwrapped.given
    words: list[str] = []
    spaces: list[bool] = []
    old: list[int] = []
    behind = 0

    def add_gap(gap: str) -> None:
        if gap.startswith(" ") and words:
            spaces[-1] = True
            gap = gap[1:]
        if gap:
            words.append(gap)
            spaces.append(False)
            old.append(-1)

    for token in doc:
        start = unwrapped.start(token.idx)
        end = unwrapped.end(token.idx + len(token))
        add_gap(given[behind:start])
        words.append(given[start:end])
        spaces.append(False)
        old.append(token.i)
        behind = end
    add_gap(given[behind:])
    return words, spaces, old


def _copy_annotation(doc: Doc, new: Doc, old: Sequence[int], place: dict[int, int]) -> None:
    names: list[int | str] = [
        name for name in _COPIED if name in ("NORM", "ENT_ID") or doc.has_annotation(name)
    ]
    is_parsed = doc.has_annotation("DEP")
    rows = doc.to_array(names).reshape(len(doc), len(names))
    array: Any = np.zeros((len(old), len(names)), dtype=np.uint64)
    strings = doc.vocab.strings
    for after, before in enumerate(old):
        if before >= 0:
            array[after] = rows[before]
            continue
        word = new[after]
        values: dict[Any, int] = {
            "TAG": strings.add("_SP"),
            "POS": strings["SPACE"],
            "LEMMA": word.orth,
        }
        array[after] = [values.get(name, word.norm if name == "NORM" else 0) for name in names]
    new.from_array(names, array)
    if is_parsed:
        heads = [_head(doc, after, old, place) for after in range(len(old))]
        deps = [strings.add("dep") if i < 0 else doc[i].dep for i in old]
        offsets = (np.array(heads) - np.arange(len(old))).astype(np.uint64)
        parse: Any = np.stack([offsets, np.array(deps, dtype=np.uint64)], axis=1)
        new.from_array(["HEAD", "DEP"], parse)
    elif doc.has_annotation("SENT_START"):
        for after, before in enumerate(old):
            new[after].is_sent_start = doc[before].is_sent_start if before >= 0 else False
    if doc.has_annotation("ENT_IOB"):
        new.set_ents([_span(new, entity, place) for entity in doc.ents])


def _head(doc: Doc, after: int, old: Sequence[int], place: dict[int, int]) -> int:
    """The head of a token; white space hangs on the token before, at the beginning on the next."""
    if old[after] >= 0:
        return place[doc[old[after]].head.i]
    return after - 1 if after else min(1, len(old) - 1)


def _span(new: Doc, span: Span, place: dict[int, int]) -> Span:
    """The same span, over the white space within it."""
    if not len(span):
        start = place.get(span.start, len(new))
        return Span(new, start, start, span.label, kb_id=span.kb_id, span_id=span.id)
    start, end = place[span.start], place[span.end - 1] + 1
    return Span(new, start, end, span.label, kb_id=span.kb_id, span_id=span.id)


def _move_key(key: Any, unwrapped: Unwrapped) -> Any:
    if isinstance(key, tuple) and len(key) == _KEY and key[0] == "._.":
        start, end = key[2], key[3]
        start = start if start is None else unwrapped.start(start)
        return (*key[:2], start, end if end is None else unwrapped.end(end))
    return key


def _move_value(value: Any, unwrapped: Unwrapped, old: Sequence[int], n_tokens: int) -> Any:
    if isinstance(value, np.ndarray):
        is_of_tokens = value.ndim == 2 and len(value) == n_tokens
        return _with_rows(value, old) if is_of_tokens else value
    if isinstance(value, dict) and isinstance(value.get("places"), np.ndarray):
        places = [
            (start, unwrapped.end(at + length) - start)
            for at, length in value["places"].tolist()
            for start in [unwrapped.start(at)]
        ]
        return {**value, "places": np.array(places, dtype=np.int32).reshape(-1, 2)}
    return move_to_given(value, unwrapped)


def _with_rows(array: Any, old: Sequence[int]) -> Any:
    """An array with a row for each token; that of new white space is zero."""
    rows = np.zeros((len(old), *array.shape[1:]), dtype=array.dtype)
    rows[[i for i, before in enumerate(old) if before >= 0]] = array
    return rows

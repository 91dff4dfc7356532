"""Long texts in pieces: what a pipeline needs for a text grows with it, by gigabytes for a book.

A piece ends between paragraphs, lines, sentences or words, the first of these that there is in its
second half. Components that read no further than sentences find the same in pieces as in the whole,
but for what is near a cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from spacy_attn.jobs.fields import FIELDS, Row, moved

if TYPE_CHECKING:
    from spacy.language import Language

    from spacy_attn._types import PlainData

_ENDS: Final = ("\n\n", "\n", ". ", "? ", "! ", " ")
#: Factories that read sentences, or less, and write nothing about a whole Doc.
_LOCAL: Final = frozenset(
    "attribute_ruler beam_ner beam_parser entity_ruler lemmatizer morphologizer ner parser "
    "sentencizer senter span_ruler tagger tok2vec trainable_lemmatizer "
    "attention_lemmatizer nltk_ner nltk_parser word2vec".split()
).union(field.component for field in FIELDS.values() if field.component is not None)


def may_cut(nlp: Language) -> bool:
    """Whether all components of a pipeline are known to read sentences."""
    return all(nlp.get_pipe_meta(name).factory in _LOCAL for name in nlp.pipe_names)


def cut(text: str, most: int) -> Iterator[tuple[int, str]]:
    """The pieces of a text, each of at most so many characters, with where they begin."""
    start = 0
    while len(text) - start > most:
        end = start + most
        for mark in _ENDS:
            place = text.rfind(mark, start + most // 2, end)
            if place >= 0:
                end = place + len(mark)
                break
        yield start, text[start:end]
        start = end
    yield start, text[start:]


def join(rows: Sequence[Row], starts: Sequence[int]) -> Row:
    """The row of a text, of the rows of its pieces."""
    if len(rows) == 1:
        return rows[0]
    return {name: _join_field([row[name] for row in rows], starts) for name in rows[0]}


def _join_field(values: Sequence[Any], starts: Sequence[int]) -> Any:
    import numpy as np

    if isinstance(values[0], np.ndarray):
        return np.concatenate(values)
    return [
        item
        for value, start in zip(values, starts, strict=True)
        for item in moved(value, partial(_shifted, by=start))
    ]


def _shifted(start: int, end: int, by: int) -> PlainData:
    return {"start": start + by, "end": end + by}

"""One text as every part of the pipeline cuts it: tokens, stems, chunks, wordpieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from spacy.tokens import Doc, Token

from spacy_attn.components.attention_encoder import offsets_of
from spacy_attn.encoder.align import align


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A spaCy token and what the components make of it; "" where a component is missing."""

    text: str
    start: int  # character in the text
    lemma: str
    stem: str
    tag: str
    chunk: str  # IOB, such as B-NP; of the shortest chunk that holds the token
    entity: str  # IOB, such as B-PERSON
    wordpieces: tuple[str, ...]  # as the encoder's vocabulary writes them


def token_table(
    doc: Doc, tokenizer: Any = None, *, stem_attr: str = "stem", spans_key: str = "chunks"
) -> list[TokenRow]:
    """One row for each token that is not white space.

    Args:
        doc: annotated by as many components as there are.
        tokenizer: of the tokenizers package, as ``HuggingFaceEncoder.tokenizer`` is; None leaves
            the wordpieces empty.
        stem_attr: ``attr`` of the ``nltk_stemmer``.
        spans_key: ``spans_key`` of the ``nltk_chunker``.

    *Shape:* (n_tokens that are not white space,)
    """
    pieces = list(_wordpieces(doc, tokenizer)) if tokenizer is not None else [()] * len(doc)
    chunks = _chunk_labels(doc, spans_key)
    return [
        TokenRow(
            text=token.text,
            start=token.idx,
            lemma=token.lemma_,
            stem=_stem(token, stem_attr),
            tag=token.tag_,
            chunk=chunks[token.i],
            entity=f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else "",
            wordpieces=pieces[token.i],
        )
        for token in doc
        if not token.is_space
    ]


def _stem(token: Token, attr: str) -> str:
    return (token._.get(attr) or "") if Token.has_extension(attr) else ""


def _chunk_labels(doc: Doc, spans_key: str) -> list[str]:
    """IOB labels; of two chunks one inside the other, the inner one is named."""
    labels = [""] * len(doc)
    spans = doc.spans[spans_key] if spans_key in doc.spans else []
    for span in sorted(spans, key=len, reverse=True):
        for token in span:
            labels[token.i] = f"{'B' if token.i == span.start else 'I'}-{span.label_}"
    return labels


def _wordpieces(doc: Doc, tokenizer: Any) -> Iterator[tuple[str, ...]]:
    encoded = tokenizer.encode(doc.text, add_special_tokens=False)
    names = encoded.tokens
    first, end = align(doc.text, offsets_of(doc), encoded.offsets)
    for a, b in zip(first.tolist(), end.tolist(), strict=True):
        yield tuple(names[a:b])

"""What NLTK's chunkers find in a Doc, sentence by sentence of tagged words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from spacy.tokens import Doc, Token

from spacy_attn.classic.chunk import Chunker
from spacy_attn.classic.sequence import LabelledSpan
from spacy_attn.errors import ConfigError

__all__ = ["find_spans", "tagged_sentences"]


class _Component(Protocol):
    name: str

    @property
    def chunker(self) -> Chunker:
        """What finds the spans of a sentence; its file is read at the first one."""
        ...


def find_spans(component: _Component, doc: Doc) -> list[LabelledSpan]:
    """The chunks or entities of a Doc, as token spans.

    Raises:
        ConfigError: the Doc has words and no tags, or as the chunker.
        ResourceError: as the chunker.
    """
    found: list[LabelledSpan] = []
    for tokens in tagged_sentences(doc, component.name):
        words, tags = [token.text for token in tokens], [token.tag_ for token in tokens]
        for start, end, label in component.chunker.find(words, tags):
            found.append((tokens[start].i, tokens[end - 1].i + 1, label))
    return found


def tagged_sentences(doc: Doc, name: str) -> Iterator[list[Token]]:
    """The tokens of each sentence; no sentence is empty.

    White space and other tokens without a visible character, such as a zero-width space, are
    left out. A Doc without sentence boundaries is one sentence.

    Args:
        doc: with tags.
        name: of the component, for the error.

    Raises:
        ConfigError: the Doc has words and no tags.
    """
    for sentence in doc.sents if doc.has_annotation("SENT_START") else (doc[:],):
        tokens = [token for token in sentence if _is_visible(token)]
        if tokens and not doc.has_annotation("TAG"):
            raise ConfigError(
                f"{name!r} reads token.tag, and this Doc has no tags; use a pipeline with a "
                f"trained tagger, such as en_core_web_sm, and put it before {name!r}"
            )
        if tokens:
            yield tokens


def _is_visible(token: Token) -> bool:
    return any(letter.isprintable() and not letter.isspace() for letter in token.text)

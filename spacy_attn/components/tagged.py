"""Sentences with part-of-speech tags, as NLTK's chunkers read them from a Doc."""

from __future__ import annotations

from collections.abc import Iterator

from spacy.tokens import Doc, Token

from spacy_attn.errors import ConfigError

__all__ = ["tagged_sentences"]


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

"""Texts whose tags, or whose vectors, are there already."""

from __future__ import annotations

from spacy_attn.wsd.context import Context
from spacy_attn.wsd.vectors import Texts


def given(contexts, arrays):
    """Contexts with the vectors of all their tokens, whatever encoder is asked for."""
    return Texts(contexts, lambda i, identity: arrays[i])


def tagged(text: str) -> Context:
    """``bats/NOUN/bat flew/VERB/fly``: token, part of speech, lemma."""
    parts = [[*part.split("/"), "", ""][:3] for part in text.split()]
    tokens = [token for token, _, _ in parts]
    starts = [sum(len(token) + 1 for token in tokens[:i]) for i in range(len(tokens))]
    offsets = [(start, start + len(token)) for start, token in zip(starts, tokens, strict=True)]
    tags, lemmas = [tag for _, tag, _ in parts], [lemma for _, _, lemma in parts]
    return Context(" ".join(tokens), tokens, offsets, lemmas, tags)

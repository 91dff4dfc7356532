"""Texts whose vectors are there already."""

from __future__ import annotations

from spacy_attn.wsd.vectors import Texts


def given(contexts, arrays):
    """Contexts with the vectors of all their tokens, whatever encoder is asked for."""
    return Texts(contexts, lambda i, identity: arrays[i])

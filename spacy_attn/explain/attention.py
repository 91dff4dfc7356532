"""Attention maps of a Doc."""

from __future__ import annotations

from collections.abc import Sequence

from spacy.tokens import Doc

from spacy_attn.components.attention_encoder import offsets_of
from spacy_attn.encoder.attention_map import (
    AttentionMap,
    HeadVectors,
    attention_map,
    head_vectors,
)
from spacy_attn.encoder.huggingface import EncoderSettings, HuggingFaceEncoder, shared_encoder

__all__ = ["attention_of", "head_of"]


def attention_of(
    doc: Doc,
    *,
    kind: str = "attention",
    layers: Sequence[int] | None = None,
    encoder: HuggingFaceEncoder | None = None,
) -> AttentionMap:
    """Which token of a Doc looks at which; computed now, nothing is stored on the Doc.

    Args:
        doc: any Doc; it needs no component.
        kind: "attention", "norms" or "rollout": see
            :func:`~spacy_attn.encoder.attention_map.attention_map`.
        layers: the numbers of those to keep, 1 the first; None keeps all.
        encoder: such as ``nlp.get_pipe("attention_encoder").encoder``; None takes
            all-MiniLM-L6-v2.

    Raises:
        ConfigError: an unknown kind or layer, or a map that would take more than 2 GB.
        ResourceError: the model is not on this machine.
    """
    encoder = encoder or shared_encoder(EncoderSettings())
    return attention_map(encoder, doc.text, offsets_of(doc), kind=kind, layers=layers)


def head_of(
    doc: Doc, *, layer: int, head: int, token: int, encoder: HuggingFaceEncoder | None = None
) -> HeadVectors:
    """Queries, keys and values of a head, in the window that gives a token its vector.

    Args:
        doc: any Doc.
        layer: its number, 1 the first.
        head: its number, 0 the first.
        token: the token's number.
        encoder: None takes all-MiniLM-L6-v2.

    Raises:
        ConfigError: no such layer, head or token, or an architecture that is not known.
    """
    encoder = encoder or shared_encoder(EncoderSettings())
    return head_vectors(
        encoder, doc.text, offsets_of(doc), layer=layer, head=head, token=token
    )  # fmt: skip

"""Attention maps of a Doc, and all that a model shows of one decision as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc

from spacy_attn._types import TokenRange
from spacy_attn.components.attention_encoder import offsets_of
from spacy_attn.encoder.attention_map import AttentionMap, HeadVectors, attention_map, head_vectors
from spacy_attn.encoder.huggingface import HuggingFaceEncoder, shared_encoder
from spacy_attn.errors import ConfigError
from spacy_attn.explain.attribution import map_around
from spacy_attn.explain.decision import Subject
from spacy_attn.settings import EncoderSettings


def attention_of(
    doc: Doc,
    *,
    kind: str = "attention",
    layers: Sequence[int] | None = None,
    within: TokenRange | None = None,
    encoder: HuggingFaceEncoder | None = None,
) -> AttentionMap:
    """Which token of a Doc looks at which; computed now, nothing is stored on the Doc.

    Args:
        doc: any Doc; it needs no component.
        kind: "attention", "norms" or "rollout": see
            :func:`~spacy_attn.encoder.attention_map.attention_map`.
        layers: the numbers of those to keep, 1 the first; None keeps all.
        within: first and end token of those to keep; None keeps all.
        encoder: such as ``nlp.get_pipe("attention_encoder").encoder``; None takes
            all-MiniLM-L6-v2.

    Raises:
        ConfigError: an unknown kind or layer, no such tokens, or a map that would take more than
            2 GB.
        ResourceError: the model is not on this machine.
    """
    encoder = encoder or shared_encoder(EncoderSettings())
    return attention_map(
        encoder, doc.text, offsets_of(doc), kind=kind, layers=layers, within=within
    )


def head_of(
    doc: Doc, *, layer: int, head: int, token: int, encoder: HuggingFaceEncoder | None = None
) -> HeadVectors:
    """Queries, keys and values of a head, in the window that gives a token its vector.

    Args:
        doc: any Doc.
        layer: its number, 1 the first.
        head: its number, 1 the first.
        token: the token's number.
        encoder: None takes all-MiniLM-L6-v2.

    Raises:
        ConfigError: no such layer, head or token, or an architecture that is not known.
    """
    encoder = encoder or shared_encoder(EncoderSettings())
    return head_vectors(encoder, doc.text, offsets_of(doc), layer=layer, head=head, token=token)


def save_attention(
    subject: Subject, path: str | Path, *, layer: int | None = None, head: int | None = None
) -> None:
    """Every layer and head round the word of a decision, as ``.npz``.

    ``weights`` (n_layers, n_heads, n_tokens, n_tokens) and ``special`` (n_layers, n_heads,
    n_tokens) of attention; ``norms``, ``norms_special``, ``rollout`` and ``rollout_special`` alike;
    ``tokens``, ``layers``, and ``first``, the number of the first token in the text. With a layer
    and a head also its ``queries``, ``keys`` and ``values`` (n_pieces, head width) and ``pieces``.
    Arrays begin at 0: ``weights[4, 1]`` is head 2 of layer 5.
    Norms, queries, keys and values are of the architectures that are known
    (:func:`~spacy_attn.encoder.attention_map.attention_map`); of others there are no ``norms``.

    Args:
        subject: the decision.
        path: a name that ends in .npz.
        layer: its number, 1 the first.
        head: its number, 1 the first.

    Raises:
        ConfigError: another ending, no such layer or head, a head without a layer, or a method
            that has no attention.
    """
    if Path(path).suffix != ".npz":
        raise ConfigError(f"{path}: allowed is a name that ends in .npz")
    if head is not None and layer is None:
        raise ConfigError(f"head = {head} needs a layer, such as layer = 6")
    arrays: dict[str, NDArray[Any]] = map_around(subject).arrays()
    for kind in ("norms", "rollout"):
        try:
            made = map_around(subject, kind)
        except ConfigError:  # attention has gone well: this architecture has no known values
            continue
        arrays |= {kind: made.weights, f"{kind}_special": made.special}
    if layer is not None and head is not None:
        context = subject.context
        found = head_vectors(
            subject.encoder,
            context.text,
            context.offsets,
            layer=layer,
            head=head,
            token=subject.target.start,
        )
        arrays |= {"queries": found.queries, "keys": found.keys, "values": found.values}
        arrays["pieces"] = np.array(found.pieces, dtype=np.str_)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]

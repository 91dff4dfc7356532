"""Which heads of attention follow the dependency parse of a Doc.

A head follows an arc *upwards* where the dependent looks at its syntactic head more than at any
other word, and *downwards* where the syntactic head looks most at the dependent; special tokens and
the word itself do not count (Clark et al. 2019, "What Does BERT Look At?", section 4.2; Voita et
al. 2019, "Analyzing Multi-Head Self-Attention", section 5.1.2).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc

from spacy_attn._types import TokenRange
from spacy_attn.encoder.attention_map import AttentionMap
from spacy_attn.encoder.huggingface import HuggingFaceEncoder
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.explain.attention import attention_of
from spacy_attn.files import regular_file
from spacy_attn.models import DEFAULT_ENCODER

#: Labels of arcs that say nothing of syntax.
LEFT_OUT = frozenset({"ROOT", "punct", "dep", ""})
#: The best head of the default encoder for each relation; ``python -m benchmarks.heads`` writes it.
KNOWN_HEADS = Path(str(files("spacy_attn") / "data" / "heads.json"))
_TOGETHER: Final = 512  # tokens of sentences whose weights are held at once, 75 MB in MiniLM


class Arc(NamedTuple):
    """A dependent, its head, and the label of what is between them."""

    dependent: int  # token of the Doc
    head: int
    label: str


def arcs_of(doc: Doc) -> list[Arc]:
    """The arcs of a parsed Doc, without punctuation, roots and white space."""
    return [
        Arc(token.i, token.head.i, token.dep_)
        for token in doc
        if token.dep_ not in LEFT_OUT and not token.is_space
    ]


def most_attended(attention: AttentionMap) -> NDArray[np.int64]:
    """The other token that each token looks at most, in every head.

    *Shape:* (n_layers, n_heads, n_tokens)
    """
    weights = attention.weights.copy()
    n_tokens = weights.shape[-1]
    weights[:, :, np.arange(n_tokens), np.arange(n_tokens)] = -1
    return np.asarray(weights.argmax(axis=-1), dtype=np.int64)


def followed(most: NDArray[np.int64], arcs: Sequence[Arc]) -> NDArray[np.bool_]:
    """Whether a head follows an arc, upwards and downwards.

    Args:
        most: as :func:`most_attended` gives it.
        arcs: of the same Doc.

    *Shape:* (n_layers, n_heads, n_tokens) -> (n_arcs, 2, n_layers, n_heads)
    """
    dependents = np.array([arc.dependent for arc in arcs], dtype=np.int64)
    heads = np.array([arc.head for arc in arcs], dtype=np.int64)
    up = most[:, :, dependents] == heads
    down = most[:, :, heads] == dependents
    return np.moveaxis(np.stack([up, down]), -1, 0)


# -- the user's sentence -------------------------------------------------------------------------


class KnownHead(NamedTuple):
    """The head of attention that follows a relation best."""

    layer: int  # 1 the first
    head: int  # 1 the first
    upwards: bool
    accuracy: float  # on sentences on which it was not chosen


@dataclass(frozen=True, slots=True)
class SeenArc:
    """An arc of a Doc, and what the head of attention for its relation looks at here."""

    arc: Arc
    head: KnownHead
    looks_at: int  # token that it looks at most: from the dependent if upwards, else from the head
    weight: float  # of that look
    follows: bool


@lru_cache(maxsize=4)
def known_heads(path: str | Path = KNOWN_HEADS) -> Mapping[str, KnownHead]:
    """The best head of an encoder for each relation of the parse.

    Args:
        path: what ``python -m benchmarks.heads MODEL`` wrote; the default is that of
            all-MiniLM-L6-v2 and en_core_web_sm.

    Raises:
        ResourceError: the file is missing or holds something else.
    """
    try:
        rows = json.loads(regular_file(path).read_text(encoding="utf-8"))
        return {label: KnownHead(*row) for label, row in rows.items()}
    except OSError as error:
        raise ResourceError(
            f"{path} cannot be read ({error.strerror}); write it with: python -m benchmarks.heads "
            "MODEL"
        ) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise ResourceError(
            f"{path} does not hold heads of attention ({error}); write it with: python -m "
            "benchmarks.heads MODEL"
        ) from error


def syntax_of(
    doc: Doc,
    *,
    encoder: HuggingFaceEncoder | None = None,
    heads: Mapping[str, KnownHead] | None = None,
) -> list[SeenArc]:
    """The arcs of a parsed Doc, and whether attention follows them.

    In a text of more than 512 tokens, a word's look falls on one of the sentences around it.

    Args:
        doc: with a dependency parse; relations without a known head are left out.
        encoder: None takes all-MiniLM-L6-v2.
        heads: of the relations; None takes :func:`known_heads`, of all-MiniLM-L6-v2.

    Raises:
        ConfigError: the Doc has words and no parse, or ``heads`` is missing for another encoder
            or names a head that the encoder does not have.
        ResourceError: the encoder is not on this machine.
    """
    if len(doc) and not doc.has_annotation("DEP"):
        raise ConfigError(
            "the Doc has no dependency parse; use a pipeline with a parser, such as en_core_web_sm"
        )
    if heads is None:
        if encoder is not None and encoder.settings.model != DEFAULT_ENCODER:
            raise ConfigError(
                f"the heads of {encoder.settings.model} are not known; give heads, measured with: "
                f"python -m benchmarks.heads {encoder.settings.model}"
            )
        heads = known_heads()
    arcs = [arc for arc in arcs_of(doc) if arc.label in heads]
    if not arcs:
        return []
    out = []
    for first, end in _together(doc):
        inside = [arc for arc in arcs if first <= arc.dependent < end]
        if inside:
            attention = attention_of(doc, encoder=encoder, within=(first, end))
            most = most_attended(attention)
            out += [_seen(attention, most, arc, heads[arc.label]) for arc in inside]
    return out


def _together(doc: Doc) -> Iterator[TokenRange]:
    """First and end token of neighbouring sentences: an arc never leaves its sentence."""
    first = end = 0
    for sent in doc.sents:
        if sent.end - first > _TOGETHER and end > first:
            yield first, end
            first = end
        end = sent.end
    if end > first:
        yield first, end


def _seen(attention: AttentionMap, most: NDArray[np.int64], arc: Arc, head: KnownHead) -> SeenArc:
    """What a head looks at from one end of an arc."""
    n_layers, n_heads = most.shape[:2]
    if not (1 <= head.layer <= n_layers and 1 <= head.head <= n_heads):
        raise ConfigError(
            f"head {head.layer}-{head.head} for {arc.label}; this encoder has layers 1 to "
            f"{n_layers} with heads 1 to {n_heads}: measure its own with: python -m "
            "benchmarks.heads MODEL"
        )
    first = attention.first
    start, end = (arc.dependent, arc.head) if head.upwards else (arc.head, arc.dependent)
    looks_at = int(most[head.layer - 1, head.head - 1, start - first])
    weight = float(attention.of(head.layer, head.head)[start - first, looks_at])
    return SeenArc(arc, head, looks_at + first, weight, looks_at + first == end)

"""An occurrence of a word as two vectors: the mean of its tokens and the mean of its context."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import Encoder, Floats2d, TokenRange
from spacy_attn.sentences import sentence_of
from spacy_attn.wsd.context import Context, Target
from spacy_attn.wsd.vectors import Texts

_BLOCK = 48  # targets at once: more would multiply with more zeros


def read_occurrences(
    texts: Texts, encoder: Encoder, targets: Sequence[Target], radius: int, *, across: bool = False
) -> Floats2d:
    """Mean target vector and mean context vector of each target, side by side.

    Only what they are made of is encoded.

    Args:
        texts: gives the vectors.
        encoder: makes them.
        targets: the words.
        radius: tokens each side of a target that count as its context, as far as its sentence
            goes. Without any the context is the target itself.
        across: whether the sentences around count too.

    *Shape:* (n_targets, 2 * width)
    """
    vectors = read_vectors(texts, encoder, targets, radius, across=across)
    return occurrences(texts, vectors, targets, radius, across=across)


def read_vectors(
    texts: Texts, encoder: Encoder, targets: Sequence[Target], radius: int, *, across: bool = False
) -> list[Floats2d | None]:
    """The vectors that the means of :func:`read_occurrences` are made of.

    *Shape:* for each text (n_tokens, width); None of one without targets
    """
    reads: list[list[TokenRange]] = [[] for _ in texts]
    for c, _, bounds in _bounds(texts, targets, radius, across):
        reads[c] = sorted(zip(bounds[:, 2].tolist(), bounds[:, 3].tolist(), strict=True))
    return texts.vectors(encoder, reads)


def occurrences(
    contexts: Sequence[Context],
    vectors: Sequence[Floats2d | None],
    targets: Sequence[Target],
    radius: int,
    *,
    across: bool = False,
) -> Floats2d:
    """The same of vectors that are there: for each context those of its tokens.

    *Shape:* of each of vectors (n_tokens, width) -> (n_targets, 2 * width)
    """
    blocks = []
    order: list[int] = []
    for c, rows, bounds in _bounds(contexts, targets, radius, across):
        array = vectors[c]
        if array is None:
            raise ValueError(f"text {c} has targets and no vectors")
        blocks.append(_means(array, bounds))
        order += rows
    out: Floats2d = np.concatenate(blocks)[np.argsort(order)]
    return out


def bounds_of(
    context: Context, target: Target, radius: int, *, across: bool = False
) -> tuple[int, int, int, int]:
    """Start and end of a target, first and end token of its context."""
    starts = [0] if across else context.sentence_starts
    first, last = sentence_of(starts, target.start, len(context.tokens))
    low, high = max(first, target.start - radius), min(last, target.end + radius)
    return target.start, target.end, low, high


def _bounds(
    contexts: Sequence[Context], targets: Sequence[Target], radius: int, across: bool
) -> Iterator[tuple[int, list[int], NDArray[np.int64]]]:
    """For each context with targets: its number, theirs, and their bounds.

    *Shape:* of the last (n, 4)
    """
    by_context: dict[int, list[int]] = {}
    for i, target in enumerate(targets):
        by_context.setdefault(target.context, []).append(i)
    for c, rows in by_context.items():
        bounds = [bounds_of(contexts[c], targets[i], radius, across=across) for i in rows]
        yield c, rows, np.array(bounds)


def _means(vectors: Floats2d, bounds: NDArray[np.int64]) -> Floats2d:
    """The two means of targets of one text.

    *Shape:* (n_tokens, width), (n, 4) as :func:`bounds_of` gives them -> (n, 2 * width)
    """
    out = np.empty((len(bounds), 2 * vectors.shape[1]), dtype=np.float32)
    for first in range(0, len(bounds), _BLOCK):
        part = bounds[first : first + _BLOCK]
        # Of a long text with few targets only the rows that are read take part.
        low = int(part[:, 2].min())
        is_read = np.zeros(int(part[:, 3].max()) - low + 1, dtype=np.int64)
        np.add.at(is_read, part[:, 2] - low, 1)
        np.add.at(is_read, part[:, 3] - low, -1)
        rows = low + np.flatnonzero(is_read.cumsum()[:-1])
        means = product(_weights(rows, part), vectors[rows])
        out[first : first + _BLOCK] = (
            means.reshape(2, len(part), -1).swapaxes(0, 1).reshape(len(part), -1)
        )
    return out


def _weights(rows: NDArray[np.int64], bounds: NDArray[np.int64]) -> Floats2d:
    """What makes means of rows: of the target's, then of those of its context without it.

    *Shape:* (n_rows,), (n, 4) -> (2 * n, n_rows)
    """
    start, end, low, high = bounds[:, :, None].transpose(1, 0, 2)
    target = (rows >= start) & (rows < end)
    context = (rows >= low) & (rows < high) & ~target
    alone = ~context.any(axis=1, keepdims=True)
    both = np.concatenate([target, np.where(alone, target, context)]).astype(np.float32)
    weights: Floats2d = both / both.sum(axis=1, keepdims=True)
    return weights


def unit_parts(parts: Floats2d) -> Floats2d:
    """Target and context vector to unit length each. *Shape:* (n, 2 * width), the same"""
    half = parts.shape[1] // 2
    return np.concatenate([unit_rows(parts[:, :half]), unit_rows(parts[:, half:])], axis=1)


def product(a: Floats2d, b: NDArray[np.float32]) -> NDArray[np.float32]:
    """``a @ b``, computed by torch.

    numpy computes with threads of its own, which stay awake for a while to wait for more work.
    Where torch has as many as there are cores, a short text would take twice the time.

    *Shape:* (n, k), (k, m) or (k,) -> (n, m) or (n,)
    """
    import torch

    out = np.empty((len(a), *b.shape[1:]), dtype=np.float32)
    # A product into a given array is left alone by autocast.
    torch.matmul(torch.from_numpy(a), torch.from_numpy(b), out=torch.from_numpy(out))
    return out


def unit_rows(rows: Floats2d) -> Floats2d:
    """Rows of length 1; a row of zeros stays one. *Shape:* (n, width), the same"""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(norms, 1e-9), dtype=np.float32)

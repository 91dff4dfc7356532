"""Which token may look at which: scaled dot-product attention in five patterns.

:class:`PatternedAttention` is the package's layer with one of them in place of full attention.

All compute ``softmax(q k^T / sqrt(head_width)) v`` (Vaswani et al. 2017, "Attention Is All You
Need", equation 1), each row's softmax over the keys that the pattern allows::

    full      window = 1   chunked         low_rank
    x x x x   x x . .      x x | x x       phi(q) . (phi(k)^T v): the square
    x x x x   x x x .      x x | x x       matrix is never formed
    x x x x   . x x x      ----+----
    x x x x   . . x x      x x | x x

=========  ==================  ====================================================
pattern    time and memory     against the dense matrix
=========  ==================  ====================================================
full       n^2, n^2 (less      it is the dense matrix
           where torch fuses)
window     n w, n w            equal to a band of it; further tokens are not seen
chunked    n^2, n c            equal; the softmax is put together chunk by chunk
low_rank   n m, n m            random; right on average
hierar-    n s + (n/s)^2, the  half a block of it, half the weights between the
chical     same                means of blocks
=========  ==================  ====================================================

"hierarchical" looks within blocks of s tokens (sentences), then between the means of the blocks
(the document), as Yang et al. 2016, "Hierarchical Attention Networks for Document Classification".

n tokens, w tokens each side, chunks of c, m random features. Axis names of every *Shape:* line
here: ``batch``, ``heads``, ``n_tokens``, ``head_width``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from spacy_attn.encoder.self_attention import MakeAttention, MultiHeadAttention
from spacy_attn.errors import ConfigError

PATTERNS = ("full", "window", "chunked", "low_rank", "hierarchical")


@dataclass(frozen=True, slots=True)
class Pattern:
    """Which tokens a token looks at, and how that is computed.

    Args:
        kind: one of ``PATTERNS``.
        window: of "window": tokens each side.
        chunk: of "chunked": tokens of a chunk; decides memory, not the result.
        sentence: of "hierarchical": tokens of a block.
        features: of "low_rank": random features of each head.
        seed: of "low_rank": draws them.

    Raises:
        ConfigError: no such pattern, or a size below 1.
    """

    kind: str = "full"
    window: int = 32
    chunk: int = 256
    sentence: int = 32
    features: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in PATTERNS:
            raise ConfigError(f"pattern = {self.kind!r}; allowed are {', '.join(PATTERNS)}")
        for name in ("window", "chunk", "sentence", "features"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)}; allowed is 1 or more")


class PatternedAttention(MultiHeadAttention):
    """Several attentions side by side, each in a pattern.

    Args:
        width: of the vectors.
        heads: a divisor of the width.
        dropout: share of the attention weights that training drops.
        pattern: which tokens a token looks at.

    Raises:
        ConfigError: as the class above, and dropout with "low_rank", which forms no weights.
    """

    def __init__(self, width: int, heads: int, dropout: float, pattern: Pattern) -> None:
        super().__init__(width, heads, dropout)
        if dropout and pattern.kind == "low_rank":
            raise ConfigError(
                f"attention_dropout = {dropout} with pattern = 'low_rank', which forms no weights "
                "to drop; allowed is 0"
            )
        self.pattern = pattern
        self.features: Tensor | None
        is_random = pattern.kind == "low_rank"
        drawn = random_features(pattern, width // heads) if is_random else None
        self.register_buffer("features", drawn, persistent=False)

    def attend(  # noqa: D102  see the class above
        self, query: Tensor, key: Tensor, value: Tensor, present: Tensor, dropout: float
    ) -> Tensor:
        return attend(query, key, value, present, self.pattern, dropout, self.features)

    def share(self, query: Tensor, key: Tensor, present: Tensor) -> Tensor:  # noqa: D102
        return attention_weights(query, key, present, self.pattern, self.features)


def patterned(pattern: Pattern) -> MakeAttention:
    """Makes the attention of a layer in a pattern."""
    return partial(PatternedAttention, pattern=pattern)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    present: Tensor,
    pattern: Pattern,
    dropout: float = 0.0,
    features: Tensor | None = None,
) -> Tensor:
    """Weighted means of the values; what stands at a padded position has no meaning.

    Args:
        query: *Shape:* (batch, heads, n_tokens, head_width)
        key: *Shape:* the same
        value: *Shape:* the same
        present: True for a token, False for padding; every text has a token.
            *Shape:* (batch, n_tokens)
        pattern: which keys count, and the way to compute it.
        dropout: share of attention weights that are dropped; 0 outside training.
        features: of "low_rank", see :func:`random_features`; None draws them anew.

    Returns:
        *Shape:* as ``query``
    """
    if pattern.kind == "window":
        return _window(query, key, value, present, pattern.window, dropout)
    if pattern.kind == "chunked":
        return _chunked(query, key, value, present, pattern.chunk, dropout)
    if pattern.kind == "hierarchical":
        return _hierarchical(query, key, value, present, pattern.sentence, dropout)
    if pattern.kind == "low_rank":
        if features is None:
            features = random_features(pattern, query.shape[-1]).to(query)
        return _low_rank(query, key, value, present, features)
    allowed = None if bool(present.all()) else present[:, None, None, :]
    return F.scaled_dot_product_attention(query, key, value, allowed, dropout)


def attention_weights(
    query: Tensor,
    key: Tensor,
    present: Tensor,
    pattern: Pattern,
    features: Tensor | None = None,
) -> Tensor:
    """The matrix of weights itself, for explanations and tests: dense, whatever the pattern.

    Args:
        query: *Shape:* (batch, heads, n_tokens, head_width)
        key: *Shape:* the same
        present: *Shape:* (batch, n_tokens)
        pattern: see :class:`Pattern`.
        features: as in :func:`attend`.

    Returns:
        Rows sum to 1. *Shape:* (batch, heads, n_tokens, n_tokens), from token, to token
    """
    if pattern.kind == "low_rank":
        if features is None:
            features = random_features(pattern, query.shape[-1]).to(query)
        products = _features_of_queries(query, features) @ (
            _features_of_keys(key, present, features).transpose(-1, -2)
        )
        return products / products.sum(-1, keepdim=True)
    if pattern.kind == "hierarchical":
        # What the values of each place alone would give, put together.
        n_tokens = present.shape[1]
        ones = torch.eye(n_tokens, dtype=query.dtype, device=query.device)
        places = ones.expand(*query.shape[:2], n_tokens, n_tokens)
        return _hierarchical(query, key, places, present, pattern.sentence, 0.0)
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    allowed = present[:, None, None, :]
    if pattern.kind == "window":
        allowed = allowed & _band(query.shape[-2], pattern.window, query.device)
        allowed = allowed | torch.eye(query.shape[-2], dtype=torch.bool, device=query.device)
    return scores.masked_fill(~allowed, float("-inf")).softmax(-1)


# -- window: blocks of queries against their own and the two neighbouring blocks of keys ---------


def _window(
    query: Tensor, key: Tensor, value: Tensor, present: Tensor, window: int, dropout: float
) -> Tensor:
    """Sliding-window attention (Beltagy et al. 2020, "Longformer", section 3.1).

    Blocks as long as the window, so that whatever a query may see lies in three of them::

        keys     |  block i-1  |  block i  |  block i+1  |
        query                      ^ j
        seen            [ j - window ... j + window ]

    *Shape:* as :func:`attend`
    """
    batch, heads, n_tokens, _ = query.shape
    block = min(window, n_tokens)
    n_blocks = -(-n_tokens // block)
    padding = n_blocks * block - n_tokens
    queries = F.pad(query, (0, 0, 0, padding))
    keys, values = (_three_blocks(each, block, padding) for each in (key, value))
    # (batch, 1, n_tokens, 1), so that the mask is cut into blocks like the keys.
    flags = present[:, None, :, None].to(query.dtype)
    seen = _three_blocks(flags, block, padding).squeeze(-1).bool()  # (batch, 1, n_blocks, 3 block)
    row = torch.arange(block, device=query.device)[:, None] + block  # place among three blocks
    column = torch.arange(3 * block, device=query.device)[None, :]
    allowed = seen.unsqueeze(-2) & ((row - column).abs() <= window)
    # A padded query that sees no key would be 0 / 0, and its gradient too: it sees itself.
    allowed = allowed | (row == column)
    out = F.scaled_dot_product_attention(
        queries.reshape(-1, block, query.shape[-1]),
        keys.reshape(-1, 3 * block, query.shape[-1]),
        values.reshape(-1, 3 * block, query.shape[-1]),
        allowed.expand(batch, heads, n_blocks, block, 3 * block).reshape(-1, block, 3 * block),
        dropout,
    )
    return out.reshape(batch, heads, n_blocks * block, -1)[:, :, :n_tokens]


def _three_blocks(tensor: Tensor, block: int, padding: int) -> Tensor:
    """Each block with the one before and the one after it, zeros beyond the ends.

    *Shape:* (batch, heads, n_tokens, width) -> (batch, heads, n_blocks, 3 * block, width)
    """
    padded = F.pad(tensor, (0, 0, block, padding + block))
    return padded.unfold(2, 3 * block, block).transpose(-1, -2)


def _band(n_tokens: int, window: int, device: torch.device) -> Tensor:
    """Whether two places are at most ``window`` apart. *Shape:* (n_tokens, n_tokens)"""
    place = torch.arange(n_tokens, device=device)
    return (place[:, None] - place[None, :]).abs() <= window


# -- chunked: exact, with a running maximum and a running sum ------------------------------------


def _chunked(
    query: Tensor, key: Tensor, value: Tensor, present: Tensor, chunk: int, dropout: float
) -> Tensor:
    """Exact attention without its matrix (Rabe and Staats 2021, "Self-attention does not need
    O(n^2) memory"). In training the scores of a chunk of queries are computed a second time for
    its gradient instead of being kept.

    *Shape:* as :func:`attend`
    """
    parts = []
    for queries in torch.split(query, chunk, 2):
        if torch.is_grad_enabled() and query.requires_grad:
            part = checkpoint(
                _online_softmax, queries, key, value, present, chunk, dropout, use_reentrant=False
            )
        else:
            part = _online_softmax(queries, key, value, present, chunk, dropout)
        parts.append(part)
    return torch.cat(parts, dim=2)


def _online_softmax(
    query: Tensor, key: Tensor, value: Tensor, present: Tensor, chunk: int, dropout: float
) -> Tensor:
    """Softmax over chunks of keys in one pass (Milakov and Gimelshein 2018, "Online normalizer
    calculation for softmax"): when a larger score comes, what was summed is scaled down to it.

    *Shape:* query (batch, heads, n, head_width), the others as :func:`attend` -> as query
    """
    query = query / math.sqrt(query.shape[-1])
    smallest = torch.finfo(query.dtype).min  # and not -inf: exp(min - min) is a number
    largest = query.new_full((*query.shape[:-1], 1), smallest)
    total, mean = torch.zeros_like(largest), torch.zeros_like(query)
    pieces = zip(
        torch.split(key, chunk, 2),
        torch.split(value, chunk, 2),
        torch.split(present, chunk, 1),
        strict=True,
    )
    for keys, values, here in pieces:
        scores = (query @ keys.transpose(-1, -2)).masked_fill(~here[:, None, None, :], smallest)
        now = torch.maximum(largest, scores.amax(-1, keepdim=True)).detach()
        shrink, weights = (largest - now).exp(), (scores - now).exp()
        total = total * shrink + weights.sum(-1, keepdim=True)
        # Dropout is for the weights, after the softmax: their sum stays as it is.
        mean = mean * shrink + F.dropout(weights, dropout) @ values
        largest = now
    return mean / total


# -- hierarchical: within sentences, then between them ---------------------------------------------


def _hierarchical(
    query: Tensor, key: Tensor, value: Tensor, present: Tensor, sentence: int, dropout: float
) -> Tensor:
    """Half of what the tokens of its block give, half of what the means of the blocks give.

    *Shape:* as :func:`attend`
    """
    n_tokens = query.shape[2]
    size = min(sentence, n_tokens)
    padding = -(-n_tokens // size) * size - n_tokens
    queries, keys, values = (
        F.pad(each, (0, 0, 0, padding)).reshape(*each.shape[:2], -1, size, each.shape[-1])
        for each in (query, key, value)
    )  # each (batch, heads, n_blocks, size, width)
    here = F.pad(present, (0, padding)).reshape(len(present), 1, -1, size)
    inside = F.scaled_dot_product_attention(queries, keys, values, _or_itself(here), dropout)
    counts = here.sum(-1, keepdim=True).clamp(min=1)
    q, k, v = ((each * here.unsqueeze(-1)).sum(3) / counts for each in (queries, keys, values))
    between = F.scaled_dot_product_attention(q, k, v, _or_itself(here.any(-1)), dropout)
    out = (inside + between.unsqueeze(3)) / 2
    return out.flatten(2, 3)[:, :, :n_tokens]


def _or_itself(present: Tensor) -> Tensor:
    """Each sees what is present, and itself: padding that sees no key would be 0 / 0.

    *Shape:* (..., n) -> (..., n, n)
    """
    itself = torch.eye(present.shape[-1], dtype=torch.bool, device=present.device)
    return present.unsqueeze(-2) | itself


# -- low rank: softmax as a product of positive random features ----------------------------------


def random_features(pattern: Pattern, head_width: int) -> Tensor:
    """Orthogonal Gaussian directions, the same for the same seed (Choromanski et al. 2021,
    "Rethinking Attention with Performers", section 2.4).

    Blocks of at most ``head_width`` directions are orthogonal to each other; their lengths are
    drawn like those of Gaussian vectors, so that the estimate stays unbiased.

    *Shape:* (pattern.features, head_width), float32
    """
    draw = torch.Generator().manual_seed(pattern.seed)
    blocks = []
    for first in range(0, pattern.features, head_width):
        n = min(head_width, pattern.features - first)
        square = torch.randn(head_width, head_width, generator=draw, dtype=torch.float64)
        rotation, triangle = torch.linalg.qr(square)
        # Without these signs the directions are not uniform, and the estimate is biased.
        rotation = rotation * triangle.diagonal().sign()
        lengths = torch.randn(n, head_width, generator=draw, dtype=torch.float64).norm(dim=1)
        blocks.append(rotation[:n] * lengths[:, None])
    return torch.cat(blocks).float()


def _low_rank(
    query: Tensor, key: Tensor, value: Tensor, present: Tensor, features: Tensor
) -> Tensor:
    """*Shape:* as :func:`attend`, features (n_features, head_width)"""
    of_queries = _features_of_queries(query, features)
    of_keys = _features_of_keys(key, present, features)
    sums = of_queries @ of_keys.sum(2).unsqueeze(-1)  # (batch, heads, n_tokens, 1)
    return of_queries @ (of_keys.transpose(-1, -2) @ value) / sums


def _features_of_queries(query: Tensor, features: Tensor) -> Tensor:
    """What divides out of a row, its largest feature, is taken away before exp().

    *Shape:* (batch, heads, n_tokens, head_width) -> (batch, heads, n_tokens, n_features)
    """
    logs = _log_features(query, features)
    return (logs - logs.amax(-1, keepdim=True).detach()).exp()


def _features_of_keys(key: Tensor, present: Tensor, features: Tensor) -> Tensor:
    """Likewise the largest of all keys of a text, which divides out of the whole; none of padding.

    *Shape:* (batch, heads, n_tokens, head_width) -> (batch, heads, n_tokens, n_features)
    """
    logs = _log_features(key, features)
    logs = logs.masked_fill(~present[:, None, :, None], float("-inf"))
    return (logs - logs.amax((-1, -2), keepdim=True).detach()).exp()


def _log_features(vectors: Tensor, features: Tensor) -> Tensor:
    """``log phi(x) = w . x - |x|^2 / 2`` for x scaled as in the softmax (lemma 1 there)."""
    scaled = vectors * vectors.shape[-1] ** -0.25
    logs: Tensor = scaled @ features.to(scaled).T - scaled.square().sum(-1, keepdim=True) / 2
    return logs

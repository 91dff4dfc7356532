"""Self-attention written out: every token's vector becomes a weighted mean of all of them::

    x (n_tokens, width)
      |-- query, key, value: three linear maps, each cut into heads
      |-- weights = softmax(query . key / sqrt(head_width)), row by row
      |-- weights . value, heads side by side, one linear map
      `-- + x, layer norm; a feed-forward layer; + , layer norm

Vaswani et al. 2017, "Attention Is All You Need" (section 3), in its own order of residual and
norm. :class:`MultiHeadAttention` has the arithmetic of ``torch.nn.MultiheadAttention`` and
:class:`SelfAttentionLayer` that of ``torch.nn.TransformerEncoderLayer``; tests hold both to it.

Axis names: ``batch``, ``n_tokens``, ``width``, ``heads``, ``head_width`` (width / heads).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spacy_attn.encoder.loading import MOST_LAYERS
from spacy_attn.errors import ConfigError


def sinusoidal_positions(n_tokens: int, width: int) -> Tensor:
    """Sines and cosines of wavelengths from 2 pi to 20,000 pi (Vaswani et al. 2017, section 3.5).

    Even columns are sines, odd ones cosines.

    *Shape:* (n_tokens, width)
    """
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10_000.0) / width))
    angles = torch.arange(n_tokens)[:, None] * rate
    out = torch.zeros(n_tokens, width, dtype=torch.float32)
    out[:, 0::2] = angles.sin()
    out[:, 1::2] = angles.cos()[:, : width // 2]
    return out


class MultiHeadAttention(nn.Module):
    """Several attentions side by side (Vaswani et al. 2017, section 3.2.2).

    Args:
        width: of the vectors.
        heads: a divisor of the width.
        dropout: share of the attention weights that training drops.

    Raises:
        ConfigError: the heads do not divide the width, or the dropout is outside 0 to below 1.
    """

    def __init__(self, width: int, heads: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            divisors = ", ".join(str(n) for n in range(1, width + 1) if width % n == 0)
            raise ConfigError(f"heads = {heads}; allowed are divisors of width {width}: {divisors}")
        if not 0.0 <= dropout < 1.0:
            raise ConfigError(f"attention_dropout = {dropout}; allowed is 0 to below 1")
        self.heads, self.dropout = heads, dropout
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        for linear in (self.query, self.key, self.value, self.out):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor, present: Tensor, memory: Tensor | None = None) -> Tensor:
        """What each token gathers from the others, or from those of a memory (cross-attention).

        *Shape:* x (batch, n_tokens, width), memory (batch, n_keys, width), present (batch, n_keys),
        or (batch, n_tokens, n_keys) where each token has its own -> as x
        """
        looked_at = x if memory is None else memory
        query = self._cut(self.query(x))
        key, value = self._cut(self.key(looked_at)), self._cut(self.value(looked_at))
        dropout = self.dropout if self.training else 0.0
        gathered = self.attend(query, key, value, present, dropout)
        joined: Tensor = self.out(gathered.transpose(1, 2).flatten(2))
        return joined

    def weights(self, x: Tensor, present: Tensor, memory: Tensor | None = None) -> Tensor:
        """How much each token takes from each; rows sum to 1, columns of padding are 0.

        *Shape:* as :meth:`forward` -> (batch, heads, n_tokens, n_keys), from token, to token
        """
        looked_at = x if memory is None else memory
        return self.share(self._cut(self.query(x)), self._cut(self.key(looked_at)), present)

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, present: Tensor, dropout: float
    ) -> Tensor:
        """Weighted means of the values; what stands at a padded position has no meaning.

        *Shape:* query, key, value (batch, heads, n_tokens, head_width), present as of
        :meth:`forward` -> as query
        """
        allowed = None if bool(present.all()) else _of_heads(present)
        return F.scaled_dot_product_attention(query, key, value, allowed, dropout)

    def share(self, query: Tensor, key: Tensor, present: Tensor) -> Tensor:
        """The matrix of weights of :meth:`attend`.

        *Shape:* as there -> (batch, heads, n_tokens, n_tokens), from token, to token
        """
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        return scores.masked_fill(~_of_heads(present), float("-inf")).softmax(-1)

    def _cut(self, x: Tensor) -> Tensor:
        """*Shape:* (batch, n_tokens, width) -> (batch, heads, n_tokens, head_width)"""
        return x.reshape(*x.shape[:-1], self.heads, -1).transpose(1, 2)


def _of_heads(present: Tensor) -> Tensor:
    """Which keys count, for all heads. *Shape:* -> (batch, 1, 1 or n_tokens, n_keys)"""
    return present[:, None, None, :] if present.dim() == 2 else present[:, None]


#: Makes the attention of a layer, of width, heads and dropout.
MakeAttention = Callable[[int, int, float], MultiHeadAttention]


class SelfAttentionLayer(nn.Module):
    """Attention and a feed-forward layer, each with residual and layer norm (section 3.1, 3.3).

    Args:
        width: of the vectors.
        heads: see :class:`MultiHeadAttention`.
        hidden: width inside the feed-forward layer.
        dropout: of what attention and feed-forward layer give, in training.
        attention_dropout: of the attention weights, in training.
        attention: makes its attention; every token looks at every token where it is not given.
    """

    def __init__(
        self,
        width: int,
        heads: int = 1,
        hidden: int | None = None,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        attention: MakeAttention = MultiHeadAttention,
    ) -> None:
        super().__init__()
        self.attention = attention(width, heads, attention_dropout)
        self.inner = nn.Linear(width, hidden or 4 * width)
        self.outer = nn.Linear(hidden or 4 * width, width)
        self.attention_norm, self.norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """*Shape:* x (batch, n_tokens, width), present (batch, n_tokens) -> as x"""
        x = self.attention_norm(x + self.drop(self.attention(x, present)))
        out: Tensor = self.norm(x + self.drop(self.outer(self.inner(x).relu())))
        return out


class SelfAttention(nn.Module):
    """Layers one after the other.

    Args:
        layers: how many.
        width: of the vectors.
        heads: see :class:`MultiHeadAttention`.
        hidden: width inside the feed-forward layers; None is four times the width.
        dropout: see :class:`SelfAttentionLayer`.
        attention_dropout: see :class:`SelfAttentionLayer`.
        attention: makes its attention; every token looks at every token where it is not given.

    Raises:
        ConfigError: more layers than any model has, which would take the memory.
    """

    def __init__(
        self,
        layers: int,
        width: int,
        heads: int = 1,
        hidden: int | None = None,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        attention: MakeAttention = MultiHeadAttention,
    ) -> None:
        super().__init__()
        if not 0 <= layers <= MOST_LAYERS:
            raise ConfigError(f"layers = {layers}; allowed: 0 to {MOST_LAYERS}")
        self.layers = nn.ModuleList(
            SelfAttentionLayer(width, heads, hidden, dropout, attention_dropout, attention)
            for _ in range(layers)
        )

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """*Shape:* x (batch, n_tokens, width), present (batch, n_tokens) -> as x"""
        for layer in self.layers:
            x = layer(x, present)
        return x

    def weights(self, x: Tensor, present: Tensor) -> Tensor:
        """The attention weights of every layer.

        *Shape:* as :meth:`forward` -> (layers, batch, heads, n_tokens, n_tokens)
        """
        out = []
        for layer in self.layers:
            out.append(layer.attention.weights(x, present))  # type: ignore[operator,union-attr]
            x = layer(x, present)
        return torch.stack(out)

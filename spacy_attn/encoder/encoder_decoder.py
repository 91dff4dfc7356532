"""An encoder-decoder with attention between the two: it reads one row of symbols, writes another::

    source symbols -- vectors + positions -- layers of self-attention --> memory
                                                                            |
    what is written so far -- vectors + positions -- self-attention,        | keys, values
                              no look ahead ------------------------- cross-attention
                                                                            |
                                              feed-forward layer -- next symbol

Vaswani et al. 2017, "Attention Is All You Need" (section 3). One thing is added: at each step the
decoder may copy a symbol of the source instead of choosing one from all, with the weights of its
last cross-attention (See, Liu and Manning 2017, "Get To The Point", section 2.2).

Axis names: ``batch``, ``n_source`` and ``n_target`` symbols, ``width``; ``n_symbols`` there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spacy_attn.encoder.self_attention import (
    MultiHeadAttention,
    SelfAttention,
    SelfAttentionLayer,
    sinusoidal_positions,
)

PAD = 0  # the symbol that fills short rows


@dataclass(frozen=True, slots=True)
class EncoderDecoderConfig:
    """What the network is made of; stored with its weights."""

    n_symbols: int
    width: int = 96
    layers: int = 2  # of the encoder, and as many of the decoder
    heads: int = 4
    hidden: int = 192  # width inside the feed-forward layers
    dropout: float = 0.1


class DecoderLayer(SelfAttentionLayer):
    """Self-attention without a look ahead, cross-attention, feed-forward layer (section 3.1).

    It has the arithmetic of ``torch.nn.TransformerDecoderLayer``; a test holds it to that.

    Args:
        width: of the vectors.
        heads: see :class:`~spacy_attn.encoder.self_attention.MultiHeadAttention`.
        hidden: width inside the feed-forward layer.
        dropout: of what each part gives, in training.
    """

    def __init__(self, width: int, heads: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__(width, heads, hidden, dropout)
        self.cross = MultiHeadAttention(width, heads)
        self.cross_norm = nn.LayerNorm(width)

    def decode(self, y: Tensor, memory: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """The vectors of what is written, and how much each of them looks at each source symbol.

        *Shape:* y (batch, n_target, width), memory (batch, n_source, width), present (batch,
        n_source) -> as y, (batch, heads, n_target, n_source)
        """
        n_target = y.shape[1]
        until_now = torch.ones(1, n_target, n_target, dtype=torch.bool, device=y.device).tril()
        y = self.attention_norm(y + self.drop(self.attention(y, until_now)))
        weights = self.cross.weights(y, present, memory)
        y = self.cross_norm(y + self.drop(self.cross(y, present, memory)))
        out: Tensor = self.norm(y + self.drop(self.outer(self.inner(y).relu())))
        return out, weights


class EncoderDecoder(nn.Module):
    """See the module.

    Args:
        config: see :class:`EncoderDecoderConfig`.
    """

    def __init__(self, config: EncoderDecoderConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.embedding = nn.Embedding(config.n_symbols, width, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=1 / math.sqrt(width))
        self.encoder = SelfAttention(
            config.layers, width, config.heads, config.hidden, config.dropout
        )
        self.decoder = nn.ModuleList(
            DecoderLayer(width, config.heads, config.hidden, config.dropout)
            for _ in range(config.layers)
        )
        self.is_copied = nn.Linear(width, 1)
        self.drop = nn.Dropout(config.dropout)

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """The memory of the source, and where it holds symbols.

        *Shape:* (batch, n_source) -> (batch, n_source, width), (batch, n_source)
        """
        present = source != PAD
        memory: Tensor = self.encoder(self._embedded(source), present)
        return memory, present

    def decode(
        self, target: Tensor, source: Tensor, memory: Tensor, present: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the symbol after each one, and the weights of the last layer.

        Args:
            target: what is written so far; a row is padded at its end alone.
            source: what :meth:`encode` read.
            memory: of it.
            present: of it.

        *Shape:* (batch, n_target), (batch, n_source), (batch, n_source, width), (batch, n_source)
        -> (batch, n_target, n_symbols), (batch, heads, n_target, n_source)
        """
        y, weights = self._embedded(target), memory
        for layer in self.decoder:
            y, weights = layer.decode(y, memory, present)  # type: ignore[operator]
        chosen = (y @ self.embedding.weight.T).log_softmax(-1)
        copied = torch.zeros_like(chosen).scatter_add_(
            2, source[:, None, :].expand(-1, y.shape[1], -1), weights.mean(1)
        )
        gate = self.is_copied(y)
        logs = torch.logaddexp(
            chosen + nn.functional.logsigmoid(-gate),
            copied.clamp(min=1e-9).log() + nn.functional.logsigmoid(gate),
        )
        return logs, weights

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """*Shape:* (batch, n_source), (batch, n_target) -> (batch, n_target, n_symbols)"""
        memory, present = self.encode(source)
        return self.decode(target, source, memory, present)[0]

    def _embedded(self, symbols: Tensor) -> Tensor:
        """*Shape:* (batch, n) -> (batch, n, width)"""
        width = self.config.width
        places = sinusoidal_positions(symbols.shape[1], width).to(self.embedding.weight)
        out: Tensor = self.drop(self.embedding(symbols) * math.sqrt(width) + places)
        return out

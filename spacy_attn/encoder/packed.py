"""BERT's forward pass over the wordpieces of many texts laid one behind another, without padding.

The rows of a batch have different lengths. Padded to the longest, every matrix product would also
compute what nobody reads; here all rows lie in one matrix, and only the attention of a row to
itself is computed in a padded block. Queries, keys and values come out of one product, GELU and
the residual sum are part of the products around them (oneDNN's fused linear layer, which for
single precision is twice as fast as the default on processors that are not Intel's), and no layer
above the highest that is read is computed.

The arithmetic is that of Devlin et al. 2019 ("BERT") and Vaswani et al. 2017 ("Attention Is All
You Need"); tests hold it against Hugging Face's own forward pass.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spacy_attn._types import Floats2d
from spacy_attn.encoder.device import inference

logger = logging.getLogger("spacy_attn")

_ROBERTA = frozenset({"roberta", "xlm-roberta", "camembert"})
_SUPPORTED = _ROBERTA | {"bert", "electra"}
_ROUND = 128  # pieces of a batch are filled up to a multiple of it
_ROUND_ROW = 32  # likewise a row in the attention: softmax is slow over other lengths
_MOST_KEPT = 2**23  # numbers of scratch memory that a thread keeps
_MASKED = -1e4  # added to the scores of padding; exp() of it is 0 in every precision

#: A tensor of a model by its name.
Weights = Callable[[str], Tensor]
#: Linear layer, x -> x W + b, with GELU behind it where asked for.
Linear = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class _Layer:
    """Weights of one layer, each with its bias. *Shape:* (out, in), (out,)"""

    query_key_value: tuple[Tensor, Tensor]
    attention_out: tuple[Tensor, Tensor]
    attention_norm: tuple[Tensor, Tensor]
    intermediate: tuple[Tensor, Tensor]
    out: tuple[Tensor, Tensor]
    norm: tuple[Tensor, Tensor]


class PackedBert:
    """A BERT, RoBERTa or ELECTRA encoder as one function from piece ids to vectors.

    Args:
        config: of the model, as its ``config.json`` has it.
        weights: gives a tensor of the model by its name there; it is copied.
        dtype: of the arithmetic.
        layers: those whose mean is the result; 0 is the embedding layer.
        device: where it runs.

    Raises:
        KeyError: the model lacks a weight.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        weights: Weights,
        dtype: torch.dtype,
        layers: Sequence[int],
        device: str = "cpu",
    ) -> None:
        self._n_heads = int(config["num_attention_heads"])
        self._width = int(config["hidden_size"])
        self._epsilon = float(config.get("layer_norm_eps", 1e-12))
        self._read = tuple(layers)
        self._dtype, self._device = dtype, torch.device(device)

        def own(name: str, to: torch.dtype = dtype) -> Tensor:
            """A copy: all weights of a file share its memory, which is to go with the file."""
            return weights(name).detach().to(self._device, to, copy=True)

        def pair(name: str, to: torch.dtype = dtype) -> tuple[Tensor, Tensor]:
            return own(f"{name}.weight", to), own(f"{name}.bias", to)

        exact = torch.float32
        self._words = own("embeddings.word_embeddings.weight")
        # Every piece is of the first segment, so the segment's vector is part of the position's.
        segment = own("embeddings.token_type_embeddings.weight", exact)[0]
        self._positions = own("embeddings.position_embeddings.weight", exact) + segment
        roberta = config["model_type"] in _ROBERTA
        self._first_position = int(config["pad_token_id"]) + 1 if roberta else 0
        self._embedding_norm = pair("embeddings.LayerNorm", exact)
        narrow = self._words.shape[1] != self._width  # ELECTRA's
        self._project = pair("embeddings_project", exact) if narrow else None
        fused = self._device.type == "cpu" and fused_linear_works(dtype)
        self._ops: _Ops = _FUSED if fused else _PLAIN
        arrange = _fused_layer if fused else _as_it_is
        self._layers = [
            arrange(_take_layer(f"encoder.layer.{i}", pair)) for i in range(max(self._read))
        ]

    @staticmethod
    def supports(config: Mapping[str, Any]) -> bool:
        """Whether a model with this ``config.json`` is one that this class computes."""
        return (
            config.get("model_type") in _SUPPORTED
            and config.get("position_embedding_type") in (None, "absolute")
            and config.get("hidden_act", "gelu") == "gelu"
            and not config.get("is_decoder")
            and not config.get("add_cross_attention")
        )

    def __call__(self, rows: Sequence[Sequence[int]]) -> Floats2d:
        """Vectors of all pieces of some rows, special tokens included, one row after another.

        *Shape:* (sum of the rows' lengths, width), float32
        """
        with inference(self._device.type):
            return self._vectors(rows)

    def _vectors(self, rows: Sequence[Sequence[int]]) -> Floats2d:
        batch = _Batch.of(rows, self._device, self._dtype, self._n_heads)
        x = self._embeddings(batch)
        read = [x.float()] * self._read.count(0)
        for number, layer in enumerate(self._layers, start=1):
            x = self._layer(x, layer, batch)
            read += [x.float()] * self._read.count(number)
        mean: Floats2d = (sum(read[1:], read[0]) / len(read))[: batch.n_pieces].cpu().numpy()
        return mean

    def _embeddings(self, batch: _Batch) -> Tensor:
        x = F.embedding(batch.ids, self._words).float()
        x = x + F.embedding(batch.positions + self._first_position, self._positions)
        x = F.layer_norm(x, (x.shape[-1],), *self._embedding_norm, self._epsilon)
        if self._project is not None:
            x = F.linear(x, *self._project)
        return x.to(self._dtype)

    def _layer(self, x: Tensor, layer: _Layer, batch: _Batch) -> Tensor:
        """One layer. *Shape:* (n_pieces, width), the same"""
        ops, norm = self._ops, self._norm
        attended = self._attend(ops.linear(x, *layer.query_key_value), batch)
        x = norm(ops.linear_add(attended, *layer.attention_out, x), layer.attention_norm)
        between = ops.linear_gelu(x, *layer.intermediate)
        return norm(ops.linear_add(between, *layer.out, x), layer.norm)

    def _attend(self, projected: Tensor, batch: _Batch) -> Tensor:
        """Each row to itself. *Shape:* (n, 3 * width) -> (n, width)"""
        shape = batch.n_rows, batch.longest, 3, self._n_heads, -1
        spread = projected.index_select(0, batch.spread).view(shape).permute(2, 0, 3, 1, 4)
        query, key, value = spread
        if batch.scratch is None:
            out = F.scaled_dot_product_attention(query, key, value, attn_mask=batch.mask)
        else:
            out = _attention(query, key, value, batch.mask, batch.scratch)
        out = out.transpose(1, 2).reshape(batch.n_rows * batch.longest, self._width)
        return out.index_select(0, batch.gather)

    def _norm(self, x: Tensor, weights: tuple[Tensor, Tensor]) -> Tensor:
        return F.layer_norm(x, (self._width,), *weights, self._epsilon)


def _attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scratch: tuple[Tensor, Tensor]
) -> Tensor:
    """Scaled dot-product attention in three steps.

    torch's fused kernel never holds all scores, which on a CPU and for rows of some hundred
    pieces costs more than it saves; memory that is used again for every layer saves the rest.

    *Shape:* three (n_rows, n_heads, longest, head width), mask (n_rows, 1, 1, longest), scratch two
    (n_rows * n_heads, longest, longest) -> as the first three
    """
    scores, weights = scratch
    flat = (len(query) * query.shape[1], *query.shape[2:])
    q, k, v = query.reshape(flat), key.reshape(flat), value.reshape(flat)
    mask = mask.expand(-1, query.shape[1], -1, -1).reshape(flat[0], 1, -1)
    scale = query.shape[-1] ** -0.5
    torch.baddbmm(mask, q, k.transpose(1, 2), alpha=scale, out=scores)
    torch.softmax(scores, -1, out=weights)
    return torch.bmm(weights, v).view(query.shape)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows of piece ids, one behind another.

    Pieces that nobody reads fill it up to a multiple of a round number: oneDNN compiles and keeps a
    kernel for each size that it meets.

    *Shape:* ids, positions (n,); spread (n_rows * longest,) and gather (n,) lead from there to the
    padded block and back; mask (n_rows, 1, 1, longest); scratch, on a CPU alone, two
    (n_rows * n_heads, longest, longest).
    """

    ids: Tensor
    positions: Tensor
    spread: Tensor
    gather: Tensor
    mask: Tensor
    n_rows: int
    longest: int
    n_pieces: int
    scratch: tuple[Tensor, Tensor] | None = None

    @classmethod
    def of(
        cls, rows: Sequence[Sequence[int]], device: torch.device, dtype: torch.dtype, n_heads: int
    ) -> _Batch:
        lengths = np.array([len(row) for row in rows])
        longest = -(-int(lengths.max()) // _ROUND_ROW) * _ROUND_ROW
        places = np.arange(longest)
        real = places < lengths[:, None]
        n_pieces = int(lengths.sum())
        flat = np.zeros(-(-n_pieces // _ROUND) * _ROUND, dtype=np.int64)
        positions = np.zeros_like(flat)
        flat[:n_pieces] = np.fromiter((piece for row in rows for piece in row), np.int64, n_pieces)
        positions[:n_pieces] = np.broadcast_to(places, real.shape)[real]
        starts = np.cumsum(lengths) - lengths
        # Padding repeats the first piece of its row; the mask hides it.
        spread = (np.where(real, places, 0) + starts[:, None]).reshape(-1)
        gather = np.zeros_like(flat)
        gather[:n_pieces] = np.flatnonzero(real)
        mask = torch.zeros(real.shape, dtype=dtype)
        mask[torch.from_numpy(~real)] = _MASKED
        mask = mask[:, None, None].to(device)
        arrays = (flat, positions, spread, gather)
        ids, at, there, back = (torch.from_numpy(array).to(device) for array in arrays)
        scratch = None
        if device.type == "cpu":
            scratch = _scratch(dtype, (len(rows) * n_heads, longest, longest))
        return cls(ids, at, there, back, mask, len(rows), longest, n_pieces, scratch)


_kept = threading.local()


def _scratch(dtype: torch.dtype, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Two blocks of memory that this thread has for itself, and uses for every batch.

    *Shape:* two of the shape
    """
    n = shape[0] * shape[1] * shape[2]
    flat: Tensor | None = getattr(_kept, str(dtype), None)
    if flat is None or flat.shape[1] < n:
        flat = torch.empty((2, n), dtype=dtype)
        if n <= _MOST_KEPT:
            setattr(_kept, str(dtype), flat)
    scores, weights = flat[:, :n]
    return scores.view(shape), weights.view(shape)


# -- linear layers -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Ops:
    """The three linear layers that a Transformer needs.

    *Shape:* x (n, in), weight (out, in), bias (out,), residual (n, out) -> (n, out)
    """

    linear: Linear
    linear_gelu: Linear
    linear_add: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def _linear_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.gelu(F.linear(x, weight, bias))


def _linear_add(x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor) -> Tensor:
    return F.linear(x, weight, bias) + residual


def fused_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The product by oneDNN with a weight that :func:`reordered` gave.

    *Shape:* (..., in), weight of (out, in), (out,) -> (..., out)
    """
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


def _onednn_linear_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "gelu", [], "none")
    return out


def _onednn_linear_add(x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, residual, weight, bias, "add")
    return out


_PLAIN = _Ops(F.linear, _linear_gelu, _linear_add)
_FUSED = _Ops(fused_linear, _onednn_linear_gelu, _onednn_linear_add)
_works: dict[torch.dtype, bool] = {}


def fused_linear_works(dtype: torch.dtype) -> bool:
    """Whether this build of torch has oneDNN's fused linear layers, and they compute the same.

    They are what ``torch.compile`` uses on a CPU, and no part of torch's public interface; so a
    small product is compared with the public one before they are trusted.
    """
    if dtype not in _works:
        _works[dtype] = _try_fused(dtype)
        if not _works[dtype]:
            logger.info("no fused linear layers for %s: the plain ones are used", dtype)
    return _works[dtype]


@torch.inference_mode()
def _try_fused(dtype: torch.dtype) -> bool:
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    wave = torch.linspace(-1.0, 1.0, 33 * 32).to(dtype)
    x, weight = wave[: 17 * 32].view(17, 32), wave[32:].view(32, 32)
    bias, residual = wave[:32], x.flip(0)
    try:
        packed = reordered(weight)
        for plain, fused, more in (
            (_PLAIN.linear, _FUSED.linear, ()),
            (_PLAIN.linear_gelu, _FUSED.linear_gelu, ()),
            (_PLAIN.linear_add, _FUSED.linear_add, (residual,)),
        ):
            want, got = plain(x, weight, bias, *more), fused(x, packed, bias, *more)
            if not torch.allclose(got.float(), want.float(), rtol=0.02, atol=0.02):
                return False
    except (RuntimeError, AttributeError, TypeError):  # another version, another processor
        return False
    return True


def reordered(weight: Tensor) -> Tensor:
    """The weight in the layout that oneDNN multiplies fastest."""
    out: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight)
    return out


def _as_it_is(layer: _Layer) -> _Layer:
    return layer


def _fused_layer(layer: _Layer) -> _Layer:
    def one(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return reordered(pair[0]), pair[1]

    return _Layer(
        one(layer.query_key_value),
        one(layer.attention_out),
        layer.attention_norm,
        one(layer.intermediate),
        one(layer.out),
        layer.norm,
    )


def _take_layer(name: str, pair: Callable[[str], tuple[Tensor, Tensor]]) -> _Layer:
    parts = [pair(f"{name}.attention.self.{part}") for part in ("query", "key", "value")]
    return _Layer(
        (torch.cat([weight for weight, _ in parts]), torch.cat([bias for _, bias in parts])),
        pair(f"{name}.attention.output.dense"),
        pair(f"{name}.attention.output.LayerNorm"),
        pair(f"{name}.intermediate.dense"),
        pair(f"{name}.output.dense"),
        pair(f"{name}.output.LayerNorm"),
    )

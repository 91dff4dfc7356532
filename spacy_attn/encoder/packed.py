"""BERT's forward pass over the wordpieces of many texts laid one behind another.

The rows of a batch have different lengths; all lie in one matrix, each row filled up to a small
step and no further (:mod:`spacy_attn.encoder.rows`). Queries, keys and values come out of one
product, and no layer above the highest that is read is computed. How the products and the
attention are computed is measured for each processor (:mod:`spacy_attn.encoder.tuning`).

The arithmetic is that of Devlin et al. 2019 ("BERT") and Vaswani et al. 2017 ("Attention Is All
You Need"); tests hold it against Hugging Face's own forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from spacy_attn._types import Floats2d
from spacy_attn.encoder.attention import attend
from spacy_attn.encoder.device import inference
from spacy_attn.encoder.linear import Ops, ops_for
from spacy_attn.encoder.rows import Batch
from spacy_attn.encoder.tuning import Choice, Shape, pick_choice

_ROBERTA = frozenset({"roberta", "xlm-roberta", "camembert"})
_SUPPORTED = _ROBERTA | {"bert", "electra"}

#: A tensor of a model by its name.
Weights = Callable[[str], Tensor]


@dataclass(frozen=True, slots=True)
class Layer:
    """Weights of one layer, each with its bias. *Shape:* (out, in), (out,)"""

    query_key_value: tuple[Any, Tensor]
    attention_out: tuple[Any, Tensor]
    attention_norm: tuple[Tensor, Tensor]
    intermediate: tuple[Any, Tensor]
    out: tuple[Any, Tensor]
    norm: tuple[Tensor, Tensor]


class PackedBert:
    """A BERT, RoBERTa or ELECTRA encoder as one function from piece ids to vectors.

    Args:
        config: of the model, as its ``config.json`` has it.
        weights: gives a tensor of the model by its name there; it is copied.
        dtype: of the arithmetic.
        layers: those whose mean is the result; 0 is the embedding layer.
        device: where it runs.
        choice: how it is computed; None: as was measured to be fastest here.
        ops: the products; None: those of the choice.

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
        choice: Choice | None = None,
        ops: Ops | None = None,
    ) -> None:
        self._n_heads = int(config["num_attention_heads"])
        self._width = int(config["hidden_size"])
        self._epsilon = float(config.get("layer_norm_eps", 1e-12))
        if not 0.0 < self._epsilon < 1.0:  # infinity makes every vector zero
            raise ValueError(f"layer_norm_eps = {self._epsilon}; allowed: above 0, below 1")
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
        self.choice = choice or pick_choice(
            Shape(self._width, int(config["intermediate_size"]), self._n_heads, dtype), device
        )
        self._ops = ops or ops_for(self.choice.linear)
        self._layers = [_take_layer(i, pair, self._ops.arranged) for i in range(max(self._read))]

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
        batch = Batch.of(rows, self.choice.step, self._device, self._dtype)
        x = self._embeddings(batch)
        read = [x.float()] * self._read.count(0)
        for number, layer in enumerate(self._layers, start=1):
            x = self._layer(x, layer, batch)
            read += [x.float()] * self._read.count(number)
        mean = read[0] if len(read) == 1 else sum(read[1:], read[0]) / len(read)
        kept = mean[: batch.n_pieces] if batch.real is None else mean.index_select(0, batch.real)
        vectors: Floats2d = kept.cpu().numpy()
        return vectors

    def _embeddings(self, batch: Batch) -> Tensor:
        x = F.embedding(batch.ids, self._words).float()
        x = x + F.embedding(batch.positions + self._first_position, self._positions)
        x = F.layer_norm(x, (x.shape[-1],), *self._embedding_norm, self._epsilon)
        if self._project is not None:
            x = F.linear(x, *self._project)
        return x.to(self._dtype)

    def _layer(self, x: Tensor, layer: Layer, batch: Batch) -> Tensor:
        """One layer. *Shape:* (n_pieces, width), the same"""
        ops, norm = self._ops, self._norm
        attended = self._attend(ops.linear(x, *layer.query_key_value), batch)
        x = norm(ops.linear_add(attended, *layer.attention_out, x), layer.attention_norm)
        between = ops.linear_gelu(x, *layer.intermediate)
        return norm(ops.linear_add(between, *layer.out, x), layer.norm)

    def _attend(self, projected: Tensor, batch: Batch) -> Tensor:
        """Each row to itself. *Shape:* (n, 3 * width) -> (n, width)"""
        parts = [
            attend(projected[group.pieces], group, self._n_heads, self.choice.attention)
            for group in batch.groups
        ]
        filling = len(projected) - sum(len(part) for part in parts)
        if filling:
            parts.append(projected.new_zeros(filling, self._width))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _norm(self, x: Tensor, weights: tuple[Tensor, Tensor]) -> Tensor:
        return F.layer_norm(x, (self._width,), *weights, self._epsilon)


def _take_layer(
    number: int,
    pair: Callable[[str], tuple[Tensor, Tensor]],
    arranged: Callable[[int, str, Tensor, Tensor], tuple[Any, Tensor]],
) -> Layer:
    """A layer with its matrices laid out for the products."""
    name = f"encoder.layer.{number}"

    def linear(part: str, *names: str) -> tuple[Any, Tensor]:
        weights, biases = zip(*(pair(f"{name}.{each}") for each in names), strict=True)
        return arranged(number, part, torch.cat(weights), torch.cat(biases))

    heads = (f"attention.self.{each}" for each in ("query", "key", "value"))
    return Layer(
        linear("query_key_value", *heads),
        linear("attention_out", "attention.output.dense"),
        pair(f"{name}.attention.output.LayerNorm"),
        linear("intermediate", "intermediate.dense"),
        linear("out", "output.dense"),
        pair(f"{name}.output.LayerNorm"),
    )

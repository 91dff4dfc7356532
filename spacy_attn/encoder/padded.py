"""The forward pass of any Hugging Face encoder, rows padded to the longest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from spacy_attn._types import Floats2d
from spacy_attn.encoder.device import inference
from spacy_attn.encoder.linear import fused_linear, reordered
from spacy_attn.encoder.tuning import Shape, pick_choice


class PaddedModel:
    """An encoder of any architecture as one function from piece ids to vectors.

    Args:
        model: Hugging Face's model; its linear layers are changed for oneDNN's where that helps.
        dtype: of the arithmetic.
        layers: those whose mean is the result; 0 is the embedding layer.
        pad: id of the padding.
    """

    def __init__(self, model: Any, dtype: torch.dtype, layers: Sequence[int], pad: int) -> None:
        self._model = model.to(dtype).eval()
        self._layers = tuple(layers)
        self._pad = pad
        self._last_alone = self._layers == (int(model.config.num_hidden_layers),)
        self._device = next(model.parameters()).device
        if pick_choice(_shape_of(model.config, dtype), self._device.type).linear != "plain":
            _fuse(self._model)

    def __call__(self, rows: Sequence[Sequence[int]]) -> Floats2d:
        """Vectors of all pieces of some rows, special tokens included, one row after another.

        *Shape:* (sum of the rows' lengths, width), float32
        """
        longest = max(len(row) for row in rows)
        with inference(self._device.type):
            ids = torch.tensor([[*row, *[self._pad] * (longest - len(row))] for row in rows])
            mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
            hidden = self._hidden(ids.to(self._device), mask.to(self._device))
            packed: Floats2d = hidden.float().cpu()[mask.bool()].numpy()
        return packed

    def _hidden(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Mean of the chosen layers. *Shape:* (batch, pieces, width)"""
        out = self._model(
            input_ids=ids, attention_mask=mask, output_hidden_states=not self._last_alone
        )
        if self._last_alone:
            hidden: Tensor = out.last_hidden_state
            return hidden
        chosen = [out.hidden_states[layer].float() for layer in self._layers]
        mean: Tensor = sum(chosen[1:], chosen[0]) / len(chosen)
        return mean


def _shape_of(config: Any, dtype: torch.dtype) -> Shape:
    """The layer that stands for those of an unknown architecture."""
    width = int(config.hidden_size)
    inner = getattr(config, "intermediate_size", None)
    return Shape(width, inner if isinstance(inner, int) else 4 * width, 1, dtype)


class _FusedLinear(nn.Module):
    """A linear layer by oneDNN, with the weight in the layout that it multiplies fastest."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        # Plain attributes: a reordered weight cannot be moved or cast any more.
        self._weight, self._bias = reordered(linear.weight.detach()), linear.bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        """*Shape:* (..., in) -> (..., out)"""
        return fused_linear(x, self._weight, self._bias)


def _fuse(model: nn.Module) -> None:
    """Change the linear layers of a model for oneDNN's, in place."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Linear and child.bias is not None:
                setattr(module, name, _FusedLinear(child))

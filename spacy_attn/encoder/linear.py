"""Linear layers of an encoder in three ways: torch's own, or oneDNN's with what follows fused in.

oneDNN's fused layers save passes over memory and are up to twice as fast on some processors, and
slower than torch's default on others; :mod:`spacy_attn.encoder.tuning` measures which is which.
They are what ``torch.compile`` uses on a CPU, and no part of torch's public interface; so a small
product is compared with the public one before they are trusted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from spacy_attn.encoder.device import inference

logger = logging.getLogger("spacy_attn")

#: Linear layer, x -> x W + b, with GELU behind it where asked for; W is as ``arranged`` gives it.
Linear = Callable[[Tensor, Any, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Ops:
    """The three linear layers that a Transformer needs, and how they want their weights.

    *Shape:* x (n, in), weight (out, in), bias (out,), residual (n, out) -> (n, out)
    """

    linear: Linear
    linear_gelu: Linear
    linear_add: Callable[[Tensor, Any, Tensor, Tensor], Tensor]
    #: Weight (out, in) and bias of a layer's product in the layout of the products; which layer,
    #: from 0, and which product, by its name in :class:`spacy_attn.encoder.packed.Layer`.
    arranged: Callable[[int, str, Tensor, Tensor], tuple[Any, Tensor]]


def _linear_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.gelu(F.linear(x, weight, bias))


def _linear_add(x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor) -> Tensor:
    return F.linear(x, weight, bias).add_(residual)


def fused_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The product by oneDNN with a weight that :func:`reordered` gave.

    *Shape:* (..., in), weight of (out, in), (out,) -> (..., out)
    """
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


def _onednn_linear_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "gelu", [], "none")
    return out


def _onednn_linear_then_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.gelu(fused_linear(x, weight, bias))


def _onednn_linear_add(x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, residual, weight, bias, "add")
    return out


def reordered(weight: Tensor) -> Tensor:
    """The weight in the layout that oneDNN multiplies fastest."""
    out: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight)
    return out


def _reordered(layer: int, part: str, weight: Tensor, bias: Tensor) -> tuple[Any, Tensor]:
    return reordered(weight), bias


def as_it_is(layer: int, part: str, weight: Tensor, bias: Tensor) -> tuple[Any, Tensor]:
    """The weight in the layout of torch's own products."""
    return weight, bias


#: The first one is the default where nothing is measured.
LINEAR_WAYS = ("fused", "gelu_apart", "plain")
_OPS = {
    "plain": Ops(F.linear, _linear_gelu, _linear_add, as_it_is),
    "fused": Ops(fused_linear, _onednn_linear_gelu, _onednn_linear_add, _reordered),
    "gelu_apart": Ops(fused_linear, _onednn_linear_then_gelu, _onednn_linear_add, _reordered),
}
_works: dict[torch.dtype, bool] = {}


def ops_for(way: str) -> Ops:
    """The layers of one of :data:`LINEAR_WAYS`."""
    return _OPS[way]


def fused_linear_works(dtype: torch.dtype) -> bool:
    """Whether this build of torch has oneDNN's fused linear layers, and they compute the same."""
    if dtype not in _works:
        _works[dtype] = _try_fused(dtype)
        if not _works[dtype]:
            logger.info("no fused linear layers for %s: the plain ones are used", dtype)
    return _works[dtype]


@inference()
def _try_fused(dtype: torch.dtype) -> bool:
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    wave = torch.linspace(-1.0, 1.0, 33 * 32).to(dtype)
    x, weight = wave[: 17 * 32].view(17, 32), wave[32:].view(32, 32)
    bias, residual = wave[:32], x.flip(0)
    base, fused = _OPS["plain"], _OPS["fused"]
    try:
        packed, bias = fused.arranged(0, "out", weight, bias)
        pairs = (
            (base.linear(x, weight, bias), fused.linear(x, packed, bias)),
            (base.linear_gelu(x, weight, bias), fused.linear_gelu(x, packed, bias)),
            (
                base.linear_add(x, weight, bias, residual),
                fused.linear_add(x, packed, bias, residual),
            ),
        )
    except (RuntimeError, AttributeError, TypeError):  # another version, another processor
        return False
    return all(
        torch.allclose(got.float(), want.float(), rtol=0.02, atol=0.02) for want, got in pairs
    )

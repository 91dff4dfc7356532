"""BERT's products in 8-bit integers, with scales that were calibrated once.

Weights are int8 with a scale for each output, inputs uint8 with scales that never change: how a
text is rounded does not depend on its batch, as it would with scales computed at run time
(Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference"). Attention, layer norms and residuals stay float32; GELU is
fused into its product, which gives uint8 again.

A few channels reach ten times further than the others, and one scale for all would round those
coarsely. Two things are done about it, and neither costs time:

- Inputs are divided by the root of each channel's range, and the weights multiplied by it (as in
  Xiao et al. 2023, "SmoothQuant", with exponent 0.5).
- A unit of GELU that reaches beyond a limit T is computed several times, as GELU(u), GELU(u - T),
  GELU(u - 2T) ..., each of which ends at T: for a large u they add up to u. That is outlier channel
  splitting (Zhao et al. 2019), for an activation function.

Processors without VNNI add pairs of products in 16 bits. The scales of weights are so large that no
pair overflows: the sums are the same integers on every processor.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from spacy_attn.encoder.device import inference
from spacy_attn.encoder.linear import Ops
from spacy_attn.errors import ResourceError
from spacy_attn.files import atomic_write, regular_file
from spacy_attn.models import cache_folder

#: Products whose inputs are rounded when they are computed; the fourth one gets uint8 from GELU.
ROUNDED = ("query_key_value", "attention_out", "intermediate")
#: "auto" takes int8 where the mean cosine to the vectors of float32 is at least this.
LEAST_COSINE = 0.99
_HALF, _MOST = 128, 255  # zero point and highest value of uint8
_PAIR = 128  # 255 * 128 fits into 16 bits: two weights of one sign must not be more together
_GELU_LEAST = -0.17  # the lowest value of GELU
_SPLIT = 24  # one unit more for so many
_FOLDER = Path(__file__).parents[1] / "data" / "int8"

Halves: TypeAlias = NDArray[np.float16]
#: center, spread, units and limit of :class:`Scales`.
Arrays: TypeAlias = tuple[Halves, Halves, NDArray[np.uint8], NDArray[np.float32]]


@dataclass(frozen=True)
class Scales:
    """How the inputs of a model's products are rounded.

    *Shape:* center, spread (n_layers, 3, width): middle and half of the range of each channel, in
    the order of :data:`ROUNDED`; units (n_layers, inner): how often each unit of GELU is computed;
    limit (n_layers,): where one ends
    """

    center: Halves
    spread: Halves
    units: NDArray[np.uint8]
    limit: NDArray[np.float32]
    manifest: Mapping[str, Any]  # which model they belong to, and how near its vectors are

    @property
    def cosine(self) -> float:
        """Mean cosine to the vectors of float32, on texts that the scales were not made from."""
        return float(self.manifest["cosine"])

    @cached_property
    def identity(self) -> str:
        """Hash of what decides the vectors."""
        arrays = (self.center, self.spread, self.units, self.limit)
        return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()

    def ops(self) -> Ops:
        """The layers that compute with them."""
        return Ops(_linear, _linear_gelu, _linear_add, self._arranged)

    def _arranged(
        self, layer: int, part: str, weight: Tensor, bias: Tensor
    ) -> tuple[_Product, Tensor]:
        units = torch.from_numpy(self.units[layer].astype(np.int64))
        limit = float(self.limit[layer])
        if part == "out":
            return _after_gelu(weight, bias, units, limit)
        row = ROUNDED.index(part)
        center, spread = (
            torch.from_numpy(each[layer, row].astype(np.float32))
            for each in (self.center, self.spread)
        )
        if part == "intermediate":
            weight, bias = _split(weight, bias, units, limit)
        return _of_floats(weight, bias, center, spread, limit)

    # -- files -------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write them."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            center=self.center,
            spread=self.spread,
            units=self.units,
            limit=self.limit,
            manifest=np.array(json.dumps(dict(self.manifest))),
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> Scales:
        """Read them.

        Raises:
            ResourceError: the file is none that :meth:`save` wrote.
        """
        try:
            with (
                regular_file(path).open("rb") as opened,
                np.load(opened, allow_pickle=False) as file,
            ):
                scales = cls(
                    file["center"].astype(np.float16),
                    file["spread"].astype(np.float16),
                    file["units"].astype(np.uint8),
                    file["limit"].astype(np.float32),
                    json.loads(str(file["manifest"])),
                )
            n_layers, n_inputs, width = scales.center.shape
            is_whole = (
                scales.spread.shape == (n_layers, n_inputs, width)
                and n_inputs == len(ROUNDED)
                and len(scales.units) == len(scales.limit) == n_layers
                and bool(np.isfinite(scales.center).all())
                and all(bool((0 < each).all()) for each in (scales.spread, scales.limit))
                and all(bool((each < np.inf).all()) for each in (scales.spread, scales.limit))
                and 0.0 <= scales.cosine <= 1.0
            )
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError) as error:
            raise _damaged(path) from error
        if not is_whole:
            raise _damaged(path)
        return scales


def _damaged(path: Path) -> ResourceError:
    return ResourceError(
        f"{path} holds no scales of int8; delete it and run: spacy-attn calibrate-int8"
    )


def scales_path(weights: str, adapter: str, folder: Path | None = None) -> Path:
    """The file of the scales of a model.

    Args:
        weights: hash of its weights.
        adapter: identity of what changes them, or "none".
        folder: where it lies; None: in the user's cache.
    """
    folder = cache_folder() / "int8" if folder is None else folder
    return folder / f"{weights[:16]}-{adapter}.npz"


def find_scales(weights: str, adapter: str) -> Scales | None:
    """The scales that the user made for a model, or those that ship; see :func:`scales_path`.

    Raises:
        ResourceError: the file is damaged.
    """
    for folder in (None, _FOLDER):
        path = scales_path(weights, adapter, folder)
        if path.is_file():
            return Scales.load(path)
    return None


def split_units(highest: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float]:
    """How often each unit of GELU is computed, and the limit of each: as low as there is room.

    Args:
        highest: what each unit reaches. *Shape:* (inner,)
    """
    room = max(len(highest) // _SPLIT, 1)
    limit = max(float(highest.max()), 0.5)
    while True:
        lower = limit * 0.98
        if lower < 0.5 or (np.ceil(highest / lower) - 1).clip(0).sum() > room:
            break
        limit = lower
    return np.ceil(highest / limit).clip(1, 255).astype(np.uint8), limit


# -- a product -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Product:
    """A weight in integers, and how floats become its inputs.

    *Shape:* scales, zeros (out,), factor, shift (in,)
    """

    weight: Tensor  # as oneDNN wants it
    scales: Tensor
    zeros: Tensor
    factor: Tensor | None  # None: the input is uint8 already
    shift: Tensor | None
    step: float  # of what comes out behind GELU
    zero: int


def _gelu_step(limit: float) -> tuple[float, int]:
    """Step and zero point of GELU in uint8, which ends at the limit."""
    step = (limit - _GELU_LEAST) / _MOST
    return step, round(-_GELU_LEAST / step)


def _of_floats(
    weight: Tensor, bias: Tensor, center: Tensor, spread: Tensor, limit: float
) -> tuple[_Product, Tensor]:
    """A product with floats as inputs, which are rounded first."""
    root = spread.sqrt()
    step = root * (root.amax() / (_HALF - 1))  # of each channel
    whole, scales = whole_weights(weight * step)
    bias = bias + weight @ center - _HALF * scales * whole.sum(1)
    # Half is added because the conversion to integers cuts.
    return _product(whole, scales, 1 / step, _HALF + 0.5 - center / step, limit), bias


def _after_gelu(
    weight: Tensor, bias: Tensor, units: Tensor, limit: float
) -> tuple[_Product, Tensor]:
    """A product whose inputs are units of GELU in uint8, some of them split."""
    step, zero = _gelu_step(limit)
    whole, scales = whole_weights(_with_copies(weight.T, units)[0].T * step)
    return _product(whole, scales, None, None, limit), bias - zero * scales * whole.sum(1)


def _split(weight: Tensor, bias: Tensor, units: Tensor, limit: float) -> tuple[Tensor, Tensor]:
    """The product before GELU, with each copy of a unit a limit lower than the one before."""
    weight, number = _with_copies(weight, units)
    bias, _ = _with_copies(bias, units)
    return weight, bias - number * limit


def _with_copies(rows: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
    """Rows, then copies of some, zeros behind them; and which copy each is, the first is 0.

    *Shape:* (inner, ...) -> (inner + inner // 24, ...), (the same,)
    """
    index = [i for i, n in enumerate(units.tolist()) for _ in range(n - 1)]
    number = [k for n in units.tolist() for k in range(1, n)]
    room = max(len(units) // _SPLIT, 1, len(index))
    empty = room - len(index)
    filled = torch.cat([rows, rows[index], rows.new_zeros(empty, *rows.shape[1:])])
    copies = [0.0] * len(units) + [float(k) for k in number] + [0.0] * empty
    return filled, torch.tensor(copies, dtype=torch.float32)


def whole_weights(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weights as whole numbers, and the scale of each output.

    No weight is beyond 127, and no two neighbours of one sign are beyond 128 together.

    *Shape:* (out, in) -> (out, in), (out,), float32
    """
    padded = F.pad(weight, (0, weight.shape[1] % 2))
    even, odd = padded[:, 0::2], padded[:, 1::2]
    pairs = torch.where(even * odd > 0, (even + odd).abs(), 0.0)
    # Both of a pair may be rounded up, by half each.
    most = torch.maximum(weight.abs().amax(1) / 127, pairs.amax(1) / (_PAIR - 1))
    scales = most.clamp(min=1e-12)
    return (weight / scales[:, None]).round().clamp(-127, 127), scales


def _product(
    whole: Tensor, scales: Tensor, factor: Tensor | None, shift: Tensor | None, limit: float
) -> _Product:
    packed = torch.ops.onednn.qlinear_prepack(whole.to(torch.int8).contiguous(), None)
    zeros = torch.zeros(len(scales), dtype=torch.int32)
    step, zero = _gelu_step(limit)
    return _Product(packed, scales, zeros, factor, shift, step, zero)


# -- the layers --------------------------------------------------------------------------------


def _inputs(x: Tensor, product: _Product) -> tuple[Any, ...]:
    """What oneDNN wants of the input and the weight; both have no zero point of their own."""
    if product.factor is not None and product.shift is not None:
        x = torch.addcmul(product.shift, x, product.factor).clamp_(0, _MOST).to(torch.uint8)
    return x, 1.0, 0, product.weight, product.scales, product.zeros


def _linear(x: Tensor, product: _Product, bias: Tensor) -> Tensor:
    known = _inputs(x, product)
    out: Tensor = torch.ops.onednn.qlinear_pointwise(
        *known, bias, 1.0, 0, torch.float32, "none", [], ""
    )
    return out


def _linear_gelu(x: Tensor, product: _Product, bias: Tensor) -> Tensor:
    """*Shape:* (n, in) -> (n, out), uint8"""
    known = _inputs(x, product)
    out: Tensor = torch.ops.onednn.qlinear_pointwise(
        *known, bias, product.step, product.zero, torch.uint8, "gelu", [], "none"
    )
    return out


def _linear_add(x: Tensor, product: _Product, bias: Tensor, residual: Tensor) -> Tensor:
    known = _inputs(x, product)
    then: tuple[Any, ...] = (1.0, 0, torch.float32, 1.0, 0, "add", 1.0, "none", [], "")
    out: Tensor = torch.ops.onednn.qlinear_pointwise.binary(*known, residual, bias, *then)
    return out


@lru_cache(maxsize=1)
def int8_works() -> bool:
    """Whether this build of torch has oneDNN's products of integers, fast and right."""
    if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        return False  # no kernel: a product takes seconds
    try:
        with inference():
            return _computes_right()
    except (RuntimeError, AttributeError, TypeError):  # another version, another processor
        return False


def _computes_right() -> bool:
    wave = torch.sin(torch.arange(64 * 48, dtype=torch.float32) * 0.7)
    x, weight = wave[: 17 * 48].view(17, 48), wave.view(64, 48) / 16
    bias, back = wave[:64], weight.T.contiguous()
    scales = example_scales(48, 64)
    ops, residual = scales.ops(), x.flip(0).contiguous()
    up = ops.arranged(0, "intermediate", weight, bias)
    down = ops.arranged(0, "out", back, bias[:48])
    got = ops.linear_add(ops.linear_gelu(x, *up), *down, residual)
    want = F.linear(F.gelu(F.linear(x, weight, bias)), back, bias[:48]) + residual
    into = ops.arranged(0, "query_key_value", weight, bias)
    near = torch.allclose(ops.linear(x, *into), F.linear(x, weight, bias), atol=0.1)
    return near and torch.allclose(got, want, atol=0.2)


def example_scales(width: int, inner: int) -> Scales:
    """Scales of one layer for inputs from -1 to 1, to try and to time it."""
    shape = (1, len(ROUNDED), width)
    return Scales(
        np.zeros(shape, np.float16),
        np.ones(shape, np.float16),
        np.ones((1, inner), np.uint8),
        np.full(1, 4.0, np.float32),
        {"cosine": 0.0},
    )

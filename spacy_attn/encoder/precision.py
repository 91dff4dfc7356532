"""In which arithmetic an encoder computes: what ``precision = "auto"`` means for it here.

On a CPU, one layer is timed in each precision that may be taken: float32; bfloat16, where the
processor has instructions for it; int8, where the model's scales are at hand and its vectors near
enough to those of float32. The result is kept in the user's cache, as the ways of
:mod:`spacy_attn.encoder.tuning` are.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from spacy_attn.encoder.device import on_processor, one_thread_in_children
from spacy_attn.encoder.int8 import LEAST_COSINE, Scales, example_scales, int8_works
from spacy_attn.encoder.measured import read_measured, write_measured
from spacy_attn.encoder.packed import PackedBert
from spacy_attn.encoder.tuning import Shape, fastest, is_measured, key_of, measure
from spacy_attn.errors import ConfigError, ResourceError
from spacy_attn.settings import EncoderSettings

logger = logging.getLogger("spacy_attn")

_FILE = "precision.json"
_LENGTHS = (12, 18, 24, 30, 36, 44, 60) * 2  # pieces of the rows that are timed
_PIECES = 64  # of the vocabulary of the timed layer


def pick_precision(
    precision: str, device: str, shape: Shape | None = None, scales: Scales | None = None
) -> str:
    """The arithmetic; "auto" is the fastest one here whose vectors are near to float32's.

    Args:
        precision: what was asked for; all but "auto" is taken as it is.
        device: where the encoder runs.
        shape: of its layers, in float32; None: what the instructions of the processor suggest.
        scales: of the model for int8, if there are any.
    """
    if precision != "auto":
        return precision
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    if device != "cpu":
        return "float32"
    names = precisions_here(scales)
    if shape is None or not is_measured():
        return "bfloat16" if "bfloat16" in names else "float32"
    return names[0] if len(names) == 1 else fastest(layer_times(shape, tuple(names)))


def check_int8(model: str, device: str, is_packed: bool) -> None:
    """Refuse int8 where an encoder cannot compute with it.

    Raises:
        ConfigError: it is of another architecture, or runs on a GPU, or torch has no such products.
    """
    if not is_packed:
        raise ConfigError(
            f"precision = 'int8': {model} is no BERT, RoBERTa or ELECTRA encoder, which "
            'alone are computed in 8 bits; give precision = "auto"'
        )
    if device != "cpu" or not int8_works():
        where = "this processor and build of torch" if device == "cpu" else f"device {device!r}"
        raise ConfigError(
            f"precision = 'int8': there are no products of 8-bit integers for {where}; "
            'give precision = "auto"'
        )


def needed(settings: EncoderSettings, scales: Scales | None) -> Scales:
    """The scales of an encoder for int8.

    Raises:
        ResourceError: none were made for it.
    """
    if scales is None:
        command = ["spacy-attn", "calibrate-int8", settings.model]
        if settings.adapter is not None:
            command += ["--adapter", settings.adapter, "--strength", f"{settings.strength:g}"]
        raise ResourceError(
            f"precision = 'int8': {settings.model} has no scales on this machine"
            f"{'' if settings.adapter is None else ' with this adapter and strength'}; "
            f"run: {shlex.join(command)}"
        )
    return scales


def has_bf16() -> bool:
    """Whether what trains here, a GPU or the processor, computes in bfloat16 without emulation."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return _cpu_has_bf16()


def _cpu_has_bf16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def precisions_here(scales: Scales | None) -> list[str]:
    """What "auto" may take on this CPU."""
    is_near = scales is not None and scales.cosine >= LEAST_COSINE
    return [
        "float32",
        *(["bfloat16"] if _cpu_has_bf16() else []),
        *(["int8"] if is_near and int8_works() else []),
    ]


def explain_precision(shape: Shape, device: str, scales: Scales | None) -> str:
    """One line about what "auto" takes, for a report."""
    picked = f"'auto' is {pick_precision('auto', device, shape, scales)} on {device}"
    if device != "cpu" or not is_measured():
        return picked
    names = tuple(precisions_here(scales))
    if len(names) == 1:
        return picked
    times = layer_times(shape, names)
    return f"{picked} ({', '.join(f'{n} {_milliseconds(times[n])}' for n in names)} ms a layer)"


def _milliseconds(seconds: float) -> str:
    """With two digits, and none cut off: "4.8e+02" is not read at a glance."""
    return f"{1e3 * seconds:.2g}" if seconds < 0.01 else f"{1e3 * seconds:,.0f}"


@lru_cache(maxsize=64)
def layer_times(shape: Shape, names: tuple[str, ...]) -> dict[str, float]:
    """Seconds of one layer in each precision, remembered or measured now."""
    key = f"{key_of(shape)} | {' '.join(names)}"
    known = read_measured(_FILE)
    if (found := _checked(known.get(key), names)) is not None:
        return found
    one_thread_in_children()
    with on_processor():
        times = measure({name: _one_layer(shape, name) for name in names})
    logger.info("seconds of a layer here: %s", times)
    write_measured(_FILE, key, times, known)
    return times


def _checked(found: object, names: Sequence[str]) -> dict[str, float] | None:
    """The times that a file has; None where it has something else."""
    if not isinstance(found, dict) or list(found) != list(names):
        return None
    return found if all(isinstance(time, float) and time > 0 for time in found.values()) else None


def _one_layer(shape: Shape, name: str) -> Callable[[], object]:
    """A forward pass of one layer with random weights."""
    width, inner = shape.width, shape.inner
    config = {
        "model_type": "bert",
        "num_attention_heads": shape.n_heads,
        "hidden_size": width,
        "intermediate_size": inner,
    }
    generator = torch.Generator().manual_seed(0)

    def weights(of: str) -> Tensor:
        n_out = inner if ".intermediate." in of else width
        n_in = inner if ".0.output.dense" in of else width
        size = [_PIECES, width] if "embeddings." in of else [n_out, n_in]
        if of.endswith(".bias") or "LayerNorm" in of:
            size = [n_out]
        return torch.randn(size, generator=generator, dtype=torch.float32) * 0.05

    dtype = torch.float32 if name == "int8" else getattr(torch, name)
    ops = example_scales(width, inner).ops() if name == "int8" else None
    forward = PackedBert(config, weights, dtype, [1], ops=ops)
    rows = [[k % _PIECES for k in range(n)] for n in _LENGTHS]
    return lambda: forward(rows)

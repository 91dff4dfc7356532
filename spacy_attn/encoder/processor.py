"""What this processor can do for an encoder, and what the setting "auto" takes here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from spacy_attn.errors import SpacyAttnError
from spacy_attn.models import DEFAULT_ENCODER, known_model
from spacy_attn.models.findings import Finding, Need

if TYPE_CHECKING:
    from spacy_attn.encoder.int8 import Scales

# Flags of /proc/cpuinfo that decide how fast a precision runs; the first two multiply bfloat16.
_CPU_FLAGS = ("amx_bf16", "avx512_bf16", "avx512_vnni", "avx_vnni", "avx512f", "avx2")
#: Of the default encoder: width, inner width, heads.
DEFAULT_SHAPE = (384, 1536, 12)
_ARM_FLAGS = ("bf16", "i8mm", "asimddp", "sve")


def examine_processor() -> Iterator[Finding]:
    """Features, PyTorch, precision and threads."""
    flags = cpu_flags()
    features = [flag for flag in (*_CPU_FLAGS, *_ARM_FLAGS) if flag in flags]
    detail = ", ".join(features) or "unknown"
    yield Finding("processor", "features", "found", "optional", detail)
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a shared library of it is missing
        detail = f"torch cannot be loaded: {error}"
        repair = "pip install --force-reinstall torch"
        yield Finding("processor", "torch", "wrong", "required", detail, repair=repair)
        return
    native = any(flag in flags for flag in ("amx_bf16", "avx512_bf16", "bf16"))
    if native and _torch_runs_bfloat16():
        detail = "in hardware: the line precision says if it is the fastest here"
    elif _torch_runs_bfloat16():
        detail = "emulated: keep precision = 'float32'"
    else:
        detail = "not supported: keep precision = 'float32'"
    yield Finding("processor", "bfloat16", "found", "optional", detail)
    yield from _examined_engine()
    detail = f"{torch.get_num_threads()} for torch, {_n_cores()} cores usable"
    yield Finding("processor", "threads", "found", "optional", detail)


def _examined_engine() -> Iterator[Finding]:
    """What "auto" means here for the default encoder, and how its layers are computed."""
    checks: tuple[tuple[str, Callable[[], str], Need, str], ...] = (
        ("precision", _picked, "optional", "spacy-attn calibrate-int8"),
        ("engine", _engine, "required", "unset SPACY_ATTN_ENGINE"),
    )
    for name, examine, need, repair in checks:
        try:
            yield Finding("processor", name, "found", "optional", examine())
        except SpacyAttnError as error:
            yield Finding("processor", name, "wrong", need, str(error), repair=repair)


def _picked() -> str:
    from spacy_attn.encoder.device import pick_device
    from spacy_attn.encoder.precision import explain_precision
    from spacy_attn.encoder.tuning import Shape

    return explain_precision(Shape.of(*DEFAULT_SHAPE), pick_device("auto"), default_scales())


def default_scales() -> Scales | None:
    """The scales of the default encoder for int8, without a sense model."""
    from spacy_attn.encoder.int8 import find_scales

    known = known_model(DEFAULT_ENCODER)
    return find_scales(known.weights_sha256 or "", "none") if known else None


def _engine() -> str:
    """How the default encoder computes in each precision that leaves a choice."""
    import torch

    from spacy_attn.encoder.device import pick_device
    from spacy_attn.encoder.precision import precisions_here
    from spacy_attn.encoder.tuning import Shape, explain_choice

    device = pick_device("auto")
    names = precisions_here(None) if device == "cpu" else ["float32"]
    return "; ".join(
        f"{name}: {explain_choice(Shape(*DEFAULT_SHAPE, getattr(torch, name)), device)}"
        for name in names
    )


def cpu_flags() -> set[str]:
    """What this processor can do, in the names of Linux; none on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return set()
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return set(value.split())
    return set()


def _torch_runs_bfloat16() -> bool:
    import torch

    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):  # a build without oneDNN
        return False


def _n_cores() -> int:
    """Cores that this process may use, which in a container are fewer than the machine has."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return os.cpu_count() or 1 if affinity is None else len(affinity(0))

"""What this processor can do for an encoder, and what the setting "auto" takes here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from spacy_attn.errors import ConfigError
from spacy_attn.models.findings import Finding

# Flags of /proc/cpuinfo that decide how fast a precision runs; the first two multiply bfloat16.
_CPU_FLAGS = ("amx_bf16", "avx512_bf16", "avx512_vnni", "avx_vnni", "avx512f", "avx2")
_DEFAULT_SHAPE = (384, 1536, 12)  # of the default encoder: width, inner width, heads
_ARM_FLAGS = ("bf16", "i8mm", "asimddp", "sve")


def examine_processor() -> Iterator[Finding]:
    """Features, PyTorch, precision and threads."""
    flags = _cpu_flags()
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
        detail = "in hardware: precision = 'bfloat16' is the fast setting here"
    elif _torch_runs_bfloat16():
        detail = "emulated: keep precision = 'float32'"
    else:
        detail = "not supported: keep precision = 'float32'"
    yield Finding("processor", "bfloat16", "found", "optional", detail)
    yield Finding("processor", "precision", "found", "optional", _picked())
    yield _examined_engine()
    detail = f"{torch.get_num_threads()} for torch, {_n_cores()} cores usable"
    yield Finding("processor", "threads", "found", "optional", detail)


def _examined_engine() -> Finding:
    try:
        return Finding("processor", "engine", "found", "optional", _engine())
    except ConfigError as error:
        repair = "unset SPACY_ATTN_ENGINE"
        return Finding("processor", "engine", "wrong", "required", str(error), repair=repair)


def _picked() -> str:
    """What "auto" means on this machine."""
    from spacy_attn.encoder.device import pick_device, pick_precision

    device = pick_device("auto")
    return f"'auto' is {pick_precision('auto', device)} on {device}"


def _engine() -> str:
    """How the default encoder computes with each precision that is fast here."""
    import torch

    from spacy_attn.encoder.device import pick_device, pick_precision
    from spacy_attn.encoder.tuning import Shape, explain_choice

    device = pick_device("auto")
    names = dict.fromkeys(("float32", pick_precision("auto", device)))
    return "; ".join(
        f"{name}: {explain_choice(Shape(*_DEFAULT_SHAPE, getattr(torch, name)), device)}"
        for name in names
    )


def _cpu_flags() -> set[str]:
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

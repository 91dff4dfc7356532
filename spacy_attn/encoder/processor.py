"""What this processor can do for an encoder, and what the setting "auto" takes here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from spacy_attn.models.findings import Finding

# Flags of /proc/cpuinfo that decide how fast a precision runs; the first two multiply bfloat16.
_CPU_FLAGS = ("amx_bf16", "avx512_bf16", "avx512_vnni", "avx_vnni", "avx512f", "avx2")
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
    detail = f"{torch.get_num_threads()} for torch, {_n_cores()} cores usable"
    yield Finding("processor", "threads", "found", "optional", detail)


def _picked() -> str:
    """What "auto" means on this machine, and whether the fast layers are there."""
    import torch

    from spacy_attn.encoder.device import pick_device, pick_precision
    from spacy_attn.encoder.packed import fused_linear_works

    device = pick_device("auto")
    precision = pick_precision("auto", device)
    layers = ""
    if device == "cpu":
        fused = fused_linear_works(getattr(torch, precision))
        layers = ", fused linear layers of oneDNN" if fused else ", no fused linear layers"
    return f"'auto' is {precision} on {device}{layers}"


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

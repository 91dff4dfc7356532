"""Products of 8-bit integers with static scales: what a layer would gain.

    python -m benchmarks.speed.int8               # a minute

The four products of a layer of the default encoder over 1,024 wordpieces, each with what is fused
into it: float32, bfloat16, and int8 (weights per output channel, inputs uint8 with one scale and a
zero point that calibration would give; the product before GELU gives uint8, the others bfloat16 or
float32). Then what int8 needs besides: three passes that round a layer's vectors to uint8 (after
both norms and the attention). Times are the least of some runs, in turns, for each set of
instructions that this processor can show. A kernel that oneDNN does not have for some instructions
takes seconds; one run decides if the rest is measured.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.common import SEED, Result, in_child, publish, run_command
from spacy_attn.encoder.linear import ops_for
from spacy_attn.encoder.precision import pick_precision

ROWS, WIDTH, INNER = 1024, 384, 1536
TURNS = 12
TOO_SLOW = 0.5  # seconds of one product
SCALE, ZERO = 0.03, 128
#: Output and input width of each product, and what is fused into it.
PRODUCTS = (
    (3 * WIDTH, WIDTH, "none"),
    (WIDTH, WIDTH, "add"),
    (INNER, WIDTH, "gelu"),
    (WIDTH, INNER, "add"),
)
INSTRUCTIONS: dict[str, dict[str, str]] = {
    "AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    "AVX2 with VNNI": {"ONEDNN_MAX_CPU_ISA": "AVX2_VNNI", "ATEN_CPU_CAPABILITY": "avx2"},
    "AVX-512 with VNNI": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"},
    "all": {},
}


def fused(dtype: torch.dtype) -> list[Callable[[], Any]]:
    """The four products of a layer on oneDNN's fused layers."""
    ops, runs = ops_for("fused"), list[Callable[[], Any]]()
    for out, into, then in PRODUCTS:
        x, residual = torch.randn(ROWS, into).to(dtype), torch.randn(ROWS, out).to(dtype)
        zeros = torch.zeros(out, dtype=dtype)
        weight, bias = ops.arranged(0, "", torch.randn(out, into).to(dtype), zeros)
        if then == "add":
            runs.append(lambda x=x, w=weight, b=bias, r=residual: ops.linear_add(x, w, b, r))  # type: ignore[misc]
        else:
            run = ops.linear_gelu if then == "gelu" else ops.linear
            runs.append(lambda run=run, x=x, w=weight, b=bias: run(x, w, b))  # type: ignore[misc]
    return runs


def quantised(dtype: torch.dtype) -> list[Callable[[], Any]]:
    """The same in 8-bit integers; what is no input of another product comes out as ``dtype``."""
    onednn, runs = torch.ops.onednn, list[Callable[[], Any]]()
    for out, into, then in PRODUCTS:
        x = torch.randint(0, 255, (ROWS, into), dtype=torch.uint8)
        weight = torch.randint(-127, 127, (out, into), dtype=torch.int8)
        packed = onednn.qlinear_prepack(weight, [ROWS, into])
        scales, zeros = torch.full((out,), 0.001), torch.zeros(out, dtype=torch.int32)
        bias, residual = torch.zeros(out), torch.randn(ROWS, out).to(dtype)
        known = (x, SCALE, ZERO, packed, scales, zeros)
        if then == "add":
            added: tuple[Any, ...] = (
                residual,
                bias,
                1.0,
                0,
                dtype,
                1.0,
                0,
                "sum",
                1.0,
                "none",
                [],
                "",
            )
            runs.append(lambda a=(*known, *added): onednn.qlinear_pointwise.binary(*a))  # type: ignore[misc]
            continue
        behind: tuple[Any, ...] = (bias, 1.0, 0, dtype, "none", [], "")
        if then == "gelu":
            behind = (bias, SCALE, ZERO, torch.uint8, "gelu", [], "none")
        runs.append(lambda a=(*known, *behind): onednn.qlinear_pointwise(*a))  # type: ignore[misc]
    return runs


def rounding(dtype: torch.dtype) -> list[Callable[[], Any]]:
    """Vectors to uint8; a norm's weights have taken up the scale and the zero point."""
    x: Tensor = (torch.randn(ROWS, WIDTH) * 30 + ZERO).to(dtype)
    return [lambda: x.round().clamp_(0, 255).to(torch.uint8)] * 3


def microseconds(kinds: dict[str, list[Callable[[], Any]]]) -> dict[str, list[int] | None]:
    """Of each part of each kind; None where a part has no fast kernel."""
    least: dict[str, list[float] | None] = {}
    for name, runs in kinds.items():
        least[name] = [float("inf")] * len(runs)
        for run in runs:
            started = time.perf_counter()
            try:
                run()
            except RuntimeError:  # no such kernel
                least[name] = None
            if least[name] is None or time.perf_counter() - started > TOO_SLOW:
                least[name] = None
                break
    for _ in range(TURNS):
        for name, runs in kinds.items():
            times = least[name]
            for i, run in enumerate(runs if times else []):
                started = time.perf_counter()
                run()
                times[i] = min(times[i], time.perf_counter() - started)  # type: ignore[index]
    return {
        name: None if times is None else [round(1e6 * each) for each in times]
        for name, times in least.items()
    }


def child() -> None:
    """Print the times with the instructions that the environment allows."""
    torch.manual_seed(SEED)
    is_limited = "ONEDNN_MAX_CPU_ISA" in os.environ  # then bfloat16 would be emulated
    names = dict.fromkeys(("float32", "float32" if is_limited else pick_precision("auto", "cpu")))
    usable = {name: getattr(torch, name) for name in names}
    with torch.inference_mode():
        kinds = {name: fused(dtype) for name, dtype in usable.items()}
        last = list(usable.values())[-1]
        kinds |= {"int8": quantised(last), "rounding to int8": rounding(last)}
        print(json.dumps(microseconds(kinds)))


def main() -> None:
    if sys.argv[1:] == ["--child"]:
        child()
        return
    rows: Result = {k: in_child("speed.int8", "--child", **v) for k, v in INSTRUCTIONS.items()}
    result = {"rows": rows, "wordpieces": ROWS, "products": [p[:2] for p in PRODUCTS]}
    publish("int8", result, ".speed.int8", seed=SEED)


if __name__ == "__main__":
    run_command(main, __doc__)

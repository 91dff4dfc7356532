"""Which of its ways an encoder takes on this processor: measured once, then remembered.

oneDNN's fused layers are faster than torch's default on some processors and slower on others, and
so it is with the kinds of attention. So the first encoder of a shape that is loaded on a processor
times the ways against one another, on one layer of random weights (20 to 200 milliseconds), and
the result is kept in the user's cache, for this processor, version of torch, number of threads and
precision. All ways compute the same up to rounding.

``SPACY_ATTN_ENGINE`` changes that: ``default`` measures nothing, and ``linear=plain step=8`` or the
like sets what it names and takes the default for the rest. Either gives the same bits on every run
of one machine, whatever its cache holds.
"""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from spacy_attn.encoder.attention import ATTENTION_WAYS, attend
from spacy_attn.encoder.device import inference, one_thread_in_children
from spacy_attn.encoder.linear import LINEAR_WAYS, Ops, fused_linear_works, ops_for
from spacy_attn.encoder.measured import read_measured, write_measured
from spacy_attn.encoder.rows import Batch
from spacy_attn.errors import ConfigError, did_you_mean

logger = logging.getLogger("spacy_attn")

#: The environment variable that decides in place of the measurement.
SETTING = "SPACY_ATTN_ENGINE"
_FILE = "engine.json"
_FORMAT = 2  # to be raised when a way is added or changed
_TURNS = 4  # at most
_BUDGET = 0.1  # seconds; on a busy machine there is one turn, and then no other begins
_CLEAR = 1.03  # a way other than the default must be so much faster
_PARTS = ("query_key_value", "attention_out", "intermediate", "out")  # products of a layer
_LENGTHS = (9, 14, 17, 22, 22, 44)  # pieces of the rows that are timed: 128

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Shape:
    """What the time of a layer depends on."""

    width: int
    inner: int  # width between the two products of a feed-forward layer
    n_heads: int
    dtype: torch.dtype

    @classmethod
    def of(cls, width: int, inner: int, n_heads: int) -> Shape:
        """The shape of layers in float32."""
        return cls(width, inner, n_heads, torch.float32)


@dataclass(frozen=True, slots=True)
class Choice:
    """How an encoder computes; every choice gives the same vectors up to rounding."""

    linear: str = LINEAR_WAYS[0]
    attention: str = ATTENTION_WAYS[0]
    step: int = 8  # pieces; a row is filled up to a multiple of it

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in asdict(self).items())


def steps_for(dtype: torch.dtype) -> tuple[int, ...]:
    """The steps that may be taken, the default first.

    Where a kernel is compiled for each length of a row, as for half precision, 1 would make
    hundreds of them.
    """
    return (1, 8) if dtype == torch.float32 else (8, 16)


def attentions_for(dtype: torch.dtype) -> tuple[str, ...]:
    """The kinds of attention that may be taken, the default first.

    In half precision the three steps would compile a kernel for each number of rows of each
    length, and the memory of a long job would grow with them.
    """
    return ATTENTION_WAYS if dtype == torch.float32 else ATTENTION_WAYS[:1]


def pick_choice(shape: Shape, device: str = "cpu") -> Choice:
    """What is set, remembered, or measured now; on other devices than a CPU the default.

    Raises:
        ConfigError: ``SPACY_ATTN_ENGINE`` has a value that is not allowed.
    """
    default = Choice(step=steps_for(shape.dtype)[0])
    if device.partition(":")[0] != "cpu":
        return Choice("plain")
    setting = os.environ.get(SETTING, "").strip()
    works = fused_linear_works(shape.dtype)
    if not works:
        default = Choice("plain", default.attention, default.step)
    if setting not in ("", "auto"):
        chosen = _parsed(setting, default)
        return chosen if works else Choice("plain", chosen.attention, chosen.step)
    return _remembered_or_measured(key_of(shape), shape)


def explain_choice(shape: Shape, device: str = "cpu") -> str:
    """One line about the choice, for a report."""
    how = "measured here" if is_measured() else f"set by {SETTING}"
    return f"{pick_choice(shape, device)} ({how})"


def measure(
    ways: Mapping[K, Callable[[], object]], clock: Callable[[], float] = time.perf_counter
) -> dict[K, float]:
    """Seconds of each way: its fastest turn, after one that does not count; they take turns."""
    for run in ways.values():
        run()
    seconds = dict.fromkeys(ways, float("inf"))
    begun = clock()
    for turn in range(_TURNS):
        if turn and clock() - begun > _BUDGET:
            break
        for name, run in ways.items():
            started = clock()
            run()
            seconds[name] = min(seconds[name], clock() - started)
    return seconds


def fastest(seconds: Mapping[K, float]) -> K:
    """The fastest way; the first one where none is more than 3 % faster."""
    first = next(iter(seconds))
    best = min(seconds, key=seconds.__getitem__)
    return first if seconds[first] <= seconds[best] * _CLEAR else best


# -- the measurement -------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _remembered_or_measured(key: str, shape: Shape) -> Choice:
    remembered = _read().get(key)
    if remembered is not None:
        return remembered
    one_thread_in_children()
    with inference():
        choice = _measured(shape)
    logger.info("the fastest way of the encoder here: %s", choice)
    _write(key, choice)
    return choice


def _measured(shape: Shape) -> Choice:
    """The fastest of each kind of way on one layer with random weights."""
    generator = torch.Generator().manual_seed(0)

    def random(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator).mul_(0.05).to(shape.dtype)

    width, inner = shape.width, shape.inner
    sizes = ((3 * width, width), (width, width), (inner, width), (width, inner))
    weights = [(random(*size), random(size[0])) for size in sizes]
    x = random(sum(_LENGTHS), width)
    names = [way for way in LINEAR_WAYS if way == "plain" or fused_linear_works(shape.dtype)]
    ways = {name: _feed_forward(ops_for(name), weights, x) for name in names}
    linear = fastest(measure(ways))
    arranged = _arranged(ops_for(linear), weights)

    def layer(attention: str, step: int) -> Callable[[], object]:
        rows = [range(n) for n in _LENGTHS]
        batch = Batch.of(rows, step, torch.device("cpu"), shape.dtype)
        filled = random(len(batch.ids), width)
        return partial(_layer, ops_for(linear), arranged, filled, batch, shape.n_heads, attention)

    steps = steps_for(shape.dtype)
    attention = fastest(measure({way: layer(way, steps[0]) for way in attentions_for(shape.dtype)}))
    step = fastest(measure({step: layer(attention, step) for step in steps}))
    return Choice(linear, attention, step)


def _feed_forward(
    ops: Ops, weights: list[tuple[Tensor, Tensor]], x: Tensor
) -> Callable[[], object]:
    up, down = _arranged(ops, weights)[2:]
    return lambda: ops.linear_add(ops.linear_gelu(x, *up), *down, x)


def _arranged(ops: Ops, weights: list[tuple[Tensor, Tensor]]) -> list[tuple[Any, Tensor]]:
    return [ops.arranged(0, part, *pair) for part, pair in zip(_PARTS, weights, strict=True)]


def _layer(
    ops: Ops,
    weights: list[tuple[Any, Tensor]],
    x: Tensor,
    batch: Batch,
    n_heads: int,
    attention: str,
) -> Tensor:
    """The products and the attention of a layer; norms are the same in every way."""
    into, out, up, down = weights
    projected = ops.linear(x, *into)
    parts = [attend(projected[each.pieces], each, n_heads, attention) for each in batch.groups]
    parts.append(projected.new_zeros(len(x) - sum(map(len, parts)), x.shape[1]))
    x = ops.linear_add(torch.cat(parts), *out, x)
    return ops.linear_add(ops.linear_gelu(x, *up), *down, x)


# -- what is remembered, and what is set -----------------------------------------------------


def key_of(shape: Shape) -> str:
    """Everything that may change which way is the fastest here."""
    limits = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")
    return " | ".join(
        (
            f"format {_FORMAT}",
            _processor(),
            torch.backends.cpu.get_cpu_capability(),
            *(f"{name}={os.environ[name]}" for name in limits if name in os.environ),
            f"torch {torch.__version__}",
            f"{torch.get_num_threads()} threads",
            f"{shape.width}x{shape.inner}x{shape.n_heads}",
            str(shape.dtype),
        )
    )


def _processor() -> str:
    """The name of the processor, as far as the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "CPU part"):
                return value.strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine()


def _parsed(text: str, default: Choice) -> Choice:
    """The choice that ``SPACY_ATTN_ENGINE`` names.

    Raises:
        ConfigError: it names something else.
    """
    if text == "default":
        return default
    values: dict[str, str] = asdict(default) | {}
    try:
        for word in text.split():
            name, value = word.split("=")
            values[name] = value
        return _checked(values)
    except (ValueError, TypeError) as error:
        known = [f"linear={way}" for way in LINEAR_WAYS]
        known += [f"attention={way}" for way in ATTENTION_WAYS]
        wrong = next((word for word in text.split() if word not in known), text)
        raise ConfigError(
            f"{SETTING} = {text!r}; allowed are auto, default, or words such as "
            f"linear={'|'.join(LINEAR_WAYS)} attention={'|'.join(ATTENTION_WAYS)} step=1 to 64; "
            f"run: unset {SETTING}{did_you_mean(wrong, ['auto', 'default', *known])}"
        ) from error


def _checked(values: Mapping[str, object]) -> Choice:
    """A choice from its parts, as a file or a setting gives them.

    Raises:
        ValueError, TypeError: a part is missing, unknown or not allowed.
    """
    choice = Choice(**{**values, "step": int(str(values.get("step")))})  # type: ignore[arg-type]
    is_known = choice.linear in LINEAR_WAYS and choice.attention in ATTENTION_WAYS
    if not (is_known and 1 <= choice.step <= 64):
        raise ValueError(f"no such way: {choice}")
    return choice


def is_measured() -> bool:
    """Whether ways are timed; not where ``SPACY_ATTN_ENGINE`` says which are taken."""
    return os.environ.get(SETTING, "").strip() in ("", "auto")


def _read() -> dict[str, Choice]:
    """What earlier processes measured; a broken file counts as empty."""
    try:
        return {key: _checked(values) for key, values in read_measured(_FILE).items()}
    except (ValueError, TypeError):
        return {}


def _write(key: str, choice: Choice) -> None:
    write_measured(_FILE, key, asdict(choice), {k: asdict(v) for k, v in _read().items()})

"""What attention costs: time and memory against length, for each pattern and for Hugging Face's.

    python -m benchmarks.attention.cost           # results/attention-cost.json and the picture
    python -m benchmarks.attention.cost --longest 1024 --repeats 2 -o trial.json
    python -m benchmarks.attention.cost --within 280    # the same command again goes on

One layer of width 64 with 4 heads; forward from 128 to 16,384 tokens, training to 2,048. Each
system is measured in a process of its own. Memory is the peak of resident memory above what the
process held before (Linux; memory that it freed and uses again does not count); with ``--device
cuda`` it is the peak of what torch allocated. The models of Hugging Face (Longformer, BigBird,
Reformer, Nystromformer) have one layer of the same width and random weights: cost does not depend
on what was learnt.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.attention.patterns import PATTERNS, Pattern, patterned
from benchmarks.common import (
    ROOT,
    SEED,
    Result,
    forget_peak,
    in_child,
    memory_mb,
    publish,
    seconds,
    sha256,
)
from benchmarks.kept import Kept, OutOfTime
from spacy_attn.encoder.self_attention import SelfAttentionLayer

RESULT = "attention-cost"
PICTURE = ROOT / "docs" / "figures" / "attention-cost.svg"
MODELS = ("longformer", "big_bird", "reformer", "nystromformer")
PHASES = {"forward": 16_384, "training": 2_048}  # longest
SHORTEST = 128
WIDTH, HEADS = 64, 4
_FITTED = 1_024  # from this length on: below it fixed costs hide how time grows


# -- one system, in a process of its own ---------------------------------------------------------


def layer_of(system: str, device: str, longest: int = 16_384) -> tuple[Callable[[int], Any], Any]:
    """A function of the length that runs one layer and gives a tensor; and the layer."""
    import torch

    if system in MODELS:
        model = model_of(system, longest).to(device)

        def run_model(n: int) -> Any:
            hold_pattern(model, system, n)
            ids = torch.randint(5, 90, (1, n), device=device)  # 0 is padding to some of them
            return model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state

        return run_model, model
    layer = SelfAttentionLayer(WIDTH, HEADS, attention=patterned(Pattern(system))).to(device)

    def run(n: int) -> Any:
        x = torch.randn(1, n, WIDTH, device=device, requires_grad=torch.is_grad_enabled())
        return layer(x, torch.ones(1, n, dtype=torch.bool, device=device))

    return run, layer


def hold_pattern(model: Any, system: str, n: int) -> None:
    """Keep a model of Hugging Face at its own pattern, which it leaves in silence.

    BigBird turns to full attention at a text below eleven blocks, and stays there for all later
    ones. Nystromformer has landmarks at the one length that it was configured for.
    """
    if system == "big_bird":
        model.set_attention_type("block_sparse")
    if system == "nystromformer":
        for layer in model.encoder.layer:
            layer.attention.self.seq_len = n


def model_of(name: str, longest: int = 16_384, layers: int = 1, vocabulary: int = 96) -> Any:
    """A tiny model of Hugging Face with random weights.

    Args:
        name: one of ``MODELS``.
        longest: tokens that it has positions for; a power of two.
        layers: of attention.
        vocabulary: pieces.
    """
    from transformers import (
        BigBirdConfig,
        BigBirdModel,
        LongformerConfig,
        LongformerModel,
        NystromformerConfig,
        NystromformerModel,
        ReformerConfig,
        ReformerModel,
    )

    shared = {
        "vocab_size": vocabulary,
        "hidden_size": WIDTH,
        "num_hidden_layers": layers,
        "num_attention_heads": HEADS,
        "intermediate_size": 4 * WIDTH,
        "max_position_embeddings": longest + 2,
    }
    if name == "longformer":
        config = LongformerConfig(**shared, attention_window=[64] * layers, pad_token_id=1)
        return LongformerModel(config, add_pooling_layer=False)
    if name == "big_bird":
        config = BigBirdConfig(**shared, attention_type="block_sparse", block_size=32)
        return BigBirdModel(config, add_pooling_layer=False)
    if name == "nystromformer":
        return NystromformerModel(NystromformerConfig(**shared, num_landmarks=64))
    config = ReformerConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        attn_layers=["lsh"] * layers,
        num_attention_heads=HEADS,
        attention_head_size=WIDTH // HEADS,
        feed_forward_size=4 * WIDTH,
        # Axial positions would train at one length alone.
        axial_pos_embds=False,
        max_position_embeddings=longest,
        lsh_attn_chunk_length=64,
        num_hashes=1,
        is_decoder=False,
        hash_seed=0,  # else each forward draws other buckets
    )
    return ReformerModel(config)


def measure(
    system: str, phase: str, lengths: Sequence[int], repeats: int, device: str
) -> list[dict[str, Any]]:
    """Seconds of each repeat and the memory above what stood before, for each length."""
    import torch

    torch.manual_seed(0)
    longest = max(PHASES.values()) if phase == "forward" else max(lengths)
    run, module = layer_of(system, device, longest)
    module.train(phase == "training")

    def once(n: int) -> None:
        if phase == "training":
            run(n).square().mean().backward()
            module.zero_grad()
        else:
            with torch.no_grad():
                run(n)
        if device == "cuda":
            torch.cuda.synchronize()

    once(SHORTEST)  # first calls allocate and compile
    out = []
    for n in lengths:
        with peak_above(device) as memory:
            times = [seconds(partial(once, n)) for _ in range(repeats + 1)]
        out.append({"tokens": n, "seconds": times[1:], "mib": round(max(memory[0], 0.0), 2)})
    return out


@contextmanager
def peak_above(device: str) -> Iterator[list[float]]:
    """A list that gets the MiB by which memory rose above what was held before."""
    found: list[float] = []
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield found
        found.append((torch.cuda.max_memory_allocated() - before) / (1 << 20))
    else:
        forget_peak()
        before_mb = memory_mb()
        yield found
        found.append(memory_mb("VmHWM") - before_mb)


# -- what is made of it --------------------------------------------------------------------------


def exponent(lengths: Sequence[int], values: Sequence[float]) -> dict[str, Any]:
    """The power of the length that values grow with, and its 95 % interval.

    Least squares on logarithms; the interval is that of the slope (Student's t). None where fewer
    than three values are above zero.
    """
    from scipy.stats import linregress, t

    pairs = [(n, v) for n, v in zip(lengths, values, strict=True) if v > 0]
    if len(pairs) < 3:
        return {"exponent": None, "ci95": None}
    fit = linregress(*np.log(np.array(pairs)).T)
    half = t.ppf(0.975, len(pairs) - 2) * fit.stderr
    slope = float(fit.slope)
    return {"exponent": round(slope, 3), "ci95": [round(slope - half, 3), round(slope + half, 3)]}


def crossover(lengths: Sequence[int], values: Sequence[float], full: Sequence[float]) -> int | None:
    """The first measured length from which on a system costs less than full attention."""
    cheaper = [v < f for v, f in zip(values, full, strict=True)]
    for i, n in enumerate(lengths):
        if all(cheaper[i:]):
            return n
    return None


def analysed(curves: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Exponents and crossover lengths of the systems of one phase.

    The times of a length are their median.
    """
    full = {point["tokens"]: point for point in curves["full"]}
    out = []
    for name, points in curves.items():
        lengths = [point["tokens"] for point in points]
        seconds = [float(np.median(point["seconds"])) for point in points]
        base = [float(np.median(full[n]["seconds"])) for n in lengths]
        long = [i for i, n in enumerate(lengths) if n >= min(_FITTED, max(lengths) // 4)]
        out.append(
            {
                "name": name,
                "tokens": lengths,
                "seconds": seconds,
                "mib": [point["mib"] for point in points],
                "time": exponent([lengths[i] for i in long], [seconds[i] for i in long]),
                "memory": exponent([lengths[i] for i in long], [points[i]["mib"] for i in long]),
                "faster_than_full_from": None
                if name == "full"
                else crossover(lengths, seconds, base),
            }
        )
    return out


def draw(result: dict[str, Any], path: Path) -> None:
    """Time and memory against length, on logarithmic axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 1 + 2.4 * len(result["phases"])), layout="constrained")
    axes = figure.subplots(len(result["phases"]), 2, squeeze=False)
    for row, (phase, systems) in zip(axes, result["phases"].items(), strict=True):
        for panel, (key, label) in zip(
            row, (("seconds", "seconds"), ("mib", "MiB above start")), strict=True
        ):
            for system in systems:
                values = [value or np.nan for value in system[key]]  # no logarithm of 0
                panel.plot(system["tokens"], values, marker="o", ms=3, label=system["name"])
            panel.set(xlabel="tokens", ylabel=label, title=phase, xscale="log", yscale="log")
            lengths = max((system["tokens"] for system in systems), key=len)
            shown = lengths[::-2]  # every other one: a telephone has no room for more
            panel.set_xticks(shown, [f"{n:,}" for n in shown])
            panel.set_xticks([], minor=True)
            panel.grid(True, color="#dddddd", lw=0.6)
    lines, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m benchmarks.attention.cost", None, __doc__, formatter_class=formatter
    )
    parser.add_argument("--longest", type=int, default=max(PHASES.values()))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    systems = [*PATTERNS, *MODELS]
    parser.add_argument("--systems", nargs="+", default=systems, choices=systems)
    parser.add_argument("-o", "--output", type=Path, help="where a trial's result goes")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)  # system and phase
    parser.add_argument("--within", type=float, help="seconds after which nothing is begun")
    parser.add_argument("--kept", type=Path, default=ROOT / "build" / "attention-cost")
    given = parser.parse_args()
    if given.worker is not None:
        system, phase = given.worker
        points = measure(system, phase, _lengths(phase, given.longest), given.repeats, given.device)
        print(json.dumps(points))
        return
    result: Result = {
        "device": given.device,
        "repeats": given.repeats,
        "width": WIDTH,
        "heads": HEADS,
        "phases": {},
    }
    kept = Kept(given.kept, given.within)
    for phase in PHASES:
        curves: dict[str, list[Result]] = {}
        for system in dict.fromkeys(["full", *given.systems]):
            try:
                curves[system] = points_of(kept, given, system, phase)
            except OutOfTime as error:
                raise SystemExit(str(error)) from error
            except RuntimeError as error:  # one that fails does not cost the others their rows
                result.setdefault("failed", {})[f"{system}, {phase}"] = str(error)
                print(f"{system}, {phase}: did not run: {error}", flush=True)
                continue
            print(f"{system}, {phase}: {curves[system][-1]['mib']} MiB", flush=True)
        result["phases"][phase] = analysed(curves)
    command = f".attention.cost --repeats {given.repeats}"
    publish(given.output or RESULT, result, command, seed=SEED)
    draw(result, PICTURE if given.output is None else given.output.with_suffix(".svg"))


def points_of(kept: Kept, given: argparse.Namespace, system: str, phase: str) -> list[Result]:
    """What :func:`measure` gives in a process of its own, or gave before.

    Raises:
        RuntimeError: the process failed; with its last line.
        OutOfTime: there is no time to begin it.
    """
    options = [
        "--longest",
        str(given.longest),
        "--repeats",
        str(given.repeats),
        "--device",
        given.device,
    ]
    here = Path(__file__)
    code = [sha256(ROOT / "spacy_attn" / "encoder" / "self_attention.py")]
    code.append(sha256(here if system in MODELS else here.with_name("patterns.py")))
    found = kept.get(
        {"system": system, "phase": phase, "options": options, "code": code},
        lambda: {"points": in_child("attention.cost", "--worker", system, phase, *options)},
    )
    points: list[Result] = found["points"]
    return points


def _lengths(phase: str, longest: int) -> list[int]:
    last = min(PHASES[phase], longest)
    return [n for n in (SHORTEST << i for i in range(20)) if n <= last]


if __name__ == "__main__":
    main()

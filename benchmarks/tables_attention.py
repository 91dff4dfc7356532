"""The tables of what attention itself adds and costs, from results alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.common import ROOT

__all__ = ["claims", "cost", "rows"]

RESULTS = ROOT / "benchmarks" / "results"
_HEADS = (1, 2, 4, 8)

Result = dict[str, Any]


def _load(name: str) -> Result:
    result: Result = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    return result


def _share(of: Result) -> str:
    """``71.2 (69.5 to 72.8)``, in percent."""
    low, high = of["ci95"]
    mean = of["mean"] if "mean" in of else of["accuracy"]
    return f"{100 * mean:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _grid(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"] + [
        f"| {' | '.join(line)} |" for line in lines
    ]


def _trained(result: Result) -> str:
    examples = result["examples"]
    of = f"{examples} examples of each sense, drawn by the seed" if examples else "all examples"
    return f"{of} ({result['n_train']:,} texts), {result['epochs']} epochs, {result['seeds']} seeds"


def rows(result: Result | None = None) -> str:
    """All systems: over all, by distance of the cue, layers by heads."""
    result = result or _load("attention.json")
    systems = {system["name"]: system for system in result["systems"]}
    plain = {name: s for name, s in systems.items() if " x " not in name or "," in name}
    main = systems["attention 1 x 4"]
    chosen = [*(n for n in plain if "," not in n), main["name"], *(n for n in plain if "," in n)]
    bins = [f"{b['from']} to {b['to']}" if b["to"] else f"{b['from']} or more"
            for b in main["by_distance"]]  # fmt: skip
    sizes = [s["parameters"]["mixer"] for s in systems.values() if s["parameters"]["mixer"]]
    lines = [
        "All systems have the same static vectors (GloVe 50d), head and training, and "
        f"{min(sizes):,} "
        f"to {max(sizes):,} parameters in the layer that mixes the vectors (`static` has none). "
        f"They are trained on {_trained(result)}. Accuracy on the {result['n']:,} test instances "
        "with 95 % intervals over instances and seeds; the last columns give it by the number of "
        "tokens to the nearest cue.",
        "",
        *_grid(
            ["system", "all", "gain over static", *bins],
            [
                [
                    _name(name), _share(systems[name]),
                    "" if name == "static" else _share(systems[name]["over_static"]),
                    *(f"{100 * each['mean']:.1f}" for each in systems[name]["by_distance"]),
                ]
                for name in chosen
            ],
        ),
        "",
        *_grid(
            ["layers", *(f"{h} head{'s' if h > 1 else ''}" for h in _HEADS)],
            [
                [str(n), *(_share(systems[f"attention {n} x {h}"]) for h in _HEADS)]
                for n in (1, 2, 3, 4)
            ],
        ),
    ]  # fmt: skip
    return "\n".join([*lines, "", f"Made with `{result['manifest']['command']}`."])


def _name(name: str) -> str:
    base, _, pattern = name.partition(", ")
    if base.startswith("attention"):
        return f"attention, {pattern or 'full'}"
    return {"bilstm": "BiLSTM", "cnn": "CNN", "feed_forward": "feed-forward"}.get(base, base)


def claims(result: Result | None = None, domains: Result | None = None) -> str:
    """Claims about attention, a row each."""
    result = result or _load("attention-claims.json")
    if domains is None and (RESULTS / "attention-domains.json").is_file():
        domains = _load("attention-domains.json")
    results = [result] if domains is None else [result, domains]
    lines = [
        f"Training: {_trained(result)}"
        + (
            ""
            if domains is None
            else f". Rows on domains: {domains['n_train']:,} occurrences of "
            f"SemCor and MASC, {domains['epochs']} epochs, {domains['seeds']} seeds, senses of "
            "WordNet"
        )
        + ". *difference*: attention (one layer, four heads) minus static, if the "
        "measure does not say otherwise, with its 95 % interval.",
        "",
    ]
    table = [_claim(row) for each in results for row in each["claims"]]
    heads = ["claim", "measure", "static", "CNN / BiLSTM", "attention", "difference",
             "verdict", "against CNN / BiLSTM"]  # fmt: skip
    lines += _grid(heads, table)
    gaps = [row for row in result["claims"] if row.get("gap")]
    lines += ["", "Overfitting (accuracy on training data minus accuracy on the test set; each "
    "training "
              "text is left out of the prototype of its own sense): "
              + "; ".join(f"{_n_examples(row)}: " + ", ".join(
                  f"{kind} {100 * gap:.1f}" for kind, gap in row["gap"].items()) for row in gaps)
              + "."]  # fmt: skip
    made = " and ".join(f"`{each['manifest']['command']}`" for each in results)
    return "\n".join([*lines, "", f"Made with {made}."])


def _n_examples(row: Result) -> str:
    return str(row["claim"]).partition("with ")[2]


def _claim(row: Result) -> list[str]:
    systems, other = row["systems"], row.get("over_other")

    def mean(name: str) -> str:
        return f"{100 * systems[name]['mean']:.1f}" if name in systems else ""

    cells = [row["claim"], row["measure"]]
    if "static" in systems:
        cells += [mean("static"), f"{mean('cnn')} / {mean('bilstm')}", mean("attention 1 x 4")]
    else:
        said = ", ".join(f"{name} {mean(name)}" for name in systems)
        cells += ["", "", said]
    cells += [_share(row["difference"]), f"**{row['verdict']}**"]
    return [*cells, "" if other is None else f"{_share(other)}: {other['verdict']}"]


def cost(result: Result | None = None) -> str:
    """Exponents of time and memory, and from which length on a pattern is cheaper than full."""
    result = result or _load("attention-cost.json")
    lines = [
        f"One layer (width {result['width']}, {result['heads']} heads). *time exponent* and "
        "*memory "
        "exponent*: time and memory grow with the length to this power (95 % interval of the "
        "fit; from 1,024 tokens in *forward*, from 512 in *training*).",
        "",
    ]
    table = []
    for phase, systems in result["phases"].items():
        for system in systems:
            cheaper = system["faster_than_full_from"]
            table.append(
                [
                    phase, system["name"], f"{system['tokens'][-1]:,}",
                    f"{system['seconds'][-1]:.3f}", f"{system['mib'][-1]:,.0f}",
                    _exponent(system["time"]), _exponent(system["memory"]),
                    "" if system["name"] == "full" else f"{cheaper:,}" if cheaper else "never",
                ]
            )  # fmt: skip
    heads = ["phase", "system", "longest", "seconds", "MiB", "time exponent", "memory exponent",
             "faster than full from"]  # fmt: skip
    lines += _grid(heads, table)
    lines += ["", "![Time and memory against length](../figures/attention-cost.svg)", "",
              f"Made with `{result['manifest']['command']}`, {result['repeats']} repeats, "
              f"{result['manifest']['threads']} threads; longformer to nystromformer are models of "
              f"Hugging Face with random weights.{_not_measured(result)}"]  # fmt: skip
    return "\n".join(lines)


def _not_measured(result: Result) -> str:
    names: dict[str, list[str]] = {}
    for name, why in result.get("failed", {}).items():
        names.setdefault(why.rstrip("."), []).append(f"{name.replace(', ', ' (')})")
    said = "; ".join(f"{', '.join(each)}: {why}" for why, each in names.items())
    return f" Not measured: {said}." if said else ""


def _exponent(fit: Result) -> str:
    if fit["exponent"] is None:
        return ""
    low, high = fit["ci95"]
    return f"{fit['exponent']:.2f} ({low:.2f} to {high:.2f})"

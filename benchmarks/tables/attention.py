"""Tables of the study of attention itself, and of what explains a decision."""

from __future__ import annotations

from typing import Any

from benchmarks.common import Result, load
from benchmarks.tables.markdown import (
    Column,
    between,
    exact,
    made_with,
    number,
    page,
    percent,
    table,
    whole,
    wide_table,
)

_NAMES = {"bilstm": "BiLSTM", "cnn": "CNN", "feed_forward": "feed-forward"}
_MAIN = "attention 1 x 4"


def _with_interval(of: Result) -> str:
    """``71.2 (69.5 to 72.8)``, in percent."""
    return f"{percent(of.get('mean', of.get('accuracy')))} ({between(of['ci95'])})"


def _trained(result: Result) -> str:
    examples = result["examples"]
    of = f"{examples} examples of each sense, drawn by the seed" if examples else "all examples"
    return f"{of} ({result['n_train']:,} texts), {result['epochs']} epochs, {result['seeds']} seeds"


def _command(result: Result) -> str:
    """What comes after ``python -m benchmarks``."""
    return str(result["manifest"]["command"]).removeprefix("python -m benchmarks")


def rows() -> str:
    """All systems: over all, by distance of the cue, layers by heads."""
    result = load("attention")
    systems = {system["name"]: system for system in result["systems"]}
    simple = [name for name in systems if not name.startswith("attention")]
    patterns = [name for name in systems if "," in name]
    bins = systems[_MAIN]["by_distance"]
    sizes = [s["parameters"]["mixer"] for s in systems.values() if s["parameters"]["mixer"]]

    def name(system: Result) -> str:
        base, _, pattern = str(system["name"]).partition(", ")
        if base.startswith("attention"):
            return f"attention, {pattern or 'full'}"
        return _NAMES.get(base, base)

    def over_static(system: Result) -> str | None:
        return None if system["name"] == "static" else _with_interval(system["over_static"])

    def distance(k: int) -> Column:
        low, high = bins[k]["from"], bins[k]["to"]
        head = f"{low} to {high}" if high else f"{low} or more"
        return Column(head, lambda system: system["by_distance"][k]["mean"], percent)

    heads = (1, 2, 4, 8)
    return page(
        f"""All systems have the same static vectors (GloVe 50d), head and training, and
        {min(sizes):,} to {max(sizes):,} parameters in the layer that mixes the vectors (`static`
        has none). They are trained on {_trained(result)}. Accuracy on the {result["n"]:,} test
        instances with 95 % intervals over instances and seeds; the last columns give it by the
        number of tokens to the nearest cue.""",
        table(
            [systems[each] for each in [*simple, _MAIN, *patterns]],
            Column("system", name),
            Column("all", _with_interval),
            Column("gain over static", over_static),
            *map(distance, range(len(bins))),
        ),
        wide_table(
            "layers",
            [f"{h} head{'s' if h > 1 else ''}" for h in heads],
            {
                str(n): [_with_interval(systems[f"attention {n} x {h}"]) for h in heads]
                for n in (1, 2, 3, 4)
            },
        ),
        made_with(_command(result)),
    )


def claims() -> str:
    """Claims about attention, a row each."""
    result, domains = load("attention-claims"), load("attention-domains")

    def mean(name: str) -> Any:
        return lambda row: row["systems"][name]["mean"] if "static" in row["systems"] else None

    def attention(row: Result) -> str:
        systems = row["systems"]
        if "static" in systems:
            return percent(systems[_MAIN]["mean"])
        return ", ".join(f"{name} {percent(each['mean'])}" for name, each in systems.items())

    def over_other(row: Result) -> str | None:
        other = row.get("over_other")
        return f"{_with_interval(other)}: {other['verdict']}" if other else None

    gaps = [row for row in result["claims"] if row.get("gap")]
    kinds = list(gaps[0]["gap"])
    return page(
        f"""Training: {_trained(result)}. Rows on domains: {domains["n_train"]:,} occurrences of
        SemCor and MASC, {domains["epochs"]} epochs, {domains["seeds"]} seeds, senses of WordNet.
        *difference*: attention (one layer, four heads) minus static, if the measure does not say
        otherwise, with its 95 % interval.""",
        table(
            [*result["claims"], *domains["claims"]],
            Column("claim", "claim"),
            Column("measure", "measure"),
            Column("static", mean("static"), percent),
            Column("CNN", mean("cnn"), percent),
            Column("BiLSTM", mean("bilstm"), percent),
            Column("attention", attention),
            Column("difference", lambda row: _with_interval(row["difference"])),
            Column("verdict", "verdict", lambda said: f"**{said}**"),
            Column("against CNN / BiLSTM", over_other),
        ),
        """Overfitting: accuracy on training data (each text left out of the prototype of its own
        sense) minus accuracy on the test set.""",
        table(
            gaps,
            Column("trained with", lambda row: row["claim"].partition("with ")[2]),
            *(Column(kind, f"gap.{kind}", percent) for kind in kinds),
        ),
        made_with(_command(result), _command(domains)),
    )


def cost() -> str:
    """Exponents of time and memory, and from which length on a pattern is cheaper than full."""
    result = load("attention-cost")
    systems = [
        {"phase": phase, **system} for phase, those in result["phases"].items() for system in those
    ]

    def exponent(fit: Result) -> str:
        if fit["exponent"] is None:
            return ""
        low, high = fit["ci95"]
        return f"{fit['exponent']:.2f} ({low:.2f} to {high:.2f})"

    def cheaper(system: Result) -> str | None:
        if system["name"] == "full":
            return None
        first = system["faster_than_full_from"]
        return f"{first:,}" if first else "never"

    failed = "; ".join(f"{name}: {why}" for name, why in result.get("failed", {}).items())
    return page(
        f"""One layer (width {result["width"]}, {result["heads"]} heads). *time exponent* and
        *memory exponent*: time and memory grow with the length to this power (95 % interval of the
        fit; from 1,024 tokens in *forward*, from 512 in *training*). longformer to nystromformer
        are models of Hugging Face with random weights.""",
        table(
            systems,
            Column("phase", "phase"),
            Column("system", "name"),
            Column("longest", lambda s: s["tokens"][-1], whole),
            Column("seconds", lambda s: s["seconds"][-1], exact),
            Column("MiB", lambda s: s["mib"][-1], whole),
            Column("time exponent", "time", exponent),
            Column("memory exponent", "memory", exponent),
            Column("faster than full from", cheaper),
        ),
        f"Not measured: {failed}" if failed else "",
        "![Time and memory against length](../figures/attention-cost.svg)",
        f"""{result["repeats"]} repeats, {result["manifest"]["threads"]} threads.
        {made_with(".attention.cost")}""",
    )


def explanations() -> str:
    """Which attribution method points at the word that decides."""
    result = load("explanations")
    best, layers = result["open_half"]["best"], result["layers"]

    def way(row: Result) -> str:
        where = best.get(row["name"])
        if where is None:
            return str(row["name"]).replace("_", " ")
        head = "" if where["head"] is None else f", head {where['head']}"
        return f"{row['name']} (layer {where['layer']}{head})"

    rates = {(row["kind"], row["layer"]): percent(row["pointing"]) for row in layers}
    numbers = sorted({row["layer"] for row in layers})
    kinds = dict.fromkeys(row["kind"] for row in layers)
    return page(
        f"""{result["n"]:,} words that `attention` decides correctly, from {result["n_looked_at"]:,}
        of {result["of"]:,} instances of the frozen half of the test set. *pointing*: how often the
        word with the highest weight is a cue; *precision*: precision at k, k the number of cues;
        *comprehensiveness*: how far the probability of the chosen sense falls without the fifth of
        the words with the highest weights (higher is better); *sufficiency*: how far it falls with
        these words alone (lower is better).""",
        table(
            result["ways"],
            Column("attribution", way),
            Column("pointing", "pointing", percent),
            Column("95 %", "ci95", between),
            Column("precision", "precision_at_k", percent),
            Column("comprehensiveness", "comprehensiveness", exact),
            Column("sufficiency", "sufficiency", exact),
        ),
        wide_table(
            "*pointing*, by layer",
            numbers,
            {kind: [rates[kind, layer] for layer in numbers] for kind in kinds},
        ),
        f"""Best layers and heads were chosen on {result["open_half"]["n"]:,} words of the open
        half. Integrated gradients use {result["steps"]} steps; the median gap between their sum
        and the explained difference is {number(2)(100 * result["gap_median"])} %.
        {made_with(_command(result))}""",
    )

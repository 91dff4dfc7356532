"""The tables of the external sets and of the tasks beyond senses, from results alone.

Each function gives the markdown of one section; every sentence follows from the numbers, and
where a classic method wins it says so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.common import ROOT

__all__ = ["coarsewsd20", "tasks", "wic"]

RESULTS = ROOT / "benchmarks" / "results"

_SURE = 0.05  # of a p value

Result = dict[str, Any]


def _load(name: str) -> Result:
    result: Result = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    return result


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"


def _interval(bounds: Sequence[float]) -> str:
    low, high = bounds
    return f"{100 * low:.1f} to {100 * high:.1f}"


def _p(test: dict[str, float] | None) -> str:
    """A corrected p value; "" for the row that the others are compared with."""
    if test is None:
        return ""
    return "< 0.001" if test["p_holm"] < 0.001 else f"{test['p_holm']:.3f}"


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def _made(result: Result) -> str:
    return f"Made with `{result['manifest']['command']}`."


# -- CoarseWSD-20 -----------------------------------------------------------------------------


def coarsewsd20(result: Result | None = None) -> str:
    """CoarseWSD-20 with its training split, and with few examples of it."""
    result = result or _load("coarsewsd20.json")
    lines = [
        f"{result['n_words']} nouns with {result['n_senses']} coarse senses. Each word has a "
        f"classifier, trained on {result['n_train']:,} sentences in all and tested on all "
        f"{result['n']:,} test sentences. Settings were chosen by "
        f"{result['cross_validation']['folds']}-fold cross-validation on the "
        f"training split. *p*: McNemar's test against {result['baseline']}, Holm-corrected. Rows "
        "in italics are from the paper (Loureiro et al. 2021).",
        "",
    ]
    rows = [
        [
            row["name"], _percent(row["accuracy"]), _interval(row["ci95"]),
            _percent(row["macro_f1"]), _interval(row["macro_f1_ci95"]), _p(row["comparison"]),
        ]
        for row in result["systems"]
    ]  # fmt: skip
    rows += [
        [f"*{name}*", f"*{accuracy:.1f}*", "", f"*{f1:.1f}*", "", ""]
        for name, (accuracy, f1) in result["from_paper"].items()
    ]
    lines += _grid(["system", "accuracy", "95 %", "macro-F1", "95 %", "p"], rows)
    lines += ["", _reached(result), "", _words_won(result), "", *_shots(result), "", _made(result)]
    return "\n".join(lines)


def _reached(result: Result) -> str:
    row = next(r for r in result["systems"] if r["name"] == "attention, chosen on training data")
    got = 100 * row["accuracy"], 100 * row["macro_f1"]
    said = []
    for key, label in (("to_reach", "the target was"), ("aim", "the aim was")):
        accuracy, f1 = result[key]
        gaps = [
            f"{goal - score:.1f} points of {name}"
            for goal, score, name in zip((accuracy, f1), got, ("accuracy", "macro-F1"), strict=True)
            if round(score, 1) < goal
        ]
        verdict = f"{' and '.join(gaps)} more than the result" if gaps else "reached"
        said.append(f"{label} {accuracy:.1f} / {f1:.1f} ({verdict})")
    chosen = "; ".join(result["chosen"]["attention"])
    return (
        f"*attention, chosen on training data* ({chosen}) has {got[0]:.1f} / {got[1]:.1f}; "
        f"{', '.join(said)}."
    )


def _words_won(result: Result) -> str:
    won = [
        f"*{each['word']}* ({each['system']} {_percent(each['accuracy'])}, attention "
        f"{_percent(each['attention'])})"
        for each in result["classic_wins"]
    ]
    if not won:
        return f"No classic system is more accurate on any of the {result['n_words']} words."
    return (
        f"A classic system is more accurate on {len(won)} of {result['n_words']} words: "
        f"{', '.join(won)}."
    )


def _shots(result: Result) -> list[str]:
    curve, rows = result["few_shot"], result["systems"]
    sizes = curve["sizes"]
    grid = []
    for name, points in curve["systems"].items():
        cells = [
            f"{_percent(p['accuracy'])} ± {_percent(p['accuracy_sd'])} / {_percent(p['macro_f1'])}"
            for p in points
        ]
        full = next(row for row in rows if row["name"] == name)
        cells.append(f"{_percent(full['accuracy'])} / {_percent(full['macro_f1'])}")
        grid.append([name, *cells])
    shorts = [
        f"{point['short']} of the {result['n_senses']} senses have fewer than {point['size']} "
        "examples"
        for point in next(iter(curve["systems"].values()))
        if point["short"]
    ]
    zero = [
        f"`{name}` {_percent(score['accuracy'])} / {_percent(score['macro_f1'])}"
        for name, score in _zero_shot().items()
        if name not in ("random", "cascade")
    ]
    notes = [f"{'; '.join(shorts)}; all of these are used." if shorts else "", _few_winner(curve)]
    if zero:
        notes.append(
            "Without training sentences, with the inventory *homographs* mapped to these senses: "
            f"{', '.join(zero)}."
        )
    heads = ["examples of each sense", *map(str, sizes), "all"]
    return [
        f"With few training sentences (accuracy / macro-F1, mean of {curve['draws']} draws, "
        "± standard deviation of the accuracy):",
        "",
        *_grid(heads, grid),
        "",
        " ".join(note for note in notes if note),
    ]


def _zero_shot() -> dict[str, Result]:
    """The rows of ``python -m benchmarks.senses coarsewsd20``; none where it was not run."""
    if not (RESULTS / "senses-coarsewsd20.json").is_file():
        return {}
    return {row["name"]: row for row in _load("senses-coarsewsd20.json")["systems"]}


def _few_winner(curve: Result) -> str:
    best = [
        max(curve["systems"], key=lambda name: curve["systems"][name][k]["accuracy"])
        for k in range(len(curve["sizes"]))
    ]
    if len(set(best)) == 1:
        return f"{best[0][0].upper()}{best[0][1:]} leads at every size."
    pairs = zip(curve["sizes"], best, strict=True)
    return f"The best accuracy: {', '.join(f'{name} at {size}' for size, name in pairs)}."


# -- WiC ----------------------------------------------------------------------------------------


def wic(result: Result | None = None) -> str:
    """Same sense or not."""
    result = result or _load("wic.json")
    n, seen, unseen = result["n"], result["n_dev_with_wordnet_example"], result["n_unseen"]
    lines = [
        f"Has a word the same sense in two sentences? {n} development pairs; thresholds and "
        f"regressions are fitted on {result['n_train']:,} training pairs. In half of the pairs "
        "the sense is the same. *p*: McNemar's test against "
        f"*{result['baseline']}*, Holm-corrected.",
        "",
    ]
    heads, rows = ["system", "accuracy", "95 %", "p"], []
    if unseen is not None:
        lines[0] += (
            f" {seen} of the {n} development pairs contain an example sentence of WordNet. Systems "
            "with † have seen these sentences with their senses, in training or in glosses. "
            f"*unseen*: {unseen} pairs of both parts without such a sentence (regressions are "
            "fitted on other such pairs); for systems with † this is the fair figure."
        )
        heads += ["unseen", "95 %", "p"]
    for row in result["systems"]:
        cells = [f"{row['name']}{' †' if row['has_read'] else ''}"]
        for score in (row, row["unseen"]) if unseen is not None else (row,):
            cells += [
                _percent(score["accuracy"]), _interval(score["ci95"]), _p(score["comparison"])
            ]  # fmt: skip
        rows.append(cells)
    lines += [*_grid(heads, rows), "", _wic_verdict(result), "", _made(result)]
    return "\n".join(lines)


def _wic_verdict(result: Result) -> str:
    places = {
        "dev": "On the development pairs, among systems without †,",
        "unseen": "On the unseen pairs",
    }
    return " ".join(f"{places[name]} {_duel(duel)}." for name, duel in result["duels"].items())


def _duel(duel: Result) -> str:
    """Which kind is better, by its best row; unless the paired test cannot tell."""
    ours, theirs = duel["accuracies"]
    if duel["p"] >= _SURE:
        verdict = "the best attention and classic systems do not differ significantly"
    else:
        verdict = "attention is better" if ours > theirs else "a classic system is better"
    p = "< 0.001" if duel["p"] < 0.001 else f"= {duel['p']:.3f}"
    return (
        f"{verdict} ({_percent(ours)} for *{duel['attention']}*, {_percent(theirs)} for "
        f"*{duel['classic']}*, p {p})"
    )


# -- tasks --------------------------------------------------------------------------------------


def tasks(result: Result | None = None) -> str:
    """Sentiment and question type, with the cost beside them."""
    result = result or _load("tasks.json")
    names = list(result["n"])
    sizes = " and ".join(
        f"*{name}* ({result['n'][name]:,} test sentences, {result['n_classes'][name]} classes)"
        for name in names
    )
    lines = [
        f"{sizes}: logistic regression on one vector for each sentence, with the same splits; the "
        "penalty is chosen on the training part. *p*: McNemar's test "
        f"against *{result['baseline']}*, Holm-corrected. *ms*: from tokens to the vector, one run "
        f"({result['manifest']['processor']}, {result['manifest']['threads']} threads).",
        "",
    ]
    heads = ["sentence vector"]
    for name in names:
        heads += [name, "95 %", "macro-F1", "p", "ms"]
    heads += ["tokens encoded", "MB on disk"]
    systems = dict.fromkeys(row["name"] for row in result["systems"])
    lines += _grid(heads, [_task_cells(result, system, names) for system in systems])
    lines += ["", *(_task_verdict(result, name) for name in names), "", _made(result)]
    return "\n".join(lines)


def _task_cells(result: Result, system: str, names: Sequence[str]) -> list[str]:
    cells = [system]
    mine = {row["task"]: row for row in result["systems"] if row["name"] == system}
    for name in names:
        row = mine[name]
        cells += [
            _percent(row["accuracy"]), _interval(row["ci95"]), _percent(row["macro_f1"]),
            _p(row["comparison"]), f"{row['ms_per_sentence']:.2f}",
        ]  # fmt: skip
    row = mine[names[0]]
    return [*cells, f"{100 * row['share_of_tokens_encoded']:.0f} %", f"{row['disk_mb']:.1f}"]


def _task_verdict(result: Result, task: str) -> str:
    duel = result["duels"][task]
    ms = {row["name"]: row["ms_per_sentence"] for row in result["systems"] if row["task"] == task}
    ratio = ms[duel["attention"]] / max(ms[duel["classic"]], 1e-9)
    return (
        f"{task[0].upper()}{task[1:]}: {_duel(duel)}; attention takes {ratio:,.0f} times the time "
        "for a sentence's vector."
    )

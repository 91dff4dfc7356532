"""Write the tables of README.md from the committed results.

    python -m benchmarks.tables

Numbers stand between ``<!-- results -->`` and ``<!-- /results -->`` and are never typed;
a test fails where the text and ``benchmarks/results/*.json`` disagree.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.manifest import ROOT

__all__ = ["render", "replace_between"]

RESULTS = ROOT / "benchmarks" / "results"
START, END = "<!-- results -->", "<!-- /results -->"


def _load(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    return result


def render() -> str:
    """Both tables and the sentences that say what came out."""
    own, coarse = _load("senses-homographs.json"), _load("senses-coarsewsd20.json")
    lines = [
        f"Share of right senses. *homographs*: {own['n']} test sentences written for this "
        "project, none near an example of the inventory. "
        f"*CoarseWSD-20*: all {coarse['n']:,} test sentences (Loureiro et al. 2021), nothing "
        "trained or tuned on that set, our senses mapped to its own.",
        "",
        "| method | homographs | 95 % | macro-F1 | CoarseWSD-20 | 95 % | macro-F1 | words/s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    others = {system["name"]: system for system in coarse["systems"]}
    for system in own["systems"]:
        other = others[system["name"]]
        lines.append(
            f"| `{system['name']}` | {_percent(system['accuracy'])} | {_interval(system)} "
            f"| {_percent(system['macro_f1'])} | {_percent(other['accuracy'])} "
            f"| {_interval(other)} | {_percent(other['macro_f1'])} "
            f"| {other['words_per_second']:,} |"
        )
    lines += ["", _ends(own, coarse), "", _classic_wins(coarse)]
    processor, threads = coarse["manifest"]["processor"], coarse["manifest"]["threads"]
    lines += [
        "",
        "Words/s: the method alone over texts that are tokenised and tagged already "
        f"(CoarseWSD-20, {processor}, {threads} threads, one run). "
        "Made with `python -m benchmarks.senses homographs` and `... coarsewsd20`.",
    ]
    return "\n".join(lines)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"


def _interval(system: dict[str, Any]) -> str:
    low, high = system["ci95"]
    return f"{100 * low:.1f} to {100 * high:.1f}"


def _ends(own: dict[str, Any], coarse: dict[str, Any]) -> str:
    a, b = own["end_to_end"], coarse["end_to_end"]
    return (
        "On plain text, where the pipeline must find the word first (a word it does not find "
        f"counts as wrong), `attention` has {_percent(a['accuracy'])} on homographs "
        f"({_percent(a['found'])} found) and {_percent(b['accuracy'])} on CoarseWSD-20 "
        f"({_percent(b['found'])} found; that set is lower-cased, which misleads the tagger)."
        " The rule that takes mistagged nouns for nouns was made after a look at the tags of "
        "that set; no method's decision was."
    )


def _classic_wins(coarse: dict[str, Any]) -> str:
    systems = {system["name"]: system for system in coarse["systems"]}
    attention = systems.pop("attention")["by_word"]
    won = []
    for word, best in attention.items():
        name = max(systems, key=lambda s: systems[s]["by_word"][word])
        if systems[name]["by_word"][word] > best:
            score = systems[name]["by_word"][word]
            won.append(f"*{word}* ({name} {_percent(score)}, attention {_percent(best)})")
    if not won:
        return "No classic method beats `attention` on any of the 20 words."
    return f"Where a classic method does better on CoarseWSD-20: {', '.join(won)}."


def replace_between(text: str, new: str) -> str:
    """The text with what stands between the markers replaced."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{new}\n{END}{after}"


def main() -> None:
    path = Path(ROOT / "README.md")
    path.write_text(replace_between(path.read_text(encoding="utf-8"), render()), encoding="utf-8")


if __name__ == "__main__":
    main()

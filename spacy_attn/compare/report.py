"""Results as tables of text; the command line draws them.

Everything is made of the contents of ``results.json`` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spacy_attn._types import PlainData
from spacy_attn.compare.results import PUBLISHED

__all__ = ["Grid", "group_grids", "headline_grid", "notes"]

_TITLES = {"strata": "Accuracy by stratum", "pos": "Accuracy by part of speech",
           "subsets": "Accuracy by group of instances"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of text; its first column is the systems' names."""

    title: str
    heads: list[str]
    rows: list[list[str]]
    published: list[bool]  # for each row, whether it was not run here


def headline_grid(result: PlainData, *, tests: bool = False) -> Grid:
    """Accuracy, interval, macro-F1 and cost of each system; with tests, p against the baseline."""
    heads = ["system", "accuracy", "95 %", "p", "macro-F1", "ECE", "supersense", "coverage",
             "words/s", "peak MB"]  # fmt: skip
    baseline = result.get("baseline")
    rows = []
    for system in result["systems"]:
        low, high = system["ci95"]
        rows.append(
            [
                _name(system), _share(system["accuracy"]), f"{low:.3f} to {high:.3f}",
                _p_value(system.get("comparison") if tests else None),
                _share(system["macro_f1"]), _share(system["calibration_error"]),
                _share(system["supersense_accuracy"]), _share(system["coverage"]),
                _whole(system["words_per_second"]), _whole(system["peak_rss_mb"]),
            ]
        )  # fmt: skip
    title = f"{result['dataset']}, inventory {result['inventory']}, n = {result['n']:,}"
    if tests and any(system.get("comparison") for system in result["systems"]):
        title += f"; p: McNemar's test against {baseline}, Holm-corrected"
    return _without_empty(Grid(title, heads, rows, _published(result)))


def group_grids(result: PlainData) -> list[Grid]:
    """Accuracy by stratum, part of speech and group; of each what tells instances apart."""
    grids = []
    for sort, title in _TITLES.items():
        groups = {name: n for name, n in result["n_by"][sort].items() if n < result["n"]}
        if len(groups) < 2:
            continue
        heads = ["system", *(f"{name} ({n:,})" for name, n in groups.items())]
        rows = [
            [_name(system), *(_share(system[sort].get(name)) for name in groups)]
            for system in result["systems"]
        ]
        grids.append(Grid(title, heads, rows, _published(result)))
    return grids


def notes(result: PlainData) -> list[str]:
    """What has to be known to read the tables, one sentence each."""
    n, said = result["n"], []
    if result["unknown"]:
        said.append(
            f"{result['unknown']:,} of {n:,} instances have a word without candidates in the "
            "inventory, or one that the pipeline does not find; they count as wrong"
        )
    if result["unreachable"]:
        said.append(
            f"{result['unreachable']:,} of {n:,} instances have a sense that is not among the "
            "candidates of their word; they count as wrong"
        )
    for system in result["systems"]:
        if system.get("missing"):
            said.append(
                f"{system['name']} has no prediction for {system['missing']:,} of {n:,} "
                "instances; they count as wrong"
            )
    said += [f"{name} was left out: {reason}" for name, reason in result["failed"].items()]
    return said


def _name(system: PlainData) -> str:
    return f"{system['name']} ({PUBLISHED})" if system["kind"] == PUBLISHED else system["name"]


def _published(result: PlainData) -> list[bool]:
    return [system["kind"] == PUBLISHED for system in result["systems"]]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _p_value(test: PlainData | None) -> str:
    """Of McNemar's test against the baseline, corrected; "-" for the baseline itself."""
    if test is None:
        return "-"
    return "< 0.001" if test["p_holm"] < 0.001 else f"{test['p_holm']:.3f}"


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _without_empty(grid: Grid) -> Grid:
    """Without the columns that say nothing of any system."""
    kept = [i for i, _ in enumerate(grid.heads) if i == 0 or any(r[i] != "-" for r in grid.rows)]
    rows = [_at(row, kept) for row in grid.rows]
    return Grid(grid.title, _at(grid.heads, kept), rows, grid.published)


def _at(cells: Sequence[str], columns: Sequence[int]) -> list[str]:
    return [cells[i] for i in columns]

"""Results as tables of text: a few for the terminal, all of them for the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from spacy_attn.compare.report.numbers import between, number, p_value, share, signed
from spacy_attn.compare.results import PUBLISHED

Result: TypeAlias = Mapping[str, Any]  # the contents of results.json
Row: TypeAlias = Mapping[str, Any]  # one of its "systems"
Point: TypeAlias = tuple[float, float, float, float]  # on a curve: place, accuracy, low, high
Columns: TypeAlias = dict[str, Callable[[Row], str]]  # cells by their heads

_TITLES: Final = {
    "strata": "Accuracy by stratum",
    "pos": "Accuracy by part of speech",
    "subsets": "Accuracy by group of instances",
}
_STARS: Final = {0.001: "***", 0.01: "**", 0.05: "*"}
_MOST_WORDS: Final = 200  # rows of the table of words


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text; its first column names the rows."""

    title: str
    heads: list[str]
    rows: list[list[str]]
    dim: frozenset[int] = frozenset()  # rows that were not run here
    best: frozenset[tuple[int, int]] = frozenset()  # (row, column) of what leads its column


def _table(
    title: str, systems: Sequence[Row], columns: Columns, best: Collection[str] = ()
) -> Table:
    """A row for each system, without the columns that say nothing of any.

    Args:
        title: above it.
        systems: the rows.
        columns: what a cell says of a system; "-" is nothing.
        best: heads of the columns whose highest value is marked.
    """
    cells = {head: [cell(system) for system in systems] for head, cell in columns.items()}
    cells = {head: column for head, column in cells.items() if set(column) - {"-"}}
    marked = {
        (i, j)
        for j, (head, column) in enumerate(cells.items(), 1)
        for i, cell in enumerate(column)
        # Shares have equally many digits, so that the greatest text is the greatest number.
        if head in best and len(set(column)) > 1 and cell == max(column)
    }
    rows = [[_name(system), *(c[i] for c in cells.values())] for i, system in enumerate(systems)]
    dim = frozenset(i for i, system in enumerate(systems) if is_published(system))
    return Table(title, ["system", *cells], rows, dim, frozenset(marked))


def is_published(system: Row) -> bool:
    """Whether a row was not run here."""
    return bool(system["kind"] == PUBLISHED)


def _name(system: Row) -> str:
    return f"{system['name']} ({PUBLISHED})" if is_published(system) else str(system["name"])


# -- what the terminal shows ----------------------------------------------------------------


def headline(result: Result) -> Table:
    """Accuracy, interval, test against the baseline, macro-F1 and cost of each system."""
    title = _headline_title(result)
    if _is_tested(result):
        title += f"; p: McNemar's test against {result['baseline']}, Holm-corrected"
    columns = _headline_columns({"p": _corrected})
    return _table(title, result["systems"], columns)


def _headline_title(result: Result) -> str:
    return f"{result['dataset']}, inventory {result['inventory']}, n = {result['n']:,}"


def _is_tested(result: Result) -> bool:
    has_tests = any(system.get("comparison") for system in result["systems"])
    return result.get("baseline") is not None and has_tests


def _corrected(system: Row) -> str:
    """The p value against the baseline."""
    return p_value((system.get("comparison") or {}).get("p_holm"))


def _headline_columns(tests: Columns) -> Columns:
    return {
        "accuracy": lambda s: share(s["accuracy"]),
        "95 %": lambda s: between(s["ci95"]),
        **tests,
        "macro-F1": lambda s: share(s["macro_f1"]),
        "ECE": lambda s: share(s["calibration_error"]),
        "supersense": lambda s: share(s["supersense_accuracy"]),
        "coverage": lambda s: share(s["coverage"]),
        "words/s": lambda s: number(s["words_per_second"]),
        "peak MB": lambda s: number(s["peak_rss_mb"]),
    }


def group_tables(result: Result) -> dict[str, Table]:
    """Accuracy by stratum, part of speech and group; of each what tells instances apart."""
    found = {}
    for sort, title in _TITLES.items():
        groups = strata_of(result) if sort == "strata" else _dividing(result, sort)
        if len(groups) > 1:
            columns = {f"{name} ({n:,})": _share_in(sort, name) for name, n in groups.items()}
            found[sort] = _table(title, result["systems"], columns, best=columns)
    return found


def _dividing(result: Result, sort: str) -> dict[str, int]:
    """Groups that hold some of the instances, with their numbers of instances."""
    return {name: n for name, n in result["n_by"].get(sort, {}).items() if n < result["n"]}


def _share_in(sort: str, name: str) -> Callable[[Row], str]:
    return lambda system: share(system[sort].get(name))


def strata_of(result: Result) -> dict[str, int]:
    """The strata that tell instances apart, ``plain`` first, with their numbers of instances."""
    n_by = _dividing(result, "strata")
    return dict(sorted(n_by.items(), key=lambda each: each[0] != "plain")) if len(n_by) > 1 else {}


def notes(result: Result) -> list[str]:
    """What has to be known to read the tables, one sentence each."""
    n = result["n"]
    said = []
    if result["unknown"]:
        said.append(
            f"{_of_all(result['unknown'], n, 'has')} a word without candidates in the "
            f"inventory, or one that the pipeline does not find: {_wrong(result['unknown'])}"
        )
    if result["unreachable"]:
        said.append(
            f"{_of_all(result['unreachable'], n, 'has')} a sense that is not among the candidates "
            f"of its word: {_wrong(result['unreachable'])}"
        )
    said += [
        f"{system['name']} has no prediction for {_of_all(system['missing'], n)}: "
        f"{_wrong(system['missing'])}"
        for system in result["systems"]
        if system.get("missing")
    ]
    return said + [f"{name} was left out: {reason}" for name, reason in result["failed"].items()]


def _of_all(some: int, n: int, verb: str = "") -> str:
    """``1 of 5 instances has``, ``all 5 instances have``, ``the only instance has``."""
    if some == n:
        who = "the only instance" if n == 1 else f"all {n:,} instances"
    else:
        who = f"{some:,} of {n:,} instances"
    verb = "have" if verb == "has" and some != 1 else verb
    return f"{who} {verb}".rstrip()


def _wrong(some: int) -> str:
    return "it counts as wrong" if some == 1 else "they count as wrong"


# -- what the page shows besides ------------------------------------------------------------


def page_tables(result: Result) -> dict[str, Table]:
    """All tables that the result has data for, by name."""
    tables = {
        "headline": _page_headline(result),
        "cost": _cost(result),
        **group_tables(result),
        "words": _words(result),
        "distance": _curve(result, "distance_curve", "Accuracy by tokens before the cue"),
        "learning": _curve(result, "learning_curve", "Accuracy by examples a sense"),
        "calibration": _calibration(result),
    }
    return {name: table for name, table in tables.items() if table is not None}


def _page_headline(result: Result) -> Table:
    """The terminal's table, the stratum ``plain`` before it and more of the tests."""
    plain: Columns = {"plain": _share_in("strata", "plain")} if "plain" in strata_of(result) else {}
    tests: Columns = {}
    if _is_tested(result):
        name = result["baseline"]
        baseline = next((s for s in result["systems"] if s["name"] == name), None)
        tests = {
            f"against {name}": lambda s: _difference(s, baseline),
            "only this : only baseline": _only_one_right,
            "p (Holm)": _corrected,
        }
    columns = {**plain, **_headline_columns(tests)}
    best = ("plain", "accuracy", "macro-F1", "supersense")
    return _table(_headline_title(result), result["systems"], columns, best)


def _difference(system: Row, baseline: Row | None) -> str:
    """From the baseline in accuracy, with stars where it is significant."""
    test = system.get("comparison")
    if not test or baseline is None:
        return "baseline" if system is baseline else "-"
    stars = next((stars for limit, stars in _STARS.items() if test["p_holm"] < limit), "")
    return f"{signed(system['accuracy'] - baseline['accuracy'])} {stars}".strip()


def _only_one_right(system: Row) -> str:
    test = system.get("comparison")
    return f"{test['only_this']:,} : {test['only_baseline']:,}" if test else "-"


def _cost(result: Result) -> Table | None:
    """What the systems that ran here cost."""
    front = pareto_front(result["systems"])
    columns: Columns = {
        "accuracy": lambda s: share(s["accuracy"]),
        "words/s": lambda s: number(s.get("words_per_second")),
        "seconds to first result": lambda s: number(s.get("seconds_to_first_result"), 2),
        "peak MB": lambda s: number(s.get("peak_rss_mb")),
        "disk MB": lambda s: number(s.get("disk_mb"), 1),
        "share of tokens encoded": lambda s: share(s.get("share_of_tokens_encoded")),
        "on the front": lambda s: "yes" if s["name"] in front else "-",
    }
    run = [system for system in result["systems"] if not is_published(system)]
    table = _table("What it costs", run, columns)
    return table if len(table.heads) > 2 else None


def pareto_front(systems: Sequence[Row]) -> list[str]:
    """Systems that no other beats in one of accuracy and speed without losing in the other.

    Returns:
        Their names, the slowest first. Systems whose speed is not known take no part.
    """
    timed = [
        (s["words_per_second"], s["accuracy"], s["name"])
        for s in systems
        if s.get("words_per_second")
    ]
    front: list[tuple[float, float, str]] = []
    for speed, accuracy, name in sorted(timed, key=lambda each: each[:2], reverse=True):
        if not front or accuracy > front[-1][1] or (speed, accuracy) == front[-1][:2]:
            front.append((speed, accuracy, name))
    return [name for _, _, name in reversed(front)]


def _words(result: Result) -> Table | None:
    """A row for each word, where they are not too many."""
    systems = [system for system in result["systems"] if system.get("by_word")]
    words = sorted({word for system in systems for word in system["by_word"]})
    if not 2 <= len(words) <= _MOST_WORDS:
        return None
    counts = word_counts(result)
    heads = ["word", *(["n"] if counts else []), *(system["name"] for system in systems)]
    rows = [
        [word, *([f"{counts[word]:,}"] if counts else [])]
        + [share(system["by_word"].get(word)) for system in systems]
        for word in words
    ]
    return Table("Accuracy by word", heads, rows)


def word_counts(result: Result) -> Counter[str]:
    """Instances of each word; nothing where the result does not say which word they have."""
    return Counter(item["lemma"] for item in result.get("instances") or [] if "lemma" in item)


def curves_of(result: Result, key: str) -> dict[str, list[Point]]:
    """The points of each system that has any, of ``distance_curve`` or ``learning_curve``."""
    systems = (result.get(key) or {}).get("systems", {})
    place = "distance" if key == "distance_curve" else "size"
    return {
        name: [
            (at[place], at["accuracy"], *(at.get("ci95") or (at["low"], at["high"])))
            for at in points
        ]
        for name, points in systems.items()
        if points
    }


def short_of_examples(result: Result) -> dict[int, int]:
    """The sizes of the learning curve that some senses do not have, and how many those are."""
    systems = (result.get("learning_curve") or {}).get("systems", {})
    return {at["size"]: at["short"] for points in systems.values() for at in points if at["short"]}


def _curve(result: Result, key: str, title: str) -> Table | None:
    """A column for each place on a curve."""
    cells = {
        name: {x: f"{share(accuracy)} ({between(bounds)})" for x, accuracy, *bounds in points}
        for name, points in curves_of(result, key).items()
    }
    places = sorted({x for row in cells.values() for x in row})
    rows = [[name, *(row.get(x, "-") for x in places)] for name, row in cells.items()]
    heads = ["system", *(f"{x:,g}" for x in places)]
    return Table(title, heads, rows) if places else None


def _calibration(result: Result) -> Table | None:
    """How far stated probabilities are from the truth."""
    systems = [s for s in result["systems"] if s.get("calibration_error") is not None]
    columns: Columns = {
        "ECE": lambda s: share(s["calibration_error"]),
        "mean probability": lambda s: share(_mean_probability(s)),
        "accuracy": lambda s: share(s["accuracy"]),
        "coverage": lambda s: share(s.get("coverage")),
        "precision": lambda s: share(s.get("precision")),
    }
    return _table("Calibration", systems, columns) if systems else None


def _mean_probability(system: Row) -> float | None:
    bins = [each for each in system.get("reliability") or [] if each["n"]]
    n = sum(each["n"] for each in bins)
    return sum(each["n"] * each["confidence"] for each in bins) / n if n else None

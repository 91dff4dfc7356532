"""The report of a comparison: one HTML file that needs nothing else, and its figures.

Everything is made of the contents of ``results.json`` alone, and the same contents give the
same bytes. Jinja2 escapes whatever comes from the data; the page's policy allows no request
and no script but its own, by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import PlainData
from spacy_attn.compare.figures import (
    FAINT,
    INK,
    NAMES,
    PAPER,
    SERIES,
    Picture,
    as_png,
    as_svg,
    can_be_drawn,
    draw_all,
    map_places,
    pareto_front,
    strata_of,
)
from spacy_attn.compare.report import Grid, group_grids, headline_grid, notes
from spacy_attn.compare.results import PUBLISHED
from spacy_attn.errors import ResourceError

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["classic_wins", "report_html", "write_report"]

Result: TypeAlias = Mapping[str, Any]  # the contents of results.json
System: TypeAlias = Mapping[str, Any]  # a row of its "systems"

TEMPLATE: Final = Path(__file__).with_name("report.html.jinja")
MOST_SHOWN: Final = 200  # instances of a pair of systems
_MOST_WORDS: Final = 200  # rows of the table of words
_MOST_NAMED: Final = 12  # words that a sentence names
_BUNDLED: Final = "homographs"  # the data set whose strata are explained

#: Methods that use no contextual vectors; a cascade or an ensemble is partly attention itself.
_CLASSIC: Final = frozenset({"random", "first_sense", "lesk", "lesk_extended", "tfidf", "word2vec"})
_ATTENTION: Final = "attention"
_STARS: Final = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
_STRATA: Final = {
    "plain": "ordinary sentences",
    "near": "a cue within 3 tokens of the word",
    "far": "the only cue at least 12 tokens away in the same sentence",
    "cross": "the only cue in another sentence",
    "distractor": "a word that points to another sense is nearer than the cue",
    "rare": "the less frequent sense",
    "shifted": "a register that no example of the inventory has",
}
_COLUMNS: Final = {
    "95 %": "bootstrap interval of the accuracy.",
    "macro-F1": "mean over words of the mean F1 over each word's senses.",
    "ECE": "expected calibration error over ten bins; lower is better.",
    "supersense": "share whose broad class is right, such as noun.animal.",
    "coverage": "share of the instances that get an answer; the others count as wrong.",
    "words/s": "ambiguous words decided in a second, in a process of its own.",
    "peak MB": "most memory of that process.",
}
_HIGHER_IS_BETTER: Final = frozenset({"plain", "accuracy", "macro-F1", "supersense"})


@dataclass(frozen=True, slots=True)
class Table:
    """A grid with what marks its cells."""

    grid: Grid
    best: frozenset[tuple[int, int]] = frozenset()  # (row, column) of what leads its column
    notes: tuple[str, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()  # heads that need an explanation


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a text."""

    text: str
    is_word: bool = False  # of the word that is decided
    is_cue: bool = False  # of a word that decides


@dataclass(frozen=True, slots=True)
class Disputed:
    """An instance that one system gets right and another wrong."""

    rank: int  # in the random order by which a long list is cut
    right: str  # "1" for each system that is right, "0" for each that is not
    said: tuple[str, ...]  # sense and probability of each system
    parts: tuple[Part, ...]
    labels: tuple[str, ...]  # word, part of speech, stratum
    gold: str
    is_shown: bool  # without the script


@dataclass(frozen=True, slots=True)
class Disputes:
    """Who is right where others are wrong.

    *Shape:* counts (n_systems, n_systems), of the row right and of the column wrong
    """

    names: list[str]
    counts: list[list[int]]
    chosen: tuple[int, int]  # the pair that is shown first: right, wrong
    listed: list[Disputed]  # empty where texts may not be shown
    most: int = MOST_SHOWN


@dataclass(frozen=True, slots=True)
class Sentence:
    """A point of the map."""

    sense: str
    parts: tuple[Part, ...]


def write_report(result: Result, folder: str | Path) -> list[Path]:
    """Write ``report.html`` and ``figures/NAME.svg`` and ``.png`` into a folder.

    Files of an earlier report are replaced; figures that this one has no data for are removed.

    Args:
        result: the contents of ``results.json``.
        folder: made if needed.

    Returns:
        The files, ``report.html`` first.

    Raises:
        ResourceError: matplotlib or Jinja2 is missing, or a file cannot be written.
    """
    can_be_drawn("the report")
    folder = Path(folder).expanduser()
    pictures = draw_all(result)
    drawn = {name: as_svg(picture) for name, picture in pictures.items()}
    # A lone half of a surrogate pair cannot be written; it becomes a question mark.
    page = report_html(result, pictures, drawn).encode("utf-8", "replace")
    files: dict[Path, bytes | None] = {folder / "report.html": page}
    for name, picture in pictures.items():
        files[folder / "figures" / f"{name}.svg"] = drawn[name].encode("utf-8")
        files[folder / "figures" / f"{name}.png"] = as_png(picture)
    for name in NAMES:
        if name not in pictures:
            stale = (folder / "figures" / f"{name}{suffix}" for suffix in (".svg", ".png"))
            files |= dict.fromkeys(stale)
    for path, contents in files.items():
        try:
            if contents is None:
                path.unlink(missing_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(contents)
        except OSError as error:
            raise ResourceError(
                f"{path} cannot be written: {error.strerror or error}; give another folder"
            ) from error
    return [path for path, contents in files.items() if contents is not None]


def report_html(result: Result, pictures: Mapping[str, Picture], drawn: Mapping[str, str]) -> str:
    """The page.

    Args:
        result: the contents of ``results.json``.
        pictures: as ``draw_all`` gives them.
        drawn: each of them as SVG.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["sha256"] = _script_hash
    sentences = _sentences(result)
    places = _place_labels(result)
    figures = {
        name: inline_svg(drawn[name], picture, {**_point_labels(sentences), **places})
        for name, picture in pictures.items()
    }
    tables = _tables(result)
    disputes = _disputes(result)
    page = environment.get_template(TEMPLATE.name).render(
        title=f"Word senses: methods compared on {result['dataset']}",
        facts=_facts(result),
        strata=_explained_strata(result),
        notes=notes(dict(result)),
        wins=classic_wins(result),
        tables=tables,
        figures=figures,
        pictures=pictures,
        curve=result.get("distance_curve") or {},
        learning=result.get("learning_curve") or {},
        map=result.get("vector_map") or {},
        sentences=sentences,
        disputes=disputes,
        series=SERIES,
    )
    return page.lstrip()


def _script_hash(script: str) -> str:
    """How a content security policy names a script."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


# -- tables --------------------------------------------------------------------------------


def _tables(result: Result) -> dict[str, Table]:
    """All tables that the result has data for, by name."""
    found: dict[str, Table | None] = {
        "headline": _headline(result),
        "cost": _cost(result),
        **_groups(result),
        "words": _words(result),
        "distance": _distance(result),
        "learning": _learning(result),
        "calibration": _calibration(result),
        "disputes": _dispute_counts(result),
        "manifest": _manifest(result),
    }
    return {name: table for name, table in found.items() if table is not None}


def _headline(result: Result) -> Table:
    """The terminal's table, the stratum ``plain`` before it and significance behind."""
    grid = headline_grid(dict(result))
    heads, rows = list(grid.heads), [list(row) for row in grid.rows]
    if "plain" in strata_of(result):
        heads.insert(1, "plain")
        for row, system in zip(rows, result["systems"], strict=True):
            row.insert(1, _share(system["strata"].get("plain")))
    said = []
    columns = tuple((head, _COLUMNS[head]) for head in heads if head in _COLUMNS)
    baseline = result.get("baseline")
    if baseline is not None and any(s.get("comparison") for s in result["systems"]):
        at = heads.index("95 %") + 1
        heads[at:at] = [f"against {baseline}", "only this : only baseline", "p (Holm)"]
        by_name = {system["name"]: system for system in result["systems"]}
        for row, system in zip(rows, result["systems"], strict=True):
            row[at:at] = _compared(system, by_name.get(baseline))
        n = sum(bool(system.get("comparison")) for system in result["systems"])
        said.append(
            f"against {baseline}: difference in accuracy; * p < 0.05, ** p < 0.01, *** p < 0.001 "
            f"by McNemar's test, corrected for {n} comparisons after Holm. Only this : only "
            "baseline: the instances that one of the two alone gets right."
        )
    grid = Grid(grid.title, heads, rows, grid.published)
    return Table(grid, _best(grid, _HIGHER_IS_BETTER), tuple(said), columns)


def _compared(system: System, baseline: System | None) -> list[str]:
    """Cells of the comparison with the baseline."""
    found = system.get("comparison")
    if not found:
        return ["baseline" if baseline is system else "-", "-", "-"]
    difference = "-"
    if baseline is not None:
        difference = _signed(system["accuracy"] - baseline["accuracy"])
    stars = next((stars for limit, stars in _STARS if found["p_holm"] < limit), "")
    counts = f"{found['only_this']:,} : {found['only_baseline']:,}"
    return [f"{difference} {stars}".strip(), counts, _p_value(found["p_holm"])]


def _cost(result: Result) -> Table | None:
    """What the systems that ran here cost."""
    front = set(pareto_front(result["systems"]))
    columns: list[tuple[str, Callable[[System], str]]] = [
        ("accuracy", lambda s: _share(s["accuracy"])),
        ("words/s", lambda s: _number(s.get("words_per_second"), 0)),
        ("seconds to first result", lambda s: _number(s.get("seconds_to_first_result"), 2)),
        ("peak MB", lambda s: _number(s.get("peak_rss_mb"), 0)),
        ("disk MB", lambda s: _number(s.get("disk_mb"), 1)),
        ("share of tokens encoded", lambda s: _share(s.get("share_of_tokens_encoded"))),
    ]
    run = [system for system in result["systems"] if system["kind"] != PUBLISHED]
    kept = [
        (head, cell) for i, (head, cell) in enumerate(columns)
        if i == 0 or any(cell(system) != "-" for system in run)
    ]  # fmt: skip
    if len(kept) < 2:
        return None
    heads = ["system", *(head for head, _ in kept), "on the front"]
    rows = [
        [s["name"], *(cell(s) for _, cell in kept), "yes" if s["name"] in front else "-"]
        for s in run
    ]
    said = [
        "On the front: no other system is both at least as accurate and at least as fast, and "
        "better in one of the two."
    ]
    left_out = [system["name"] for system in result["systems"] if system["kind"] == PUBLISHED]
    if left_out:
        said.append(f"Not run here, so without a cost: {', '.join(left_out)}.")
    return Table(Grid("What it costs", heads, rows, [False] * len(rows)), notes=tuple(said))


def _groups(result: Result) -> dict[str, Table]:
    """Accuracy by stratum, ``plain`` first, part of speech and group."""
    n_by = dict(result["n_by"])
    n_by["strata"] = strata_of(result)
    n_by = {"pos": {}, "subsets": {}, **n_by}
    found = {}
    for sort in n_by:
        only = {other: n_by[other] if other == sort else {} for other in n_by}
        for grid in group_grids({**result, "n_by": only}):
            found[sort] = Table(grid, _best(grid, set(grid.heads[1:])))
    return found


def _words(result: Result) -> Table | None:
    """A row for each word, where they are not too many."""
    systems = [system for system in result["systems"] if system.get("by_word")]
    words = sorted({word for system in systems for word in system["by_word"]})
    if not 2 <= len(words) <= _MOST_WORDS:
        return None
    counts = _word_counts(result)
    heads = ["word", *(["n"] if counts else []), *(system["name"] for system in systems)]
    rows = [
        [word, *([f"{counts.get(word, 0):,}"] if counts else []),
         *(_share(system["by_word"].get(word)) for system in systems)]
        for word in words
    ]  # fmt: skip
    return Table(Grid("Accuracy by word", heads, rows, [False] * len(rows)))


def _word_counts(result: Result) -> dict[str, int]:
    """Instances of each word; nothing where the result does not say which word they have."""
    counts: dict[str, int] = {}
    for item in result.get("instances") or []:
        if "lemma" not in item:
            return {}
        counts[item["lemma"]] = counts.get(item["lemma"], 0) + 1
    return counts


def _distance(result: Result) -> Table | None:
    curve = result.get("distance_curve") or {}
    points = {
        name: {at["distance"]: (at["accuracy"], *at["ci95"]) for at in row}
        for name, row in curve.get("systems", {}).items()
    }
    return _curve_table("Accuracy by tokens before the cue", points)


def _learning(result: Result) -> Table | None:
    curve = result.get("learning_curve") or {}
    points = {
        name: {at["size"]: (at["accuracy"], at["low"], at["high"]) for at in row}
        for name, row in curve.get("systems", {}).items()
    }
    table = _curve_table("Accuracy by examples a sense", points)
    short = {
        at["size"]: at["short"]
        for row in curve.get("systems", {}).values() for at in row if at["short"]
    }  # fmt: skip
    if table is None or not short:
        return table
    said = ", ".join(f"{n:,} at {size}" for size, n in sorted(short.items()))
    note = f"Hollow markers: senses with fewer examples use all that they have ({said})."
    return Table(table.grid, notes=(note,))


def _curve_table(
    title: str, points: Mapping[str, Mapping[float, tuple[float, float, float]]]
) -> Table | None:
    """A column for each place on the curve."""
    places = sorted({x for row in points.values() for x in row})
    if not places:
        return None
    rows = [
        [name, *("{:.3f} ({:.3f} to {:.3f})".format(*row[x]) if x in row else "-" for x in places)]
        for name, row in points.items()
    ]
    heads = ["system", *(f"{x:,g}" for x in places)]
    return Table(Grid(title, heads, rows, [False] * len(rows)))


def _calibration(result: Result) -> Table | None:
    """How far stated probabilities are from the truth."""
    systems = [s for s in result["systems"] if s.get("calibration_error") is not None]
    if not systems:
        return None
    heads = ["system", "ECE", "mean probability", "accuracy", "coverage", "precision"]
    rows = []
    for system in systems:
        bins = system.get("reliability") or []
        n = sum(each["n"] for each in bins)
        stated = sum(each["n"] * each["confidence"] for each in bins if each["n"])
        rows.append(
            [
                system["name"], _share(system["calibration_error"]),
                _share(stated / n if n else None), _share(system["accuracy"]),
                _share(system.get("coverage")), _share(system.get("precision")),
            ]
        )  # fmt: skip
    said = (
        "Mean probability above precision: the system is surer than it should be. Precision: "
        "accuracy on the instances that get an answer."
    )
    return Table(Grid("Calibration", heads, rows, [False] * len(rows)), notes=(said,))


def _dispute_counts(result: Result) -> Table | None:
    names, right = _rights(result)
    if len(names) < 2:
        return None
    rows = [
        [name, *(f"{n:,}" if i != j else "-" for j, n in enumerate(row))]
        for i, (name, row) in enumerate(zip(names, _only(right), strict=True))
    ]
    title = "Instances that the system of the row gets right and that of the column wrong"
    return Table(Grid(title, ["right", *names], rows, [False] * len(rows)))


def _manifest(result: Result) -> Table | None:
    rows = [[key, value] for key, value in _flat("", result.get("manifest") or {})]
    return Table(Grid("Manifest", ["key", "value"], rows, [False] * len(rows))) if rows else None


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    """Nested data as dotted keys."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), inner)
    else:
        yield prefix, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _best(grid: Grid, heads: frozenset[str] | set[str]) -> frozenset[tuple[int, int]]:
    """Cells with the highest share of their column; shares have equally many digits."""
    found = set()
    for j, head in enumerate(grid.heads):
        cells = [row[j] for row in grid.rows]
        if j and head in heads and len(set(cells)) > 1:
            found |= {(i, j) for i, cell in enumerate(cells) if cell == max(cells)}
    return frozenset(found)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def _p_value(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"


# -- sentences -----------------------------------------------------------------------------


def _facts(result: Result) -> list[tuple[str, str]]:
    """What was measured, as terms and descriptions."""
    words, strata = _word_counts(result), strata_of(result)
    n_published = sum(system["kind"] == PUBLISHED for system in result["systems"])
    n_run = len(result["systems"]) - n_published
    found = (
        "found by the pipeline in plain text" if result.get("end_to_end") else "given by the data"
    )
    manifest = result.get("manifest") or {}
    facts = [
        ("Data set", str(result["dataset"])),
        ("Sense inventory", str(result["inventory"])),
        ("Instances", f"{result['n']:,}" + (f" of {len(words):,} words" if words else "")),
        ("Strata", ", ".join(f"{name} {n:,}" for name, n in strata.items())),
        ("Words and their candidates", found),
        ("Systems", f"{n_run} run here" + (f", {n_published} published" if n_published else "")),
        ("Machine", _machine(manifest)),
    ]
    return [(term, said) for term, said in facts if said]


def _machine(manifest: Mapping[str, Any]) -> str:
    said = [str(manifest["processor"])] if manifest.get("processor") else []
    if manifest.get("threads"):
        said.append(f"{manifest['threads']} threads" if manifest["threads"] != 1 else "1 thread")
    return ", ".join(said)


def _explained_strata(result: Result) -> list[tuple[str, str]]:
    """What the strata of the bundled set are; those of others mean what their makers say."""
    if result["dataset"] != _BUNDLED:
        return []
    return [(name, _STRATA[name]) for name in strata_of(result) if name in _STRATA]


def classic_wins(result: Result) -> list[str]:
    """Where a classic method does better than attention, one sentence each.

    Returns:
        Nothing where the result does not hold both.
    """
    attention, classics = _sides(result)
    if attention is None or not classics:
        return []
    name = attention["name"]
    wins = _wins_by_group(result, attention, classics)
    said = []
    if wins:
        said.append(f"A classic method is more accurate than {name} on {'; '.join(wins)}.")
    else:
        said.append(f"No classic method is more accurate than {name} on the set or a part of it.")
    said += _wins_by_word(attention, classics)
    best = max(classics, key=_accuracy)
    for key, better in (("words_per_second", "faster"), ("peak_rss_mb", "smaller")):
        said += _cost_win(key, better, attention, best)
    error = attention.get("calibration_error")
    closer = [s for s in classics if _is_below(s.get("calibration_error"), error)]
    if closer:
        listed = ", ".join(f"{s['name']} {s['calibration_error']:.3f}" for s in closer)
        said.append(f"Better calibrated than {name} (ECE {error:.3f}): {listed}.")
    return said


def _sides(result: Result) -> tuple[System | None, list[System]]:
    """The row of attention, the best where none has that name, and the classic rows."""
    run = [system for system in result["systems"] if system["kind"] != PUBLISHED]
    classics = [system for system in run if _method(system) in _CLASSIC]
    ours = [system for system in run if _method(system) in (_ATTENTION, "self_attention")]
    named = [system for system in ours if system["name"] == _ATTENTION]
    if not ours:
        return None, classics
    return (named or [max(ours, key=_accuracy)])[0], classics


def _method(system: System) -> str:
    """The short name of a row's method; that of the row where it does not say."""
    method = system.get("method") or system["name"]
    if isinstance(method, dict):
        method = method.get("@sense_methods", "")
    parts = str(method).split(".")  # spacy_attn.lesk.v1
    return parts[-2] if len(parts) > 2 else str(method)


def _accuracy(system: System) -> float:
    return float(system["accuracy"])


def _is_below(value: float | None, other: float | None) -> bool:
    return value is not None and other is not None and value < other


def _wins_by_group(result: Result, attention: System, classics: Sequence[System]) -> list[str]:
    """All instances, strata and parts of speech on which the best classic method leads."""
    groups: list[tuple[str, Callable[[System], float | None]]] = [("all instances", _accuracy)]
    for name, n in strata_of(result).items():
        groups.append((f"stratum {name} (n = {n:,})", _getter("strata", name)))
    parts = result["n_by"].get("pos", {})
    for name, n in parts.items() if len(parts) > 1 else ():
        groups.append((f"part of speech {name} (n = {n:,})", _getter("pos", name)))
    wins = []
    for label, value in groups:
        best = _leader(classics, value)
        if _is_below(value(attention), value(best)):
            wins.append(
                f"{label}: {best['name']} {_share(value(best))}, {attention['name']} "
                f"{_share(value(attention))}"
            )
    return wins


def _leader(systems: Sequence[System], value: Callable[[System], float | None]) -> System:
    """The system with the highest value."""
    return max(systems, key=lambda system: value(system) or 0.0)


def _getter(sort: str, name: str) -> Callable[[System], float | None]:
    def get(system: System) -> float | None:
        found: float | None = (system.get(sort) or {}).get(name)
        return found

    return get


def _wins_by_word(attention: System, classics: Sequence[System]) -> list[str]:
    """The words on which the best classic method leads, the largest lead first."""
    words = attention.get("by_word") or {}
    leads = []
    for word, ours in words.items():
        value = _getter("by_word", word)
        best = _leader(classics, value)
        theirs = value(best)
        if theirs is not None and theirs > ours:
            leads.append((ours - theirs, word, f"{best['name']} {theirs:.3f} against {ours:.3f}"))
    if not leads:
        return []
    named = [f"{word} ({said})" for _, word, said in sorted(leads)[:_MOST_NAMED]]
    more = f" and {len(leads) - _MOST_NAMED:,} more" if len(leads) > _MOST_NAMED else ""
    n = f"{len(leads):,} of {len(words):,} words"
    return [f"The best classic method for the word is ahead on {n}: {', '.join(named)}{more}."]


def _cost_win(key: str, better: str, attention: System, best: System) -> list[str]:
    """What the most accurate classic method saves."""
    ours, theirs = attention.get(key), best.get(key)
    if not ours or not theirs:
        return []
    who = f"{best['name']}, the most accurate classic method ({best['accuracy']:.3f}),"
    if better == "faster" and theirs > ours:
        return [
            f"{who} decides {_times(theirs / ours)} times as many words a second as "
            f"{attention['name']}."
        ]
    if better == "smaller" and theirs < ours:
        return [f"{who} needs {ours - theirs:,.0f} MB less memory than {attention['name']}."]
    return []


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"


# -- texts ---------------------------------------------------------------------------------


def _parts(item: PlainData) -> tuple[Part, ...]:
    """A text cut where the word and its cues begin and end."""
    text, cues = item["text"], item.get("cues") or []
    word = (item["start"], item["end"])
    cuts = {0, len(text), *word, *(edge for cue in cues for edge in cue)}
    edges = sorted(edge for edge in cuts if 0 <= edge <= len(text))
    return tuple(
        Part(
            text[start:end], word[0] <= start < word[1],
            any(first <= start < last for first, last in cues),
        )
        for start, end in pairwise(edges)
    )  # fmt: skip


def _sentences(result: Result) -> list[Sentence]:
    """The points of the map, with their texts where these may be shown."""
    points = (result.get("vector_map") or {}).get("points") or []
    texts = {item["id"]: _parts(item) for item in result.get("instances") or [] if "text" in item}
    return [
        Sentence(point["sense"], texts.get(point["instance"], (Part(str(point["instance"])),)))
        for point in points
    ]


def _point_labels(sentences: Sequence[Sentence]) -> dict[str, str]:
    """What each point of the map says, by its id in the drawing."""
    return {
        f"map-point-{i}": f"{each.sense}: {''.join(part.text for part in each.parts)}"
        for i, each in enumerate(sentences)
    }


def _place_labels(result: Result) -> dict[str, str]:
    points = (result.get("vector_map") or {}).get("points") or []
    labels = {}
    for k, members in enumerate(map_places(points).values()):
        senses = [points[i]["sense"] for i in members]
        counts = ", ".join(f"{senses.count(sense)} {sense}" for sense in dict.fromkeys(senses))
        noun = "sentence" if len(members) == 1 else "sentences"
        labels[f"map-place-{k}"] = f"{len(members)} {noun} at one place: {counts}"
    return labels


# -- who is right where others are wrong ---------------------------------------------------


def _rights(result: Result) -> tuple[list[str], NDArray[np.bool_]]:
    """The systems whose predictions are there, and what they got right.

    *Shape:* (n_instances, n_systems)
    """
    items = result.get("instances") or []
    names = [s["name"] for s in result["systems"] if items and s["name"] in items[0]["predictions"]]
    rows = [[bool(item["predictions"][name][2]) for name in names] for item in items]
    return names, np.array(rows, dtype=bool).reshape(len(items), len(names))


def _only(right: NDArray[np.bool_]) -> list[list[int]]:
    """How many the one gets right and the other wrong.

    *Shape:* (n_instances, n_systems) -> (n_systems, n_systems)
    """
    ones = right.astype(np.int64)
    counts: list[list[int]] = (ones.T @ (1 - ones)).tolist()
    return counts


def _disputes(result: Result) -> Disputes | None:
    """The instances that one system gets right and another wrong, at most 200 for each pair."""
    names, right = _rights(result)
    if len(names) < 2 or not (right.any(axis=1) & ~right.all(axis=1)).any():
        return None
    chosen = _first_pair(result, names)
    items = result["instances"]
    ranks = _random_order([str(item["id"]) for item in items])
    kept: set[int] = set()
    for one in range(len(names)):
        for other in range(len(names)):
            kept |= set(_sample(right, one, other, ranks))
    first = set(_sample(right, *chosen, ranks))
    disputed = [
        Disputed(
            ranks[i], "".join("01"[int(each)] for each in right[i]),
            tuple(_said(item["predictions"][name]) for name in names), _parts(item),
            tuple(filter(None, (item["lemma"], item["pos"], item["stratum"]))),
            " or ".join(item["gold"]), i in first,
        )
        for i, item in enumerate(items) if i in kept and "text" in item
    ]  # fmt: skip
    return Disputes(names, _only(right), chosen, disputed)


def _first_pair(result: Result, names: Sequence[str]) -> tuple[int, int]:
    """Attention and the best classic method; without them the two most accurate systems."""
    attention, classics = _sides(result)
    if attention is not None and classics and attention["name"] in names:
        best = max(classics, key=_accuracy)["name"]
        if best in names:
            return names.index(attention["name"]), names.index(best)
    by_accuracy = sorted(
        (system for system in result["systems"] if system["name"] in names), key=_accuracy
    )
    return names.index(by_accuracy[-1]["name"]), names.index(by_accuracy[-2]["name"])


def _random_order(ids: Sequence[str]) -> list[int]:
    """A rank for each id that has nothing to do with where it stands: by its hash."""
    hashes = [hashlib.sha256(each.encode("utf-8", "replace")).digest() for each in ids]
    ranks = [0] * len(ids)
    for rank, i in enumerate(sorted(range(len(ids)), key=lambda i: (hashes[i], i))):
        ranks[i] = rank
    return ranks


def _sample(right: NDArray[np.bool_], one: int, other: int, ranks: Sequence[int]) -> list[int]:
    """The instances of a pair that are shown: those of the lowest ranks."""
    found = np.flatnonzero(right[:, one] & ~right[:, other]).tolist()
    return sorted(found, key=ranks.__getitem__)[:MOST_SHOWN]


def _said(prediction: Sequence[Any]) -> str:
    """A prediction in words."""
    sense, probability, _ = prediction
    if sense is None:
        return "no answer"
    return str(sense) if probability is None else f"{sense} ({probability:.2f})"


# -- figures in the page -------------------------------------------------------------------


def inline_svg(svg: str, picture: Picture, points: Mapping[str, str]) -> Markup:
    """A figure as part of a page, in the page's colours.

    Ids get the picture's name in front, since a page has many figures; points that can be
    pointed at get a label and a place in the tab order.

    Args:
        svg: as ``as_svg`` gives it.
        picture: what it is of.
        points: labels of points, by their ids.
    """
    from markupsafe import Markup

    root = ElementTree.fromstring(svg)  # noqa: S314 (our own)
    colours = {INK: "currentColor", FAINT: "var(--line)", PAPER: "var(--paper)"}
    colours |= {c: f"var(--series-{i})" for i, c in enumerate(SERIES) if c not in colours}
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        here = dict(element.attrib)
        element.attrib.clear()
        for key, value in here.items():
            element.set(key.rpartition("}")[2], _moved(value, picture.name, key, colours))
        label = points.get(here.get("id", "")) if element.tag == "g" else None
        if label is not None:
            element.attrib |= {
                "class": "point", "tabindex": "0", "role": "img", "aria-label": label
            }  # fmt: skip
            title = ElementTree.Element("title")
            title.text = label
            element.insert(0, title)
    has_points = root.find(".//g[@class='point']") is not None
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib |= {"role": "group" if has_points else "img", "aria-label": picture.alt}
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704 (escaped by it)


def _moved(value: str, name: str, key: str, colours: Mapping[str, str]) -> str:
    """An attribute's value with ids that are the picture's own, and the page's colours."""
    if key == "id":
        return f"{name}--{value}"
    if key.endswith("href"):
        return value.replace("#", f"#{name}--", 1)
    if key == "style" or value.startswith("url(#"):
        for colour, variable in colours.items():
            value = value.replace(colour, variable)
        return value.replace("url(#", f"url(#{name}--")
    return value

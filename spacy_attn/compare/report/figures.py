"""The figures of a comparison, from the contents of ``results.json`` alone.

Nothing in a file depends on when, where or how often it was made.

Colours: Okabe and Ito, "Color universal design" (2008), told apart with any kind of colour
blindness, with a brown for their yellow, which is too light on white. A system has the same
colour and marker in all figures; among eight systems no colour, and among eleven no marker,
comes twice, and the pair of both is never shared.
"""

from __future__ import annotations

import io
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from spacy_attn._types import PlainData
from spacy_attn.compare.report.labels import label_points
from spacy_attn.compare.report.numbers import number
from spacy_attn.compare.report.tables import (
    Point,
    Result,
    curves_of,
    pareto_front,
    short_of_examples,
    strata_of,
)
from spacy_attn.errors import ResourceError

Styles: TypeAlias = dict[str, dict[str, Any]]  # how a system or sense is drawn, by its name

#: Text and axes, lines of the grid, background: real colours, which a page may replace.
INK: Final = "#1f2933"
FAINT: Final = "#c9d1d8"
PAPER: Final = "#fffffe"
SERIES: Final = "#0072b2 #d55e00 #009e73 #cc79a7 #e69f00 #56b4e9 #1f2933 #8b4513".split()
_MARKERS: Final = "osD^vPX*<>p"
_DASHES: Final = ("-", "--", "-.", ":", (0, (5, 1)))
_MOST_BANDS: Final = 4  # of more systems the table alone shows the intervals
_STYLE: Final = Path(__file__).with_suffix(".mplstyle")
_DPI: Final = 160
_LONGEST: Final = 28  # letters of a name that are shown


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure with what it shows in words."""

    name: str  # of its files, without ending
    title: str
    alt: str  # for those who do not see it
    figure: Any  # matplotlib.figure.Figure


def can_be_drawn(user: str) -> None:
    """Refuse where what draws or fills in the page is missing.

    Raises:
        ResourceError: matplotlib or Jinja2 cannot be imported.
    """
    try:
        import jinja2  # noqa: F401
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        package = (error.name or "matplotlib").partition(".")[0]
        raise ResourceError(
            f"{user} needs {package}, which cannot be imported ({error}); "
            'run: pip install "spacy-attn[plots]"'
        ) from error


def draw_all(result: Result) -> dict[str, Picture]:
    """Draw what a result has data for.

    Returns:
        Pictures by their names, in the order of :data:`NAMES`.

    Raises:
        ResourceError: matplotlib is missing.
    """
    can_be_drawn("a figure")
    names = [system["name"] for system in result["systems"]]
    for curve in ("learning_curve", "distance_curve"):
        names += (result.get(curve) or {}).get("systems", {})
    styles = _style_each(names)
    with _settings():
        drawn = {name: draw(result, styles) for name, draw in _DRAWERS.items()}
    return {name: Picture(name, *picture) for name, picture in drawn.items() if picture is not None}


def as_svg(picture: Picture) -> str:
    """A picture as SVG whose text is text."""
    out = io.StringIO()
    with _settings():
        picture.figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def as_png(picture: Picture) -> bytes:
    """A picture as PNG on white."""
    out = io.BytesIO()
    with _settings():
        picture.figure.savefig(out, format="png", dpi=_DPI, metadata={"Software": None})
    return out.getvalue()


@contextmanager
def _settings() -> Iterator[None]:
    """Our settings and not those of the user's matplotlibrc; a missing letter is a box."""
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        mpl.rcdefaults()
        mpl.rcParams.update(mpl.rc_params_from_file(_STYLE, use_default_template=False))
        yield


# -- names and looks -----------------------------------------------------------------------


def _style_each(names: Sequence[str]) -> Styles:
    return {
        name: {
            "color": SERIES[i % len(SERIES)],
            "marker": _MARKERS[i % len(_MARKERS)],
            "linestyle": _DASHES[i % len(_DASHES)],
        }
        for i, name in enumerate(dict.fromkeys(names))
    }


def _marked(styles: Styles, name: str, **instead: Any) -> dict[str, Any]:
    """How a name's markers look, without a line."""
    return {**styles[name], "linestyle": "", **instead}


def _gid(styles: Styles, name: str) -> str:
    """What a system's line is called in a file; names themselves may hold anything."""
    return f"system-{list(styles).index(name)}"


def _shown(name: str) -> str:
    """A name on one line."""
    visible = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return visible if len(visible) <= _LONGEST else f"{visible[: _LONGEST - 1]}…"


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


# -- the figures ---------------------------------------------------------------------------
# Each gives a title, a text for those who do not see it, and the figure; or None without data.

Drawn: TypeAlias = tuple[str, str, Any] | None


def _cost(result: Result, styles: Styles) -> Drawn:
    """Accuracy against words a second (log), the Pareto front joined by a line."""
    timed = {s["name"]: s for s in result["systems"] if s.get("words_per_second")}
    if len(timed) < 2:
        return None
    places = {name: (s["words_per_second"], s["accuracy"]) for name, s in timed.items()}
    front = pareto_front(list(timed.values()))
    figure, axes = _figure(8, 4.8 if len(timed) <= 8 else 6.4)
    axes.set_xscale("log")
    axes.set(xlabel="words a second (log scale; further right is faster)", ylabel="accuracy")
    axes.grid(True)
    line = [places[name] for name in front]
    # What accuracy is to be had at a speed: that of the next faster system of the front.
    axes.plot(*zip(*line, strict=True), drawstyle="steps-pre", color=INK, lw=1, ls=":", gid="front")
    for name, (x, y) in places.items():
        colour = styles[name]["color"]
        axes.plot([x, x], timed[name]["ci95"], color=colour, lw=1.2)
        inside = {"markerfacecolor": colour if name in front else PAPER, "markersize": 9}
        axes.plot([x], [y], **_marked(styles, name), **inside, gid=_gid(styles, name), zorder=3)
    speeds = [speed for speed, _ in places.values()]
    _log_ticks(axes.xaxis, max(speeds) / min(speeds))
    axes.margins(x=0.12, y=0.1)
    label_points(figure, axes, {_shown(name): at for name, at in places.items()}, line)
    listed = ", ".join(
        f"{name} ({places[name][1]:.3f}, {number(places[name][0])} words/s)" for name in front
    )
    alt = (
        f"Accuracy against words a second of {len(timed)} systems. On the front, where no other "
        f"system is both faster and more accurate: {listed}."
    )
    return "Accuracy against speed", alt, figure


def _strata(result: Result, styles: Styles) -> Drawn:
    """A row for each stratum, a marker for each system."""
    n_by, systems = strata_of(result), result["systems"]
    if not n_by:
        return None
    figure, axes = _figure(8, 1.6 + 0.62 * len(n_by) + 0.09 * len(systems))
    dodges = np.linspace(-0.3, 0.3, len(systems)) if len(systems) > 1 else np.zeros(1)
    for dodge, system in zip(dodges, systems, strict=True):
        rows = [(system["strata"].get(stratum), i + dodge) for i, stratum in enumerate(n_by)]
        points = [(value, row) for value, row in rows if value is not None]
        if points:
            name = system["name"]
            axes.plot(*zip(*points, strict=True), **_marked(styles, name), gid=_gid(styles, name))
    axes.set_yticks(range(len(n_by)), [f"{_shown(name)} ({n:,})" for name, n in n_by.items()])
    axes.set_yticks(np.arange(len(n_by) - 1) + 0.5, minor=True)
    axes.tick_params(axis="y", which="both", length=0)
    axes.set_ylim(len(n_by) - 0.5, -0.5)
    axes.grid(True, axis="x")
    axes.grid(True, axis="y", which="minor")
    axes.set_xlabel("accuracy")
    _legend(figure, styles, [system["name"] for system in systems], linestyle="")
    best = []
    for stratum in n_by:
        leader = max(systems, key=lambda system: system["strata"].get(stratum) or 0.0)
        if leader["strata"].get(stratum):
            best.append(f"{stratum} {leader['strata'][stratum]:.3f} by {leader['name']}")
    alt = (
        f"Accuracy of {len(systems)} systems in {len(n_by)} strata. The highest of each: "
        f"{', '.join(best)}."
    )
    return "Accuracy by stratum", alt, figure


def _distance(result: Result, styles: Styles) -> Drawn:
    """Accuracy against the number of tokens between word and cue."""
    curves = curves_of(result, "distance_curve")
    if not curves:
        return None
    figure, axes = _curves(curves, styles)
    axes.set_xscale("symlog", linthresh=10, linscale=0.5)
    axes.set_xlabel("tokens of unrelated text between word and cue (log scale from 10 on)")
    _tick_each_place(axes, curves)
    return "Accuracy against cue distance", _ends(curves, "tokens away"), figure


def _learning(result: Result, styles: Styles) -> Drawn:
    """Accuracy against examples a sense; hollow where some senses have fewer."""
    curves = curves_of(result, "learning_curve")
    if not curves:
        return None
    figure, axes = _curves(curves, styles)
    axes.set_xscale("log")
    axes.set_xlabel("examples a sense (log scale)")
    _tick_each_place(axes, curves)
    short = short_of_examples(result)
    for name, points in curves.items():
        hollow = [(x, y) for x, y, *_ in points if x in short]
        if hollow:
            style = _marked(styles, name, markerfacecolor=PAPER, gid=f"short-{_gid(styles, name)}")
            axes.plot(*zip(*hollow, strict=True), **style, zorder=4)
    return "Learning curves", _ends(curves, "examples a sense"), figure


def _reliability(result: Result, styles: Styles) -> Drawn:
    """A panel for each system: how often it is right where it says that it is p sure."""
    systems = [system for system in result["systems"] if system.get("reliability")]
    if not systems:
        return None
    columns = min(4, len(systems))
    n_rows = math.ceil(len(systems) / columns)
    figure, _ = _figure(2.25 * columns + 0.6, 2.35 * n_rows + 0.4, empty=True)
    grid = figure.subplots(n_rows, columns, sharex=True, sharey=True, squeeze=False)
    panels = list(grid.flat)
    for panel, system in zip(panels, systems, strict=False):
        bins = [each for each in system["reliability"] if each["n"]]
        n = sum(each["n"] for each in bins)
        style = {**styles[system["name"]], "linestyle": "-", "markersize": 4.5, "lw": 1}
        panel.plot([0, 1], [0, 1], color=INK, lw=0.8, ls=":")
        x, y = [each["confidence"] for each in bins], [each["accuracy"] for each in bins]
        panel.plot(x, y, **style, clip_on=False, gid=_gid(styles, system["name"]))
        widths = [each["high"] - each["low"] for each in bins]
        lefts, shares = [each["low"] for each in bins], [each["n"] / n for each in bins]
        panel.bar(lefts, shares, widths, align="edge", zorder=0, color=FAINT)
        panel.set_title(_shown(system["name"]), fontsize=10)
        panel.set(xlim=(0, 1), ylim=(0, 1))
        panel.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        panel.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    for panel in panels[len(systems) :]:
        panel.set_axis_off()
    figure.supxlabel("probability of the chosen sense (bars: share of the words)", fontsize=10.5)
    figure.supylabel("accuracy", fontsize=10.5)
    errors = ", ".join(
        f"{system['name']} {system['calibration_error']:.3f}"
        for system in systems
        if system.get("calibration_error") is not None
    )
    alt = f"Accuracy against stated probability of {len(systems)} systems."
    return "Reliability", f"{alt} Expected calibration error: {errors}." if errors else alt, figure


def _vector_map(result: Result, styles: Styles) -> Drawn:
    """One word in many sentences: static vectors left, attention right."""
    del styles  # senses have their own
    data = result.get("vector_map") or {}
    points = data.get("points") or []
    if not points:
        return None
    counts = Counter(point["sense"] for point in points)
    senses = sorted(counts, key=lambda sense: (-counts[sense], sense))
    looks = _style_each(senses)
    places = map_places(points)
    figure, _ = _figure(9.2 if places else 6, 4.9, empty=True)
    panels = list(figure.subplots(1, 2 if places else 1, squeeze=False).flat)
    for panel in panels:
        panel.set(xticks=[], yticks=[])
        for spine in panel.spines.values():
            spine.set(visible=True, color=FAINT)
    alt = f"The word {data['lemma']} in {len(points)} sentences "
    alt += f"({', '.join(f'{counts[sense]} {sense}' for sense in senses)}). "
    if places:
        n_places = _counted(len(places), "place")
        alt += f"Its static vectors lie at {n_places}; "
        panels[0].set_title(f"static vectors: {n_places}")
        _draw_places(panels[0], points, places, looks)
    panels[-1].set_title(f"attention: {_counted(len(points), 'sentence')}")
    for i, point in enumerate(points):
        style = _marked(looks, point["sense"], markeredgecolor=PAPER, mew=0.6)
        x, y = point["attention"]
        panels[-1].plot([x], [y], **style, gid=f"map-point-{i}")
    panels[-1].margins(0.08)
    _legend(figure, looks, senses, linestyle="")
    alt += "its attention vectors lie at a place of their own for each sentence."
    return f"{data['lemma']} in {len(points)} sentences", alt, figure


def map_places(points: Sequence[PlainData]) -> dict[tuple[float, float], list[int]]:
    """Places of the static vectors, with the numbers of the points that are there."""
    places: dict[tuple[float, float], list[int]] = {}
    for i, point in enumerate(points):
        if point.get("static") is not None:
            x, y = point["static"]
            # + 0.0 makes the zero of a rounded -1e-9 equal to that of 1e-9
            places.setdefault((round(x, 6) + 0.0, round(y, 6) + 0.0), []).append(i)
    return places


def _draw_places(
    axes: Any, points: Sequence[PlainData], places: Mapping[Any, Sequence[int]], looks: Styles
) -> None:
    """A marker for each place: of the sense, or a ring where senses share it."""
    for k, ((x, y), members) in enumerate(places.items()):
        senses = {points[i]["sense"] for i in members}
        said, size = _counted(len(members), "sentence"), 9 + 6 * math.log10(len(members))
        if len(senses) == 1:
            style = _marked(looks, senses.pop(), markeredgecolor=PAPER)
        else:
            style = {"color": INK, "marker": "o", "linestyle": "", "markerfacecolor": "none"}
            said += f", {len(senses)} senses"
        axes.plot([x], [y], **style, gid=f"map-place-{k}", markersize=size)
        below = {"xytext": (0, -size / 2 - 4), "textcoords": "offset points", "va": "top"}
        axes.annotate(said, (x, y), **below, ha="center", fontsize=9.5)
    axes.margins(0.3)


_DRAWERS: Final[dict[str, Callable[[Result, Styles], Drawn]]] = {
    "accuracy-cost": _cost,
    "strata": _strata,
    "distance": _distance,
    "learning-curve": _learning,
    "reliability": _reliability,
    "vector-map": _vector_map,
}
#: The names that a picture can have.
NAMES: Final = tuple(_DRAWERS)


# -- what figures share --------------------------------------------------------------------


def _figure(width: float, height: float, *, empty: bool = False) -> tuple[Any, Any]:
    """A figure of a size in inches, with axes or without; pyplot keeps no hand on it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, None if empty else figure.add_subplot()


def _curves(curves: Mapping[str, Sequence[Point]], styles: Styles) -> tuple[Any, Any]:
    """A figure and its axes with a line for each system, and a band if they are few."""
    figure, axes = _figure(8, 5)
    for name, points in curves.items():
        x, y, low, high = zip(*points, strict=True)
        if len(curves) <= _MOST_BANDS:
            axes.fill_between(x, low, high, color=styles[name]["color"], alpha=0.13, linewidth=0)
        axes.plot(x, y, **styles[name], gid=_gid(styles, name))
    axes.set_ylabel("accuracy")
    axes.grid(True)
    _legend(figure, styles, list(curves))
    return figure, axes


def _tick_each_place(axes: Any, curves: Mapping[str, Sequence[Point]]) -> None:
    ticks = sorted({x for points in curves.values() for x, *_ in points})
    axes.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
    axes.set_xticks([], minor=True)


def _ends(curves: Mapping[str, Sequence[Point]], unit: str) -> str:
    said = [
        f"{name} from {points[0][1]:.3f} at {points[0][0]:g} to {points[-1][1]:.3f} at "
        f"{points[-1][0]:g}"
        for name, points in curves.items()
    ]
    return f"Accuracy by {unit}: {'; '.join(said)}."


def _legend(figure: Any, styles: Styles, names: Sequence[str], **instead: Any) -> None:
    """Below the figure. Names get in late: a legend drops those that begin with _."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **{**styles[name], **instead}) for name in names]
    longest = max(len(_shown(name)) for name in names)
    columns = max(1, min(len(names), 100 // (longest + 8)))
    legend = figure.legend(
        handles, ["name"] * len(names), loc="outside lower center", ncols=columns, fontsize=9.5
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(_shown(name))


def _log_ticks(axis: Any, ratio: float) -> None:
    """Ticks at powers of ten, written out; where there are few of them also between.

    Args:
        axis: with a log scale.
        ratio: of its largest value to its smallest.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if ratio < 100 else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}" if x >= 1 else f"{x:g}"))
    axis.set_minor_formatter(NullFormatter())

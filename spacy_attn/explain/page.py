"""Explanations as something to see: one self-contained HTML page, SVG and PNG.

The same explanation gives the same bytes. Jinja2 escapes whatever comes from a text, and the
page's policy allows no request and no script but its own, by its hash. Without colour the
numbers under the words say the same, and without the script everything but the single heads.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import PlainData
from spacy_attn.errors import ConfigError, allowed_names, explain_missing_package
from spacy_attn.explain.attribution import DECIDING, LABELS, Weights
from spacy_attn.explain.templates import environment

if TYPE_CHECKING:
    from spacy_attn.explain.explanation import Explanation

TEMPLATE: Final = Path(__file__).with_name("page.html.jinja")
SUFFIXES: Final = (".svg", ".png")
_NAMED: Final = 5  # words with a number under them, and an arc
_CHARACTER: Final = 8.4  # px, of the arcs' font at 14 px
_LONGEST: Final = 18  # characters of a word under the arcs; the text above has it whole
_COLOURS: Final = {"for": "#56B4E9", "against": "#E69F00"}  # Okabe and Ito 2008


@dataclass(frozen=True, slots=True)
class ShadedToken:
    """A token of the text as it is shown."""

    text: str
    space: str  # what follows it
    weight: float
    shade: float  # share of the greatest weight, 0 to 1
    is_target: bool
    is_named: bool  # among those that weigh most


@dataclass(frozen=True, slots=True)
class Arc:
    """A line from the target to a word, in pixels."""

    left: float
    right: float
    height: float
    thickness: float
    weight: float
    word: str


def shaded(explanation: Explanation, attribution: str) -> list[ShadedToken]:
    """The tokens of the text with their weights, white space as it stands."""
    context, target = explanation.subject.context, explanation.subject.target
    weights = explanation.weights[attribution]
    most = _greatest(weights)
    named = _named(weights)
    starts = [*(start for start, _ in context.offsets), len(context.text)]
    return [
        ShadedToken(
            context.tokens[i],
            context.text[end : starts[i + 1]],
            float(weights.values[i]),
            abs(float(weights.values[i])) / most,
            target.start <= i < target.end,
            i in named,
        )
        for i, (_, end) in enumerate(context.offsets)
    ]


def arcs(
    explanation: Explanation, attribution: str
) -> tuple[list[tuple[float, str, bool]], list[Arc]]:
    """The words in a line, as (middle, text, whether it is the target), and arcs over them.

    Only the words round the target that have an arc, and those between, are in the line.
    """
    context, target = explanation.subject.context, explanation.subject.target
    weights = explanation.weights[attribution]
    named = sorted(_named(weights))
    first = min([target.start, *named])
    last = max([target.end - 1, *named])
    middles, line, at = {}, [], 0.0
    for i in range(first, last + 1):
        text = " ".join(context.tokens[i].split())
        if not text:
            continue
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST - 1]}…"
        width = _CHARACTER * sum(_columns(c) for c in text)
        middles[i] = at + width / 2
        line.append((round(middles[i], 1), text, target.start <= i < target.end))
        at += width + 1.5 * _CHARACTER
    origin = (middles[target.start] + middles[target.end - 1]) / 2
    most = _greatest(weights)
    found = []
    for rank, i in enumerate(sorted(named, key=lambda i: abs(middles[i] - origin)), start=1):
        left, right = sorted((middles[i], origin))
        weight = float(weights.values[i])
        found.append(
            Arc(
                round(left, 1),
                round(right, 1),
                18.0 + 22 * rank,
                round(1 + 4 * abs(weight) / most, 2),
                weight,
                context.tokens[i],
            )
        )
    return line, found


def page(explanations: Sequence[Explanation]) -> str:
    """All explanations on one page, side by side.

    Raises:
        ConfigError: there are none.
        ResourceError: jinja2 is not installed.
    """
    if not explanations:
        raise ConfigError("there is nothing to show: no text has an ambiguous word")
    templates = environment()
    templates.filters["two"] = _two_decimals
    template = templates.from_string(TEMPLATE.read_text(encoding="utf-8"))
    attributions = list(
        dict.fromkeys(attribution for each in explanations for attribution in each.weights)
    )
    made = template.render(
        words=", ".join(dict.fromkeys(each.subject.target.lemma for each in explanations)),
        attributions=[
            (attribution, LABELS[attribution], attribution in DECIDING)
            for attribution in attributions
        ],
        shown=[_shown(each) for each in explanations],
        script_hash="SCRIPT_HASH",
    )
    script = re.search(r"<script>(.*?)</script>", made, re.DOTALL)
    digest = hashlib.sha256(script[1].encode() if script else b"").digest()
    return made.replace("SCRIPT_HASH", base64.b64encode(digest).decode(), 1)


def frame(explanations: Sequence[Explanation]) -> str:
    """The page in a frame, for notebooks."""
    inside = html.escape(page(explanations), quote=True)
    return (
        f'<iframe title="Why this sense?" srcdoc="{inside}" sandbox="allow-scripts" '
        'style="width:100%;height:40em;border:1px solid #888"></iframe>'
    )


def plot(explanation: Explanation, path: str | Path, attribution: str) -> None:
    """Arcs from the target to the words that weigh most, as ``.svg`` or ``.png``.

    Raises:
        ConfigError: another ending, or an attribution method that this explanation lacks.
        ResourceError: matplotlib is not installed.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{path}: allowed are names that end in {' or '.join(SUFFIXES)}")
    if attribution not in explanation.weights:
        raise ConfigError(
            f"attribution = {attribution!r}; {allowed_names(attribution, explanation.weights)}"
        )
    with explain_missing_package("a picture"):
        import matplotlib as mpl
        from matplotlib.figure import Figure
    line, found = arcs(explanation, attribution)
    width = max(middle for middle, _, _ in line) + 60
    top = max([60.0, *(arc.height + 30 for arc in found)])
    with mpl.rc_context({"svg.hashsalt": "spacy_attn", "svg.fonttype": "path"}):
        figure = Figure(figsize=(max(width + 60, 320) / 100, (top + 40) / 100), dpi=150)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set(xlim=(-60, max(width, 260)), ylim=(-40, top))
        axes.axis("off")
        for middle, text, is_target in line:
            axes.text(
                middle,
                -12,
                _drawn(text),
                ha="center",
                va="center",
                family="DejaVu Sans Mono",
                size=9,
                weight="bold" if is_target else "normal",
            )
        for arc in found:
            _draw_arc(axes, arc)
        data = io.BytesIO()
        kind = path.suffix[1:]
        figure.savefig(data, format=kind, metadata={"Date": None} if kind == "svg" else {})
    path.write_bytes(data.getvalue())


def _draw_arc(axes: Any, arc: Arc) -> None:
    x = np.linspace(-1, 1, 41)
    middle, half = (arc.left + arc.right) / 2, (arc.right - arc.left) / 2
    speaks_for = arc.weight >= 0
    axes.plot(
        middle + half * x,
        arc.height * (1 - x**4),
        linewidth=arc.thickness / 1.5,
        color=_COLOURS["for" if speaks_for else "against"],
        linestyle="-" if speaks_for else "--",
    )
    axes.text(
        middle,
        arc.height + 4,
        f"{arc.weight:+.2f}",
        ha="center",
        va="bottom",
        size=8,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
    )


def _drawn(text: str) -> str:
    """Without what matplotlib would take for mathematics, or cannot draw."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text).replace("$", r"\$")


def _shown(explanation: Explanation) -> PlainData:
    """What the template shows of one explanation."""
    record = explanation.to_json()
    context = explanation.subject.context
    labels = {attribution: LABELS[attribution] for attribution in explanation.weights}
    views = {}
    for attribution in explanation.weights:
        line, found = arcs(explanation, attribution)
        height = max([40.0, *(arc.height + 22 for arc in found)])
        width = max(middle + _CHARACTER * len(text) / 2 for middle, text, _ in line)
        views[attribution] = {
            "tokens": shaded(explanation, attribution),
            "line": line,
            "arcs": found,
            "width": round(width + 20),
            "height": round(height + 30),
            "base": round(height),
        }
    pairs = record["agreement"]
    return {
        "record": record,
        "labels": labels,
        "views": views,
        "pairs": pairs,
        "pieces": [
            (token, " ".join(pieces))
            for token, pieces in zip(context.tokens, explanation.pieces, strict=False)
            if not token.isspace()
        ],
        "heads": _heads(explanation),
    }


def _heads(explanation: Explanation) -> PlainData | None:
    """Each head's weights from the target and to it, in hundredths.

    *Shape:* row and column: n_layers lists of n_heads lists of n_tokens numbers; special: n_layers
    lists of n_heads numbers
    """
    made, target = explanation.attention, explanation.subject.target
    if made is None:
        return None
    start, end = target.start - made.first, target.end - made.first
    row = made.weights[:, :, start:end].mean(axis=2)
    column = made.weights[:, :, :, start:end].sum(axis=3)
    special = made.special[:, :, start:end].mean(axis=2)
    tokens = [" ".join(token.split()) for token in made.tokens]
    own = np.zeros(len(tokens), dtype=bool)
    own[start:end] = True
    others = np.where(own, -1.0, row)
    best = others.argmax(axis=-1)
    return {
        "data": {
            "tokens": tokens,
            "row": _hundredths(row),
            "column": _hundredths(column),
            "special": _hundredths(special),
        },
        "layers": [
            {
                "number": number,
                "cells": [
                    {"word": tokens[i], "weight": float(row[at, h, i])}
                    for h, i in enumerate(best[at].tolist())
                ],
            }
            for at, number in enumerate(made.layers)
        ],
        "n_left_out": len(explanation.subject.context.tokens) - len(tokens),
    }


def _hundredths(weights: NDArray[np.float32]) -> Any:
    return np.rint(weights * 100).astype(int).tolist()


def _named(weights: Weights) -> set[int]:
    """The words that weigh most, for either sense, and weigh something."""
    ranked = sorted(weights.words, key=lambda i: -abs(float(weights.values[i])))
    return {i for i in ranked[:_NAMED] if weights.values[i]}


def _greatest(weights: Weights) -> float:
    return max([abs(float(weights.values[i])) for i in weights.words], default=0.0) or 1.0


def _two_decimals(value: float) -> str:
    """Two decimals, with a true minus sign."""
    text = f"{abs(value):.2f}"
    return text if value >= 0 or text == "0.00" else f"\N{MINUS SIGN}{text}"


def _columns(character: str) -> int:
    """Columns that a character takes in a font of fixed width."""
    import unicodedata

    return 2 if unicodedata.east_asian_width(character) in "WF" else 1

"""A picture of word neighbourhoods: a few words, the words nearest to each, in the plane.

The plane is a projection, so a distance in it is only roughly one between vectors; the
similarities that a label cannot show are in :func:`neighbourhoods`.

Colours: Okabe and Ito, "Color universal design" (2008), told apart with any kind of colour
blindness, with a brown for their yellow, which is too light for a small point; each group
has a marker of its own as well.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from spacy_attn._types import Floats2d, PlainData
from spacy_attn.classic.vectors import WordVectors, many_neighbours
from spacy_attn.errors import ConfigError, ResourceError, allowed_names, explain_missing_package

Points2d: TypeAlias = NDArray[np.float64]  # (n_words, 2)
Box: TypeAlias = tuple[float, float, float, float]  # left, bottom, right, top

logger = logging.getLogger("spacy_attn")

METHODS: Final = {"pca": "PCA", "tsne": "t-SNE"}
SUFFIXES: Final = (".png", ".svg")
COLOURS: Final = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#8B4513",
)
_MARKERS: Final = "osD^vP*X"
_INCHES: Final = (10.0, 7.0)
_DPI: Final = 150
# Right, left, above, below, then between.
_ANGLES: Final = np.deg2rad([0, 180, 90, 270, 35, 145, 325, 215, 60, 120, 300, 240])


@dataclass(frozen=True, slots=True)
class Point:
    """A word of the picture."""

    word: str
    group: int  # number of the chosen word that it belongs to
    similarity: float  # cosine to that word; 1 for the chosen word itself


def neighbourhoods(vectors: WordVectors, words: Sequence[str], n: int = 10) -> list[PlainData]:
    """The nearest words of each word, as plain records.

    Returns:
        For each word ``{"word", "neighbours": [{"word", "similarity"}, ...]}``, the nearest
        first; similarities are cosines.

    Raises:
        ConfigError: a word has no vector, or ``n`` is below 1.
    """
    found = many_neighbours(vectors, words, n)
    return [
        {"word": word, "neighbours": [{"word": w, "similarity": s} for w, s in near]}
        for word, near in zip(words, found, strict=True)
    ]


def plot_neighbourhoods(
    vectors: WordVectors,
    words: Sequence[str],
    path: str | Path,
    *,
    n: int = 10,
    method: str = "pca",
    seed: int = 0,
) -> Path:
    """Draw words and their nearest words.

    A word that is near two of the chosen ones is drawn once, with the nearer.

    Args:
        vectors: as ``load_vectors`` gives them.
        words: one to eight words.
        path: a file that ends in .png or .svg; it is replaced.
        n: neighbours of each word.
        method: "pca" (the same each time) or "tsne".
        seed: of t-SNE.

    Returns:
        ``path``.

    Raises:
        ConfigError: too many words, an unknown method or suffix, or a word has no vector.
        ResourceError: matplotlib is missing, or the file cannot be written.
    """
    path = check_picture(path, words, method)
    points = _points(neighbourhoods(vectors, words, n))
    places = project(vectors.vectors([point.word for point in points]), method, seed)
    from matplotlib import rc_context

    # Text stays text, and nothing in the file depends on when it was made.
    settings = {"svg.hashsalt": "spacy_attn", "svg.fonttype": "none"}
    metadata = {"Date": None} if path.suffix.lower() == ".svg" else {"Software": None}
    try:
        with rc_context(settings), warnings.catch_warnings(record=True) as caught:
            warnings.filterwarnings("always", message="Glyph")
            figure = _draw(points, places, words, f"{vectors.name}, {METHODS[method]}")
            figure.savefig(path, dpi=_DPI, metadata=metadata)
    except OSError as error:
        raise _not_written(path, error) from error
    if any("missing from" in str(each.message) for each in caught):
        logger.warning("no font of matplotlib has all letters; some labels in %s are boxes", path)
    return path


def _not_written(path: Path, error: OSError) -> ResourceError:
    return ResourceError(
        f"the picture {path} cannot be written: {error.strerror or error}; give another file"
    )


def check_picture(path: str | Path, words: Sequence[str], method: str) -> Path:
    """Refuse what cannot be drawn, before anything is read.

    Raises:
        ConfigError: too many words, or an unknown method or suffix.
        ResourceError: matplotlib is missing, or the file cannot be written.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"the picture {path}: allowed are files that end in .png or .svg")
    if method not in METHODS:
        raise ConfigError(f"method {method!r}: {allowed_names(method, METHODS)}")
    if not 1 <= len(set(words)) <= len(COLOURS):
        raise ConfigError(f"{len(set(words))} words in a picture: allowed are 1 to {len(COLOURS)}")
    try:
        with explain_missing_package("a picture of neighbourhoods"):
            import matplotlib  # noqa: F401
    except ResourceError as error:
        raise ResourceError(f'{error} (or: pip install "spacy-attn[plots]")') from error
    try:  # a picture that is there is kept, and a new file has no name and so leaves nothing
        with path.open("ab") if path.exists() else TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _not_written(path, error) from error
    return path


def project(rows: Floats2d, method: str = "pca", seed: int = 0) -> Points2d:
    """Vectors, made of length 1, in the plane.

    *Shape:* (n_words, width) -> (n_words, 2)
    """
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.asarray(rows / np.where(lengths > 0, lengths, 1), dtype=np.float64)
    if len(unit) < 4 or unit.shape[1] < 2 or not np.ptp(unit, axis=0).any():
        return np.pad(unit, ((0, 0), (0, 2)))[:, :2]
    if method == "tsne":
        from sklearn.manifold import TSNE
        from threadpoolctl import threadpool_limits  # scikit-learn's own requirement

        perplexity = min(30.0, (len(unit) - 1) / 3)
        tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
        with threadpool_limits(1):  # so few points: threads would mostly wait for each other
            return np.asarray(tsne.fit_transform(unit), dtype=np.float64)
    from sklearn.decomposition import PCA

    return np.asarray(PCA(2, svd_solver="full").fit_transform(unit))


def _points(records: Sequence[PlainData]) -> list[Point]:
    """Each word once: chosen words first, a shared neighbour with the nearer of them."""
    best: dict[str, Point] = {}
    for group, record in enumerate(records):
        best.setdefault(record["word"], Point(record["word"], group, 1.0))
    for group, record in enumerate(records):
        for near in record["neighbours"]:
            point = Point(near["word"], group, near["similarity"])
            if near["word"] not in best or best[near["word"]].similarity < point.similarity:
                best[near["word"]] = point
    return list(best.values())


# -- drawing ---------------------------------------------------------------------------


def _draw(points: Sequence[Point], places: Points2d, words: Sequence[str], source: str) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(f"Nearest words of {', '.join(dict.fromkeys(words))} ({source})", loc="left")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.margins(0.08)
    for spine in axes.spines.values():
        spine.set_color("#BBBBBB")
    for i, point in enumerate(points):
        is_chosen = _is_chosen(point, words)
        axes.scatter(
            places[i, 0],
            places[i, 1],
            s=110 if is_chosen else 28,
            c=COLOURS[point.group],
            marker=_MARKERS[point.group],
            edgecolors="white",
            linewidths=0.8,
            zorder=3,
        )
    _legend(axes, list(dict.fromkeys(words)))
    canvas.draw()  # decides where everything is, in pixels
    _label(figure, axes, points, places, words)
    figure.set_layout_engine("none")
    return figure


def _legend(axes: Any, words: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=COLOURS[i], marker=_MARKERS[i], linestyle="", label=f"near {word}")
        for i, word in enumerate(words)
    ]
    axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0, 0),
        ncol=len(words),
        frameon=False,
        borderaxespad=0.3,
        handletextpad=0.2,
        columnspacing=1.2,
    )


def _label(
    figure: Any, axes: Any, points: Sequence[Point], places: Points2d, words: Sequence[str]
) -> None:
    """Put each label on the nearest free spot around its point; a line leads to a far one."""
    renderer = figure.canvas.get_renderer()
    pixels = axes.transData.transform(places)
    frame = axes.get_window_extent(renderer).extents
    radii = [14 if _is_chosen(point, words) else 7 for point in points]
    taken: list[Box] = [
        (x - r, y - r, x + r, y + r) for (x, y), r in zip(pixels, radii, strict=True)
    ]
    # Chosen words first: their labels are large and stay near.
    order = sorted(range(len(points)), key=lambda i: -points[i].similarity)
    for i in order:
        is_chosen = _is_chosen(points[i], words)
        text = axes.text(
            0,
            0,
            _shown(points[i].word),
            color=_darker(COLOURS[points[i].group]),
            zorder=4,
            fontsize=13 if is_chosen else 9,
            fontweight="bold" if is_chosen else "normal",
            transform=None,
            ha="left",
            va="bottom",
            parse_math=False,
        )
        size = text.get_window_extent(renderer)
        box, is_far = _free_spot(pixels[i], radii[i] + 3, (size.width, size.height), taken, frame)
        taken.append(box)
        where = axes.transData.inverted().transform(box[:2])
        text.set_transform(axes.transData)
        text.set_position(where)
        if is_far:
            middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
            end = axes.transData.inverted().transform(_edge(box, pixels[i], middle))
            axes.plot(
                [places[i][0], end[0]],
                [places[i][1], end[1]],
                lw=0.6,
                color=COLOURS[points[i].group],
                alpha=0.6,
                zorder=2,
                scalex=False,
                scaley=False,
            )


def _is_chosen(point: Point, words: Sequence[str]) -> bool:
    return point.similarity == 1.0 and point.word in words


def _darker(colour: str) -> tuple[float, ...]:
    """The colour of thin letters on white, where a light one is hard to read."""
    return tuple(0.72 * int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


def _shown(word: str) -> str:
    """A label of one line."""
    visible = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in word)
    return visible if len(visible) <= 24 else visible[:23] + "…"


def _free_spot(
    pixel: NDArray[np.float64],
    radius: float,
    size: tuple[float, float],
    taken: Sequence[Box],
    frame: Any,
) -> tuple[Box, bool]:
    """The first spot around a point that nothing covers, and whether it is far from it."""
    least, best = np.inf, ((0.0, 0.0, 0.0, 0.0), False)
    for gap, angle in product((0, 6, 16, 30, 50, 75, 105, 140), _ANGLES):
        cos, sin = np.cos(angle), np.sin(angle)
        x = pixel[0] + (radius + gap) * cos + (cos - 1) * size[0] / 2
        y = pixel[1] + (radius + gap) * sin + (sin - 1) * size[1] / 2
        box = (x, y, x + size[0], y + size[1])
        covered = sum(_overlap(box, other) for other in taken) + _outside(box, frame)
        if covered < least:
            least, best = covered, (box, gap > 6)
        if covered == 0:
            break
    return best


def _overlap(a: Box, b: Box) -> float:
    """Area that two boxes share, in square pixels."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0


def _outside(box: Box, frame: Any) -> float:
    return (box[2] - box[0]) * (box[3] - box[1]) - _overlap(box, tuple(frame))


def _edge(box: Box, start: Any, middle: tuple[float, float]) -> tuple[float, float]:
    """Where the line from ``start`` to the middle of a box meets the box."""
    dx, dy = middle[0] - start[0], middle[1] - start[1]
    half = ((box[2] - box[0]) / 2, (box[3] - box[1]) / 2)
    share = min(half[0] / abs(dx) if dx else np.inf, half[1] / abs(dy) if dy else np.inf, 1.0)
    return middle[0] - dx * share, middle[1] - dy * share

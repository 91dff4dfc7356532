"""Names beside the points of a figure, where they cover nothing.

By hand, since adjustText lets names of points that lie close together cover each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np

Box: TypeAlias = tuple[float, float, float, float]  # left, bottom, right, top; in pixels

_NEAR: Final = 12.0  # pixels; a name further off is joined to its point by a line


def label_points(
    figure: Any,
    axes: Any,
    points: Mapping[str, tuple[float, float]],
    steps: Sequence[tuple[float, float]],
) -> None:
    """Write each point's name on the nearest spot around it that nothing covers.

    Args:
        figure: of the axes.
        axes: where the points are.
        points: x and y by the name.
        steps: the line of the front, which goes up at its points and across between them.
    """
    figure.canvas.draw()  # decides where everything is, in pixels
    renderer = figure.canvas.get_renderer()
    pixels = [axes.transData.transform(point) for point in points.values()]
    frame: Box = tuple(axes.get_window_extent(renderer).extents)
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in pixels]
    corners = [axes.transData.transform(step) for step in steps]
    for (x, y), (right, below) in pairwise(corners):
        taken += [(x - 1, below, x + 1, y), (x, below - 1, right, below + 1)]
    back = axes.transData.inverted()
    for pixel, (name, (x, y)) in zip(pixels, points.items(), strict=True):
        text = axes.text(x, y, name, fontsize=9.5, ha="left", va="bottom", zorder=4)
        size = text.get_window_extent(renderer)
        spots = _spots_around(pixel, size.width, size.height)
        box = min(spots, key=lambda spot: _covered(spot, taken, frame))
        taken.append(box)
        text.set_position(back.transform(box[:2]))
        if _distance(pixel, box) > _NEAR:
            end = back.transform(np.clip(pixel, box[:2], box[2:]))
            axes.plot([x, end[0]], [y, end[1]], color=text.get_color(), lw=0.6, zorder=2)
    figure.set_layout_engine("none")


def _spots_around(pixel: Sequence[float], width: float, height: float) -> Iterator[Box]:
    """Boxes of a size around a pixel, the nearest first."""
    for gap in (10, 18, 28, 42):
        # Right, left, above, below, then between.
        for angle in np.deg2rad([0, 180, 90, 270, 30, 150, 330, 210]):
            cos, sin = float(np.cos(angle)), float(np.sin(angle))
            x = pixel[0] + gap * cos + (cos - 1) * width / 2
            y = pixel[1] + gap * sin + (sin - 1) * height / 2
            yield x, y, x + width, y + height


def _covered(box: Box, taken: Sequence[Box], frame: Box) -> float:
    """Area of a box that covers others or lies outside the frame, in square pixels."""
    outside = (box[2] - box[0]) * (box[3] - box[1]) - _overlap(box, frame)
    return round(outside + sum(_overlap(box, other) for other in taken), 3)


def _distance(pixel: Sequence[float], box: Box) -> float:
    """From a point to the nearest place of a box, in pixels."""
    return float(np.linalg.norm(np.clip(pixel, box[:2], box[2:]) - np.asarray(pixel)))


def _overlap(a: Box, b: Box) -> float:
    """Area that two boxes share, in square pixels."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0

"""The polygon around each line of a page: its heights, where the neighbours leave them.

    upper edge   .---------.________        the edge between two lines that are too near to each other divides
    baseline     *=================*        their distance like their heights
    lower edge   '-----------------'

Both edges run from left to right, the upper one above the baseline and the lower one below it, so that no
polygon crosses itself.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from common.text.document import Line, Point
from ocr.segmentation.finding.ridges import thinned

COLUMNS_PER_HEIGHT = 3
"""how many points an edge has before it is thinned, on a line as long as high"""
NEAREST = 0.25
"""a baseline nearer than this, in heights above, is not a neighbour but a part of the same line"""


def outlined(lines: Sequence[Line], width_px: int, height_px: int) -> list[Line]:
    """Return lines, whose baselines run from left to right, with outlines inside the page."""
    if not lines:
        return []
    usual = float(np.median([line.above + line.below for line in lines]))
    columns = np.arange(0, width_px + 1, max(2.0, usual / COLUMNS_PER_HEIGHT))  # (G,)
    points = [np.array(line.baseline, dtype=np.float64) for line in lines]
    base = np.stack(
        [np.interp(columns, x, y, np.nan, np.nan) for x, y in (one.T for one in points)]
    )  # (N, G)
    above = np.array([line.above for line in lines])
    below = np.array([line.below for line in lines])
    found = []
    for number, (line, place) in enumerate(zip(lines, points, strict=True)):
        slope = (place[-1, 1] - place[0, 1]) / max(place[-1, 0] - place[0, 0], 1.0)
        steep = float(np.hypot(1, slope))
        upper, lower = np.full(columns.shape, line.above * steep), np.full(columns.shape, line.below * steep)
        away = base[number] - base  # (N, G) how far the other lines are above this one
        for at in np.flatnonzero((away > NEAREST * line.above).any(1)):
            near = away[at] > NEAREST * line.above
            share = away[at] * line.above / (line.above + below[at])
            upper = np.where(near, np.minimum(upper, np.where(near, share, np.inf)), upper)
        for at in np.flatnonzero((-away > NEAREST * above[:, None]).any(1)):
            near = -away[at] > NEAREST * above[at]
            share = -away[at] * line.below / (line.below + above[at])
            lower = np.where(near, np.minimum(lower, np.where(near, share, np.inf)), lower)
        inside = np.isfinite(base[number])
        x = np.concatenate(([place[0, 0]], columns[inside], [place[-1, 0]]))
        y = np.concatenate(([place[0, 1]], base[number][inside], [place[-1, 1]]))
        up, down = (_at_ends(edge, columns, inside, place) for edge in (upper, lower))
        found.append(replace(line, outline=_polygon(x, y - up, y + down, slope, (width_px, height_px))))
    return found


def _at_ends(edge: np.ndarray, columns: np.ndarray, inside: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return the heights of an edge at the columns inside a line and at its two ends."""
    reached = np.flatnonzero(inside)
    if not len(reached):
        middle = int(np.abs(columns - place[0, 0]).argmin())
        return np.repeat(edge[middle], 2)
    return np.concatenate(([edge[reached[0]]], edge[reached], [edge[reached[-1]]]))


def _polygon(
    x: np.ndarray, upper: np.ndarray, lower: np.ndarray, slope: float, size: tuple[int, int]
) -> tuple[Point, ...]:
    """Return the polygon between two edges (P,), a little longer if the line is slanted."""
    width_px, height_px = size
    longer = abs(slope) / float(np.hypot(1, slope)) * float((lower - upper).max())
    x = x.copy()
    x[0], x[-1] = x[0] - longer, x[-1] + longer
    x = np.clip(x, 0, width_px)
    upper, lower = np.clip(upper, 0, height_px - 1), np.clip(lower, 1, height_px)
    lower = np.maximum(lower, upper + 1)
    forth = _rising(thinned(np.stack((x, upper), axis=1), 0.5))
    back = _rising(thinned(np.stack((x, lower), axis=1), 0.5))
    return tuple(Point(float(px), float(py)) for px, py in [*forth, *reversed(back)])


def _rising(points: np.ndarray) -> list[np.ndarray]:
    """Return the points without those that are not to the right of the one before."""
    kept = [points[0]]
    for before, point in pairwise(points):
        if point[0] > before[0]:
            kept.append(point)
    return kept

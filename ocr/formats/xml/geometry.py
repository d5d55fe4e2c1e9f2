"""Points of ALTO and PAGE as lines of the page: inside the image, in its pixels, with known heights.

outline of a transcriber        . - - . _ . - - .           ]  above: the farthest point of the outline
baseline                    *---------------------*         ]         along the normals
                                '- - - - - - -'             ]  below

The functions take what a file says in its own unit, and note what they had to change.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from common.text.document import Line, Point
from ocr.formats.xml.xml_file import Notices

NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?")
SLACK_PX = 2.0
"""points this far outside of the image come from rounding and are moved to its edge without a notice"""
DESCENT = 0.2
"""the share of an outline that is taken to be below the baseline, where no baseline is known"""
PITCH_ABOVE, PITCH_BELOW = 0.7, 0.3
"""heights of a line without outline, as shares of the distance of baselines"""
FLAT = 0.25
"""an outline lower than this share of the usual height says nothing about the height of its line"""
SHARPEST_COSINE = -0.5
"""cosine of the sharpest turn that a baseline may take at one point"""
BINS = 48
"""pieces of the baseline in which the edges of an outline are searched"""


class Written(NamedTuple):
    """A line as a file describes it, in its own unit.

    name: for notices.
    baseline: points, or one number (ALTO: its height), or none.
    outline: points, or none.
    box: left, top, right, bottom, or None.
    """

    name: str
    baseline: Sequence[Point] | float = ()
    outline: Sequence[Point] = ()
    box: tuple[float, float, float, float] | None = None


def points_of(text: str | None) -> list[Point]:
    """Return the points in "x,y x,y" or "x y x y"; an odd number at the end belongs to no point."""
    values = [float(one) for one in NUMBER.findall(text or "")]
    return [Point(x, y) for x, y in zip(values[::2], values[1::2], strict=False)]


@dataclass(frozen=True)
class Frame:
    """The image that the points of a file belong to."""

    width_px: int
    height_px: int
    scale_x: float = 1.0
    """pixels of the image for one unit of the file"""
    scale_y: float = 1.0

    def outline(self, points: Sequence[Point], name: str, notices: Notices) -> tuple[Point, ...]:
        """Return points in pixels of the image; those outside are moved to its edge, which is noted."""
        scaled = [Point(x * self.scale_x, y * self.scale_y) for x, y in points]
        inside = tuple(
            Point(min(max(x, 0.0), float(self.width_px)), min(max(y, 0.0), float(self.height_px)))
            for x, y in scaled
        )
        if any(math.dist(a, b) > SLACK_PX for a, b in zip(scaled, inside, strict=True)):
            notices.add("points outside of the image are moved to its edge", name)
        return inside

    def line(self, written: Written, notices: Notices) -> Line | None:
        """Return a line in pixels of the image, or None if it has neither baseline nor outline there.

        Heights are 0 if the file does not give them: see `with_heights`.
        """
        outline = self.outline(written.outline, written.name, notices)
        if len(outline) < 3 and written.box is not None:
            left, top, right, bottom = written.box
            corners = [Point(left, top), Point(right, top), Point(right, bottom), Point(left, bottom)]
            outline = self.outline(corners, written.name, notices)
        if not _has_area(outline):
            outline = ()
        baseline = self._baseline(written, outline, notices)
        if baseline is None:
            return None
        if not outline:
            return Line(baseline, 0.0, 0.0)
        return _measured(baseline, outline, written.name, notices)

    def _baseline(
        self, written: Written, outline: tuple[Point, ...], notices: Notices
    ) -> tuple[Point, ...] | None:
        """Return the baseline of a line, from its outline if none is written, or None without either."""
        points: tuple[Point, ...] = ()
        if isinstance(written.baseline, float):
            if written.box is not None:
                left, _, right, _ = written.box
                ends = [Point(left, written.baseline), Point(right, written.baseline)]
                points = self.outline(ends, written.name, notices)
        elif written.baseline:
            points = self.outline(written.baseline, written.name, notices)
        points = tuple(point for at, point in enumerate(points) if at == 0 or point != points[at - 1])
        if len(points) >= 2:
            if len(forward := _longest_run(points)) < len(points):
                notices.add("baselines turn back on themselves, their longest part is used", written.name)
            return forward
        if written.baseline or (not written.outline and written.box is None):
            rest = "their outline gives another" if outline else "they are left out"
            notices.add(f"baselines do not have two points, {rest}", written.name)
        elif not outline:
            notices.add("lines without any area in the image are left out", written.name)
        return _base_of(outline) if outline else None


def with_heights(lines: Sequence[Line], names: Sequence[str], notices: Notices) -> list[Line]:
    """Return the lines of a page, those of unknown height with the heights that the others suggest.

    These are the median heights of the lines with an outline; without any, shares of the median distance
    between a baseline and the next one. An outline much flatter than the others is none.
    """
    known = [line for line in lines if line.above + line.below > 0]
    if known:
        above = float(np.median([line.above for line in known]))
        below = float(np.median([line.below for line in known]))
    else:
        pitch = _pitch(lines)
        above, below = PITCH_ABOVE * pitch, PITCH_BELOW * pitch
    found = []
    for line, name in zip(lines, names, strict=True):
        if line.above + line.below >= FLAT * (above + below):
            found.append(line)
            continue
        if line.above + line.below > 0:
            notices.add("outlines much flatter than the others are not used", name)
        found.append(Line(line.baseline, above, below))
    return found


def along(baseline: Sequence[Point], points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where points (M, 2) are beside a baseline: positions along it (M,), and heights above it (M,).

    The first and the last piece go on beyond the ends, so that positions may be below 0 or over the length.
    """
    base = np.array(baseline, dtype=np.float64)
    steps = np.diff(base, axis=0)  # (N, 2)
    sizes = np.hypot(steps[:, 0], steps[:, 1])
    steps, starts, sizes = steps[sizes > 0], base[:-1][sizes > 0], sizes[sizes > 0]
    if not len(sizes):
        return np.zeros(len(points)), base[0, 1] - points[:, 1]
    units = steps / sizes[:, None]
    away = points[:, None] - starts  # (M, N, 2)
    reach = (away * units).sum(axis=2)
    low, high = np.zeros(len(sizes)), sizes.copy()
    low[0], high[-1] = -np.inf, np.inf
    reach = np.clip(reach, low, high)
    distance = np.hypot(*(away - reach[..., None] * units).transpose(2, 0, 1))
    nearest = distance.argmin(axis=1)  # (M,)
    rows = np.arange(len(points))
    reached = np.concatenate(([0.0], np.cumsum(sizes)[:-1]))
    across = away[rows, nearest, 0] * units[nearest, 1] - away[rows, nearest, 1] * units[nearest, 0]
    return reached[nearest] + reach[rows, nearest], np.sign(across) * distance[rows, nearest]


def extent(line: Line, outline: Sequence[Point]) -> tuple[float, float]:
    """Return where a part of a line starts and ends along the baseline, from the outline of the part."""
    positions, _ = along(line.baseline, np.array(outline, dtype=np.float64))
    start, end = (min(max(float(value), 0.0), line.length) for value in (positions.min(), positions.max()))
    return start, end


def _measured(baseline: tuple[Point, ...], outline: tuple[Point, ...], name: str, notices: Notices) -> Line:
    """Return the line with the heights of its outline; an outline that crosses itself is drawn anew."""
    positions, heights = along(baseline, _sampled(outline))
    if baseline[-1].x < baseline[0].x and heights.max() + heights.min() < 0:
        baseline = baseline[::-1]  # drawn against the direction of reading: the writing would hang below it
        positions, heights = along(baseline, _sampled(outline))
    line = Line(baseline, max(0.0, float(heights.max())), max(0.0, -float(heights.min())), outline)
    if not _crosses_itself(outline):
        return line
    notices.add("outlines cross themselves, their upper and lower edge are used", name)
    return Line(baseline, line.above, line.below, _redrawn(line, positions, heights))


def _redrawn(line: Line, positions: np.ndarray, heights: np.ndarray) -> tuple[Point, ...]:
    """Return the upper edge as read and the lower edge backwards, of samples (M,) along a baseline."""
    length = line.length
    if length <= 0:
        return ()
    bins = np.clip((positions / length * BINS).astype(int), 0, BINS - 1)
    used = np.unique(bins)
    if len(used) < 2:
        return ()
    centres = [(index + 0.5) / BINS * length for index in used]
    centres[0], centres[-1] = min(0.0, float(positions.min())), max(length, float(positions.max()))
    tops = np.array([heights[bins == index].max() for index in used])
    bottoms = np.array([heights[bins == index].min() for index in used])
    base = np.array([line.at(centre) for centre in centres])
    along_chord = np.array(line.baseline[-1]) - np.array(line.baseline[0])
    along_chord = along_chord / (np.hypot(*along_chord) or 1.0)
    normal = np.array((along_chord[1], -along_chord[0]))
    upper, lower = base + tops[:, None] * normal, base + (bottoms - 1e-6)[:, None] * normal
    return tuple(Point(float(x), float(y)) for x, y in np.concatenate((upper, lower[::-1])))


def _sampled(outline: Sequence[Point]) -> np.ndarray:
    """Return points (M, 2) on the edges of a polygon, so dense that each piece of a baseline has some."""
    corners = np.array(outline, dtype=np.float64)
    ends = np.roll(corners, -1, axis=0)
    sizes = np.hypot(*(ends - corners).T)
    step = max(1.0, float(sizes.sum()) / (6 * BINS))
    counts = np.maximum(1, np.ceil(sizes / step).astype(int))
    shares = np.concatenate([np.arange(count) / count for count in counts])[:, None]
    return np.repeat(corners, counts, axis=0) + np.repeat(ends - corners, counts, axis=0) * shares


def _base_of(outline: tuple[Point, ...]) -> tuple[Point, ...] | None:
    """Return a straight baseline for a polygon: a little above its lower edge, from its left to its right."""
    points = _sampled(outline)
    left, right = float(points[:, 0].min()), float(points[:, 0].max())
    if right <= left:
        return None
    bins = np.minimum(((points[:, 0] - left) / (right - left) * 16).astype(int), 15)
    used = np.unique(bins)
    tops = np.array([points[bins == index, 1].min() for index in used])
    bottoms = np.array([points[bins == index, 1].max() for index in used])
    centres = left + (used + 0.5) / 16 * (right - left)
    heights = bottoms - DESCENT * (bottoms - tops)
    slope, offset = np.polyfit(centres, heights, 1) if len(used) > 1 else (0.0, float(heights[0]))
    return Point(left, float(offset + slope * left)), Point(right, float(offset + slope * right))


def _longest_run(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """Return the longest part of a path without a turn of more than 120 degrees at one point."""
    runs = [[points[0]]]
    for before, here, after in zip(points, points[1:], points[2:], strict=False):
        runs[-1].append(here)
        first, second = (here.x - before.x, here.y - before.y), (after.x - here.x, after.y - here.y)
        cosine = (first[0] * second[0] + first[1] * second[1]) / (math.hypot(*first) * math.hypot(*second))
        if cosine < SHARPEST_COSINE:
            runs.append([here])
    runs[-1].append(points[-1])
    return tuple(max(runs, key=lambda run: sum(math.dist(a, b) for a, b in pairwise(run))))


def _has_area(outline: Sequence[Point]) -> bool:
    """Return whether a polygon is more than a point or a stroke without width."""
    if len(outline) < 3:
        return False
    xs, ys = zip(*outline, strict=True)
    return max(xs) - min(xs) >= 1 and max(ys) - min(ys) >= 1


def _crosses_itself(outline: Sequence[Point]) -> bool:
    """Return whether two edges of a polygon cross, each going on to the other side; touching is none."""
    starts = np.array(outline, dtype=np.float64)
    ends = np.roll(starts, -1, axis=0)

    def side(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        return np.sign((b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1])
                       - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0]))  # fmt: skip

    a, b, c, d = starts[:, None], ends[:, None], starts[None], ends[None]
    return bool(((side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)).any())


def around(lines: Sequence[Line]) -> tuple[Point, ...]:
    """Return the upright rectangle around lines."""
    boxes = np.array([line.box for line in lines])
    left, top = boxes[:, :2].min(0).tolist()
    right, bottom = boxes[:, 2:].max(0).tolist()
    return (Point(left, top), Point(right, top), Point(right, bottom), Point(left, bottom))


def _pitch(lines: Sequence[Line]) -> float:
    """Return the median distance from a baseline to the next below it, in pixels; of single lines a guess."""
    gaps = []
    middles = [line.at(line.length / 2) for line in lines]
    for line, middle in zip(lines, middles, strict=True):
        left, right = line.baseline[0].x, line.baseline[-1].x
        under = [other.y - middle.y for other in middles if left <= other.x <= right]
        below = [gap for gap in under if gap > SLACK_PX]
        if below:
            gaps.append(min(below))
    if gaps:
        return float(np.median(gaps))
    return max(8.0, float(np.median([line.length for line in lines])) / 20) if lines else 8.0

"""Lines from maps: the ridges of the baseline map, followed column by column.

maps  ->  peaks of each column  ->  chains of peaks  ->  split at ends  ->  joined over gaps  ->  lines
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from common.text.document import Line, Point
from ocr.segmentation.maps import Maps

LOWEST_PEAK = 0.3
"""smallest probability of a baseline that is followed"""
LOWEST_MEAN = 0.7
"""smallest mean probability along a line"""
STEEPEST = 1.6
"""largest step of a ridge from one column to the next, in pixels of the maps"""
CERTAIN = 0.75
"""probability from which an end or a border is believed"""
END_REACH_PX = 4
"""an end is so near to the end of a ridge; one that is farther away splits the ridge"""
WIDEST_GAP = 2.0
"""widest gap without an end over which a line goes on, in heights of the line"""
SIDESTEP = 0.3
"""farthest that a line goes on beside its direction, in heights"""
TWIN = 0.35
"""lines nearer to each other than this, in heights, are one; the longer is kept"""
SHORTEST = 0.3
"""shortest line, in heights"""


class Chain(NamedTuple):
    """A ridge: one point in each of some columns, from left to right.

    x, y: (P,) positions in pixels of the maps.
    weight, end: (P,) probabilities of a baseline and of an end.
    above, below: (P,) heights in pixels of the maps.
    """

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    end: np.ndarray
    above: np.ndarray
    below: np.ndarray

    @property
    def height(self) -> float:
        """Median height of the line in pixels of the maps."""
        return float(np.median(self.above) + np.median(self.below))

    def part(self, start: int, stop: int) -> "Chain":
        """Return the points from `start` to before `stop`."""
        return Chain(*(values[start:stop] for values in self))


def find_lines(maps: Maps) -> list[Line]:
    """Return the lines in the maps of a page, in pixels of the page, from left to right; in no order."""
    chains = [part for chain in _chains(maps) for part in _split(chain)]
    chains = [chain for chain in _joined(chains, maps.border) if _is_line(chain)]
    return [_line(chain, maps.scale) for chain in _without_twins(chains)]


def _chains(maps: Maps) -> list[Chain]:
    """Return the ridges of the baseline map."""
    rows = np.pad(np.where(maps.border > CERTAIN, 0, maps.baseline), ((2, 2), (0, 0)))
    smooth = (rows[:-4] + rows[4:] + 4 * (rows[1:-3] + rows[3:-1]) + 6 * rows[2:-2]) / 16  # (H, W)
    inner = smooth[1:-1]
    peaks = (inner > smooth[:-2]) & (inner >= smooth[2:]) & (maps.baseline[1:-1] > LOWEST_PEAK)
    x, y = np.nonzero(peaks.T)  # sorted by column, then by row
    y = y + 1
    if not len(x):
        return []
    before, here, after = smooth[y - 1, x], smooth[y, x], smooth[y + 1, x]
    bend = before - 2 * here + after
    shift = np.where(bend < 0, (before - after) / np.where(bend < 0, 2 * bend, 1), 0.0)
    exact = y + np.clip(shift, -0.5, 0.5)
    around = [np.clip(y + step, 0, len(smooth) - 1) for step in (-2, 0, 2)]
    end = np.max([maps.end[row, x] for row in around], axis=0)
    above, below = (np.exp(np.clip(one[y, x], -1, 7)) for one in (maps.above, maps.below))
    points = (x.astype(np.float64), exact, maps.baseline[y, x], end, above, below)
    first = _first_of_chain(x, exact, len(smooth))
    order = np.argsort(first, kind="stable")
    starts = np.flatnonzero(np.diff(first[order], prepend=-1))
    return [Chain(*(values[one] for values in points)) for one in np.split(order, starts[1:])]


def _first_of_chain(x: np.ndarray, y: np.ndarray, height: int) -> np.ndarray:
    """Return for each peak (P,) the number of the first peak of its chain.

    Two peaks of neighbouring columns are linked if each is the nearest one of the other.
    """
    after, before = _nearest(x, y, height, 1), _nearest(x, y, height, -1)
    numbers = np.arange(len(x))
    linked = (before >= 0) & (after[before] == numbers)
    first = np.where(linked, before, numbers)
    while True:
        further = first[first]
        if (further == first).all():
            return first
        first = further


def _nearest(x: np.ndarray, y: np.ndarray, height: int, step: int) -> np.ndarray:
    """Return the number of the nearest peak in the column `step` away from each peak, -1 if none is near."""
    stride = height + 10.0
    keys, wanted = x * stride + y, (x + step) * stride + y
    place = np.searchsorted(keys, wanted)
    lower, upper = np.maximum(place - 1, 0), np.minimum(place, len(keys) - 1)
    nearer = np.where(np.abs(keys[lower] - wanted) <= np.abs(keys[upper] - wanted), lower, upper)
    return np.where(np.abs(keys[nearer] - wanted) <= STEEPEST, nearer, -1)


def _split(chain: Chain) -> list[Chain]:
    """Return a ridge in the pieces between the ends on it."""
    marked = np.concatenate(([0], chain.end > CERTAIN, [0])).astype(np.int8)
    edges = np.diff(marked)
    cuts = [
        int(start) + int(np.argmax(chain.end[start:stop]))
        for start, stop in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True)
        if start > END_REACH_PX and stop < len(chain.x) - END_REACH_PX
    ]
    bounds = [0, *cuts, len(chain.x)]
    return [chain.part(start, stop) for start, stop in pairwise(bounds)]


def _joined(chains: Sequence[Chain], border: np.ndarray) -> list[Chain]:
    """Return the ridges, those in one that go on after a gap that has no end and no border."""
    if not chains:
        return []
    heights = np.array([chain.height for chain in chains])
    first = np.array([(chain.x[0], chain.y[0]) for chain in chains])  # (N, 2)
    last = np.array([(chain.x[-1], chain.y[-1]) for chain in chains])
    starts = np.array([chain.end[:END_REACH_PX].max() > CERTAIN for chain in chains])
    stops = np.array([chain.end[-END_REACH_PX:].max() > CERTAIN for chain in chains])
    slopes = np.array([_slope(chain) for chain in chains])
    gap = first[None, :, 0] - last[:, None, 0]  # (N, N) from the end of one to the start of another
    height = np.minimum(heights[:, None], heights[None, :])
    slope = (slopes[:, None] + slopes[None, :]) / 2
    aside = np.abs(first[None, :, 1] - last[:, None, 1] - slope * gap)
    fits = (gap > 0) & (gap <= WIDEST_GAP * height) & (aside <= SIDESTEP * height)
    fits &= ~stops[:, None] & ~starts[None, :]
    fits &= np.maximum(heights[:, None], heights[None, :]) <= 2 * height
    cost = np.where(fits, gap + 2 * aside, np.inf)
    following = np.where(fits.any(1), cost.argmin(1), -1)
    leading = np.where(fits.any(0), cost.argmin(0), -1)
    joins = {
        one: int(other)
        for one, other in enumerate(following)
        if other >= 0 and leading[other] == one and not _crossed(border, last[one], first[other])
    }
    found = []
    for one in sorted(set(range(len(chains))) - set(joins.values())):
        run = [one]
        while run[-1] in joins:
            run.append(joins[run[-1]])
        parts = zip(*(chains[at] for at in run), strict=True)
        found.append(Chain(*(np.concatenate(values) for values in parts)))
    return found


def _crossed(border: np.ndarray, start: np.ndarray, end: np.ndarray) -> bool:
    """Return whether there is a border between two points x, y."""
    columns, rows = np.round(np.linspace(start, end, 20)).astype(int).T
    return bool(border[np.clip(rows, 0, len(border) - 1), columns].max() > CERTAIN)


def _slope(chain: Chain) -> float:
    """Return the slope of a ridge, 0 for one that is too short to tell."""
    length = chain.x[-1] - chain.x[0]
    return float(chain.y[-1] - chain.y[0]) / length if length > chain.height else 0.0


def _is_line(chain: Chain) -> bool:
    long_enough = len(chain.x) >= max(3.0, SHORTEST * chain.height)
    return long_enough and float(chain.weight.mean()) >= LOWEST_MEAN


def _without_twins(chains: Sequence[Chain]) -> list[Chain]:
    """Return the ridges without those that run along a longer one."""
    kept = list[Chain]()
    for chain in sorted(chains, key=lambda one: -len(one.x)):
        if not any(_are_twins(chain, other) for other in kept):
            kept.append(chain)
    return kept


def _are_twins(short: Chain, long: Chain) -> bool:
    height = min(short.height, long.height)
    if short.x[0] > long.x[-1] or short.x[-1] < long.x[0]:
        return False
    if short.y.min() > long.y.max() + height or short.y.max() < long.y.min() - height:
        return False
    away = np.abs(np.interp(short.x, long.x, long.y, np.inf, np.inf) - short.y)
    return bool((away < TWIN * height).mean() > 0.5)


def _line(chain: Chain, scale: float) -> Line:
    """Return a ridge as a line, in pixels of the page."""
    window = max(1, min(int(chain.height / 2), len(chain.x) // 2) | 1)
    padded = np.pad(chain.y, window // 2, mode="reflect", reflect_type="odd")
    y = np.convolve(padded, np.full(window, 1 / window), mode="valid")
    points = thinned(np.stack((chain.x, y), axis=1), 0.3)
    # a pixel of the maps stands for its middle
    baseline = tuple(Point((float(x) + 0.5) * scale, (float(y) + 0.5) * scale) for x, y in points)
    return Line(baseline, float(np.median(chain.above)) * scale, float(np.median(chain.below)) * scale)


def thinned(points: np.ndarray, tolerance: float) -> np.ndarray:
    """Return the points (P, 2), sorted by x, without those that are within `tolerance` of what is left.

    After Douglas and Peucker 1973.
    """
    kept, waiting = {0, len(points) - 1}, [(0, len(points) - 1)]
    while waiting:
        start, stop = waiting.pop()
        if stop - start < 2:
            continue
        (x0, y0), (x1, y1) = points[start], points[stop]
        inner = points[start + 1 : stop]
        away = np.abs(inner[:, 1] - y0 - (y1 - y0) * (inner[:, 0] - x0) / max(x1 - x0, 1e-9))
        farthest = int(away.argmax())
        if away[farthest] > tolerance:
            middle = start + 1 + farthest
            kept.add(middle)
            waiting += [(start, middle), (middle, stop)]
    return points[sorted(kept)]

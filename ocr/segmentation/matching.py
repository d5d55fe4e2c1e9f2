"""How well lines are found: the measure of the cBAD competitions (Grüning et al. 2018, arXiv 1705.03311).

    recall      how much of each true baseline has a found one near it, whichever it is
    precision   how much of each found baseline is near the true one that it is matched with, one to one

Near means within a tolerance, a quarter of the distance to the next line; to three tolerances the share falls
to 0. So a line that is split costs precision, and two lines found as one cost recall and precision.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from common.text.document import Line

TOLERANCE = 0.25
"""of the distance to the next line"""
SMALLEST_PX = 2.0
SPACING_PX = 3.0
"""distance of the points at which baselines are compared"""


class LineScores(NamedTuple):
    """Sums over pages: hits are in units of lines."""

    recalled: float = 0.0
    true: int = 0
    precise: float = 0.0
    found: int = 0

    @property
    def recall(self) -> float:
        """The share of the true lines that was found."""
        return self.recalled / self.true if self.true else 1.0

    @property
    def precision(self) -> float:
        """The share of the found lines that is true."""
        return self.precise / self.found if self.found else 1.0

    @property
    def f(self) -> float:
        """The harmonic mean of both."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    def plus(self, other: "LineScores") -> "LineScores":
        """Return the scores of both together."""
        return LineScores(
            self.recalled + other.recalled,
            self.true + other.true,
            self.precise + other.precise,
            self.found + other.found,
        )


def match_lines(true: Sequence[Line], found: Sequence[Line]) -> list[tuple[int, int]]:
    """Return pairs of a true and a found line, each in one pair at most, those that cover most first."""
    shares = _shares(true, found)
    pairs, left = [], shares.copy()
    while left.size and left.max() > 0:
        row, column = np.unravel_index(int(left.argmax()), left.shape)
        pairs.append((int(row), int(column)))
        left[row, :] = left[:, column] = 0
    return pairs


def score_lines(true: Sequence[Line], found: Sequence[Line]) -> LineScores:
    """Return how well the lines of one page were found."""
    if not true or not found:
        return LineScores(0.0, len(true), 0.0, len(found))
    points, tolerances = [_sampled(line) for line in true], _tolerances(true)
    others = np.concatenate([_sampled(line) for line in found])
    recalled = sum(
        _nearness(_distances(one, others), size) for one, size in zip(points, tolerances, strict=True)
    )
    shares = _shares(true, found)
    precise = sum(float(shares[row, column]) for row, column in match_lines(true, found))
    return LineScores(recalled, len(true), precise, len(found))


class Coverage(NamedTuple):
    """How much of lines is near each other, (true, found) each, within the tolerance of the true line.

    found: the share of each found line that is near each true one.
    true: the share of each true line that is near each found one.
    """

    found: np.ndarray
    true: np.ndarray


def _shares(true: Sequence[Line], found: Sequence[Line]) -> np.ndarray:
    """Return how much of each found line is near each true one: (true, found)."""
    return coverage(true, found).found


def coverage(true: Sequence[Line], found: Sequence[Line]) -> Coverage:
    """Return how much of each line is near each other one."""
    shares, reverse = np.zeros((2, len(true), len(found)))
    tolerances, points = _tolerances(true), [_sampled(line) for line in true]
    boxes = [(one.min(axis=0), one.max(axis=0)) for one in points]
    for column, line in enumerate(found):
        own = _sampled(line)
        low, high = own.min(axis=0), own.max(axis=0)
        for row, (one, size) in enumerate(zip(points, tolerances, strict=True)):
            reach = 3 * size
            if (boxes[row][0] > high + reach).any() or (boxes[row][1] < low - reach).any():
                continue
            shares[row, column] = _nearness(_distances(own, one), size)
            reverse[row, column] = _nearness(_distances(one, own), size)
    return Coverage(shares, reverse)


def _tolerances(lines: Sequence[Line]) -> list[float]:
    """Return a quarter of the distance of each line to the next one above or below it."""
    points = [_sampled(line) for line in lines]
    distances = []
    for index, own in enumerate(points):
        middle = own[len(own) // 2]
        nearest = np.inf
        for other, one in enumerate(points):
            overlap = min(own[:, 0].max(), one[:, 0].max()) - max(own[:, 0].min(), one[:, 0].min())
            if other != index and overlap > 0:
                nearest = min(nearest, float(np.abs(one[:, 1] - middle[1]).min()) or np.inf)
        distances.append(nearest)
    known = [one for one in distances if np.isfinite(one)]
    usual = float(np.median(known)) if known else 4 * max((line.above for line in lines), default=20.0)
    return [max(SMALLEST_PX, TOLERANCE * min(one, usual)) for one in distances]


def _sampled(line: Line) -> np.ndarray:
    """Return points (N, 2) along a baseline."""
    corners = np.array(line.baseline, dtype=np.float64)
    reached = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))])
    places = np.linspace(0, reached[-1], max(2, int(reached[-1] / SPACING_PX) + 1))
    return np.stack([np.interp(places, reached, corners[:, axis]) for axis in (0, 1)], axis=1)


def _distances(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the distance of each of `points` (N, 2) to the nearest of `others` (M, 2)."""
    squares = ((points[:, None] - others[None]) ** 2).sum(axis=2)
    return np.sqrt(squares.min(axis=1))


def _nearness(distances: np.ndarray, tolerance: float) -> float:
    """Return the mean share: 1 within the tolerance, falling to 0 at three tolerances."""
    return float(np.clip((3 * tolerance - distances) / (2 * tolerance), 0, 1).mean())

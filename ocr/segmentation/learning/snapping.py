"""Baselines moved to the ink, and heights measured on it: transcribers draw both in many ways.

    rows of a line       ink
    above         . . . . . . . .  #
                  d  h  l  b       ##
    top of x      a  e  o  n  s    ######     the steepest rise is the top of the small letters
                  |  |  |  |       #####
    baseline      a  e  o  n  s    ######     the steepest fall is the baseline
    below         p  g             #

The height of small letters gives the reach of the line: their ascenders and descenders.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from common.text.document import Line, Point

ASCENT, DESCENT = 1.75, 0.7
"""reach of a line above and below its baseline, in heights of its small letters"""
SAMPLES = 64
"""rows of a profile for the height of a line"""
FAR, NEAR = 0.5, 0.15
"""how far a baseline of a page, and of one line after that, may be moved, in heights of a line"""


def snap(lines: Sequence[Line], ink: np.ndarray) -> list[Line]:
    """Return the lines of a page with baselines below their small letters, and heights by these.

    First all lines of the page are moved by the median of what each of them asks for, in heights of a line,
    then each by a little. A line without ink stays as it is.

    Args:
        lines: in pixels of the page; their heights say roughly how large they are.
        ink: (H, W) from 0, paper, to 1.
    """
    sizes = [max(line.above + line.below, 4.0) for line in lines]
    wanted = [_shift(line, size, ink, FAR) for line, size in zip(lines, sizes, strict=True)]
    known = [one for one in wanted if one is not None]
    if not known:
        return list(lines)
    middle = float(np.median(known))
    moved = [_moved(line, middle * size) for line, size in zip(lines, sizes, strict=True)]
    result = []
    for line, size in zip(moved, sizes, strict=True):
        shift = _shift(line, size, ink, NEAR)
        result.append(_measured(line if shift is None else _moved(line, shift * size), size, ink))
    heights = [line.above for line in result]
    usual = float(np.median(heights)) if heights else 0.0
    return [replace(line, above=float(np.clip(line.above, 0.5 * usual, 4 * usual))) for line in result]


def profile(line: Line, size: float, ink: np.ndarray) -> np.ndarray:
    """Return the mean ink (2.5 SAMPLES,) of rows along a baseline, from 1.5 sizes above to 1 below."""
    length = line.length
    count = max(8, min(400, int(length / 2)))
    points = np.array([line.at(length * (i + 0.5) / count) for i in range(count)])  # (N, 2)
    ahead = np.gradient(points, axis=0) if count > 1 else np.array([[1.0, 0.0]])
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-6)
    down = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)  # (N, 2), y grows downwards
    rows = np.linspace(-1.5 * size, size, round(2.5 * SAMPLES))
    places = points[None] + rows[:, None, None] * down[None]  # (rows, N, 2)
    x = np.clip(np.rint(places[..., 0]), 0, ink.shape[1] - 1).astype(int)
    y = np.clip(np.rint(places[..., 1]), 0, ink.shape[0] - 1).astype(int)
    return ink[y, x].mean(axis=1)


def _smoothed(values: np.ndarray, width: int) -> np.ndarray:
    kernel = np.hanning(width + 2)[1:-1]
    return np.convolve(np.pad(values, width // 2, mode="edge"), kernel / kernel.sum(), mode="valid")


def _shift(line: Line, size: float, ink: np.ndarray, reach: float) -> float | None:
    """Return how far down the steepest fall of the ink is, in sizes; None for a line without ink."""
    values = _smoothed(profile(line, size, ink), SAMPLES // 8 + 1)
    if values.max() < 0.02:
        return None
    fall = -np.gradient(values)
    place = round(1.5 * SAMPLES)
    steps = round(reach * SAMPLES)
    window = fall[place - steps : place + steps + 1]
    distance = np.abs(np.arange(-steps, steps + 1)) / max(steps, 1)
    best = int(np.argmax(window * (1 - 0.4 * distance)))
    return (best - steps) / SAMPLES if window[best] > 0 else None


def _measured(line: Line, size: float, ink: np.ndarray) -> Line:
    """Return a line with heights by its small letters; the top of these is the steepest rise above it."""
    values = _smoothed(profile(line, size, ink), SAMPLES // 10 + 1)
    place = round(1.5 * SAMPLES)
    rise = np.gradient(values)
    low, high = round(0.15 * SAMPLES), round(0.8 * SAMPLES)
    window = rise[place - high : place - low]
    if not len(window) or window.max() <= 0:
        return line
    tall = (high - int(np.argmax(window))) / SAMPLES * size
    return replace(line, above=ASCENT * tall, below=DESCENT * tall, outline=())


def _moved(line: Line, down: float) -> Line:
    """Return a line moved along the normal of its chord."""
    (x0, y0), (x1, y1) = line.baseline[0], line.baseline[-1]
    length = float(np.hypot(x1 - x0, y1 - y0)) or 1.0
    dx, dy = -(y1 - y0) / length * down, (x1 - x0) / length * down
    return replace(line, baseline=tuple(Point(x + dx, y + dy) for x, y in line.baseline), outline=())

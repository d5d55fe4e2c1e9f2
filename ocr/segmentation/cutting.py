"""The image of one line, cut out of its page along the baseline.

      normals of the baseline     |  |  |  /  /  /
                                  |  |  | /  /  /        a curved or slanted line comes out straight:
      baseline                    *--*--*--*--*  /       every column of the signal is a piece of a normal,
                                                *--*     and the columns are evenly spaced on the baseline

Step t of the signal stands at `t * unit_per_step` pixels along the baseline, so that `Line.part` finds the
place of any part of the signal on the page.
"""

import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from common.data.signal import Signal
from common.text.document import Line, Point
from ocr.signal import SignalConfig, columns_of, ink_of

PIECE = 0.5
"""length of the straight pieces of a curved line, as a share of its height"""
STRAIGHT_PX = 0.25
"""a baseline that leaves its chord by no more than this is cut in one piece"""


class Strip(NamedTuple):
    """The part of a page along a baseline.

    upper, lower: (P, 2) points x, y of both edges, evenly spaced along the baseline.
    length, height: of the strip, in pixels of the page.
    """

    upper: np.ndarray
    lower: np.ndarray
    length: float
    height: float


def cut_line(page: np.ndarray, line: Line, config: SignalConfig) -> Signal:
    """Return the signal of one line of a page; `unit_per_step` is in pixels of the page.

    Grey levels become ink as in `ocr.signal.read`. Beyond the edges of the page, its outermost pixels go on.
    If the outline of the line is known, what is outside of it becomes paper: descenders of the line above.

    Args:
        page: (H, W) uint8, white 255.
        line: in pixels of the page.
        config: the height of the signal, and its limits.

    Raises:
        ValueError: the line has no length or no height, is too long for its height, or lies outside the page.
    """
    strip = _strip(line)
    columns = columns_of(strip.length, strip.height, "the line", config)
    grey = _straightened(page, strip, line.outline, config.height_px)
    grey = grey.resize((columns, config.height_px), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return Signal(ink_of(np.asarray(grey), config), strip.length / columns)


def straight_line(page: np.ndarray, line: Line) -> Image.Image:
    """Return the image of one line of a page, mode L, straight and at the resolution of the page.

    Args and errors are those of `cut_line`.
    """
    strip = _strip(line)
    return _straightened(page, strip, line.outline, math.ceil(strip.height))


def _strip(line: Line) -> Strip:
    """Return the strip that is cut for a line."""
    length, height = line.length, line.above + line.below
    if not (length > 0 and height > 0 and math.isfinite(length * height)):
        raise ValueError(f"a line {length:g} px long and {height:g} px high; one that has both was wanted")
    points = np.array(line.baseline, dtype=np.float64)  # (N, 2)
    reached = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))))
    pieces = 1 if _is_straight(points) else min(1000, math.ceil(length / (PIECE * height)))
    wanted = np.linspace(0.0, length, pieces + 1)
    base = _along(points, reached, wanted)  # (P, 2)
    reach = height / 2  # the direction is taken over this stretch on both sides: a kink becomes a bend
    ahead = _along(points, reached, wanted + reach) - _along(points, reached, wanted - reach)
    size = np.hypot(ahead[:, 0], ahead[:, 1])
    chord = points[-1] - points[0]
    ahead[size == 0] = chord if chord.any() else (1.0, 0.0)
    ahead /= np.hypot(ahead[:, 0], ahead[:, 1])[:, None]
    normal = np.stack((ahead[:, 1], -ahead[:, 0]), axis=1)  # to the upper edge; y grows downwards
    return Strip(base + line.above * normal, base - line.below * normal, length, height)


def _is_straight(points: np.ndarray) -> bool:
    """Return whether a baseline (N, 2) leaves the chord of its ends by at most STRAIGHT_PX, never back."""
    chord = points[-1] - points[0]
    size = float(np.hypot(*chord))
    if size == 0:
        return False
    away = points - points[0]
    across = np.abs(away[:, 0] * chord[1] - away[:, 1] * chord[0]) / size
    return bool(across.max() <= STRAIGHT_PX and (np.diff(away @ chord) >= 0).all())


def _along(points: np.ndarray, reached: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the points (P, 2) at the positions `wanted` (P,) of a baseline, or its nearer end."""
    return np.stack([np.interp(wanted, reached, points[:, axis]) for axis in (0, 1)], axis=1)


def _straightened(page: np.ndarray, strip: Strip, outline: tuple[Point, ...], height_px: int) -> Image.Image:
    """Return the strip, straight, at the resolution of the page, or at least three times `height_px` high."""
    corners = np.concatenate((strip.upper, strip.lower))
    left, top = (math.floor(value) for value in corners.min(axis=0))
    right, bottom = (math.ceil(value) for value in corners.max(axis=0))
    window = Image.fromarray(_window(page, (left, top, right, bottom)))
    if outline:
        _fill_outside(window, [(x - left, y - top) for x, y in outline])
    factor = max(1, int(strip.height // (3 * height_px)))
    if factor > 1:
        window = window.reduce(factor)
    width, height = (max(1, round(size / factor)) for size in (strip.length, strip.height))
    upper, lower = ((edge - (left, top)) / factor for edge in (strip.upper, strip.lower))
    pieces = len(upper) - 1
    width = max(width, pieces)
    edges = [round(width * piece / pieces) for piece in range(pieces + 1)]
    mesh = [
        ((edges[at], 0, edges[at + 1], height), (*upper[at], *lower[at], *lower[at + 1], *upper[at + 1]))
        for at in range(pieces)
    ]
    return window.transform((width, height), Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)


def _window(page: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Return the pixels (H, W) of `page` in `box`: left, top, right, bottom.

    Raises:
        ValueError: no pixel of the page is in the box, or the box is far larger than the page.
    """
    height, width = page.shape
    left, top, right, bottom = box
    outside = right <= 0 or bottom <= 0 or left >= width or top >= height
    if outside or max(-left, -top, right - width, bottom - height) > max(width, height):
        raise ValueError(
            f"a line from ({left}, {top}) to ({right}, {bottom}) is not on the image of {width} x {height} px"
        )
    if left >= 0 and top >= 0 and right <= width and bottom <= height:
        return np.ascontiguousarray(page[top:bottom, left:right])
    rows = np.clip(np.arange(top, bottom), 0, height - 1)
    return page[rows[:, None], np.clip(np.arange(left, right), 0, width - 1)]


def _fill_outside(window: Image.Image, outline: list[tuple[float, float]]) -> None:
    """Give all pixels outside of a polygon the median grey level inside, which is that of the ground."""
    inside = Image.new("L", window.size)
    ImageDraw.Draw(inside).polygon(outline, fill=255)
    cumulated = np.cumsum(window.histogram(inside))
    if cumulated[-1]:  # an outline beside its line says nothing
        window.paste(int(np.searchsorted(cumulated, cumulated[-1] / 2)), mask=ImageChops.invert(inside))

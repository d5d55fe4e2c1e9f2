"""Which of the found lines are no writing of the page.

ruled lines, ink that shines through     much less ink above the baseline than the page's other lines
ends of lines of the next page           short, and cut through by the left or right edge of the image
"""

from collections.abc import Sequence

import numpy as np

from common.text.document import Line

FAINT = 0.4
"""a line with less than this share of the usual ink of a page is no writing"""
USUAL = 0.6
"""the usual ink is that below which this share of the page's lines is, by their length"""
BLANK = 0.01
"""a line with less ink than this is none, on a page with few lines"""
FEW = 3
"""with fewer lines than this, none is compared with the others"""
HEIGHTS = (0.15, 0.25, 0.35, 0.45, 0.55)
"""where ink is looked at: shares of the height above the baseline, within the small letters"""
WHOLE, FRAGMENT, AT_EDGE = 8.0, 5.0, 0.7
"""in line heights: the least length of a line that is surely whole, the greatest of one cut through by
the edge of the image, and how near it is to that edge"""


def plausible(lines: Sequence[Line], ink: np.ndarray, scale: float) -> list[Line]:
    """Return the lines that are writing of the page.

    Args:
        lines: in pixels of the page.
        ink: (H, W) from 0, paper, to 1.
        scale: pixels of the page for one pixel of `ink`.
    """
    inked = _with_ink(lines, ink, scale)
    return _without_fragments(inked, ink.shape[1] * scale)


def _with_ink(lines: Sequence[Line], ink: np.ndarray, scale: float) -> list[Line]:
    if not lines:
        return []
    amounts = np.array([_ink_above(line, ink, scale) for line in lines])
    least = BLANK
    if len(lines) >= FEW:
        order = np.argsort(amounts)
        reached = np.cumsum(np.array([line.length for line in lines])[order])
        place = int(np.searchsorted(reached, USUAL * reached[-1]))
        least = FAINT * float(amounts[order[min(place, len(order) - 1)]])
    return [line for line, amount in zip(lines, amounts, strict=True) if amount >= least]


def _ink_above(line: Line, ink: np.ndarray, scale: float) -> float:
    """Return the mean ink of the small letters of a line."""
    count = max(8, min(200, int(line.length / (3 * scale))))
    points = np.array([line.at(line.length * (i + 0.5) / count) for i in range(count)])
    (x0, y0), (x1, y1) = line.baseline[0], line.baseline[-1]
    size = max(float(np.hypot(x1 - x0, y1 - y0)), 1e-6)
    up = np.array([(y1 - y0) / size, -(x1 - x0) / size])  # y grows downwards
    values = []
    for share in HEIGHTS:
        x, y = ((points + share * line.above * up) / scale).astype(int).T
        values.append(ink[np.clip(y, 0, ink.shape[0] - 1), np.clip(x, 0, ink.shape[1] - 1)].mean())
    return float(np.mean(values))


def _without_fragments(lines: Sequence[Line], width_px: float) -> list[Line]:
    whole = [line for line in lines if line.length > WHOLE * (line.above + line.below)]
    if len(whole) < FEW:
        return list(lines)
    kept = []
    for line in lines:
        height = line.above + line.below
        xs = [point.x for point in line.baseline]
        at_edge = min(xs) < AT_EDGE * height or max(xs) > width_px - AT_EDGE * height
        if not (at_edge and line.length < FRAGMENT * height):
            kept.append(line)
    return kept

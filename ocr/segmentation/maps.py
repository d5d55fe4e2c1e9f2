"""What the network says of every pixel of a page: baselines, their ends, heights of lines, borders of blocks.

    page        T h i s   i s   a   l i n e            T h e   n e x t   c o l u m n
    baseline    ============================            ============================      1 on a baseline
    end         *                          *            *                          *      1 where a line ends
    border                                      |                                         1 between two lines
    above       natural logarithm of the height of writing above the baseline, on the baseline
    below       the same below it

After ARU-Net (Grüning et al. 2019, arXiv 1802.03345) and ParseNet (Kodym and Hradiš 2021, arXiv 2102.11838).
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from common.text.document import Line, Point

CHANNELS = ("baseline", "end", "above", "below", "border")
"""names of the maps in their order"""
BASELINE_WIDTH, END_RADIUS, BORDER_WIDTH = 3, 3, 3
"""sizes of what is drawn, in pixels of the maps"""
NEIGHBOUR_GAP = 4.0
"""lines side by side have a border between them if their gap is at most this many line heights"""


class Maps(NamedTuple):
    """The maps of a page, each (H, W) float32.

    baseline, end, border: probabilities.
    above, below: natural logarithms of heights in pixels of the maps; what is not near a baseline is noise.
    scale: pixels of the page for one pixel of the maps.
    """

    baseline: np.ndarray
    end: np.ndarray
    above: np.ndarray
    below: np.ndarray
    border: np.ndarray
    scale: float

    @classmethod
    def of(cls, array: np.ndarray, scale: float) -> "Maps":
        """Return the maps in an array (5, H, W), in the order of CHANNELS."""
        baseline, end, above, below, border = array
        return cls(baseline, end, above, below, border, scale)

    @property
    def array(self) -> np.ndarray:
        """The maps as one array (5, H, W), in the order of CHANNELS."""
        return np.stack([self.baseline, self.end, self.above, self.below, self.border])


def draw_maps(lines: Sequence[Line], shape: tuple[int, int], scale: float) -> Maps:
    """Return the maps of lines whose places are known.

    Args:
        lines: in pixels of the page.
        shape: height and width of the maps.
        scale: pixels of the page for one pixel of the maps.
    """
    height, width = shape
    drawn = {
        name: Image.new("F" if name in ("above", "below") else "L", (width, height)) for name in CHANNELS
    }
    pens = {name: ImageDraw.Draw(image) for name, image in drawn.items()}
    for line in lines:
        points = [(x / scale, y / scale) for x, y in line.baseline]
        pens["baseline"].line(points, fill=1, width=BASELINE_WIDTH)
        for name, reach in (("above", line.above), ("below", line.below)):
            value = math.log(max(reach / scale, 0.5))
            pens[name].line(points, fill=value, width=BASELINE_WIDTH + 2)
    for line in lines:
        for end in (line.baseline[0], line.baseline[-1]):
            x, y = end.x / scale, end.y / scale
            box = (x - END_RADIUS, y - END_RADIUS, x + END_RADIUS, y + END_RADIUS)
            pens["end"].ellipse(box, fill=1)
    for upper, lower in _borders(lines):
        ends = [(x / scale, y / scale) for x, y in (upper, lower)]
        pens["border"].line(ends, fill=1, width=BORDER_WIDTH)
    arrays = [np.asarray(drawn[name], dtype=np.float32) for name in CHANNELS]
    return Maps.of(np.stack(arrays), scale)


def _borders(lines: Sequence[Line]) -> Iterator[tuple[Point, Point]]:
    """Yield the upper and the lower end of a border in each gap between two lines that stand side by side."""
    boxes = [line.box for line in lines]
    for first, (line, (_, top, right, bottom)) in enumerate(zip(lines, boxes, strict=True)):
        size = line.above + line.below
        best = None
        for second, (left, other_top, _, other_bottom) in enumerate(boxes):
            if second == first or left < right - 0.5 * size:
                continue
            common = min(bottom, other_bottom) - max(top, other_top)
            if common < 0.4 * min(bottom - top, other_bottom - other_top):
                continue
            if left - right <= NEIGHBOUR_GAP * size and (best is None or left < best):
                best = left
        if best is not None:
            middle = (right + best) / 2
            yield Point(middle, top), Point(middle, bottom)

"""The network that finds lines, run by onnxruntime: from the grey levels of a page to its lines.

grey (H, W)  ->  scaled, ink  ->  maps  ->  lines  ->  again at another size, or turned, if they ask for it
"""

import math
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from common.files.onnx_file import read_onnx
from common.text.document import Line, Point
from ocr.segmentation.finding.plausible import plausible
from ocr.segmentation.finding.ridges import find_lines
from ocr.segmentation.maps import Maps
from ocr.signal import SignalConfig, ink_of

KIND = "lines"
"""what the header of a model file calls such a network"""
LONG_SIDE_PX = 1536
"""long side of a page as the network sees it first"""
LARGEST_PX, SMALLEST_PX = 3072, 256
"""bounds of the long side when a page is seen again at another size"""
LINE_PX = (14.0, 40.0)
"""median heights of lines, above and below together, that the network finds well"""
USUAL_LINE_PX = 25.0
"""the height that lines get when a page is seen again"""
DEEPEST = 32
"""height and width of the input must be multiples of this"""
SHORT_LINES = 4.0
"""a page whose lines are shorter than this, in heights, may be turned"""
POSSIBLE, CERTAIN = 0.3, 0.95
"""probabilities of a pixel that may be, and that almost certainly is, on a baseline"""
CLEARLY = 1.3
"""its lines must be so many times longer when it is turned"""


class Found(NamedTuple):
    """The lines of a page, in pixels of the page turned by `turns` quarter turns to the left.

    size: width and height of the turned page.
    """

    lines: list[Line]
    turns: int
    size: tuple[int, int]


class Finder:
    """The network in a model file. Threads may share it.

    Args:
        path: the file.

    Raises:
        ValueError: it is damaged, or a model of another kind.
    """

    def __init__(self, path: str | Path) -> None:
        file = read_onnx(path)
        if file.header.get("kind") != KIND:
            raise ValueError(f"{path}: finds no lines; name a model that `ocr train-lines` has written")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = min(2, os.cpu_count() or 1)
        # a waiting thread sleeps: other pages are read meanwhile
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.stride = int(file.header["stride"])
        self._session: Any = onnxruntime.InferenceSession(
            file.raw, options, providers=["CPUExecutionProvider"]
        )

    def seen(self, grey: np.ndarray, long_side_px: float) -> tuple[Maps, np.ndarray]:
        """Return the maps of a page, which is scaled to a long side first, and the ink (H, W) that was seen.

        Args:
            grey: (H, W) uint8, white 255.
            long_side_px: in pixels that the network sees.
        """
        height, width = grey.shape
        factor = long_side_px / max(height, width)
        small = max(1, round(height * factor)), max(1, round(width * factor))
        image = Image.fromarray(grey)
        if small != grey.shape:
            image = image.resize((small[1], small[0]), Image.Resampling.BILINEAR, reducing_gap=2.0)
        ink = ink_of(np.asarray(image), SignalConfig()).T
        padded = np.zeros((1, 1, *(-(-side // DEEPEST) * DEEPEST for side in small)), np.float32)
        padded[0, 0, : small[0], : small[1]] = ink
        (found,) = self._session.run(None, {self._session.get_inputs()[0].name: padded})
        real = [math.ceil(side / self.stride) for side in small]
        return Maps.of(found[0, :, : real[0], : real[1]], self.stride / factor), ink

    def _lines_at(self, grey: np.ndarray, long_side_px: float) -> list[Line]:
        """Return the lines that are found at one size of the page."""
        maps, ink = self.seen(grey, long_side_px)
        return plausible(find_lines(maps), ink, maps.scale / self.stride)

    def lines(self, grey: np.ndarray) -> list[Line]:
        """Return the lines of a page that is upright, in its pixels; the page is seen again where that helps.

        Args:
            grey: (H, W) uint8, white 255.
        """
        long_side = float(LONG_SIDE_PX)
        lines = self._lines_at(grey, long_side)
        for _ in range(2):
            size = _usual_height(lines) * long_side / max(grey.shape)
            if lines and LINE_PX[0] <= size <= LINE_PX[1]:
                break
            wanted = long_side * USUAL_LINE_PX / size if lines else long_side / 2
            wanted = min(max(wanted, SMALLEST_PX), LARGEST_PX)
            if abs(math.log(wanted / long_side)) < 0.2:
                break
            again = self._lines_at(grey, wanted)
            if _total(again) < _total(lines):
                break
            lines, long_side = again, wanted
        return lines

    def find(self, grey: np.ndarray) -> Found:
        """Return the lines of a page that may be turned by quarter turns.

        A page is looked at from its sides only if its lines are few or short.

        Args:
            grey: (H, W) uint8, white 255.
        """
        height, width = grey.shape
        upright = Found(self.lines(grey), 0, (width, height))
        longest = _usual_length(upright.lines)
        if longest > SHORT_LINES:
            return upright
        surest, chosen = 0.0, 0
        for turns in (
            1,
            3,
        ):  # one of them is upside down, where the network finds lines, too, but less surely
            maps, ink = self.seen(np.ascontiguousarray(np.rot90(grey, turns)), LONG_SIDE_PX)
            lines = plausible(find_lines(maps), ink, maps.scale / self.stride)
            is_long = _usual_length(lines) > max(SHORT_LINES, CLEARLY * longest)
            if len(lines) > 1 and is_long and _sureness(maps) > surest:
                surest, chosen = _sureness(maps), turns
        if not chosen:
            return upright
        return Found(self.lines(np.ascontiguousarray(np.rot90(grey, chosen))), chosen, (height, width))


@lru_cache(2)
def load_finder(path: str) -> Finder:
    """Return the network in a file, which stays loaded; the ValueErrors of `Finder`."""
    return Finder(path)


def turned_back(line: Line, turns: int, size: tuple[int, int]) -> Line:
    """Return a line of a page that was turned to the left, in pixels of the page as it is.

    Args:
        line: on the turned page.
        turns: how many quarter turns.
        size: width and height of the turned page.
    """
    width, height = size

    def back(point: Point) -> Point:
        x, y = point
        return {
            0: Point(x, y),
            1: Point(height - y, x),
            2: Point(width - x, height - y),
            3: Point(y, width - x),
        }[turns]

    baseline, outline = tuple(map(back, line.baseline)), tuple(map(back, line.outline))
    return Line(baseline, line.above, line.below, outline)


def _usual_height(lines: list[Line]) -> float:
    """Return the height of the lines that have most of the writing: the median over their length."""
    if not lines:
        return 0.0
    heights = np.array([line.above + line.below for line in lines])
    order = np.argsort(heights)
    reached = np.cumsum(np.array([line.length for line in lines])[order])
    return float(heights[order][np.searchsorted(reached, reached[-1] / 2)])


def _sureness(maps: Maps) -> float:
    """Return the share of the pixels of baselines that are almost certain.

    On 15 pages of ten sources it was higher upright than upside down, by 8 to 110 %.
    """
    return float((maps.baseline > CERTAIN).sum()) / max(1, int((maps.baseline > POSSIBLE).sum()))


def _usual_length(lines: list[Line]) -> float:
    """Return the median length of lines in their heights; 0 if there are none."""
    if not lines:
        return 0.0
    return float(np.median([line.length / max(line.above + line.below, 1.0) for line in lines]))


def _total(lines: list[Line]) -> float:
    """Return the length of all lines in heights: how much writing was found."""
    return sum(line.length / max(line.above + line.below, 1.0) for line in lines)

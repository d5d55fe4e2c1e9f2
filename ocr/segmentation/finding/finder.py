"""The network that finds lines, run by onnxruntime: from the grey levels of a page to its lines.

grey (H, W)  ->  scaled, ink  ->  maps  ->  lines  ->  again at another size, or turned, if they ask for it

Upside down, the network finds lines too, but is less sure of them. Therefore the part of each page that has
the most writing is seen upside down as well; if it is surer so, at other sizes too, before that is believed.
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
from ocr.signal import STEEPEST, SignalConfig, ink_of

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
PART_PX = 512
"""sides of the part of a page that is seen upside down"""
PART_LINE_PX = (25.0, 20.0, 30.0)
"""heights of lines that this part is scaled to, if its lines are higher"""
SURER = 1.03
"""a page is upside down if its baselines are so many times surer when it is turned; 39 pages of 13 sources
reached at most 0.94 upright, and at least 1.08 upside down"""
FEW = 5
"""a page with fewer lines than this is not turned upside down"""


class Found(NamedTuple):
    """The lines of a page, in pixels of the page turned by `turns` quarter turns to the left.

    size: width and height of the turned page.
    """

    lines: list[Line]
    turns: int
    size: tuple[int, int]


class View(NamedTuple):
    """A page as the network sees it at one size.

    lines: in pixels of the page.
    maps: what the network says.
    ink: (H, W) what it saw.
    """

    lines: list[Line]
    maps: Maps
    ink: np.ndarray


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
        return Maps.of(self.computed(ink), self.stride / factor), ink

    def computed(self, ink: np.ndarray) -> np.ndarray:
        """Return the maps (5, H / stride, W / stride) of ink (H, W)."""
        height, width = ink.shape
        padded = np.zeros((1, 1, *(-(-side // DEEPEST) * DEEPEST for side in ink.shape)), np.float32)
        padded[0, 0, :height, :width] = ink
        (found,) = self._session.run(None, {self._session.get_inputs()[0].name: padded})
        maps: np.ndarray = found[0, :, : math.ceil(height / self.stride), : math.ceil(width / self.stride)]
        return maps

    def _view(self, grey: np.ndarray, long_side_px: float) -> View:
        """Return a page at one size."""
        maps, ink = self.seen(grey, long_side_px)
        return View(plausible(find_lines(maps), ink, maps.scale / self.stride), maps, ink)

    def _best_view(self, grey: np.ndarray) -> View:
        """Return a page that is upright at the size that suits its lines.

        Args:
            grey: (H, W) uint8, white 255.
        """
        long_side = float(LONG_SIDE_PX)
        view = self._view(grey, long_side)
        for _ in range(2):
            size = _usual_height(view.lines) * long_side / max(grey.shape)
            if view.lines and LINE_PX[0] <= size <= LINE_PX[1]:
                break
            wanted = long_side * USUAL_LINE_PX / size if view.lines else long_side / 2
            wanted = min(max(wanted, SMALLEST_PX), LARGEST_PX)
            if abs(math.log(wanted / long_side)) < 0.2:
                break
            again = self._view(grey, wanted)
            if _total(again.lines) < _total(view.lines):
                break
            view, long_side = again, wanted
        return view

    def find(self, grey: np.ndarray) -> Found:
        """Return the lines of a page that may be turned by quarter turns.

        A page is looked at from its sides only if its lines are few or short, and upside down only if a part
        of it looks so.

        Args:
            grey: (H, W) uint8, white 255.
        """
        height, width = grey.shape
        view = self._best_view(grey)
        longest = _usual_length(view.lines)
        if longest <= SHORT_LINES and (turns := self._side(grey, longest)):
            turned = self._best_view(np.ascontiguousarray(np.rot90(grey, turns)))
            return Found(turned.lines, turns, (height, width))
        if is_narrow(view.lines, width, height):
            return Found(view.lines, 0, (width, height))
        if len(view.lines) >= FEW and self._is_upside_down(view, view.ink.shape[0] / height):
            turned = self._best_view(np.ascontiguousarray(np.rot90(grey, 2)))
            return Found(turned.lines, 2, (width, height))
        return Found(view.lines, 0, (width, height))

    def _side(self, grey: np.ndarray, longest: float) -> int:
        """Return the quarter turns, 1 or 3, that give a page long lines, or 0.

        Args:
            grey: (H, W) uint8, white 255.
            longest: the usual length of the lines of the page as it is, in heights.
        """
        surest, chosen = 0.0, 0
        for turns in (1, 3):  # one of them is upside down
            view = self._view(np.ascontiguousarray(np.rot90(grey, turns)), LONG_SIDE_PX)
            is_long = _usual_length(view.lines) > max(SHORT_LINES, CLEARLY * longest)
            sureness = _sureness(view.maps.baseline)
            if len(view.lines) > 1 and is_long and sureness > surest:
                surest, chosen = sureness, turns
        return chosen

    def _is_upside_down(self, view: View, factor: float) -> bool:
        """Return whether the part of a page with most of the writing has surer baselines upside down.

        Args:
            view: the page.
            factor: pixels that were seen for one of the page.
        """
        height, gains = _usual_height(view.lines) * factor, list[float]()
        for wanted in PART_LINE_PX:
            smaller = max(1.0, height / wanted)
            square = _densest(view.maps.baseline > POSSIBLE, round(smaller * PART_PX / self.stride))
            rows, columns = (slice(side.start * self.stride, side.stop * self.stride) for side in square)
            part = view.ink[rows, columns]
            if smaller > 1:
                size = [max(1, round(side / smaller)) for side in part.shape]
                image = Image.fromarray(part).resize((size[1], size[0]), Image.Resampling.BILINEAR)
                part = np.asarray(image)
            upright, turned = (
                _sureness(Maps.of(self.computed(np.ascontiguousarray(one)), 1.0).baseline)
                for one in (part, part[::-1, ::-1])
            )
            gains.append(math.log(max(turned, 1e-6) / max(upright, 1e-6)))
            if gains[0] <= 0:
                return False
        return sum(gains) / len(gains) > math.log(SURER)


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


def is_narrow(lines: list[Line], width_px: int, height_px: int) -> bool:
    """Return whether an image is no page: a column of characters, or a line that lies on its side."""
    return height_px > STEEPEST * width_px and _usual_length(lines) <= SHORT_LINES


def _usual_height(lines: list[Line]) -> float:
    """Return the height of the lines that have most of the writing: the median over their length."""
    if not lines:
        return 0.0
    heights = np.array([line.above + line.below for line in lines])
    order = np.argsort(heights)
    reached = np.cumsum(np.array([line.length for line in lines])[order])
    return float(heights[order][np.searchsorted(reached, reached[-1] / 2)])


def _sureness(baseline: np.ndarray) -> float:
    """Return the share of the pixels of baselines, of a map of probabilities, that are almost certain."""
    return float((baseline > CERTAIN).sum()) / max(1, int((baseline > POSSIBLE).sum()))


def _densest(marked: np.ndarray, side: int) -> tuple[slice, slice]:
    """Return the rows and columns of the square of a map (H, W) in which the most is marked."""
    high, wide = min(side, marked.shape[0]), min(side, marked.shape[1])
    sums = np.pad(marked.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]
    top, left = (int(at) for at in np.unravel_index(int(inside.argmax()), inside.shape))
    return slice(top, top + high), slice(left, left + wide)


def _usual_length(lines: list[Line]) -> float:
    """Return the median length of lines in their heights; 0 if there are none."""
    if not lines:
        return 0.0
    return float(np.median([line.length / max(line.above + line.below, 1.0) for line in lines]))


def _total(lines: list[Line]) -> float:
    """Return the length of all lines in heights: how much writing was found."""
    return sum(line.length / max(line.above + line.below, 1.0) for line in lines)

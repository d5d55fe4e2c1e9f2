"""Pages to learn from: cut into squares at many sizes, and changed as scans and photographs differ."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from common.data.batching import Batch
from common.text.document import Line, Point
from ocr.segmentation.learning.drawing import draw_page
from ocr.segmentation.learning.network import STRIDE
from ocr.segmentation.learning.snapping import snap
from ocr.segmentation.maps import draw_maps
from ocr.signal import SignalConfig, ink_of

log = logging.getLogger(__name__)

LINE_PX = (11.0, 44.0)
"""range of the heights of lines, above and below the baseline together, that the network sees"""
DRAWN_SHARE = 0.25
"""share of the squares that are cut out of drawn pages"""
DRAWN_KEPT = 24
"""squares that are cut out of one drawn page"""


class KnownPage(NamedTuple):
    """A page whose lines are known: its grey levels (H, W) uint8, white 255."""

    name: str
    grey: np.ndarray
    lines: list[Line]


def page_ink(grey: np.ndarray) -> np.ndarray:
    """Return the ink (H, W) float32 of a page (H, W) uint8: paper 0, full ink 1."""
    return np.ascontiguousarray(ink_of(grey, SignalConfig()).T)


def known_page(name: str, grey: np.ndarray, lines: Sequence[Line]) -> KnownPage:
    """Return a page with its lines moved to the ink."""
    return KnownPage(name, grey, snap(lines, page_ink(grey)))


class SquareLoader:
    """Batches of squares cut out of pages, for one rank; `signals` is (B, N, N), `targets` (B, 5, N/2, N/2).

    Args:
        pages: the pages.
        size: N, the side of a square in pixels.
        batch: squares in a batch, over all ranks.
        count: squares in an epoch.
        seed: of all random numbers; None for whole pages without any change, one a batch.
        fonts: of the drawn pages.
        rank, ranks: which share of each batch is made here.
    """

    def __init__(
        self,
        pages: Sequence[KnownPage],
        size: int,
        batch: int,
        count: int,
        seed: int | None,
        fonts: Sequence[Path] = (),
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.pages, self.size, self.batch, self.count = pages, size, batch, count
        self.seed, self.fonts, self.rank, self.ranks = seed, fonts, rank, ranks
        self.shares = ranks
        self._inks: dict[int, np.ndarray] = {}

    def plan(self, epoch: int) -> list[np.ndarray]:
        """Return the numbers of the squares of each batch of an epoch."""
        if self.seed is None:
            return [np.array([index]) for index in range(len(self.pages))]
        return [np.arange(start, start + self.batch) for start in range(0, self.count, self.batch)]

    def batches(self, epoch: int = 0, start: int = 0) -> Iterator[Batch]:
        """Yield this rank's share of each batch of an epoch, from batch number `start` on."""
        for numbers in self.plan(epoch)[start:]:
            share = numbers[self.rank :: self.ranks].tolist()
            cut = [self._whole(index) if self.seed is None else self._square(index, epoch) for index in share]
            names = [name for name, _, _ in cut]
            inks = torch.from_numpy(np.stack([ink for _, ink, _ in cut])) if cut else torch.zeros(0, 0)
            maps = torch.from_numpy(np.stack([maps for _, _, maps in cut])) if cut else torch.zeros(0, 0)
            sizes = torch.full((len(cut),), inks.shape[-1])
            yield Batch(inks, sizes, maps, sizes, names, share, len(numbers), [])

    def _ink(self, index: int) -> np.ndarray:
        """Return the ink of a page (H, W), uint8 to keep it small."""
        if index not in self._inks:
            self._inks[index] = np.round(255 * page_ink(self.pages[index].grey)).astype(np.uint8)
        return self._inks[index]

    def _whole(self, index: int) -> tuple[str, np.ndarray, np.ndarray]:
        page, ink = self.pages[index], self._ink(index)
        height, width = (-(-side // 32) * 32 for side in ink.shape)
        whole = np.zeros((height, width), np.float32)
        whole[: ink.shape[0], : ink.shape[1]] = ink / np.float32(255)
        return page.name, whole, draw_maps(page.lines, (height // STRIDE, width // STRIDE), STRIDE).array

    def _square(self, number: int, epoch: int) -> tuple[str, np.ndarray, np.ndarray]:
        """Return a square: its name, its ink (N, N) and its maps (5, N/2, N/2)."""
        seed = self.seed or 0
        rng = np.random.default_rng((seed, epoch, number))
        if rng.random() < DRAWN_SHARE or not self.pages:
            drawn = draw_page(np.random.default_rng((seed, epoch, number // DRAWN_KEPT, 7)), self.fonts)
            name, lines = "a drawn page", drawn.lines
            ink = np.round(255 * page_ink(drawn.grey)).astype(np.uint8)
        else:
            index = int(rng.integers(len(self.pages)))
            name, lines, ink = self.pages[index].name, self.pages[index].lines, self._ink(index)
        ink, lines = cut_square(ink, lines, self.size, rng)
        maps = draw_maps(lines, (self.size // STRIDE, self.size // STRIDE), STRIDE)
        return name, vary(ink, rng), maps.array


def cut_square(
    ink: np.ndarray, lines: Sequence[Line], size: int, rng: np.random.Generator
) -> tuple[np.ndarray, list[Line]]:
    """Return a square (N, N) of a page at a random size, slightly turned, and the lines in its pixels.

    Args:
        ink: (H, W) uint8.
        lines: in pixels of the page.
        size: N.
        rng: source of all random numbers.
    """
    height, width = ink.shape
    heights = [line.above + line.below for line in lines]
    usual = float(np.median(heights)) if heights else 25.0
    low, high = (np.log(bound / usual) for bound in LINE_PX)
    scale = float(np.exp(np.clip(rng.normal(np.log(25.0 / usual), 0.4), low, high)))
    angle = np.deg2rad(rng.normal(0, 1.2) if rng.random() < 0.9 else rng.uniform(-8, 8))
    if lines and rng.random() < 0.85:  # around a line rather than on empty paper
        line = lines[int(rng.integers(len(lines)))]
        centre = np.array(line.at(line.length * rng.random()))
    else:
        centre = rng.uniform((0, 0), (width, height))
    centre = centre + rng.uniform(-0.3, 0.3, 2) * size / scale
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    x0 = centre[0] - (cos - sin) * size / 2
    y0 = centre[1] - (sin + cos) * size / 2
    image, across, along = Image.fromarray(ink), 1.0, 1.0
    if scale < 0.7:  # the transformation itself does not average
        smaller = max(1, round(width * scale)), max(1, round(height * scale))
        image = image.resize(smaller, Image.Resampling.BOX)
        across, along = image.width / width, image.height / height
    rows = (cos * across, -sin * across, x0 * across, sin * along, cos * along, y0 * along)
    square = image.transform((size, size), Image.Transform.AFFINE, rows, Image.Resampling.BILINEAR)
    back = np.linalg.inv(np.array([[cos, -sin], [sin, cos]]))
    moved = []
    for line in lines:
        points = (np.array(line.baseline) - (x0, y0)) @ back.T
        if points[:, 0].max() < -50 or points[:, 0].min() > size + 50:
            continue
        if points[:, 1].max() < -50 or points[:, 1].min() > size + 50:
            continue
        baseline = tuple(Point(float(x), float(y)) for x, y in points)
        above, below = line.above * scale, line.below * scale
        moved.append(replace(line, baseline=baseline, above=above, below=below, outline=()))
    return np.asarray(square), moved


def vary(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return ink (N, N) float32 in [0, 1] of `ink` uint8, paler or bolder, with shadows, blur and grain."""
    size = ink.shape[0]
    values = ink.astype(np.float32) / 255
    if rng.random() < 0.3:
        radius = rng.uniform(0.4, 1.4)
        image = Image.fromarray(np.round(255 * values).astype(np.uint8))
        small = max(8, round(size / (1 + radius)))
        image = image.resize((small, small), Image.Resampling.BOX)
        image = image.resize((size, size), Image.Resampling.BILINEAR)
        values = np.asarray(image, dtype=np.float32) / 255
    values = values ** np.float32(np.exp(rng.normal(0, 0.25))) * np.float32(rng.uniform(0.5, 1.1))
    if rng.random() < 0.4:
        coarse = rng.uniform(0, 1, (5, 5)).astype(np.float32)
        shadow = np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))
        values = values + np.float32(rng.uniform(0, 0.4)) * shadow
    if rng.random() < 0.5:
        values = values + rng.normal(0, rng.uniform(0, 0.1), values.shape).astype(np.float32)
    return np.clip(values, 0, 1)

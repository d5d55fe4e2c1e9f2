"""Drawn pages with lines whose places are known: columns, tables, headings, notes in the margin, forms.

They show what few transcribed pages do: many columns, sheets of figures, light type on a dark ground, scripts
that run from right to left.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from common.text.document import Line, Point
from ocr.drawing.texts import COMMON_WORDS
from ocr.segmentation.learning.snapping import ASCENT, DESCENT

PAGE_PX = (1000, 1400)
"""usual width and height"""
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
RIGHT_TO_LEFT = "אבגדהוזחטיכלמנסעפצקרשת"


class DrawnPage(NamedTuple):
    """A page: grey levels (H, W) uint8, white 255, and its lines."""

    grey: np.ndarray
    lines: list[Line]


class _Sheet:
    """A page that is being drawn."""

    def __init__(self, size: tuple[int, int], rng: np.random.Generator, fonts: Sequence[Path]) -> None:
        self.rng, self.fonts = rng, fonts
        self.image = Image.new("L", size, 255)
        self.pen = ImageDraw.Draw(self.image)
        self.lines: list[Line] = []
        self.ink, self.words = int(rng.integers(0, 110)), COMMON_WORDS.split()

    def font(self, size_px: float) -> Font:
        """Return a font at random; it has TrueType outlines unless the machine has none."""
        if not self.fonts:
            return ImageFont.load_default(size_px)
        return ImageFont.truetype(str(self.rng.choice(np.array(self.fonts, dtype=object))), round(size_px))

    def write(self, x: float, y: float, text: str, font: Font) -> None:
        """Draw a line whose baseline begins at (x, y)."""
        if not text.strip():
            return
        self.pen.text((x, y), text, fill=self.ink, font=font, anchor="ls")
        left, _, right, _ = self.pen.textbbox((x, y), text, font=font, anchor="ls")
        _, top, _, bottom = self.pen.textbbox((0, 0), "x", font=font, anchor="ls")
        tall = max(bottom - top, 3.0)
        if right - left >= 2:
            self.lines.append(Line((Point(left, y), Point(right, y)), ASCENT * tall, DESCENT * tall))

    def text(self, width: float, font: Font, script: str) -> str:
        """Return words that fill a line of `width` pixels."""
        words: list[str] = []
        while True:
            words.append(self.word(script))
            if self.pen.textlength(" ".join(words), font=font) > width:
                return " ".join(words[:-1])

    def word(self, script: str = "latin") -> str:
        """Return a word, a number, or a word of a script that is read from right to left."""
        if script == "hebrew":
            return "".join(self.rng.choice(list(RIGHT_TO_LEFT), int(self.rng.integers(2, 7))))
        if self.rng.random() < 0.1:
            return str(self.rng.integers(1, 3000))
        word = str(self.rng.choice(self.words))
        return word.capitalize() if self.rng.random() < 0.15 else word

    def block(self, left: float, top: float, right: float, bottom: float, size_px: float) -> None:
        """Fill a column with paragraphs."""
        rng = self.rng
        font, pitch = self.font(size_px), size_px * rng.uniform(1.05, 1.8)
        script = "hebrew" if rng.random() < 0.08 else "latin"
        justified, y = rng.random() < 0.6, top + size_px
        while y < bottom:
            indent = rng.uniform(0, 2) * size_px if rng.random() < 0.2 else 0.0
            width = right - left - indent
            text = self.text(width * (rng.uniform(0.2, 1) if rng.random() < 0.2 else 1), font, script)
            x = left + indent if script == "latin" else right - self.pen.textlength(text, font=font)
            if not justified and rng.random() < 0.1:
                x = left + rng.uniform(0, 0.5) * width
            self.write(x, y, text, font)
            y += pitch * (rng.uniform(1.3, 2.5) if rng.random() < 0.08 else 1)

    def table(self, left: float, top: float, right: float, bottom: float, size_px: float) -> None:
        """Fill a part of the page with rows of cells, with or without rules."""
        rng = self.rng
        font, pitch = self.font(size_px), size_px * rng.uniform(1.3, 2.2)
        edges = np.sort(np.concatenate([[left, right], rng.uniform(left, right, int(rng.integers(1, 6)))]))
        edges = edges[np.concatenate([[True], np.diff(edges) > 3 * size_px])]
        ruled, rows = rng.random() < 0.6, np.arange(top + pitch, bottom, pitch)
        if ruled:
            for x in edges:
                self.pen.line([(x, top), (x, bottom)], fill=self.ink, width=int(rng.integers(1, 3)))
        across = ruled and rng.random() < 0.6
        for y in rows:
            if across:
                self.pen.line([(left, y + 0.35 * pitch), (right, y + 0.35 * pitch)], fill=self.ink, width=1)
            for start, end in pairwise(edges):
                if rng.random() < 0.2:
                    continue
                number, room = rng.random() < 0.5, end - start - size_px
                words = "" if number else self.text(room * rng.uniform(0.3, 1), font, "latin")
                text = str(rng.integers(1, 99999)) if number else words
                length = self.pen.textlength(text, font=font)
                if length <= room:
                    x = end - length - 0.5 * size_px if number else start + 0.5 * size_px
                    self.write(x, y, text, font)


def draw_page(rng: np.random.Generator, fonts: Sequence[Path]) -> DrawnPage:
    """Return a page of one to five columns, with tables, headings and notes in the margin.

    Args:
        rng: source of all random numbers.
        fonts: files of fonts; none for the one that comes with Pillow.
    """
    width, height = (round(side * rng.uniform(0.8, 1.3)) for side in PAGE_PX)
    sheet = _Sheet((width, height), rng, fonts)
    margin = rng.uniform(0.04, 0.14) * width
    top, bottom = rng.uniform(0.03, 0.15) * height, height * rng.uniform(0.75, 0.97)
    size_px = rng.uniform(11, 30)
    if rng.random() < 0.6:
        font = sheet.font(size_px * rng.uniform(1.0, 3.0))
        heading = sheet.text((width - 2 * margin) * rng.uniform(0.2, 0.9), font, "latin")
        x = (width - sheet.pen.textlength(heading, font=font)) / 2 if rng.random() < 0.6 else margin
        sheet.write(x, top, heading, font)
        top += size_px * rng.uniform(1, 4)
    left, right = margin, width - margin
    if rng.random() < 0.25:  # notes beside the text
        note = rng.uniform(0.12, 0.2) * width
        sheet.block(left, top + rng.uniform(0, 0.3) * height, left + note, bottom, size_px * 0.7)
        left += note + rng.uniform(1, 3) * size_px
    columns = int(rng.choice([1, 1, 1, 2, 2, 2, 3, 4, 5]))
    gap = rng.uniform(1.0, 3.0) * size_px
    column = (right - left - gap * (columns - 1)) / columns
    size_px = min(size_px, max(9.0, column / 10))
    for number in range(columns):
        start = left + number * (column + gap)
        split = top + (bottom - top) * rng.uniform(0.2, 0.8)
        kind = rng.random()
        if kind < 0.25:
            sheet.table(start, top, start + column, split, size_px)
            sheet.block(start, split + 2 * size_px, start + column, bottom, size_px)
        elif kind < 0.35:
            sheet.table(start, top, start + column, bottom, size_px)
        else:
            sheet.block(start, top, start + column, bottom * rng.uniform(0.7, 1), size_px)
        if number and rng.random() < 0.3:
            sheet.pen.line([(start - gap / 2, top), (start - gap / 2, bottom)], fill=sheet.ink, width=1)
    if rng.random() < 0.5:
        font = sheet.font(size_px)
        sheet.write(width / 2, min(height - 5, bottom + 2.5 * size_px), str(rng.integers(1, 999)), font)
    return DrawnPage(_aged(sheet.image, rng), sheet.lines)


def _aged(image: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """Return a drawn page as a scan or a photograph shows it: grey paper, stains, shadows, grain."""
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.2)))
    grey: np.ndarray = np.asarray(image, dtype=np.float32)
    height, width = grey.shape
    coarse = rng.uniform(0, 1, (6, 5)).astype(np.float32)
    shadow = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    grey = grey * np.float32(rng.uniform(0.6, 1.0)) - np.float32(rng.uniform(0, 60)) * shadow
    grey += rng.normal(0, rng.uniform(0, 12), grey.shape).astype(np.float32)
    if rng.random() < 0.3:  # the edge of the book, or what lies around the sheet
        edge = int(rng.uniform(0.01, 0.06) * width)
        grey[:, :edge] = rng.uniform(0, 60)
    grey = np.clip(grey, 0, 255)
    if rng.random() < 0.05:
        grey = 255 - grey
    return grey.astype(np.uint8)

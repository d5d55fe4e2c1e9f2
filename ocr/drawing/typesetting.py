"""Type on a line: runs of letters in one font each, as ink with the place of each letter.

A line of a book is rarely one font at one size: numbers are small, titles slanted, names spaced, prices far
to the right. What all of them share is the line they stand on.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from common.text.direction import is_right_to_left, to_line
from ocr.drawing.fonts import Font, load_font, shows

SMALL = re.compile(r"[(\[*]?[0-9]+[)\]]?[.,;]?")
"""a number, with or without brackets: what is often set smaller than the words beside it"""
AT_THE_END = re.compile(r"[–—-]|(Fr\.|M\.)|[0-9]+\.?(,[0-9]+)?|\([0-9]+\)")
"""a word that may stand in a column of its own at the end of the line"""


class Run(NamedTuple):
    """Letters in one font."""

    text: str
    font: Path | None
    """font file; None: the font that comes with Pillow"""
    size: float = 1.0
    """size in parts of that of the line"""
    spacing: float = 0.0
    """blank after each letter, in sizes of the line"""
    gap: float = 0.0
    """blank before the run, in sizes of the line"""


class Typed(NamedTuple):
    """The ink of a line, and the start and end of the ink of each character that has any, in pixels."""

    mask: Image.Image
    characters: list[tuple[str, float, float]]


def set_type(
    runs: Sequence[Run], size_px: int, height_px: int, margins_px: tuple[float, float], down: float
) -> Typed:
    """Return the runs one after the other on a line.

    Args:
        runs: from left to right; a text with letters that are read from the right is one run.
        size_px: of letters of size 1.
        height_px: of the image.
        margins_px: blank before and after the ink.
        down: share of the free height that is above the letters.

    Raises:
        ValueError: the text is empty, or the fonts draw nothing for it.
    """
    fonts = [load_font(run.font, max(4, round(size_px * run.size))) for run in runs]
    pens = [0.0]
    for run, font in zip(runs, fonts, strict=True):
        pens.append(pens[-1] + run.gap * size_px + _length(run, font, size_px))
    boxes = [font.getbbox(run.text) for run, font in zip(runs, fonts, strict=True)]
    visible = [place for place, box in enumerate(boxes) if box[2] > box[0] and box[3] > box[1]]
    if not visible:
        text, font_path = "".join(run.text for run in runs), runs[0].font if runs else None
        raise ValueError(f"{text!r}: {font_path or 'the built-in font'} draws nothing for it; write letters")
    first, last = visible[0], visible[-1]
    left = pens[first] + runs[first].gap * size_px + boxes[first][0]
    shut = pens[last + 1] - _length(runs[last], fonts[last], size_px) + boxes[last][2]
    right = max(shut, pens[last + 1] if runs[last].spacing else shut)
    start = margins_px[0] - left
    mask = Image.new("L", (round(right - left + sum(margins_px)), height_px))
    extents = [_extent(font, box) for font, box in zip(fonts, boxes, strict=True)]
    ascents, descents = zip(*extents, strict=True)
    baseline = (height_px - max(ascents) - max(descents)) * down + max(ascents)
    characters: list[tuple[str, float, float]] = []
    for run, font, ascent, (before, _) in zip(runs, fonts, ascents, pairwise(pens), strict=True):
        pen = start + before + run.gap * size_px
        ink = Image.new("L", mask.size)
        for text, x in _strokes(run, font, pen, size_px):
            ImageDraw.Draw(ink).text((x, baseline - ascent), text, fill=255, font=font)
        mask.paste(255, mask=ink)
        characters += _inked(run, font, pen, size_px)
    return Typed(mask, characters)


def _extent(font: Font, box: tuple[float, float, float, float]) -> tuple[float, float]:
    """Return the height above and below the baseline."""
    return font.getmetrics() if isinstance(font, ImageFont.FreeTypeFont) else (box[3], 0)


def _length(run: Run, font: Font, size_px: int) -> float:
    """Return how far the pen moves to write the run, in pixels."""
    return font.getlength(run.text) + run.spacing * size_px * len(run.text)


def _strokes(run: Run, font: Font, pen: float, size_px: int) -> Iterator[tuple[str, float]]:
    """Yield what is drawn in one go, and where it begins: the whole text, or each of its spaced letters."""
    if run.spacing:
        for place, character in enumerate(run.text):
            yield character, _pen(run, font, pen, size_px, place)
    else:  # raqm orders and shapes letters itself
        yield run.text if features.check("raqm") else to_line(run.text, "rtl"), pen


def _pen(run: Run, font: Font, pen: float, size_px: int, place: int) -> float:
    """Return where the character at `place` begins, with kerning and spacing."""
    through = font.getlength(run.text[: place + 1]) - font.getlength(run.text[place])
    return pen + through + run.spacing * size_px * place


def _inked(run: Run, font: Font, pen: float, size_px: int) -> list[tuple[str, float, float]]:
    """Return each visible character with the start and end of its ink, if the pen begins at `pen`."""
    places = []
    for place, character in enumerate(run.text):
        if not character.isspace():
            start = _pen(run, font, pen, size_px, place)
            left, right = _edges(character, font)
            places.append((character, start + left, start + right))
    return places


def _edges(character: str, font: Font) -> tuple[float, float]:
    """Return the start and end of the ink of `character` (without ink: of its advance); the pen is at 0."""
    right, bottom = font.getbbox(character)[2:]  # of the advance, with or without ink
    width, height = 2 * round(right) + 2, 2 * round(bottom) + 2
    mask = Image.new("L", (2 * width, height))
    ImageDraw.Draw(mask).text((width / 2, 0), character, fill=255, font=font)
    ink = mask.getbbox()
    return (ink[0] - width / 2, ink[2] - width / 2) if ink else (0.0, font.getlength(character))


def in_several_types(
    text: str, font: Path | None, relatives: Sequence[Path], rng: np.random.Generator
) -> list[Run]:
    """Return `text` in runs: small numbers, words in another cut or spaced, and an end far to the right.

    Args:
        text: one line; with letters that are read from the right it stays one run.
        font: of most of it.
        relatives: other cuts of the family.
        rng: source of all random numbers.
    """
    if is_right_to_left(text) or len(text.split(" ")) < 2:
        return [Run(text, font)]
    words = text.split(" ")
    styles = [Run("", font)] * len(words)
    start, count = int(rng.integers(len(words))), int(rng.integers(1, 6))
    other = relatives[int(rng.integers(len(relatives)))] if relatives else None
    if other is not None and rng.random() < 0.5:
        styles[start : start + count] = [Run("", other)] * len(styles[start : start + count])
    elif rng.random() < 0.3:
        spaced = Run("", font, spacing=rng.uniform(0.06, 0.25))
        styles[start : start + count] = [spaced] * len(styles[start : start + count])
    if rng.random() < 0.5:
        size = rng.uniform(0.5, 0.95)
        styles = [
            style._replace(size=size) if SMALL.fullmatch(word) and place else style
            for place, (word, style) in enumerate(zip(words, styles, strict=True))
        ]
    if rng.random() < 0.4:
        for place in range(len(words) - 1, max(0, len(words) - 4), -1):
            if not AT_THE_END.fullmatch(words[place]):
                break
            if rng.random() < 0.7:
                styles[place] = styles[place]._replace(gap=float(np.exp(rng.uniform(np.log(0.3), np.log(8)))))
    return list(_joined(words, styles, font))


def _joined(words: Sequence[str], styles: Sequence[Run], font: Path | None) -> Iterator[Run]:
    """Yield runs of neighbouring words of one style, each but the last with the blank after it."""
    text, current = "", styles[0]
    for place, (word, style) in enumerate(zip(words, styles, strict=True)):
        able = style if style.font is None or shows(style.font, word) else style._replace(font=font)
        if place and (able != current or able.gap):
            yield current._replace(text=f"{text} ")
            text, current = word, able
        else:
            text, current = f"{text} {word}" if place else word, able
    yield current._replace(text=text)

"""A corpus of lines that are drawn with fonts: on old paper, on a screen, or scanned in black and white."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from common.files.aside import written_aside
from ocr.drawing.fonts import families, find_fonts, fonts_for
from ocr.drawing.paper import aged, askew, scanned, shown
from ocr.drawing.typesetting import Run, in_several_types, set_type

Look = Literal["paper", "screen", "scan"]

SCREEN_HEIGHTS_PX = 20, 65
"""range of heights of lines as on a screen; the second is excluded"""
SCAN_HEIGHTS_PX = 22, 65
"""range of heights of scanned lines; the second is excluded"""
DRAWN_FOR_SCANS_PX = 128
"""height at which a line is drawn before it is scanned"""
PLACES = "places.jsonl"


@dataclass(frozen=True)
class Styles:
    """Shares of the lines of a corpus that are drawn in a certain way."""

    clean: float = 0.0
    """as on a screen: straight, even, 20 to 64 px high"""
    scanned: float = 0.0
    """as a scan in black and white, 22 to 64 px high"""
    mixed: float = 0.0
    """in several types: small numbers, words in italics or spaced, prices far to the right"""


class PlacedLine(NamedTuple):
    """The image of a line, and the start and end of the ink of each character, in pixels.

    Spaces have no ink and are left out. The letters may be slanted by one or two pixels around these
    positions. The positions are valid for writing from left to right.
    """

    image: Image.Image
    characters: list[tuple[str, float, float]]


def draw_line(
    text: str, font_path: Path | None, rng: np.random.Generator, height_px: int = 64
) -> Image.Image:
    """Return `text` in one font as a line of a page, see `draw_placed_line`."""
    return draw_placed_line([Run(text, font_path)], rng, height_px).image


def draw_placed_line(
    runs: Sequence[Run], rng: np.random.Generator, height_px: int = 64, look: Look = "paper"
) -> PlacedLine:
    """Return `runs` as a line of a page: grey paper with grain and stains, faded ink, slightly rotated.

    Args:
        runs: the text in its fonts, from left to right.
        rng: source of all random numbers.
        height_px: height of the image.
        look: "screen" for an even and straight line, "scan" for one in black and white.

    Raises:
        ValueError: the text is empty, or the fonts draw nothing for it.
    """
    drawn_px = DRAWN_FOR_SCANS_PX if look == "scan" else height_px
    largest = 0.66 if len(runs) == 1 else 0.75  # then accents may be cut off, as in lines cut out of pages
    size_px = round(drawn_px * rng.uniform(0.5, largest))
    first, last = (rng.uniform(0.1, 0.5, 2) * drawn_px).tolist()
    mask, characters = set_type(runs, size_px, drawn_px, (first, last), down=rng.uniform(0.3, 0.7))
    ink = np.asarray(mask if look == "screen" else askew(mask, rng), dtype=np.float32) / 255  # (H, W)
    if look == "scan":
        factor = height_px / drawn_px
        placed = [(character, start * factor, end * factor) for character, start, end in characters]
        return PlacedLine(scanned(ink, rng, height_px), placed)
    return PlacedLine(shown(ink, rng) if look == "screen" else aged(ink, rng), characters)


def write_drawn_lines(
    folder: Path,
    texts: Sequence[str],
    count: int,
    seed: int,
    font_folder: Path | None = None,
    styles: Styles | None = None,
) -> None:
    """Write `count` drawn lines into `folder`, as 00000.png with 00000.gt.txt and so on; the texts repeat.

    The manifest places.jsonl has the start and end of the ink of each word and character, in pixels.

    Raises:
        ValueError: there are no texts, `folder` has files that do not belong to the corpus, or no font has
            all characters of a text.
    """
    if not texts or count < 1:
        raise ValueError(
            f"{folder}: {len(texts)} texts and {count} lines were asked for; one or more of both are wanted"
        )
    names = [f"{number:05d}" for number in range(count)]
    wanted = {name + end for name in names for end in (".png", ".gt.txt")} | {PLACES}
    folder.mkdir(parents=True, exist_ok=True)
    others = sorted(file.name for file in folder.iterdir() if file.name not in wanted)
    if others:
        raise ValueError(
            f"{folder}: already holds {others[0]}, which is none of the drawn lines; name a new folder"
        )
    styles, rng, found = styles or Styles(), np.random.default_rng(seed), find_fonts(font_folder)
    fonts, relatives = [fonts_for(text, found) for text in texts[:count]], families(found)
    with written_aside(folder / PLACES) as manifest:
        for number, name in enumerate(tqdm(names, desc="drawing", unit=" lines", disable=None)):
            text, able = texts[number % len(texts)], fonts[number % len(texts)]
            look, height_px = _look(styles, rng)
            font = able[rng.integers(len(able))]
            runs = [Run(text, font)]
            if styles.mixed and rng.random() < styles.mixed:
                runs = in_several_types(text, font, relatives[font] if font else [], rng)
            line = draw_placed_line(runs, rng, height_px, look)
            line.image.save(folder / f"{name}.png")
            (folder / f"{name}.gt.txt").write_text(f"{text}\n", encoding="utf-8")
            manifest.write(_described(f"{name}.png", text, line.characters))


def _look(styles: Styles, rng: np.random.Generator) -> tuple[Look, int]:
    """Return how the next line looks, and its height in pixels."""
    drawn = rng.random()
    if drawn < styles.clean:
        return "screen", int(rng.integers(*SCREEN_HEIGHTS_PX))
    if drawn < styles.clean + styles.scanned:
        return "scan", int(rng.integers(*SCAN_HEIGHTS_PX))
    return "paper", 64


def _described(image: str, text: str, characters: Sequence[tuple[str, float, float]]) -> bytes:
    """Return a line of the manifest; a word extends over its characters."""
    placed = [(character, round(start, 2), round(end, 2)) for character, start, end in characters]
    words, remaining = [], iter(placed)
    for word in text.split():
        of_word = [next(remaining) for _ in word]
        words.append((word, min(start for _, start, _ in of_word), max(end for _, _, end in of_word)))
    fields = {"image": image, "text": text, "words": words, "characters": placed}
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"

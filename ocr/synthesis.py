"""A synthetic corpus of lines that are drawn with fonts and aged like paper; it can be made on any machine.

python -m ocr.synthesis lines FOLDER --count 2000 --seed 1
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, features
from tqdm import tqdm

from common.command_line.flag import Positional
from common.command_line.parser import choose, parse
from common.files.aside import written_aside
from common.files.plain_text import read_lines
from common.text.direction import to_line

FONT_FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
    "/System/Library/Fonts",
    "/Library/Fonts",
    "~/Library/Fonts",
    "C:/Windows/Fonts",
)
FONTS = 24
"""largest number of fonts of the machine that are used if no folder of fonts is named"""
SCREEN_HEIGHTS_PX = 20, 65
"""range of heights of lines as on a screen; the second is excluded"""
PLACES = "places.jsonl"
NO_GLYPH = "\U0010ffff"
"""never a character: a font draws its sign for missing characters"""

COMMON_WORDS = """
a about after again air all always an and answer any are around as ask at away back be because been
before began below best between big book both boy but by call came can change city close cold come could
country cross day did different do does down each earth eat end even every example eye face far father
feet few find first five fly follow food for form found four from gave get girl give go good great group
grow had half hand hard has have head hear help her here high him his home horse house how hundred idea
if important in into it its joke journey judge just keep kind king knew know land large last late lazy
learn leave left less letter life light like line list little live long look low made make man many map
mark me mean men might mile more morning most mother mountain move much music must name near need never
new next night no north note nothing now number of off often old on once one only open or order other our
out over own page paper part people piece place plain plant play point problem pull put quality queen
question quick quiet quite rain ran reach read real red rest right river rock room rule run said same saw
say sea second see seem sentence set several she ship short should show side simple six size sleep slow
small snow so some song soon sound south spell stand star start state stay step still stop story street
strong study such sun sure table take talk tax tell ten than that the their them then there these they
thing think this those thought three through time to today together too took top toward town travel tree
true try turn two under unit until up upon us use usual very voice vowel walk want war warm was watch
water way we week well went were west what wheel when where which while white who why wind wish with
without wonder wood word work world would write year yellow yes yet you young zebra zero zone
"""


def find_fonts(folder: Path | None = None) -> list[Path]:
    """Return the font files in `folder`, sorted, or at most FONTS of the fonts of this machine.

    Raises:
        ValueError: `folder` has no fonts.
    """
    found: set[Path] = set()
    for place in FONT_FOLDERS if folder is None else (folder,):
        files = Path(place).expanduser().rglob("*")
        found.update(file for file in files if file.suffix.lower() in (".ttf", ".otf", ".ttc"))
    fonts = sorted(found)
    if folder is not None:
        if not fonts:
            raise ValueError(f"{folder}: no font in it (.ttf, .otf, .ttc); name a folder of fonts")
        return fonts
    return fonts[:: -(-len(fonts) // FONTS)] if fonts else []


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
    """Return the image that `draw_placed_line` draws."""
    return draw_placed_line(text, font_path, rng, height_px).image


def draw_placed_line(
    text: str, font_path: Path | None, rng: np.random.Generator, height_px: int = 64, clean: bool = False
) -> PlacedLine:
    """Return `text` as a line of a page: grey paper with grain and stains, faded ink, slightly rotated.

    Args:
        text: one line.
        font_path: font file, or None for the font that comes with Pillow.
        rng: source of all random numbers.
        height_px: height of the image.
        clean: draw the line as on a screen instead, even and straight.

    Raises:
        ValueError: the text is empty, or the font draws nothing for it.
    """
    font = _font(font_path, round(height_px * rng.uniform(0.5, 0.66)))
    left, top, right, bottom = font.getbbox(text)
    if right <= left or bottom <= top:
        raise ValueError(f"{text!r}: {font_path or 'the built-in font'} draws nothing for it; write letters")
    margins = rng.uniform(0.1, 0.5, 2) * height_px
    width_px = round(right - left + margins.sum())
    mask = Image.new("L", (width_px, height_px))
    ascent, descent = font.getmetrics() if isinstance(font, ImageFont.FreeTypeFont) else (bottom, 0)
    down = (height_px - ascent - descent) * rng.uniform(0.3, 0.7)
    start = margins[0] - left
    shown = text if features.check("raqm") else to_line(text, "rtl")  # raqm orders and shapes letters itself
    ImageDraw.Draw(mask).text((start, down), shown, fill=255, font=font)
    ink = np.asarray(mask if clean else _askew(mask, rng), dtype=np.float32) / 255  # (H, W)
    return PlacedLine(_shown(ink, rng) if clean else _aged(ink, rng), _inked(text, font, start))


def _inked(
    text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, start: float
) -> list[tuple[str, float, float]]:
    """Return each visible character with the start and end of its ink, if the pen begins at `start`."""
    places = []
    for place, character in enumerate(text):
        if not character.isspace():
            pen = start + font.getlength(text[: place + 1]) - font.getlength(character)  # with kerning
            left, right = _edges(character, font)
            places.append((character, pen + left, pen + right))
    return places


def _edges(character: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> tuple[float, float]:
    """Return the start and end of the ink of `character` (without ink: of its advance); the pen is at 0."""
    right, bottom = font.getbbox(character)[2:]  # of the advance, with or without ink
    width, height = 2 * round(right) + 2, 2 * round(bottom) + 2
    mask = Image.new("L", (2 * width, height))
    ImageDraw.Draw(mask).text((width / 2, 0), character, fill=255, font=font)
    ink = mask.getbbox()
    return (ink[0] - width / 2, ink[2] - width / 2) if ink else (0.0, font.getlength(character))


def _askew(mask: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return `mask` with a baseline that rises or falls by a pixel or two, and slightly slanted letters."""
    width, height = mask.size
    rise, slant = rng.uniform(-0.03, 0.03) * height / width, rng.normal(0, 0.04)
    matrix = (1, slant, -slant * height / 2, rise, 1, -rise * width / 2)
    mask = mask.transform(mask.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    return mask.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.9) * height / 64))


def _aged(ink: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Return a grey image of `ink` (H, W) in [0, 1] on old paper."""
    height, width = ink.shape
    paper = rng.uniform(0.72, 1) + 0.03 * _surface(rng, height, width, cell=2 * height)
    stains = np.clip(_surface(rng, height, width, cell=height / 2) - 1.2, 0, 1) * rng.uniform(0, 0.15)
    strength = rng.uniform(0.6, 1) + 0.08 * _surface(rng, height, width, cell=height)
    grey = (paper - stains) * (1 - np.clip(strength, 0.3, 1) * ink)
    grey += rng.normal(0, rng.uniform(0.005, 0.04), ink.shape)
    return Image.fromarray(np.round(255 * np.clip(grey, 0, 1)).astype(np.uint8))


def _shown(ink: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Return a grey image of `ink` (H, W) in [0, 1] on a screen."""
    ground, strength = 1 - 0.3 * rng.random() ** 4, 1 - 0.6 * rng.random() ** 3
    return Image.fromarray(np.round(255 * ground * (1 - strength * ink)).astype(np.uint8))


def _surface(rng: np.random.Generator, height: int, width: int, cell: float) -> np.ndarray:
    """Return smooth noise (H, W) of about unit variance that changes over `cell` px."""
    knots = rng.standard_normal((round(height / cell) + 2, round(width / cell) + 2)).astype(np.float32)
    return np.asarray(Image.fromarray(knots).resize((width, height), Image.Resampling.BICUBIC))


@lru_cache(maxsize=256)
def _font(path: Path | None, size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px) if path is None else ImageFont.truetype(str(path), size_px)


@lru_cache(maxsize=100_000)
def _shows(path: Path | None, character: str) -> bool:
    """Return whether the font has a glyph for `character`."""
    if character.isspace():
        return True
    try:
        font = _font(path, 24)
        return bytes(font.getmask(character)) != bytes(font.getmask(NO_GLYPH))
    except (OSError, UnicodeEncodeError):  # a font of one size; or Pillow's own, which is Latin-1
        return False


def _texts(
    words: Sequence[str], count: int, rng: np.random.Generator, letters: tuple[int, int], figures: float
) -> Iterator[str]:
    """Yield `count` texts of consecutive `words`; `letters` are the shortest and longest length, roughly.

    A share of `figures` of the words is replaced by numbers, dates, prices and the like.
    """
    for _ in range(count):
        start, wanted = int(rng.integers(len(words))), int(rng.integers(*letters))
        text = ""
        for word in words[start : start + max(4, wanted // 4)]:
            if len(text) >= wanted:
                break
            text += f" {_figure(rng) if figures and rng.random() < figures else word}"
        yield text.strip()


def _figure(rng: np.random.Generator) -> str:
    """Return a random number, date, price or the like, as in letters, bills and catalogues."""
    number, part, year = int(10 ** rng.uniform(0, 5)), int(rng.integers(100)), int(rng.integers(1600, 2030))
    day, month = int(rng.integers(1, 29)), int(rng.integers(1, 13))
    forms = [
        str(number), str(year), f"({number})", f"[{number}]", f"{number}.", f"{number},", f"{number};",
        f"{day}.{month}.{year}", f"{year}-{month:02d}-{day:02d}", f"{day}/{month}/{year}",
        f"{day}:{part % 60:02d}", f"{number},{part:02d}", f"{number}.{part:02d}",
        f"{number // 100:,}.{part:02d}", f"{part}%", f"{part} %", f"${number}.{part:02d}", f"£{number}",
        f"{number},{part:02d} €", f"№ {number}", f"No. {number}", f"Nr. {number}", f"§ {part}",
        f"S. {number}", f"p. {number}-{number + part}", f"+{number} {part}{year}", f"#{number}", f"{part}°",
        f"{number} x {part}", f"{number}/{part}", f"{part}a", f"{part}th", f"*{number}",
        f"{year}–{year % 100}", f"& {number}", f"info{part}@example.org", f"www.example.com/{part}",
        f"{part} = {number}", f"“{number}”", f"„{part}“", f"'{part}", f"~{number}", f"<{part}>",
        f"a_{part}", f"{part}+{number}",
    ]  # fmt: skip
    return forms[rng.integers(len(forms))]


def write_drawn_lines(
    folder: Path,
    texts: Sequence[str],
    count: int,
    seed: int,
    font_folder: Path | None = None,
    clean: float = 0.0,
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
    rng, found = np.random.default_rng(seed), find_fonts(font_folder)
    fonts = [_fonts_for(text, found) for text in texts[:count]]
    with written_aside(folder / PLACES) as manifest:
        for number, name in enumerate(tqdm(names, desc="drawing", unit=" lines", disable=None)):
            text, able = texts[number % len(texts)], fonts[number % len(texts)]
            on_screen = rng.random() < clean
            height_px = int(rng.integers(*SCREEN_HEIGHTS_PX)) if on_screen else 64
            line = draw_placed_line(text, able[rng.integers(len(able))], rng, height_px, on_screen)
            line.image.save(folder / f"{name}.png")
            (folder / f"{name}.gt.txt").write_text(f"{text}\n", encoding="utf-8")
            manifest.write(_described(f"{name}.png", text, line.characters))


def _described(image: str, text: str, characters: Sequence[tuple[str, float, float]]) -> bytes:
    """Return a line of the manifest; a word extends over its characters."""
    placed = [(character, round(start, 2), round(end, 2)) for character, start, end in characters]
    words, remaining = [], iter(placed)
    for word in text.split():
        of_word = [next(remaining) for _ in word]
        words.append((word, min(start for _, start, _ in of_word), max(end for _, _, end in of_word)))
    fields = {"image": image, "text": text, "words": words, "characters": placed}
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"


def _fonts_for(text: str, fonts: Sequence[Path]) -> list[Path | None]:
    """Return those of `fonts` that have all characters of `text`, or None (the built-in font) if none has."""
    able = [font for font in fonts if all(_shows(font, character) for character in text)]
    if not able and not all(_shows(None, character) for character in text):
        raise ValueError(
            f"{text!r}: no font here has all its characters; install one that has or leave the text out"
        )
    return [*able] or [None]


@dataclass(frozen=True)
class Draw:
    """Draw short lines of text: FOLDER/00000.png, FOLDER/00000.gt.txt and so on."""

    folder: Positional[Path]
    """folder to write into; it is created if it does not exist"""
    count: int = 2000
    """number of lines"""
    seed: int = 1
    """seed of all random numbers: texts, fonts, paper"""
    text: Path | None = None
    """UTF-8 file (plain, .gz, .xz, .bz2) from which consecutive words are taken; else common English words"""
    letters: str = ""
    """generate random words of these letters instead"""
    length: tuple[int, int] = (10, 20)
    """shortest and longest text in characters, roughly"""
    figures: float = 0.0
    """share of the words that are replaced by numbers, dates, prices and the like"""
    font_folder: Path | None = None
    """folder of fonts; without it, at most 24 fonts of this machine are used"""
    clean: float = 0.0
    """share of the lines that are drawn as on a screen: straight, even, 20 to 64 px high"""


def draw(command: Draw) -> None:
    """Write the corpus that `command` describes.

    Raises:
        ValueError: the command is inconsistent, a text cannot be read or has no words, or the corpus cannot
            be written (see `write_drawn_lines`).
    """
    rng = np.random.default_rng((command.seed, 1))
    if command.text and command.letters:
        raise ValueError(f"{command.text}: text and letters were both given; one of them is wanted")
    if command.text:
        words = _read_words(command.text)
    elif command.letters:
        letters = sorted(set(command.letters) - {" "})
        words = ["".join(rng.choice(letters, size)) for size in rng.integers(2, 8, 4 * command.count)]
    else:
        words = [str(word) for word in rng.choice(COMMON_WORDS.split(), 4 * command.count)]
    if not 0 < command.length[0] < command.length[1]:
        raise ValueError(f"length {command.length}: a shortest and a longest text were wanted, as in 10 20")
    texts = list(_texts(words, command.count, rng, command.length, command.figures))
    write_drawn_lines(command.folder, texts, command.count, command.seed, command.font_folder, command.clean)


def _read_words(path: Path) -> list[str]:
    words = " ".join(read_lines(path)).split()
    if not words:
        raise ValueError(f"{path}: has no words; a text of some was wanted")
    return words


def main() -> None:
    """Run the command `lines FOLDER` with its flags."""
    prog = "python -m ocr.synthesis"
    verb, arguments = choose({"lines": "Draw short lines of text."}, sys.argv[1:], prog)
    command = parse(Draw, arguments, f"{prog} {verb}")
    try:
        draw(command)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

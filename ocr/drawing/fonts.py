"""The fonts of a folder or of this machine, and which characters each of them shows."""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

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
NO_GLYPH = "\U0010ffff"
"""never a character: a font draws its sign for missing characters"""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


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


def fonts_for(text: str, fonts: Sequence[Path]) -> list[Path | None]:
    """Return those of `fonts` that have all characters of `text`, or None (the built-in font) if none has.

    Raises:
        ValueError: the built-in font has not all of them either.
    """
    able = [font for font in fonts if shows(font, text)]
    if not able and not shows(None, text):
        raise ValueError(
            f"{text!r}: no font here has all its characters; install one that has or leave the text out"
        )
    return [*able] or [None]


def shows(path: Path | None, text: str) -> bool:
    """Return whether the font has a glyph for each character of `text`."""
    return all(_shows(path, character) for character in text)


@lru_cache(maxsize=100_000)
def _shows(path: Path | None, character: str) -> bool:
    if character.isspace():
        return True
    try:
        font = load_font(path, 24)
        return bytes(font.getmask(character)) != bytes(font.getmask(NO_GLYPH))
    except (OSError, UnicodeEncodeError):  # a font of one size; or Pillow's own, which is Latin-1
        return False


@lru_cache(maxsize=256)
def load_font(path: Path | None, size_px: int) -> Font:
    """Return the font of a file, or the one that comes with Pillow, at the size."""
    return ImageFont.load_default(size_px) if path is None else ImageFont.truetype(str(path), size_px)


def families(fonts: Sequence[Path]) -> dict[Path, list[Path]]:
    """Return for each font the others of its family, which are in its folder and named alike up to a hyphen.

    Fonts are named FAMILY-CUT.ttf as a rule: a text in one cut has words in another, such as italics.
    """
    named: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for font in fonts:
        named[font.parent, font.stem.partition("-")[0]].append(font)
    return {
        font: [other for other in family if other != font] for family in named.values() for font in family
    }

"""A synthetic corpus of lines that are drawn with fonts and aged like paper; it can be made on any machine.

python -m ocr.synthesis lines FOLDER --count 2000 --seed 1
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.command_line.flag import Positional
from common.command_line.parser import choose, parse
from common.files.plain_text import read_lines
from ocr.drawing.lines import Styles, write_drawn_lines
from ocr.drawing.texts import COMMON_WORDS, Mixture, draw_texts


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
    notes: float = 0.0
    """share of the words that are replaced by references and abbreviations, as in footnotes"""
    entries: float = 0.0
    """share of the lines that are entries of a catalogue, such as: 52. Am See (48) 350"""
    font_folder: Path | None = None
    """folder of fonts; without it, at most 24 fonts of this machine are used"""
    mixed: float = 0.0
    """share of the lines that are set in several types: small numbers, italics, spaced words, columns"""
    clean: float = 0.0
    """share of the lines that are drawn as on a screen: straight, even, 20 to 64 px high"""
    scanned: float = 0.0
    """share of the lines that are scanned in black and white, 22 to 64 px high"""

    def __post_init__(self) -> None:
        for names in (("figures", "notes"), ("clean", "scanned"), ("mixed",), ("entries",)):
            shares = [getattr(self, name) for name in names]
            if min(shares) < 0 or sum(shares) > 1:
                given = " and ".join(f"--{name} {share}" for name, share in zip(names, shares, strict=True))
                raise ValueError(f"{given}: shares are from 0 to 1, also together")


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
    mixture = Mixture(command.length, command.figures, command.entries, command.notes)
    texts = list(draw_texts(words, command.count, rng, mixture))
    styles = Styles(command.clean, command.scanned, command.mixed)
    write_drawn_lines(command.folder, texts, command.count, command.seed, command.font_folder, styles)


def _read_words(path: Path) -> list[str]:
    words = " ".join(read_lines(path)).split()
    if not words:
        raise ValueError(f"{path}: has no words; a text of some was wanted")
    return words


def main() -> None:
    """Run the command `lines FOLDER` with its flags."""
    prog = "python -m ocr.synthesis"
    verb, arguments = choose({"lines": "Draw short lines of text."}, sys.argv[1:], prog)
    try:
        draw(parse(Draw, arguments, f"{prog} {verb}"))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

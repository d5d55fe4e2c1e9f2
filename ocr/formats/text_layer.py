"""The text that a page of a PDF has itself, with its places, by PDFium.

characters in the order of the file  ->  lines: PDFium ends them, and a wide gap does  ->  regions
"""

import ctypes
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from common.text.direction import is_right_to_left
from common.text.document import Document, Line, Page, Passage, Point, Region
from common.text.transcript import Character, Transcript
from ocr.formats.pdf_pages import PDFIUM, Matrix, Shown, opened_page
from ocr.formats.xml.geometry import around

WIDEST_GAP = 2.5
"""a line ends at a wider gap between two characters, in font sizes"""
FARTHEST = 2.5
"""a line whose baseline is more than this below the last one, in heights, begins another region"""
LEAST_ABOVE, LEAST_BELOW = 0.7, 0.2
"""how far a line reaches from its baseline at least, in font sizes"""
HYPHEN, UNKNOWN = "\x02", "\ufffd"
"""what PDFium gives for a hyphen at the end of a line, and what stands for a character without a code"""


class Sign(NamedTuple):
    """A character of a page, in pixels of the page as it is viewed.

    text: one character.
    origin: (2,) where it stands on its baseline.
    box: (4, 2) its corners; none of a character that PDFium has added, such as a space.
    along: (2,) the direction of its baseline.
    size: of its font.
    """

    text: str
    origin: np.ndarray
    box: np.ndarray | None
    along: np.ndarray
    size: float


class Row(NamedTuple):
    """A line of a page, and its text."""

    line: Line
    transcript: Transcript


def read_layer(file: Path | BinaryIO, page: int, name: str) -> Document | None:
    """Return the text that a page has itself, None if it has none.

    The order is that of the file, and the confidence of each character is 1, since none is known. Hyphens
    stay where they are. U+FFFD stands for characters whose text the PDF does not say.

    Args:
        file: the PDF.
        page: the number of the page, counted from 0.
        name: the name of the page for messages.

    Raises:
        ValueError: the PDF is encrypted or damaged, or has no such page.
    """
    with PDFIUM, opened_page(file, page, name) as shown:
        rows = [_row(signs, name) for signs in _lines(_signs(shown))]
        width, height = shown.width_px, shown.height_px
    rows = [row for row in rows if _is_on(row.line, width, height)]
    if not any(character not in (" ", UNKNOWN) for row in rows for character in row.transcript.text):
        return None
    regions, placed = list[Region](), list[Passage]()
    for number, members in enumerate(_regions(rows), 1):
        region = f"r{number}"
        regions.append(Region(region, around([row.line for row in members])))
        for row in members:
            placed.append(Passage(row.transcript, row.line, False, region, f"l{len(placed) + 1}"))
    stored = name if isinstance(file, Path) else ""
    return Document(name, tuple(placed), "px", Page(width, height, tuple(regions), stored, shown.dpi, True))


def painted_lines(file: Path | BinaryIO, page: int, name: str) -> list[Line]:
    """Return the lines of the text that a page shows as text, not as a picture of it.

    Invisible text is none of it, nor are characters whose text the PDF does not say. Arguments and errors are
    those of `read_layer`.
    """
    with PDFIUM, opened_page(file, page, name) as shown:
        signs = (one for one in _signs(shown, painted=True) if one is None or one.text != UNKNOWN)
        return [_row(line, name).line for line in _lines(signs)]


def _signs(shown: Shown, painted: bool = False) -> Iterator[Sign | None]:
    """Yield the characters of a page in the order of the file, and None where a line ends.

    Args:
        shown: the page.
        painted: leave out characters that are invisible, and the spaces that PDFium has added.
    """
    from pypdfium2 import raw

    text = shown.page.get_textpage()
    to_pixels = _inverse(shown.matrix)
    codes = [raw.FPDFText_GetUnicode(text, at) for at in range(text.count_chars())]
    for at, code in enumerate(codes):
        following = codes[at + 1] if at + 1 < len(codes) else 0
        if at and _is_pair(codes[at - 1], code):
            continue  # said with the first half
        paired = 0x10000 + ((code - 0xD800) << 10) + following - 0xDC00
        character = _written(
            paired if _is_pair(code, following) else code, raw.FPDFText_HasUnicodeMapError(text, at) == 1
        )
        if character in "\r\n":
            yield None
            continue
        if painted and _is_invisible(text, at):
            continue
        x, y = ctypes.c_double(), ctypes.c_double()
        raw.FPDFText_GetCharOrigin(text, at, x, y)
        origin = _moved([(x.value, y.value)], to_pixels)[0]
        matrix = raw.FS_MATRIX()
        raw.FPDFText_GetMatrix(text, at, matrix)
        along, across = _moved([(matrix.a, matrix.b), (matrix.c, matrix.d)], (*to_pixels[:4], 0.0, 0.0))
        size = raw.FPDFText_GetFontSize(text, at) * float(np.hypot(*across))
        box = None
        if raw.FPDFText_IsGenerated(text, at) != 1:
            left, bottom, right, top = text.get_charbox(at)
            box = _moved([(left, bottom), (right, bottom), (right, top), (left, top)], to_pixels)
        yield Sign(character, origin, box, along / max(float(np.hypot(*along)), 1e-9), size)


def _is_invisible(text: Any, at: int) -> bool:
    """Return whether a character of a text page is not painted, or none of the file."""
    from pypdfium2 import raw

    shown = raw.FPDFText_GetTextObject(text, at)
    return not shown or raw.FPDFTextObj_GetTextRenderMode(shown) == raw.FPDF_TEXTRENDERMODE_INVISIBLE


def _is_pair(high: int, low: int) -> bool:
    """Return whether two codes are the halves of one character in UTF-16."""
    return 0xD800 <= high < 0xDC00 <= low < 0xE000


def _written(code: int, unknown: bool) -> str:
    """Return the character of a code of PDFium."""
    if unknown or code == 0 or 0xD800 <= code < 0xE000 or code in (0xFFFE, 0xFFFF):
        return UNKNOWN
    character = chr(code)
    if character == HYPHEN:
        return "-"
    return " " if character.isspace() and character not in "\r\n" else character


def _lines(signs: Iterator[Sign | None]) -> Iterator[list[Sign]]:
    """Yield the characters of each line, without spaces at its ends; a line without any is left out."""
    for ends, group in groupby(signs, key=lambda one: one is None):
        if ends:
            continue
        line = list[Sign]()
        last: Sign | None = None
        for sign in group:
            assert sign is not None, "the ends of lines are no members of them"
            if sign.box is not None and sign.text != " ":
                if last is not None and _gap(last, sign) > WIDEST_GAP * max(last.size, sign.size):
                    yield _trimmed(line)
                    line = []
                last = sign
            line.append(sign)
        if line := _trimmed(line):
            yield line


def _trimmed(line: list[Sign]) -> list[Sign]:
    """Return a line from its first character to its last one that PDFium has not added and is no space."""
    seen = [at for at, sign in enumerate(line) if sign.box is not None and sign.text != " "]
    return line[seen[0] : seen[-1] + 1] if seen else []


def _gap(one: Sign, other: Sign) -> float:
    """Return how far two characters are apart along the baseline, in pixels."""
    assert one.box is not None and other.box is not None, "both stand on the page"
    first, second = one.box @ one.along, other.box @ one.along
    return float(max(second.min() - first.max(), first.min() - second.max()))


def _row(line: Sequence[Sign], name: str) -> Row:
    """Return a line with its place."""
    text = "".join(sign.text for sign in line)
    along = line[0].along
    seen = [sign for sign in line if sign.box is not None]
    if ((seen[-1].origin - seen[0].origin) @ along < 0) != is_right_to_left(text) and len(seen) > 1:
        along = -along  # the font is mirrored
    up = np.array([along[1], -along[0]])  # y grows downwards
    boxes = [sign.box for sign in seen if sign.box is not None]
    corners = np.concatenate(boxes)
    level = float(np.median([sign.origin @ up for sign in seen]))
    size = float(np.median([sign.size for sign in seen]))
    start, end = float((corners @ along).min()), float((corners @ along).max())
    end = max(end, start + 1.0)
    above = max(float((corners @ up).max()) - level, LEAST_ABOVE * size, 1.0)
    below = max(level - float((corners @ up).min()), LEAST_BELOW * size)
    ends = (Point(*(along * at + up * level).tolist()) for at in (start, end))
    spans = [None if sign.box is None else sign.box @ along - start for sign in line]
    known = [None if span is None else (float(span.min()), float(span.max())) for span in spans]
    characters = [
        Character(sign.text, *(span or _between(known, at)), 1.0)
        for at, (sign, span) in enumerate(zip(line, known, strict=True))
    ]
    return Row(Line(tuple(ends), above, below), Transcript.from_characters(characters, name, "px"))


def _between(spans: Sequence[tuple[float, float] | None], at: int) -> tuple[float, float]:
    """Return the place of a character that PDFium has added: between the ones around it."""
    before = next(span for span in reversed(spans[:at]) if span is not None)
    after = next(span for span in spans[at:] if span is not None)
    inner = sorted([*before, *after])[1:3]
    return inner[0], inner[1]


def _regions(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield lines that follow one another downwards, each below a part of the one before."""
    region = list(rows[:1])
    for one, other in pairwise(rows):
        if not _follows(one.line, other.line):
            yield region
            region = []
        region.append(other)
    if region:
        yield region


def _follows(one: Line, other: Line) -> bool:
    """Return whether a line stands next below another one, as that one is read."""
    first, second = np.array(one.baseline), np.array(other.baseline)
    along = (first[-1] - first[0]) / max(one.length, 1e-9)
    advance = float((second[0] - first[0]) @ (-along[1], along[0]))  # y grows downwards
    ends, others = first @ along, second @ along
    beside = min(ends.max(), others.max()) > max(ends.min(), others.min())
    return bool(beside and 0 < advance < FARTHEST * (one.above + one.below))


def _is_on(place: Line, width: int, height: int) -> bool:
    """Return whether the middle of a line is on the page."""
    x, y = np.mean(place.polygon, axis=0)
    return bool(0 <= x <= width and 0 <= y <= height)


def _inverse(matrix: Matrix) -> Matrix:
    """Return the matrix from coordinates of a PDF page to pixels."""
    a, b, c, d, e, f = matrix
    size = a * d - b * c
    return d / size, -b / size, -c / size, a / size, (c * f - d * e) / size, (b * e - a * f) / size


def _moved(points: Sequence[tuple[float, float]], matrix: Matrix) -> np.ndarray:
    """Return points (P, 2) after a matrix."""
    a, b, c, d, e, f = matrix
    return np.array(points) @ np.array([[a, b], [c, d]]) + (e, f)

"""The invisible text of a searchable PDF.

Text is shown in rendering mode 3, "neither fill nor stroke" (ISO 32000-1, 9.3.6), in fonts without shapes:
Type 3 fonts of 256 codes each, whose table ToUnicode says which character a code stands for. So the text can
be searched and copied, and no font has to be found or embedded.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from common.text.direction import is_right_to_left
from common.text.document import Document, Line, Passage
from common.text.transcript import Word
from ocr.formats.pdf_pages import Matrix

CODES = 256
"""codes of a Type 3 font"""
ADVANCE = 500
"""width of every character, in thousandths of the font size"""


class Glyph(NamedTuple):
    """The font, counted from 0, and the code in it that stand for a character."""

    font: int
    code: int


class Text:
    """The invisible text of pages, and the fonts that it needs."""

    def __init__(self) -> None:
        self.glyphs: dict[str, Glyph] = {}

    def content(self, document: Document, matrix: Matrix) -> bytes:
        """Return the operators that show the text of a document.

        Args:
            document: its places are in pixels.
            matrix: maps pixels of the page to the coordinates of the PDF page.
        """
        rows = [b"q BT 3 Tr"]
        for passage in document.passages:
            for word in passage.transcript.words:
                rows.append(self._word(passage, word, matrix))
        return b"\n".join([*rows, b"ET Q\n"])

    def _word(self, passage: Passage, word: Word, matrix: Matrix) -> bytes:
        """Return the operators that show a word, and the space after it, along its part of the baseline."""
        place = passage.place_of(word)
        if not isinstance(place, Line):
            place = Line.rectangle(max(place.end - place.start, 1.0), 1.0)
        (x0, y0), (x1, y1) = _moved(place.baseline[0], matrix), _moved(place.baseline[-1], matrix)
        scale = math.sqrt(abs(matrix[0] * matrix[3] - matrix[1] * matrix[2]))
        size = max(scale * (place.above + place.below), 0.1)
        width = max(math.hypot(x1 - x0, y1 - y0), 0.1)
        angle = math.atan2(y1 - y0, x1 - x0)
        stretch = 100 * width / (size * ADVANCE / 1000 * len(word.text))
        cos, sin = math.cos(angle), math.sin(angle)
        if is_right_to_left(word.text):  # in the order of reading, from the right end to the left one
            x0, y0, stretch = x1, y1, -stretch
        start = f"{cos:.5f} {sin:.5f} {-sin:.5f} {cos:.5f} {x0:.2f} {y0:.2f} Tm {stretch:.2f} Tz"
        parts = [start]
        for font, codes in self._runs(word.text + " "):
            parts.append(f"/A{font} {size:.2f} Tf <{codes.hex()}> Tj")
        return " ".join(parts).encode("ascii")

    def _runs(self, text: str) -> Iterator[tuple[int, bytes]]:
        """Yield stretches of text whose characters are in one font: its number, and their codes."""
        font, codes = 0, bytearray()
        for character in text:
            known = len(self.glyphs)
            glyph = self.glyphs.setdefault(character, Glyph(known // CODES, known % CODES))
            if glyph.font != font and codes:
                yield font, bytes(codes)
                codes = bytearray()
            font = glyph.font
            codes.append(glyph.code)
        if codes:
            yield font, bytes(codes)

    def fonts(self, pdf: Any) -> Any:
        """Return the dictionary of the fonts, as objects of `pdf`."""
        from pikepdf import Array, Dictionary, Name

        fonts = Dictionary()
        shape = pdf.make_stream(f"{ADVANCE} 0 0 -250 {ADVANCE} 750 d1".encode())
        for font in range(max((glyph.font for glyph in self.glyphs.values()), default=-1) + 1):
            table = {glyph.code: text for text, glyph in self.glyphs.items() if glyph.font == font}
            last = max(table)
            fonts[f"/A{font}"] = pdf.make_indirect(
                Dictionary(
                    Type=Name.Font,
                    Subtype=Name.Type3,
                    FontBBox=Array([0, -250, ADVANCE, 750]),
                    FontMatrix=Array([0.001, 0, 0, 0.001, 0, 0]),
                    CharProcs=Dictionary({"/g": shape}),
                    Encoding=Dictionary(
                        Type=Name.Encoding, Differences=Array([0, *[Name("/g")] * (last + 1)])
                    ),
                    FirstChar=0,
                    LastChar=last,
                    Widths=Array([ADVANCE] * (last + 1)),
                    Resources=Dictionary(),
                    ToUnicode=pdf.make_stream(_to_unicode(table)),
                )
            )
        return fonts


def _to_unicode(table: dict[int, str]) -> bytes:
    """Return the CMap that says which text each code stands for (ISO 32000-1, 9.10.3)."""
    pairs = [f"<{code:02x}> <{text.encode('utf-16-be').hex()}>" for code, text in sorted(table.items())]
    blocks = []
    for start in range(0, len(pairs), 100):  # a block holds at most 100 pairs
        block = pairs[start : start + 100]
        blocks += [f"{len(block)} beginbfchar", *block, "endbfchar"]
    return "\n".join(
        [
            "/CIDInit /ProcSet findresource begin 12 dict begin begincmap",
            "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def",
            "/CMapName /Adobe-Identity-UCS def /CMapType 2 def",
            "1 begincodespacerange <00> <ff> endcodespacerange",
            *blocks,
            "endcmap CMapName currentdict /CMap defineresource pop end end",
        ]
    ).encode("ascii")


def _moved(point: tuple[float, float], matrix: Matrix) -> tuple[float, float]:
    a, b, c, d, e, f = matrix
    return a * point[0] + c * point[1] + e, b * point[0] + d * point[1] + f

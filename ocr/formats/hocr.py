"""hOCR 1.2: a page as XHTML, with the places of its lines and words (https://kba.github.io/hocr-spec/1.2/)."""

import math
from itertools import groupby
from xml.sax.saxutils import escape, quoteattr

from common.text.direction import is_right_to_left
from common.text.document import Document, Line, Page, Passage, Place
from common.text.transcript import Word

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" \
"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml">
 <head>
  <title>{title}</title>
  <meta http-equiv="Content-Type" content="text/html; charset=utf-8"/>
  <meta name="ocr-system" content="amanuensis"/>
  <meta name="ocr-capabilities" content="ocr_page ocr_carea ocr_line ocrx_word"/>
  <meta name="ocr-langs" content="{language}"/>
  <meta name="ocr-number-of-pages" content="1"/>
 </head>
 <body>
"""
FOOT = " </body>\n</html>\n"
CONTROLS = {code: " " for code in range(32)} | {0xFFFE: " ", 0xFFFF: " "}
"""characters that XML cannot hold, or that would break an attribute into lines"""


def to_hocr(document: Document) -> str:
    """Return a document as hOCR: areas, lines and words with boxes, baselines and confidences.

    Boxes are whole pixels of the page. The area of a region is the box around its outline, and that of
    passages without a region the box around them. `x_wconf` is the confidence of a word in per cent.
    """
    width, height = _size(document)
    page = document.page
    title = f"image {_quoted(_image(document))}; bbox 0 0 {width} {height}; ppageno 0"
    if page is not None and page.dpi:
        title += f"; scan_res {page.dpi:.0f} {page.dpi:.0f}"
    lines = [f'  <div class="ocr_page" id="page_1" title={quoteattr(title)}>\n']
    number = 0
    for area, (region, group) in enumerate(groupby(document.passages, lambda one: one.region), start=1):
        passages = list(group)
        box = _box(_area(page, region, passages), width, height)
        lines.append(f'   <div class="ocr_carea" id="block_1_{area}" title="{box}">\n')
        for passage in passages:
            number += 1
            lines += _line(passage, number, width, height)
        lines.append("   </div>\n")
    lines.append("  </div>\n")
    return (
        HEAD.format(title=_text(document.source), language=_text(document.language or "unknown"))
        + "".join(lines)
        + FOOT
    )


def _line(passage: Passage, number: int, width: int, height: int) -> list[str]:
    """Return the lines of hOCR that describe a line of the page."""
    properties = _box(_bounds(passage.place), width, height)
    if isinstance(passage.place, Line):
        properties += _baseline(passage.place)
    direction = ' dir="rtl"' if is_right_to_left(passage.transcript.text) else ""
    lines = [f'    <span class="ocr_line" id="line_1_{number}"{direction} title="{properties}">\n']
    for count, word in enumerate(passage.transcript.words, start=1):
        place = _box(_bounds(_place_of(passage, word)), width, height)
        place += f"; x_wconf {100 * word.confidence:.0f}"
        identity = f"word_1_{number}_{count}"
        lines.append(
            f'     <span class="ocrx_word" id="{identity}" title="{place}">{_text(word.text)}</span>\n'
        )
    lines.append("    </span>\n")
    return lines


def _place_of(passage: Passage, word: Word) -> Place:
    return passage.place_of(word)


def _baseline(line: Line) -> str:
    """Return hOCR's baseline: slope and offset in the coordinates of the lower left corner of the box."""
    left, _, _, bottom = line.box
    (x0, y0), (x1, y1) = line.baseline[0], line.baseline[-1]
    if abs(x1 - x0) < abs(y1 - y0):
        return ""  # a line that runs up or down has no slope
    slope = (y1 - y0) / (x1 - x0)
    return f"; baseline {slope:.3f} {y0 + slope * (left - x0) - bottom:.0f}"


def _bounds(place: Place) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom; a place of one dimension has no height."""
    return place.box if isinstance(place, Line) else (place.start, 0.0, place.end, 0.0)


def _area(page: Page | None, region: str, passages: list[Passage]) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a region, or of its passages if the page does not know it."""
    for known in page.regions if page is not None else ():
        if known.name == region and known.outline:
            xs, ys = zip(*known.outline, strict=True)
            return min(xs), min(ys), max(xs), max(ys)
    boxes = [_bounds(passage.place) for passage in passages]
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _box(bounds: tuple[float, float, float, float], width: int, height: int) -> str:
    """Return hOCR's bbox: the whole pixels that hold `bounds`, within the page."""
    left, top, right, bottom = bounds
    x0, y0 = (min(max(math.floor(value), 0), most) for value, most in ((left, width), (top, height)))
    x1, y1 = (min(max(math.ceil(value), 0), most) for value, most in ((right, width), (bottom, height)))
    return f"bbox {x0} {y0} {x1} {y1}"


def _size(document: Document) -> tuple[int, int]:
    """Return width and height of the page in pixels; those of the outermost places if it is not known."""
    if document.page is not None:
        return document.page.width_px, document.page.height_px
    boxes = [_bounds(passage.place) for passage in document.passages]
    return (
        math.ceil(max((box[2] for box in boxes), default=0.0)),
        math.ceil(max((box[3] for box in boxes), default=0.0)),
    )


def _image(document: Document) -> str:
    return document.page.image if document.page is not None and document.page.image else document.source


def _quoted(name: str) -> str:
    return '"' + name.translate(CONTROLS).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(text: str) -> str:
    return escape(text.translate(CONTROLS))

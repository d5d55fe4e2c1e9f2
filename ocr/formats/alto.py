"""ALTO XML 1 to 4 (https://www.loc.gov/standards/alto/), as Tesseract and eScriptorium write it."""

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

from common.text.document import Document, Point
from ocr.formats.xml.assembly import Part, WrittenLine, WrittenRegion, WrittenSize, assemble, frame_of
from ocr.formats.xml.geometry import Written, points_of
from ocr.formats.xml.xml_file import Names, Notices, confidence_of, number_of, one_line, parse_xml

log = logging.getLogger(__name__)

UNITS_PER_INCH = {"mm10": 254.0, "inch1200": 1200.0}
"""units of coordinates beside pixels: tenths of a millimetre, and 1/1200 of an inch"""
BLOCKS = {"TextBlock": "", "ComposedBlock": "", "Illustration": "image", "GraphicalElement": "graphic"}
"""elements that are regions, and the type of those without one of their own"""
MARGINS = ("TopMargin", "LeftMargin", "RightMargin", "BottomMargin", "PrintSpace")
DEEPEST = 64
"""blocks and groups within each other that are followed"""


class _Block(NamedTuple):
    """A block of the file: its element, its id, its name and its type."""

    element: Element
    identity: str
    name: str
    kind: str


def read_alto(path: str | Path, notice: Callable[[str], None] = log.warning) -> Document:
    """Return the page that an ALTO file describes, in pixels of its image.

    Passages are the lines in reading order (ReadingOrder, or the order of the file), each with its text, the
    place from BASELINE and Shape, or from the box, and the id as name. Hyphens (HYP) are part of the text.
    Where a file has no SP at all, blanks stand between its Strings. Coordinates may be pixels, tenths of a
    millimetre or 1/1200 of an inch. `page.image` is the image, "" if it is not found.

    Args:
        path: the XML file; its image is found by `xml.images.find_image`.
        notice: takes a sentence about each kind of fault that did not keep the page from being read.

    Raises:
        ValueError: the file is not ALTO, or is damaged or unsafe, or describes no page.
    """
    return page_of(parse_xml(path), path, notice)


def page_of(root: Element, path: str | Path, notice: Callable[[str], None]) -> Document:
    """Return the page that the root of an ALTO file describes; see `read_alto`."""
    pages = root.findall("Layout/Page") if root.tag == "alto" else []
    if not pages:
        raise ValueError(f"{path}: is no ALTO of a page (its root is <{root.tag}>); give PAGE or ALTO")
    notices = Notices(str(path))
    if len(pages) > 1:
        notices.add(f"the first of its {len(pages)} pages is read; write a file for each page")
    page, unit = pages[0], (root.findtext("Description/MeasurementUnit") or "pixel").strip()
    size = WrittenSize(
        number_of(page.get("WIDTH")) or 0, number_of(page.get("HEIGHT")) or 0, UNITS_PER_INCH.get(unit)
    )
    image = (root.findtext("Description/sourceImageInformation/fileName") or "").strip()
    placed = frame_of(Path(path), image, size, notices)
    names, kinds = Names(notices), _tags(root)
    spaces = {part for margin in MARGINS for part in page.findall(margin)}
    blocks = [block for part in page if part in spaces for block in _blocks(part, names, kinds, 0)]
    rank = {identity: at for at, identity in enumerate(_references(root.find("ReadingOrder"), 0))}
    blocks = _in_order(blocks, rank)
    spaced = root.find(".//SP") is not None
    elements = [(element, block) for block in blocks for element in block.element.findall("TextLine")]
    if rank and all(element.get("ID") in rank for element, _ in elements):
        elements.sort(key=lambda pair: rank[pair[0].get("ID", "")])
    document = assemble(
        Path(path),
        placed,
        [WrittenRegion(one.name, _outline(one.element), one.kind) for one in blocks],
        [_line(element, block.name, names, spaced) for element, block in elements],
        notices,
    )
    for sentence in notices:
        notice(sentence)
    return document


# --- blocks and their order


def _tags(root: Element) -> dict[str, str]:
    """Return the label of each tag that blocks refer to, by its id."""
    tags = root.find("Tags")
    return {tag.get("ID", ""): tag.get("LABEL") or tag.get("TYPE") or "" for tag in tags or ()}


def _blocks(parent: Element, names: Names, kinds: Mapping[str, str], depth: int) -> Iterator[_Block]:
    """Yield the blocks below an element in the order of the file."""
    for element in parent:
        if element.tag in BLOCKS:
            labels = [kinds[tag] for tag in (element.get("TAGREFS") or "").split() if kinds.get(tag)]
            kind = labels[0] if labels else element.get("TYPE") or BLOCKS[element.tag]
            name = names.name(element.get("ID"), "block")
            yield _Block(element, element.get("ID", ""), name, kind)
            if depth < DEEPEST:
                yield from _blocks(element, names, kinds, depth + 1)


def _references(group: Element | None, depth: int) -> Iterator[str]:
    """Yield the ids in a reading order, groups within each other."""
    for member in group if group is not None else ():
        yield from member.get("REF", "").split()
        if depth < DEEPEST:
            yield from _references(member, depth + 1)


def _in_order(blocks: list[_Block], rank: Mapping[str, int]) -> list[_Block]:
    """Return blocks in reading order; those without a rank of their own or of a line come last."""

    def first(block: _Block) -> int:
        members = (block.identity, *(line.get("ID", "") for line in block.element.findall("TextLine")))
        return min((rank[member] for member in members if member in rank), default=len(rank))

    return sorted(blocks, key=first)


# --- lines and texts


def _line(element: Element, block: str, names: Names, spaced: bool) -> WrittenLine:
    """Return a line; `spaced`: the file says with SP where blanks are."""
    name = names.name(element.get("ID"), "line")
    baseline: list[Point] | float = points_of(element.get("BASELINE"))
    if not baseline and (height := number_of(element.get("BASELINE"))) is not None:
        baseline = height
    place = Written(name, baseline, _polygon(element), _box(element))
    text, words, confidences = "", list[Part](), list[float]()
    for part in element:
        if part.tag == "String":
            word = _word(part)
            text += (" " if text and not spaced else "") + word.text
            words.append(word)
            confidences.append(word.confidence)
        elif part.tag == "SP":
            text += " "
        elif part.tag == "HYP":
            hyphen = part.get("CONTENT") or "-"
            text += hyphen
            if words:
                words[-1] = _hyphenated(words[-1], hyphen, _outline(part))
    known = [word for word in words if word.text and len(word.outline) >= 2]
    if [word.text for word in known] != text.split():
        known = []  # a String that holds a whole line, or words without a place
    confidence = sum(confidences) / len(confidences) if confidences else 1.0
    return WrittenLine(place, block, text, confidence, known)


def _word(element: Element) -> Part:
    glyphs = [
        Part(one_line(one.get("CONTENT", "")), _outline(one), confidence_of(one.get("GC")))
        for one in element.findall("Glyph")
    ]
    text = one_line(element.get("CONTENT", ""))
    known = glyphs if all(glyph.outline for glyph in glyphs) else []
    return Part(text, _outline(element), confidence_of(element.get("WC")), known)


def _hyphenated(word: Part, hyphen: str, outline: list[Point]) -> Part:
    """Return the last word of a line with the hyphen that stands after it."""
    parts = [*word.parts, Part(hyphen, outline, word.confidence)] if word.parts and outline else []
    return Part(word.text + hyphen, [*word.outline, *outline], word.confidence, parts)


def _outline(element: Element) -> list[Point]:
    """Return the polygon of an element, or the corners of its box, or nothing."""
    polygon, box = _polygon(element), _box(element)
    if len(polygon) >= 3 or box is None:
        return polygon
    left, top, right, bottom = box
    return [Point(left, top), Point(right, top), Point(right, bottom), Point(left, bottom)]


def _polygon(element: Element) -> list[Point]:
    polygon = element.find("Shape/Polygon")
    return points_of(polygon.get("POINTS")) if polygon is not None else []


def _box(element: Element) -> tuple[float, float, float, float] | None:
    """Return left, top, right and bottom of an element, or None if it does not have all of them."""
    left, top, width, height = (number_of(element.get(key)) for key in ("HPOS", "VPOS", "WIDTH", "HEIGHT"))
    if left is None or top is None or width is None or height is None or width <= 0 or height <= 0:
        return None
    return left, top, left + width, top + height

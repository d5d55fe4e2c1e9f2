"""PAGE XML 2019-07-15: a page with its regions, lines, words and characters."""

from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree.ElementTree import Element

from common.text.direction import is_right_to_left
from common.text.document import Document, Passage, Point
from ocr.formats.xml.languages import page_name
from ocr.formats.xml.writing import (
    CREATOR,
    Block,
    Context,
    Ids,
    Sheet,
    blocks_of,
    child,
    letters_of,
    line_of,
    share,
    sheet_of,
    xml_text,
)

NAMESPACE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"
SCHEMA = f"{NAMESPACE}/pagecontent.xsd"
CHECKED = "checked and corrected by a person"
"""comment at the text of a line"""
TEXT_TYPES = frozenset(
    {
        *("paragraph", "heading", "caption", "header", "footer", "page-number", "drop-capital", "credit"),
        *("floating", "signature-mark", "catch-word", "marginalia", "footnote", "footnote-continued"),
        *("endnote", "TOC-entry", "list-label", "other"),
    }
)
"""types that a TextRegion can have"""
OTHER_REGIONS = {
    "image": "ImageRegion",
    "linedrawing": "LineDrawingRegion",
    "graphic": "GraphicRegion",
    "table": "TableRegion",
    "chart": "ChartRegion",
    "map": "MapRegion",
    "separator": "SeparatorRegion",
    "maths": "MathsRegion",
    "chem": "ChemRegion",
    "music": "MusicRegion",
    "advert": "AdvertRegion",
    "noise": "NoiseRegion",
    "unknown": "UnknownRegion",
}
"""elements for regions of these types that hold no lines"""


def to_page_xml(document: Document, characters: bool = False) -> str:
    """Return a document as PAGE XML.

    Coordinates are whole pixels. The order of regions stands in ReadingOrder, that of regions and lines in
    `custom` too, where Transkribus looks for it; a region that is left and read on later is written once,
    where it is read first. Types of regions that PAGE does not know stand in `custom` alone.

    Args:
        document: a page, or a line as one.
        characters: write a Glyph for each character whose place is known.
    """
    root = Element("PcGts", {"xmlns": NAMESPACE})
    root.set("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance")
    root.set("xsi:schemaLocation", f"{NAMESPACE} {SCHEMA}")
    sheet, ids = sheet_of(document), Ids()
    metadata, now = child(root, "Metadata"), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    for tag, text in (("Creator", CREATOR), ("Created", now), ("LastChange", now)):
        child(metadata, tag, text=text)
    sides = {"imageWidth": str(sheet.width_px), "imageHeight": str(sheet.height_px)}
    page = child(root, "Page", {"imageFilename": sheet.image, **sides})
    if document.language:
        page.set("primaryLanguage", page_name(document.language))
    if document.page is not None and document.page.dpi:
        resolution = f"{document.page.dpi:.0f}"
        for axis in "XY":
            page.set(f"image{axis}Resolution", resolution)
        page.set("imageResolutionUnit", "PPI")
    blocks = blocks_of(document)
    names = [ids.new(block.region.name, f"region_{at}") for at, block in enumerate(blocks, start=1)]
    if blocks:
        group = child(child(page, "ReadingOrder"), "OrderedGroup", {"id": ids.new("reading_order", "")})
        for at, name in enumerate(names):
            child(group, "RegionRefIndexed", {"index": str(at), "regionRef": name})
    context = Context(sheet, document.page, ids, characters)
    for at, (block, name) in enumerate(zip(blocks, names, strict=True)):
        _region(page, block, at, name, context)
    return xml_text(root)


def _region(parent: Element, block: Block, at: int, name: str, context: Context) -> None:
    """Write a region with its lines; `at` is its place in the reading order."""
    kind = block.region.kind
    tag = "TextRegion" if block.passages else OTHER_REGIONS.get(kind, "TextRegion")
    element = child(parent, tag, {"id": name})
    if tag == "TextRegion" and kind in TEXT_TYPES:
        element.set("type", kind)
    custom = f"readingOrder {{index:{at};}}"
    element.set("custom", f"{custom} structure {{type:{_plain(kind)};}}" if kind else custom)
    _coords(element, context.sheet, block.region.outline)
    for number, passage in enumerate(block.passages):
        _line(element, passage, number, context)
    if block.passages:
        _text(element, "\n".join(passage.transcript.text for passage in block.passages))


def _plain(kind: str) -> str:
    """Return a type without the signs that end it in `custom`."""
    return "".join("_" if one in ";{}" else one for one in kind)


def _line(parent: Element, passage: Passage, at: int, context: Context) -> None:
    """Write a line with its words; `at` is its place in its region."""
    transcript, line = passage.transcript, line_of(passage.place, context.page)
    name = context.ids.new(passage.name, f"line_{at + 1}")
    element = child(parent, "TextLine", {"id": name, "custom": f"readingOrder {{index:{at};}}"})
    if is_right_to_left(transcript.text):
        element.set("readingDirection", "right-to-left")
    _coords(element, context.sheet, line.polygon)
    child(element, "Baseline", {"points": _joined(context.sheet.baseline(line))})
    letters = letters_of(transcript) if context.characters else {}
    for number, word in enumerate(transcript.words):
        word_name = context.ids.new(f"{name}_word_{number + 1}", "")
        inside = child(element, "Word", {"id": word_name})
        _coords(inside, context.sheet, line.part(word.start, word.end).polygon)
        for count, letter in enumerate(letters.get(number, ()), start=1):
            glyph = child(inside, "Glyph", {"id": context.ids.new(f"{word_name}_{count}", "")})
            _coords(glyph, context.sheet, line.part(letter.start, letter.end).polygon)
            _text(glyph, letter.text, letter.confidence)
        _text(inside, word.text, word.confidence)
    _text(element, transcript.text, transcript.confidence, CHECKED if passage.checked else "")


def _text(element: Element, text: str, confidence: float | None = None, comments: str = "") -> None:
    equivalent = child(element, "TextEquiv")
    if confidence is not None:
        equivalent.set("conf", share(confidence))
    if comments:
        equivalent.set("comments", comments)
    child(equivalent, "Unicode", text=text)


def _coords(element: Element, sheet: Sheet, outline: Sequence[Point]) -> None:
    child(element, "Coords", {"points": _joined(sheet.points(outline))})


def _joined(points: Sequence[tuple[int, int]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)

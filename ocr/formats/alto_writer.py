"""ALTO 4.4: a page with its blocks, lines, words and characters (http://www.loc.gov/standards/alto/)."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from common.text.direction import is_right_to_left
from common.text.document import Document, Passage, Point
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

NAMESPACE = "http://www.loc.gov/standards/alto/ns-v4#"
SCHEMA = "http://www.loc.gov/standards/alto/v4/alto-4-4.xsd"
GRAPHICS = {"image": "Illustration", "graphic": "Illustration", "separator": "GraphicalElement"}
"""elements for regions of these types that hold no lines"""


def to_alto(document: Document, characters: bool = False) -> str:
    """Return a document as ALTO.

    Coordinates are whole pixels, and points have the form "x y x y". One SP stands between words, also where
    a text has several blanks. ReadingOrder names the lines, since a region may be left and read on later.
    Types of regions are OtherTags. The language, if it is known, stands at each block. A text whose words
    are not known is one String.

    Args:
        document: a page, or a line as one.
        characters: write a Glyph for each character whose place is known.
    """
    root = Element("alto", {"xmlns": NAMESPACE, "SCHEMAVERSION": "4.4"})
    root.set("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance")
    root.set("xsi:schemaLocation", f"{NAMESPACE} {SCHEMA}")
    sheet, blocks, ids = sheet_of(document), blocks_of(document), Ids()
    description = child(root, "Description")
    child(description, "MeasurementUnit", text="pixel")
    child(child(description, "sourceImageInformation"), "fileName", text=sheet.image)
    software = child(
        child(description, "Processing", {"ID": ids.new("processing", "")}), "processingSoftware"
    )
    child(software, "softwareName", text=CREATOR)
    tags = _tags(root, blocks, ids)
    order = child(root, "ReadingOrder")
    sides = {"WIDTH": str(sheet.width_px), "HEIGHT": str(sheet.height_px)}
    page = child(child(root, "Layout"), "Page", {"ID": ids.new("page", ""), "PHYSICAL_IMG_NR": "1", **sides})
    space = child(page, "PrintSpace", {"HPOS": "0", "VPOS": "0", **sides})
    names = {id(one): ids.new(one.name, f"line_{at}") for at, one in enumerate(document.passages, start=1)}
    context = Context(sheet, document.page, ids, characters)
    for number, block in enumerate(blocks, start=1):
        name = ids.new(block.region.name, f"block_{number}")
        element = child(space, _element(block), {"ID": name})
        if document.language and block.passages:
            element.set("LANG", document.language)
        if block.region.kind:
            element.set("TAGREFS", tags[block.region.kind])
        _place(element, sheet, block.region.outline, shape=True)
        for passage in block.passages:
            _line(element, passage, names[id(passage)], context)
    if names:
        group = child(order, "OrderedGroup", {"ID": ids.new("reading_order", "")})
        for name in names.values():
            child(group, "ElementRef", {"ID": ids.new(f"{name}_ref", ""), "REF": name})
    else:
        root.remove(order)
    return xml_text(root)


def _tags(root: Element, blocks: Sequence[Block], ids: Ids) -> dict[str, str]:
    """Write a tag for each type of region, and return their ids."""
    kinds = dict.fromkeys(block.region.kind for block in blocks if block.region.kind)
    names = {kind: ids.new(f"type_{kind}", "") for kind in kinds}
    if names:
        tags = child(root, "Tags")
        for kind, name in names.items():
            about = {"TYPE": "region", "DESCRIPTION": f"block type {kind}"}
            child(tags, "OtherTag", {"ID": name, "LABEL": kind, **about})
    return names


def _element(block: Block) -> str:
    return "TextBlock" if block.passages else GRAPHICS.get(block.region.kind, "TextBlock")


def _line(parent: Element, passage: Passage, name: str, context: Context) -> None:
    """Write a line with its words; a schema wants a String also where nothing is written."""
    transcript, line = passage.transcript, line_of(passage.place, context.page)
    baseline = _joined(context.sheet.baseline(line))
    element = child(parent, "TextLine", {"ID": name, "BASELINE": baseline})
    if is_right_to_left(transcript.text):
        element.set("BASEDIRECTION", "rtl")
    if passage.checked:
        element.set("CS", "true")  # correction status
    _place(element, context.sheet, line.polygon, shape=True)
    if not transcript.words:
        content = {"ID": context.ids.new(f"{name}_text", ""), "CONTENT": transcript.text}
        string = child(element, "String", content | {"WC": share(transcript.confidence)})
        _place(string, context.sheet, line.polygon)
    letters = letters_of(transcript) if context.characters else {}
    for number, word in enumerate(transcript.words):
        if number:
            child(element, "SP")
        content = {"ID": context.ids.new(f"{name}_word_{number + 1}", ""), "CONTENT": word.text}
        string = child(element, "String", content | {"WC": share(word.confidence)})
        _place(string, context.sheet, line.part(word.start, word.end).polygon)
        inside = letters.get(number, [])
        if all(len(letter.text) == 1 for letter in inside):  # the schema has one code point in a Glyph
            for letter in inside:
                glyph = child(string, "Glyph", {"CONTENT": letter.text, "GC": share(letter.confidence)})
                _place(glyph, context.sheet, line.part(letter.start, letter.end).polygon)


def _place(element: Element, sheet: Sheet, outline: Sequence[Point], shape: bool = False) -> None:
    """Write the box of an element, and its polygon with `shape`, or if the box would say less."""
    left, top, right, bottom = sheet.box(outline)
    sides = {"HPOS": left, "VPOS": top, "WIDTH": right - left, "HEIGHT": bottom - top}
    for name, value in sides.items():
        element.set(name, str(value))
    points = sheet.points(outline)
    if shape or any(x not in (left, right) or y not in (top, bottom) for x, y in points):
        child(child(element, "Shape"), "Polygon", {"POINTS": _joined(points)})


def _joined(points: Sequence[tuple[int, int]]) -> str:
    return " ".join(f"{x} {y}" for x, y in points)

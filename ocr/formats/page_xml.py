"""PAGE XML of PRImA (2010 to 2019-07-15), as Transkribus, eScriptorium, OCR-D and Aletheia write it."""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

from common.text.document import Document, Point
from ocr.formats.xml.assembly import Part, WrittenLine, WrittenRegion, WrittenSize, assemble, frame_of
from ocr.formats.xml.geometry import Written, points_of
from ocr.formats.xml.xml_file import Names, Notices, confidence_of, number_of, one_line, parse_xml

log = logging.getLogger(__name__)

CUSTOM_TYPE = re.compile(r"structure\s*\{[^}]*?\btype\s*:\s*([^;}]*)")
CUSTOM_INDEX = re.compile(r"readingOrder\s*\{[^}]*?\bindex\s*:\s*(\d+)")
REFERENCES = ("RegionRef", "OrderedGroup", "UnorderedGroup")
"""starts of the names of elements in a reading order"""
DEEPEST = 64
"""regions and groups within each other that are followed"""


class _Region(NamedTuple):
    """A region of the file: its element, its id, its name and its kind."""

    element: Element
    identity: str
    name: str
    kind: str


def read_page_xml(path: str | Path, notice: Callable[[str], None] = log.warning) -> Document:
    """Return the page that a PAGE XML file describes, in pixels of its image.

    Passages are the lines in reading order (ReadingOrder, or the order that Transkribus keeps in `custom`, or
    that of the file), each with its text, the place from Coords and Baseline, and the id as name. Texts are
    those of the lines, or of their words where lines have none; a line without any has the text "". Heights
    above and below a baseline are those of the outline. `page.image` is the image, "" if it is not found.

    Args:
        path: the XML file; its image is found by `xml.images.find_image`.
        notice: takes a sentence about each kind of fault that did not keep the page from being read.

    Raises:
        ValueError: the file is not PAGE XML, or is damaged or unsafe, or describes no page.
    """
    return page_of(parse_xml(path), path, notice)


def page_of(root: Element, path: str | Path, notice: Callable[[str], None]) -> Document:
    """Return the page that the root of a PAGE XML file describes; see `read_page_xml`."""
    page = root.find("Page") if root.tag == "PcGts" else None
    if page is None:
        raise ValueError(f"{path}: is no PAGE XML of a page (its root is <{root.tag}>); give PAGE or ALTO")
    notices = Notices(str(path))
    size = WrittenSize(number_of(page.get("imageWidth")) or 0, number_of(page.get("imageHeight")) or 0)
    placed = frame_of(Path(path), page.get("imageFilename", ""), size, notices)
    names = Names(notices)
    found = _in_order(page, list(_regions(page, names, 0)))
    regions = [WrittenRegion(one.name, _coords(one.element), one.kind) for one in found]
    lines = [
        _line(element, region.name, names)
        for region in found
        for element in _sorted_by_custom(region.element.findall("TextLine"))
    ]
    document = assemble(Path(path), placed, regions, lines, notices)
    for sentence in notices:
        notice(sentence)
    return document


# --- regions and their order


def _regions(parent: Element, names: Names, depth: int) -> Iterator[_Region]:
    """Yield the regions below an element, in the order of the file; cells of a table are regions in it."""
    for element in parent:
        if element.tag.endswith("Region") or element.tag == "TableCell":
            kind = _kind(element)
            name = names.name(element.get("id"), "region")
            yield _Region(element, element.get("id", ""), name, kind)
            if depth < DEEPEST:
                yield from _regions(element, names, depth + 1)


def _kind(element: Element) -> str:
    """Return the type of a region: that in `custom`, which people chose, that of PAGE, or the element's."""
    custom = CUSTOM_TYPE.search(element.get("custom", ""))
    if custom and custom[1].strip():
        return custom[1].strip()
    tag = element.tag.removesuffix("Region")
    return element.get("type", "") if tag == "Text" else tag.removeprefix("Table").lower() or "table"


def _in_order(page: Element, regions: list[_Region]) -> list[_Region]:
    """Return regions in reading order; those that the order does not name come after, as in the file."""
    order = page.find("ReadingOrder")
    wanted = list(_references(order, 0)) if order is not None else []
    if not wanted:
        return _by_custom(regions)
    rank = {identity: at for at, identity in reversed(list(enumerate(wanted)))}
    parents, keys = _parents(regions), list[tuple[int, int]]()
    for at, region in enumerate(regions):
        # a region that is not named follows the region that holds it, which comes before it in the file
        inside = parents.get(at)
        known = rank.get(region.identity)
        key = (known, 0) if known is not None else (keys[inside][0], at) if inside is not None else None
        keys.append(key if key is not None else (len(rank), at))
    return [regions[at] for at in sorted(range(len(regions)), key=lambda at: keys[at])]


def _parents(regions: Sequence[_Region]) -> dict[int, int]:
    """Return, for the index of each region within another one, the index of the other one."""
    index = {id(region.element): at for at, region in enumerate(regions)}
    return {
        index[id(child)]: at
        for at, region in enumerate(regions)
        for child in region.element
        if id(child) in index
    }


def _by_custom(regions: list[_Region]) -> list[_Region]:
    """Return regions in the order that Transkribus keeps in `custom`, if all of them have a place in it."""
    indices = [CUSTOM_INDEX.search(region.element.get("custom", "")) for region in regions]
    places = [int(index[1]) for index in indices if index]
    if len(places) < len(regions) or len(set(places)) < len(places):
        return regions
    return [regions[at] for at in sorted(range(len(regions)), key=lambda at: places[at])]


def _references(group: Element, depth: int) -> Iterator[str]:
    """Yield the ids of regions in a reading order: by index where there is one, groups within each other."""
    members = [child for child in group if child.tag.startswith(REFERENCES)]
    members.sort(key=lambda child: number_of(child.get("index")) or 0)  # stable: without index as in the file
    for member in members:
        if member.get("regionRef"):
            yield member.get("regionRef", "")
        if depth < DEEPEST:
            yield from _references(member, depth + 1)


# --- lines and texts


def _sorted_by_custom(lines: list[Element]) -> list[Element]:
    """Return the lines of a region by their index (PAGE) or by their order in `custom` (Transkribus)."""
    for find in (_index, _custom_index):
        places = [find(line) for line in lines]
        if lines and None not in places and len(set(places)) == len(places):
            return [lines[at] for at in sorted(range(len(lines)), key=lambda at: places[at] or 0)]
    return lines


def _index(line: Element) -> float | None:
    return number_of(line.get("index"))


def _custom_index(line: Element) -> float | None:
    found = CUSTOM_INDEX.search(line.get("custom", ""))
    return float(found[1]) if found else None


def _line(element: Element, region: str, names: Names) -> WrittenLine:
    name = names.name(element.get("id"), "line")
    baseline = element.find("Baseline")
    place = Written(name, _points(baseline) if baseline is not None else (), _coords(element))
    words = [_part(word, "Glyph") for word in element.findall("Word")]
    text, confidence = _text(element)
    if not text:
        text = " ".join(word.text for word in words if word.text)
    known = [word for word in words if word.text and len(word.outline) >= 2]
    if [word.text for word in known] != text.split():
        known = []  # the words of another text
    return WrittenLine(place, region, text, confidence, known)


def _part(element: Element, inner: str) -> Part:
    """Return a word with its characters, or a character."""
    parts = [_part(one, "") for one in element.findall(inner)] if inner else []
    text, confidence = _text(element)
    text = text or "".join(part.text for part in parts)
    return Part(text, _coords(element), confidence, parts if all(part.outline for part in parts) else [])


def _text(element: Element) -> tuple[str, float]:
    """Return the text of an element and its confidence: that of the lowest index, or the first."""
    texts = element.findall("TextEquiv")
    if not texts:
        return "", 1.0
    numbers = [number_of(one.get("index")) for one in texts]
    first = min(range(len(texts)), key=lambda at: (numbers[at] is None, numbers[at] or 0))
    written = texts[first].findtext("Unicode") or texts[first].findtext("PlainText") or ""
    return one_line(written), confidence_of(texts[first].get("conf"))


def _coords(element: Element) -> list[Point]:
    coords = element.find("Coords")
    return _points(coords) if coords is not None else []


def _points(element: Element) -> list[Point]:
    """Return the points of Coords or Baseline; PAGE before 2013 has one element for each."""
    if element.get("points") is None:
        return points_of(" ".join(f"{one.get('x')},{one.get('y')}" for one in element.findall("Point")))
    return points_of(element.get("points"))

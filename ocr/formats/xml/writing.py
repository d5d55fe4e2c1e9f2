"""What the writers of ALTO and PAGE share: blocks in reading order, whole pixels, unique ids, the file."""

import math
import os
import re
from collections.abc import Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element, indent, tostring

from common.text.document import Document, Line, Page, Passage, Place, Point, Region
from common.text.transcript import Character, Transcript
from ocr.formats.xml.xml_file import INVALID

CREATOR = "amanuensis"


class Block(NamedTuple):
    """A region of a page and the passages in it, both in reading order."""

    region: Region
    passages: list[Passage]


class Sheet(NamedTuple):
    """The page that is written: its size in pixels, and the name of its image without folders."""

    width_px: int
    height_px: int
    image: str

    def points(self, outline: Sequence[Point]) -> list[tuple[int, int]]:
        """Return a polygon as whole pixels of the page, without repeated points; it has three or more."""
        found = self.path(outline)
        if len(found) > 2 and found[0] == found[-1]:
            found = found[:-1]
        if len(set(found)) > 2:
            return found
        left, top, right, bottom = self.box(outline)
        return [(left, top), (right, top), (right, bottom), (left, bottom)]

    def baseline(self, line: Line) -> list[tuple[int, int]]:
        """Return a baseline as two or more different whole pixels of the page."""
        found = self.path(line.baseline)
        if len(found) > 1:
            return found
        ((x, y),) = found
        return [(x, y), (x + 1, y)] if x < self.width_px else [(x - 1, y), (x, y)]

    def path(self, points: Sequence[Point]) -> list[tuple[int, int]]:
        """Return points as whole pixels of the page, each other than the one before."""
        found = [
            (min(max(round(x), 0), self.width_px), min(max(round(y), 0), self.height_px)) for x, y in points
        ]
        return [point for at, point in enumerate(found) if at == 0 or point != found[at - 1]]

    def box(self, outline: Sequence[Point]) -> tuple[int, int, int, int]:
        """Return left, top, right and bottom in whole pixels of the page, at least one pixel apart."""
        xs, ys = zip(*self.path(outline), strict=True)
        left, top = min(*xs, self.width_px - 1), min(*ys, self.height_px - 1)
        return left, top, max(*xs, left + 1), max(*ys, top + 1)


class Ids:
    """Gives ids that are valid in XML (NCName) and unique in a file."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, name: str, otherwise: str) -> str:
        """Return the id made from `name`, or from `otherwise` if that is empty."""
        identity = re.sub(r"[^A-Za-z0-9_.-]", "_", name or otherwise)
        if not re.match(r"[A-Za-z_]", identity):
            identity = f"_{identity}"
        number, base = 1, identity
        while identity in self._taken:
            number += 1
            identity = f"{base}-{number}"
        self._taken.add(identity)
        return identity


class Context(NamedTuple):
    """What lines are written with: the page, its ids, and whether characters are written."""

    sheet: Sheet
    page: Page | None
    ids: Ids
    characters: bool


def sheet_of(document: Document) -> Sheet:
    """Return the page of a document; if it is not known, one that holds all places."""
    page = document.page
    image = os.path.basename(page.image if page is not None and page.image else document.source)
    if page is not None:
        return Sheet(max(1, page.width_px), max(1, page.height_px), image)
    boxes = [line_of(passage.place, None).box for passage in document.passages]
    width = math.ceil(max((right for _, _, right, _ in boxes), default=1))
    return Sheet(max(1, width), max(1, math.ceil(max((box[3] for box in boxes), default=1))), image)


def line_of(place: Place, page: Page | None) -> Line:
    """Return a place as a line; one of one dimension is as high as the page."""
    if isinstance(place, Line):
        return place
    height = float(page.height_px) if page is not None else 1.0
    return Line((Point(place.start, height), Point(max(place.end, place.start), height)), height, 0.0)


def blocks_of(document: Document) -> list[Block]:
    """Return the regions of a document, in the order of their first passages, with outlines.

    A region without passages follows the one before it. One without an outline gets the box around its
    passages, or has none and is left out. Passages of no region, or of one that the page does not have, form
    regions of their own.
    """
    page, passages = document.page, dict[str, list[Passage]]()
    first = dict[str, int]()
    for at, passage in enumerate(document.passages):
        passages.setdefault(passage.region, []).append(passage)
        first.setdefault(passage.region, at)
    known = list(page.regions) if page is not None else []
    names = {region.name for region in known}
    known += [Region(name, ()) for name in passages if name not in names]
    keys, last = list[int](), -1
    for region in known:
        last = first.get(region.name, last)
        keys.append(last)
    blocks = []
    for at in sorted(range(len(known)), key=lambda index: keys[index]):  # stable
        region = known[at]
        inside = passages.get(region.name, [])
        outline = region.outline if len(region.outline) > 2 else _around(inside, page)
        if outline:
            blocks.append(Block(Region(region.name, outline, region.kind), inside))
    return blocks


def _around(passages: Sequence[Passage], page: Page | None) -> tuple[Point, ...]:
    """Return the corners of the box around passages."""
    if not passages:
        return ()
    lefts, tops, rights, bottoms = zip(*(line_of(one.place, page).box for one in passages), strict=True)
    left, top, right, bottom = min(lefts), min(tops), max(rights), max(bottoms)
    return Point(left, top), Point(right, top), Point(right, bottom), Point(left, bottom)


def letters_of(transcript: Transcript) -> dict[int, list[Character]]:
    """Return the characters of each word, by its number; {} if they do not spell the words."""
    letters, number, after_blank = dict[int, list[Character]](), -1, True
    for character in transcript.characters:
        if character.text.isspace():
            after_blank = True
            continue
        number += after_blank
        after_blank = False
        letters.setdefault(number, []).append(character)
    spelled = ["".join(letter.text for letter in letters[at]) for at in sorted(letters)]
    return letters if spelled == [word.text for word in transcript.words] else {}


def clean(text: str) -> str:
    """Return a text as XML can hold it: U+FFFD stands for control characters and halves of characters."""
    return INVALID.sub("\ufffd", text)


def child(parent: Element, tag: str, attributes: dict[str, str] | None = None, text: str = "") -> Element:
    """Add an element to another one, and return it; attributes and text are cleaned."""
    element = Element(tag, {name: clean(value) for name, value in (attributes or {}).items()})
    if text:
        element.text = clean(text)
    parent.append(element)
    return element


def share(confidence: float) -> str:
    """Return a confidence with four digits, from 0 to 1."""
    return f"{min(max(float(confidence), 0.0), 1.0):.4f}"


def xml_text(root: Element) -> str:
    """Return an XML file, indented."""
    indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"

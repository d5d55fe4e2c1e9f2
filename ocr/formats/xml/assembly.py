"""From what a page file describes, in its own unit, to a document in pixels of the image."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from common.text.document import Document, Line, Page, Passage, Point, Region
from common.text.transcript import Character, Transcript, Word
from ocr.formats.xml.geometry import Frame, Written, extent, with_heights
from ocr.formats.xml.images import find_image
from ocr.formats.xml.xml_file import Notices

SHAPE_SLACK = 0.01
"""the sides of a page may differ from those of its image by this share, once both are scaled"""

USUAL_DPI = 300.0
"""resolution of pages whose size is given in millimetres or inches, if their image is missing"""


class Part(NamedTuple):
    """A word or a character of a line as a file describes it.

    text: what it says.
    outline: its polygon in the unit of the file, or none.
    confidence: from 0 to 1.
    parts: the characters of a word, or none.
    """

    text: str
    outline: Sequence[Point]
    confidence: float
    parts: Sequence["Part"] = ()


class WrittenLine(NamedTuple):
    """A line of a file: where it is, the name of its region, its text and the words that are known."""

    place: Written
    region: str
    text: str
    confidence: float
    words: Sequence[Part] = ()


class WrittenRegion(NamedTuple):
    """A region of a file: its name, its polygon in the unit of the file, and its type."""

    name: str
    outline: Sequence[Point]
    kind: str


class WrittenSize(NamedTuple):
    """The size of a page in the unit of its file, 0 if it is not known.

    units_per_inch: None if the unit is a pixel.
    """

    width: float
    height: float
    units_per_inch: float | None = None

    def pixels(self, dpi: float | None) -> float:
        """Return the pixels of an image in one unit, if the image does not tell."""
        return 1.0 if self.units_per_inch is None else (dpi or USUAL_DPI) / self.units_per_inch


def frame_of(path: Path, image: str, size: WrittenSize, notices: Notices) -> tuple[Frame, Page]:
    """Return the frame of a page, and the page without regions.

    Args:
        path: the file.
        image: the name of the image in the file.
        size: of the page as the file states it.
        notices: told if there is no image, or if its shape is another one.

    Raises:
        ValueError: there is neither an image nor a stated size.
    """
    try:
        found = find_image(path, image)
    except ValueError as error:
        notices.add(str(error).removeprefix(f"{path}: "))
        pixels = size.pixels(None)
        width, height = (round(side * pixels) for side in (size.width, size.height))
        if min(width, height) < 1:
            raise ValueError(f"{error}; the size of the page is not stated either") from None
        return Frame(width, height, pixels, pixels), Page(width, height)
    scale_x = found.width_px / size.width if size.width > 0 else size.pixels(found.dpi)
    scale_y = found.height_px / size.height if size.height > 0 else size.pixels(found.dpi)
    if abs(scale_x / scale_y - 1) > SHAPE_SLACK:
        notices.add(
            f"the page is {size.width:g} x {size.height:g} and its image {found.path}"
            f" {found.width_px} x {found.height_px} px, another shape; lines may be misplaced"
        )
    frame = Frame(found.width_px, found.height_px, scale_x, scale_y)
    return frame, Page(found.width_px, found.height_px, (), found.path, found.dpi)


def assemble(
    path: Path,
    placed: tuple[Frame, Page],
    regions: Sequence[WrittenRegion],
    lines: Sequence[WrittenLine],
    notices: Notices,
) -> Document:
    """Return the document of a page.

    Args:
        path: the file.
        placed: the result of `frame_of`.
        regions: in reading order.
        lines: in reading order.
        notices: told about everything that cannot be used as it is.
    """
    frame, page = placed
    outlined = tuple(
        Region(one.name, frame.outline(one.outline, one.name, notices), one.kind) for one in regions
    )
    found = [(line, frame.line(line.place, notices)) for line in lines]
    usable = [(line, place) for line, place in found if place is not None]
    names = [line.place.name for line, _ in usable]
    places = with_heights([place for _, place in usable], names, notices)
    passages = tuple(
        Passage(_transcript(line, place, frame, str(path)), place, False, line.region, line.place.name)
        for (line, _), place in zip(usable, places, strict=True)
    )
    described = Page(page.width_px, page.height_px, outlined, page.image, page.dpi)
    return Document(str(path), passages, "px", described)


def _transcript(written: WrittenLine, line: Line, frame: Frame, source: str) -> Transcript:
    """Return the text of a line with the words and characters whose places are known."""
    words, characters = list[Word](), list[Character]()
    for word in written.words:
        start, end = _extent(word, line, frame)
        if characters and word.parts:
            characters.append(Character(" ", words[-1].end, max(words[-1].end, start), word.confidence))
        words.append(Word(word.text, start, end, word.confidence))
        for part in word.parts:
            characters.append(Character(part.text, *_extent(part, line, frame), part.confidence))
    if "".join(character.text for character in characters) != written.text:
        characters = []  # not every word has its characters
    return Transcript(
        written.text, written.confidence, tuple(words), tuple(characters), source=source, unit="px"
    )


def _extent(part: Part, line: Line, frame: Frame) -> tuple[float, float]:
    return extent(line, [Point(x * frame.scale_x, y * frame.scale_y) for x, y in part.outline])

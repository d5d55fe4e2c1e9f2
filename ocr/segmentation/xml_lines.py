"""Lines that PAGE or ALTO describes: "page.xml::l7" is the line l7 of page.xml, cut from its image.

    page.xml::l7  ->  page.xml  ->  the line l7: baseline, heights, outline  \
                                                                              cut_line -> signal
                      page.jpg  ->  grey levels of the page, kept a while    /

The functions take any source, and pass those that are no such line on to `ocr.signal` and `pages.segment`.
"""

import logging
import os
import re
import threading
from collections import OrderedDict
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from common.data.signal import Segment, Segmentation, Signal, Source
from common.files.source import source_file
from common.recognition.modality import ModelSteps
from common.text.document import Document, Line
from ocr import signal
from ocr.configuration import SegmentationConfig
from ocr.formats.xml.pages import is_xml, page_files, read_page
from ocr.segmentation import pages
from ocr.segmentation.cutting import cut_line, straight_line
from ocr.signal import SignalConfig, read_page_image

log = logging.getLogger(__name__)

PART = "::"
"""what stands between a file and the name of a line"""
NAMED = re.compile(r"(.+?\.xml)::(.+)", re.IGNORECASE | re.DOTALL)
KEPT_BYTES = 256 * 2**20
"""decoded pages are kept until they take so many bytes"""
KEPT_DOCUMENTS = 128


def read(source: Source, config: SignalConfig) -> Signal:
    """Return a line of an XML file or the line in an image; see `ocr.signal.read`.

    Raises:
        ValueError: the line or its page cannot be read.
    """
    if (named := _line_of_xml(source)) is None:
        return signal.read(source, config)
    file, name = named
    document = _document(file)
    return _cut(_image(document), _place(document, name), str(source), config)


def measure(source: Source) -> float:
    """Return width over height of a line; see `ocr.signal.measure`.

    Raises:
        ValueError: there is no such line or image.
    """
    if (named := _line_of_xml(source)) is None:
        return signal.measure(source)
    line = _place(_document(named[0]), named[1])
    if not line.length * (line.above + line.below) > 0:
        raise ValueError(f"{source}: has no length or no height; correct the line or leave it out")
    return line.length / (line.above + line.below)


def pack(source: str) -> tuple[str, bytes]:
    """Return the ending and the content of an image file that holds a line or a page of another file alone.

    It is what is read of the source: grey levels, as they are viewed; a line of an XML file is cut out and
    straight, at the resolution of its page.

    Raises:
        ValueError: the line or its page cannot be read.
    """
    if (named := _line_of_xml(source)) is None:
        image = Image.fromarray(read_page_image(source))
    else:
        document = _document(named[0])
        try:
            image = straight_line(_image(document), _place(document, named[1]))
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from error
    content = BytesIO()
    image.save(content, "PNG")
    return ".png", content.getvalue()


def expand(source: Source) -> list[Source]:
    """Return the readable sources in a file; the pages that a METS lists. See `ocr.signal.expand`."""
    if isinstance(source, str | Path) and is_xml(source):
        return list[Source](page_files(source))
    return signal.expand(source)


def segment(
    source: Source, config: SignalConfig, segmentation: SegmentationConfig, _: ModelSteps | None = None
) -> Segmentation:
    """Return the lines of an XML file as it has them, in its order, or those that are found in an image.

    A line that cannot be cut is left out, which is logged.

    Raises:
        ValueError: the file or its image cannot be read.
    """
    if not isinstance(source, str | Path) or not is_xml(source):
        return pages.segment(source, config, segmentation)
    notices = list[str]()
    document = read_page(source, notices.append)
    image, segments = _image(document), list[Segment]()
    for sentence in notices:
        log.warning("%s", sentence)
    if not document.passages:
        log.warning("%s: no line is in it", source)
    for passage in document.passages:
        assert isinstance(passage.place, Line), "pages have places of two dimensions"
        try:
            found = _cut(image, passage.place, f"{source}{PART}{passage.name}", config)
        except ValueError as error:
            log.warning("left out: %s", error)
            continue
        segments.append(Segment(found, passage.place, False, passage.region, passage.name))
    return Segmentation(segments, document.page)


def _line_of_xml(source: Source) -> tuple[str, str] | None:
    """Return the file and the name of the line that "page.xml::l7" names, or None for any other source."""
    if not isinstance(source, str | Path):
        return None
    found = NAMED.fullmatch(str(source))
    return (found[1], found[2]) if found else None


def _cut(page: np.ndarray, line: Line, name: str, config: SignalConfig) -> Signal:
    try:
        return cut_line(page, line, config)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _place(document: Document, name: str) -> Line:
    for passage in document.passages:
        if passage.name == name and isinstance(passage.place, Line):
            return passage.place
    raise ValueError(f"{document.source}: has no line {name!r} in its image; name another one")


def _image(document: Document) -> np.ndarray:
    """Return the grey levels (H, W) of a page."""
    if document.page is None or not document.page.image:
        raise ValueError(f"{document.source}: its image was not found; put it beside the file")
    return kept_images().read(document.page.image)


def _document(path: str) -> Document:
    """Return the page that an XML file describes; what is wrong in it was said when the corpus was read."""
    status = os.stat(path)
    return _kept_document(path, status.st_size, status.st_mtime_ns)


@lru_cache(KEPT_DOCUMENTS)
def _kept_document(path: str, _size: int, _mtime_ns: int) -> Document:
    return read_page(path, lambda _: None)


class Images:
    """The pages that were decoded last, up to KEPT_BYTES together; threads may share it."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._kept = OrderedDict[tuple[str, int, int], np.ndarray]()
        self._lock = threading.Lock()

    def read(self, path: str) -> np.ndarray:
        """Return the grey levels (H, W) of a page, uint8; ValueError if it cannot be read."""
        with self._lock:
            status = os.stat(source_file(path))
            key = (path, status.st_size, status.st_mtime_ns)
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            image = read_page_image(path)
            self._kept[key] = image
            while len(self._kept) > 1 and sum(one.nbytes for one in self._kept.values()) > self.most_bytes:
                self._kept.popitem(last=False)
            return image


@cache
def kept_images() -> Images:
    """Return the pages that this process keeps."""
    return Images(KEPT_BYTES)

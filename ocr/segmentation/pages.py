"""From an image to the lines on it."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from common.data.signal import Segment, Segmentation, Signal, Source
from common.text.document import Line, Page, Region
from ocr.configuration import SegmentationConfig
from ocr.formats.pdf_pages import is_pdf
from ocr.formats.text_layer import read_layer
from ocr.formats.xml.geometry import around
from ocr.segmentation.cutting import cut_line
from ocr.segmentation.finding.finder import Found, is_narrow, load_finder, turned_back
from ocr.segmentation.finding.order import Block, blocks_in_order
from ocr.segmentation.finding.outlines import outlined
from ocr.signal import SignalConfig, read, read_page_image
from ocr.source import locate, open_image, viewed_size

log = logging.getLogger(__name__)

LINE_SHAPE = 4.0
"""an image more than this many times as wide as high is a line"""
PAGE_PX = 200
"""an image less high than this is a line, whatever its width"""
HOW = {1: "lies with its top to the right", 2: "is upside down", 3: "lies with its top to the left"}
"""how a page lies that has to be turned to the left by so many quarter turns"""
LINE_SHARE = 0.4
"""a single line that takes this share of the height of its image is the whole image"""


def segment(source: Source, config: SignalConfig, segmentation: SegmentationConfig) -> Segmentation:
    """Return the lines of an image in reading order.

    An image many times wider than high is a line, any other one a page, unless `segmentation` decides. On a
    page without any writing no line is found. Without a model that finds lines every image is a line.

    Raises:
        ValueError: the image cannot be read, or is to be a line and shows none.
    """
    if segmentation.text_layer and (layer := _layer(source)) is not None:
        return layer
    model = _model(segmentation)
    if model is None:
        return _whole(source, config)
    with open_image(locate(source)) as image:
        (width_px, height_px), dpi = viewed_size(image), _dpi(image)
    by_shape = segmentation.segmentation == "auto"
    if by_shape and (width_px > LINE_SHAPE * height_px or height_px < PAGE_PX):
        return _whole(source, config)
    grey = read_page_image(source)
    height_px, width_px = grey.shape
    found = load_finder(model).find(grey)
    lines, blocks = _placed(found, segmentation.right_to_left)
    if by_shape and len(lines) == 1 and _fills(lines[0], width_px, height_px):
        return _whole(source, config)
    segments, regions = _cut(grey, lines, blocks, config)
    _warn(locate(source).name, found, segments, (width_px, height_px))
    file = str(source) if isinstance(source, str | Path) else ""
    return Segmentation(segments, Page(width_px, height_px, tuple(regions), file, dpi))


def _warn(name: str, found: Found, segments: Sequence[Segment], size: tuple[int, int]) -> None:
    """Say what is unusual about an image, `size` px wide and high, that was read as a page."""
    if found.turns:
        log.warning("%s: %s, and is read so; places are those of the image as it is", name, HOW[found.turns])
    elif is_narrow(found.lines, *size):
        shape = f"is {size[0]} px wide and {size[1]} px high, and no long line is found on it"
        log.warning("%s: %s; turn it if it is a line that lies on its side", name, shape)
    elif not segments:
        log.warning("%s: no line of writing is found on it", name)


def _layer(source: Source) -> Segmentation | None:
    """Return the lines of the text that a page of a PDF has itself, or None, which is said of a PDF."""
    place = locate(source)
    if (isinstance(place.file, Path) and not place.file.is_file()) or not is_pdf(place.file):
        return None
    document = read_layer(place.file, place.page or 0, place.name)
    if document is None:
        log.warning("%s: has no text layer, and is recognised", place.name)
        return None
    empty = Signal(np.zeros((0, 0), np.float32), 1.0)
    segments = [
        Segment(empty, one.place, False, one.region, one.name, one.transcript) for one in document.passages
    ]
    return Segmentation(segments, document.page)


def _whole(source: Source, config: SignalConfig) -> Segmentation:
    """Return an image as one line."""
    signal = read(source, config)
    height = signal.values.shape[1] * signal.unit_per_step  # a line is scaled alike in both directions
    page = Page(round(signal.length), round(height))
    return Segmentation([Segment(signal, Line.rectangle(signal.length, height), whole=True)], page)


def _model(segmentation: SegmentationConfig) -> str | None:
    """Return the file of the network that finds lines, or None if images are lines.

    Raises:
        ValueError: pages are to be cut and there is no such file.
    """
    if segmentation.segmentation == "line":
        return None
    model = segmentation.lines_model or Path(__file__).parents[1] / "models" / "lines.onnx"
    if model.is_file():
        return str(model)
    if segmentation.segmentation == "page" or segmentation.lines_model is not None:
        raise ValueError(f"{model}: is missing; name a model that finds lines with --lines-model")
    return None


def _dpi(image: Image.Image) -> float | None:
    """Return the resolution that a file states in pixels per inch, None for one that cannot be."""
    try:
        dpi = float(image.info["dpi"][0])
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError):
        return None
    return dpi if 30 <= dpi <= 4800 else None


def _placed(found: Found, right_to_left: bool) -> tuple[list[Line], list[Block]]:
    """Return the lines of a page, and its blocks in reading order."""
    lines = outlined(found.lines, *found.size)
    blocks = blocks_in_order(lines, right_to_left)
    return [turned_back(line, found.turns, found.size) for line in lines], blocks


def _cut(
    grey: np.ndarray, lines: Sequence[Line], blocks: Sequence[Block], config: SignalConfig
) -> tuple[list[Segment], list[Region]]:
    """Return the lines of a page, cut out in reading order, and its regions.

    Args:
        grey: (H, W) uint8, white 255.
        lines: in pixels of the page.
        blocks: in reading order.
        config: how a line becomes a signal.
    """
    segments, regions = list[Segment](), list[Region]()
    for number, block in enumerate(blocks, 1):
        name, parts = f"r{number}", list[Line]()
        for place in (lines[member] for member in block.lines):
            try:
                signal = cut_line(grey, place, config)
            except ValueError as error:
                log.debug("left out: %s", error)  # specks, and lines at the edge
                continue
            segments.append(Segment(signal, place, False, name, f"l{len(segments) + 1}"))
            parts.append(place)
        if parts:
            regions.append(Region(name, around(parts), block.kind))
    return segments, regions


def _fills(line: Line, width_px: int, height_px: int) -> bool:
    """Return whether a line takes so much of the height of its image that the image shows nothing else."""
    left, top, right, bottom = line.box
    return (bottom - top) >= LINE_SHARE * height_px and (right - left) >= LINE_SHARE * width_px

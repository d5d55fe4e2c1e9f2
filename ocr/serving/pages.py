"""The pages of an upload: whether they may be decoded at all, and which of them are wanted."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from PIL import Image

from common.data.signal import Source
from common.files.pipe import PipeContent
from common.serving.errors import RequestError, refused
from ocr.formats.pdf_pages import is_pdf
from ocr.serving.probe import pages_in_pdf
from ocr.signal import expand
from ocr.source import UNREADABLE, page_count

NAME = "file"
"""what the upload is called in messages"""
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "JPEG2000", "AVIF")
"""images that are opened; Pillow would pass others, such as EPS, to another program"""
MOST_PAGES = 500
MOST_PIXELS = 2_000_000_000
"""of all images of a file: a small file may say that it holds more, and is refused before it is decoded"""
RANGE = re.compile(r"\s*(\d{1,6})\s*(?:-\s*(\d{1,6})\s*)?")


class Pages(NamedTuple):
    """Pages of a file.

    sources: the ones that are wanted.
    numbers: theirs, counted from 0.
    total: how many pages the file has.
    """

    sources: list[Source]
    numbers: list[int]
    total: int


def pages_of(content: bytes, wanted: Sequence[int] | None) -> Pages:
    """Return the pages of an image file or a PDF.

    Args:
        content: of the file.
        wanted: numbers of the pages, counted from 0; None for all.

    Raises:
        ValueError: it is no such file, it is damaged, or has no such page.
        RequestError: it has too many pages or pixels.
    """
    if is_pdf(PipeContent(content, NAME)):
        count = pages_in_pdf(content, wanted, MOST_PAGES, NAME)
    else:
        count = _count_images(content)
    if wanted is not None and (missing := [number for number in wanted if number >= count]):
        raise refused("pages", f"pages: {missing[0]} is not there; the file has {count} pages, from 0 on")
    if (count if wanted is None else len(wanted)) > MOST_PAGES:
        message = f"{NAME}: has {count} pages, {MOST_PAGES} are taken; name some with pages"
        raise RequestError(413, message, NAME, "file_too_long")
    numbers = list(range(count) if wanted is None else wanted)
    pages = expand(PipeContent(content, NAME))
    return Pages([pages[number] for number in numbers], numbers, count)


def _count_images(content: bytes) -> int:
    """Return how many images a file holds.

    Raises:
        ValueError: it is no image of FORMATS.
        RequestError: its headers promise too many pixels.
    """
    try:
        with Image.open(PipeContent(content, NAME), formats=FORMATS) as image:
            count, pixels = page_count(image), 0
            for number in range(min(count, MOST_PAGES)):
                if number:
                    image.seek(number)
                pixels += image.width * image.height
                if image.format not in ("TIFF", "MPO"):  # all frames of an animation are as large
                    pixels *= count
                    break
    except Image.UnidentifiedImageError:
        raise ValueError(f"{NAME}: is neither a PDF nor an image of {', '.join(FORMATS)}") from None
    except UNREADABLE as error:
        cause = str(error) or type(error).__name__
        raise ValueError(f"{NAME}: cannot be read as an image ({cause}); is the file whole?") from None
    if pixels > MOST_PIXELS:
        message = f"{NAME}: has {pixels:,} pixels, {MOST_PIXELS:,} are taken; split it"
        raise RequestError(413, message, NAME, "file_too_large")
    return count


def page_numbers(given: Any) -> list[int] | None:
    """Return the numbers of wanted pages: of a list of integers, or of a text such as "0-2,5"; None for all.

    Raises:
        RequestError: it is something else.
    """
    if given is None:
        return None
    parts = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else [given]
    numbers = list[int]()
    for part in parts:
        found = RANGE.fullmatch(str(part)) if not isinstance(part, bool | float) else None
        if found is None:
            raise refused("pages", "pages: give numbers from 0 on, as in [0, 1] or 0-2,5")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first or last - first >= MOST_PAGES:
            raise refused("pages", f"pages: {first}-{last} is no range of at most {MOST_PAGES} pages")
        numbers += range(first, last + 1)
    if not numbers or len(set(numbers)) < len(numbers):
        raise refused("pages", "pages: name one or more, each of them once")
    return numbers

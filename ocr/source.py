"""Image files and PDFs, opened: which page of the file is wanted, and its size as it is viewed.

Pillow raises many kinds of error for a broken file. Here they become a ValueError that names the file.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, NamedTuple

from PIL import Image, UnidentifiedImageError

from common.data.signal import Source
from common.files.pipe import content_of, is_pipe
from common.files.source import stored
from ocr.formats.pdf_pages import count_pages as count_pdf_pages
from ocr.formats.pdf_pages import is_pdf, no_such_page, render

ORIENTATION = 0x0112
"""EXIF tag of the orientation; images of 5 to 8 are viewed with width and height exchanged"""
UNREADABLE = (
    Image.DecompressionBombError,
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
)
"""errors that Pillow raises for broken files"""


class Place(NamedTuple):
    """The place of an image: a file or a stream, one of its pages or None, and a name for messages."""

    file: Path | BinaryIO
    page: int | None
    name: str


def locate(source: Source) -> Place:
    """Return the place that `source` names; "scan.tif[2]" is page 2 of scan.tif, counted from 0."""
    if not isinstance(source, str | Path):
        name = str(getattr(source, "name", "the stream"))
        page = getattr(source, "page", None)
        return Place(source if source.seekable() else io.BytesIO(source.read()), page, name)
    if (content := stored(source)) is not None:
        return Place(content, content.page, content.name)
    path, name = Path(source), str(source)
    if is_pipe(path):
        return Place(content_of(path), None, name)
    match = re.fullmatch(r"(.+)\[(\d+)\]", name)
    if match and not path.exists():  # a file may well be called "scan[2].png"
        return Place(Path(match[1]), int(match[2]), name)
    return Place(path, None, name)


@contextmanager
def open_image(place: Place, any_page: bool = False) -> Iterator[Image.Image]:
    """Open the image at `place`, at the wanted page.

    Only the header of an image is read; a page of a PDF is rendered.

    Args:
        place: the file or stream, and the page.
        any_page: accept a file of several pages although `place` names none.

    Raises:
        ValueError: there is no such file or page, or Pillow cannot read it, now or while it is open.
    """
    if isinstance(place.file, Path) and not place.file.is_file():
        what = "is a folder" if place.file.is_dir() else "does not exist"
        raise ValueError(f"{place.name}: {what}; an image or PDF was wanted")
    try:
        if is_pdf(place.file):
            if place.page is None and (pages := count_pdf_pages(place.file, place.name)) > 1:
                raise _several_pages(place, pages)
            yield render(place.file, place.page or 0, place.name)
            return
        with _bytes(place.file) as file, Image.open(_recognised(place.file, file)) as image:
            pages = page_count(image)
            if place.page is not None:
                if place.page >= pages:
                    raise no_such_page(place.name, pages)
                image.seek(place.page)
            elif pages > 1 and not any_page:
                raise _several_pages(place, pages)
            yield image
    except UnidentifiedImageError as error:
        raise ValueError(f"{place.name}: {_content(place.file)}; an image or PDF was wanted") from error
    except UNREADABLE as error:
        if isinstance(error, ValueError) and str(error).startswith(f"{place.name}: "):
            raise  # one of our own messages
        raise ValueError(f"{place.name}: {_fault(error)}") from error


def _fault(error: Exception) -> str:
    """Return what an error of Pillow says about an image."""
    if isinstance(error, Image.DecompressionBombError):
        most = Image.MAX_IMAGE_PIXELS or 0
        return f"has more pixels than the {most:,} that are allowed; scale it down, or cut it into parts"
    cause = str(error) or type(error).__name__
    return f"cannot be read as an image ({cause}); is the file whole?"


def count_pages(place: Place) -> int:
    """Return the number of pages in the file at `place`.

    Raises:
        ValueError: there is no such file, or it is neither an image nor a PDF.
    """
    if (not isinstance(place.file, Path) or place.file.is_file()) and is_pdf(place.file):
        return count_pdf_pages(place.file, place.name)
    with open_image(place, any_page=True) as image:
        return page_count(image)


def _several_pages(place: Place, pages: int) -> ValueError:
    """Return the error for a file of several pages of which none is named."""
    example = f"{place.name if isinstance(place.file, Path) else 'FILE'}[0]"
    remedy = "name one" if isinstance(place.file, Path) else "write it to a file and name one"
    return ValueError(f"{place.name}: has {pages} pages, one was wanted; {remedy}, as in {example}")


def _bytes(file: Path | BinaryIO) -> AbstractContextManager[BinaryIO]:
    return file.open("rb") if isinstance(file, Path) else nullcontext(file)


def _recognised(file: Path | BinaryIO, content: BinaryIO) -> Path | BinaryIO:
    """Return what Pillow should open: the path, whose suffix tells it which plugin to load, or `content`.

    A TIFF is opened by its content: given a path, Pillow maps the file into memory and exchanges the sides of
    an image that is rotated by 90 degrees.
    """
    if not isinstance(file, Path):
        return content
    start = content.read(2)
    content.seek(0)
    return content if start in (b"II", b"MM") else file


def _content(file: Path | BinaryIO) -> str:
    """Describe the content of a file that is not an image, for a message."""
    with _bytes(file) as content:
        content.seek(0)
        start = content.read(16)
    return f"is not an image Pillow knows (it starts with {start!r})" if start else "is empty"


def page_count(image: Image.Image) -> int:
    """Return the number of pages; the pictures inside an MPO (depth, gain map) are not pages."""
    return 1 if image.format == "MPO" else getattr(image, "n_frames", 1)


def viewed_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height in pixels after EXIF rotation (Pillow exchanges those of a TIFF by itself)."""
    width_px, height_px = image.size
    if image.format != "TIFF" and image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8):
        return height_px, width_px
    return width_px, height_px

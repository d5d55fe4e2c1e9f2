"""Pages of a PDF as images, by PDFium (pypdfium2)."""

import logging
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from PIL import Image

from common.command_line.counting import counted

PDFIUM = threading.Lock()
"""PDFium may be called by one thread at a time"""
POINTS_PER_INCH = 72
USUAL_DPI, LOWEST_DPI, HIGHEST_DPI = 300.0, 100.0, 600.0
"""resolutions at which a page is rendered"""
SCANNED = 0.6
"""a page is a scan if one image covers this share of it; it is rendered at the resolution of the image"""
MOST_PIXELS = 60_000_000
"""larger pages are rendered at a lower resolution"""
BARELY_LESS = 1 - 1e-5
"""PDFium rounds sizes up; without this, a scan 2480 px wide would become 2481 px wide"""
START_BYTES = 1024
"""the mark of a PDF may stand anywhere in the first bytes of the file (ISO 32000-1, annex H)"""
Matrix = tuple[float, float, float, float, float, float]


class Shown(NamedTuple):
    """A page of a PDF that is open, and the image that it becomes.

    page: a pypdfium2.PdfPage.
    dpi: pixels per inch of the image.
    width_px, height_px: of the image.
    matrix: maps pixels of the image to coordinates of the page, see `page_matrix`.
    """

    page: Any
    dpi: float
    width_px: int
    height_px: int
    matrix: Matrix


def is_pdf(file: Path | BinaryIO) -> bool:
    """Return whether a file or stream is a PDF, by its first bytes; a stream is left at its start."""
    if isinstance(file, Path):
        with file.open("rb") as stream:
            return b"%PDF-" in stream.read(START_BYTES)
    file.seek(0)
    start = file.read(START_BYTES)
    file.seek(0)
    return b"%PDF-" in start


def pikepdf_module() -> Any:
    """Return pikepdf, which would announce its logging on standard error."""
    logging.getLogger("pikepdf").setLevel(logging.WARNING)
    import pikepdf

    return pikepdf


def count_pages(file: Path | BinaryIO, name: str) -> int:
    """Return the number of pages of a PDF.

    Raises:
        ValueError: it is encrypted or damaged, or has no page.
    """
    with PDFIUM, _opened(file, name) as pdf:
        return len(pdf)


def no_such_page(name: str, pages: int) -> ValueError:
    """Return the error for a page that a file does not have."""
    return ValueError(f"{name}: is not there; the file has {counted(pages, 'page')}, counted from 0")


def render(file: Path | BinaryIO, page: int, name: str) -> Image.Image:
    """Return a page as an image of mode L or RGB, as it is viewed; `info["dpi"]` has its resolution.

    A scanned page is rendered at the resolution of its scan, any other one at 300 pixels per inch.

    Args:
        file: the PDF.
        page: the number of the page, counted from 0.
        name: the name of the page for messages.

    Raises:
        ValueError: the PDF is encrypted or damaged, or has no such page.
    """
    with PDFIUM, opened_page(file, page, name) as shown:
        scale = _scale(shown.dpi)
        image = shown.page.render(scale=scale, may_draw_forms=False).to_pil().convert("RGB")
    image.info["dpi"] = (shown.dpi, shown.dpi)
    return image


@contextmanager
def opened_page(file: Path | BinaryIO, page: int, name: str) -> Iterator[Shown]:
    """Open a page; the caller holds PDFIUM. Arguments and errors are those of `render`."""
    with _opened(file, name) as pdf:
        if page >= len(pdf):
            raise no_such_page(name, len(pdf))
        shown = pdf[page]
        width, height = shown.get_size()
        most = (MOST_PIXELS / max(width * height, 1e-6)) ** 0.5 * POINTS_PER_INCH
        dpi = min(_resolution(shown, width * height), most)
        size = math.ceil(width * _scale(dpi)), math.ceil(height * _scale(dpi))
        yield Shown(shown, dpi, *size, _matrix(shown, *size))


def page_matrix(file: Path | BinaryIO, page: int, width_px: int, height_px: int) -> Matrix:
    """Return the matrix that maps pixels of a rendered page to the coordinates of the page in the PDF.

    A point (u, v) from the upper left corner of the viewed page is (a u + c v + e, b u + d v + f).
    """
    with PDFIUM, _opened(file, str(getattr(file, "name", file))) as pdf:
        return _matrix(pdf[page], width_px, height_px)


def _matrix(shown: Any, width_px: int, height_px: int) -> Matrix:
    left, bottom, right, top = shown.get_bbox()
    rotation = shown.get_rotation()
    wide, high = (right - left, top - bottom) if rotation in (0, 180) else (top - bottom, right - left)
    h, v = wide / width_px, high / height_px  # points per pixel
    return {
        0: (h, 0.0, 0.0, -v, left, top),
        90: (0.0, h, v, 0.0, left, bottom),
        180: (-h, 0.0, 0.0, v, right, bottom),
        270: (0.0, -h, -v, 0.0, right, top),
    }[rotation]


def _scale(dpi: float) -> float:
    """Return pixels per point, as PDFium takes it."""
    return dpi / POINTS_PER_INCH * BARELY_LESS


def _resolution(page: Any, area: float) -> float:
    """Return the resolution of the scan that covers a page of `area` square points, or the usual one."""
    from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

    for image in page.get_objects(filter=[FPDF_PAGEOBJ_IMAGE]):
        left, bottom, right, top = image.get_bounds()
        covered = (right - left) * (top - bottom)
        if covered > SCANNED * area:
            width, height = image.get_px_size()
            dpi = (width * height / covered) ** 0.5 * POINTS_PER_INCH
            return min(max(dpi, LOWEST_DPI), HIGHEST_DPI)
    return USUAL_DPI


@contextmanager
def _opened(file: Path | BinaryIO, name: str) -> Iterator[Any]:
    import pypdfium2

    if not isinstance(file, Path):
        file.seek(0)
    try:
        pdf = pypdfium2.PdfDocument(file if isinstance(file, Path) else file.read())
    except pypdfium2.PdfiumError:
        raise ValueError(f"{name}: {_fault(file)}") from None
    try:
        yield pdf
    except pypdfium2.PdfiumError as error:
        raise ValueError(f"{name}: cannot be read as a PDF ({error}); is the file whole?") from None
    finally:
        pdf.close()


def _fault(file: Path | BinaryIO) -> str:
    """Return what is wrong with a PDF that PDFium does not open; PDFium confuses the causes."""
    pikepdf = pikepdf_module()
    if not isinstance(file, Path):
        file.seek(0)
    try:
        with pikepdf.open(file) as pdf:
            count = len(pdf.pages)
    except pikepdf.PasswordError:
        return "is encrypted; save it without a password first"
    except (pikepdf.PdfError, OSError) as error:
        return f"cannot be read as a PDF ({' '.join(str(error).split())}); is the file whole?"
    return "cannot be read as a PDF; is the file whole?" if count else "is a PDF without pages; add one"

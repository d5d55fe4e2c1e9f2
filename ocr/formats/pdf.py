"""Searchable PDF: the images of the pages as they are, and the text under them, which is not painted.

scan.jpg    a page of the size of the image; the JPEG itself is passed through
book.pdf    the pages of the PDF as they are, with the text under what is on them, in place of invisible
            text that was there; text that a page shows stays, and is not written again
"""

import dataclasses
import logging
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from common.files.pipe import PipeContent
from common.text.document import Document, Line, Passage
from ocr.formats.pdf_pages import Matrix, is_pdf, page_matrix, pikepdf_module
from ocr.formats.pdf_text import Text
from ocr.formats.pdf_unseen import remove_invisible_text
from ocr.formats.text_layer import painted_lines
from ocr.formats.xml.pages import is_xml
from ocr.source import ORIENTATION, Place, locate, open_image, viewed_size

log = logging.getLogger(__name__)

POINTS_PER_INCH = 72
USUAL_DPI = 300.0
"""resolution of an image that does not know its own"""
LEAST_DPI, MOST_DPI = 30.0, 5000.0
"""a resolution outside of these is a placeholder, such as 1"""
PAINTED = 0.5
"""a line is text of the PDF if more than this share of its width is"""
COLOUR_SPACES = {"L": "/DeviceGray", "RGB": "/DeviceRGB"}
ORIENTED: dict[int, Matrix] = {
    1: (1, 0, 0, 1, 0, 0),
    2: (-1, 0, 0, 1, 1, 0),
    3: (-1, 0, 0, -1, 1, 1),
    4: (1, 0, 0, -1, 0, 1),
    5: (0, -1, -1, 0, 1, 1),
    6: (0, -1, 1, 0, 0, 1),
    7: (0, 1, 1, 0, 0, 0),
    8: (0, 1, -1, 0, 1, 0),
}
"""how the unit square of a stored image lies on the page for each orientation of EXIF: x and y of the point
(u, v) from the lower left corner are a u + c v + e and b u + d v + f"""


class PdfBook:
    """A searchable PDF of the pages of one file.

    Args:
        file: an image or a PDF, or the content of one.

    Raises:
        ValueError: it is no file, so that its images cannot be had again.
    """

    def __init__(self, file: str | PipeContent) -> None:
        self.file = Path(file) if isinstance(file, str) else file
        if isinstance(self.file, Path) and not self.file.is_file():
            raise ValueError(f"{file}: is no file, and a PDF needs its image again; write it to a file")
        self._over = is_pdf(self.file)
        self._text = Text()
        self._pages: dict[str, bytes] = {}
        self._images: dict[str, str] = {}

    def expect(self, source: str) -> None:
        """Note that the file is to have this page, in this order."""
        self._pages[source] = b""

    def add(self, document: Document) -> None:
        """Add the text of a page; only the operators that show it are kept."""
        if self._over:
            page = document.page
            assert page is not None, "a page of a PDF knows its size"
            if page.has_text:
                self._pages[document.source] = b" "  # it is in the file already
                return
            matrix = page_matrix(self.file, _number(document.source), page.width_px, page.height_px)
            document = self._new(document)
        else:
            if isinstance(self.file, Path) and is_xml(document.source) and document.page is not None:
                self._images[document.source] = document.page.image
            with open_image(self._image(document.source)) as image:
                scale = POINTS_PER_INCH / _resolution(image)
                matrix = (scale, 0.0, 0.0, -scale, 0.0, viewed_size(image)[1] * scale)
        self._pages[document.source] = self._text.content(document, matrix)

    def _new(self, document: Document) -> Document:
        """Return a document without the lines that its page has as text already; their number is said."""
        painted = painted_lines(self.file, _number(document.source), document.source)
        new = tuple(one for one in document.passages if not _is_among(one, painted))
        if known := len(document.passages) - len(new):
            log.warning(
                "%s: lines whose text the PDF has stay as they are: %d of %d; to take all text from the PDF, "
                "say --text-layer",
                document.source,
                known,
                len(document.passages),
            )
        return dataclasses.replace(document, passages=new)

    def write(self, path: Path | BinaryIO) -> None:
        """Write the pages that were expected; those whose text did not come are as they were.

        Raises:
            ValueError: no text came, the file cannot be read any more, or `path` is the PDF that is read.
        """
        name = str(self.file) if isinstance(self.file, Path) else self.file.name
        if not any(self._pages.values()):
            raise ValueError(f"{path}: is not written, since no page of {name} could be transcribed")
        on_disk = isinstance(path, Path) and isinstance(self.file, Path)
        if on_disk and path.exists() and path.samefile(self.file):  # type: ignore[union-attr, arg-type]
            raise ValueError(f"{path}: is the file that is read; name another --output-dir")
        with _opened(self.file if self._over else None, name) as pdf:
            fonts = self._text.fonts(pdf)
            if self._over:
                self._write_over(pdf, fonts)
            else:
                for source, content in self._pages.items():
                    with suppress(ValueError):  # an image that cannot be read has been named
                        add_image_page(pdf, self._image(source), content)
                for page in pdf.pages:
                    page.Resources.Font = fonts
            pdf.docinfo["/Producer"] = "amanuensis"
            pdf.save(path)

    def _image(self, source: str) -> Place:
        """Return the image of a source: the source itself, or what its PAGE or ALTO file names."""
        if isinstance(self.file, Path):
            return locate(self._images.get(source, source))
        return Place(PipeContent(self.file.getvalue(), source), locate(source).page, source)

    def _write_over(self, pdf: Any, fonts: Any) -> None:
        """Put the texts under the pages of the PDF that was read, and remove those not asked for."""
        from pikepdf import Name

        texts = {_number(source): content for source, content in self._pages.items()}
        for number in range(len(pdf.pages) - 1, -1, -1):
            if number not in texts:
                del pdf.pages[number]
            elif text := texts[number].strip():
                page = pdf.pages[number]
                remove_invisible_text(pdf, page)
                name = page.add_resource(_drawing(pdf, page, text, fonts), Name.XObject)
                page.contents_add(pdf.make_stream(b"q\n"), prepend=True)
                page.contents_add(
                    pdf.make_stream(f"\nQ q {name} Do Q\n".encode())
                )  # undoes what state is left


def _is_among(passage: Passage, painted: Sequence[Line]) -> bool:
    """Return whether most of a line of a page lies on lines of text that the page shows."""
    assert isinstance(passage.place, Line), "pages have lines"
    left, top, right, bottom = passage.place.box
    covered = 0.0
    for x0, y0, x1, y1 in (line.box for line in painted):
        if y0 <= (top + bottom) / 2 <= y1:
            covered += max(min(right, x1) - max(left, x0), 0.0)
    return covered > PAINTED * (right - left)


def _drawing(pdf: Any, page: Any, text: bytes, fonts: Any) -> Any:
    """Return operators as an object of their own, whose fonts have names of their own."""
    from pikepdf import Dictionary, Name

    return pdf.make_stream(
        text, Type=Name.XObject, Subtype=Name.Form, BBox=page.mediabox, Resources=Dictionary(Font=fonts)
    )


def _number(source: str) -> int:
    """Return the page of a PDF that a source names, counted from 0."""
    return locate(source).page or 0


@contextmanager
def _opened(file: Path | BinaryIO | None, name: str) -> Iterator[Any]:
    """Open a PDF, or make a new one."""
    pikepdf = pikepdf_module()
    try:
        with pikepdf.new() if file is None else pikepdf.open(file) as pdf:
            yield pdf
    except pikepdf.PasswordError:
        raise ValueError(f"{name}: is encrypted; save it without a password first") from None
    except pikepdf.PdfError as error:
        raise ValueError(f"{name}: cannot be read as a PDF ({error}); is the file whole?") from error


def add_image_page(pdf: Any, place: Place, content: bytes) -> None:
    """Add a page with an image to `pdf`: a JPEG as it is, any other image pixel by pixel.

    Args:
        pdf: a pikepdf.Pdf.
        place: the image.
        content: operators that show the text, in points from the lower left corner of the image.
    """
    from pikepdf import Array, Dictionary, Name, Page

    with open_image(place) as image:
        scale = POINTS_PER_INCH / _resolution(image)
        width, height = (pixels * scale for pixels in viewed_size(image))
        turned = ORIENTED[1 if image.format == "TIFF" else image.getexif().get(ORIENTATION, 1)]
        stored = _stored(pdf, image, place.file)
    a, b, c, d, e, f = turned
    placed = (a * width, b * height, c * width, d * height, e * width, f * height)
    drawn = f"q {' '.join(f'{value:.4f}' for value in placed)} cm /Image Do Q\n".encode()
    pdf.pages.append(
        Page(
            pdf.make_indirect(
                Dictionary(
                    Type=Name.Page,
                    MediaBox=Array([0, 0, round(width, 4), round(height, 4)]),
                    Resources=Dictionary(XObject=Dictionary(Image=stored)),
                    Contents=pdf.make_stream(drawn + content),
                )
            )
        )
    )


def _stored(pdf: Any, image: Image.Image, file: Path | BinaryIO) -> Any:
    """Return the image as an object of a PDF, with the size that is stored in its file."""
    from pikepdf import Name

    if image.format == "JPEG" and image.mode in COLOUR_SPACES and isinstance(file, Path | PipeContent):
        content = file.read_bytes() if isinstance(file, Path) else file.getvalue()
        stored = pdf.make_stream(content, Filter=Name.DCTDecode)
        mode = image.mode
    else:
        image.load()
        if image.mode not in ("1", "I;16", *COLOUR_SPACES):
            if image.has_transparency_data:
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
            image = image.convert("L" if image.mode in ("I", "F") else "RGB")
        mode = image.mode
        pixels = image.tobytes("raw", "I;16B" if mode == "I;16" else mode)
        stored = pdf.make_stream(zlib.compress(pixels), Filter=Name.FlateDecode)
    stored.Type, stored.Subtype = Name.XObject, Name.Image
    stored.Width, stored.Height = image.size
    stored.ColorSpace = Name(COLOUR_SPACES.get(mode, "/DeviceGray"))
    stored.BitsPerComponent = {"1": 1, "I;16": 16}.get(mode, 8)
    return stored


def _resolution(image: Image.Image) -> float:
    """Return the resolution of an image in pixels per inch, or the usual one if it states none."""
    stated = float(image.info.get("dpi", (0, 0))[0])
    return stated if LEAST_DPI <= stated <= MOST_DPI else USUAL_DPI

"""The names of the formats of pages, and the functions that write them, imported when one is wanted."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from common.recognition.modality import Book
from common.text.document import Document
from ocr.configuration import FormatConfig

FORMATS = {
    "alto": "ALTO 4.4, one file STEM.alto.xml a page",
    "page": "PAGE XML 2019-07-15, one file STEM.page.xml a page",
    "hocr": "a page as XHTML with boxes",
    "pdf": "the pages of a file as they are, with the text to be searched and copied",
}
"""formats beside those of `common.text.formats`, by the ending of their files"""
ENDINGS = {"alto": "alto.xml", "page": "page.xml"}
"""endings of formats that are named otherwise: both would be STEM.xml"""
BOOK_FORMATS = frozenset({"pdf"})
"""formats of which one file holds all pages"""


def writer(name: str, settings: FormatConfig, _phrases: Sequence[str]) -> Callable[[Document], str | bytes]:
    """Return the function that writes a document in a format of one file a page."""
    from ocr.formats.alto_writer import to_alto
    from ocr.formats.hocr import to_hocr
    from ocr.formats.page_xml_writer import to_page_xml

    writers: dict[str, Callable[[Document], str]] = {
        "alto": partial(to_alto, characters=settings.with_characters),
        "hocr": to_hocr,
        "page": partial(to_page_xml, characters=settings.with_characters),
    }
    write = writers[name]
    if not settings.language:
        return write
    return lambda document: write(replace(document, language=settings.language))


def book(name: str, file: str) -> Book:
    """Return the book of a file in a format of one file for all pages.

    Raises:
        ValueError: the file cannot be read a second time.
    """
    from ocr.formats.pdf import PdfBook

    return {"pdf": PdfBook}[name](file)

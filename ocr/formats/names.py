"""The names of the formats of pages, and the functions that write them, imported when one is wanted."""

from collections.abc import Callable, Sequence

from common.recognition.modality import Book
from common.text.document import Document

FORMATS = {
    "hocr": "a page as XHTML with boxes",
    "pdf": "the pages of a file as they are, with the text to be searched and copied",
}
"""formats beside those of `common.text.formats`, by the ending of their files"""
BOOK_FORMATS = frozenset({"pdf"})
"""formats of which one file holds all pages"""


def writer(name: str, _settings: object, _phrases: Sequence[str]) -> Callable[[Document], str | bytes]:
    """Return the function that writes a document in a format of one file a page; there are no settings."""
    from ocr.formats.hocr import to_hocr

    return {"hocr": to_hocr}[name]


def book(name: str, file: str) -> Book:
    """Return the book of a file in a format of one file for all pages.

    Raises:
        ValueError: the file cannot be read a second time.
    """
    from ocr.formats.pdf import PdfBook

    return {"pdf": PdfBook}[name](file)

"""XML files of pages, whatever their format: PAGE, ALTO, and METS, which lists such files."""

import logging
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree.ElementTree import Element

from common.text.document import Document
from ocr.formats import alto, page_xml
from ocr.formats.xml.xml_file import parse_xml

log = logging.getLogger(__name__)

XML_SUFFIX = ".xml"


class ListOfPagesError(ValueError):
    """A file is METS, which lists pages, where one page was wanted."""


def is_xml(path: str | Path) -> bool:
    """Return whether a file is XML, by its name."""
    return str(path).lower().endswith(XML_SUFFIX)


def read_page(path: str | Path, notice: Callable[[str], None] = log.warning) -> Document:
    """Return the page that a file of PAGE or ALTO describes; see `read_page_xml` and `read_alto`.

    Raises:
        ListOfPagesError: the file is METS.
        ValueError: the file is neither, or is damaged or unsafe, or describes no page.
    """
    root = parse_xml(path)
    if root.tag == "mets":
        raise ListOfPagesError(
            f"{path}: is METS, a list of pages, where one page was wanted; name PAGE or ALTO"
        )
    read = alto.page_of if root.tag == "alto" else page_xml.page_of
    return read(root, path, notice)


def page_files(path: str | Path) -> list[str]:
    """Return the files of pages that a METS file lists, or the file itself if it is none.

    Of several groups of files the last one with pages is taken, the result of the last step of OCR-D.

    Raises:
        ValueError: the file is not well-formed XML, or a METS file that lists no page that is there.
    """
    root = parse_xml(path)
    if root.tag != "mets":
        return [str(path)]
    groups = [found for group in root.iter("fileGrp") if (found := _listed(group, Path(path).parent))]
    if not groups:
        raise ValueError(f"{path}: lists no PAGE or ALTO file that is there; name the files of the pages")
    return groups[-1]


def _listed(group: Element, folder: Path) -> list[str]:
    """Return the XML files of a group that exist, as paths."""
    names = [location.get("href", "") for location in group.iterfind("file/FLocat")]
    paths = [folder / unquote(urlsplit(name).path if "://" in name else name) for name in names]
    return [str(file) for file in dict.fromkeys(paths) if is_xml(file) and file.is_file()]

"""The lines of pages with PAGE or ALTO files, as examples to train, measure and align."""

import logging
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from common.data.manifest import Corpus, Example
from common.text.document import Document
from ocr.formats.xml.pages import ListOfPagesError, read_page
from ocr.segmentation.xml_lines import PART

log = logging.getLogger(__name__)

SHOWN = 20
"""number of notices that are logged; the others are counted"""


class Pages(NamedTuple):
    """The examples of some pages, the real paths of their images, and how many pages were found."""

    corpus: Corpus
    images: frozenset[str]
    found: int


def read_pages(files: Sequence[str]) -> Pages:
    """Return the lines that have a text; blanks at the ends of texts are not part of them.

    What is wrong in files that are used all the same is logged, and so is the number of lines without text.
    Problems are: a file that is no page or is damaged, a page whose image is missing, a second file of the
    same image. METS files, which list others, are passed over.

    Args:
        files: XML files.
    """
    examples, problems, notices = list[Example](), list[str](), list[str]()
    images, lines = dict[str, str](), 0
    for file in files:
        found = list[str]()
        try:
            document = read_page(file, found.append)
        except ListOfPagesError:
            continue
        except ValueError as error:
            problems.append(str(error))
            continue
        image = document.page.image if document.page is not None else ""
        if not image:
            problems.append(
                f"{file}: its image was not found beside it or in the folders around; put it there"
            )
        elif (first := images.setdefault(os.path.realpath(image), file)) != file:
            problems.append(f"{file}: is about the same image as {first}, which is used; keep one of them")
        else:
            notices += found
            lines += len(document.passages)
            examples += _examples(document, file)
    for sentence in notices[:SHOWN]:
        log.warning("%s", sentence)
    if len(notices) > SHOWN:
        log.warning("%d more notices of these kinds", len(notices) - SHOWN)
    if lines > len(examples):
        log.info("%d of %d lines of pages have no text and are left out", lines - len(examples), lines)
    return Pages(Corpus(examples, problems), frozenset(images), len(images))


def _examples(document: Document, file: str) -> Iterator[Example]:
    """Yield the lines of a page that have a text."""
    for passage in document.passages:
        text = passage.transcript.text.strip()
        if text:
            yield Example(f"{file}{PART}{passage.name}", text)

"""Documents in the shape of Mistral's interface, with lines, boxes and confidences in addition."""

import re
from collections.abc import Sequence
from typing import Any

from common.text.document import Document, Line, Passage, Point
from common.text.transcript import Word
from ocr.serving.pages import Pages

USUAL_DPI = 300
"""resolution of an image that does not state its own, as the searchable PDF has it"""
PAGE_BREAK = "\f"
"""stands between pages in plain text"""
SPECIAL = re.compile(r"([\\`*_\[\]<])")
OPENING = re.compile(r"^(\s*)(#{1,6}(?=\s)|[>+-](?=\s|$)|={3,}|-{3,}|~{3,})")
NUMBERED = re.compile(r"^(\s*\d{1,9})([.)])(?=\s)")


def to_json(
    documents: Sequence[Document], found: Pages, name: str, pictures: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the answer of the format json.

    Args:
        documents: the pages.
        found: where they are in the file.
        name: of the model.
        pictures: of the pages, as data: addresses; () if they are not wanted.
    """
    pages = [
        {"index": number, "text": document.text} | _described(document)
        for number, document in zip(found.numbers, documents, strict=True)
    ]
    for page, picture in zip(pages, pictures, strict=False):
        page["picture"] = picture
    return {"model": name, "text": to_text(documents), "page_count": found.total, "pages": pages}


def to_text(documents: Sequence[Document]) -> str:
    """Return the lines of all pages, with a form feed between two pages."""
    return PAGE_BREAK.join(f"{document.text}\n" for document in documents)


def to_mistral(
    documents: Sequence[Document], numbers: Sequence[int], name: str, size_bytes: int
) -> dict[str, Any]:
    """Return the answer after Mistral's interface; see `to_json`. `size_bytes` is that of the file."""
    pages = [
        {"index": number, "markdown": to_markdown(document), "images": []} | _described(document)
        for number, document in zip(numbers, documents, strict=True)
    ]
    usage = {"pages_processed": len(pages), "doc_size_bytes": size_bytes}
    return {"model": name, "pages": pages, "document_annotation": None, "usage_info": usage}


def to_markdown(document: Document) -> str:
    """Return the lines of a page as Markdown, with an empty line between two regions."""
    blocks, region = list[list[str]](), None
    for passage in document.passages:
        if not blocks or passage.region != region:
            blocks.append([])
        region = passage.region
        if passage.transcript.text:
            blocks[-1].append(_escaped(passage.transcript.text))
    return "\n\n".join("\n".join(lines) for lines in blocks if lines)


def _escaped(text: str) -> str:
    """Return Markdown that shows a text as it is."""
    text = SPECIAL.sub(r"\\\1", text)
    return NUMBERED.sub(r"\1\\\2", OPENING.sub(r"\1\\\2", text))


def _described(document: Document) -> dict[str, Any]:
    """Return the size of a page and its lines."""
    page = document.page
    assert page is not None, "images have a size"
    sides = {"width": page.width_px, "height": page.height_px}
    dimensions = {"dpi": round(page.dpi) if page.dpi else USUAL_DPI, **sides}
    regions = [{"name": one.name, "kind": one.kind, "outline": _points(one.outline)} for one in page.regions]
    lines = [_line(passage) for passage in document.passages]
    about = {"language": document.language, "has_text": page.has_text}
    return {"dimensions": dimensions, **about, "regions": regions, "lines": lines}


def _line(passage: Passage) -> dict[str, Any]:
    place, transcript = passage.place, passage.transcript
    assert isinstance(place, Line), "lines have places of two dimensions"
    return {
        "id": passage.name,
        "region": passage.region,
        "text": transcript.text,
        "confidence": float(transcript.confidence),
        "box": _numbers(place.box),
        "baseline": _points(place.baseline),
        "above": round(float(place.above), 2),
        "below": round(float(place.below), 2),
        "polygon": _points(place.polygon),
        "words": [_word(passage, word) for word in transcript.words],
    }


def _word(passage: Passage, word: Word) -> dict[str, Any]:
    place = passage.place_of(word)
    assert isinstance(place, Line), "lines have places of two dimensions"
    start, end = _numbers((word.start, word.end))
    along = {"start": start, "end": end}
    return {"text": word.text, "confidence": float(word.confidence), "box": _numbers(place.box)} | along


def _points(points: Sequence[Point]) -> list[list[float]]:
    return [_numbers(point) for point in points]


def _numbers(values: Sequence[float]) -> list[float]:
    return [round(float(value), 2) for value in values]

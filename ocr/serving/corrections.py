"""Pages that were answered as JSON come back corrected, and become documents that every format writes.

answered   | teh |   | quick |   | fxo |          words with their places along the baseline
corrected  | the |   | quick |   |brown| |fox|    a word that stayed keeps its place; others share what
                                                  the words had that stood there before
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

from rapidfuzz.distance import Levenshtein

from common.serving.errors import refused
from common.text.direction import is_right_to_left
from common.text.document import Document, Line, Page, Passage, Point, Region
from common.text.transcript import Transcript, Word
from ocr.serving.pages import NAME, page_numbers, pages_of
from ocr.serving.parameters import Corrected

MOST_TEXT = 10_000
"""characters of a line"""
MOST_WORDS = 2_000
"""words of a line"""
MOST_PIXELS = 1_000_000
"""pixels of a side of a page"""
HALVES = re.compile("[\ud800-\udfff]")
"""halves of characters, which JSON may hold and UTF-8 may not"""
T = TypeVar("T")


class Span(NamedTuple):
    """A part of a line, in pixels along the baseline in the order of reading."""

    start: float
    end: float


def corrected_documents(corrected: Corrected, content: bytes) -> list[Document]:
    """Return the documents of pages as `responses.to_json` describes them, with texts that may be others.

    Of a line, `text` holds; `words` are those that were recognised. Where the text has other words now, they
    have confidence 1. A line with `checked` was checked by a person, and its confidences are 1.

    Args:
        corrected: the pages.
        content: of the file that they are of, whose pages the documents name; b"" if that does not matter.

    Raises:
        RequestError: they are described in another way, or the file has no such pages.
        ValueError: the file cannot be read.
    """
    try:
        pages = [_Reader(one, f"pages[{at}]") for at, one in enumerate(corrected.pages)]
        documents = [_document(page) for page in pages]
        numbers = [round(page.number("index", 0, MOST_PIXELS)) for page in pages] if content else []
    except ValueError as error:
        raise refused("pages", str(error)) from None
    if not content:
        return documents
    sources = pages_of(content, page_numbers(numbers)).sources
    names = [str(getattr(source, "name", NAME)) for source in sources]
    return [replace(document, source=name) for document, name in zip(documents, names, strict=True)]


def _document(page: "_Reader") -> Document:
    """Return the document of a page."""
    sides = page.inside("dimensions")
    width, height = (round(sides.number(side, 1, MOST_PIXELS)) for side in ("width", "height"))
    regions, passages = tuple(page.each("regions", _region)), tuple(page.each("lines", _passage))
    place = Page(width, height, regions, has_text=page.flag("has_text"))
    return Document("", passages, "px", place, language=page.text("language"))


def words_of(text: str, known: Sequence[Word], length: float) -> tuple[Word, ...]:
    """Return the words of a corrected text, with their places.

    Words that stayed are those of the shortest edit of the sequence of words. Words in their stead have the
    places of as many, or share the place of all in proportion to their letters. Words between others have the
    gap.

    Args:
        text: the corrected text.
        known: the words that were recognised.
        length: of the line in pixels.
    """
    new, mirrored = text.split(), is_right_to_left(text)
    spans = [_mirrored(Span(word.start, word.end), length, mirrored) for word in known]
    made = list[Word]()
    edits = Levenshtein.opcodes([word.text for word in known], new)
    for stayed, group in groupby(edits, key=lambda edit: edit.tag == "equal"):
        steps = list(group)
        first, last = steps[0].src_start, steps[-1].src_end
        words = new[steps[0].dest_start : steps[-1].dest_end]
        if stayed:
            made += known[first:last]
            continue
        places = spans[first:last]
        if len(places) != len(words):
            before = spans[first - 1].end if first else 0.0
            after = spans[last].start if last < len(spans) else length
            whole = Span(places[0].start, places[-1].end) if places else Span(before, max(before, after))
            places = _shared(whole, words)
        for word, place in zip(words, places, strict=True):
            made.append(Word(word, *_mirrored(place, length, mirrored), 1.0))
    return tuple(made)


def _mirrored(span: Span, length: float, mirrored: bool) -> Span:
    """Return a span counted from the other end of the line, if the line is read from there."""
    return Span(length - span.end, length - span.start) if mirrored else span


def _shared(whole: Span, words: Sequence[str]) -> list[Span]:
    """Return a span for each word, in proportion to its letters, with gaps as wide as a letter."""
    letters = sum(map(len, words)) + max(0, len(words) - 1)
    step, at, spans = (whole.end - whole.start) / max(1, letters), whole.start, list[Span]()
    for word in words:
        spans.append(Span(at, at + len(word) * step))
        at += (len(word) + 1) * step
    return spans


def _region(one: "_Reader") -> Region:
    return Region(one.text("name"), one.points("outline"), one.text("kind"))


def _passage(one: "_Reader") -> Passage:
    place = Line(
        one.points("baseline", 2), one.number("above", 0), one.number("below", 0), one.points("polygon")
    )
    text, checked = " ".join(one.text("text", MOST_TEXT).splitlines()).strip(), one.flag("checked")
    known = tuple(one.each("words", _word, MOST_WORDS))
    words = known if text.split() == [word.text for word in known] else words_of(text, known, place.length)
    if checked:
        words = tuple(Word(word.text, word.start, word.end, 1.0) for word in words)
    confidence = 1.0 if checked else one.number("confidence", 0, 1)
    transcript = Transcript(text, confidence, words, (), unit="px")
    return Passage(transcript, place, False, one.text("region"), one.text("id"), checked)


def _word(one: "_Reader") -> Word:
    start, end = one.number("start"), one.number("end")
    return Word(one.text("text", MOST_TEXT), start, end, one.number("confidence", 0, 1))


class _Reader:
    """An object of JSON, whose values are checked as they are read.

    Args:
        value: the object.
        where: what it is called in messages.

    Raises:
        ValueError: it is no object; and by each method, that the value is missing or something else.
    """

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            raise ValueError(f"{where}: is no object; send pages as the format json has them")
        self.value, self.where = value, where

    def text(self, key: str, most: int = 200) -> str:
        """Return a text, "" if there is none."""
        value = self.value.get(key, "")
        if not isinstance(value, str) or len(value) > most or HALVES.search(value):
            raise ValueError(f"{self.where}.{key}: is no valid text of at most {most} characters")
        return value

    def flag(self, key: str) -> bool:
        """Return true or false; false if it is missing."""
        value = self.value.get(key, False)
        if not isinstance(value, bool):
            raise ValueError(f"{self.where}.{key}: is neither true nor false")
        return value

    def number(self, key: str, least: float = -math.inf, most: float = math.inf) -> float:
        """Return a finite number of a range."""
        return _number(self.value.get(key), f"{self.where}.{key}", least, most)

    def points(self, key: str, least: int = 0) -> tuple[Point, ...]:
        """Return a list of points [x, y], at least so many."""
        found = list[Point]()
        for at, one in enumerate(self._list(key)):
            where = f"{self.where}.{key}[{at}]"
            if not isinstance(one, list) or len(one) != 2:
                raise ValueError(f"{where}: is no point [x, y]")
            found.append(Point(_number(one[0], where), _number(one[1], where)))
        if len(found) < least:
            raise ValueError(f"{self.where}.{key}: has {len(found)} points, {least} are wanted")
        return tuple(found)

    def inside(self, key: str) -> "_Reader":
        """Return an object within."""
        return _Reader(self.value.get(key), f"{self.where}.{key}")

    def each(self, key: str, read: Callable[["_Reader"], T], most: int = 100_000) -> Iterator[T]:
        """Yield what `read` makes of each object of a list."""
        values = self._list(key)
        if len(values) > most:
            raise ValueError(f"{self.where}.{key}: has {len(values)} members, {most} are taken")
        for at, one in enumerate(values):
            yield read(_Reader(one, f"{self.where}.{key}[{at}]"))

    def _list(self, key: str) -> list[Any]:
        value = self.value.get(key, [])
        if not isinstance(value, list):
            raise ValueError(f"{self.where}.{key}: is no list")
        return value


def _number(value: Any, where: str, least: float = -math.inf, most: float = math.inf) -> float:
    # an int may be too large for a float
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 1e9:
        raise ValueError(f"{where}: is no number")
    if not least <= value <= most:
        raise ValueError(f"{where}: is {value:g}; a number from {least:g} to {most:g} is wanted")
    return float(value)

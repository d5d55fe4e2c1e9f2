"""Documents as text: plain text, JSON, a table of words, NIST's CTM."""

from collections.abc import Callable, Iterator

from common.files.plain_text import json_text
from common.files.source import stem
from common.text.document import Document, Interval, Passage
from common.text.transcript import Word

ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def to_txt(document: Document) -> str:
    """Return the text of each passage and a line break."""
    return "".join(f"{transcript.text}\n" for transcript in document.transcripts)


def to_label(document: Document) -> str:
    """Return the label of each passage and its probability, with a tab between them."""
    return "".join(f"{one.text}\t{one.confidence:.4f}\n" for one in document.transcripts)


def to_json(document: Document) -> str:
    """Return one line of JSON with everything that the document holds."""
    return json_text(document.to_dict(), allow_nan=False) + "\n"


def to_tsv(document: Document) -> str:
    r"""Return a table, columns separated by tabs: a header, then a row for each word.

    The columns are start, end, confidence and text. For words with a place of two dimensions, left, top,
    right and bottom take the place of start and end. A source that is one segment has places of one
    dimension. A tab, line break or backslash within a word is written \t, \n, \r or \\.
    """
    words = list(_words(document))
    flat = document.is_whole or all(isinstance(passage.place, Interval) for passage, _ in words)
    header = "start\tend" if flat else "left\ttop\tright\tbottom"
    rows = [f"{header}\tconfidence\ttext\n"]
    for passage, word in words:
        numbers = _extent(passage, word) if flat else _box(passage, word)
        edges = "\t".join(f"{number:.3f}" for number in numbers)
        rows.append(f"{edges}\t{word.confidence:.4f}\t{word.text.translate(ESCAPES)}\n")
    return "".join(rows)


def to_ctm(document: Document) -> str:
    """Return NIST's CTM: a row "source channel start duration word confidence" for each word.

    The source is the name of the file without its folder and ending; an underscore replaces white space in
    it and in words. The channel is always 1. Start and duration are in seconds, or in pixels of an image.
    """
    name = "_".join(stem(document.source).split()) or "-"
    rows = []
    for passage, word in _words(document):
        text, (start, end) = "_".join(word.text.split()), _extent(passage, word)
        rows.append(f"{name} 1 {start:.3f} {end - start:.3f} {text} {word.confidence:.4f}\n")
    return "".join(rows)


def _words(document: Document) -> Iterator[tuple[Passage, Word]]:
    for passage in document.passages:
        for word in passage.transcript.words:
            yield passage, word


def _extent(passage: Passage, word: Word) -> tuple[float, float]:
    """Return where a word starts and ends: in the whole source, else its place; of a page, left and right."""
    if passage.whole:
        return word.start, word.end
    place = passage.place_of(word)
    return (place.start, place.end) if isinstance(place, Interval) else (place.box[0], place.box[2])


def _box(passage: Passage, word: Word) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a word; a place of one dimension has no height."""
    place = passage.place_of(word)
    return (place.start, 0.0, place.end, 0.0) if isinstance(place, Interval) else place.box


FORMATS: dict[str, Callable[[Document], str]] = {
    "txt": to_txt,
    "json": to_json,
    "tsv": to_tsv,
    "ctm": to_ctm,
}
"""the formats that need only the document, by the ending of their files"""

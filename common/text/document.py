"""Documents: the transcripts of one source in reading order, each with its place in the source.

    one dimension     an utterance of a recording         |----[ start . . . . end ]---------|   seconds
    two dimensions    a line of a page         above  .-------------------.
                                                      | t h e   l i n e   |                      pixels
                                            baseline  *=========*=========*
                                               below  '-------------------'

Positions within a transcript run along the direction of reading, from the start of its segment. `part` of a
place turns them into a place in the source.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from common.text.transcript import Character, Transcript, Word


class Point(NamedTuple):
    """A point of an image, in pixels from its upper left corner."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Interval:
    """A place of one dimension: from `start` to `end`, in seconds or pixels."""

    start: float
    end: float

    def part(self, start: float, end: float) -> "Interval":
        """Return the part between two positions, which count from the start of this interval."""
        return Interval(self.start + start, self.start + end)


@dataclass(frozen=True, slots=True)
class Line:
    """A place of two dimensions: a baseline, and how far the writing reaches from it on both sides.

    Raises:
        ValueError: the baseline has fewer than two points, or a height is negative.
    """

    baseline: tuple[Point, ...]
    """points of the baseline in the direction of reading, in pixels of the page"""
    above: float
    """pixels from the baseline to the upper edge, along the normal of the baseline"""
    below: float
    """pixels from the baseline to the lower edge"""
    outline: tuple[Point, ...] = ()
    """the polygon around the writing where it is known better than from the two heights, or ()"""

    def __post_init__(self) -> None:
        if len(self.baseline) < 2:
            raise ValueError(f"a baseline of {len(self.baseline)} points; give two or more")
        if not (self.above >= 0 and self.below >= 0):
            raise ValueError(f"heights {self.above:g} and {self.below:g}; give numbers from 0 on")

    @classmethod
    def rectangle(cls, width: float, height: float) -> "Line":
        """Return the line that fills an image of `width` x `height` pixels."""
        return cls((Point(0.0, height), Point(width, height)), height, 0.0)

    @property
    def length(self) -> float:
        """The length of the baseline in pixels."""
        return sum(math.dist(a, b) for a, b in pairwise(self.baseline))

    def part(self, start: float, end: float) -> "Line":
        """Return the part between two positions, in pixels along the baseline from its first point.

        A part of no length is a short piece of the baseline, one pixel long or less, around its position.
        """
        length = self.length
        start, end = (min(max(position, 0.0), length) for position in (start, end))
        if end <= start:
            start, end = max(0.0, start - 0.5), min(length, start + 0.5)
        inner = [point for point, position in self._positions() if start < position < end]
        return Line((self.at(start), *inner, self.at(end)), self.above, self.below)

    def at(self, position: float) -> Point:
        """Return the point of the baseline at a position along it, or its nearer end."""
        for (a, reached), (b, position_b) in pairwise(self._positions()):
            if position <= position_b and position_b > reached:
                share = max(0.0, position - reached) / (position_b - reached)
                return Point(a.x + share * (b.x - a.x), a.y + share * (b.y - a.y))
        return self.baseline[-1]

    @property
    def polygon(self) -> tuple[Point, ...]:
        """The outline: the one that is known, or the upper edge as read and then the lower edge backwards."""
        if self.outline:
            return self.outline
        normals = [self._normal(index) for index in range(len(self.baseline))]
        pairs = list(zip(self.baseline, normals, strict=True))
        upper = [Point(p.x + self.above * n.x, p.y + self.above * n.y) for p, n in pairs]
        lower = [Point(p.x - self.below * n.x, p.y - self.below * n.y) for p, n in pairs]
        return (*upper, *reversed(lower))

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The smallest upright rectangle around the outline: left, top, right, bottom."""
        xs, ys = zip(*self.polygon, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def _positions(self) -> list[tuple[Point, float]]:
        """Return each point of the baseline with its position along the baseline."""
        position, found = 0.0, [(self.baseline[0], 0.0)]
        for a, b in pairwise(self.baseline):
            position += math.dist(a, b)
            found.append((b, position))
        return found

    def _normal(self, index: int) -> Point:
        """Return the unit vector from a point of the baseline to the upper edge."""
        last = len(self.baseline) - 1
        before, after = self.baseline[max(0, index - 1)], self.baseline[min(last, index + 1)]
        dx, dy = after.x - before.x, after.y - before.y
        size = math.hypot(dx, dy) or 1.0
        return Point(dy / size, -dx / size)  # y grows downwards


Place = Interval | Line


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a page, such as a paragraph, a marginal note or a table."""

    name: str
    """the name by which passages refer to it, such as its id in a file"""
    outline: tuple[Point, ...]
    kind: str = ""
    """its type, such as paragraph, heading, marginalia, page-number or table; "" if it is not known"""


@dataclass(frozen=True, slots=True)
class Page:
    """The page that the passages of a document stand on, in pixels of the image as it is viewed."""

    width_px: int
    height_px: int
    regions: tuple[Region, ...] = ()
    """in reading order"""
    image: str = ""
    """the file of the image, "" if it is not known"""
    dpi: float | None = None
    """resolution in pixels per inch, if it is known"""
    has_text: bool = False
    """whether the file itself has the text, like the text layer of a PDF, so that nothing was recognised"""


@dataclass(frozen=True, slots=True)
class Passage:
    """A transcript and its place in the source."""

    transcript: Transcript
    place: Place
    whole: bool = False
    """whether the transcript is that of the whole source"""
    region: str = ""
    """the name of the region or the cue that the passage belongs to; "" for none"""
    name: str = ""
    """the name of the passage, such as the id of a line; "" for none"""
    checked: bool = False
    """whether a person has checked the text, and corrected it where it was wrong"""

    def place_of(self, part: Word | Character) -> Place:
        """Return where a word or a character of the transcript is in the source."""
        return self.place.part(part.start, part.end)


@dataclass(frozen=True, slots=True)
class Document:
    """All passages of one source, in reading order; a source without any writing or speech has none."""

    source: str
    passages: tuple[Passage, ...]
    unit: str = "s"
    """of all places: s (seconds) or px (pixels of the original)"""
    page: Page | None = None
    """the page that the passages stand on, if the source is one"""
    complete: bool = True
    """whether the source could be read to its end"""
    language: str = ""
    """the code of its language, such as "fr", "" if it is not known or there are several"""

    @classmethod
    def of(cls, transcript: Transcript) -> "Document":
        """Return the document of a source that is one segment, such as a line or a short utterance."""
        end = max((character.end for character in transcript.characters), default=0.0)
        passage = Passage(transcript, Interval(0.0, end), whole=True)
        return cls(transcript.source, (passage,), transcript.unit)

    @property
    def is_whole(self) -> bool:
        """Whether one transcript covers the whole source, as with a line image or a short utterance."""
        return len(self.passages) == 1 and self.passages[0].whole

    @property
    def transcripts(self) -> tuple[Transcript, ...]:
        """The transcripts in reading order."""
        return tuple(passage.transcript for passage in self.passages)

    @property
    def text(self) -> str:
        """The texts of the transcripts, one a line."""
        return "\n".join(transcript.text for transcript in self.transcripts)

    def to_dict(self) -> dict[str, Any]:
        """Return the document as JSON keeps it.

        A source that is one segment gives the transcript itself; any other has its passages in a list.
        """
        if self.is_whole:
            return self.passages[0].transcript.to_dict()
        return {
            "source": self.source,
            "text": self.text,
            "unit": self.unit,
            "passages": [
                {"place": _described(passage.place), "region": passage.region} | passage.transcript.to_dict()
                for passage in self.passages
            ],
        }


def _described(place: Place) -> dict[str, Any]:
    if isinstance(place, Interval):
        return asdict(place)
    return {"baseline": _rounded(place.baseline), "polygon": _rounded(place.polygon)}


def _rounded(points: Sequence[Point]) -> list[list[float]]:
    return [[round(float(point.x), 2), round(float(point.y), 2)] for point in points]

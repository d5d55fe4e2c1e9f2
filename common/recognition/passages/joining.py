"""Windows of a passage that is too long to be computed at once, joined at the steps that they share.

log-probabilities of one     | | | | | | | | | | | |x|x|          x: dropped; the neighbour knows
of the next                                  |x|x| | | | | | |        more of what is around it
joined                       | | | | | | | | | | | | | | | | |
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from common.data.signal import Segment, Signal
from common.recognition.reading import Item
from common.text.document import Interval, Page, Passage, Place

Result = TypeVar("Result")


class Arrival(NamedTuple):
    """A passage of a source, as soon as it is read.

    source: the name of the source.
    passage: None for a source without any passage, or without a further one.
    last: whether it is the last one of its source.
    page: the page that the source is, if it is one.
    complete: False if it is the last one only because the source cannot be read further.
    number: that of the source among all of the call, from 0.
    language: that of the model; None: not known here.
    notice: what is to be said of the passage if it is used, "" for nothing.
    """

    source: str
    passage: Passage | None
    last: bool
    page: Page | None = None
    complete: bool = True
    number: int = 0
    language: str | None = None
    notice: str = ""


def is_window(segment: Segment) -> bool:
    """Return whether a segment is one of several windows of a passage."""
    return segment.goes_on or segment.before > 0 or segment.after > 0


def own_steps(log_probs: np.ndarray, segment: Segment, stride: int) -> np.ndarray:
    """Return those of the log-probabilities (S, C) of a window that belong to itself (S', C)."""
    end = (len(segment.signal.values) - segment.after) // stride if segment.after else len(log_probs)
    return log_probs[segment.before // stride : end]


def by_passage(
    results: Iterable[tuple[Item, Result | None]],
) -> Iterator[tuple[list[Item], list[Result]]]:
    """Yield the segments of each passage with their results; the segments of a source come in order.

    A source without any segment gives one item and no result.
    """
    items, found = list[Item](), list[Result]()
    for item, result in results:
        items.append(item)
        if result is not None:
            found.append(result)
        if item.segment is None or item.last or not item.segment.goes_on:
            yield items, found
            items, found = [], []


def after_passages(segments: Sequence[Segment] | Iterator[Segment], count: int) -> Iterator[Segment]:
    """Yield the segments after the first `count` passages of a source."""
    for segment in segments:
        if count <= 0:
            yield segment
        elif not segment.goes_on:
            count -= 1


def extent(segments: Sequence[Segment]) -> tuple[Place, Signal]:
    """Return the place of the passage that has these segments, and a signal of its length without values."""
    first, last = segments[0], segments[-1]
    if len(segments) == 1 and not is_window(first):
        return first.place, first.signal
    assert isinstance(first.place, Interval) and isinstance(last.place, Interval), "lines are not windows"
    size = sum(len(one.signal.values) - one.before - one.after for one in segments)
    values = np.broadcast_to(np.float32(0), size)
    return Interval(first.place.start, last.place.end), Signal(values, first.signal.unit_per_step)

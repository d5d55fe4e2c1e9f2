"""Sources read ahead of the network, and their segments collected into batches of like length.

sources -> segments, read by threads -> windows, sorted by length -> batches -> compute -> items in order
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from common.data.batch_plan import plan_batches
from common.data.signal import Segment, Signal, Source
from common.text.document import Page

log = logging.getLogger(__name__)

READERS = 2
"""threads that read sources while the network runs"""
AHEAD_BUDGETS = 8
"""segments are read ahead, and kept for sorting by length, up to this many batch budgets together"""
SEGMENTS_AHEAD = 6
"""segments of a long source that are read ahead of their use"""
Refuse = Callable[[str], None] | None
"""takes a sentence for each source that cannot be used, which is then left out; None: the error is raised"""
Output = TypeVar("Output")
Result = TypeVar("Result")
OneSource = Source | Signal | bytes


class Wanted(NamedTuple):
    """A source to be read, and its text where that is known."""

    source: Source | Signal
    text: str | None = None


class Content(NamedTuple):
    """What reading a source gives.

    segments: its segments in order; those of a long source from an iterator.
    labels: the labels of its text where that is known.
    page: the page that it is, if it is one.
    """

    segments: Sequence[Segment] | Iterator[Segment]
    labels: list[int]
    page: Page | None = None


class Item(NamedTuple):
    """One segment of a source.

    place, number: the number of the source among all, and of the segment in its source, both from 0.
    name: the name of the source.
    segment: None for a source without any segment.
    labels: the labels of its text, where that is known.
    last: whether it is the last segment of its source.
    page: the page that the source is, if it is one.
    complete: False if it is the last segment only because the source cannot be read further.
    flowing: whether its source is long, so that its segments come one after the other.
    """

    place: int
    number: int
    name: str
    segment: Segment | None
    labels: list[int]
    last: bool
    page: Page | None = None
    complete: bool = True
    flowing: bool = False

    @property
    def key(self) -> tuple[int, int]:
        """What tells it from all others of the call."""
        return self.place, self.number

    @property
    def to_recognise(self) -> bool:
        """Whether there is a segment, and the network has to read it."""
        return self.segment is not None and self.segment.known is None

    @property
    def present(self) -> Segment:
        """The segment, of an item that has one."""
        assert self.segment is not None, "only items with a segment are put into batches"
        return self.segment

    @property
    def steps(self) -> int:
        """The length of the signal in steps."""
        return 0 if self.segment is None else len(self.segment.signal.values)


class Computed(NamedTuple, Generic[Output]):
    """The output of the network for one batch, and the items of the batch."""

    items: list[Item]
    output: Output


@dataclass(frozen=True)
class Reading:
    """How sources are read and put into batches.

    Args:
        read: `(source, text)` returns the content of a source; ValueError or OSError if it cannot be used.
        budget: padded length of one batch, in signal steps.
        window: the largest number of segments that are sorted by length at a time; fewer, if they are long.
        workers: how many batches are computed at a time, each in a thread.
        refuse: takes a sentence for each source that cannot be read.
    """

    read: Callable[[Source | Signal, str | None], Content]
    budget: float
    window: int
    workers: int
    refuse: Refuse

    def results(
        self,
        wanted: Iterable[Wanted],
        compute: Callable[[Sequence[np.ndarray]], Output],
        finish: Callable[[Computed[Output]], Iterable[Result]],
    ) -> Iterator[tuple[Item, Result | None]]:
        """Yield each segment in order with its result, or None for a source without any segment.

        Args:
            wanted: the sources.
            compute: the network.
            finish: returns a result for each item of a batch. The batches come in any order.
        """
        order, ready = deque[Item](), dict[tuple[int, int], Result]()

        def noted() -> Iterator[list[Item]]:
            for window in self.windows(wanted):
                order.extend(window)
                yield window

        for batch in self._computed(noted(), compute):
            if batch is not None:
                ready.update(zip((item.key for item in batch.items), finish(batch), strict=True))
            while order and (not order[0].to_recognise or order[0].key in ready):
                item = order.popleft()
                yield item, ready.pop(item.key, None)
        yield from ((item, None) for item in order)  # sources without segments to recognise

    def windows(self, wanted: Iterable[Wanted]) -> Iterator[list[Item]]:
        """Yield the segments of sources in order, as many at a time as are sorted by length."""
        most, window, steps = AHEAD_BUDGETS * self.budget, list[Item](), 0
        for item in self._read_ahead(wanted, most):
            window.append(item)
            steps += item.steps
            # the segments of a long source are of like length, and its text is to come soon
            if len(window) >= self.window or steps > (self.budget if item.flowing else most):
                yield window
                window, steps = [], 0
        if window:
            yield window

    def batches(
        self, windows: Iterable[Sequence[Item]], compute: Callable[[Sequence[np.ndarray]], Output]
    ) -> Iterator[Computed[Output]]:
        """Yield the segments of each window in batches of like length, with the output of `compute`."""
        return (batch for batch in self._computed(windows, compute) if batch is not None)

    def _computed(
        self, windows: Iterable[Sequence[Item]], compute: Callable[[Sequence[np.ndarray]], Output]
    ) -> Iterator[Computed[Output] | None]:
        """Yield the batches, and None for a window in which there is nothing to recognise."""
        waiting, running = self._planned(windows), deque[Any]()
        with _threads(self.workers) as pool:
            while True:
                # one batch more than there are workers: none of them waits while an output is decoded
                for items in islice(waiting, self.workers + 1 - len(running)):
                    signals = [item.present.signal.values for item in items]
                    running.append((items, pool.submit(compute, signals) if items else None))
                if not running:
                    return
                items, future = running.popleft()
                yield None if future is None else Computed(items, future.result())

    def _planned(self, windows: Iterable[Sequence[Item]]) -> Iterator[list[Item]]:
        """Yield the segments of each batch; a window is asked for when the one before has none left.

        A window in which there is nothing to recognise gives an empty batch.
        """
        for window in windows:
            segments = [item for item in window if item.to_recognise]
            if not segments:
                yield []
                continue
            steps = np.array([item.steps for item in segments], dtype=np.float64)
            for batch in plan_batches(steps, self.budget):
                yield [segments[index] for index in batch]

    def _read_ahead(self, wanted: Iterable[Wanted], most: float) -> Iterator[Item]:
        """Yield what threads read ahead of its use: at most `most` signal steps, judged by the longest."""
        coming, remaining, longest = deque[Any](), enumerate(wanted), most / READERS
        with _threads(READERS) as pool:
            while True:
                while len(coming) < min(self.window, max(READERS, most / longest)):
                    place, one = next(remaining, (0, None))
                    if one is None:
                        break
                    coming.append((place, name_of(one.source), pool.submit(self.read, *one)))
                if not coming:
                    return
                place, name, future = coming.popleft()
                content = None
                with refusing(self.refuse):
                    content = future.result()
                if content is None:
                    continue
                if not isinstance(content.segments, Sequence):
                    yield from self._flowing(place, name, content.segments, content)
                    continue
                steps = sum(len(segment.signal.values) for segment in content.segments)
                longest = max(0.95 * longest, steps, 1)
                segments: Sequence[Segment | None] = content.segments or [None]
                for number, segment in enumerate(segments):
                    last = number + 1 == len(segments)
                    yield Item(place, number, name, segment, content.labels, last, content.page)

    def _flowing(
        self, place: int, name: str, segments: Iterator[Segment], content: Content
    ) -> Iterator[Item]:
        """Yield the segments of a long source, which a thread reads a few ahead of their use."""
        number, item, failed = 0, None, True
        with refusing(self.refuse), _threads(1) as pool:
            coming = deque(pool.submit(next, segments, None) for _ in range(SEGMENTS_AHEAD))
            while (segment := coming.popleft().result()) is not None:
                coming.append(pool.submit(next, segments, None))
                if item is not None:
                    yield item
                item = Item(place, number, name, segment, content.labels, False, content.page, flowing=True)
                number += 1
            failed = False
        if item is not None:
            yield item._replace(last=True, complete=not failed)
        elif not failed:
            yield Item(place, 0, name, None, content.labels, True, content.page)


@contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Give `count` threads; work that they have not begun when the block is left is not done."""
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def each_source(sources: "OneSource | Iterable[OneSource]") -> Iterator[Source | Signal]:
    """Yield each of `sources`, or the only one; the content of a file, as bytes, is a source too.

    Raises:
        ValueError: a source is an array, which does not say how long or how large its steps are.
    """
    alone = isinstance(sources, str | Path | bytes | Signal | np.ndarray) or hasattr(sources, "read")
    for source in [sources] if alone else sources:  # type: ignore[union-attr, list-item]
        if isinstance(source, np.ndarray):
            raise ValueError(
                f"an array of shape {source.shape} has no rate; give Signal(values, unit_per_step) with the"
                " seconds of a sample, or the pixels of a column, at the rate or height of the model"
            )
        yield BytesIO(source) if isinstance(source, bytes) else source  # type: ignore[misc]


def name_of(source: Source | Signal) -> str:
    """Return the path or the name of `source`, "" if it has none."""
    return str(source if isinstance(source, str | Path) else getattr(source, "name", ""))


@contextmanager
def refusing(refuse: Refuse) -> Iterator[None]:
    """Pass the error of a source to `refuse`, if there is one, instead of raising it."""
    try:
        yield
    except (ValueError, OSError) as error:
        if refuse is None:
            raise
        log.debug("left out, because of this error", exc_info=True)
        refuse(str(error))

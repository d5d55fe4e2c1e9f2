"""A recognizer that serves many requests at once: from a source to its passages."""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from common.data.signal import Segment, Source
from common.decoding.decoder import Decoder
from common.decoding.labelled import LabelDecoder
from common.recognition.passages.choosing import SURE, SecondModel, certainty, is_surer_reading, rewound
from common.recognition.passages.joining import Arrival, extent, is_window, own_steps
from common.recognition.passages.turning import is_surer, upside_down
from common.recognition.transcriber import Transcriber
from common.serving.backlog import Backlog
from common.serving.errors import RequestError
from common.serving.metrics import Metrics
from common.serving.queue import Found, WorkQueue
from common.serving.reading.readers import Readers
from common.serving.uploads import Uploads
from common.text.document import Document, Page, Passage

HELPERS = 2
"""threads for what is short, and shall not wait for a source that is being read"""
MOST_SESSIONS = 64
"""conversations at a time"""
AHEAD_SHARE = 0.5
"""segments of a request that are in the queue at a time, as a share of the modality's batch budget"""
PAGES_AHEAD = 2
"""sources of one request that are read at a time"""
ASSUMED_READING_S = 0.2
"""seconds for reading one source until they have been measured"""
T = TypeVar("T")


@dataclass(frozen=True)
class ServingConfig:
    """What a server accepts."""

    keys: frozenset[bytes] = frozenset()
    """keys, one of which every request must bring; empty: none is wanted"""
    local_names_only: bool = False
    """refuse requests that call this machine by another name than localhost: without keys, a page of the web
    whose name leads to this machine could read what is answered here"""
    max_upload_bytes: int = 25_000_000
    """the largest file that is received"""
    queue_s: float = 60.0
    """requests are refused while the work of the others takes longer than this, in seconds"""


class Opened(NamedTuple):
    """A source that is being read: its segments, and its page if it is one."""

    segments: Iterator[Segment]
    page: Page | None
    is_read: bool
    """whether all segments are in memory, so that no thread is needed for the next one"""


class Service:
    """What all requests share. It is made in the event loop that uses it.

    Args:
        recognizer: what computes.
        config: limits.

    Attributes:
        recognizer, config: the arguments.
        name: what the model is called.
        metrics, uploads, readers, queue: what counts, receives, reads and computes.
        open_requests: requests that are received or answered now.
        sessions: conversations that are open now.
        ending: whether new work is refused, since the process is about to end.
        ended: is set when the process ends: what is open is finished then.
    """

    def __init__(self, recognizer: Transcriber, name: str, config: ServingConfig) -> None:
        self.recognizer, self.name, self.config = recognizer, name, config
        self.metrics, self.uploads = Metrics(), Uploads(config.max_upload_bytes)
        self.queue = WorkQueue(recognizer, self.metrics)
        self.open_requests, self.sessions = 0, 0
        self.ending, self.ended = False, asyncio.Event()
        self.reading = Backlog(ASSUMED_READING_S)
        self.readers = Readers()
        self._helpers = ThreadPoolExecutor(HELPERS, "helper")
        self._task: asyncio.Task[None] | None = None
        self._starts = dict[str, asyncio.Task[WorkQueue]]()  # of the other models, by their names
        self._others = list[tuple[WorkQueue, asyncio.Task[None]]]()  # of those that have started

    @property
    def ready(self) -> bool:
        """Whether requests are answered."""
        return self._task is not None and not self._task.done() and not self.ending

    @property
    def queue_s(self) -> float:
        """Estimated seconds until the work that was accepted is done."""
        return sum(queue.backlog.seconds for queue in self._queues) + self.reading.seconds

    @property
    def _queues(self) -> Sequence[WorkQueue]:
        return (self.queue, *(queue for queue, _ in self._others))

    async def queue_of(self, other: SecondModel[Transcriber]) -> WorkQueue:
        """Return the queue of another model, which is loaded when it is first wanted.

        Raises:
            RequestError: it cannot be loaded now; the next request tries again.
        """
        start = self._starts.get(other.name)
        if start is None or (start.done() and start.exception() is not None):
            start = self._starts[other.name] = asyncio.create_task(self._started(other))
        try:
            return await asyncio.shield(start)
        except (ValueError, OSError, MemoryError) as error:
            message = f"the model {other.name} cannot be loaded ({str(error) or type(error).__name__})"
            raise RequestError(503, message, code="not_ready", retry_after_s=10) from None

    async def _started(self, other: SecondModel[Transcriber]) -> WorkQueue:
        recognizer = await self.aside(other.loaded)
        recognizer.segmentation_config = self.recognizer.segmentation_config
        queue = WorkQueue(recognizer, self.metrics)
        self._others.append((queue, asyncio.create_task(queue.run())))
        return queue

    async def queue_for(self, hot_words: Sequence[str]) -> WorkQueue:
        """Return the queue of the model that reads with these hot words, which may be none."""
        spelling = self.recognizer.spelling
        return self.queue if spelling is None or not hot_words else await self.queue_of(spelling)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Compute what is put into the queue, within this block."""
        self._task = asyncio.create_task(self.queue.run())
        try:
            yield
        finally:
            tasks = [self._task, *self._starts.values(), *(task for _, task in self._others)]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.readers.close()
            self._helpers.shutdown(wait=False, cancel_futures=True)

    def figures(self) -> str:
        """Return the metrics as text."""
        return self.metrics.text(
            {
                "queue_seconds": self.queue_s,
                "queue_segments": sum(queue.waiting for queue in self._queues),
                "requests_open": self.open_requests,
                "sessions_open": self.sessions,
                "upload_bytes": self.uploads.held_bytes,
                "readers_lost": self.readers.lost,
                "ready": int(self.ready),
            }
        )

    def admit(self) -> None:
        """Raise RequestError if there is too much work already, or no new work is taken."""
        if not self.ready:
            raise RequestError(503, "the server is about to end", code="not_ready", retry_after_s=5)
        self._check_load()

    def _check_load(self) -> None:
        excess_s = self.queue_s - self.config.queue_s
        if excess_s > 0:
            message = f"{self.queue_s:.0f} s of work wait already; try again later"
            wait_s = max(1, min(math.ceil(excess_s), 60))
            raise RequestError(429, message, code="rate_limit_exceeded", retry_after_s=wait_s)

    @asynccontextmanager
    async def work(self, queue: WorkQueue | None = None, measured: bool = True) -> "AsyncIterator[Work]":
        """Give what does the work of one request; what is not done at the end of the block is dropped.

        Args:
            queue: what computes; None for the queue of the service.
            measured: whether its time counts for the real time factor; that of live sound does not.
        """
        self._check_load()  # once more: others may have been faster
        work, started_s = Work(self, queue), time.perf_counter()
        try:
            yield work
            if measured and (length := work.queue.length(work.ticket)):
                self.metrics.observe("real_time_factor", (time.perf_counter() - started_s) / length)
        finally:
            work.queue.close(work.ticket)

    @contextmanager
    def session(self) -> Iterator[None]:
        """Count a conversation for as long as it lasts; RequestError if there are too many."""
        if self.sessions >= MOST_SESSIONS:
            raise RequestError(429, "too many sessions at once; try again", code="busy", retry_after_s=10)
        self.sessions += 1
        self.metrics.count("sessions_total")
        try:
            yield
        finally:
            self.sessions -= 1

    async def aside(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function that takes a moment in a thread that reads no sources."""
        return await asyncio.get_running_loop().run_in_executor(self._helpers, function, *arguments)

    async def read(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in a thread of those that read sources.

        Raises:
            RequestError: it takes too long, or has raised a ValueError or OSError, which says what is wrong
                with the file.
        """
        try:
            return await self.readers.call(function, *arguments)
        except (ValueError, OSError) as error:
            raise RequestError(400, str(error), "file", "invalid_file") from None


class Work:
    """The work of one request.

    Args:
        service: what all requests share.
        queue: what computes; None for the queue of the service.

    Attributes:
        ticket: its place in the queue.
        decoder: what searches for its texts; it may be set, and then no second model is asked.
    """

    def __init__(self, service: Service, queue: WorkQueue | None = None) -> None:
        self.service, self.queue = service, queue or service.queue
        self.recognizer, self.ticket = self.queue.recognizer, self.queue.enter()
        self.decoder: Decoder | LabelDecoder = self.recognizer.decoder

    async def documents(self, sources: Sequence[Source]) -> AsyncGenerator[Document, None]:
        """Yield the document of each source in order."""
        remaining, coming = iter(sources), deque[asyncio.Task[Document]]()
        try:
            while True:
                while len(coming) < PAGES_AHEAD and (source := next(remaining, None)) is not None:
                    coming.append(asyncio.create_task(self.document(source)))
                if not coming:
                    return
                document = await coming[0]
                coming.popleft()
                yield document
        finally:
            for task in coming:
                task.cancel()
            await asyncio.gather(*coming, return_exceptions=True)

    async def document(self, source: Source) -> Document:
        """Return the document of a source; the second model reads it, too, if this one is unsure of it."""
        document = await self._document(source)
        second = self.recognizer.second
        if second is None or self.decoder is not self.recognizer.decoder:
            return document
        if certainty(document.passages) >= SURE or not rewound(source):
            return document
        other = Work(self.service, await self.service.queue_of(second))
        try:
            found = await other.document(source)
        finally:
            other.queue.close(other.ticket)
        return found if is_surer_reading(found.passages, document.passages) else document

    async def _document(self, source: Source) -> Document:
        loop, reading = asyncio.get_running_loop(), self.service.reading
        reading.add(1)
        reading.begin(loop.time())
        try:
            opened = await self.open(source)
        finally:
            reading.end(1, loop.time())
            reading.drop(1)
        passages = [passage async for passage in self.passages(opened)]
        end = Arrival(str(getattr(source, "name", "")), None, True, opened.page)
        return self.recognizer.document(end, passages)

    async def open(self, source: Source) -> Opened:
        """Begin to read a source.

        Raises:
            RequestError: it cannot be read.
        """
        return await self.service.read(_opened, self.recognizer, source)

    async def passages(self, opened: Opened) -> AsyncGenerator[Passage, None]:
        """Yield the passages of a source in order, each as soon as it and those before it are known."""
        recognizer = self.recognizer
        per_length = recognizer.modality.steps_per_length(recognizer.signal_config)
        most = AHEAD_SHARE * recognizer.modality.batch_budget * per_length
        waiting, exhausted = deque[tuple[Segment, asyncio.Future[Found]]](), False
        parts = list[tuple[Segment, Found]]()  # the windows of a passage
        failure: RequestError | None = None
        while True:
            ahead = sum(len(segment.signal.values) for segment, _ in waiting)
            if not exhausted and (not waiting or (ahead < most and not waiting[0][1].done())):
                segment = None
                try:
                    segment = await self._next(opened)
                except RequestError as error:
                    failure = error  # what has been read before comes first
                if segment is None:
                    exhausted = True
                else:
                    waiting.append((segment, self.found(segment)))
                continue
            if not waiting:
                if failure is not None:
                    raise failure
                return
            segment, future = waiting.popleft()
            parts.append((segment, await future))
            if not segment.goes_on or (exhausted and not waiting):
                yield await self.passage(parts)
                parts = []

    async def passage(self, parts: Sequence[tuple[Segment, Found]]) -> Passage:
        """Return the passage of a segment, or of several windows, and what was found for each."""
        recognizer, segment = self.recognizer, parts[-1][0]
        found, (place, signal) = parts[-1][1], extent([one for one, _ in parts])
        if found.log_probs is not None:
            rows = [
                own_steps(one.log_probs, part, recognizer.stride)
                for part, one in parts
                if one.log_probs is not None
            ]
            found = await self.queue.decode(np.concatenate(rows), self.decoder)
        transcript = segment.known or recognizer.placing.transcript(found.hypotheses, found.steps, signal)
        if recognizer.may_be_upside_down(segment, transcript):
            turned = upside_down(segment)
            found = await self.found(turned)
            other = recognizer.placing.transcript(found.hypotheses, found.steps, turned.signal)
            if is_surer(other, transcript):
                transcript, place = other, turned.place
        return Passage(transcript, place, segment.whole, segment.region, segment.name)

    async def _next(self, opened: Opened) -> Segment | None:
        if opened.is_read:
            return next(opened.segments, None)
        return await self.service.read(next, opened.segments, None)

    def found(self, segment: Segment) -> "asyncio.Future[Found]":
        """Return what will have the hypotheses of a segment; there are none for one whose text is known.

        For a window there will be log-probabilities, which `passage` joins.
        """
        if segment.known is None:
            decoder = None if is_window(segment) else self.decoder
            return self.queue.put(self.ticket, segment.signal.values, decoder)
        future = asyncio.get_running_loop().create_future()
        future.set_result(Found([], 0))
        return future


def _opened(recognizer: Transcriber, source: Source) -> Opened:
    found = recognizer.segmentation(source)
    return Opened(iter(found.segments), found.page, isinstance(found.segments, Sequence))

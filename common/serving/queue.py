"""One queue of work for all requests: segments are computed in batches, in turn between the requests.

    request A   a1 a2 a3 a4 a5 a6          first batch   a1 b1 c1 a2
    request B   b1                         second batch  a3 a4 a5 a6
    request C   c1

A batch is taken when its first segment has waited for GATHER_S, when there is enough for a full one, or when
no other request is there that could add to it. All of its segments are of like length, so that a short one
does not wait for a long one. Those that are searched with the same decoder are searched together, which for
the beam search takes hardly longer than one alone.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from common.decoding.decoder import Decoder
from common.decoding.hypothesis import Hypothesis
from common.decoding.labelled import LabelDecoder
from common.recognition.transcriber import LogProbs, Transcriber
from common.serving.backlog import Backlog
from common.serving.metrics import Metrics

GATHER_S = 0.02
"""how long a segment waits for others to be computed with"""
BATCH_SHARE = 0.25
"""padded length of a batch, as a share of that of the verb transcribe: others wait while it is computed"""
LIKE = 2.0
"""largest ratio of the lengths of two segments in a batch"""
SEARCHERS = 2
"""threads that search"""
ASSUMED_S = 0.02
"""seconds for one unit of length until they have been measured"""


class Found(NamedTuple):
    """The hypotheses of a segment, best first, and its steps of the network.

    log_probs: (S, C) if these were wanted, and no hypotheses.
    """

    hypotheses: list[Hypothesis]
    steps: int
    log_probs: np.ndarray | None = None


class Job(NamedTuple):
    """A segment that is to be computed.

    signal: (T, ...).
    decoder: what searches for its text; None if its log-probabilities are wanted.
    future: gets what is found.
    put_s: when it was put into the queue.
    """

    signal: np.ndarray
    decoder: Decoder | LabelDecoder | None
    future: "asyncio.Future[Found]"
    put_s: float


class Ticket:
    """The part of a request in the queue.

    Attributes:
        waiting: its segments that wait.
        open: signal steps that wait or are computed.
        put: signal steps that were put into the queue.
        closed: whether nobody waits for it any more.
    """

    def __init__(self) -> None:
        self.waiting = deque[Job]()
        self.open, self.put, self.closed = 0.0, 0.0, False


class WorkQueue:
    """Computes the segments of all requests. Its methods belong to the thread of the event loop.

    Args:
        recognizer: what computes.
        metrics: gets the size of batches, and how long segments wait.

    Attributes:
        backlog: the signal steps that wait or are computed. Of a long source they are only those of the
            segments that are read ahead: what comes later does not keep other requests waiting.
    """

    def __init__(self, recognizer: Transcriber, metrics: Metrics) -> None:
        modality = recognizer.modality
        self.recognizer, self.metrics = recognizer, metrics
        self._steps_per_length = modality.steps_per_length(recognizer.signal_config)
        self._budget = BATCH_SHARE * modality.batch_budget * self._steps_per_length
        self.backlog = Backlog(ASSUMED_S / self._steps_per_length)
        self._turns = deque[Ticket]()  # requests with waiting segments; the first one is next
        self._entered = 0  # requests that have not left
        self._changed = asyncio.Event()
        # one batch more than is computed at a time: its segments are searched meanwhile
        self._slots = asyncio.Semaphore(recognizer.workers + 1)
        self._network = ThreadPoolExecutor(recognizer.workers, "network")
        self._search = ThreadPoolExecutor(SEARCHERS, "search")
        self._running = set[asyncio.Task[None]]()

    @property
    def waiting(self) -> int:
        """Number of segments that wait."""
        return sum(len(ticket.waiting) for ticket in self._turns)

    def enter(self) -> Ticket:
        """Return the ticket of a request that will have segments."""
        self._entered += 1
        return Ticket()

    def length(self, ticket: Ticket) -> float:
        """Return the length of all that a request has put into the queue, in the modality's unit."""
        return ticket.put / self._steps_per_length

    def put(
        self, ticket: Ticket, signal: np.ndarray, decoder: Decoder | LabelDecoder | None
    ) -> "asyncio.Future[Found]":
        """Put a segment (T, ...) of a request into the queue, and return what will have its hypotheses.

        Without a decoder, it will have log-probabilities, such as those of a window.
        """
        loop, steps = asyncio.get_running_loop(), float(len(signal))
        ticket.open += steps
        ticket.put += steps
        self.backlog.add(steps)
        job = Job(signal, decoder, loop.create_future(), loop.time())
        if not ticket.waiting:
            self._turns.append(ticket)
        ticket.waiting.append(job)
        self._changed.set()
        return job.future

    def close(self, ticket: Ticket) -> None:
        """Drop all work of a request that is not done yet."""
        self._entered -= 1
        self._changed.set()
        if ticket.waiting:
            self._turns.remove(ticket)
        for job in ticket.waiting:
            job.future.cancel()
        ticket.waiting.clear()
        self.backlog.drop(ticket.open)
        ticket.open, ticket.closed = 0.0, True

    async def run(self) -> None:
        """Compute what is put into the queue, until this task is cancelled."""
        try:
            while True:
                await self._slots.acquire()
                await self._gather()
                task = asyncio.create_task(self._compute(self._take()))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
        finally:
            for task in self._running:
                task.cancel()
            self._network.shutdown(wait=False, cancel_futures=True)
            self._search.shutdown(wait=False, cancel_futures=True)

    async def _gather(self) -> None:
        """Wait until a batch should be computed."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            left_s = None
            if self._turns:
                oldest_s = min(ticket.waiting[0].put_s for ticket in self._turns)
                left_s = oldest_s + GATHER_S - loop.time()
                steps = sum(len(job.signal) for ticket in self._turns for job in ticket.waiting)
                if left_s <= 0 or steps >= self._budget or len(self._turns) == self._entered:
                    return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), left_s)

    def _take(self) -> list[tuple[Ticket, Job]]:
        """Take the segments of the next batch: one of each request in turn, as long as they fit together."""
        batch, took = list[tuple[Ticket, Job]](), True
        while took:
            took = False
            for ticket in list(self._turns):
                if not ticket.waiting or not self._fits(batch, ticket.waiting[0]):
                    continue
                batch.append((ticket, ticket.waiting.popleft()))
                self._turns.remove(ticket)
                if ticket.waiting:
                    self._turns.append(ticket)
                took = True
        return batch

    def _fits(self, batch: Sequence[tuple[Ticket, Job]], job: Job) -> bool:
        """Return whether a batch may take one more segment; the first one always fits."""
        if not batch:
            return True
        lengths = [len(job.signal), *(len(one.signal) for _, one in batch)]
        return max(lengths) <= LIKE * min(lengths) and len(lengths) * max(lengths) <= self._budget

    async def _compute(self, batch: Sequence[tuple[Ticket, Job]]) -> None:
        """Compute a batch and search it, and note what that took."""
        loop = asyncio.get_running_loop()
        started_s, steps = loop.time(), float(sum(len(job.signal) for _, job in batch))
        self.backlog.begin(started_s)
        self.metrics.observe("batch_size", len(batch))
        for _, job in batch:
            self.metrics.observe("queue_wait_seconds", started_s - job.put_s)
        try:
            await self._answer([job for _, job in batch])
        finally:
            self._slots.release()
            self.backlog.end(steps, loop.time())
            self.metrics.count("segments_total", len(batch))
            self.metrics.count("length_total", steps / self._steps_per_length)
            for ticket, job in batch:
                if not ticket.closed:
                    ticket.open -= len(job.signal)
                    self.backlog.drop(len(job.signal))

    async def _answer(self, jobs: Sequence[Job]) -> None:
        """Give each segment what is found; where that fails for several together, each is computed alone."""
        try:
            await self._found(jobs)
        except Exception as error:
            if len(jobs) == 1:
                if not jobs[0].future.done():
                    jobs[0].future.set_exception(error)
                    jobs[0].future.exception()  # else asyncio may log its text, which may hold what was sent
                return
            for job in jobs:
                if not job.future.done():
                    await self._answer([job])

    async def _found(self, jobs: Sequence[Job]) -> None:
        """Compute segments as one batch, search them and give each what is found."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        signals = [job.signal for job in jobs]
        output = await loop.run_in_executor(self._network, self.recognizer.compute, signals)
        self.metrics.count("network_seconds_total", loop.time() - started_s)
        groups: dict[int, list[int]] = {}
        for place, job in enumerate(jobs):
            if not job.future.done():  # nobody waits for one that is cancelled
                groups.setdefault(id(job.decoder), []).append(place)

        async def search(places: list[int]) -> None:
            decoder = jobs[places[0]].decoder
            found = await loop.run_in_executor(self._search, self._searched, output, places, decoder)
            for place, one in zip(places, found, strict=True):
                if not jobs[place].future.done():
                    jobs[place].future.set_result(one)

        await asyncio.gather(*map(search, groups.values()))

    async def decode(self, log_probs: np.ndarray, decoder: Decoder | LabelDecoder) -> Found:
        """Return what a decoder finds for log-probabilities (S, C), such as those of joined windows."""
        output = LogProbs(log_probs[None], np.array([len(log_probs)]))
        loop = asyncio.get_running_loop()
        (found,) = await loop.run_in_executor(self._search, self._searched, output, [0], decoder)
        return found

    def _searched(
        self, output: Any, places: Sequence[int], decoder: Decoder | LabelDecoder | None
    ) -> list[Found]:
        """Return what a decoder finds for some signals of a batch."""
        if decoder is None:
            rows = output.each()
            return [Found([], len(rows[place]), rows[place]) for place in places]
        if decoder is self.recognizer.decoder:  # of any task
            hypotheses, lengths = self.recognizer.hypotheses(output)
            every = [Found(*one) for one in zip(hypotheses, lengths.tolist(), strict=True)]
            return [every[place] for place in places]
        lengths = output.lengths[list(places)]
        found = decoder.decode(output.values[list(places)], lengths)
        return [Found(*one) for one in zip(found, lengths.tolist(), strict=True)]

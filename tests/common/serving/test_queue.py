"""The queue: batches, turns, dropped work, failures, and the estimate of what waits."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from common.serving.metrics import Metrics
from common.serving.queue import BATCH_SHARE, WorkQueue

BUDGET = 40
"""signal steps in a batch"""


class Recorder:
    """A recognizer that keeps what it computes; its hypotheses are the first values of the signals.

    A signal whose first value is negative cannot be computed.
    """

    def __init__(self, workers: int = 1) -> None:
        self.modality = SimpleNamespace(batch_budget=BUDGET / BATCH_SHARE, steps_per_length=lambda _: 1.0)
        self.signal_config, self.workers, self.decoder = None, workers, object()
        self.batches: list[list[float]] = []
        self.gate = threading.Event()
        self.gate.set()

    def compute(self, signals: list[np.ndarray]) -> Any:
        self.gate.wait(20)
        first = [float(signal[0]) for signal in signals]
        self.batches.append(first)
        if min(first) < 0:
            raise ArithmeticError("a negative signal")
        return SimpleNamespace(values=np.array(first), lengths=np.array([len(one) for one in signals]))

    def hypotheses(self, output: Any) -> tuple[list[Any], np.ndarray]:
        return [[value] for value in output.values], output.lengths


class OtherDecoder:
    """A decoder that finds the negative of each value, and keeps how many it searched together."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def decode(self, values: np.ndarray, lengths: np.ndarray) -> list[Any]:
        self.counts.append(len(values))
        return [[-value] for value in values]


def signal(value: float, steps: int = 10) -> np.ndarray:
    return np.full(steps, value, np.float32)


def run(recorder: Recorder, body: Callable[[WorkQueue], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        queue = WorkQueue(recorder, Metrics())  # type: ignore[arg-type]
        task = asyncio.create_task(queue.run())
        try:
            return await asyncio.wait_for(body(queue), 20)
        finally:
            recorder.gate.set()
            task.cancel()

    return asyncio.run(whole())


async def emptied(queue: WorkQueue) -> None:
    """Wait until the backlog is empty; the test fails at its time limit if it never is."""
    while queue.backlog.units:
        await asyncio.sleep(0.001)


def test_segments_of_several_requests_are_computed_together_and_each_gets_its_own():
    recorder = Recorder()

    async def body(queue: WorkQueue) -> list[Any]:
        return await asyncio.gather(
            *(queue.put(queue.enter(), signal(i), recorder.decoder) for i in range(1, 5))
        )

    found = run(recorder, body)
    assert recorder.batches == [[1.0, 2.0, 3.0, 4.0]]
    assert [one.hypotheses for one in found] == [[1.0], [2.0], [3.0], [4.0]]
    assert {one.steps for one in found} == {10}


def test_a_request_with_many_segments_does_not_keep_others_waiting():
    """Three requests with 6, 1 and 1 segments: the first batch has one of each, and a second of the long."""
    recorder = Recorder()

    async def body(queue: WorkQueue) -> None:
        long = queue.enter()
        futures = [queue.put(long, signal(i), recorder.decoder) for i in range(1, 7)]
        futures += [queue.put(queue.enter(), signal(i), recorder.decoder) for i in (11, 12)]
        await asyncio.gather(*futures)

    run(recorder, body)
    assert recorder.batches == [[1.0, 11.0, 12.0, 2.0], [3.0, 4.0, 5.0, 6.0]]


def test_a_short_segment_is_not_computed_with_a_long_one():
    recorder = Recorder()

    async def body(queue: WorkQueue) -> None:
        lengths = (40, 10, 39, 5)
        await asyncio.gather(*(queue.put(queue.enter(), signal(n, n), recorder.decoder) for n in lengths))

    run(recorder, body)
    assert recorder.batches == [[40.0], [10.0, 5.0], [39.0]]


def test_work_that_nobody_waits_for_is_not_computed():
    recorder = Recorder()

    async def body(queue: WorkQueue) -> None:
        recorder.gate.clear()
        first, gone, last = queue.enter(), queue.enter(), queue.enter()
        running = [queue.put(first, signal(i), recorder.decoder) for i in range(1, 9)]
        while queue.waiting:  # both batches that may be under way are taken
            await asyncio.sleep(0.01)
        dropped = queue.put(gone, signal(20), recorder.decoder)
        kept = queue.put(last, signal(30), recorder.decoder)
        queue.close(gone)
        assert dropped.cancelled()
        recorder.gate.set()
        await asyncio.gather(*running, kept)
        await emptied(queue)

    run(recorder, body)
    assert recorder.batches[-1] == [30.0]
    assert not any(20.0 in batch for batch in recorder.batches)


def test_a_segment_that_fails_does_not_fail_those_computed_with_it():
    recorder = Recorder()

    async def body(queue: WorkQueue) -> list[Any]:
        futures = [queue.put(queue.enter(), signal(i), recorder.decoder) for i in (1, -2, 3)]
        found = await asyncio.gather(*futures, return_exceptions=True)
        await emptied(queue)
        return found

    first, second, third = run(recorder, body)
    assert (first.hypotheses, third.hypotheses) == ([1.0], [3.0])
    assert isinstance(second, ArithmeticError)


def test_segments_with_one_decoder_are_searched_together():
    recorder, other = Recorder(), OtherDecoder()

    async def body(queue: WorkQueue) -> list[Any]:
        decoders = (recorder.decoder, other, recorder.decoder, other)
        puts = (queue.put(queue.enter(), signal(i), one) for i, one in enumerate(decoders, 1))  # type: ignore[arg-type]
        return await asyncio.gather(*puts)

    found = run(recorder, body)
    assert [one.hypotheses for one in found] == [[1.0], [-2.0], [3.0], [-4.0]]
    assert len(recorder.batches) == 1
    assert other.counts == [2]


def test_the_backlog_has_what_waits_and_what_is_computed():
    recorder = Recorder()

    async def body(queue: WorkQueue) -> None:
        recorder.gate.clear()
        ticket, other = queue.enter(), queue.enter()
        futures = [queue.put(ticket, signal(i), recorder.decoder) for i in (1, 2)]
        futures += [queue.put(other, signal(3, 20), recorder.decoder)]
        assert queue.backlog.units == 40
        queue.close(other)
        assert queue.backlog.units == 20
        recorder.gate.set()
        await asyncio.gather(*futures[:2])
        await emptied(queue)
        assert queue.backlog.seconds_per_unit > 0

    run(recorder, body)


@pytest.mark.parametrize(("seconds", "rate"), [(1.0, 0.1), (3.0, 0.3)])
def test_the_rate_is_what_the_first_piece_of_work_took(seconds, rate):
    from common.serving.backlog import Backlog

    backlog = Backlog(5.0)
    backlog.add(20)
    assert backlog.seconds == 100
    backlog.begin(100.0)
    backlog.end(10, 100.0 + seconds)
    backlog.drop(10)
    assert backlog.seconds_per_unit == pytest.approx(rate)
    assert backlog.seconds == pytest.approx(10 * rate)

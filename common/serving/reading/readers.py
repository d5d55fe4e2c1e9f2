"""Threads that read sources. One that takes too long is given up, and another takes its place.

A thread cannot be ended from outside. So a decoder that hangs keeps its thread, but neither the client nor
other requests wait for it.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from common.serving.errors import RequestError

READERS = 2
"""calls at a time"""
READING_S = 300.0
"""the longest time for one call"""
MOST_LOST = 8
"""threads that may be given up; with more, nothing is read any more until one of them ends"""
T = TypeVar("T")


class Readers:
    """Calls functions in threads, a few at a time.

    Attributes:
        lost: number of threads that were given up and have not ended.
    """

    def __init__(self) -> None:
        self.lost = 0
        self._free = asyncio.Semaphore(READERS)
        self._timers = dict[asyncio.Future[Any], asyncio.TimerHandle]()  # of the calls that are not given up
        self._threads = ThreadPoolExecutor(READERS + MOST_LOST, "reader")

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Return what a function returns, which is called as soon as there is a free thread.

        Raises:
            RequestError: it takes too long.
        """
        loop = asyncio.get_running_loop()
        await self._free.acquire()
        if self.lost >= MOST_LOST:
            self._free.release()
            message = "files that cannot be read keep the server busy; try again later"
            raise RequestError(503, message, code="busy", retry_after_s=60)
        outcome: asyncio.Future[T] = loop.create_future()
        self._timers[outcome] = loop.call_later(READING_S, self._give_up, outcome)

        def end(call: "Future[T]") -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._end, call, outcome)

        self._threads.submit(function, *arguments).add_done_callback(end)
        return await outcome

    def close(self) -> None:
        """Begin no further call."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _give_up(self, outcome: "asyncio.Future[Any]") -> None:
        """Let the client and others go on without a call."""
        del self._timers[outcome]
        self.lost += 1
        self._free.release()
        if not outcome.done():
            message = f"file: takes more than {READING_S:g} s to read; split it"
            outcome.set_exception(RequestError(400, message, "file", "takes_too_long"))

    def _end(self, call: "Future[T]", outcome: "asyncio.Future[T]") -> None:
        """Note that a call has ended, and pass on what it gave, unless nobody waits for it any more."""
        timer = self._timers.pop(outcome, None)
        if timer is None:
            self.lost -= 1
        else:
            timer.cancel()
            self._free.release()
        if outcome.done():
            return
        failure = call.exception()
        if failure is None:
            outcome.set_result(call.result())
        else:
            outcome.set_exception(failure)

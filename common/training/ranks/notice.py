"""Signals with which a scheduler gives notice that it will end a run soon."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

NOTICES = ("SIGTERM", "SIGUSR1")
"""names of the signals; Windows lacks the second"""
STOPPED_STATUS = 75
"""exit status of a run that was stopped: EX_TEMPFAIL of sysexits.h, "try again" """
SAME_NOTICE_S = 5.0
"""signals that come this soon after the first are the same notice: torchrun passes one on to its processes,
which a signal to the whole job has reached already"""


class StoppedError(SystemExit):
    """A run has ended because of a signal, with a checkpoint to go on from."""

    def __init__(self) -> None:
        super().__init__(STOPPED_STATUS)


class Notice:
    """Whether a signal has come.

    Attributes:
        came: whether it has.
    """

    def __init__(self) -> None:
        self.came = False
        self._came_at = 0.0

    def __call__(self, number: int, _: FrameType | None = None) -> None:
        """Note a signal; one that comes SAME_NOTICE_S or more after the first ends the process at once."""
        now = time.monotonic()
        if not self.came:
            self.came, self._came_at = True, now
        elif now - self._came_at >= SAME_NOTICE_S:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


@contextmanager
def heeded(notice: Notice) -> Iterator[None]:
    """Let `notice` know of signals within the block; only the main thread of a program can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in NOTICES if hasattr(signal, name)]
    before = {number: signal.signal(number, notice) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

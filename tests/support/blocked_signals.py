"""A signal that says whether the process that reads it ignores Ctrl-C; workers import this module."""

import signal

import numpy as np

from common.data.signal import Signal


def read_whether_interrupts_are_blocked(source: str) -> Signal:
    """Return a signal of one step: 1 if SIGINT is blocked in this process, else 0."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    return Signal(np.array([signal.SIGINT in blocked], np.float32), 1.0)

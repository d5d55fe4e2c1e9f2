"""Signals that say something about the process that reads them; workers import this module."""

import os
import signal
import warnings

import numpy as np

from common.data.signal import Signal


def read_number(source: str) -> Signal:
    """Return the signal that the name of the source describes: "17" is 17 steps of the value 17."""
    return Signal(np.full(int(source), float(source), np.float32), 1.0)


def shaken(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return values with noise."""
    return values + rng.standard_normal(len(values), dtype=np.float32)


def read_whether_interrupts_are_blocked(source: str) -> Signal:
    """Return a signal of one step: 1 if SIGINT is blocked in this process, else 0."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    return Signal(np.array([signal.SIGINT in blocked], np.float32), 1.0)


def read_process(source: str) -> Signal:
    """Return a signal of one step, the number of this process."""
    return Signal(np.array([os.getpid()], np.float32), 1.0)


def warn_or_fail(source: str) -> Signal:
    """Give a warning, end this process or make a mistake, as the source says."""
    if source == "warn":
        warnings.warn("warn: is silent", stacklevel=2)
    if source == "end":
        os.kill(os.getpid(), signal.SIGKILL)
    if source == "mistake":
        raise ZeroDivisionError("a mistake of ours")
    return Signal(np.ones(1, np.float32), 1.0)

"""Silence: long stretches in which the blank is the likeliest class throughout, and where no text is sought.

A beam search adds up the probabilities of all paths to a text. Over thousands of steps in which each letter
has a probability of a few per cent, the paths to short frequent words add up to more than the one path
without any, and a language model prefers words to nothing. So a step is silent if no label is the likeliest
class in the 17 steps around it; the first and the last steps of a signal look at its first and its last 17:

    likeliest   a - b - - - - - - - - - - - - - - - - - - - - c - d
    silent                          . . . .                              8 steps beside a label are searched

There the blank is taken for certain. Peaks of labels that a search may find beside those of the greedy path,
the faint letters of a word, lie close to these. Shorter signals are searched as they are.
"""

import math

import numpy as np

from common.decoding.arrays import Array, arange, from_numpy, full, namespace
from common.text.symbols import BLANK

MARGIN_STEPS = 8
"""steps beside a likeliest label that are searched: 0.24 s of speech, 32 px of a line 48 px high"""
WINDOW_STEPS = 2 * MARGIN_STEPS + 1


def silent_steps(log_probs: Array, lengths: np.ndarray) -> Array:
    """Return which steps (B, S) are silent in log-probabilities (B, S, C) of lengths (B,), NumPy or torch."""
    return _far_from_labels(_labelled(log_probs), from_numpy(log_probs, np.asarray(lengths, np.int64)))


def silenced(log_probs: Array, silent: Array) -> Array:
    """Return log-probabilities (B, S, C) with a certain blank at the `silent` steps (B, S)."""
    xp = namespace(log_probs)
    certain = full(log_probs, tuple(log_probs.shape[-1:]), -math.inf, "float32")  # (C,)
    certain[BLANK] = 0
    return xp.where(silent[..., None], certain, log_probs)


def _labelled(log_probs: Array) -> Array:
    """Return where (..., S) the blank is not the likeliest class of (..., S, C), or a value is no number."""
    xp, blank = namespace(log_probs), log_probs[..., BLANK]
    likeliest = xp.amax(log_probs, -1)
    return ~((blank >= likeliest) & (blank > -math.inf) & (blank < math.inf))


def _far_from_labels(labelled: Array, lengths: Array) -> Array:
    """Return the steps (B, S) without a label in the window around them, from `labelled` (B, S)."""
    xp, (B, S) = namespace(labelled), labelled.shape
    count = full(lengths, (B, S + 1), 0, "int64")
    count[:, 1:] = xp.cumsum(labelled, 1)
    last = lengths[:, None] - WINDOW_STEPS  # (B, 1) where the last window begins
    first = xp.minimum(xp.clip(arange(lengths, S) - MARGIN_STEPS, 0, None)[None], xp.clip(last, 0, None))
    rows = arange(lengths, B)[:, None]
    end = xp.clip(first + WINDOW_STEPS, None, S)
    return (count[rows, end] == count[rows, first]) & (last >= 0)


class SilenceStream:
    """The same for one signal in pieces: steps that may become silent are held back, at most 17 at a time."""

    def __init__(self, classes: int) -> None:
        self.steps = 0
        """number of steps read"""
        self._held = np.zeros((0, classes), np.float32)  # the last steps, from step _first on
        self._first = 0
        self._label = -WINDOW_STEPS  # the last step with a likeliest label
        self._searched = 0  # steps that `feed` has returned

    def feed(self, log_probs: np.ndarray) -> np.ndarray:
        """Read the next steps (S, C), and return the next ones (S', C) to be searched."""
        labels = np.flatnonzero(_labelled(log_probs))
        if len(labels):
            self._label = self.steps + int(labels[-1])
        self.steps += len(log_probs)
        self._held = np.concatenate([self._held, log_probs])
        ready = max(self._searched, self._label + 1 + MARGIN_STEPS)
        if self.steps >= WINDOW_STEPS:
            ready = max(ready, self.steps - MARGIN_STEPS)
        ready = min(ready, self.steps)
        found = self._silenced()[self._searched - self._first : ready - self._first]
        self._searched, first = ready, max(0, ready - WINDOW_STEPS)
        self._held, self._first = self._held[first - self._first :].copy(), first
        return found

    def rest(self) -> np.ndarray:
        """Return the steps (S', C) that are still to be searched if the signal ends here."""
        return self._silenced()[self._searched - self._first :]

    def _silenced(self) -> np.ndarray:
        """Return the steps held back, as at the end of a signal."""
        held = self._held[None]
        return silenced(held, silent_steps(held, np.array([held.shape[1]])))[0]

"""Greedy CTC decoding: the likeliest class of each step, with repetitions and blanks removed."""

from typing import NamedTuple

import numpy as np

from common.text.symbols import BLANK


class Hit(NamedTuple):
    """A label that was recognised, and where.

    label: from 1; 0 is the blank.
    start, end: the steps [start, end) where it was the likeliest class.
    confidence: its highest probability there; a decoder may refine it.
    peak: the step with that highest probability.
    """

    label: int
    start: int
    end: int
    confidence: float
    peak: int


def collapsed(path: np.ndarray) -> list[int]:
    """Return the labels that a path (S,) of classes spells: equal neighbours are merged, blanks removed."""
    changed = np.concatenate([path[:1] == path[:1], path[1:] != path[:-1]])
    return path[changed & (path != BLANK)].tolist()


def greedy(log_probs: np.ndarray) -> list[Hit]:
    """Return the labels of the best path through `log_probs` (S, C), with their steps.

    The best path does not always spell the likeliest text, since the probability of a text is the sum over
    all its paths.
    """
    if log_probs.shape[0] == 0:
        return []
    best = log_probs.argmax(axis=1)  # (S,)
    starts = np.flatnonzero(np.concatenate([[True], best[1:] != best[:-1]]))  # runs of equal classes
    ends = np.append(starts[1:], len(best))
    sure = log_probs[np.arange(len(best)), best]  # (S,)
    return [
        Hit(int(best[start]), int(start), int(end), float(np.exp(sure[peak])), int(peak))
        for start, end in zip(starts, ends, strict=True)
        if best[start] != BLANK
        for peak in [start + sure[start:end].argmax()]
    ]

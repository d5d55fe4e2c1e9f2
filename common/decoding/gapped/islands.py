"""Words that were found by chance: a few, alone in the middle of a long gap.

    text     ... a paragraph that is not said ............ THAT ... the rest of it ............ | goes on here
    sound    ... another one ..... and that ..... and so on ................................... | goes on here

In half an hour of speech and a text that have nothing in common, some short words agree nevertheless. They
are taken back, since a word without a place is better than one in a wrong place.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from common.decoding.gapped.viterbi import SOUND, Words
from common.decoding.greedy import Hit

SMALL = 16
"""labels that an island has at least"""
WIDE = 80
"""labels, of the text and heard, of a gap that makes words beside it doubtful"""


class _Island(NamedTuple):
    """Words [first, last) that follow each other, in the steps [start, end)."""

    first: int
    last: int
    start: int
    end: int


def without_islands(path: np.ndarray, words: Words, heard: Sequence[Hit]) -> np.ndarray:
    """Return a path (S,) in which small islands between two wide gaps are sound that is not in the text.

    An island that is taken back widens the gaps of the next ones, which are looked at again.

    Args:
        path: indices of labels, REST or SOUND.
        words: the text.
        heard: the labels of the likeliest classes.
    """
    peaks = np.array([hit.peak for hit in heard], np.int64)
    sizes = np.append(0, np.cumsum(words.ends - words.starts))
    path = path.copy()
    while True:
        islands = _islands(path, words)
        extra = np.append(0, np.cumsum(path[peaks] == SOUND))
        ends = [_Island(0, 0, 0, 0), *islands, _Island(len(words), len(words), len(path), len(path))]
        gaps = []
        for before, after in pairwise(ends):
            first, last = np.searchsorted(peaks, [before.end, after.start])
            gaps.append(int(sizes[after.first] - sizes[before.last] + extra[last] - extra[first]))
        doubtful = [
            island
            for island, sides in zip(islands, pairwise(gaps), strict=True)
            if min(sides) >= WIDE and sizes[island.last] - sizes[island.first] < SMALL
        ]
        for island in doubtful:
            path[island.start : island.end] = SOUND
        if not doubtful:
            return path


def _islands(path: np.ndarray, words: Words) -> list[_Island]:
    """Return the runs of words between which nothing is left out."""
    steps = np.flatnonzero(path >= 0)
    numbers = np.searchsorted(words.starts, path[steps], "right") - 1  # the word at each of these steps
    gap_before = np.append(0, np.cumsum(path == SOUND))[steps]
    found: list[_Island] = []
    reached = -1
    for number, step, gap in zip(numbers.tolist(), steps.tolist(), gap_before.tolist(), strict=True):
        if found and gap == reached and number <= found[-1].last:
            found[-1] = found[-1]._replace(last=number + 1, end=step + 1)
        else:
            found.append(_Island(number, number + 1, step, step + 1))
        reached = gap
    return found

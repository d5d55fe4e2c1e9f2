"""Where a text and what was heard agree: the steps at which a long alignment can be cut into short ones.

Runs of labels that occur in the text and in what was heard, both seldom, are paired; the longest chain of
pairs in the same order is kept. That is the idea of patience diff, and of Moreno and others, "A recursive
algorithm for the forced alignment of very long audio segments" (1998). A pair is trusted if its neighbours in
the chain are near it on both sides: a phrase of a paragraph that was not said may be said somewhere else.

    text    ... it was the best of times it was the worst of times ...
    heard   ...  t was the bst of times it was the worst of tims ...
    pairs                      of times it was the worst of ti          cut here, between two words
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from common.decoding.greedy import Hit

RUN = 12
"""labels that agree in a pair at least"""
OFTEN = 4
"""times that they occur at most, in the text and in what was heard"""
NEAR = 150
"""labels from a pair to a neighbour that supports it at most, in the text and in what was heard"""
DRIFT = 15
"""labels that were heard more or less than in the text between these two at most"""
LONG = 50
"""labels of a pair that is trusted without neighbours"""
MARGIN = 3
"""labels of a run beside a cut that agree at least"""
APART = 200
"""labels of the text from one cut to the next at least, where the cost of a short alignment is small"""


class Cut(NamedTuple):
    """A place at which an alignment is cut: `labels` of the text are before step `step`."""

    labels: int
    step: int


class _Run(NamedTuple):
    """Labels that agree: [text, text + size) of the text, and [heard, heard + size) of what was heard."""

    text: int
    heard: int
    size: int

    @property
    def drift(self) -> int:
        """How much more was heard before than the text has."""
        return self.heard - self.text


def find_cuts(hits: Sequence[Hit], labels: np.ndarray, borders: np.ndarray) -> list[Cut]:
    """Return where an alignment can be cut, in order.

    Args:
        hits: what was heard, as greedy decoding finds it.
        labels: (L,) of the text.
        borders: labels before which a word begins, in order.
    """
    heard = np.array([hit.label for hit in hits], np.int64)
    runs = _trusted(_runs(heard, labels))
    cuts, reached = list[Cut](), 0
    allowed = np.zeros(len(labels) + 1, bool)
    allowed[borders] = True
    for run in runs:
        first, last = run.text + MARGIN, run.text + run.size - MARGIN
        for label in (np.flatnonzero(allowed[first : last + 1]) + first).tolist():
            if label >= reached + APART or not cuts:
                cuts.append(Cut(label, hits[label - 1 + run.drift].end))
                reached = label
    return cuts


def _runs(heard: np.ndarray, labels: np.ndarray) -> list[_Run]:
    """Return the longest chain of pairs in the order of both, those that overlap being joined to one run."""
    places, others = _places(heard), _places(labels)
    common = places.keys() & others.keys()
    pairs = [(at, text) for one in common for at in places[one] for text in others[one]]
    # of the pairs of one place, a rising chain holds one only
    pairs.sort(key=lambda pair: (pair[0], -pair[1]))
    runs: list[_Run] = []
    for at, text in _rising(pairs):
        last = runs[-1] if runs else None
        if last and text - last.text == at - last.heard and text <= last.text + last.size:
            runs[-1] = last._replace(size=text + RUN - last.text)
        elif not last or (text >= last.text + last.size and at >= last.heard + last.size):
            runs.append(_Run(text, at, RUN))
    return runs


def _places(labels: np.ndarray) -> dict[bytes, list[int]]:
    """Return the places of each run of RUN labels that occurs OFTEN times or less."""
    if len(labels) < RUN:
        return {}
    windows = np.lib.stride_tricks.sliding_window_view(labels.astype(np.int32), RUN)
    codes = np.ascontiguousarray(windows).view(f"V{4 * RUN}")[:, 0].tolist()
    places = dict[bytes, list[int]]()
    for place, code in enumerate(codes):
        places.setdefault(code, []).append(place)
    return {code: found for code, found in places.items() if len(found) <= OFTEN}


def _rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest part of `pairs`, sorted by the first number, in which the second one rises too."""
    ends, at = list[int](), list[int]()  # of the chains of each length: the least last number, and its pair
    before = list[int]()
    for number, (_, text) in enumerate(pairs):
        length = bisect_left(ends, text)
        before.append(at[length - 1] if length else -1)
        ends[length : length + 1] = [text]
        at[length : length + 1] = [number]
    chain, number = list[tuple[int, int]](), at[-1] if at else -1
    while number >= 0:
        chain.append(pairs[number])
        number = before[number]
    return chain[::-1]


def _trusted(runs: Sequence[_Run]) -> list[_Run]:
    """Return the runs that are long or have neighbours near them on both sides."""
    supported = [_near(before, after) for before, after in pairwise(runs)]
    both = zip([False, *supported], [*supported, False], strict=True) if runs else ()
    return [run for run, sides in zip(runs, both, strict=True) if run.size >= LONG or all(sides)]


def _near(before: _Run, after: _Run) -> bool:
    distance = after.text - before.text - before.size
    return distance <= NEAR and abs(after.drift - before.drift) <= DRIFT

"""A long recording and its text: where each word is said, what is not said, and what is not in the text.

    labels heard -> anchors.py: cuts -> viterbi.py between two cuts -> islands.py -> hits

Time and memory are about proportional to S where the text is read now and then. A part in which nothing
agrees takes time proportional to its steps times its labels, up to MOST_CELLS; in a larger part only the
words near both ends are looked for.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from common.decoding.arrays import check_values
from common.decoding.gapped.anchors import Cut, find_cuts
from common.decoding.gapped.islands import without_islands
from common.decoding.gapped.viterbi import SOUND, Ends, GapCosts, Words, trace
from common.decoding.greedy import Hit, greedy

MOST_CELLS = 10**9
"""steps times labels from one cut to the next that are searched: some ten seconds of computing"""
END_LABELS, END_STEPS = 2000, 8000
"""what is searched at both ends of a larger part, at most"""
FEW = 0.1
"""share of the words that must be found where not even a cut is"""


class Unwritten(NamedTuple):
    """Sound that is not in the text.

    start, end: its steps [start, end), from the first label that was heard to the last.
    before, after: the words that are said before and after it, by their numbers; -1 and W at the ends.
    """

    start: int
    end: int
    before: int
    after: int


class WordHits(NamedTuple):
    """Where a text is said.

    labels (L,): the hit of each label of the text, or None.
    unwritten: sound that is not in the text, in order.
    """

    labels: list[Hit | None]
    unwritten: list[Unwritten]


def align_words(log_probs: np.ndarray, words: Words, costs: GapCosts) -> WordHits:
    """Return where the words of a text are said, and what else is.

    The labels of a word all have hits or none has. A hit is like those of `common.decoding.alignment.align`.

    Args:
        log_probs: (S, C) natural logarithms of a whole recording.
        words: the text, whose labels are from 1 to C - 1.
        costs: of what one of them lacks.

    Raises:
        ValueError: recording and text have nothing in common, or `log_probs` contain NaN or +inf.
    """
    check_values(log_probs[None], np.array([len(log_probs)]))
    heard = greedy(log_probs)
    cuts = find_cuts(heard, words.labels, words.starts)
    S, L = len(log_probs), len(words.labels)
    if not cuts and S * L > MOST_CELLS:
        raise ValueError(_nothing(len(words)))
    path = np.full(S, SOUND, np.int64)
    for part, ends in _parts([Cut(0, 0), *cuts, Cut(L, S)], words):
        (label, step), (_, last_step) = part
        first, last = np.searchsorted(words.starts, [one.labels for one in part])
        found = trace(log_probs[step:last_step], words.part(first, last), costs, ends).path
        path[step:last_step] = np.where(found >= 0, found + label, found)
    path = without_islands(path, words, heard)
    said = np.unique(path[path >= 0])
    count = int(np.isin(words.starts, said).sum())
    if len(words) and (not count or (not cuts and count < FEW * len(words))):
        raise ValueError(_nothing(len(words)))
    return WordHits(_hits(log_probs, words, path), list(_unwritten(heard, words, path)))


def _nothing(count: int) -> str:
    return (
        f"of the {count:,} words of the text nothing can be found in the recording; look whether the text"
        " belongs to it, and whether the model knows its language"
    )


def _parts(cuts: list[Cut], words: Words) -> Iterator[tuple[tuple[Cut, Cut], Ends]]:
    """Yield the parts that are searched, from one cut to the next, and where the gap at an end is free."""
    for number, (start, end) in enumerate(pairwise(cuts)):
        ends = Ends(number == 0, number == len(cuts) - 2)
        labels, steps = end.labels - start.labels, end.step - start.step
        if labels * steps <= MOST_CELLS:
            yield (start, end), ends
            continue
        labels, steps = min(labels // 2, END_LABELS), min(steps // 2, END_STEPS)
        first = np.searchsorted(words.starts, [start.labels + labels, end.labels - labels])
        middle = [int(words.starts[word]) if word < len(words) else len(words.labels) for word in first]
        yield (start, Cut(middle[0], start.step + steps)), ends._replace(end=True)
        yield (Cut(middle[1], end.step - steps), end), ends._replace(start=True)


def _hits(log_probs: np.ndarray, words: Words, path: np.ndarray) -> list[Hit | None]:
    """Return the hit of each label on a path (S,)."""
    hits: list[Hit | None] = [None] * len(words.labels)
    at = np.flatnonzero(path >= 0)
    said, first = np.unique(path[at], return_index=True)
    for place, steps in zip(said.tolist(), np.split(at, first[1:]), strict=True) if len(at) else ():
        label = int(words.labels[place])
        sure = log_probs[steps, label]
        peak = int(sure.argmax())
        sharp = float(np.exp(np.float64(sure[peak])))
        hits[place] = Hit(label, int(steps[0]), int(steps[-1]) + 1, sharp, int(steps[peak]))
    return hits


def _unwritten(heard: list[Hit], words: Words, path: np.ndarray) -> Iterator[Unwritten]:
    """Yield the stretches of a path (S,) that are not in the text and in which labels were heard."""
    heard = [hit for hit in heard if hit.label != words.separator]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], path == SOUND, [False]]).astype(np.int8)))
    peaks = np.array([hit.peak for hit in heard], np.int64)
    at = np.flatnonzero(path >= 0)
    for start, end in edges.reshape(-1, 2).tolist():
        first, last = np.searchsorted(peaks, [start, end])
        if first == last:
            continue
        next_one = int(np.searchsorted(at, start))
        sides = [path[at[next_one - 1]] if next_one else -1, path[at[next_one]] if next_one < len(at) else -1]
        before, after = (int(np.searchsorted(words.starts, side, "right")) - 1 for side in sides)
        begin, stop = max(start, heard[first].start), min(end, heard[last - 1].end)
        yield Unwritten(begin, stop, before, after if next_one < len(at) else len(words))

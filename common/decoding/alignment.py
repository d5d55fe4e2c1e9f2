"""Forced alignment: the likeliest path of a CTC model's output that spells a given text.

    text    c a t     path    - c c - a - t t     hits    c [1, 3)  a [4, 5)  t [6, 8)

The Viterbi algorithm over the labels of the text and the blanks around them (Graves et al. 2006, section 4.1,
with a maximum where there is a sum). Scores of all states are kept every so many steps only; from the end to
the start, each block of steps is gone through again to see how the path went, with the few states from which
it can have come (Grice, Hughey and Speck 1997, "Reduced space sequence alignment").
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from common.decoding.greedy import Hit
from common.text.symbols import BLANK

SHORTEST_BLOCK = 64
"""steps; shorter ones cost more time than they save memory"""


class Alignment(NamedTuple):
    """Where each label of a text is, and the logarithm of the probability of the path that says so."""

    hits: list[Hit]
    score: float


def align(log_probs: np.ndarray, labels: Sequence[int] | np.ndarray, block: int | None = None) -> Alignment:
    """Return where `labels` (L,) are on the likeliest path through `log_probs` (S, C) that spells them.

    A hit has the steps [start, end) in which the path is at its label, one or more, and the label's highest
    probability there, as a hit of greedy decoding has. For no labels the path is all blanks.

    Of equally likely paths that one is taken which, seen from the end, stays in a label or blank as long as
    it can, comes from a blank rather than from a label, and ends in a label rather than in a blank; it does
    not depend on `block`. Scores are added in float64, whatever `log_probs` are.

    Takes S x L of time; beside `log_probs` about 50 MB for 90,000 steps (an hour) and 50,000 labels.

    Args:
        log_probs: natural logarithms; -inf for what cannot be.
        labels: from 1 to C - 1.
        block: steps from one set of kept scores to the next; None for what takes the least memory.

    Raises:
        ValueError: the text needs more steps than there are, has labels that are no classes, or cannot be
            because of -inf; or `log_probs` hold NaN or +inf.
    """
    text = _checked(log_probs, labels)
    S, L = len(log_probs), len(text.labels)
    if block is None:  # 16 S L / K bytes of kept scores and 3 K^2 of choices are least together
        block = max(SHORTEST_BLOCK, round((8 / 3 * S * L) ** (1 / 3)))
    places, score = _trace(log_probs, text, block)  # (S,)
    if score == -np.inf:
        raise ValueError(
            f"no path through these {S} steps spells the text of {L} labels: all of them have -inf"
        )
    if L == 0:
        return Alignment([], score)
    at = np.flatnonzero(places >= 0)  # the steps at a label
    first = np.searchsorted(places[at], np.arange(L))
    last = np.append(first[1:], len(at)) - 1
    sure = log_probs[at, text.labels[places[at]]]
    highest = np.maximum.reduceat(sure, first)  # (L,)
    (peaks,) = np.nonzero(sure == highest[places[at]])
    peaks = peaks[np.searchsorted(places[at[peaks]], np.arange(L))]  # the first of each label
    columns = (text.labels, at[first], at[last] + 1, np.exp(highest.astype(np.float64)), at[peaks])
    hits = [Hit(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    return Alignment(hits, score)


def widen(hits: Sequence[Hit], spaces: Sequence[bool], steps: int) -> np.ndarray:
    """Return where each character starts and ends (L, 2), in steps, not always whole ones, of `steps` in all.

    A CTC model is at a label for a step or two, somewhere in the character, and at a blank for the rest of
    it. So two neighbours share the blanks between them, half each, and the first and last go on into those
    outside; but none goes further than half of the widest gap between the letters of a word (the 95th
    percentile of such gaps; of all, where no word has two letters), so that a pause remains one.

        path          - - a a - - b - - - - - _ - - c - -        "ab c"
        characters      |-------|-----|     |-----|-----|

    On lines and tones whose places are known this came closer to them than the steps of the labels alone
    and than meeting half-way without a limit, on words of real speech than the former and about as close as
    the latter, which lets a word run on into a pause: recipes/benchmarks/alignment.sh.

    Args:
        hits: as `align` returns them.
        spaces: (L,) whether each of them is white space.
        steps: how many there are.
    """
    edges = np.array([(hit.start, hit.end) for hit in hits], dtype=np.float64).reshape(-1, 2)
    if not len(edges):
        return edges
    gaps = edges[1:, 0] - edges[:-1, 1]
    space = np.array(spaces, dtype=bool)
    inner = gaps[~(space[1:] | space[:-1])]
    known = inner if len(inner) else gaps
    limit = np.quantile(known, 0.95, method="higher") / 2 if len(known) else 0.0
    outer = np.array([edges[0, 0], steps - edges[-1, 1]])
    shares = np.minimum(np.concatenate([outer[:1], gaps / 2, outer[1:]]), limit)  # (L + 1,)
    return edges + np.stack([-shares[:-1], shares[1:]], axis=1)


class _Text(NamedTuple):
    """The labels (L,) of a text, and what it costs to come to each from the one before without a blank.

    jumps (L,): 0, or -inf where both are the same.
    """

    labels: np.ndarray
    jumps: np.ndarray

    def part(self, first: int, last: int) -> "_Text":
        """Return labels [first, last), not copied."""
        return _Text(self.labels[first:last], self.jumps[first:last])


class _Scores(NamedTuple):
    """Log-probability of the likeliest path to each state, float64, by how many labels have begun.

    labels (L + 1,): the path is at the last of them; -inf at 0.
    blanks (L + 1,): it is at a blank behind them.
    """

    labels: np.ndarray
    blanks: np.ndarray

    def part(self, first: int, last: int) -> "_Scores":
        """Return the states with `first` to `last` labels, both included, not copied."""
        return _Scores(self.labels[first : last + 1], self.blanks[first : last + 1])


class _Choices(NamedTuple):
    """From where the likeliest path came to each state in each of K steps; else it has stayed there.

    jumped, entered (K, L): to a label, from the label or from the blank before it; jumped goes first.
    left (K, L + 1): to a blank, from the label before it.
    """

    jumped: np.ndarray
    entered: np.ndarray
    left: np.ndarray


def _checked(log_probs: np.ndarray, labels: Sequence[int] | np.ndarray) -> _Text:
    if log_probs.ndim != 2 or log_probs.shape[1] == 0:
        raise ValueError(f"log_probs have the shape {log_probs.shape}; (steps, classes) was wanted")
    S, C = log_probs.shape
    good = (log_probs < np.inf).all(axis=1)  # NaN is not
    if not good.all():
        step = int(good.argmin())
        raise ValueError(
            f"log_probs hold {log_probs[step].max()} in step {step}; numbers or -inf were wanted,"
            " look for what went wrong in the model"
        )
    wanted = np.array(labels, dtype=np.int64)
    unknown = wanted[(wanted == BLANK) | (wanted < 0) | (wanted >= C)]
    if len(unknown):
        raise ValueError(f"the text has the label {unknown[0]}; labels go from 1 to {C - 1}")
    repeats = np.concatenate([[False], wanted[1:] == wanted[:-1]])[: len(wanted)]
    needed = len(wanted) + int(repeats.sum())
    if needed > S:
        raise ValueError(f"the text needs {needed} steps and the signal gives {S}; correct the text")
    return _Text(wanted, np.where(repeats, -np.inf, 0.0))


def _trace(log_probs: np.ndarray, text: _Text, block: int) -> tuple[np.ndarray, float]:
    """Return the likeliest path (S,) as places in `text`, -1 where it is at a blank, and its score."""
    places = np.full(len(log_probs), -1, dtype=np.int64)
    kept = list(_forward(log_probs, text, block))
    begun, blank, score = len(text.labels), True, 0.0
    for number in reversed(range(len(kept))):
        steps = slice(number * block, min((number + 1) * block, len(log_probs)))
        first = max(0, begun - (steps.stop - steps.start))  # a step begins one label at most
        scores = kept.pop().part(first, begun)
        choices = _choose(log_probs[steps], text.part(first, begun), scores)
        if steps.stop == len(log_probs):
            blank = bool(scores.blanks[-1] > scores.labels[-1])
            score = float(max(scores.blanks[-1], scores.labels[-1]))
            if score == -np.inf:
                break
        begun, blank = _backtrace(choices, places[steps], first, begun, blank)
    return places, score


def _forward(log_probs: np.ndarray, text: _Text, block: int) -> Iterator[_Scores]:
    """Yield a copy of the scores before the first step of each block of steps."""
    S, L = len(log_probs), len(text.labels)
    scores = _Scores(np.full(L + 1, -np.inf), np.full(L + 1, -np.inf))
    scores.blanks[0] = 0.0
    for step in range(S):
        if step % block == 0:
            yield _Scores(scores.labels.copy(), scores.blanks.copy())
            if step + block >= S:
                return  # the last block is gone through only once
        # no more labels can have begun, and with less the end is out of reach
        first, last = max(0, L - S + step), min(L, step + 1)
        _advance(log_probs[step], text.part(first, last), scores.part(first, last))


def _advance(row: np.ndarray, text: _Text, scores: _Scores) -> None:
    """Change `scores` in place to what they are after one more step, of log-probabilities `row` (C,)."""
    best = scores.labels[:-1] + text.jumps  # (L,)
    np.maximum(best, scores.labels[1:], out=best)
    np.maximum(best, scores.blanks[:-1], out=best)
    best += row[text.labels]
    np.maximum(scores.blanks, scores.labels, out=scores.blanks)
    scores.blanks[:] += row[BLANK]
    scores.labels[1:] = best


def _choose(log_probs: np.ndarray, text: _Text, scores: _Scores) -> _Choices:
    """Return the choices in each step of a block (K, C); `scores` before it become those after it."""
    K, L = len(log_probs), len(text.labels)
    choices = _Choices(np.empty((K, L), bool), np.empty((K, L), bool), np.empty((K, L + 1), bool))
    for row, jumped, entered, left in zip(log_probs, *choices, strict=True):
        np.greater(scores.blanks[:-1], scores.labels[1:], out=entered)
        np.greater(
            scores.labels[:-1] + text.jumps, np.maximum(scores.blanks[:-1], scores.labels[1:]), out=jumped
        )
        np.greater(scores.labels, scores.blanks, out=left)
        _advance(row, text, scores)
    return choices


def _backtrace(
    choices: _Choices, places: np.ndarray, first: int, begun: int, blank: bool
) -> tuple[int, bool]:
    """Fill in `places` (K,) of a block from its end, and return the state before it.

    Args:
        choices: in the block, of states with `first` labels begun and more.
        places: of the block's steps; written to where the path is at a label.
        first: see `choices`.
        begun: how many labels have begun at the end of the block.
        blank: whether the path is at a blank there.
    """
    for step in reversed(range(len(places))):
        state = begun - first
        if blank:
            blank = not choices.left[step, state]
            continue
        places[step] = begun - 1
        if choices.jumped[step, state - 1]:
            begun -= 1
        elif choices.entered[step, state - 1]:
            begun, blank = begun - 1, True
    return begun, blank

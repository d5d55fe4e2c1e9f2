"""Forced alignment: the likeliest path through a CTC model's output that spells a given text.

    text    c a t     path    - c c - a - t t     hits    c [1, 3)  a [4, 5)  t [6, 8)

This is the Viterbi algorithm over the labels of the text and the blanks around them (Graves et al. 2006,
section 4.1, with a maximum in place of the sum). To save memory, the scores of all states are kept only at
the start of each block of steps. The backtrace goes from the last block to the first and computes each block
again, restricted to the states that the path can have passed (Grice, Hughey and Speck 1997, "Reduced space
sequence alignment").
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from common.decoding.greedy import Hit
from common.text.symbols import BLANK

SHORTEST_BLOCK = 64
"""steps; shorter blocks cost more time than the memory they save is worth"""


class Alignment(NamedTuple):
    """The steps of each label of a text, and the natural log-probability of the aligning path."""

    hits: list[Hit]
    score: float


def align(log_probs: np.ndarray, labels: Sequence[int] | np.ndarray, block: int | None = None) -> Alignment:
    """Return the places of `labels` (L,) on the likeliest path through `log_probs` (S, C) that spells them.

    A hit has the steps [start, end) in which the path is at its label, at least one, and the highest
    probability of the label there, as in greedy decoding. If there are no labels, the path is all blanks.

    Ties between equally likely paths are broken backwards from the end: the path ends in a label rather than
    in a blank, stays in a label or blank as long as possible, and comes from a blank rather than from a
    label. The result does not depend on `block`. Scores are added in float64 for any type of `log_probs`.

    The time is proportional to S x L; the memory in addition to `log_probs` is about 50 MB for 90,000 steps
    (an hour) and 50,000 labels.

    Args:
        log_probs: natural logarithms; -inf for impossible classes.
        labels: from 1 to C - 1.
        block: number of steps from one set of kept scores to the next; None for the least memory.

    Raises:
        ValueError: the text needs more steps than there are, has labels that are no classes, or is
            impossible because of -inf; or `log_probs` contain NaN or +inf.
    """
    text = _checked(log_probs, labels)
    S, L = len(log_probs), len(text.labels)
    if block is None:  # minimises 16 S L / K bytes of kept scores + 3 K^2 bytes of choices
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
    """Return the start and end (L, 2) of each character in steps, which may be fractions.

    A CTC model is at a label for one or two steps somewhere within the character, and at a blank for the rest
    of it. Two neighbours therefore share the blanks between them, half each, and the first and the last
    character extend into the blanks outside. No character extends further than half of the widest gap between
    the letters of a word, so that a pause remains a pause. The widest gap is the 95th percentile of the gaps
    within words, or of all gaps if no word has two letters. A single character has no gap beside it: it
    extends equally far on both sides, to the nearer end of the signal.

        path          - - a a - - b - - - - - _ - - c - -        "ab c"
        characters      |-------|-----|     |-----|-----|

    Measured with recipes/benchmarks/alignment.sh: on lines and tones with known places, the result is closer
    to them than the steps of the labels alone and than half of each gap without a limit. On words of real
    speech it is closer than the former and about as close as the latter, which extends words into pauses.

    Args:
        hits: as `align` returns them.
        spaces: (L,) whether each of them is white space.
        steps: number of steps of the signal.
    """
    edges = np.array([(hit.start, hit.end) for hit in hits], dtype=np.float64).reshape(-1, 2)
    if not len(edges):
        return edges
    gaps = edges[1:, 0] - edges[:-1, 1]
    space = np.array(spaces, dtype=bool)
    inner = gaps[~(space[1:] | space[:-1])]
    known = inner if len(inner) else gaps
    outer = np.array([edges[0, 0], steps - edges[-1, 1]])
    limit = np.quantile(known, 0.95, method="higher") / 2 if len(known) else outer.min()
    shares = np.minimum(np.concatenate([outer[:1], gaps / 2, outer[1:]]), limit)  # (L + 1,)
    return edges + np.stack([-shares[:-1], shares[1:]], axis=1)


class _Text(NamedTuple):
    """The labels (L,) of a text, and the log-weight of a transition to each from the label before it.

    jumps (L,): 0, or -inf if both labels are the same, since a blank must separate them.
    """

    labels: np.ndarray
    jumps: np.ndarray

    def part(self, first: int, last: int) -> "_Text":
        """Return the labels [first, last) as views."""
        return _Text(self.labels[first:last], self.jumps[first:last])


class _Scores(NamedTuple):
    """Log-probability (float64) of the likeliest path to each state, indexed by the number of labels begun.

    labels (L + 1,): the path is at the last label begun; -inf at index 0.
    blanks (L + 1,): the path is at the blank after that label.
    """

    labels: np.ndarray
    blanks: np.ndarray

    def part(self, first: int, last: int) -> "_Scores":
        """Return the states with `first` to `last` labels, both included, as views."""
        return _Scores(self.labels[first : last + 1], self.blanks[first : last + 1])


class _Choices(NamedTuple):
    """The transition of the likeliest path to each state in each of K steps; it stayed if none is True.

    jumped (K, L): to a label, from the label before it; if True, `entered` is ignored.
    entered (K, L): to a label, from the blank before it.
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
    """Return the likeliest path (S,) as indices into `text`, -1 at blanks, and its score."""
    places = np.full(len(log_probs), -1, dtype=np.int64)
    kept = list(_forward(log_probs, text, block))
    begun, blank, score = len(text.labels), True, 0.0
    for number in reversed(range(len(kept))):
        steps = slice(number * block, min((number + 1) * block, len(log_probs)))
        first = max(0, begun - (steps.stop - steps.start))  # each step begins at most one label
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
    """Yield a copy of the scores before the first step of each block."""
    S, L = len(log_probs), len(text.labels)
    scores = _Scores(np.full(L + 1, -np.inf), np.full(L + 1, -np.inf))
    scores.blanks[0] = 0.0
    for step in range(S):
        if step % block == 0:
            yield _Scores(scores.labels.copy(), scores.blanks.copy())
            if step + block >= S:
                return  # the last block is computed only once, by `_choose`
        # more labels cannot have begun yet, and with fewer the end is out of reach
        first, last = max(0, L - S + step), min(L, step + 1)
        _advance(log_probs[step], text.part(first, last), scores.part(first, last))


def _advance(row: np.ndarray, text: _Text, scores: _Scores) -> None:
    """Advance `scores` in place by one step with log-probabilities `row` (C,)."""
    best = scores.labels[:-1] + text.jumps  # (L,)
    np.maximum(best, scores.labels[1:], out=best)
    np.maximum(best, scores.blanks[:-1], out=best)
    best += row[text.labels]
    np.maximum(scores.blanks, scores.labels, out=scores.blanks)
    scores.blanks[:] += row[BLANK]
    scores.labels[1:] = best


def _choose(log_probs: np.ndarray, text: _Text, scores: _Scores) -> _Choices:
    """Return the choices in each step of a block (K, C); advance `scores` to the end of the block."""
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
    """Fill in `places` (K,) of a block from its end, and return the state before the block.

    Args:
        choices: of the states of the block with at least `first` labels begun.
        places: of the steps of the block; set where the path is at a label.
        first: see `choices`.
        begun: number of labels begun at the end of the block.
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

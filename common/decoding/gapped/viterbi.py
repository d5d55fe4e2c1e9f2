"""The likeliest path that spells the words of a text, some of which are not said, with other sound between.

    text       THE OLD MAN WENT OUT
    sound      the man boat went out           OLD is not said, and "boat" is not in the text

Beside the labels of the text and the blanks around them (see `common.decoding.alignment`) there is a state
for each border between two words. There the path takes the likeliest class of each step, whatever it is, and
goes on to the next word or leaves words out:

    words        THE     OLD     MAN     WENT     OUT
    borders    0      1       2       3        4      5       1 -> 2 without OLD; the sound "boat" at 3

It costs something to go to a border, for each label that is heard there, and for each label of the text that
is left out. So a word of which some letters were misheard keeps its place, and one that is not said has none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from common.text.symbols import BLANK

BLOCK_BYTES = 2**26
"""memory for the choices of the steps that are traced back together"""
SOUND, REST = -2, -1
"""in a path, beside the indices of labels: sound that is not in the text, and a blank"""


@dataclass(frozen=True)
class GapCosts:
    """What gaps cost, in natural logarithms.

    Chosen on minilibri and speechocean762: lower costs find shorter gaps, and lose more words that were
    misheard. recipes/benchmarks/known_texts.sh measures both.
    """

    gap: float = 12.0
    """to leave the text, once for words left out and sound added together"""
    unsaid: float = 2.25
    """each label of the text that is left out"""
    unwritten: float = 1.25
    """each label that is heard and is not in the text"""


@dataclass(frozen=True)
class Words:
    """A text as labels, and where its words are in them.

    Args:
        labels: (L,) of all words and what separates them.
        starts, ends: (W,) the labels [start, end) of each word, which has one or more.
        unspelt: (W + 1,) whether a word without labels, such as a number, may be said before each word and
            at the end; sound costs nothing there.
        separator: the label between two words, if there is one.
    """

    labels: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    unspelt: np.ndarray
    separator: int | None = None

    @classmethod
    def of(cls, words: Sequence[Sequence[int]], separator: int | None = None) -> "Words":
        """Return the text of words, some of which may have no labels; those do not count as words."""
        labels, starts, ends, unspelt = list[int](), list[int](), list[int](), [False]
        for word in words:
            if not word:
                unspelt[-1] = True
                continue
            if labels and separator is not None:
                labels.append(separator)
            starts.append(len(labels))
            labels.extend(word)
            ends.append(len(labels))
            unspelt.append(False)
        first, last = np.array(starts, np.int64), np.array(ends, np.int64)
        return cls(np.array(labels, np.int64), first, last, np.array(unspelt), separator)

    def __len__(self) -> int:
        return len(self.starts)

    def part(self, first: int, last: int) -> "Words":
        """Return the words [first, last), with the separator after the last one if another word follows."""
        begin = self._begin(first)
        chosen = slice(begin, self._begin(last))
        starts, ends = self.starts[first:last] - begin, self.ends[first:last] - begin
        return Words(self.labels[chosen], starts, ends, self.unspelt[first : last + 1], self.separator)

    def _begin(self, word: int) -> int:
        return int(self.starts[word]) if word < len(self) else len(self.labels)


class _Text(NamedTuple):
    """What each step needs of the words, W of them with L labels.

    labels (L,), jumps (L,): as in `common.decoding.alignment`.
    starts (W,): the first label of each word.
    before (W + 1, 4): the states from which the path goes to each border: L + 1 labels, then L + 1 blanks.
    skipped (W + 1,): the cost of leaving out all labels before each border.
    """

    labels: np.ndarray
    jumps: np.ndarray
    starts: np.ndarray
    before: np.ndarray
    skipped: np.ndarray

    @classmethod
    def of(cls, words: Words, costs: GapCosts) -> "_Text":
        """Return what the steps need of `words`."""
        labels, L = words.labels, len(words.labels)
        repeats = np.concatenate([[False], labels[1:] == labels[:-1]])[:L]
        ends, starts = np.append(0, words.ends), np.append(words.starts, L)  # of the border: the words around
        before = np.stack([ends, ends + L + 1, starts, starts + L + 1], axis=1)
        sizes = np.append(0, words.ends - words.starts)
        return cls(
            labels, np.where(repeats, -np.inf, 0.0), words.starts, before, costs.unsaid * sizes.cumsum()
        )


class _Scores(NamedTuple):
    """Log-probability (float64) of the likeliest path to each state.

    states (2 L + 2,): as in `common.decoding.alignment`, first the labels and then the blanks.
    borders (W + 1,): between words.
    """

    states: np.ndarray
    borders: np.ndarray

    def copy(self) -> "_Scores":
        """Return the same numbers in memory of their own."""
        return _Scores(self.states.copy(), self.borders.copy())

    @property
    def labels(self) -> np.ndarray:
        """The scores (L + 1,) of paths at a label, as a view."""
        return self.states[: len(self.states) // 2]

    @property
    def blanks(self) -> np.ndarray:
        """The scores (L + 1,) of paths at a blank, as a view."""
        return self.states[len(self.states) // 2 :]


class _Choices(NamedTuple):
    """The transitions of the likeliest paths in K steps.

    jumped, entered (K, L), left (K, L + 1): as in `common.decoding.alignment`.
    resumed (K, W): to the first label of a word, from the border before it; then the others are ignored.
    origins (K, W + 1): the border that the path came from by leaving out the words between.
    entries (K, W + 1): which of `_Text.before` it came to that border from, or STAYED.
    """

    jumped: np.ndarray
    entered: np.ndarray
    left: np.ndarray
    resumed: np.ndarray
    origins: np.ndarray
    entries: np.ndarray

    @classmethod
    def empty(cls, K: int, L: int, W: int) -> "_Choices":
        """Return memory for K steps."""
        sizes = ((L, bool), (L, bool), (L + 1, bool), (W, bool), (W + 1, np.int64), (W + 1, np.int8))
        return cls(*(np.empty((K, size), kind) for size, kind in sizes))


STAYED = 4
"""an entry: the path was at this border before"""


class Trace(NamedTuple):
    """A path (S,), at each step an index into the labels of the words, REST or SOUND; and its score."""

    path: np.ndarray
    score: float


class Ends(NamedTuple):
    """Whether words or sound may be left out at the start and at the end without the cost of a gap."""

    start: bool
    end: bool


def trace(
    log_probs: np.ndarray, words: Words, costs: GapCosts, ends: Ends, block: int | None = None
) -> Trace:
    """Return the likeliest path and its score.

    Ties are broken backwards from the end, for words rather than for a gap. Without gaps the path is that of
    `common.decoding.alignment.align`. The result does not depend on `block`.

    Args:
        log_probs: (S, C) natural logarithms.
        words: the text.
        costs: of gaps.
        ends: what is free.
        block: number of steps whose choices are kept at a time; None for as many as BLOCK_BYTES allows.
    """
    text, sound = _Text.of(words, costs), _sound(log_probs, costs)
    S, L, W = len(log_probs), len(words.labels), len(words)
    block = block or max(1, BLOCK_BYTES // (3 * L + 6 * W + 8))
    search = _Search(text, log_probs, sound, words.unspelt, costs)
    kept = list(search.forward(search.begin(ends), block))
    path, score = np.full(S, REST, np.int64), 0.0
    state: _State | None = None
    for number in reversed(range(len(kept))):
        steps, scores = slice(number * block, min((number + 1) * block, S)), kept.pop()
        choices = search.choose(steps, scores)
        if state is None:
            state, score = _last(scores, costs.gap if ends.end else 0.0)
        state = _backtrace(choices, path[steps], text, state)
    return Trace(path, score)


class _State(NamedTuple):
    """The label or the blank at which `at` labels have begun, or the border before word `at`."""

    kind: Literal["label", "blank", "border"]
    at: int


class _Search(NamedTuple):
    """The steps of a search: the text, the log-probabilities (S, C), and the score of sound (S, 2) in each.

    Of `sound`, the first column is for borders where nothing unspelt is expected.
    """

    text: _Text
    log_probs: np.ndarray
    sound: np.ndarray
    unspelt: np.ndarray
    costs: GapCosts

    def begin(self, ends: Ends) -> _Scores:
        """Return the scores before the first step."""
        L = len(self.text.labels)
        scores = _Scores(np.full(2 * L + 2, -np.inf), np.full(len(self.text.skipped), -np.inf))
        scores.blanks[0] = 0.0
        scores.borders[:] = -self.text.skipped - (0.0 if ends.start else self.costs.gap)
        return scores

    def forward(self, scores: _Scores, block: int) -> Iterator[_Scores]:
        """Yield a copy of the scores before the first step of each block."""
        S = len(self.log_probs)
        for first in range(0, S, block):
            yield scores.copy()
            if first + block < S:
                self.choose(slice(first, first + block), scores, False)

    def choose(self, steps: slice, scores: _Scores, keep: bool = True) -> _Choices:
        """Return the choices in the steps of a block; advance `scores` to its end."""
        text = self.text
        L, W, K = len(text.labels), len(text.starts), steps.stop - steps.start
        choices = _Choices.empty(K if keep else 1, L, W)
        labels, blanks, borders = scores.labels, scores.blanks, scores.borders
        first, numbers, uneven = text.starts, np.arange(W + 1), bool(self.unspelt.any())
        came = np.empty(W + 1)
        for step in range(steps.start, steps.stop):
            row, heard = self.log_probs[step], self.sound[step]
            jumped, entered, left, resumed, origins, entries = (
                one[step - steps.start if keep else 0] for one in choices
            )
            # the text, as in `common.decoding.alignment`, and from the borders
            np.greater(blanks[:-1], labels[1:], out=entered)
            best = np.maximum(blanks[:-1], labels[1:])  # (L,)
            jump = labels[:-1] + text.jumps
            np.greater(jump, best, out=jumped)
            np.maximum(best, jump, out=best)
            begun = best[first]
            np.greater(borders[:-1], begun, out=resumed)
            best[first] = np.maximum(begun, borders[:-1])
            np.greater(labels, blanks, out=left)
            np.maximum(blanks, labels, out=blanks)
            blanks += row[BLANK]
            np.add(best, row[text.labels], out=labels[1:])
            # the borders: more sound; or from the words; or over words that are left out
            borders += np.where(self.unspelt, heard[1], heard[0]) if uneven else heard[0]
            entry = scores.states[text.before]  # (W + 1, 4)
            kinds = entry.argmax(1)
            np.subtract(entry[numbers, kinds], self.costs.gap, out=came)
            entries[:] = np.where(came > borders, kinds, STAYED)
            np.maximum(came, borders, out=borders)
            borders += text.skipped
            np.maximum.accumulate(borders, out=came)
            np.maximum.accumulate(np.where(borders >= came, numbers, 0), out=origins)
            np.subtract(came, text.skipped, out=borders)
        return choices


def _sound(log_probs: np.ndarray, costs: GapCosts) -> np.ndarray:
    """Return the score (S, 2) of each step as sound that is not in the text, and as an unspelt word."""
    best = log_probs.argmax(1)
    begins = (best != BLANK) & (best != np.append(BLANK, best[:-1]))
    score = log_probs[np.arange(len(best)), best].astype(np.float64)
    return np.stack([score - costs.unwritten * begins, score], axis=1)


def _last(scores: _Scores, refund: float) -> tuple[_State, float]:
    """Return the state in which the likeliest path ends, and its score."""
    label, blank, border = scores.labels[-1], scores.blanks[-1], scores.borders[-1] + refund
    if border > max(label, blank):
        return _State("border", len(scores.borders) - 1), float(border)
    return _State("blank" if blank > label else "label", len(scores.labels) - 1), float(max(blank, label))


def _backtrace(choices: _Choices, path: np.ndarray, text: _Text, state: _State) -> _State:
    """Fill in `path` (K,) of a block from its end, and return the state before the block.

    Args:
        choices: of the block.
        path: REST everywhere.
        text: the text.
        state: at the end of the block.
    """
    kind, at = state
    word_of = {int(label): word for word, label in enumerate(text.starts)}
    size = len(text.labels) + 1
    for step in reversed(range(len(path))):
        if kind == "border":
            at = int(choices.origins[step, at])
            entry = int(choices.entries[step, at])
            if entry == STAYED:
                path[step] = SOUND
                continue
            source = int(text.before[at, entry])
            kind, at = ("label", source) if source < size else ("blank", source - size)
        if kind == "blank":
            kind = "label" if choices.left[step, at] else "blank"
            continue
        path[step] = at - 1
        if (word := word_of.get(at - 1)) is not None and choices.resumed[step, word]:
            kind, at = "border", word
        elif choices.jumped[step, at - 1]:
            at -= 1
        elif choices.entered[step, at - 1]:
            kind, at = "blank", at - 1
    return _State(kind, at)

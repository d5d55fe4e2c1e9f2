"""Prefix beam search for CTC (Graves 2012, section 7.5.3; Hannun et al. 2014, arXiv:1408.2873), in batches.

The beam holds the `width` best prefixes, each with the log-probability of all its paths in two parts:

    blank   of the paths that end in the blank           a -   a following "a" is a new label
    label   of the paths that end in the last label      a a   a following "a" continues that label

At each step a prefix stays (its last label or the blank goes on) or is extended by a label. If an extension
spells a prefix that is also in the beam, their probabilities are added. The only approximation is the pruning
of prefixes (`common.decoding.beam.pruning`). The arrays are NumPy's, or torch's on any device. The results
are the same, except that of two prefixes with equal score and equal last label either one may be pruned.
"""

from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from common.decoding.arrays import Array, arange, cast, check_values, from_numpy, full, namespace, to_numpy
from common.decoding.beam.fusion import Fusion
from common.decoding.beam.prefixes import (
    NOTHING,
    STATE,
    Beam,
    Classes,
    Hypotheses,
    Snapshot,
    Trace,
    backtrace,
)  # fmt: skip
from common.decoding.beam.pruning import sort_classes
from common.decoding.beam.step import DEAD_KEY, INFINITY, NO_KEY, ROOT_KEY, advance
from common.text.symbols import BLANK

if TYPE_CHECKING:
    from common.decoding.beam.device_steps import DeviceSteps, Size

NO_LABEL = -1
"""the last label of the empty prefix"""
SPARES = 2
"""buffers for tensors that a search keeps between batches"""


class BeamSearch:
    """A prefix beam search with its settings.

    Args:
        width: K, the number of prefixes that are kept after each step.
        cutoff_top_n: number of likeliest classes that are considered at each step; None for all.
        cutoff_prob: at each step, the likeliest classes that together have at least this probability are
            considered; the classes left out have at most 1 - cutoff_prob.
        blank: the class that is no label.
        fusion: scorers that join the search, such as language models; None for the network alone.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(
        self,
        width: int = 100,
        cutoff_top_n: int | None = None,
        cutoff_prob: float = 1.0,
        blank: int = BLANK,
        fusion: Fusion | None = None,
    ) -> None:
        if width < 1:
            raise ValueError(f"the beam's width is {width}; give 1 or more")
        if cutoff_top_n is not None and cutoff_top_n < 1:
            raise ValueError(f"cutoff_top_n is {cutoff_top_n}; give 1 or more, or None for all")
        if not 0 < cutoff_prob <= 1:
            raise ValueError(f"cutoff_prob is {cutoff_prob:g}; give a probability above 0, at most 1")
        self.width, self.cutoff_top_n, self.cutoff_prob = width, cutoff_top_n, cutoff_prob
        self.blank, self.fusion = blank, fusion
        self._spares: dict[Size, DeviceSteps] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy has, in another process, too: the settings, without buffers on a device."""
        return {**self.__dict__, "_spares": {}}

    def search(self, log_probs: Array, lengths: Array, count: int = 1) -> Hypotheses:
        """Return the `count` best prefixes of each utterance.

        Args:
            log_probs: (B, S, C) natural log-probabilities.
            lengths: (B,) integers, the number of real steps of each utterance.
            count: N, at most the width.

        Raises:
            ValueError: for the same reasons as `feed`.
        """
        beam = self.start(log_probs)
        self.feed(beam, log_probs, lengths)
        return self.best(beam, count)

    def start(self, like: Array) -> Beam:
        """Return the beam before the first step, for len(like) utterances, on the device of `like`."""
        shape = (len(like), self.width)
        zeros = full(like, shape, 0, "int64")
        impossible = full(like, shape, -INFINITY, "float64")
        beam = Beam(
            blank=impossible + 0.0,
            label=impossible + 0.0,
            last=zeros + NO_LABEL,
            key=zeros + DEAD_KEY - arange(like, self.width),
            parent=zeros + NO_KEY,
            bonus=full(like, shape, 0.0, "float64"),
            state=zeros + 0,
            peak=zeros + 0,
            end=zeros + 0,
            peak_log_prob=impossible,
            steps=full(like, shape[:1], 0, "int64"),
            table=self.fusion.table() if self.fusion else None,
        )
        beam.blank[:, 0] = 0.0
        beam.key[:, 0] = ROOT_KEY
        return beam

    def feed(self, beam: Beam, log_probs: Array, lengths: Array) -> None:
        """Read more steps of each utterance; the result does not depend on the division into pieces.

        Args:
            beam: from `start`; it is changed.
            log_probs: (B, S, C) natural log-probabilities.
            lengths: (B,) integers, the number of real steps of each utterance.

        Raises:
            ValueError: shapes do not fit each other or the beam, or a real step contains NaN or +inf.
        """
        counts = _checked(log_probs, lengths, len(beam.blank), self.blank)
        steps = int(counts.max(initial=0))
        if not steps:
            return
        longest_first = np.argsort(-counts, kind="stable")
        rows = from_numpy(log_probs, longest_first)
        by_step = cast(log_probs[rows, :steps].swapaxes(0, 1), "float64")  # (S, B, C)
        classes = sort_classes(by_step, self.blank, self.cutoff_top_n, self.cutoff_prob)
        moving = beam.each(lambda part: part[rows])
        moving.table, moving.history = beam.table, beam.history
        read = self._read_arrays if isinstance(log_probs, np.ndarray) else self._read_tensors
        trace, hashes = read(moving, classes, counts[longest_first])
        back = from_numpy(log_probs, np.argsort(longest_first))
        beam.table = moving.table
        for name in STATE:
            setattr(beam, name, getattr(moving, name)[back])
        beam.traces.append(Trace(*(part[:, back] for part in trace)))
        if beam.history is not None and hashes is not None:
            hashes = hashes[:, back]
            beam.history.append(Snapshot(hashes[:, :, 0], hashes[:, :, 1], classes.log_probs[:, back]))

    def _read_arrays(
        self, beam: Beam, classes: Classes, counts: np.ndarray
    ) -> tuple[Trace, np.ndarray | None]:
        """Advance a beam of NumPy arrays; the arguments and results are those of `DeviceSteps.read`.

        `counts` falls: only the first utterances, which have more steps, are advanced.
        """
        steps, (B, K) = len(classes.log_probs), beam.blank.shape
        active = np.searchsorted(-counts, -np.arange(steps))  # (S,) utterances with more steps
        nothing = np.zeros((steps, B, K), np.int32)
        silent = np.full((steps, B, K), -INFINITY, np.float32)
        trace = Trace(
            nothing + np.arange(K, dtype=np.int32),
            nothing + NOTHING,
            nothing,
            nothing + 0,
            nothing + 0,
            silent,
        )  # every prefix stays
        hashes = None if beam.history is None else np.zeros((steps, B, 2, K), np.int64)
        for t, n in enumerate(active.tolist()):
            if self.fusion and beam.table and beam.table.full:
                beam.table, beam.state = self.fusion.move(beam.table, beam.state)
            if hashes is not None:
                hashes[t, :, 0], hashes[t, :, 1] = beam.key, beam.parent
            now = Classes(*(part[t, :n] for part in classes))
            new, how = advance(beam.each(itemgetter(slice(n))), now, self.blank, beam.table)
            for name in STATE:
                getattr(beam, name)[:n] = getattr(new, name)
            for part, value in zip(trace, how, strict=True):
                part[t, :n] = value
        return trace, hashes

    def _read_tensors(self, beam: Beam, classes: Classes, counts: np.ndarray) -> tuple[Trace, Array]:
        """Advance a beam of tensors; the arguments and results are those of `DeviceSteps.read`."""
        from common.decoding.beam.device_steps import DeviceSteps, size_for

        size = size_for(beam, classes)
        steps = self._spares.pop(size, None) or DeviceSteps(size, self.blank)  # no other thread has it now
        result = steps.read(beam, classes, counts, self.fusion)
        self._spares[size] = steps
        for old in list(self._spares)[:-SPARES]:
            self._spares.pop(old, None)
        return result

    def best(self, beam: Beam, count: int = 1, rank_final: bool = True) -> Hypotheses:
        """Return the `count` best prefixes of each utterance so far; more steps may be fed afterwards.

        They are ordered by their score with fusion; of equal scores, the smaller last label comes first.

        Args:
            beam: the beam after the steps fed.
            count: N, at most the width.
            rank_final: whether the order includes the gain that fusion gives for the end of the text.

        Raises:
            ValueError: `count` is not between 1 and the width.
        """
        if not 1 <= count <= self.width:
            raise ValueError(f"{count} hypotheses of a beam of width {self.width}; ask for 1 to {self.width}")
        xp = namespace(beam.blank)
        total = xp.logaddexp(beam.blank, beam.label)
        scores, fused = to_numpy(total), to_numpy(total + beam.bonus)
        final = to_numpy(beam.table.final(beam.state)) if beam.table else np.zeros_like(fused)
        ranking = fused + final if rank_final else fused
        slots = np.lexsort((to_numpy(beam.last), -ranking))[:, :count]  # (B, N)
        scores, fused, final = (np.take_along_axis(part, slots, -1) for part in (scores, fused, final))
        lengths, (labels, starts), (ends, peaks, log_probs) = backtrace(beam, slots, scores > -INFINITY)
        return Hypotheses(
            labels, lengths, scores, fused, final, starts, ends, peaks, np.exp(log_probs, dtype=np.float32)
        )


def _checked(log_probs: Array, lengths: Array, utterances: int, blank: int) -> np.ndarray:
    """Return the lengths as a NumPy array; raise ValueError for inputs that cannot be decoded."""
    shape = tuple(log_probs.shape)
    if len(shape) != 3 or shape[0] != utterances:
        raise ValueError(
            f"log-probabilities of shape {shape}, where {utterances} utterances x steps x classes were wanted"
        )
    if not 0 <= blank < shape[2]:
        raise ValueError(f"the blank is class {blank}, but there are {shape[2]} classes; give one of them")
    counts = to_numpy(lengths)
    if counts.shape != (utterances,) or counts.dtype.kind not in "iu":
        raise ValueError(f"lengths of shape {counts.shape} ({counts.dtype}); give {utterances} integers")
    if len(counts) and (counts.min() < 0 or counts.max() > shape[1]):
        wrong = int(counts.min() if counts.min() < 0 else counts.max())
        raise ValueError(f"a length is {wrong}, but there are {shape[1]} steps; give lengths from 0 to that")
    check_values(log_probs, counts)
    return counts

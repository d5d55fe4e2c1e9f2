"""Prefix beam search for CTC (Graves 2012, section 7.5.3; Hannun et al. 2014, arXiv:1408.2873), in batches.

The beam holds the `width` best prefixes, each with the log-probability of all its paths in two parts:

    blank   of the paths that end in the blank           a -   a following "a" is a new label
    label   of the paths that end in the last label      a a   a following "a" continues that label

At each step a prefix stays (its last label or the blank goes on) or is extended by a label. If an extension
spells a prefix that is also in the beam, their probabilities are added. The only approximation is the pruning
of prefixes (`common.decoding.beam.pruning`). The arrays are NumPy's, or torch's on any device. The results
are the same, except that of two prefixes with equal score and equal last label either one may be pruned.
"""

import math

import numpy as np

from common.decoding.arrays import (
    Array,
    arange,
    cast,
    check_values,
    first_true,
    from_numpy,
    full,
    namespace,
    to_numpy,
)  # fmt: skip
from common.decoding.beam.fusion import Fusion, Table
from common.decoding.beam.prefixes import (
    NOTHING,
    STATE,
    Beam,
    Classes,
    Hypotheses,
    Snapshot,
    Stay,
    Trace,
    backtrace,
)  # fmt: skip
from common.decoding.beam.pruning import Survivors, prune, sort_classes
from common.text.symbols import BLANK

INFINITY = math.inf
NO_LABEL = -1
"""the last label of the empty prefix"""
ROOT_KEY, NO_KEY, DEAD_KEY = 0, 1, -2
"""hashes of the empty prefix, of no prefix, and of the first free slot"""
PREFIX_MULTIPLIER = -7046029254386353131
"""factor in the hash of prefixes: 2 ** 64 over the golden ratio, as a signed number"""


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
        active = np.searchsorted(-counts[longest_first], -np.arange(steps))  # (S,) utterances with more steps
        rows = from_numpy(log_probs, longest_first)
        by_step = cast(log_probs[rows, :steps].swapaxes(0, 1), "float64")  # (S, B, C)
        classes = sort_classes(by_step, self.blank, self.cutoff_top_n, self.cutoff_prob)
        moving = beam.each(lambda part: part[rows])
        trace = self._empty_trace(moving, steps)
        hashes = None if beam.history is None else full(rows, (2, steps, *beam.key.shape), 0, "int64")
        for t in range(steps):
            if self.fusion and beam.table and beam.table.full:
                beam.table, moving.state = self.fusion.move(beam.table, moving.state)
            if hashes is not None:
                hashes[0, t], hashes[1, t] = moving.key, moving.parent
            now = Classes(*(part[t, : active[t]] for part in classes))
            self._step(moving, int(active[t]), now, Trace(*(part[t] for part in trace)), beam.table)
        back = from_numpy(log_probs, np.argsort(longest_first))
        for name in STATE:
            setattr(beam, name, getattr(moving, name)[back])
        beam.traces.append(Trace(*(part[:, back] for part in trace)))
        if beam.history is not None and hashes is not None:
            kept = (hashes[0], hashes[1], classes.log_probs)
            beam.history.append(Snapshot(*(part[:, back] for part in kept)))

    def _empty_trace(self, beam: Beam, steps: int) -> Trace:
        """Return a trace of `steps` steps in which every prefix stays."""
        shape = (steps, *beam.blank.shape)
        nothing = full(beam.blank, shape, 0, "int32")
        origin = nothing + cast(arange(beam.blank, self.width), "int32")
        silent = full(beam.blank, shape, -INFINITY, "float32")
        return Trace(origin, nothing + NOTHING, nothing, nothing + 0, nothing + 0, silent)

    def _step(self, beam: Beam, n: int, now: Classes, trace: Trace, table: Table | None) -> None:
        """Advance the first `n` utterances of `beam` by one step, and record it in `trace`, (B, K) each."""
        old = beam.each(lambda part: part[:n])
        stay = self._stay(old, now)
        survivors = prune(old, now, stay, table)
        new, how = _extend(old, stay, survivors, table) if survivors else (stay.beam, stay.trace)
        for name in STATE:
            getattr(beam, name)[:n] = getattr(new, name)
        for part, value in zip(trace, how, strict=True):
            part[:n] = value

    def _stay(self, old: Beam, now: Classes) -> Stay:
        """Return the same prefixes after a step in which they were not extended.

        Either the blank or the last label goes on, or the prefix without its last label is extended to this
        one.
        """
        xp = namespace(old.blank)
        n, K = old.blank.shape
        C = now.log_probs.shape[1]
        first_slot = arange(old.blank, n)[:, None] * K
        first_class = arange(old.blank, n)[:, None] * C
        last = first_class + xp.clip(old.last, 0, None)
        log_prob = xp.take(now.log_probs, last)  # (n, K) of the last label
        total = xp.logaddexp(old.blank, old.label)
        blank = total + now.log_probs[:, self.blank, None]
        label = old.label + log_prob
        # if the prefix without its last label is in the beam, its extension by that label is this prefix
        slot = first_true(old.parent[:, :, None] == old.key[:, None, :])  # (n, K)
        origin = first_slot + slot
        found = xp.take(old.key, origin) == old.parent
        repeats = xp.take(old.last, origin) == old.last
        before = xp.where(repeats, xp.take(old.blank, origin), xp.take(total, origin))
        entering = xp.where(found, before + log_prob, -INFINITY)
        entered = entering > xp.maximum(blank, label)  # from now on the likeliest way to the prefix
        label = xp.logaddexp(label, entering)
        spoken = label >= blank
        peaked = entered | (spoken & (log_prob > old.peak_log_prob))
        step = old.steps[:, None]
        beam = Beam(
            blank, label, old.last, old.key, old.parent, old.bonus, old.state,
            peak=xp.where(peaked, step, old.peak),
            end=xp.where(spoken, step + 1, old.end),
            peak_log_prob=xp.where(peaked, log_prob, old.peak_log_prob),
            steps=old.steps + 1,
        )  # fmt: skip
        origin = xp.where(entered, origin, first_slot + arange(old.blank, K))
        trace = Trace(
            origin - first_slot,
            xp.where(entered, old.last, NOTHING),
            step + xp.zeros_like(slot),
            *(xp.take(part, origin) for part in (old.peak, old.end, old.peak_log_prob)),
        )
        rank = xp.take(now.rank, last)
        score = xp.logaddexp(blank, label) + old.bonus
        return Stay(beam, trace, score, total, log_prob, rank, slot, found)

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


def _extend(old: Beam, stay: Stay, survivors: Survivors, table: Table | None) -> tuple[Beam, Trace]:
    """Return the beam after pruning, and the trace of the step."""
    xp = namespace(old.blank)
    n, K = old.blank.shape
    slots = arange(old.blank, n * K).reshape(n, K)
    origin, extended = survivors.origin, survivors.label != NOTHING
    beam = stay.beam.at(origin)
    ours = beam.key
    beam.blank = xp.where(extended, -INFINITY, beam.blank)
    beam.label = xp.where(extended, survivors.score, beam.label)
    beam.last = xp.where(extended, survivors.label, beam.last)
    dead = xp.maximum(beam.blank, beam.label) == -INFINITY
    beam.parent = xp.where(dead, NO_KEY, xp.where(extended, ours, beam.parent))
    extension = hash_extension(ours, survivors.label)
    beam.key = xp.where(dead, DEAD_KEY - slots, xp.where(extended, extension, ours))
    if table:
        beam.bonus = xp.where(extended, beam.bonus + survivors.gain, beam.bonus)
        grown = extended & ~dead
        beam.state[grown] = table.advance(beam.state[grown], survivors.label[grown])
    step = old.steps[:, None]
    beam.peak = xp.where(extended, step, beam.peak)
    beam.end = xp.where(extended, step + 1, beam.end)
    beam.peak_log_prob = xp.where(extended, survivors.log_prob, beam.peak_log_prob)
    now = (origin - slots[:, :1], survivors.label, step + 0 * slots)
    last = (xp.take(part, origin) for part in (old.peak, old.end, old.peak_log_prob))
    kept = (xp.take(part, origin) for part in stay.trace)
    return beam, Trace(*(xp.where(extended, new, own) for new, own in zip((*now, *last), kept, strict=True)))


def hash_extension(key: Array, label: Array) -> Array:
    """Return the hash of the prefix with hash `key` extended by `label` (both int64; overflow is fine)."""
    mixed = (key + label + 1) * PREFIX_MULTIPLIER
    return mixed ^ (mixed >> 32)


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

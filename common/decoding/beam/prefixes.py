"""The prefixes of a beam: what is known of each while it lives, and what it spells in the end."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from common.decoding.arrays import Array, cast, from_numpy, full, gather, namespace, to_numpy
from common.decoding.beam.fusion import Table

NOTHING = -1
"""appended, where a prefix stayed"""


class Hypotheses(NamedTuple):
    """The best prefixes of each utterance, best first, as NumPy arrays; B utterances, N prefixes, L labels.

    labels: (B, N, L) int32, 0 behind the end.
    lengths: (B, N) int32.
    scores: (B, N) float64 natural log-probability by the network, over all paths in the beam; -inf where
        there are fewer than N prefixes.
    fused: (B, N) float64 score with what fusion gave up to the last label.
    final: (B, N) float64 what fusion gives for the end.
    starts, ends, peaks: (B, N, L) int32, of each label: its steps [start, end), on the likeliest way to
        it, and the step where it was the likeliest.
    confidences: (B, N, L) float32 its probability at that step.
    """

    labels: np.ndarray
    lengths: np.ndarray
    scores: np.ndarray
    fused: np.ndarray
    final: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    peaks: np.ndarray
    confidences: np.ndarray


@dataclass
class Beam:
    """The K prefixes that live, of each of B utterances; `BeamSearch.start` makes one. All are (B, K)."""

    blank: Array
    """float64 log-probability of the paths that end in the blank"""
    label: Array
    """float64 log-probability of those that end in the last label; where both are -inf, there is no prefix"""
    last: Array
    """int64 last label"""
    key: Array
    """int64 hash of the prefix; two of n different ones agree with probability n ** 2 / 2 ** 65"""
    parent: Array
    """int64 hash of the prefix without its last label"""
    bonus: Array
    """float64 what fusion has given"""
    state: Array
    """int64 of fusion"""
    peak: Array
    """int64 step where the last label was likeliest"""
    end: Array
    """int64 step behind the last one where it was spoken"""
    peak_log_prob: Array
    """float64 of the last label at its peak"""
    steps: Array
    """(B,) int64 how many steps were read"""
    table: Table | None = None
    """of the fusion it is searched with"""
    traces: list["Trace"] = field(default_factory=list)
    """of the pieces fed"""

    def each(self, change: Callable[[Array], Array]) -> "Beam":
        """Return a beam of changed arrays, without table and traces."""
        return Beam(*(change(getattr(self, name)) for name in STATE))

    def at(self, slots: Array) -> "Beam":
        """Return the prefixes in `slots` (B, K) of the flattened arrays, with `steps` as they are."""
        take = namespace(slots).take
        arrays = {name: take(getattr(self, name), slots) for name in STATE if name != "steps"}
        return Beam(**arrays, steps=self.steps)


STATE = tuple(name for name in Beam.__dataclass_fields__ if name not in ("table", "traces"))
"""the arrays of a beam"""


class Trace(NamedTuple):
    """How the prefixes of S steps came about, each (S, B, K).

    origin: the slot of the prefix one step before.
    appended: the label appended to it; -1 for none.
    step: of the utterance.
    peak, end, peak_log_prob: of the label that was the last one before that.
    """

    origin: Array
    appended: Array
    step: Array
    peak: Array
    end: Array
    peak_log_prob: Array


class Classes(NamedTuple):
    """What a step, or S of them, gives to the classes."""

    log_probs: Array
    """(B, C), or (B, S, C)"""
    labels: Array
    """(B, M) int64 the likeliest first, without the blank and what was cut off"""
    label_log_probs: Array
    """(B, M)"""
    rank: Array
    """(B, C) int64 where each class stands among `labels`; M for the blank and what was cut off"""


class Stay(NamedTuple):
    """The prefixes that stay, each part (B, K) but the first two."""

    beam: Beam
    trace: Trace
    score: Array
    """by which they compete"""
    total: Array
    """log-probability of all paths, before this step"""
    log_prob: Array
    """of the last label at this step"""
    rank: Array
    """of the last label among the likeliest"""
    slot: Array
    """of the prefix without the last label"""
    found: Array
    """whether there is one"""


def trace_ancestors(trace: Trace, places: Array) -> tuple[Trace, Array]:
    """Return a trace (S, B, K) along the way of the prefixes that are in slots `places` (B, N) behind it.

    Returns:
        The trace (S, B, N); its origins are still slots. And the slots (B, N) before it.
    """
    visited = full(places, (len(trace.origin), *places.shape), 0, "int64")
    for t in reversed(range(len(visited))):
        visited[t] = places
        places = cast(gather(trace.origin[t], places), "int64")
    return Trace(*(gather(part, visited) for part in trace)), places


def backtrace(
    beam: Beam, slots: np.ndarray, alive: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Return what the prefixes of a beam spell, and where.

    Args:
        beam: fed.
        slots: (B, N) of the prefixes.
        alive: (B, N) whether there is one.

    Returns:
        Lengths (B, N); labels and starts, (B, N, L) each; ends, peaks and log-probabilities there.
    """
    B, N = slots.shape
    places = from_numpy(beam.blank, slots)
    pieces = []  # of the traces, along the way of each prefix, the last piece first
    for trace in reversed(beam.traces):
        way, places = trace_ancestors(trace, places)
        pieces.append([to_numpy(part) for part in way[1:]])
    if not pieces:
        nothing = np.zeros((0, B, N), np.int32)
        pieces = [[nothing, nothing, nothing, nothing, nothing.astype(np.float32)]]
    appended, step, *before = (np.concatenate(parts) for parts in zip(*reversed(pieces), strict=True))
    happened = (appended != NOTHING) & alive  # (S, B, N)
    number = (happened.cumsum(0) - 1)[happened]  # of the label that was appended
    lengths = happened.sum(0, dtype=np.int32)
    shape = (B, N, int(lengths.max(initial=0)))
    row, rank = np.nonzero(happened)[1:]
    own = [np.zeros(shape, np.int32) for _ in range(2)]
    for target, part in zip(own, (appended, step), strict=True):
        target[row, rank, number] = part[happened]
    # what became of a label stands where the next was appended; what became of the last one, in the beam
    became = [np.zeros(shape, part.dtype) for part in before]
    later, spelled = number > 0, lengths > 0
    now = (beam.peak, beam.end, beam.peak_log_prob)
    for target, part, end in zip(became, before, now, strict=True):
        target[row[later], rank[later], number[later] - 1] = part[happened][later]
        target[(*np.nonzero(spelled), lengths[spelled] - 1)] = gather(to_numpy(end), slots)[spelled]
    peaks, ends, log_probs = became
    return lengths, own, [ends, peaks, log_probs]

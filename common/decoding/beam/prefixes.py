"""The prefixes of a beam: their state during the search, and the backtrace to labels and their steps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from common.decoding.arrays import Array, cast, from_numpy, full, gather, namespace, to_numpy
from common.decoding.beam.fusion import Table

NOTHING = -1
"""the label appended to a prefix that stays"""


class Hypotheses(NamedTuple):
    """The best prefixes of each utterance, best first, as NumPy arrays; B utterances, N prefixes, L labels.

    labels: (B, N, L) int32, 0 after the end.
    lengths: (B, N) int32, number of labels.
    scores: (B, N) float64 natural log-probability by the network, over all paths in the beam; -inf where
        there are fewer than N prefixes.
    fused: (B, N) float64 score plus the gains of fusion up to the last label.
    final: (B, N) float64 gain of fusion for the end of the text.
    starts, ends, peaks: (B, N, L) int32, of each label: its steps [start, end) on the likeliest way to
        the prefix, and the step where its probability was highest.
    confidences: (B, N, L) float32 probability of the label at its peak.
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
    """The K prefixes in the beam of each of B utterances, (B, K) each; `BeamSearch.start` makes a beam."""

    blank: Array
    """float64 log-probability of the paths that end in the blank"""
    label: Array
    """float64 log-probability of those that end in the last label; if both are -inf, the slot is free"""
    last: Array
    """int64 last label; -1 for the empty prefix"""
    key: Array
    """int64 hash of the prefix; two of n different ones agree with probability n ** 2 / 2 ** 65"""
    parent: Array
    """int64 hash of the prefix without its last label"""
    bonus: Array
    """float64 sum of the gains of fusion"""
    state: Array
    """int64 state of the fusion"""
    peak: Array
    """int64 step where the probability of the last label was highest"""
    end: Array
    """int64 step after the last one where `label` was at least `blank`"""
    peak_log_prob: Array
    """float64 log-probability of the last label at its peak"""
    steps: Array
    """(B,) int64 number of steps read"""
    table: Table | None = None
    """table of the fusion that the search uses"""
    traces: list["Trace"] = field(default_factory=list)
    """one for each piece fed"""
    history: list["Snapshot"] | None = None
    """one for each piece fed, if it is to be kept"""

    def each(self, change: Callable[[Array], Array]) -> "Beam":
        """Return a beam whose arrays are changed, without table, traces and history."""
        return Beam(*(change(getattr(self, name)) for name in STATE))

    def at(self, slots: Array) -> "Beam":
        """Return the prefixes in `slots` (B, K) of the flattened arrays; `steps` stays the same."""
        take = namespace(slots).take
        arrays = {name: take(getattr(self, name), slots) for name in STATE if name != "steps"}
        return Beam(**arrays, steps=self.steps)


STATE = tuple(name for name in Beam.__dataclass_fields__ if name not in ("table", "traces", "history"))
"""names of the arrays of a beam"""


class Snapshot(NamedTuple):
    """The prefixes in the beam before each of S steps, and the classes that the step considered.

    key, parent: (S, B, K) hashes of the prefixes, and of those without their last label.
    log_probs: (S, B, C) of the classes; -inf for those that were cut off.
    """

    key: Array
    parent: Array
    log_probs: Array


class Trace(NamedTuple):
    """The origin of the prefixes at each of S steps; each part is (S, B, K).

    origin: the slot of the prefix at the step before.
    appended: the label that extended it; -1 if it stayed.
    step: the number of the step in the utterance.
    peak, end, peak_log_prob: of the label that was the last one before this step.
    """

    origin: Array
    appended: Array
    step: Array
    peak: Array
    end: Array
    peak_log_prob: Array


class Classes(NamedTuple):
    """The classes of one step or of S steps, with their log-probabilities."""

    log_probs: Array
    """(B, C), or (B, S, C)"""
    labels: Array
    """(B, M) int64 labels, the likeliest first, without the blank and the classes cut off"""
    label_log_probs: Array
    """(B, M) their log-probabilities"""
    rank: Array
    """(B, C) int64 index of each class in `labels`; M for the blank and the classes cut off"""


class Stay(NamedTuple):
    """The prefixes that stay at a step; each part except the first two is (B, K)."""

    beam: Beam
    trace: Trace
    score: Array
    """score after the step, with fusion, by which prefixes are compared"""
    total: Array
    """log-probability of all paths before this step"""
    log_prob: Array
    """log-probability of the last label at this step"""
    rank: Array
    """index of the last label in `Classes.labels`"""
    slot: Array
    """slot of the prefix without the last label"""
    found: Array
    """whether that prefix is in the beam"""


def trace_ancestors(trace: Trace, places: Array) -> tuple[Trace, Array]:
    """Return the trace of the ancestors of N prefixes.

    Args:
        trace: (S, B, K) of all slots.
        places: (B, N) slots of the prefixes after the trace.

    Returns:
        The trace (S, B, N) of the ancestors, whose origins are still slots; and their slots (B, N) before it.
    """
    visited = full(places, (len(trace.origin), *places.shape), 0, "int64")
    for t in reversed(range(len(visited))):
        visited[t] = places
        places = cast(gather(trace.origin[t], places), "int64")
    return Trace(*(gather(part, visited) for part in trace)), places


def backtrace(
    beam: Beam, slots: np.ndarray, alive: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Return the labels of the prefixes of a beam, and their steps.

    Args:
        beam: the beam after the steps fed.
        slots: (B, N) of the prefixes.
        alive: (B, N) whether there is a prefix in the slot.

    Returns:
        Lengths (B, N); a list of labels and starts; a list of ends, peaks and log-probabilities at the peaks.
        Each list item is (B, N, L).
    """
    B, N = slots.shape
    places = from_numpy(beam.blank, slots)
    pieces = []  # traces of the ancestors of each prefix, the last piece first
    for trace in reversed(beam.traces):
        way, places = trace_ancestors(trace, places)
        pieces.append([to_numpy(part) for part in way[1:]])
    if not pieces:
        nothing = np.zeros((0, B, N), np.int32)
        pieces = [[nothing, nothing, nothing, nothing, nothing.astype(np.float32)]]
    appended, step, *before = (np.concatenate(parts) for parts in zip(*reversed(pieces), strict=True))
    happened = (appended != NOTHING) & alive  # (S, B, N)
    number = (happened.cumsum(0) - 1)[happened]  # index of the label in its prefix
    lengths = happened.sum(0, dtype=np.int32)
    shape = (B, N, int(lengths.max(initial=0)))
    row, rank = np.nonzero(happened)[1:]
    own = [np.zeros(shape, np.int32) for _ in range(2)]
    for target, part in zip(own, (appended, step), strict=True):
        target[row, rank, number] = part[happened]
    # end and peak of a label are in the trace where the next label was appended; those of the last label are
    # in the beam
    became = [np.zeros(shape, part.dtype) for part in before]
    later, spelled = number > 0, lengths > 0
    now = (beam.peak, beam.end, beam.peak_log_prob)
    for target, part, end in zip(became, before, now, strict=True):
        target[row[later], rank[later], number[later] - 1] = part[happened][later]
        target[(*np.nonzero(spelled), lengths[spelled] - 1)] = gather(to_numpy(end), slots)[spelled]
    peaks, ends, log_probs = became
    return lengths, own, [ends, peaks, log_probs]

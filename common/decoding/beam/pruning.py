"""Which prefixes live on after a step: the K best of those that stay and of their extensions by a label."""

from typing import NamedTuple

import numpy as np

from common.decoding.arrays import Array, arange, full, gather, namespace
from common.decoding.beam.fusion import Table
from common.decoding.beam.prefixes import NOTHING, Beam, Classes, Stay

SLACK = 1e-6
"""by which the first look for extensions is too generous, so that rounding loses none"""
FARTHEST = 1e4
"""log-probabilities are told apart up to here from 0, in that first look"""


class Chosen(NamedTuple):
    """The K prefixes that live on, each part (B, K).

    origin: int64 the prefix each comes from, a slot of the flattened beam.
    label: int64 what is appended to it; -1 for nothing.
    score: float64 log-probability of its paths, if it is an extension; -inf if fusion forbids it.
    gain: float64 what fusion gives for the label.
    log_prob: float64 of the label.
    """

    origin: Array
    label: Array
    score: Array
    gain: Array
    log_prob: Array


def choose(old: Beam, now: Classes, stay: Stay, table: Table | None) -> Chosen | None:
    """Return which prefixes live on; None for those that stay.

    Of equal scores the smaller last label comes in, and then what stays, and then the first slot.
    """
    if not now.labels.shape[1]:  # there is the blank alone
        return None
    if namespace(old.blank) is np:
        return _choose_few(old, now, stay, table)
    return _choose_all(old, now, stay, table)


def _choose_few(old: Beam, now: Classes, stay: Stay, table: Table | None) -> Chosen | None:
    """Look only at extensions that can be better than the worst prefix that stays: a few of B x K x M."""
    n, K = old.blank.shape
    M = now.labels.shape[1]
    worst = stay.score.min(1)  # (n,)
    best = stay.total + old.bonus
    if table:
        best = best + table.best(old.state)
    alive = best > -np.inf
    least = np.subtract(worst[:, None], best, out=np.full((n, K), np.inf), where=alive)
    counts = _count_above(now.label_log_probs, least)  # (n, K) of the likeliest labels
    first = (np.cumsum(counts) - counts.reshape(-1)).reshape(n, K)  # where each prefix's extensions begin
    parent = np.repeat(np.arange(n * K), counts.reshape(-1))  # (P,)
    place = parent // K * M + np.arange(len(parent)) - first.reshape(-1)[parent]
    label, log_prob = now.labels.take(place), now.label_log_probs.take(place)
    score = stay.total.take(parent) + log_prob
    repeated = stay.rank < counts
    score[(first + stay.rank)[repeated]] = (old.blank + stay.log_prob)[repeated]
    source = np.arange(n)[:, None] * K + stay.slot  # of prefixes that stay and are extensions, too
    merged = stay.found & (stay.rank < counts.take(source))
    score[(first.take(source) + stay.rank)[merged]] = -np.inf
    gain = table.gains(old.state.take(parent), label) if table else np.zeros(len(parent))
    fused = score + old.bonus.take(parent) + gain
    (able,) = np.nonzero((fused >= worst.take(parent // K)) & (fused > -np.inf))
    if not len(able):
        return None
    stayed = np.arange(n * K)
    scores = np.concatenate([stay.score.reshape(-1), fused[able]])
    origin = np.concatenate([stayed, parent[able]])
    labels = np.concatenate([old.last.reshape(-1), label[able]])
    kept = _largest_of_each(scores, origin // K, labels, n, K)  # (n, K)
    extended = kept >= n * K
    at = able[np.where(extended, kept - n * K, 0)]
    return Chosen(
        origin[kept],
        np.where(extended, label[at], NOTHING),
        score[at],
        gain[at],
        log_prob[at],
    )


def _count_above(log_probs: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Return how many of `log_probs` (n, M), which fall along each row, reach each of `least` (n, K)."""
    n, M = log_probs.shape
    apart = 4 * FARTHEST * np.arange(n)[:, None]  # rows become one rising sequence
    possible = np.where(log_probs > -np.inf, 1 - FARTHEST, -FARTHEST)  # however unlikely
    rising = apart - np.clip(log_probs, possible, FARTHEST)
    wanted = apart - np.clip(least - SLACK, SLACK - FARTHEST, FARTHEST)  # -inf is never reached
    places = np.searchsorted(rising.reshape(-1), wanted.reshape(-1), side="right").reshape(wanted.shape)
    return places - M * np.arange(n)[:, None]


def _largest_of_each(
    scores: np.ndarray, group: np.ndarray, rank: np.ndarray, groups: int, count: int
) -> np.ndarray:
    """Return the places (groups, count) of the largest `scores` (N,) of each group.

    Each has as many or more. Of equal scores the lower `rank` (N,) comes in, then the first.
    """
    small = group.astype(np.uint16 if groups < 65536 else np.int64)  # sorted by radix
    order = np.argsort(-scores)
    order = order[np.argsort(small[order], kind="stable")]
    sizes = np.bincount(group, minlength=groups)
    first = (np.cumsum(sizes) - sizes)[:, None]
    kept = order[first + np.arange(count)]
    out = order[first + np.minimum(count, sizes[:, None] - 1)]  # the best that falls out
    tied = (scores[kept[:, -1:]] == scores[out]) & (sizes[:, None] > count) & (scores[out] > -np.inf)
    if tied.any():  # among them it was chance
        order = np.lexsort((rank, -scores, group))
        kept = order[first + np.arange(count)]
    return kept


def _choose_all(old: Beam, now: Classes, stay: Stay, table: Table | None) -> Chosen:
    """Look at all extensions: on a GPU, to know how many matter means to wait for it."""
    xp = namespace(old.blank)
    n, K = old.blank.shape
    M = now.labels.shape[1]
    slots = arange(old.blank, n * K).reshape(n, K)
    first_slot = slots[:, :1]
    scores = full(old.blank, (n, K, M + 1), -np.inf, "float64")  # the last column: nowhere
    scores[:, :, :M] = stay.total[:, :, None] + now.label_log_probs[:, None, :]
    flat = scores.reshape(-1)
    flat[(slots * (M + 1) + stay.rank).reshape(-1)] = (old.blank + stay.log_prob).reshape(-1)  # repeated
    merged = (first_slot + stay.slot) * (M + 1) + xp.where(stay.found, stay.rank, M)
    flat[merged.reshape(-1)] = -np.inf
    scores[:, :, M] = -np.inf
    gains = full(old.blank, (n, K, M + 1), 0.0, "float64")
    if table:
        gains[:, :, :M] = table.gains(old.state[:, :, None], now.labels[:, None, :])
    fused = scores + old.bonus[:, :, None] + gains
    candidates = xp.concatenate([stay.score, fused.reshape(n, -1)], 1)  # (n, K + K (M + 1))
    labels = full(old.last, (n, K, M + 1), 0, "int64")
    labels[:, :, :M] = now.labels[:, None, :]
    chosen = _largest(candidates, K, xp.concatenate([old.last, labels.reshape(n, -1)], 1))  # (n, K)
    extended = chosen >= K
    place = xp.clip(chosen - K, 0, None)
    parent = place // (M + 1)
    column = xp.clip(place - parent * (M + 1), None, M - 1)
    at = first_slot * (M + 1) + place
    row = first_slot // K * M + column
    possible = gather(candidates, chosen) > -np.inf
    return Chosen(
        first_slot + xp.where(extended, parent, chosen),
        xp.where(extended, xp.take(now.labels, row), NOTHING),
        xp.where(possible, xp.take(scores, at), -np.inf),
        xp.take(gains, at),
        xp.take(now.label_log_probs, row),
    )


def _largest(values: Array, count: int, rank: Array) -> Array:
    """Return the places (B, count) of the largest of `values` (B, N), torch tensors, in no order.

    Of equal values the lower `rank` (B, N) comes in, then the first.
    """
    xp = namespace(values)
    size = values.shape[1]
    least = xp.topk(values, count).values[:, -1:]
    key = -(rank * size + arange(values, size)).double()  # no two alike
    key = key.masked_fill(values > least, np.inf).masked_fill(values < least, -np.inf)
    return xp.topk(key, count).indices

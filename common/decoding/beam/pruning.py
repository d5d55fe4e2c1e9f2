"""Beam pruning: the choice of the classes and of the prefixes that a step of the beam search keeps.

classes    `sort_classes`: the likeliest classes of a step, by number or by probability
prefixes   `prune`: the K best of the prefixes that stay and of their extensions by a label
"""

from typing import NamedTuple

import numpy as np

from common.decoding.arrays import Array, arange, cast, full, gather, namespace, scatter
from common.decoding.beam.device_table import DeviceTable
from common.decoding.beam.fusion import Table
from common.decoding.beam.prefixes import NOTHING, Beam, Classes, Stay

SLACK = 1e-6
"""tolerance of the first selection of extensions, so that rounding loses none of them"""
FARTHEST = 1e4
"""log-probabilities further from 0 than this count as equal in that first selection"""


class Survivors(NamedTuple):
    """The K prefixes that are kept; each part is (B, K).

    origin: int64, the prefix that it comes from, as a slot of the flattened beam.
    label: int64, the label that extends it; -1 if it stays.
    score: float64, log-probability of the paths of an extension; -inf if fusion forbids it.
    gain: float64, the gain that fusion gives for the label.
    log_prob: float64, log-probability of the label at this step.
    """

    origin: Array
    label: Array
    score: Array
    gain: Array
    log_prob: Array


def sort_classes(
    log_probs: Array, blank: int, cutoff_top_n: int | None = None, cutoff_prob: float = 1.0
) -> Classes:
    """Return the classes of all steps, sorted by probability; the classes that are cut off are at -inf.

    Args:
        log_probs: (S, B, C) float64.
        blank: the class that is no label.
        cutoff_top_n: how many of the likeliest classes are kept at each step; None for all.
        cutoff_prob: at each step, as many of the likeliest classes are kept as have at least this
            probability together.
    """
    xp = namespace(log_probs)
    S, B, C = log_probs.shape
    M = C - 1
    if cutoff_prob < 1 or (cutoff_top_n or C) < C:
        log_probs = _cut_off(log_probs, cutoff_top_n or C, cutoff_prob)
        M = min(M, cutoff_top_n or C)
    negated = -log_probs
    negated[..., blank] = np.inf
    labels = xp.argsort(negated, -1)[..., :M]
    rank = full(log_probs, (S, B, C), M, "int64")
    scatter(rank, labels, arange(log_probs, M) + full(log_probs, (S, B, M), 0, "int64"))
    rank[..., blank] = M
    return Classes(log_probs, labels, -gather(negated, labels), rank)


def _cut_off(log_probs: Array, top_n: int, prob: float) -> Array:
    """Return `log_probs` (S, B, C) with -inf for the classes that are cut off."""
    xp = namespace(log_probs)
    order = xp.argsort(-log_probs, stable=True)
    ordered = gather(log_probs, order)
    kept = arange(log_probs, log_probs.shape[-1]) < top_n  # (C,)
    if prob < 1:
        before = xp.cumsum(xp.exp(ordered), -1) - xp.exp(ordered)  # the mass of the likelier ones
        kept = kept & (before < prob)
    result = full(log_probs, tuple(log_probs.shape), -np.inf, "float64")
    scatter(result, order, xp.where(kept, ordered, -np.inf))
    return result


def prune(old: Beam, now: Classes, stay: Stay, table: "Table | DeviceTable | None") -> Survivors | None:
    """Return the K best prefixes after a step; None if they are exactly the prefixes that stay.

    Ties are broken by the smaller last label, then in favour of prefixes that stay, then by the slot.

    Args:
        old: the beam before the step.
        now: the classes of the step.
        stay: the prefixes that stay.
        table: of the fusion; None without fusion.
    """
    if isinstance(old.blank, np.ndarray):
        assert not isinstance(table, DeviceTable), "arrays are searched with the table itself"
        return _prune_by_bound(old, now, stay, table) if now.labels.shape[1] else None
    assert not isinstance(table, Table), "tensors are searched with a copy of the table on their device"
    return _prune_all(old, now, stay, table)


def _prune_by_bound(old: Beam, now: Classes, stay: Stay, table: Table | None) -> Survivors | None:
    """Compare only extensions that can beat the worst prefix that stays: a few of n x K x M."""
    n, K = old.blank.shape
    M = now.labels.shape[1]
    worst = stay.score.min(1)  # (n,)
    best = stay.total + old.bonus
    if table:
        best = best + table.best(old.state)
    alive = best > -np.inf
    least = np.subtract(worst[:, None], best, out=np.full((n, K), np.inf), where=alive)
    counts = _count_above(now.label_log_probs, least)  # (n, K) number of labels to consider
    first = (np.cumsum(counts) - counts.reshape(-1)).reshape(n, K)  # where each prefix's extensions begin
    parent = np.repeat(np.arange(n * K), counts.reshape(-1))  # (P,)
    place = parent // K * M + np.arange(len(parent)) - first.reshape(-1)[parent]
    label, log_prob = now.labels.take(place), now.label_log_probs.take(place)
    score = stay.total.take(parent) + log_prob
    repeated = stay.rank < counts
    score[(first + stay.rank)[repeated]] = (old.blank + stay.log_prob)[repeated]
    source = np.arange(n)[:, None] * K + stay.slot  # of prefixes that stay and are also extensions
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
    return Survivors(
        origin[kept],
        np.where(extended, label[at], NOTHING),
        score[at],
        gain[at],
        log_prob[at],
    )


def _count_above(log_probs: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Return how many of `log_probs` (n, M), in falling order in each row, reach each of `least` (n, K)."""
    n, M = log_probs.shape
    apart = 4 * FARTHEST * np.arange(n)[:, None]  # all rows together form one rising sequence
    possible = np.where(log_probs > -np.inf, 1 - FARTHEST, -FARTHEST)  # even the least likely classes
    rising = apart - np.clip(log_probs, possible, FARTHEST)
    wanted = apart - np.clip(least - SLACK, SLACK - FARTHEST, FARTHEST)  # classes at -inf are never counted
    places = np.searchsorted(rising.reshape(-1), wanted.reshape(-1), side="right").reshape(wanted.shape)
    return places - M * np.arange(n)[:, None]


def _largest_of_each(
    scores: np.ndarray, group: np.ndarray, rank: np.ndarray, groups: int, count: int
) -> np.ndarray:
    """Return the indices (groups, count) of the largest `scores` (N,) of each group.

    Each group has at least `count` scores. Ties are broken by the lower `rank` (N,), then by the index.
    """
    small = group.astype(np.uint16 if groups < 65536 else np.int64)  # NumPy sorts them by radix
    order = np.argsort(-scores)
    order = order[np.argsort(small[order], kind="stable")]
    sizes = np.bincount(group, minlength=groups)
    first = (np.cumsum(sizes) - sizes)[:, None]
    kept = order[first + np.arange(count)]
    out = order[first + np.minimum(count, sizes[:, None] - 1)]  # the best that is pruned
    tied = (scores[kept[:, -1:]] == scores[out]) & (sizes[:, None] > count) & (scores[out] > -np.inf)
    if tied.any():  # the choice among equal scores was arbitrary
        order = np.lexsort((rank, -scores, group))
        kept = order[first + np.arange(count)]
    return kept


def _prune_all(old: Beam, now: Classes, stay: Stay, table: DeviceTable | None) -> Survivors:
    """Compare all extensions: on a GPU, counting those that matter would require a synchronisation.

    All that competes for the beam is one grid (n, K, M + 1): a row for each prefix, a column for each of the
    M labels that may extend it, and in the last column the prefix itself, if it stays. The last of
    `now.labels` stands for this column and is at -inf.
    """
    xp = namespace(old.blank)
    n, K = old.blank.shape
    M = now.labels.shape[1] - 1
    slot = arange(old.blank, K)
    first_slot = arange(old.blank, n)[:, None] * K
    scores = stay.total[:, :, None] + now.label_log_probs[:, None, :]
    scores.scatter_(2, stay.rank[:, :, None], (old.blank + stay.log_prob)[:, :, None])  # repeated
    # a prefix that stays and is also an extension; others forbid what is at -inf already
    merged = xp.where(stay.found, stay.slot * (M + 1) + stay.rank, slot * (M + 1) + M)
    scores.reshape(n, -1).scatter_(1, merged, -np.inf)
    fused, gains = scores, None
    if table:
        gains = table.gains(old.state[:, :, None], now.labels[:, None, :])
        fused = scores + (old.bonus[:, :, None] + gains)
    fused[:, :, M] = stay.score
    # ties: by the last label, then what stays, then the slot; in int32, which takes half the radix passes
    order = (cast(now.labels, "int32")[:, None, :] + 1) * (2 * K) + cast(slot + K, "int32")[:, None]
    order[:, :, M] = (old.last + 1) * (2 * K) + slot
    chosen = _largest(fused.reshape(n, -1), order.reshape(n, -1), K)  # (n, K)
    parent = chosen // (M + 1)
    column = chosen - parent * (M + 1)
    score = gather(fused.reshape(n, -1), chosen)
    if gains is None:
        gain = score
    else:
        gain = gather(gains.reshape(n, -1), chosen)
        score = xp.where(score > -np.inf, gather(scores.reshape(n, -1), chosen), -np.inf)
    return Survivors(
        first_slot + parent,
        xp.where(column < M, gather(now.labels, column), NOTHING),
        score,
        gain,
        gather(now.label_log_probs, column),
    )


def _largest(values: Array, order: Array, count: int) -> Array:
    """Return the indices (B, count) of the largest of `values` (B, N), torch tensors, in no order.

    Ties are broken by the lower `order` (B, N) int32, whose numbers are different.
    """
    least = values.topk(count, sorted=False).values.amin(1, keepdim=True)
    order = order.masked_fill_(values > least, -1).masked_fill_(values < least, np.iinfo(np.int32).max)
    return order.topk(count, largest=False, sorted=False).indices

"""The text that several voters agree on most, from the hypotheses of each.

Every voter divides one vote among its best hypotheses, by their probabilities. The text with the fewest
expected edits to all hypotheses is the pivot; each hypothesis is aligned with it, so that there is a slot
for each of its labels, and one for what may stand before, between and after them. In each slot the labels
with most votes win:

    voter 1   0.7 hear   0.3 heat           pivot  heat      h 1.9   e 2.0   a 2.0   t 1.3
    voter 2   0.9 heat   0.1 beat                            b 0.1                   r 0.7

This combines confusion networks (Evermann and Woodland 2000), as ROVER does single texts (Fiscus 1997).
"""

from collections import defaultdict
from collections.abc import Sequence
from math import fsum, log
from typing import NamedTuple

import numpy as np

from common.decoding.greedy import Hit
from common.decoding.hypothesis import Hypothesis

Labels = tuple[int, ...]
Slots = list[list[Hit]]
"""the hits of a hypothesis in each slot of a pivot: before its first label, at it, before the second ..."""


class Reading(NamedTuple):
    """One hypothesis of one voter.

    voter: the number of the voter.
    hits: its labels, of the common alphabet, at steps that all voters share.
    share: of the voter's one vote.
    is_best: whether it is the best one of the voter.
    """

    voter: int
    hits: list[Hit]
    share: float
    is_best: bool

    @property
    def labels(self) -> Labels:
        """The labels of the hits."""
        return tuple(hit.label for hit in self.hits)


def readings_of(voter: int, hypotheses: Sequence[Hypothesis]) -> list[Reading]:
    """Return the hypotheses of a voter, best first, with the probability of each among them."""
    scores = np.array([one.score for one in hypotheses], dtype=np.float64)
    shares = np.exp(scores - scores[0]) if scores[0] > -np.inf else np.ones(1)  # impossible: the only one
    shares /= shares.sum()
    return [
        Reading(voter, one.hits, share, rank == 0)
        for rank, (one, share) in enumerate(zip(hypotheses, shares.tolist(), strict=True))
    ]


def consensus(voters: Sequence[Sequence[Hypothesis]], count: int = 1) -> list[Hypothesis]:
    """Return what voters agree on most, and after it up to `count` - 1 of their hypotheses, likeliest first.

    The confidence of a label is the mean over the voters of its confidence in the best hypothesis that has it
    in this slot, 0 for a voter without one. Where votes are equal, the labels of higher confidence win, and
    then the lower labels, so that the order of the voters does not matter.

    Where the best text of all voters is the same, it is the result.

    Args:
        voters: the hypotheses of each, best first, with labels of one alphabet and steps that all share.
        count: 1 or more.
    """
    readings = [one for voter, found in enumerate(voters) for one in readings_of(voter, found)]
    votes = _votes(readings)
    best_ones = [one for one in readings if one.is_best]
    agreed = len({one.labels for one in best_ones}) == 1
    pivot = best_ones[0].labels if agreed else _pivot(votes)
    slotted = [(one, _slotted(pivot, one)) for one in (best_ones if agreed else readings)]
    hits, left_out = list[Hit](), 0
    for slot in range(2 * len(pivot) + 1):
        found = _elected([(reading, slots[slot]) for reading, slots in slotted])
        hits += found
        if not found:
            left_out += sum(len(slots[slot]) for reading, slots in slotted if reading.is_best)
    missing = (fsum(found[0].missing for found in voters) + left_out) / len(voters)
    elected = _in_order(hits)
    labels = tuple(hit.label for hit in elected)
    score = log(votes[labels] / len(voters)) if votes.get(labels) else -np.inf
    best = Hypothesis(elected, score, missing)
    return [best, *_others(readings, votes, labels, len(voters))[: count - 1]]


def _votes(readings: Sequence[Reading]) -> dict[Labels, float]:
    """Return the votes for each text, in an order that does not depend on that of the voters."""
    shares = defaultdict[Labels, list[float]](list)
    for reading in readings:
        shares[reading.labels].append(reading.share)
    return {labels: fsum(shares[labels]) for labels in sorted(shares)}


def _pivot(votes: dict[Labels, float]) -> Labels:
    """Return the text with the fewest expected edits to all; of several, the one with most votes."""
    from rapidfuzz.distance import Levenshtein

    def cost(labels: Labels) -> tuple[float, float]:
        edits = fsum(share * Levenshtein.distance(labels, other) for other, share in votes.items())
        return round(edits, 9), -votes[labels]

    return min(votes, key=cost)


def _slotted(pivot: Labels, reading: Reading) -> Slots:
    """Return the hits of a reading in the 2 L + 1 slots of a pivot (L,): odd ones belong to its labels."""
    from rapidfuzz.distance import Levenshtein

    slots: Slots = [[] for _ in range(2 * len(pivot) + 1)]
    for block in Levenshtein.opcodes(pivot, reading.labels):
        hits = reading.hits[block.dest_start : block.dest_end]
        if block.tag == "insert":
            slots[2 * block.src_start] = hits
        elif block.tag != "delete":
            for place, hit in enumerate(hits, block.src_start):
                slots[2 * place + 1] = [hit]
    return slots


def _elected(slot: Sequence[tuple[Reading, list[Hit]]]) -> list[Hit]:
    """Return the hits that win a slot, with confidences and places of those who voted for them."""
    voted = defaultdict[Labels, list[tuple[Reading, list[Hit]]]](list)
    for reading, hits in slot:
        voted[tuple(hit.label for hit in hits)].append((reading, hits))
    if len(voted) == 1 and () in voted:
        return []
    count = len({reading.voter for reading, _ in slot})
    merged = {labels: _merged(for_it, count) for labels, for_it in voted.items()}

    def support(labels: Labels) -> tuple[float, float, list[int]]:
        share = fsum(reading.share for reading, _ in voted[labels])
        sure = fsum(hit.confidence for hit in merged[labels])
        return round(share, 9), round(sure, 9), [-label for label in labels]

    return merged[max(voted, key=support)]


def _merged(voted: Sequence[tuple[Reading, list[Hit]]], count: int) -> list[Hit]:
    """Return equal hits of several readings as one row, with their mean places.

    Args:
        voted: readings, and their hits with the same labels, those of a voter best first.
        count: the number of all voters; those without such a reading have no confidence in it.
    """
    best: dict[int, list[Hit]] = {}
    for reading, hits in voted:
        best.setdefault(reading.voter, hits)
    return [
        Hit(
            same[0].label,
            round(sum(hit.start for hit in same) / len(same)),
            round(sum(hit.end for hit in same) / len(same)),
            fsum(hit.confidence for hit in same) / count,
            round(sum(hit.peak for hit in same) / len(same)),
        )
        for same in zip(*best.values(), strict=True)
    ]


def _in_order(hits: Sequence[Hit]) -> list[Hit]:
    """Return hits none of which begins or ends before the one before it: voters place a label differently."""
    ordered, start, end = list[Hit](), 0, 0
    for hit in hits:
        start, end = max(start, hit.start), max(end, hit.end)
        ordered.append(hit._replace(start=start, end=end, peak=min(max(hit.peak, start), end - 1)))
    return ordered


def _others(
    readings: Sequence[Reading], votes: dict[Labels, float], elected: Labels, count: int
) -> list[Hypothesis]:
    """Return the readings that were not elected, each text once, likeliest first."""
    hits: dict[Labels, list[Hit]] = {}
    for reading in readings:
        hits.setdefault(reading.labels, reading.hits)
    order = sorted(votes, key=lambda labels: (-votes[labels], labels))
    return [
        Hypothesis(hits[labels], log(votes[labels] / count))
        for labels in order
        if labels != elected and votes[labels]
    ]

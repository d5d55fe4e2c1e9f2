"""The timesteps of parlance/ctcdecode, from the prefixes that were in the beam before each frame.

The original keeps a tree of prefixes. At each frame, every prefix in the beam touches its extension by every
label that is considered, also by its own last label. The node of the extension takes the frame if the label
is likelier there than at all frames where the node was touched before. A node is forgotten when neither it
nor any longer prefix that begins with it is in the beam.

    frame             0    1    2    3    4
    beam before it    .    a    a    ab   a ab      `ab` is touched by `a` at 1, but forgotten, since it is
    p(b)              .4   .5   .3   .2   .1        not in the beam before 2; then at 2 and at 4: it takes 2
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from common.decoding.arrays import to_numpy
from common.decoding.beam.prefixes import Beam
from common.decoding.beam.step import NO_KEY, ROOT_KEY, hash_extension


def timesteps(beam: Beam, labels: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the frame (B, N, L) of each label of hypotheses that are in the beam now; 0 after their end.

    Args:
        beam: with the history of all steps.
        labels: (B, N, L) of the hypotheses.
        lengths: (B, N) number of labels.
    """
    assert beam.history is not None, "the beam was fed without a history"
    frames = np.zeros_like(labels)
    before = [[to_numpy(part) for part in one] for one in beam.history]
    now = [to_numpy(part)[None] for part in (beam.key, beam.parent)]
    for row, steps in enumerate(to_numpy(beam.steps).tolist()):
        if not steps:
            continue
        keys, parents, log_probs = (
            np.concatenate([one[place][:, row] for one in before])[:steps] for place in range(3)
        )
        keys, parents = (
            np.concatenate([past, last[:, row]]) for past, last in zip((keys, parents), now, strict=True)
        )
        frames[row] = _frames(keys, parents, log_probs.astype(np.float32), labels[row], lengths[row])
    return frames


def _frames(
    keys: np.ndarray, parents: np.ndarray, log_probs: np.ndarray, labels: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """Return the frame (N, L) of each label of the hypotheses of one utterance.

    Args:
        keys: (S + 1, K) of the prefixes in the beam before each frame, and after the last one.
        parents: (S + 1, K) of the prefixes without their last label.
        log_probs: (S, C) of the labels that were considered.
        labels: (N, L) of the hypotheses.
        lengths: (N,) number of labels.
    """
    N, L = labels.shape
    real = (parents != NO_KEY) | (keys == ROOT_KEY)
    time = np.nonzero(real)[0]
    known, first, node = np.unique(keys[real], return_index=True, return_inverse=True)
    parent = np.searchsorted(known, parents[real][first])
    root = int(np.searchsorted(known, ROOT_KEY))
    parent[root] = root
    spelled = np.arange(L) < lengths[:, None]
    key, nodes = np.full(N, ROOT_KEY), np.full((N, L), root)  # the node of each beginning of a hypothesis
    for place in range(L):
        key = hash_extension(key, labels[:, place].astype(np.int64))
        nodes[:, place] = np.where(spelled[:, place], np.searchsorted(known, key), root)
    label = np.zeros(len(known), np.int64)
    label[nodes[spelled]] = labels[spelled]
    wanted = np.unique(nodes[spelled])
    alive = _runs(_nearest(wanted, root, parent)[node], time)
    by_node = np.argsort(node, kind="stable")
    begins = np.searchsorted(node[by_node], np.arange(len(known) + 1))
    frame = np.zeros(len(known), np.int64)
    for one in wanted[np.argsort(-time[first[wanted]])].tolist():  # longer prefixes come first
        runs = _merged(alive[one])
        alive[int(parent[one])] += runs
        touched = time[by_node[begins[parent[one]] : begins[parent[one] + 1]]]
        touched = touched[(touched >= runs[-1][0] - 1) & (touched < len(log_probs))]
        frame[one] = touched[log_probs[touched, label[one]].argmax()]
    frame[root] = 0
    return frame[nodes]


def _nearest(wanted: np.ndarray, root: int, parent: np.ndarray) -> np.ndarray:
    """Return for each of D nodes the longest of its beginnings that is in `wanted`, or the root."""
    nearest = parent.copy()
    nearest[wanted], nearest[root] = wanted, root
    while not np.array_equal(further := nearest[nearest], nearest):
        nearest = further
    return nearest


def _runs(node: np.ndarray, time: np.ndarray) -> dict[int, list[tuple[int, int]]]:
    """Return the first and last of consecutive times (P,) for each of the nodes (P,)."""
    width = int(time.max()) + 2  # the times of two nodes are never consecutive
    places = np.unique(node * width + time)
    (ends,) = np.nonzero(np.append(np.diff(places) > 1, True))
    begins = np.append(0, ends[:-1] + 1)
    runs = defaultdict(list)
    for begin, end in zip(places[begins].tolist(), places[ends].tolist(), strict=True):
        runs[begin // width].append((begin % width, end % width))
    return runs


def _merged(runs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return runs of times without overlaps, the earliest first."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(runs):
        if merged and begin <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged

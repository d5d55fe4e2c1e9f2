"""Hypotheses of greedy decoding and of the beam search: labels with their steps and confidences."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from common.decoding.arrays import Array, namespace, to_numpy
from common.decoding.greedy import Hit
from common.text.symbols import BLANK

if TYPE_CHECKING:
    from common.decoding.beam.prefixes import Hypotheses

NEAR_STEPS = 2
"""the same label in two hypotheses counts as one if its peaks are at most this many steps apart"""


class Hypothesis(NamedTuple):
    """A hypothesis for a signal.

    hits: its labels with their steps.
    score: natural logarithm, higher is better, comparable within one signal; greedy: of the best path.
    missing: the expected number of labels that are in the signal and not among the hits (`missing_labels`).
    """

    hits: list[Hit]
    score: float
    missing: float = 0.0


def greedy_hypothesis(log_probs: np.ndarray, hits: list[Hit], temperature: float) -> Hypothesis:
    """Return the hypothesis of `hits` on the best path through `log_probs` (S, C).

    Args:
        log_probs: natural log-probabilities of the real steps.
        hits: the labels of the path, as `greedy` returns them.
        temperature: the number that log-probabilities are divided by for confidences.
    """
    score = float(log_probs.max(1).sum()) if len(log_probs) else 0.0
    if temperature != 1 and hits:
        peaks, labels = (np.array([getattr(hit, name) for hit in hits]) for name in ("peak", "label"))
        sure = tempered(log_probs[peaks], labels, temperature)
        hits = [hit._replace(confidence=float(one)) for hit, one in zip(hits, sure, strict=True)]
    return Hypothesis(hits, score, missing_labels(log_probs, hits, temperature))


def beam_hypotheses(
    best: "Hypotheses", row: int, log_probs: Array, count: int, temperature: float
) -> list[Hypothesis]:
    """Return up to `count` hypotheses of one signal, best first.

    Args:
        best: the result of a beam search over a batch.
        row: index of the signal in the batch.
        log_probs: (S, C) natural log-probabilities of the signal.
        count: 1 or more.
        temperature: the number that log-probabilities are divided by for confidences.
    """
    scores = best.fused[row] + best.final[row]
    alive = int((scores > -np.inf).sum())
    if not alive:  # no text is possible at all: the result is an empty one
        return [Hypothesis([], -np.inf)]
    found, rows = [], to_numpy(log_probs)
    for rank in range(min(alive, count)):
        length = best.lengths[row, rank]
        labels, peaks = best.labels[row, rank, :length], best.peaks[row, rank, :length]
        places = peaks if namespace(log_probs) is np else peaks.tolist()
        sure = tempered(to_numpy(log_probs[places]), labels, temperature)
        sure = (sure + _agreement(best, row, rank, scores[:alive] / temperature)) / 2
        parts = (best.starts[row, rank], best.ends[row, rank])
        hits = [
            Hit(int(label), int(start), int(end), float(one), int(peak))
            for label, start, end, one, peak in zip(
                labels, *(part[:length] for part in parts), sure, peaks, strict=True
            )
        ]
        found.append(Hypothesis(hits, float(scores[rank]), missing_labels(rows, hits, temperature)))
    return found


def missing_labels(log_probs: np.ndarray, hits: Sequence[Hit], temperature: float = 1.0) -> float:
    """Return the expected number of labels that the steps between the hits hold.

    It is the sum, over the steps outside all hits, of the probability of a label that is neither that of the
    hit before nor of the hit after, which may reach further than their steps. So it is 0 where the network is
    sure of its blanks, and about 1 for each label that was nearly read.

    Args:
        log_probs: (S, C) natural log-probabilities.
        hits: in their order.
        temperature: the number that log-probabilities are divided by.
    """
    if not len(log_probs):
        return 0.0
    norms = log_mass(log_probs, temperature)  # (S,)
    before = [BLANK, *(hit.label for hit in hits)]
    after = [*before[1:], BLANK]
    starts = [0, *(hit.end for hit in hits)]
    ends = [*(hit.start for hit in hits), len(log_probs)]
    total = 0.0
    for start, end, *beside in zip(starts, ends, before, after, strict=True):
        if start < end:
            known = list({BLANK, *beside})
            scaled = log_probs[start:end, known].astype(np.float64) / temperature
            total += max(0.0, end - start - float(np.exp(scaled - norms[start:end, None]).sum()))
    return total


def log_mass(log_probs: np.ndarray, temperature: float) -> np.ndarray:
    """Return the logarithm (S,) of the sum of exp(log_probs / temperature) over the classes of (S, C)."""
    if temperature == 1:
        return np.zeros(len(log_probs))
    scaled = log_probs.astype(np.float64) / temperature
    mass = np.logaddexp.reduce(scaled, 1)
    return np.where(mass > -np.inf, mass, 0.0)  # -inf: all classes are impossible


def tempered(log_probs: np.ndarray, labels: np.ndarray, temperature: float) -> np.ndarray:
    """Return the probabilities (N,) of `labels` (N,) in the softmax of `log_probs` / `temperature` (N, C)."""
    scaled = log_probs.astype(np.float64) / temperature
    scaled -= scaled.max(1, initial=-np.inf, keepdims=True)
    mass = np.exp(scaled)
    return mass[np.arange(len(labels)), labels] / mass.sum(1)


def _agreement(best: "Hypotheses", row: int, rank: int, scores: np.ndarray) -> np.ndarray:
    """Return the agreement (L,) of all hypotheses on each label of the hypothesis at `rank`.

    It is the share of probability of the hypotheses with the same label at most NEAR_STEPS steps away.

    Args:
        best: the result of a beam search over a batch.
        row: index of the signal in the batch.
        rank: of the hypothesis.
        scores: (N,) of the hypotheses, divided by the temperature.
    """
    share = np.exp(scores - scores.max())
    share /= share.sum()  # (N,)
    count, width = len(scores), best.labels.shape[2]
    # so far apart that the places of two labels never meet, nor those of two hypotheses
    apart = int(best.peaks[row].max(initial=0)) + 2 * NEAR_STEPS + 1
    places = best.labels[row, :count].astype(np.int64) * apart + best.peaks[row, :count]  # (N, L)
    rows = np.arange(count)[:, None] * (int(places.max(initial=0)) + apart)
    real = np.arange(width) < best.lengths[row, :count, None]
    known = np.sort((places + rows)[real])
    near = places[rank, : best.lengths[row, rank], None] + np.arange(-NEAR_STEPS, NEAR_STEPS + 1)
    wanted = rows[..., None] + near  # (N, L, 5)
    same = known[np.minimum(np.searchsorted(known, wanted), len(known) - 1)] == wanted
    return share @ same.any(2)

"""Whether confidences are true: of characters said to be 80 % sure, 80 % should be right."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein

TEMPERATURES = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0)
"""of which the best is taken"""
MIN_CONFIDENCE = 1e-6
"""confidences are taken for no closer to 0 or 1: one sure error would outweigh everything"""


class Bin(NamedTuple):
    """Characters of like confidence."""

    low: float
    high: float
    characters: int
    confidence: float
    """their mean"""
    accuracy: float
    """the share of them that is right"""


class CharacterConfidences(NamedTuple):
    """Characters that were written: how sure each was (N,), and whether it is right (N,)."""

    confidences: np.ndarray
    right: np.ndarray

    @property
    def log_loss(self) -> float:
        """The mean negative log-probability that the confidences give to what is the case."""
        sure = np.clip(self.confidences, MIN_CONFIDENCE, 1 - MIN_CONFIDENCE)
        return float(-np.log(np.where(self.right, sure, 1 - sure)).mean()) if len(sure) else 0.0

    def bins(self, count: int = 10) -> list[Bin]:
        """Return the reliability table (DeGroot and Fienberg 1983) of `count` ranges, without empty ones."""
        place = np.minimum((self.confidences * count).astype(int), count - 1)
        table = []
        for number in range(count):
            chosen = place == number
            if chosen.any():
                sure, right = self.confidences[chosen].mean(), self.right[chosen].mean()
                edges = number / count, (number + 1) / count
                table.append(Bin(*edges, int(chosen.sum()), float(sure), float(right)))
        return table

    @property
    def calibration_error(self) -> float:
        """The mean distance of confidence and accuracy over the bins, by count (Naeini et al. 2015)."""
        table = self.bins()
        distances = sum(one.characters * abs(one.confidence - one.accuracy) for one in table)
        return distances / max(1, sum(one.characters for one in table))


def character_confidences(pairs: Sequence[tuple[str, str, Sequence[float]]]) -> CharacterConfidences:
    """Return which characters are right, by the fewest edits from reference to hypothesis.

    Args:
        pairs: reference, hypothesis, and how sure each character of the hypothesis was.
    """
    confidences, right = [np.zeros(0)], [np.zeros(0, bool)]
    for reference, hypothesis, sure in pairs:
        good = np.ones(len(hypothesis), bool)
        for edit in Levenshtein.editops(reference, hypothesis):
            if edit.tag != "delete":
                good[edit.dest_pos] = False
        confidences.append(np.array(sure, np.float64))
        right.append(good)
    return CharacterConfidences(np.concatenate(confidences), np.concatenate(right))

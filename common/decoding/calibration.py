"""Calibration of confidences: of the characters with a confidence of 80 %, 80 % should be right."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein

TEMPERATURES = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0)
"""candidates, of which the best is chosen"""
MIN_CONFIDENCE = 1e-6
"""confidences are clipped to this distance from 0 and 1; otherwise one error could decide the log loss"""


class Bin(NamedTuple):
    """The characters whose confidences lie in one range."""

    low: float
    high: float
    characters: int
    confidence: float
    """mean confidence"""
    accuracy: float
    """share of right characters"""


class CharacterConfidences(NamedTuple):
    """Confidences (N,) of recognised characters, and whether each character is right (N,)."""

    confidences: np.ndarray
    right: np.ndarray

    @property
    def log_loss(self) -> float:
        """The mean negative log-probability that the confidences assign to the truth, right or wrong."""
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
        """The expected calibration error (Naeini et al. 2015).

        It is the mean distance between confidence and accuracy over the bins, weighted by characters.
        """
        table = self.bins()
        distances = sum(one.characters * abs(one.confidence - one.accuracy) for one in table)
        return distances / max(1, sum(one.characters for one in table))


def character_confidences(pairs: Sequence[tuple[str, str, Sequence[float]]]) -> CharacterConfidences:
    """Return the confidence of each recognised character, and whether it is right.

    A character is wrong if the shortest edit from reference to hypothesis substitutes or inserts it.

    Args:
        pairs: reference, hypothesis, and the confidence of each character of the hypothesis.
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

"""Random CTC outputs, and the probability of every text by the sum over all paths."""

from itertools import groupby, product

import numpy as np
import torch
from torch import Tensor


def ctc_of(batch: int = 3, steps: int = 5, classes: int = 3, seed: int = 2) -> Tensor:
    """Return random log-probabilities (B, S, C)."""
    generator = torch.Generator().manual_seed(seed)
    scores = 2 * torch.randn(batch, steps, classes, dtype=torch.float64, generator=generator)
    return scores.log_softmax(-1)


def spelled(path: tuple[int, ...]) -> tuple[int, ...]:
    """Return the text of a CTC path: runs are merged, then blanks are removed."""
    return tuple(label for label, _ in groupby(path) if label != 0)


def ctc_probabilities(log_probs: Tensor) -> dict[tuple[int, ...], float]:
    """Return the probability of every text that a path through `log_probs` (S, C) spells."""
    probabilities: dict[tuple[int, ...], float] = {}
    probs = log_probs.exp().numpy()
    for path in product(range(probs.shape[1]), repeat=len(probs)):
        probability = np.prod(probs[range(len(probs)), path])
        probabilities[spelled(path)] = probabilities.get(spelled(path), 0.0) + probability
    return probabilities

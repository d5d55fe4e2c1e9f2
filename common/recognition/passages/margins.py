"""Silence at both ends of short signals, such as a word that was cut out closely.

A network that reads both ways has learnt from signals that begin and end with a pause, and misses them at the
ends of a word without any: of single digits, cut closely, the bundled model of speech read 46 % rightly, and
86 % with margins.

    signal              |word|
    is computed      000|word|000      0: a step of silence
    is kept             | | |          the steps of the signal itself
"""

from collections.abc import Sequence

import numpy as np

from common.decoding.arrays import Array
from common.recognition.modality import Modality

SILENT_STEPS = 3
"""steps of silence at each end"""


def margin_of(signal: np.ndarray, modality: Modality, signal_config: object) -> int:
    """Return how many steps of silence a signal (T, ...) gets at each end."""
    short = modality.short_length * modality.steps_per_length(signal_config)
    return SILENT_STEPS if len(signal) < short else 0


def with_margin(signal: np.ndarray, steps: int, stride: int) -> np.ndarray:
    """Return a signal (T, ...) with `steps` steps of silence at each end; itself if there are none."""
    if not steps:
        return signal
    return np.pad(signal, [(steps * stride, steps * stride), *[(0, 0)] * (signal.ndim - 1)])


def without_margins(values: Array, lengths: np.ndarray, margins: Sequence[int]) -> tuple[Array, np.ndarray]:
    """Return log-probabilities (B, S, C) and lengths (B,) without the steps of margins (B,)."""
    if not any(margins):
        return values, lengths
    kept = np.maximum(lengths - 2 * np.asarray(margins), 1)
    new = values + 0
    for row, (margin, count) in enumerate(zip(margins, kept.tolist(), strict=True)):
        new[row, :count] = values[row, margin : margin + count]
    return new[:, : int(kept.max())], kept

"""A signal as a network reads it, and where it may come from."""

from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

Source = str | Path | BinaryIO


class Signal(NamedTuple):
    """A signal as a model of a given configuration wants it.

    values: float32, first dimension in the direction of reading: samples (N,) in [-1, 1], or columns
        (W, H) in [0, 1] with ink 1.
    unit_per_step: seconds, or pixels of the original image, that one step of `values` stands for.
    """

    values: np.ndarray
    unit_per_step: float

"""Array operations of the beam search that NumPy and torch name differently."""

import math
import sys
from types import ModuleType
from typing import Any

import numpy as np

Array = Any
"""np.ndarray or torch.Tensor"""


def namespace(array: Array) -> ModuleType:
    """Return the module whose functions take `array`: numpy or torch. torch is not imported here."""
    return np if isinstance(array, np.ndarray) else sys.modules["torch"]


def full(like: Array, shape: tuple[int, ...], value: float, kind: str) -> Array:
    """Return an array filled with `value`, of the number type `kind`, on the device of `like`."""
    xp = namespace(like)
    return (
        np.full(shape, value, kind)
        if xp is np
        else xp.full(shape, value, dtype=getattr(xp, kind), device=like.device)
    )


def arange(like: Array, size: int) -> Array:
    """Return 0, 1 ... size - 1 (int64) on the device of `like`."""
    xp = namespace(like)
    return np.arange(size) if xp is np else xp.arange(size, device=like.device)


def cast(array: Array, kind: str) -> Array:
    """Return `array` converted to the number type `kind`."""
    xp = namespace(array)
    return array.astype(kind, copy=False) if xp is np else array.to(getattr(xp, kind))


def from_numpy(like: Array, array: np.ndarray) -> Array:
    """Return `array` as an array of the kind of `like`, on its device."""
    xp = namespace(like)
    return array if xp is np else xp.as_tensor(array, device=like.device)


def to_numpy(array: Array) -> np.ndarray:
    """Return `array` as a NumPy array."""
    return array if isinstance(array, np.ndarray) else array.cpu().numpy()


def gather(array: Array, places: Array) -> Array:
    """Return the values at the indices `places` of the last dimension."""
    xp = namespace(array)
    return np.take_along_axis(array, places, -1) if xp is np else array.gather(-1, places)


def scatter(array: Array, places: Array, values: Array) -> None:
    """Write `values` at the indices `places` of the last dimension."""
    if isinstance(array, np.ndarray):
        np.put_along_axis(array, places, values, -1)
    else:
        array.scatter_(-1, places, values)


def first_true(array: Array) -> Array:
    """Return the index of the first True in the last dimension; 0 if there is none."""
    xp = namespace(array)
    return array.argmax(-1) if xp is np else array.to(xp.int8).argmax(-1)


def check_values(log_probs: Array, lengths: np.ndarray) -> None:
    """Raise ValueError for NaN or +inf in the real steps of log-probabilities (B, S, C) of lengths (B,)."""
    wrong = to_numpy((~(log_probs < math.inf)).any(-1))  # (B, S)
    wrong &= np.arange(wrong.shape[1]) < lengths[:, None]
    if wrong.any():
        row, step = np.argwhere(wrong)[0]
        raise ValueError(
            f"utterance {row}, step {step}: a log-probability is NaN or +inf; look at what computed it"
        )

"""The inputs of the ctcdecode interface: probabilities and lengths, converted and checked."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from common.decoding.arrays import Array, arange, from_numpy, namespace, to_numpy

SUM_TOLERANCE = 0.01
"""largest deviation from 1 of a frame's sum without a warning; that of 16-bit floats is smaller"""


def read_probs(probs: Tensor | np.ndarray) -> Array:
    """Return `probs` as floats of 32 or 64 bits: a tensor on a CUDA device, otherwise a NumPy array."""
    if isinstance(probs, Tensor):
        tensor = probs.detach()
        if tensor.dtype not in (torch.float32, torch.float64):
            tensor = tensor.float()
        return tensor if tensor.is_cuda else tensor.cpu().numpy()
    array = np.asarray(probs)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"probs of type {array.dtype}; give floats")
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)


def read_lengths(seq_lens: Sequence[int] | Array, B: int, T: int) -> np.ndarray:
    """Return `seq_lens` as B integers; raise ValueError unless they are integers from 0 to T."""
    if seq_lens is None:
        return np.full(B, T)
    given = to_numpy(seq_lens.detach()) if isinstance(seq_lens, Tensor) else np.asarray(seq_lens)
    if given.shape != (B,) or given.dtype.kind not in "fiu":
        raise ValueError(f"seq_lens of shape {given.shape} ({given.dtype}); give {B} integers")
    wrong = ~((given >= 0) & (given <= T) & (given == np.floor(given)))
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(f"seq_lens: utterance {row} has {given[row]} frames; give integers from 0 to {T}")
    return given.astype(np.int64)


def check_probs(array: Array, lengths: np.ndarray, log_probs_input: bool) -> None:
    """Check the real frames: raise ValueError for invalid probabilities, warn if they do not sum to 1.

    Args:
        array: (B, T, V) probabilities or log-probabilities.
        lengths: (B,) number of real frames.
        log_probs_input: whether they are log-probabilities.
    """
    real = arange(array, array.shape[1])[None] < from_numpy(array, lengths)[:, None]  # (B, T)
    wrong = ~(array < np.inf)
    if not log_probs_input:
        wrong |= array < 0
    frames = to_numpy(wrong.any(-1) & real)
    if frames.any():
        row, frame = np.argwhere(frames)[0].tolist()
        label = int(to_numpy(wrong[row, frame]).argmax())
        kind = "log-probability" if log_probs_input else "probability"
        raise ValueError(
            f"utterance {row}, frame {frame}: label {label} has the {kind}"
            f" {float(array[row, frame, label]):g}; look at what computed it"
        )
    with np.errstate(over="ignore"):
        sums = (namespace(array).exp(array) if log_probs_input else array).sum(-1)  # (B, T)
    off = to_numpy((abs(sums - 1) > SUM_TOLERANCE) & real)
    if off.any():
        row, frame = np.argwhere(off)[0].tolist()
        warnings.warn(
            f"the probabilities of {off.sum()} of {lengths.sum()} frames do not sum to 1 +- {SUM_TOLERANCE},"
            f" the first is frame {frame} of utterance {row}, {float(sums[row, frame]):.4g}; give what"
            " softmax returns, or log_softmax with log_probs_input=True",
            stacklevel=4,
        )

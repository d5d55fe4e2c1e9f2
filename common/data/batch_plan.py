"""Which signals are computed together as a batch, and how they are padded to one array."""

from collections.abc import Callable, Sequence

import numpy as np

Zeros = Callable[[tuple[int, ...]], np.ndarray]
"""returns float32 zeros of a shape"""


def new_zeros(shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of zeros in memory of this process."""
    return np.zeros(shape, np.float32)


def padded(
    arrays: Sequence[np.ndarray], shortest: int = 0, zeros: Zeros = new_zeros
) -> tuple[np.ndarray, np.ndarray]:
    """Return arrays (T, ...) as one zero-padded float32 array (B, longest T, ...), and lengths (B,) int64.

    Args:
        arrays: one or more.
        shortest: shorter arrays are padded with zeros to this length, which is then their length.
        zeros: gives the memory of the result.
    """
    lengths = np.array([max(len(array), shortest) for array in arrays])
    together = zeros((len(arrays), int(lengths.max()), *arrays[0].shape[1:]))
    for row, array in zip(together, arrays, strict=True):
        row[: len(array)] = array
    return together, lengths


def plan_batches(
    lengths: np.ndarray, budget: float, rng: "np.random.Generator | None" = None, shares: int = 1
) -> list[np.ndarray]:
    """Return batches of indices into `lengths` (n,), whose shares have padded lengths within `budget`.

    Share r of a batch is its elements r, r + shares, ...; its padded length is at most the longest length of
    the batch times the number of elements of share 0. An example longer than the budget makes a share of its
    own.

    Args:
        lengths: of the examples, in any unit.
        budget: largest padded length of a share, in the same unit.
        rng: if given, lengths are jittered by up to 5 % before sorting and batches come in random order, so
            that epochs differ. If None, batches go from long to short, so that a lack of memory shows at
            once.
        shares: among how many devices each batch is divided.
    """
    if not budget > 0:
        raise ValueError(f"the batch budget is {budget}; it must be above 0")
    jittered = lengths if rng is None else lengths * rng.uniform(0.95, 1.05, len(lengths))
    order = np.argsort(-jittered, kind="stable")
    batches, start, longest = [], 0, 0.0
    for position, length in enumerate(lengths[order].tolist()):
        longest = max(longest, length)
        count = -((start - position - 1) // shares)  # of share 0, if this example joins the batch
        if count > 1 and longest * count > budget:
            batches.append(order[start:position])
            start, longest = position, length
    if start < len(order):
        batches.append(order[start:])
    if rng is not None:
        batches = [batches[index] for index in rng.permutation(len(batches))]
    return batches

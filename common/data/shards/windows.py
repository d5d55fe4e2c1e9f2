"""The order in which tars are read: near each other within a window, which moves through them by chance.

    tars       | a b c | d e f | g h i |     pieces of consecutive examples, PIECE_BYTES each
    windows    | e a h | i c f | b g d |     pieces by chance, WINDOW_BYTES together
    batches    of similar length within a window, in an order by chance

All ranks share each batch, so that they make equal steps whatever their number, and the order depends on the
seed and the epoch alone.
"""

from collections.abc import Callable, Sequence

import numpy as np

from common.data.batch_plan import plan_batches
from common.data.manifest import Example
from common.files.tars.member import Member, tar_of

PIECE_BYTES = 2**25
WINDOW_BYTES = 2**28
FILE_BYTES = 2**16
"""what an example counts for that is a file of its own"""


def windowed_plan(
    examples: Sequence[Example], budget: float, seed: int | None, piece_bytes: int = PIECE_BYTES
) -> Callable[[int, int], list[np.ndarray]] | None:
    """Return the plan of a `BatchLoader`; None if no example is in a tar, so that order costs nothing.

    Args:
        examples: their lengths are known.
        budget: padded length of a share of a batch.
        seed: of the order; None for batches from long to short over all tars.
        piece_bytes: bytes that are read one after the other; a window has WINDOW_BYTES / PIECE_BYTES pieces.
    """
    if seed is None or not any(isinstance(example.source, Member) for example in examples):
        return None
    lengths = np.array([example.length for example in examples], dtype=np.float64)
    pieces = _pieces(examples, piece_bytes)
    pieces_of_window = WINDOW_BYTES // PIECE_BYTES

    def plan(epoch: int, shares: int) -> list[np.ndarray]:
        rng = np.random.default_rng((seed, epoch))
        order = rng.permutation(len(pieces))
        batches = []
        for first in range(0, len(order), pieces_of_window):
            window = np.concatenate([pieces[at] for at in order[first : first + pieces_of_window]])
            batches += [window[batch] for batch in plan_batches(lengths[window], budget, rng, shares)]
        return batches

    return plan


def _pieces(examples: Sequence[Example], piece_bytes: int) -> list[np.ndarray]:
    """Return the indices of consecutive examples of one tar, or of no tar, about `piece_bytes` together."""
    pieces, start, size, tar = [], 0, 0, ""
    for index, example in enumerate(examples):
        source = example.source
        here, own = (tar_of(source), source.size) if isinstance(source, Member) else ("", FILE_BYTES)
        if index > start and (here != tar or size + own > piece_bytes):
            pieces.append(np.arange(start, index))
            start, size = index, 0
        tar, size = here, size + own
    return [*pieces, np.arange(start, len(examples))]

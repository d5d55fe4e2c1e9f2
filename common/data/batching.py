"""From examples to padded batches: of similar length, under a budget, in a seeded order, shared by ranks.

    lengths -> plan (batches, the same on every rank) -> rank r reads items r, r + ranks, ...

The content of a batch depends only on the seed, the epoch, the examples and the budget of all devices. So a
run resumes in the middle of an epoch by skipping the batches it has seen, and two processes together see what
one process would see with twice the budget, except for a rest where an odd number fits.
"""

import logging
import math
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from common.data.batch_plan import padded, plan_batches
from common.data.frame_targets import FrameTargets
from common.data.manifest import Example
from common.data.signal import Signal
from common.text.symbols import Symbols

log = logging.getLogger(__name__)


class Batch(NamedTuple):
    """Padded signals and targets.

    signals: (B, T) or (B, T, H) float32, zero after `lengths` (B,).
    targets: (B, L) int64, zero after `target_lengths` (B,).
    sources, indices: the names of the examples, and their indices in the data.
    planned: the number of examples of this batch over all ranks; the loss is the mean over them.
    refused: one sentence for each example that could not be read.
    """

    signals: Tensor
    lengths: Tensor
    targets: Tensor
    target_lengths: Tensor
    sources: list[str]
    indices: list[int]
    planned: int
    refused: list[str]


def pad(arrays: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Return arrays (T, ...) as one zero-padded float32 tensor (B, longest T, ...), and lengths (B,)."""
    array, lengths = padded(arrays)
    return torch.from_numpy(array), torch.from_numpy(lengths)


@dataclass
class Examples(Dataset):
    """A data set that reads, augments and encodes examples one by one.

    Item (index, epoch) does not depend on the items before it: its random draws depend only on (seed, epoch,
    index).
    """

    examples: Sequence[Example]
    alphabet: Symbols | None
    """None: texts are not encoded, as for evaluation, where they may have unknown characters"""
    read: Callable[[str], Signal]
    augment: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None
    seed: int = 0
    cache_bytes: int = 0
    """signals are kept in memory, once they are read, until they take so many bytes"""
    shortest: int = 1
    """signals are padded with zeros to at least this many steps, the fewest that the front end accepts"""
    frames: FrameTargets | None = None
    """computes a label for each step; None: the labels are those of the text"""
    steps: Callable[[int], int] | None = None
    """with `frames`: returns the number of steps for a number of signal steps"""

    def __post_init__(self) -> None:
        self._kept: dict[int, Signal] = {}
        self._kept_bytes = 0

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, item: tuple[int, int]) -> tuple[int, np.ndarray, list[int]] | str:
        """Return the index, signal and labels of an example in an epoch; a sentence if it cannot be read."""
        index, epoch = item
        example = self.examples[index]
        try:
            signal = self._signal(index)
            values = signal.values
            if self.augment is not None:
                values = self.augment(values, np.random.default_rng((self.seed, epoch, index)))
            labels = self._labels(example, signal, len(values))
        except (ValueError, OSError) as error:
            log.debug("left out, because of this error", exc_info=True)
            return f"{example.origin}: {error}" if example.origin else str(error)
        if len(values) < self.shortest:
            values = np.pad(values, [(0, self.shortest - len(values)), *[(0, 0)] * (values.ndim - 1)])
        return index, values, labels

    def source(self, index: int) -> str:
        """Return the name of an example."""
        return self.examples[index].source

    def _labels(self, example: Example, signal: Signal, length: int) -> list[int]:
        """Return the labels of an example whose signal has `length` steps after augmentation."""
        if self.frames is None or self.steps is None:
            return self.alphabet.encode(example.text or "") if self.alphabet else []
        # correct only if augmentation changes the length by stretching all of the signal alike
        unit_per_step = signal.unit_per_step * len(signal.values) / max(1, length)
        return self.frames(example, unit_per_step, self.steps(max(length, self.shortest)))

    def _signal(self, index: int) -> Signal:
        if index in self._kept:
            return self._kept[index]
        signal = self.read(self.examples[index].source)
        if self._kept_bytes + signal.values.nbytes <= self.cache_bytes:
            self._kept[index] = signal
            self._kept_bytes += signal.values.nbytes
        return signal


class BatchLoader:
    """Batches of `examples` for one rank.

    Args:
        examples: an `Examples` in which every `Example.length` is known. With `plan`, any data set that has
            such items and the method `source`.
        budget: padded length of one rank's share of a batch, in the unit of `Example.length`.
        seed: of the order; None for a fixed order from long to short.
        rank, ranks: which share of each batch is read here.
        workers: processes that read ahead; 0: this process reads. On two cores a worker costs the network
            more than it saves; with a GPU, 4 to 16 are good.
        plan: `(epoch, shares)` returns the indices of each batch of an epoch over all ranks; None for batches
            of similar length under the budget.

    Attributes:
        shares: for how many ranks batches are planned: `ranks`, or in a resumed run the number it began with,
            so that its batches stay the same.
    """

    def __init__(
        self,
        examples: Any,
        budget: float = math.inf,
        seed: int | None = None,
        rank: int = 0,
        ranks: int = 1,
        workers: int = 0,
        plan: Callable[[int, int], list[np.ndarray]] | None = None,
    ) -> None:
        self.examples = examples
        self.budget, self.seed = budget, seed
        self.rank, self.ranks, self.workers = rank, ranks, workers
        self.shares = ranks
        self._reported: set[str] = set()
        self._plan = plan
        if plan is None:
            unknown = [example.source for example in examples.examples if example.length is None]
            assert not unknown, f"lengths must be known before batching, as of {unknown[:1]}"
            self.lengths = np.array([example.length for example in examples.examples], dtype=np.float64)

    def plan(self, epoch: int) -> list[np.ndarray]:
        """Return the indices of each batch of `epoch`, over all ranks."""
        if self._plan is not None:
            return self._plan(epoch, self.shares)
        rng = None if self.seed is None else np.random.default_rng((self.seed, epoch))
        return plan_batches(self.lengths, self.budget, rng, self.shares)

    def batches(self, epoch: int = 0, start: int = 0) -> Iterator[Batch]:
        """Yield this rank's share of each batch of `epoch`, from batch number `start` on.

        If a batch has fewer examples than there are ranks, the share of some ranks is empty (B = 0).
        """
        plan = self.plan(epoch)[start:]
        shares = [[(int(index), epoch) for index in batch[self.rank :: self.ranks]] for batch in plan]
        loader: Any = DataLoader(
            self.examples,
            batch_sampler=shares,
            collate_fn=_collate,
            num_workers=self.workers,
            generator=torch.Generator(),  # otherwise each epoch would draw a seed from the global generator
            multiprocessing_context="spawn" if self.workers else None,
        )
        with deaf_to_interrupts(self.workers):
            coming = iter(loader)  # starts the workers
        for batch, planned in zip(coming, plan, strict=True):
            for sentence in batch.refused:
                if sentence not in self._reported:
                    self._reported.add(sentence)
                    log.warning("left out: %s", sentence)
            sources = [self.examples.source(index) for index in batch.indices]
            yield batch._replace(planned=len(planned), sources=sources)


@contextmanager
def deaf_to_interrupts(workers: int) -> Iterator[None]:
    """Let processes that are started here ignore Ctrl-C, which a terminal sends to every process.

    Workers end with this process, without a traceback of their own. In this process, a Ctrl-C meanwhile has
    its effect at the end: the start of a worker that is cut in two leaves errors of both halves. Windows has
    no signal masks, and only the main thread handles signals.
    """
    masks = hasattr(signal, "pthread_sigmask")
    if not workers or not masks or threading.current_thread() is not threading.main_thread():
        yield
        return
    resource_tracker.ensure_running()  # multiprocessing would start it below, and unblock the signal then
    came: list[Any] = []
    handler = signal.signal(signal.SIGINT, lambda *arguments: came.append(arguments))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # processes inherit this
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if came and callable(handler):  # another thread took the signal, for the mask is of this one alone
        handler(*came[0])


def _collate(items: list[tuple[int, np.ndarray, Sequence[int]] | str]) -> Batch:
    good = [item for item in items if not isinstance(item, str)]
    refused = [item for item in items if isinstance(item, str)]
    if not good:
        empty = torch.zeros(0, dtype=torch.int64)
        return Batch(torch.zeros(0, 0), empty, empty.reshape(0, 0), empty, [], [], 0, refused)
    signals, lengths = pad([values for _, values, _ in good])
    target_lengths = torch.tensor([len(labels) for _, _, labels in good])
    targets = torch.zeros(len(good), max(1, int(target_lengths.max())), dtype=torch.int64)
    for row, (_, _, labels) in zip(targets, good, strict=True):
        row[: len(labels)] = torch.tensor(labels)
    indices = [index for index, _, _ in good]
    return Batch(signals, lengths, targets, target_lengths, [], indices, 0, refused)

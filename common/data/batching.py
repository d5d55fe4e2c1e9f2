"""From examples to padded batches: of similar length, under a budget, in a seeded order, shared by ranks.

    lengths -> plan (batches, the same on every rank) -> rank r reads items r, r + ranks, ...

The content of a batch depends only on the seed, the epoch, the examples and the budget of all devices. So a
run resumes in the middle of an epoch by skipping the batches it has seen, and two processes together see what
one process would see with twice the budget, except for a rest where an odd number fits. Who reads a batch,
and how far ahead, changes nothing in it.
"""

import logging
import math
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from common.data.batch_plan import padded, plan_batches
from common.data.examples import Arrays, Examples, Item, batched
from common.data.workers import Received, Workers

log = logging.getLogger(__name__)

AHEAD = 2
"""number of batches that each worker has read, or is asked for, before they are wanted"""


class HostSizes(NamedTuple):
    """What the host has to know of a batch that is on another device: fetching it would make both wait.

    lengths, target_lengths: (B,), as those of the batch.
    targets: (B, L).
    """

    lengths: Tensor
    targets: Tensor
    target_lengths: Tensor


class Batch(NamedTuple):
    """Padded signals and targets.

    signals: (B, T) or (B, T, H) float32, zero after `lengths` (B,).
    targets: (B, L) int64, zero after `target_lengths` (B,).
    sources, indices: the names of the examples, and their indices in the data.
    planned: the number of examples of this batch over all ranks; the loss is the mean over them.
    refused: one sentence for each example that could not be read.
    on_host: the sizes and targets on the host, of a batch that has been moved to another device.
    """

    signals: Tensor
    lengths: Tensor
    targets: Tensor
    target_lengths: Tensor
    sources: list[str]
    indices: list[int]
    planned: int
    refused: list[str]
    on_host: HostSizes | None = None


def pad(arrays: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Return arrays (T, ...) as one zero-padded float32 tensor (B, longest T, ...), and lengths (B,)."""
    array, lengths = padded(arrays)
    return torch.from_numpy(array), torch.from_numpy(lengths)


class BatchLoader:
    """Batches of `examples` for one rank.

    Args:
        examples: an `Examples` in which every `Example.length` is known. With `plan`, any data set that has
            such items and the method `source`.
        budget: padded length of one rank's share of a batch, in the unit of `Example.length`.
        seed: of the order; None for a fixed order from long to short.
        rank, ranks: which share of each batch is read here.
        plan: `(epoch, shares)` returns the indices of each batch of an epoch over all ranks; None for batches
            of similar length under the budget.
        pinned: whether batches are in memory from which a GPU copies them while it computes.

    Attributes:
        shares: for how many ranks batches are planned: `ranks`, or in a resumed run the number it began with,
            so that its batches stay the same.
        ahead: reads the batches in workers; None: this process reads each when it is wanted.
    """

    def __init__(
        self,
        examples: Any,
        budget: float = math.inf,
        seed: int | None = None,
        rank: int = 0,
        ranks: int = 1,
        plan: Callable[[int, int], list[np.ndarray]] | None = None,
        pinned: bool = False,
    ) -> None:
        self.examples = examples
        self.budget, self.seed = budget, seed
        self.rank, self.ranks, self.pinned = rank, ranks, pinned
        self.shares = ranks
        self.ahead: ReadAhead | None = None
        self._reported: set[str] = set()
        self._planned: dict[int, list[np.ndarray]] = {}
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
        if self.ranks > 1 and isinstance(self.examples, Examples):
            self.examples.refresh()
        for number, planned in list(enumerate(self.planned(epoch)))[start:]:
            if self.ahead is not None:
                batch = self.ahead.batch(Wanted(self, epoch, number))
            else:
                share = [(int(index), epoch) for index in planned[self.rank :: self.ranks]]
                batch = to_batch(batched([self.examples[item] for item in share]), self.pinned)
            for sentence in batch.refused:
                if sentence not in self._reported:
                    self._reported.add(sentence)
                    log.warning("left out: %s", sentence)
            sources = [self.examples.source(index) for index in batch.indices]
            yield batch._replace(planned=len(planned), sources=sources)

    def planned(self, epoch: int) -> list[np.ndarray]:
        """Return `plan`, which is computed once for each of the last two epochs."""
        if epoch not in self._planned:
            self._planned = {one: plan for one, plan in self._planned.items() if one == epoch - 1}
            self._planned[epoch] = self.plan(epoch)
        return self._planned[epoch]

    def items(self, epoch: int, number: int) -> list[Item]:
        """Return what workers need to read this rank's share of a batch."""
        share = self.planned(epoch)[number][self.rank :: self.ranks]
        return [self.examples.item(int(index), epoch) for index in share]


class Wanted(NamedTuple):
    """A batch of a loader, by its number in an epoch."""

    loader: BatchLoader
    epoch: int
    number: int


class ReadAhead:
    """Lets workers read batches in the order in which a run will want them.

        epoch 0 of train, dev, epoch 1 of train, dev ...

    While the last batches of an epoch are computed, dev is read already, and while dev is measured, the next
    epoch. If another batch is wanted than the one that is next, reading starts anew from there.

    Args:
        workers: processes that have the examples of both loaders as their parts "train" and "dev".
        count: of these processes.
        train, dev: the loaders, which are made to use this.
        epochs: after the last one nothing is read ahead.
    """

    def __init__(
        self, workers: Workers, count: int, train: BatchLoader, dev: BatchLoader, epochs: int
    ) -> None:
        self.workers, self.depth, self.epochs = workers, AHEAD * count, epochs
        self.train, self.dev = train, dev
        self._coming: deque[tuple[Wanted, Future]] = deque()
        self._epoch = 0
        train.ahead = dev.ahead = self

    def batch(self, wanted: Wanted) -> Batch:
        """Return a batch, and have those after it read."""
        if not self._coming or self._coming[0][0] != wanted:
            self._coming.clear()
            self._ask(wanted)
        while len(self._coming) <= self.depth:
            following = self._following(self._coming[-1][0])
            if following is None:
                break
            self._ask(following)
        _, future = self._coming.popleft()
        received: Received = future.result()
        wanted.loader.examples.note(received.places)
        for sentence in received.warnings:
            warnings.warn(sentence, stacklevel=2)
        return received.batch

    def _ask(self, wanted: Wanted) -> None:
        loader, epoch, number = wanted
        if loader is self.train:
            self._epoch = epoch
        part = "train" if loader is self.train else "dev"
        self._coming.append((wanted, self.workers.submit(part, loader.items(epoch, number))))

    def _following(self, last: Wanted) -> Wanted | None:
        """Return what a run wants after `last`, or None after the last epoch."""
        loader, epoch, number = last
        if number + 1 < len(loader.planned(epoch)):
            return Wanted(loader, epoch, number + 1)
        if loader is self.train:
            return Wanted(self.dev, 0, 0)
        return Wanted(self.train, self._epoch + 1, 0) if self._epoch + 1 < self.epochs else None


def parts_of(batch: Batch, count: int) -> list[Batch]:
    """Return a batch as up to `count` batches that have every count-th of its rows, each padded for itself.

    Args:
        batch: on the host.
        count: 1 or more; there are fewer parts if the batch has fewer rows, but at least one.
    """
    if count == 1 or not batch.indices:
        return [batch]
    parts = []
    for first in range(min(count, len(batch.indices))):
        rows = slice(first, None, count)
        lengths, target_lengths = batch.lengths[rows], batch.target_lengths[rows]
        part = batch._replace(
            signals=batch.signals[rows, : int(lengths.max())],
            lengths=lengths,
            targets=batch.targets[rows, : max(1, int(target_lengths.max()))],
            target_lengths=target_lengths,
            sources=batch.sources[rows],
            indices=batch.indices[rows],
        )
        parts.append(part)
    return parts


def to_batch(arrays: Arrays, pinned: bool = False) -> Batch:
    """Return arrays as tensors, without the sources and the number over all ranks, which the loader adds."""
    numbers = (arrays.signals, arrays.lengths, arrays.targets, arrays.target_lengths)
    tensors = [torch.from_numpy(array) for array in numbers]
    if pinned:
        tensors = [tensor.pin_memory() for tensor in tensors]
    signals, lengths, targets, target_lengths = tensors
    return Batch(signals, lengths, targets, target_lengths, [], arrays.indices, 0, arrays.refused)

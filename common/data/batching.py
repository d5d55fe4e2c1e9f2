"""Examples to padded batches: like lengths together, under a budget, in a seeded order, shared over ranks.

    lengths -> plan (batches, the same for every number of ranks) -> rank r reads items r, r + ranks, ...

What a batch holds depends on the seed, the epoch and the examples alone, so a run resumes in the middle of an
epoch by skipping the batches already seen, and two processes see together what one would.
"""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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

    signals: (B, T) or (B, T, H) float32, zero behind `lengths` (B,).
    targets: (B, L) int64, zero behind `target_lengths` (B,).
    sources, indices: the examples' names and places in the data.
    planned: examples of this batch over all ranks; the loss is a mean over them.
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
    """Examples read, augmented and encoded one by one; what is read is kept in memory up to `cache_bytes`.

    Item (index, epoch) is the same whatever was asked before: its randomness is of (seed, epoch, index).
    """

    examples: Sequence[Example]
    alphabet: Symbols | None
    """None: the texts are not spelled, as for evaluation, where any character may stand"""
    read: Callable[[str], Signal]
    augment: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None
    seed: int = 0
    cache_bytes: int = 0
    shortest: int = 1
    """signals are padded with zeros to this many steps, the fewest the front end can take"""
    frames: FrameTargets | None = None
    """labels of steps instead of those of the text"""
    steps: Callable[[int], int] | None = None
    """with `frames`: how many steps so many signal steps give"""

    def __post_init__(self) -> None:
        self._kept: dict[int, Signal] = {}
        self._kept_bytes = 0

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, item: tuple[int, int]) -> tuple[int, np.ndarray, list[int]] | str:
        """Return index, signal and labels of example `index` in `epoch`, or why there is none."""
        index, epoch = item
        example = self.examples[index]
        try:
            signal = self._signal(index)
            values = signal.values
            if self.augment is not None:
                values = self.augment(values, np.random.default_rng((self.seed, epoch, index)))
            labels = self._labels(example, signal, len(values))
        except (ValueError, OSError) as error:
            return f"{example.origin}: {error}" if example.origin else str(error)
        if len(values) < self.shortest:
            values = np.pad(values, [(0, self.shortest - len(values)), *[(0, 0)] * (values.ndim - 1)])
        return index, values, labels

    def source(self, index: int) -> str:
        """Return the name of an example."""
        return self.examples[index].source

    def _labels(self, example: Example, signal: Signal, length: int) -> list[int]:
        """Return the labels of an example, augmented to so many signal steps."""
        if self.frames is None or self.steps is None:
            return self.alphabet.encode(example.text or "") if self.alphabet else []
        # of augmentation only what stretches all of a signal alike may change its length here
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
        examples: the data; every `Example.length` is known. With a plan, whatever gives items like those and
            has their `source`.
        budget: padded length of a batch over all ranks, in the unit of `Example.length`.
        seed: of order and augmentation; None for a fixed order from long to short.
        rank, ranks: which share of each batch is read here.
        workers: processes that read ahead; 0 reads in this one. On two cores a worker costs the network
            more than it saves; with a GPU take 4 to 16.
        plan: epoch -> indices of each batch over all ranks; None for batches of like length under the budget.
    """

    def __init__(
        self,
        examples: Any,
        budget: float = math.inf,
        seed: int | None = None,
        rank: int = 0,
        ranks: int = 1,
        workers: int = 0,
        plan: Callable[[int], list[np.ndarray]] | None = None,
    ) -> None:
        self.examples = examples
        self.budget, self.seed = budget, seed
        self.rank, self.ranks, self.workers = rank, ranks, workers
        self._reported: set[str] = set()
        self._plan = plan
        if plan is None:
            unknown = [example.source for example in examples.examples if example.length is None]
            assert not unknown, f"lengths must be known before batching, as of {unknown[:1]}"
            self.lengths = np.array([example.length for example in examples.examples], dtype=np.float64)

    def plan(self, epoch: int) -> list[np.ndarray]:
        """Return the batches of `epoch`, as indices, over all ranks."""
        if self._plan is not None:
            return self._plan(epoch)
        rng = None if self.seed is None else np.random.default_rng((self.seed, epoch))
        return plan_batches(self.lengths, self.budget, rng)

    def batches(self, epoch: int = 0, start: int = 0) -> Iterator[Batch]:
        """Yield this rank's share of each batch of `epoch`, from batch number `start` on.

        A batch with fewer examples than ranks leaves some ranks one without examples (B = 0).
        """
        plan = self.plan(epoch)[start:]
        shares = [[(int(index), epoch) for index in batch[self.rank :: self.ranks]] for batch in plan]
        loader: Any = DataLoader(
            self.examples,
            batch_sampler=shares,
            collate_fn=_collate,
            num_workers=self.workers,
            generator=torch.Generator(),  # else each start of an epoch draws from the global one
            multiprocessing_context="spawn" if self.workers else None,
        )
        for batch, planned in zip(loader, plan, strict=True):
            for sentence in batch.refused:
                if sentence not in self._reported:
                    self._reported.add(sentence)
                    log.warning("left out: %s", sentence)
            sources = [self.examples.source(index) for index in batch.indices]
            yield batch._replace(planned=len(planned), sources=sources)


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

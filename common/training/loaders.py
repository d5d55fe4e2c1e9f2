"""The batches of a run, and what reads them: training and development data of this process's rank."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor

from common.data.batching import BatchLoader, Examples
from common.data.frame_targets import FrameTargets
from common.data.manifest import Example
from common.data.signal import Signal
from common.recognition.modality import Modality
from common.recognition.recognizer import Recognizer
from common.training.configuration import TrainingConfig
from common.training.loop import Data
from common.training.preparation import described, described_symbols

FIT_EXAMPLES = 500
"""number of examples from which a front end computes statistics, such as the mean of each band"""


def build_loaders(
    recognizer: Recognizer,
    training: Sequence[Example],
    development: Sequence[Example],
    config: TrainingConfig,
    augment_config: Any,
    fabric: Fabric,
) -> Data:
    """Return the training and development batches of this process's rank.

    Args:
        recognizer: the model to train; it says how signals are read and what their targets are.
        training: examples to train on, which are augmented and shuffled.
        development: examples to measure on: not augmented, from long to short.
        config: gives the budget, the seed, the workers and the cache.
        augment_config: the modality's configuration of augmentation.
        fabric: gives the rank and the number of ranks.
    """
    modality, signal_config = recognizer.modality, recognizer.config.signal
    shortest = recognizer.front_end.shortest
    budget = modality.batch_budget if config.batch_budget is None else config.batch_budget
    cache_bytes = int(config.cache_gb * 2**30 / max(1, config.workers) / config.devices)
    read = _Reader(modality, signal_config)
    augment = modality.training().augment(augment_config, signal_config)
    frames = lenient = None
    if recognizer.task == "frames":
        level = recognizer.config.head.frame_labels
        frames = FrameTargets(recognizer.alphabet, level, recognizer.stride, recognizer.offset)
        lenient = replace(frames, strict=False)
    steps = _OutputSteps(copy.deepcopy(recognizer.front_end))  # the copy stays on the CPU, also in workers
    seen = Examples(
        training, recognizer.alphabet, read, augment, config.seed, cache_bytes, shortest, frames, steps
    )
    unseen = Examples(development, None, read, None, config.seed, cache_bytes // 4, shortest, lenient, steps)
    rank, ranks = fabric.global_rank, fabric.world_size
    return Data(
        BatchLoader(seen, budget, config.seed, rank, ranks, config.workers),
        BatchLoader(unseen, budget, None, rank, ranks, config.workers),
        {
            "training data": described(training, modality.item),
            "development data": described(development, modality.item),
            "symbols": described_symbols(recognizer.alphabet),
        },
    )


def fit_front_end(
    front_end: Any, examples: Sequence[Example], read: Callable[[str], Signal], seed: int
) -> None:
    """Let a front end compute its statistics from up to FIT_EXAMPLES of `examples`, drawn with `seed`."""
    drawn = np.random.default_rng(seed).permutation(len(examples))[:FIT_EXAMPLES]
    front_end.fit(_readable(read, [examples[index].source for index in drawn]))


def _readable(read: Callable[[str], Signal], sources: Sequence[str]) -> Iterator[Tensor]:
    """Yield the signals that can be read; training names the others when it comes to them."""
    for source in sources:
        try:
            yield torch.from_numpy(read(source).values)
        except (ValueError, OSError):
            continue


@dataclass(frozen=True)
class _Reader:
    """Reads signals under one configuration; a worker process can be given it."""

    modality: Modality
    config: Any

    def __call__(self, source: str) -> Signal:
        return self.modality.read(source, self.config)


@dataclass(frozen=True)
class _OutputSteps:
    """Returns the number of steps that a front end makes of a signal; a worker process can be given it."""

    front_end: Any

    def __call__(self, length: int) -> int:
        return int(self.front_end.output_lengths(torch.tensor([length])))

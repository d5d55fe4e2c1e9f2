"""The batches of a run, and what reads them: training and development data of this process's rank."""

import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor

from common.data.batching import BatchLoader, ReadAhead, to_batch
from common.data.examples import Examples
from common.data.frame_targets import FrameTargets
from common.data.manifest import Example
from common.data.shards.windows import windowed_plan
from common.data.signal import Signal
from common.data.store import SignalStore, kind_of, room_in
from common.data.workers import Workers
from common.recognition.recognizer import Recognizer
from common.training.configuration import RunConfig
from common.training.loop import Data
from common.training.preparation import described, described_symbols

log = logging.getLogger(__name__)

CACHE = "cache"
"""the folder in the run folder where signals are kept, unless another is named; it is deleted at the end"""
FIT_EXAMPLES = 500
"""number of examples from which a front end computes statistics, such as the mean of each band"""


def build_loaders(
    recognizer: Recognizer,
    training: Sequence[Example],
    development: Sequence[Example],
    config: RunConfig,
    fabric: Fabric,
) -> Data:
    """Return the training and development batches of this process's rank; `Data.close` ends their reading.

    Args:
        recognizer: the model to train; it says how signals are read and what their targets are.
        training: examples to train on, which are augmented and shuffled.
        development: examples to measure on: not augmented, from long to short.
        config: gives the budget, the seed, the workers, the store of signals and the augmentation.
        fabric: gives the rank and the number of ranks.
    """
    modality, settings = recognizer.modality, config.training
    budget = modality.batch_budget if settings.batch_budget is None else settings.batch_budget
    rank, ranks, pinned = fabric.global_rank, fabric.world_size, fabric.device.type == "cuda"
    seen, unseen = _examples(recognizer, training, development, config, ranks)
    plan = windowed_plan(training, budget, settings.seed)
    train = BatchLoader(seen, budget, settings.seed, rank, ranks, plan, pinned)
    dev = BatchLoader(unseen, budget, None, rank, ranks, pinned=pinned)
    fingerprints = {
        "training data": described(training, modality.item),
        "development data": described(development, modality.item),
        "symbols": described_symbols(recognizer.alphabet),
    }
    data = Data(train, dev, fingerprints, divisible=True)
    if settings.workers:
        receive = partial(to_batch, pinned=pinned)
        workers = Workers(settings.workers, {"train": seen, "dev": unseen}, receive)
        ReadAhead(workers, settings.workers, train, dev, settings.epochs)
        data = data._replace(close=workers.close)
    return data


def _examples(
    recognizer: Recognizer,
    training: Sequence[Example],
    development: Sequence[Example],
    config: RunConfig,
    ranks: int,
) -> tuple[Examples, Examples]:
    """Return what reads the training and the development data in each of `ranks` processes."""
    modality, signal_config = recognizer.modality, recognizer.config.signal
    augment = modality.training().augment(config.augment, signal_config)
    read, store = modality.reader(signal_config), None
    if config.training.cache_gb:
        folder = config.cache or config.run / CACHE
        kind = f"{modality.name}-{kind_of(version('amanuensis'), signal_config)}"
        room = room_in(folder, config.training.cache_gb * 2**30)
        if not room:
            log.warning("%s: is full (--cache-gb %g); no more is kept", folder, config.training.cache_gb)
        store = SignalStore(folder / kind, room // (ranks * max(1, config.training.workers)))
        store.refresh()
    frames = lenient = steps = None
    if recognizer.task == "frames":
        level = recognizer.config.head.frame_labels
        frames = FrameTargets(recognizer.alphabet, level, recognizer.stride, recognizer.offset)
        lenient = replace(frames, strict=False)
        steps = _OutputSteps(copy.deepcopy(recognizer.front_end))  # the copy stays on the CPU
    shortest, seed = recognizer.front_end.shortest, config.training.seed
    return (
        Examples(training, recognizer.alphabet, read, augment, seed, store, shortest, frames, steps),
        Examples(development, None, read, None, seed, store, shortest, lenient, steps),
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
class _OutputSteps:
    """Returns the number of steps that a front end makes of a signal; a worker process can be given it."""

    front_end: Any

    def __call__(self, length: int) -> int:
        return int(self.front_end.output_lengths(torch.tensor([length])))

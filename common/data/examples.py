"""Examples become signals and labels, one by one or as the arrays of a batch, here or in a worker process."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from common.data.batch_plan import Zeros, new_zeros, padded
from common.data.frame_targets import FrameTargets
from common.data.manifest import Example
from common.data.signal import Signal
from common.data.store import Place, SignalStore
from common.files.source import stamp
from common.text.symbols import Symbols

log = logging.getLogger(__name__)


class Item(NamedTuple):
    """An example that is to be read for an epoch, so that a worker process needs no list of examples.

    number: the index of the example in the data.
    place: where its signal is in the store, if it is known to be kept.
    """

    example: Example
    number: int
    epoch: int
    place: Place | None = None


ReadExample = tuple[int, np.ndarray, Sequence[int]]
"""the index, the signal (T, ...) and the labels (L,) of an example"""


class Arrays(NamedTuple):
    """The examples of a batch, padded with zeros.

    signals: (B, T) or (B, T, H) float32, of which `lengths` (B,) int64 steps are real.
    targets: (B, L) int64, of which `target_lengths` (B,) are real.
    indices: of the examples in the data.
    refused: one sentence for each example that could not be read.
    places: where signals, by their index, have been kept that were read from their files.
    """

    signals: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray
    target_lengths: np.ndarray
    indices: list[int]
    refused: list[str]
    places: dict[int, Place]


@dataclass
class Examples:
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
    store: SignalStore | None = None
    """keeps signals once they are read; None: they are read from their files in each epoch"""
    shortest: int = 1
    """signals are padded with zeros to at least this many steps, the fewest that the front end accepts"""
    frames: FrameTargets | None = None
    """computes a label for each step; None: the labels are those of the text"""
    steps: Callable[[int], int] | None = None
    """with `frames`: returns the number of steps for a number of signal steps"""

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, item: tuple[int, int]) -> ReadExample | str:
        """Return an example (index, epoch) as `read_item` does, and remember where its signal is kept."""
        found, place = self.read_item(self.item(*item))
        if place:
            self.note({item[0]: place})
        return found

    def source(self, index: int) -> str:
        """Return the name of an example."""
        return self.examples[index].source

    def item(self, index: int, epoch: int) -> Item:
        """Return what `read_item` needs to know of an example, here or in a worker process."""
        example = self.examples[index]
        return Item(example, index, epoch, self.store.place(example.source) if self.store else None)

    def note(self, places: dict[int, Place]) -> None:
        """Remember where the signals of examples, by their indices, have been kept."""
        for index, place in places.items():
            assert self.store is not None, "only a store gives places"
            self.store.note(self.source(index), place)

    def refresh(self) -> None:
        """Learn which signals other processes have kept."""
        if self.store is not None:
            self.store.refresh()

    def without_list(self) -> "Examples":
        """Return what a worker process needs to read items."""
        return replace(self, examples=())

    def read_item(self, item: Item) -> tuple[ReadExample | str, Place | None]:
        """Return an example as it is in an epoch, and where its signal has now been kept, if it has.

        An example that cannot be read is a sentence.
        """
        example, index, epoch, _ = item
        place = None
        try:
            signal, place = self._signal(item)
            values = signal.values
            if self.augment is not None:
                values = self.augment(values, np.random.default_rng((self.seed, epoch, index)))
            labels = self._labels(example, signal, len(values))
        except (ValueError, OSError) as error:
            log.debug("left out, because of this error", exc_info=True)
            return f"{example.origin}: {error}" if example.origin else str(error), place
        if len(values) < self.shortest:
            values = np.pad(values, [(0, self.shortest - len(values)), *[(0, 0)] * (values.ndim - 1)])
        return (index, values, labels), place

    def read_batch(self, items: Sequence[Item], zeros: Zeros = new_zeros) -> Arrays:
        """Return items as a batch, in memory that `zeros` returns."""
        read = [self.read_item(item) for item in items]
        places = {item.number: place for item, (_, place) in zip(items, read, strict=True) if place}
        return batched([found for found, _ in read], zeros)._replace(places=places)

    def _labels(self, example: Example, signal: Signal, length: int) -> list[int]:
        """Return the labels of an example whose signal has `length` steps after augmentation."""
        if self.frames is None or self.steps is None:
            return self.alphabet.encode(example.text or "") if self.alphabet else []
        # correct only if augmentation changes the length by stretching all of the signal alike
        unit_per_step = signal.unit_per_step * len(signal.values) / max(1, length)
        return self.frames(example, unit_per_step, self.steps(max(length, self.shortest)))

    def _signal(self, item: Item) -> tuple[Signal, Place | None]:
        """Return the signal of an example, and where it is if it has just been kept."""
        source, store = item.example.source, self.store
        if store is None:
            return self.read(source), None
        kept = store.read(source, item.place) if item.place else None
        if kept is not None:
            return kept, None
        try:
            version = stamp(source)  # before it is read: it may change meanwhile
        except OSError:
            return self.read(source), None
        signal = self.read(source)
        return signal, store.keep(source, version, signal)


def batched(found: Sequence[ReadExample | str], zeros: Zeros = new_zeros) -> Arrays:
    """Return examples, or sentences about them, as the arrays of a batch in memory that `zeros` returns."""
    good = [one for one in found if not isinstance(one, str)]
    refused = [one for one in found if isinstance(one, str)]
    if not good:
        nothing = np.zeros(0, np.int64)
        return Arrays(zeros((0, 0)), nothing, nothing.reshape(0, 0), nothing, [], refused, {})
    signals, lengths = padded([values for _, values, _ in good], zeros=zeros)
    target_lengths = np.array([len(labels) for _, _, labels in good])
    targets = np.zeros((len(good), max(1, int(target_lengths.max()))), np.int64)
    for row, (_, _, labels) in zip(targets, good, strict=True):
        row[: len(labels)] = labels
    return Arrays(signals, lengths, targets, target_lengths, [index for index, _, _ in good], refused, {})

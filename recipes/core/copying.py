"""The copy problem (Hochreiter and Schmidhuber 1997; Arjovsky et al. 2016) as a modality of its own.

    input   c a h b e a g d f c  - - - ... - - -  #  - - - - - - - - - -
    label   . . . . . . . . . .  . . . ... . . .  .  c a h b e a g d f c
            10 symbols of 8      T - 1 blanks   mark       10 steps

Each step has a label: nothing, and after the mark the symbols of the beginning. The network has to remember
each symbol for T + 10 steps, and has nothing else to learn. copying_corpus.py writes a corpus.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image
from torch import Tensor, nn

from common import cli
from common.data.manifest import Corpus, read_manifest
from common.data.signal import Signal, Source
from common.recognition.modality import Modality, Training
from common.text.rendering import Rendering

CHANNELS = 10
"""Size of a one-hot step: eight symbols, the blank and the mark."""


@dataclass(frozen=True)
class SignalConfig:
    """Signals have no settings."""


@dataclass(frozen=True)
class CorpusConfig:
    """Corpora have no settings."""


@dataclass(frozen=True)
class FrontEndConfig:
    """The front end has no settings."""


@dataclass(frozen=True)
class AugmentConfig:
    """There is no augmentation."""


class OneHot(nn.Module):
    """A front end that passes steps on as features."""

    stride = shortest = 1
    feature_size = CHANNELS

    def __init__(self, config: FrontEndConfig, signal: SignalConfig) -> None:
        super().__init__()

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return `lengths` (B,)."""
        return lengths

    def forward(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return `signals` (B, S, CHANNELS) and their lengths (B,)."""
        return signals, lengths


@cache
def _rows(path: str) -> np.ndarray:
    return np.load(path, mmap_mode="r", allow_pickle=False)


def read(source: Source, config: SignalConfig) -> Signal:
    """Return row 7 of the file for "inputs.npy::7": numbers (S,) as one-hot steps (S, CHANNELS)."""
    path, _, row = str(source).partition("::")
    try:
        numbers = _rows(path)[int(row)]
        values = np.eye(CHANNELS, dtype=np.float32)[numbers]
    except (OSError, ValueError, IndexError) as error:
        raise ValueError(
            f"{source}: cannot be read ({error}); a row of an .npy of numbers below {CHANNELS} is wanted"
        ) from error
    return Signal(values, 1.0)


def measure(source: str) -> float:
    """Return the number of steps of a source."""
    return float(len(read(source, SignalConfig()).values))


def read_corpus(path: str, config: CorpusConfig) -> Corpus:
    """Return the sequences of a manifest."""
    return read_manifest(path, length_keys=("steps",))


def render(values: np.ndarray, config: SignalConfig) -> Rendering:
    """Return a picture of the steps, four pixels for a value, the first channel at the top."""
    grey = np.repeat(np.repeat(255 - values.T * 255, 4, axis=0), 4, axis=1).astype(np.uint8)
    Image.fromarray(grey).save(file := BytesIO(), format="PNG")
    return Rendering(file.getvalue())


def build_augment(
    config: AugmentConfig, signal: SignalConfig
) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """Return a function that returns its values unchanged."""
    return lambda values, rng: values


COPYING = Modality(
    name="copying",
    item="sequence",
    unit="steps",
    length_unit="steps",
    batch_budget=8000.0,
    signal_config=SignalConfig,
    corpus_config=CorpusConfig,
    read=read,
    expand=lambda source: [source],
    measure=measure,
    steps_per_length=lambda config: 1.0,
    corpora=read_corpus,
    render=render,
    training=lambda: Training(AugmentConfig, build_augment, FrontEndConfig, OneHot, lambda config: config),
)

if __name__ == "__main__":
    cli.main(COPYING)

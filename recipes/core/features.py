"""Ready-made features as a third modality: arrays in an .npz, a manifest of JSON lines, and the core alone.

    python recipes/core/features.py train TRAIN.jsonl DEV.jsonl --run DIR --archive FEATURES.npz

The lines of a manifest have "id" (the name of the array in the archive), "frames" and "text". This file is an
example of everything that a modality has to provide; `common` does not change for it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from common import cli
from common.data.manifest import Corpus, Example, read_manifest
from common.data.signal import Signal, Source
from common.network.recurrent import mask_steps
from common.recognition.modality import Modality, Training
from common.text.rendering import Rendering


@dataclass(frozen=True)
class SignalConfig:
    """How frames are read."""

    frames_per_second: float = 100.0
    """Frames in a second; positions are computed from it."""


@dataclass(frozen=True)
class CorpusConfig:
    """Where the arrays of a manifest are stored."""

    archive: str = ""
    """The .npz with an array (frames, features) for each id; by default named like the manifest."""


@dataclass(frozen=True)
class FrontEndConfig:
    """How frames become features."""

    stack: int = 3
    """Frames in one step."""
    mask_frames: int = 20
    """Largest number of frames in each of the two stripes that are set to 0 in training."""
    input_size: int = 13
    """Number of values of a frame."""


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of features in training."""

    noise: float = 0.1
    """Standard deviation of the added noise, relative to that of each value."""
    tempo: float = 0.1
    """Largest share by which time is stretched or compressed."""


class StackedFrames(nn.Module):
    """Frames normalised over each utterance, with their first differences, `stack` frames in one step."""

    def __init__(self, config: FrontEndConfig, signal: SignalConfig) -> None:
        super().__init__()
        self.config = config
        self.stride = self.shortest = config.stack
        self.feature_size = 2 * config.input_size * config.stack

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Return the number of steps (B,) for `lengths` (B,) frames."""
        return lengths // self.stride

    def forward(self, signals: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (B, S, D) and their lengths (B,) for signals (B, T, H) of `lengths` (B,) frames."""
        count = lengths[:, None, None]
        signals = mask_steps(signals, lengths)
        mean = signals.sum(1, keepdim=True) / count  # (B, 1, H)
        centred = mask_steps(signals - mean, lengths)
        normal = centred / ((centred.square().sum(1, keepdim=True) / count).sqrt() + 1e-3)
        if self.training and self.config.mask_frames:
            normal = self._mask(normal)
        change = nn.functional.pad(normal[:, 2:] - normal[:, :-2], (0, 0, 1, 1))  # (B, T, H)
        both = mask_steps(torch.cat([normal, change], dim=2), lengths)  # (B, T, 2 H)
        lengths = self.output_lengths(lengths)
        steps = both.shape[1] // self.stride
        stacked = both[:, : steps * self.stride].reshape(len(both), steps, self.feature_size)  # (B, S, D)
        return mask_steps(stacked, lengths), lengths

    def _mask(self, normal: Tensor) -> Tensor:
        B, T, _ = normal.shape
        steps = torch.arange(T)
        for _ in range(2):
            start = torch.rand(B, 1) * T
            width = torch.rand(B, 1) * min(self.config.mask_frames, T // 6)
            hidden = (steps >= start) & (steps < start + width)  # (B, T)
            normal = normal.masked_fill(hidden.unsqueeze(2).to(normal.device), 0.0)
        return normal


@cache
def _archive(path: str) -> np.lib.npyio.NpzFile:
    return np.load(path, allow_pickle=False)


def read(source: Source, config: SignalConfig) -> Signal:
    """Return the array `id` of the source "archive.npz::id"."""
    path, _, name = str(source).partition("::")
    try:
        values = _archive(path)[name]
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(
            f"{source}: cannot be read ({error}); an .npz archive with that array is wanted"
        ) from error
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ValueError(f"{source}: has shape {values.shape}; finite values (frames, features) are wanted")
    return Signal(np.ascontiguousarray(values, dtype=np.float32), 1 / config.frames_per_second)


def measure(source: str) -> float:
    """Return the number of frames of a source."""
    return float(len(read(source, SignalConfig()).values))


def read_corpus(path: str, config: CorpusConfig) -> Corpus:
    """Return the utterances of a manifest."""
    archive = config.archive or str(Path(path).with_suffix(".npz"))

    def adapt(example: Example, fields: dict[str, Any]) -> Example:
        return replace(example, source=f"{archive}::{Path(example.source).name}")

    return read_manifest(path, source_keys=("id",), length_keys=("frames",), adapt=adapt)


def render(values: np.ndarray, config: SignalConfig) -> Rendering:
    """Return the features as a picture, 2 x 6 pixels for a value, the first coefficient at the bottom."""
    low, high = np.percentile(values, [2, 98])
    grey = np.clip((values.T[::-1] - low) / max(high - low, 1e-6) * 255, 0, 255).astype(np.uint8)
    picture = Image.fromarray(grey).resize(
        (values.shape[0] * 2, values.shape[1] * 6), Image.Resampling.NEAREST
    )
    picture.save(file := BytesIO(), format="PNG")
    return Rendering(file.getvalue())


def build_augment(
    config: AugmentConfig, signal: SignalConfig
) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """Return a function that changes the tempo of `values` (T, H) and adds noise to them."""

    def augment(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        frames = max(1, round(len(values) * rng.uniform(1 - config.tempo, 1 + config.tempo)))
        place = np.linspace(0, len(values) - 1, frames)
        left = np.floor(place).astype(int)
        right = np.minimum(left + 1, len(values) - 1)
        share = (place - left)[:, None].astype(np.float32)
        stretched = values[left] * (1 - share) + values[right] * share
        noise = rng.normal(0, config.noise, stretched.shape) * values.std(axis=0)
        return (stretched + noise).astype(np.float32)

    return augment


FEATURES = Modality(
    name="features",
    item="utterance",
    unit="s",
    length_unit="frames",
    batch_budget=6000.0,
    signal_config=SignalConfig,
    corpus_config=CorpusConfig,
    read=read,
    expand=lambda source: [source],
    measure=measure,
    steps_per_length=lambda config: 1.0,
    corpora=read_corpus,
    render=render,
    training=lambda: Training(
        AugmentConfig, build_augment, FrontEndConfig, StackedFrames, evenly=lambda config: config
    ),
)

if __name__ == "__main__":
    cli.main(FEATURES)

"""The settings of a run of `train-lines`; without torch, so that its help needs none."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from common.command_line.flag import Flag, Flat, Positional
from common.training.configuration import TrainingConfig
from ocr.configuration import FinderConfig


@dataclass(frozen=True)
class LinesTrainingConfig(TrainingConfig):
    """The settings of the training loop."""

    epochs: int = 12
    """Passes of --squares squares."""
    learning_rate: float = 3e-3
    """Highest learning rate of AdamW."""
    schedule: Literal["cosine", "one-cycle", "constant"] = "one-cycle"
    """After warm-up the rate falls along a cosine or stays; one-cycle warms up over a third of the run."""
    clip_norm: float = 10.0
    """Largest gradient norm; a larger gradient is scaled down (Pascanu et al. 2013)."""
    # these say how other kinds of data are batched, read and measured, and have no effect here
    batch_budget: Annotated[float | None, Flag(hidden=True)] = None
    workers: Annotated[int, Flag(hidden=True)] = 0
    cache_gb: Annotated[float, Flag(hidden=True)] = 2.0
    select: Annotated[Literal["cer", "wer"] | None, Flag(hidden=True)] = None
    freeze_epochs: Annotated[int, Flag(hidden=True)] = 0


@dataclass(frozen=True, kw_only=True)
class TrainLinesFlags:
    """Learn to find the lines of pages; the model is written to RUN/best.safetensors and RUN/lines.onnx."""

    pages: Positional[str]
    """Folders, with commas between, of PAGE XML or ALTO with their images, at any depth, to learn from."""
    dev: Positional[str]
    """Pages to measure on after each epoch."""
    run: Path
    """Folder for the model, the checkpoints and the logs."""
    resume: bool = False
    """Continue the run in that folder exactly where its last checkpoint was written."""
    squares: int = 800
    """Squares of 512 px that are cut out of pages in an epoch."""
    squares_per_batch: int = 4
    """Squares in a batch, over all devices."""
    fonts: Path | None = None
    """Folder of fonts of the drawn pages; without it, fonts of this machine."""
    training: Flat[LinesTrainingConfig] = field(default_factory=LinesTrainingConfig)
    network: Flat[FinderConfig] = field(default_factory=FinderConfig)

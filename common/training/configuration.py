"""The settings of a run. This module imports no torch, so that the help of `train` needs none."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from common.recognition.configuration import EncoderConfig, HeadConfig

RESUMABLE = {
    "epochs",
    "device",
    "precision",
    "devices",
    "nodes",
    "workers",
    "cache",
    "cache_gb",
    "patience",
    "checkpoint_minutes",
}
"""settings that may change when a run is resumed"""


@dataclass(frozen=True)
class TrainingConfig:
    """The settings of the training loop."""

    epochs: int = 40
    """Passes over the training data."""
    learning_rate: float = 2e-3
    """Highest learning rate of AdamW."""
    weight_decay: float = 1e-2
    """Weight decay of AdamW, on matrices and kernels."""
    schedule: Literal["cosine", "one-cycle", "constant"] = "cosine"
    """After warm-up the rate falls along a cosine or stays; one-cycle warms up over a third of the run."""
    warmup_steps: int = 200
    """Updates in which the learning rate rises from 0 (not for one-cycle)."""
    freeze_epochs: int = 0
    """Epochs in which the front end keeps its weights: for a few lines of a new hand, after --start-from."""
    clip_norm: float = 50.0
    """Largest gradient norm; a larger gradient is scaled down (Pascanu et al. 2013)."""
    ema: float = 0.998
    """Decay of the averaged weights, which are evaluated and saved; 0 for no average."""
    batch_budget: float | None = None
    """Padded length of one batch on each device: seconds (asr), line heights (ocr)."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """auto: bfloat16 where the machine computes it faster (GPUs since Ampere, CPUs with AMX or
    AVX-512 BF16)."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device to train on."""
    devices: int = 1
    """Processes, one per GPU (or CPU share); under torchrun the number per node."""
    nodes: int = 1
    """Machines, under torchrun."""
    workers: int = 0
    """Processes per device that read ahead; 0, best on few cores, reads inline; with a GPU 4 to 16."""
    cache_gb: float = 2.0
    """Disk space in --cache for signals that have been read; 0: files are read anew in each epoch."""
    seed: int = 1
    """Seed of the weights, the order and the augmentation."""
    select: Literal["cer", "wer"] | None = None
    """Dev error rate that chooses the best model; default: the task's own, which is CER for texts."""
    patience: int = 0
    """Stop after this many epochs without a better dev error rate; 0: never stop early."""
    checkpoint_minutes: float = 5.0
    """Minutes between writes of latest.ckpt, which is also written after each epoch."""

    def __post_init__(self) -> None:
        least = {
            "epochs": 1,
            "devices": 1,
            "nodes": 1,
            "warmup_steps": 0,
            "workers": 0,
            "seed": 0,
            "patience": 0,
            "freeze_epochs": 0,
        }
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise ValueError(f"{name} is {value}; {bound} or more is wanted")
        for name in ("learning_rate", "clip_norm", "batch_budget"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name} is {value}; a number above 0 is wanted")
        least_of = min(self.weight_decay, self.cache_gb, self.checkpoint_minutes)
        if not (0 <= self.ema < 1 and least_of >= 0):
            raise ValueError(
                f"ema {self.ema}, weight_decay {self.weight_decay}, cache_gb {self.cache_gb},"
                f" checkpoint_minutes {self.checkpoint_minutes}: ema in [0, 1) and nothing below 0 is wanted"
            )


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The settings of one run; config.json of the run folder keeps them under these names.

    `front_end`, `signal`, `corpus` and `augment` are of the modality's own dataclasses: `signal_config` and
    `corpus_config` of `Modality`, `front_end_config` and `augment_config` of its `Training`.
    """

    train: str
    """Training data: a folder or manifest, or several with commas between them."""
    dev: str
    """Development data: the model is measured on it after each epoch and never learns from it."""
    run: Path
    """Folder for the model, the checkpoints and the logs."""
    cache: Path | None = None
    """Folder that keeps signals once they are read, also for later runs; default: one in --run, deleted at
    the end."""
    resume: bool = False
    """Continue the run in that folder exactly where its last checkpoint was written."""
    start_from: Path | None = None
    """A model file whose weights the run starts with, instead of random ones; the architecture must match."""
    start_symbols: Literal["keep", "texts"] = "keep"
    """With --start-from. keep: all symbols of that model, and those of the texts; texts: only these."""
    start_case: Literal["keep", "fold"] = "keep"
    """With --start-from. fold: take the texts in the one case that this model writes."""
    unicode_form: Literal["NFC", "NFD", "NFKC", "NFKD", "none"] | None = None
    """Unicode form of the texts, here and in every later comparison."""
    pronunciations: str | None = None
    """Learn phones and not characters: files of words and their phones, with commas between them; as
    CMUdict. Texts with a word that is in none of them are left out."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    front_end: Any
    signal: Any
    corpus: Any
    augment: Any

"""How a model is trained, and what that is made of: device, precision, optimiser, learning rate."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins import MixedPrecision
from torch import nn


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained."""

    epochs: int = 40
    """Passes over the training data."""
    learning_rate: float = 2e-3
    """Of AdamW, at its peak."""
    weight_decay: float = 1e-2
    """Of AdamW, on matrices and kernels."""
    schedule: Literal["cosine", "one-cycle", "constant"] = "cosine"
    """After warm-up: down along a cosine; one-cycle warms up over a third of the run; or stay."""
    warmup_steps: int = 200
    """Updates in which the learning rate rises from 0 (not for one-cycle)."""
    clip_norm: float = 50.0
    """Longest gradient allowed; a longer one is scaled down (Pascanu et al. 2013)."""
    ema: float = 0.998
    """Decay of the averaged weights, which are evaluated and saved; 0 for none."""
    batch_budget: float | None = None
    """Padded length of one batch over all devices: seconds (asr), line heights (ocr)."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """auto: bfloat16 where the machine computes it faster (GPUs since Ampere, CPUs with AMX)."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train."""
    devices: int = 1
    """Processes, one per GPU (or CPU share); under torchrun it is per node."""
    nodes: int = 1
    """Machines, under torchrun."""
    workers: int = 0
    """Processes per device that read ahead; 0 reads inline, best on few cores; with a GPU 4 to 16."""
    cache_gb: float = 2.0
    """Memory in which signals are kept once read."""
    seed: int = 1
    """Of weights, order and augmentation."""
    select: Literal["cer", "wer"] | None = None
    """Which dev error rate chooses the best model; without it the task's own, of texts CER."""
    patience: int = 0
    """Stop after this many epochs without a better dev error rate; 0 never."""
    checkpoint_minutes: float = 5.0
    """How often, beside each epoch's end, latest.ckpt is written."""

    def __post_init__(self) -> None:
        least = {
            "epochs": 1,
            "devices": 1,
            "nodes": 1,
            "warmup_steps": 0,
            "workers": 0,
            "seed": 0,
            "patience": 0,
        }
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ValueError(f"{name} is {getattr(self, name)}; {bound} or more is wanted")
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


RESUMABLE = {"epochs", "device", "devices", "nodes", "workers", "cache_gb", "patience", "checkpoint_minutes"}
"""Settings that may differ when a run is resumed."""


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return the precision that "auto" stands for on this device."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    return "bf16-mixed" if device.type == "cpu" and torch.cpu._is_amx_tile_supported() else "32-true"


class _BFloat16(MixedPrecision):
    """bfloat16 within the network alone: signals enter as they are.

    Fabric's own rounds them to eight bits first, in training only: samples, and numbers of words.
    """

    def convert_input(self, data: Any) -> Any:
        """Return `data`."""
        return data


def build_fabric(config: TrainingConfig) -> Fabric:
    """Return a launched Fabric; ValueError for a device that is not there."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: no CUDA device here; use --device auto or cpu")
    if config.device == "mps" and not torch.backends.mps.is_available():
        raise ValueError("--device mps: no Apple GPU here; use --device auto or cpu")
    accelerator = config.device
    if accelerator == "auto":
        accelerator = (
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    precision: Any = resolve_precision(config.precision, torch.device(accelerator))
    several = config.devices * config.nodes > 1
    mixed = precision == "bf16-mixed"
    fabric = Fabric(
        accelerator=accelerator,
        devices=config.devices,
        num_nodes=config.nodes,
        precision=None if mixed else precision,
        plugins=_BFloat16("bf16-mixed", accelerator) if mixed else None,
        strategy="ddp" if several else "auto",
    )
    fabric.launch()
    return fabric


def build_optimizer(module: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """Return AdamW; weight decay is for matrices and kernels, not for biases and gains."""
    matrices = [parameter for parameter in module.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in module.parameters() if parameter.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))


def learning_rate(config: TrainingConfig, step: int, steps: int) -> float:
    """Return the learning rate of update `step` (from 0) of `steps`."""
    warmup = max(1, steps // 3 if config.schedule == "one-cycle" else min(config.warmup_steps, steps // 4))
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    if config.schedule == "constant":
        return config.learning_rate
    done = (step - warmup) / max(1, steps - warmup)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def seed_everything(seed: int) -> None:
    """Seed torch and NumPy's global generators: weights, dropout and SpecAugment draw from them."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)

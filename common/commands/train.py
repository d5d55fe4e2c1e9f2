"""The verb train: settings that were left open are chosen for the device."""

import json
import logging
import os
from dataclasses import replace
from typing import Any

from common.commands.flags.train import TrainFlags
from common.recognition.modality import Modality

log = logging.getLogger(__name__)

HIDDEN_SIZE, GPU_HIDDEN_SIZE = 192, 256
"""cuDNN's fastest LSTM takes multiples of 128, see `network.lstm.LSTM`"""
MOST_WORKERS = 14
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
"""variables that number the processes of a run, where torchrun, Lightning or srun has started them"""


def run(modality: Modality, arguments: TrainFlags) -> None:
    """Train a model."""
    from common.training.run import train

    for name in ("lightning", "lightning.fabric", "lightning.pytorch"):  # importing them sets INFO
        logging.getLogger(name).setLevel(logging.WARNING)
    train(modality, with_defaults(modality, arguments, _has_gpu(arguments.training.device)))


def with_defaults(modality: Modality, arguments: TrainFlags, on_gpu: bool) -> TrainFlags:
    """Return the flags with a value for each that was left open: that of the run to resume, or a default.

    Args:
        modality: the budgets of its batches.
        arguments: the flags.
        on_gpu: whether the run is on a GPU.
    """
    cores = os.cpu_count() or 1
    workers = min(MOST_WORKERS, max(0, cores - 2) // arguments.training.devices) if on_gpu else 0
    # a model to start from has the size that was the default of every device
    hidden = GPU_HIDDEN_SIZE if on_gpu and arguments.start_from is None else HIDDEN_SIZE
    defaults = {
        ("training", "batch_budget"): modality.gpu_batch_budget if on_gpu else modality.batch_budget,
        ("training", "workers"): workers,
        ("encoder", "hidden_size"): hidden,
    }
    parts: dict[str, Any] = {"training": arguments.training, "encoder": arguments.encoder}
    kept, chosen = _kept_settings(arguments), list[str]()
    for (part, name), default in defaults.items():
        if getattr(parts[part], name) is not None:
            continue
        value = kept.get(part, {}).get(name)
        if value is None:
            value = default
            chosen.append(f"--{name.replace('_', '-')} {value:g}")
        parts[part] = replace(parts[part], **{name: value})
    if chosen and on_gpu and all(os.environ.get(name, "0") == "0" for name in RANKS):
        log.info("defaults of a GPU: %s", " ".join(chosen))
    return replace(arguments, **parts)


def _kept_settings(arguments: TrainFlags) -> dict[str, Any]:
    """Return the settings of the run to resume; {} for a new run. What is wrong with them is said later."""
    if not arguments.resume:
        return {}
    try:
        found = json.loads((arguments.run / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _has_gpu(device: str) -> bool:
    """Return whether a run on `device` is one on a GPU of NVIDIA or AMD."""
    import torch

    return device == "cuda" or (device == "auto" and torch.cuda.is_available())

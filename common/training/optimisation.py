"""What a run is built from: device, precision, ranks, optimiser, weight average."""

import math
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins import MixedPrecision
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.fabric.strategies import DDPStrategy
from torch import nn

from common.training.configuration import TrainingConfig

T = TypeVar("T")
FROZEN = "frozen"
"""the key that marks groups of parameters which keep their values in the first epochs"""
RANK_SEEDS = 1_000_003
"""distance between the seeds of two ranks; a prime, so that neighbouring seeds of runs do not meet"""


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return `precision`, or the precision that "auto" stands for on `device`."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        # older GPUs emulate bfloat16, which is slower than float32
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    computes = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if device.type == "cpu" and computes else "32-true"


def has_half_layers(fabric: Fabric) -> bool:
    """Return whether some layers compute in float16, whose small gradients need a scale of the loss."""
    precision: str = fabric._precision.precision
    return fabric.device.type == "cuda" and precision == "bf16-mixed"


class _BFloat16(MixedPrecision):
    """bfloat16 in the network only; its inputs keep their precision.

    Fabric's own class rounds the inputs to bfloat16 (eight significant bits), and only in training. That
    damages audio samples and the indices of words.
    """

    def convert_input(self, data: Any) -> Any:
        """Return `data` unchanged."""
        return data


def build_fabric(config: TrainingConfig, some_unused: bool = False) -> Fabric:
    """Return a launched Fabric for the device, the precision and the number of processes in `config`.

    Args:
        config: the settings of the loop.
        some_unused: whether there are updates in which some parameters take no part.

    Raises:
        ValueError: the device does not exist on this machine, or the number of processes that were started
            is not that of the settings.
    """
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
    plugins: list[Any] = []
    started_by_others = _started_by_others(config)
    if "SLURM_NTASKS" in os.environ and not started_by_others:
        plugins.append(LightningEnvironment())  # a batch script does without srun
    mixed = precision == "bf16-mixed"
    if mixed:
        plugins.append(_BFloat16("bf16-mixed", accelerator))
    fabric = Fabric(
        accelerator=accelerator,
        devices=config.devices,
        num_nodes=config.nodes,
        precision=None if mixed else precision,
        plugins=plugins,
        strategy=DDPStrategy(find_unused_parameters=some_unused) if several else "auto",
    )
    fabric.launch()
    return fabric


def _started_by_others(config: TrainingConfig) -> bool:
    """Return whether torchrun or srun has started all processes of the run; otherwise this one starts them.

    Raises:
        ValueError: their number is not that of the settings. Each would train alone, in the same run folder,
            or wait for others for ever.
    """
    if torch.distributed.is_torchelastic_launched():
        program, started = "torchrun", int(os.environ["WORLD_SIZE"])
    else:
        program, started = "srun", int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))
        if started == 1:
            return False
    if started != config.devices * config.nodes:
        raise ValueError(
            f"{program} has started {started} processes, and --devices {config.devices}"
            f" --nodes {config.nodes} means {config.devices * config.nodes}; give --nodes as the number of"
            " machines and --devices as the number of processes on each"
        )
    return True


def build_optimizer(module: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """Return AdamW with weight decay on matrices and kernels, but not on biases and gains.

    With `freeze_epochs`, the parameters of the front end are in groups of their own, which are marked.

    Raises:
        ValueError: a front end is to be frozen, and the model has none.
    """
    named = list(module.named_parameters())
    frozen = {name for name, _ in named if config.freeze_epochs and ".front_end." in f".{name}"}
    if config.freeze_epochs and not frozen:
        raise ValueError(f"--freeze-epochs {config.freeze_epochs}: this model has no front end; leave it out")
    groups: list[dict[str, Any]] = []
    for is_frozen in (False, True) if frozen else (False,):
        chosen = [parameter for name, parameter in named if (name in frozen) == is_frozen]
        matrices = [parameter for parameter in chosen if parameter.ndim > 1]
        others = [parameter for parameter in chosen if parameter.ndim <= 1]
        mark = {FROZEN: True} if is_frozen else {}
        groups.append({"params": matrices, "weight_decay": config.weight_decay, **mark})
        groups.append({"params": others, "weight_decay": 0.0, **mark})
    # fused: one kernel, which makes no update where `found_inf` is 1, see updates/step.py
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)


def set_learning_rate(optimizer: Any, rate: float, frozen: bool) -> None:
    """Set the rate of all groups, or 0 for the marked ones while they are `frozen`: they stay the same."""
    for group in optimizer.param_groups:
        group["lr"] = 0.0 if frozen and group.get(FROZEN) else rate


def learning_rate(config: TrainingConfig, step: int, steps: int) -> float:
    """Return the learning rate of update `step`, counted from 0, of `steps` updates."""
    warmup = max(1, steps // 3 if config.schedule == "one-cycle" else min(config.warmup_steps, steps // 4))
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    if config.schedule == "constant":
        return config.learning_rate
    done = (step - warmup) / max(1, steps - warmup)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def seed_everything(seed: int) -> None:
    """Seed the global generators of torch and NumPy; weights, dropout and SpecAugment draw from them."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)


def seed_rank(fabric: Fabric, seed: int) -> None:
    """Seed the global generators of this rank, so that each rank drops other units and masks other bands.

    Rank 0 keeps the state that `seed_everything(seed)` and the draws of the first weights left: a run of one
    process draws the same numbers with and without this call.
    """
    if fabric.global_rank:
        seed_everything(seed + RANK_SEEDS * fabric.global_rank)


def sum_over_ranks(fabric: Fabric, values: Sequence[float]) -> list[float]:
    """Return the sum of each value over all ranks, in float64.

    One rank has nothing to add, and its device may not have float64, as mps.
    """
    if fabric.world_size == 1:
        return [float(value) for value in values]
    summed: Any = fabric.all_reduce(torch.tensor(values, dtype=torch.float64), reduce_op="sum")
    return summed.tolist()


def on_rank_zero(fabric: Fabric, work: Callable[[], T]) -> T:
    """Let rank 0 do some work on files, and let all ranks end if it fails.

    Returns:
        On every rank what `work` returns on rank 0.

    Raises:
        Exception: on rank 0, the error of `work`.
        SystemExit: on the other ranks, with status 1; rank 0 says what failed.
    """
    if fabric.world_size == 1:
        return work()
    failure: Exception | None = None
    value: Any = None
    if fabric.is_global_zero:
        try:
            value = work()
        except Exception as error:
            failure = error
    failed, value = fabric.broadcast((failure is not None, value))
    if failure is not None:
        raise failure
    if failed:
        raise SystemExit(1)
    return value


def take_weights_of_rank_zero(fabric: Fabric, model: nn.Module) -> None:
    """Give the model of every rank the weights and statistics that it has on rank 0."""
    if fabric.world_size > 1:
        model.load_state_dict(fabric.broadcast(model.state_dict()))

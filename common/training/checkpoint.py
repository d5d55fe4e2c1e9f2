"""Checkpoints of a run: written aside and renamed, read without executing code, with random states."""

from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor

from common.files.aside import written_aside


def write_checkpoint(path: Path, checkpoint: dict[str, Any]) -> None:
    """Write `checkpoint`; a run killed or a disk full while writing leaves the one before whole.

    Raises:
        OSError: it could not be written.
    """
    try:
        with written_aside(path) as file:
            torch.save(checkpoint, file)
    except (OSError, RuntimeError) as error:  # torch's writer turns a full disk into a RuntimeError
        reason = str(error).splitlines()[0]
        raise OSError(
            f"{path}: could not be written ({reason}); the checkpoint before it is whole:"
            " free some disk space and go on with --resume"
        ) from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return what `write_checkpoint` wrote; ValueError if the file is damaged."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: is damaged ({reason}); start anew in another run folder") from error


def random_states(fabric: Fabric) -> dict[str, Tensor]:
    """Return the states of torch's global generators, (ranks, bytes); every rank must call this."""
    states = {"cpu": torch.get_rng_state()}
    if fabric.device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(fabric.device)
    gathered: dict[str, Any] = {name: fabric.all_gather(state) for name, state in states.items()}
    return {name: state.reshape(fabric.world_size, -1).cpu() for name, state in gathered.items()}


def restore_random_states(fabric: Fabric, states: dict[str, Tensor]) -> None:
    """Set the generators to what `random_states` returned; a rank that was not there keeps its own."""
    if fabric.global_rank < len(states["cpu"]):
        torch.set_rng_state(states["cpu"][fabric.global_rank])
    if "cuda" in states and fabric.device.type == "cuda" and fabric.global_rank < len(states["cuda"]):
        torch.cuda.set_rng_state(states["cuda"][fabric.global_rank], fabric.device)

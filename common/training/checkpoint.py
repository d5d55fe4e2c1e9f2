"""Checkpoints: what a run needs to continue exactly, written so that no crash can leave a damaged file.

model       the weights                         average   their moving average
optimizer   the moments of AdamW                progress  epoch, batch, step, counts: `Progress`
carried     tensors that go from batch to batch,   random    the states of the random generators of all ranks
shares      for how many devices the batches are planned
fingerprints  of data and alphabet, which must not change
precision   in which it was computed
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor

from common.files.aside import written_aside
from common.training.optimisation import seed_rank


@dataclass
class Progress:
    """The place of a run in its schedule, and the counts of the current epoch."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    """updates so far, of all epochs; skipped ones are counted"""
    best: float = math.inf
    """the lowest dev error rate so far"""
    best_epoch: int = 0
    patience_best: float = math.inf
    """the lowest dev error rate since the model last wrote next to nothing; patience waits for a lower one"""
    patience_epoch: int = 0
    """the epoch from which patience counts"""
    loss: float = 0.0
    """sum over the updates of this epoch, like `gradient_norm`"""
    gradient_norm: float = 0.0
    examples: int = 0
    updates: int = 0
    skipped: int = 0
    """updates not made, because the loss or the gradient was not finite"""
    impossible: int = 0
    """targets that no path can spell"""
    refused: int = 0
    """examples that could not be read"""
    seconds: float = 0.0
    rates: dict[str, float] = field(default_factory=dict)
    """dev error rates of the last epoch, by name"""
    select: str = ""
    """the name of the rate that chooses the best model"""

    @property
    def waited(self) -> int:
        """The number of finished epochs since the last one that was worth waiting for."""
        return self.epoch - 1 - self.patience_epoch

    def judge(self, rate: float, silent: bool) -> bool:
        """Note the dev error rate of the current epoch; return whether it is the lowest so far.

        A CTC model first learns to write nothing, and only then to write. The random texts of its first epoch
        may have a lower error rate than nothing has. So patience does not count epochs of silence, and what
        was better before them is no measure of what comes after them.

        Args:
            rate: the rate that chooses the best model.
            silent: whether the model writes next to nothing.
        """
        is_best = rate < self.best
        if is_best:
            self.best, self.best_epoch = rate, self.epoch
        if silent:
            self.patience_best, self.patience_epoch = math.inf, self.epoch
        elif rate < self.patience_best:
            self.patience_best, self.patience_epoch = rate, self.epoch
        return is_best

    def next_epoch(self) -> None:
        """Go to the start of the next epoch and set its counts to zero."""
        self.epoch, self.batch = self.epoch + 1, 0
        self.loss = self.gradient_norm = self.seconds = 0.0
        self.examples = self.updates = self.skipped = self.impossible = self.refused = 0


def write_checkpoint(path: Path, checkpoint: dict[str, Any]) -> None:
    """Write `checkpoint`; if this is interrupted or the disk is full, the file before it stays whole.

    Raises:
        OSError: the file cannot be written.
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
    """Return the checkpoint that `write_checkpoint` wrote, without executing code.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: is damaged ({reason}); start anew in another run folder") from error


def check_fingerprints(path: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Check that a run is resumed with the data and the alphabet that it had.

    Args:
        path: the checkpoint, for the message.
        before: the fingerprints that the checkpoint keeps; an older version has written none.
        now: the fingerprints of the run that is to go on.

    Raises:
        ValueError: a fingerprint differs.
    """
    changes = [
        f"{name} ({before[name]}; now {now[name]})"
        for name in now
        if before.get(name) not in (None, now[name])
    ]
    if changes:
        raise ValueError(
            f"{path}: cannot be resumed, because it was written with other {' and other '.join(changes)};"
            " bring them back, or start anew in another run folder"
        )


def carried_by_all(fabric: Fabric, carried: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what one process would carry to the next batch in place of all ranks; every rank must call this.

    Args:
        fabric: gives the ranks.
        carried: what this rank carries: tensors (N, B, ...) whose B rows are those of its share of a batch,
            rows r, r + ranks, ... of the whole batch; or nothing.
    """
    ranks = fabric.world_size
    if ranks == 1:
        return dict(carried)
    parts: list[Any] = [None] * ranks
    torch.distributed.all_gather_object(parts, {name: value.cpu() for name, value in carried.items()})
    whole = {}
    for name, first in parts[0].items():
        shares = [part[name] for part in parts if part]  # the last ranks have no row of a small batch
        N, _, *others = first.shape
        whole[name] = first.new_empty(N, sum(share.shape[1] for share in shares), *others)
        for rank, share in enumerate(shares):
            whole[name][:, rank::ranks] = share
    return whole


def share_of_carried(fabric: Fabric, whole: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return this rank's share of what `carried_by_all` returned, under any number of ranks."""
    rank, ranks = fabric.global_rank, fabric.world_size
    shares = {name: value[:, rank::ranks].contiguous() for name, value in whole.items()}
    return {name: share.to(fabric.device) for name, share in shares.items() if share.shape[1]}


def random_states(fabric: Fabric) -> dict[str, Tensor]:
    """Return the states (ranks, bytes) of torch's global random generators; every rank must call this."""
    states = {"cpu": torch.get_rng_state()}
    if fabric.device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(fabric.device)
    gathered: dict[str, Any] = {name: fabric.all_gather(state) for name, state in states.items()}
    return {name: state.reshape(fabric.world_size, -1).cpu() for name, state in gathered.items()}


def restore_random_states(fabric: Fabric, states: dict[str, Tensor], seed: int) -> None:
    """Set this rank's generators to the states that `random_states` returned.

    Args:
        fabric: gives the rank.
        states: as they were returned, under any number of ranks.
        seed: for a rank that has no state there, because the run had fewer ranks; it should differ from
            checkpoint to checkpoint, or such a rank would draw what it has drawn before.
    """
    if fabric.global_rank >= len(states["cpu"]):
        seed_rank(fabric, seed)
    if fabric.global_rank < len(states["cpu"]):
        # copies: torch 2.11 crashes if the state is a view that does not begin at the start of its storage
        torch.set_rng_state(states["cpu"][fabric.global_rank].clone())
    if "cuda" in states and fabric.device.type == "cuda" and fabric.global_rank < len(states["cuda"]):
        torch.cuda.set_rng_state(states["cuda"][fabric.global_rank].clone(), fabric.device)

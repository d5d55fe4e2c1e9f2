"""The training loop: one for every modality, device and number of processes.

    run folder/  config.json  latest.ckpt  best.safetensors  log.csv  events.out.tfevents.*

Lightning's Fabric places model and batches and averages gradients over processes; the loop is below.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from tqdm import tqdm

from common.data.batching import Batch, BatchLoader
from common.training.checkpoint import random_states, read_checkpoint, restore_random_states, write_checkpoint
from common.training.log import RunLog
from common.training.optimisation import TrainingConfig, build_optimizer, learning_rate

log = logging.getLogger(__name__)


class Trainable(Protocol):
    """What the loop trains, an nn.Module: a recognizer, or a language model.

    Attributes:
        card: facts about the model, kept in its file.
        carried: tensors that go from one batch to the next, such as a state; checkpoints keep them.
    """

    card: dict[str, Any]
    carried: dict[str, Tensor]

    def losses(self, batch: Batch) -> tuple[Tensor, int]:
        """Return the sum of the losses of a batch, and how many targets cannot be reached."""

    def save(self, path: Path) -> None:
        """Write the model file."""


Measure = Callable[[Any, BatchLoader, Fabric], dict[str, tuple[float, float]]]
"""`(model, loader, fabric)` returns rates by name, each as errors and of how many; less is better, and the
first chooses the best model"""


class Data(NamedTuple):
    """Training and development batches of this process's rank."""

    train: BatchLoader
    dev: BatchLoader


@dataclass
class Progress:
    """Where a run is: everything beside weights and optimiser that a checkpoint holds."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: float = math.inf
    best_epoch: int = 0
    loss: float = 0.0
    gradient_norm: float = 0.0
    examples: int = 0
    updates: int = 0
    skipped: int = 0
    impossible: int = 0
    refused: int = 0
    seconds: float = 0.0
    rates: dict[str, float] = field(default_factory=dict)
    select: str = ""

    def next_epoch(self) -> None:
        """Start counting anew for the next epoch."""
        self.epoch, self.batch = self.epoch + 1, 0
        self.loss = self.gradient_norm = self.seconds = 0.0
        self.examples = self.updates = self.skipped = self.impossible = self.refused = 0


class TrainingModule(nn.Module):
    """The model and its loss in one forward pass, so that DDP sees all of it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch | None) -> tuple[Tensor, int]:
        """Return the sum of the losses, and how many targets cannot be reached (they count zero).

        A rank without a share of the batch passes None: zero, but DDP waits for every parameter's gradient.
        """
        if batch is None:
            return torch.stack([parameter.sum() for parameter in self.parameters()]).sum() * 0.0, 0
        return self.model.losses(batch)


class Trainer:
    """One run: the model, its average, the optimiser and where they are.

    Args:
        fabric: launched.
        model: to train, a Trainable.
        data: of this rank.
        config: of the training.
        run: folder for checkpoints and logs.
        measure: how the model is judged on the development data.
        show: `(model, epoch, writer)`, called after each epoch on rank 0 to log examples; or None.
    """

    def __init__(
        self,
        fabric: Fabric,
        model: Any,
        data: Data,
        config: TrainingConfig,
        run: Path,
        measure: Measure,
        show: Callable[[Any, int, Any], None] | None = None,
    ) -> None:
        self.fabric, self.model, self.data, self.config, self.run, self.measure, self.show = (
            fabric, model, data, config, run, measure, show,
        )  # fmt: skip
        module: nn.Module = TrainingModule(model)
        if fabric.device.type != "mps":
            module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.module, self.optimizer = fabric.setup(module, build_optimizer(module, config))
        self.average = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self.progress = Progress()
        self.steps = sum(len(data.train.plan(epoch)) for epoch in range(config.epochs))
        self._saved_at = time.monotonic()

    def fit(self) -> Progress:
        """Train to the end, or until patience is lost; return where the run ended."""
        first = self.fabric.is_global_zero
        run_log = RunLog(self.run, self.progress.epoch, self.progress.step) if first else None
        while self.progress.epoch < self.config.epochs:
            self._epoch()
            self._evaluate()
            if run_log is not None:
                self._report(run_log)
            lost = (
                self.config.patience
                and self.progress.epoch - self.progress.best_epoch >= self.config.patience
            )
            self.progress.next_epoch()
            self.save_checkpoint()
            if lost:
                log.info(
                    "no better dev %s for %d epochs: stopped",
                    rate_name(self.progress.select),
                    self.config.patience,
                )
                break
        if run_log is not None:
            run_log.close()
        return self.progress

    def _epoch(self) -> None:
        progress, loader = self.progress, self.data.train
        self.module.train()
        batches = len(loader.plan(progress.epoch))
        bar = tqdm(
            loader.batches(progress.epoch, progress.batch),
            desc=f"epoch {progress.epoch + 1}/{self.config.epochs}",
            initial=progress.batch,
            total=batches,
            unit="batch",
            disable=None if self.fabric.is_global_zero else True,
        )
        began = time.monotonic() - progress.seconds
        for batch in bar:
            self._step(batch)
            progress.seconds = time.monotonic() - began
            bar.set_postfix(
                loss=f"{progress.loss / max(1, progress.updates):.2f}",
                per_s=f"{progress.examples / progress.seconds:.1f}",
                **{rate_name(name): written_rate(name, rate) for name, rate in progress.rates.items()},
            )
            if time.monotonic() - self._saved_at > 60 * self.config.checkpoint_minutes:
                self.save_checkpoint()
        if not progress.examples:
            raise ValueError("none of the examples to train on could be used; each is named above")

    def _step(self, batch: Batch) -> None:
        """Make one update. A loss or gradient that is not finite makes none; it is reported and counted."""
        progress, config = self.progress, self.config
        rate = learning_rate(config, progress.step, self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        total, impossible = self._loss(batch)
        # mean over the utterances of all ranks: DDP divides the sum of the ranks' gradients by their number
        loss = total * self.fabric.world_size / max(1, batch.planned)
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        clipped: Any = self.fabric.clip_gradients(
            self.module, self.optimizer, max_norm=config.clip_norm, error_if_nonfinite=False
        )
        norm = float(clipped)
        counts = [float(loss.detach()) / self.fabric.world_size, impossible, len(batch.refused)]
        mean_loss, unspelled, unread = self._over_ranks(counts)
        progress.batch, progress.step = progress.batch + 1, progress.step + 1
        progress.examples += batch.planned - int(unread)
        progress.impossible += int(unspelled)
        progress.refused += int(unread)
        if not (math.isfinite(norm) and math.isfinite(mean_loss)):
            progress.skipped += 1
            log.error(
                "epoch %d batch %d: loss %s, gradient norm %s: no update made; the batch is %s",
                progress.epoch + 1, progress.batch, mean_loss, norm, ", ".join(batch.sources),
            )  # fmt: skip
            return
        self.optimizer.step()
        progress.loss += mean_loss
        progress.gradient_norm += norm
        progress.updates += 1
        self._update_average()

    def _loss(self, batch: Batch) -> tuple[Tensor, int]:
        if not batch.indices:
            return self.module(None)
        signals, lengths, targets, target_lengths = self.fabric.to_device(
            (batch.signals, batch.lengths, batch.targets, batch.target_lengths)
        )
        placed = batch._replace(
            signals=signals, lengths=lengths, targets=targets, target_lengths=target_lengths
        )
        return self.module(placed)

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = (
            min(self.config.ema, (1 + self.progress.step) / (10 + self.progress.step))
            if self.config.ema
            else 0.0
        )
        for name, value in self.model.state_dict().items():
            self.average[name].lerp_(value.to(self.average[name].dtype), 1 - decay)

    def _averaged(self) -> "_Swapped":
        return _Swapped(self.model, self.average)

    def _evaluate(self) -> None:
        """Measure the averaged weights on dev over all ranks; keep the best model."""
        progress = self.progress
        with self._averaged():
            measured = self.measure(self.model, self.data.dev, self.fabric)
            summed = self._over_ranks([number for pair in measured.values() for number in pair])
            pairs = dict(zip(measured, zip(summed[::2], summed[1::2], strict=True), strict=True))
            if not any(of for _, of in pairs.values()):
                raise ValueError("none of the examples to measure on could be read; each is named above")
            progress.rates = {name: errors / max(1.0, of) for name, (errors, of) in pairs.items()}
            select: str = self.config.select or next(iter(pairs))
            if select not in pairs:
                raise ValueError(f"--select {select}: this task is measured by {' and '.join(pairs)}")
            progress.select = select
            if progress.rates[select] < progress.best:
                progress.best, progress.best_epoch = progress.rates[select], progress.epoch
                if self.fabric.is_global_zero:
                    self.model.card["dev"] = dict(progress.rates)
                    self.model.card["epoch"] = progress.epoch + 1
                    self.model.card["updates"] = progress.step
                    self.model.save(self.run / "best.safetensors")

    def _over_ranks(self, values: Sequence[float]) -> list[float]:
        summed: Any = self.fabric.all_reduce(torch.tensor(values, dtype=torch.float64), reduce_op="sum")
        return summed.tolist()

    def save_checkpoint(self) -> None:
        """Write latest.ckpt: all that is needed to go on exactly from here."""
        self._saved_at = time.monotonic()
        states = random_states(self.fabric)
        if not self.fabric.is_global_zero:
            return
        checkpoint = {
            "model": self.model.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
            "carried": self.model.carried,
            "random": states,
        }
        write_checkpoint(self.run / "latest.ckpt", checkpoint)

    def resume(self) -> None:
        """Go on from latest.ckpt: same weights, optimiser, place in the epoch and random state."""
        path = self.run / "latest.ckpt"
        if not path.exists():
            log.info("%s: no checkpoint yet, starting from the beginning", path)
            return
        checkpoint = read_checkpoint(path)
        self.model.load_state_dict(checkpoint["model"])
        for name, value in checkpoint["average"].items():
            self.average[name].copy_(value)
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.progress = Progress(**checkpoint["progress"])
        self.model.carried = {
            name: value.to(self.fabric.device) for name, value in checkpoint.get("carried", {}).items()
        }
        restore_random_states(self.fabric, checkpoint["random"])

    def _report(self, run_log: RunLog) -> None:
        progress, updates = self.progress, self.progress.updates or math.nan
        row: dict[str, Any] = {
            "epoch": progress.epoch + 1,
            "step": progress.step,
            "loss": progress.loss / updates,
            "gradient_norm": progress.gradient_norm / updates,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            **{f"dev_{name}": rate for name, rate in progress.rates.items()},
            "examples": progress.examples,
            "examples_per_s": progress.examples / max(1e-9, progress.seconds),
            "seconds": progress.seconds,
            "skipped_updates": progress.skipped,
            "impossible_targets": progress.impossible,
            "refused_examples": progress.refused,
        }
        run_log.add(row)
        if self.show is not None:
            with self._averaged():
                self.show(self.model, progress.epoch, run_log.events)
        trouble = (progress.skipped, progress.impossible, progress.refused)
        log.info(
            "epoch %d  loss %.3f  dev %s  gradient norm %.2f  %.1f examples/s%s",
            row["epoch"],
            row["loss"],
            "  ".join(
                f"{rate_name(name)} {written_rate(name, rate)}" for name, rate in progress.rates.items()
            ),
            row["gradient_norm"],
            row["examples_per_s"],
            "  ({} updates skipped, {} targets too long, {} unread)".format(*trouble) if any(trouble) else "",
        )


def rate_name(name: str) -> str:
    """Return a rate's name for people: CER, frame error rate, bits per character."""
    return name.upper() if len(name) == 3 else name.replace("_", " ")


def written_rate(name: str, rate: float) -> str:
    """Return a rate for people: errors in percent, bits as they are."""
    return f"{rate:.3f}" if name.startswith("bits_per_") else f"{100 * rate:.2f} %"


class _Swapped:
    """Within the block the model has the averaged weights."""

    def __init__(self, model: nn.Module, average: dict[str, Tensor]) -> None:
        self.model, self.average = model, average

    def __enter__(self) -> None:
        self.kept = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        self.model.eval()

    def __exit__(self, *exception: object) -> None:
        self.model.load_state_dict(self.kept)
        self.model.train()

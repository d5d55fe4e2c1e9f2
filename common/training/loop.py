"""The training loop, the same for every modality, device and number of processes.

    for each epoch      for each batch: loss, gradients, clipping, update, average     Trainer._epoch, _step
                        dev error rates of the averaged weights; the best are saved    Trainer._evaluate
                        log.csv, TensorBoard, one line for people                      Trainer._report
                        latest.ckpt                                                    Trainer.save_checkpoint

Lightning's Fabric places the model and the batches on devices and averages gradients over processes.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from tqdm import tqdm

from common.data.batching import Batch, BatchLoader, HostSizes, parts_of
from common.training.checkpoint import (
    Progress,
    carried_by_all,
    check_fingerprints,
    random_states,
    read_checkpoint,
    restore_random_states,
    share_of_carried,
    write_checkpoint,
)
from common.training.configuration import TrainingConfig
from common.training.evaluation import WRITTEN
from common.training.log import RunLog, epoch_line, epoch_row, rate_name, written_rate
from common.training.optimisation import (
    build_optimizer,
    has_half_layers,
    learning_rate,
    on_rank_zero,
    set_learning_rate,
    sum_over_ranks,
)
from common.training.ranks.notice import Notice, StoppedError, heeded
from common.training.ranks.pace import Clock, Pace, name_slow_readers, paces_line, paces_of_all, write_paces
from common.training.updates.average import WeightAverage
from common.training.updates.scale import LOWEST, LossScale
from common.training.updates.step import Outcome, Pending, Updates, read_outcomes

log = logging.getLogger(__name__)


class Trainable(Protocol):
    """An nn.Module that the loop can train, such as a recognizer or a language model.

    Attributes:
        card: facts about the model, which its file keeps.
        carried: tensors (N, B, ...) that go from one batch of B rows to the next, such as a state; they are
            kept in checkpoints.
    """

    card: dict[str, Any]
    carried: dict[str, Tensor]

    def losses(self, batch: Batch) -> tuple[Tensor, int]:
        """Return the sum of the losses of a batch, and the number of targets that no output can reach."""

    def save(self, path: Path) -> None:
        """Write the model file."""


Measure = Callable[[Any, BatchLoader, Fabric], dict[str, tuple[float, float]]]
"""`(model, loader, fabric)` returns error rates by name, each as (errors, reference count); lower is better.
The first one chooses the best model, unless `TrainingConfig.select` names another. The key WRITTEN has no
error rate."""
READ_EVERY = 20
"""updates on a GPU after which the host reads what became of them; the GPU does not wait for it before"""
SILENCE = 0.1
"""a model is silent while it writes less than this share of the references"""


class Data(NamedTuple):
    """The training and development batches of this process's rank.

    fingerprints: descriptions of what must be the same when a run is resumed, by its name.
    close: ends the processes that read.
    divisible: whether a rank may compute its share of a batch in parts: no row depends on another one, or on
        the batch before.
    """

    train: BatchLoader
    dev: BatchLoader
    fingerprints: Mapping[str, str] = {}
    close: Callable[[], None] = lambda: None
    divisible: bool = False


class TrainingModule(nn.Module):
    """The model and its loss in one forward pass, because DDP has to see all of it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch | None) -> tuple[Tensor, int]:
        """Return the sum of the losses and the number of unreachable targets, whose loss is zero.

        A rank that has no example of the batch passes None. Its loss is zero, but it depends on every
        parameter, because DDP waits for the gradients of all of them.
        """
        if batch is None:
            return torch.stack([parameter.sum() for parameter in self.parameters()]).sum() * 0.0, 0
        return self.model.losses(batch)


class Trainer:
    """One run: the model, the average of its weights, the optimiser, and the place in the schedule.

    Args:
        fabric: a launched Fabric.
        model: the model to train, a Trainable.
        data: the batches of this rank.
        config: the settings of the loop.
        run: the run folder.
        measure: returns the error rates of the model on the development data.
        show: `(model, epoch, writer)` writes examples to TensorBoard after each epoch, on rank 0; or None.
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
        self.average = WeightAverage(model, config.ema)
        self.scale = LossScale(fabric.device) if has_half_layers(fabric) else None
        self.updates = Updates(
            fabric, self.module, self.optimizer, self.average, config.clip_norm, self.scale
        )
        self.read_every = 1 if fabric.device.type == "cpu" else READ_EVERY
        self._pending: list[Pending] = []
        self.progress = Progress()
        self.notice, self._stopping = Notice(), False
        self._paces: list[Pace] = []
        self.steps = self._planned_steps()
        self._saved_at = time.monotonic()
        self._log: RunLog | None = None

    def _planned_steps(self) -> int:
        """Return the number of updates of the whole run."""
        return sum(len(self.data.train.plan(epoch)) for epoch in range(self.config.epochs))

    def fit(self) -> Progress:
        """Train to the last epoch, or until patience runs out; return the final progress.

        Raises:
            StoppedError: on all ranks, after a checkpoint: a rank was given notice by a signal.
        """
        with heeded(self.notice):
            return self._fit()

    def _fit(self) -> Progress:
        progress = self.progress
        on_rank_zero(self.fabric, self._open_log)
        self._settle_buckets()
        while progress.epoch < self.config.epochs:
            if self.config.patience and progress.waited >= self.config.patience:
                name = rate_name(progress.select)
                log.info("no better dev %s for %d epochs: stopped", name, progress.waited)
                break
            self._epoch()
            if self._stopping:
                log.info("stopped by a signal after update %d; go on with --resume", progress.step)
                raise StoppedError
            self._evaluate()
            on_rank_zero(self.fabric, self._report)
            progress.next_epoch()
            self.save_checkpoint()
        if self._log is not None:
            self._log.close()
        return progress

    def _settle_buckets(self) -> None:
        """Let several ranks add their gradients in the same order in every run, also in a resumed one.

        DDP adds gradients in buckets, which it orders anew after its first backward pass. Without this pass,
        a resumed run would have the first order once more, and its sums would differ in the last digit.
        """
        if self.fabric.world_size > 1:
            nothing, _ = self.module(None)
            self.fabric.backward(nothing)
            self.optimizer.zero_grad()

    def _open_log(self) -> None:
        self._log = RunLog(self.run, self.progress.epoch, self.progress.step)

    def _epoch(self) -> None:
        """Train on the batches of the epoch that are left."""
        progress, loader, clock, examples = self.progress, self.data.train, Clock(), 0
        self.module.train()
        batches = len(loader.plan(progress.epoch))
        bar = tqdm(
            clock.timed(loader.batches(progress.epoch, progress.batch)),
            desc=f"epoch {progress.epoch + 1}/{self.config.epochs}",
            initial=progress.batch,
            total=batches,
            unit="batch",
            disable=None if self.fabric.is_global_zero else True,
        )
        began = time.monotonic() - progress.seconds
        for batch in bar:
            due = self._step(batch)
            examples += len(batch.indices)
            progress.seconds = time.monotonic() - began
            bar.set_postfix(
                loss=f"{progress.loss / max(1, progress.updates):.2f}",
                per_s=f"{progress.examples / progress.seconds:.1f}",
                **{rate_name(name): written_rate(name, rate) for name, rate in progress.rates.items()},
            )
            if due:
                self.save_checkpoint()
            if self._stopping:
                bar.close()
                return
        if self._count():
            self.save_checkpoint()
        self._paces = paces_of_all(self.fabric, clock.pace(self.fabric.global_rank, examples))
        if not progress.examples:
            raise ValueError("none of the examples to train on could be used; each is named above")

    def _step(self, batch: Batch) -> bool:
        """Make one update, or none if its loss or gradient is not finite.

        Returns:
            Whether a checkpoint is due.
        """
        progress = self.progress
        rate = learning_rate(self.config, progress.step, self.steps)
        set_learning_rate(self.optimizer, rate, frozen=progress.epoch < self.config.freeze_epochs)
        parts, impossible = parts_of(batch, self._parts()), list[int]()
        progress.batch, progress.step = progress.batch + 1, progress.step + 1
        outcome = self.updates.make(self._totals(parts, impossible), batch.planned, progress.step)
        refused, sources = len(batch.refused), batch.sources
        self._pending.append(
            Pending(outcome, progress.batch, batch.planned, sum(impossible), refused, sources)
        )
        return len(self._pending) >= self.read_every and self._count()

    def _count(self) -> bool:
        """Read what became of the last updates, count it, and name the batches that gave none.

        Returns:
            Whether a checkpoint is due. Rank 0 decides: all ranks take part in a checkpoint, and each has its
            own clock. It is due, too, if a rank has notice of the end of the run.
        """
        progress, pending = self.progress, self._pending
        outcomes, self._pending = read_outcomes(pending), []
        late = time.monotonic() - self._saved_at > 60 * self.config.checkpoint_minutes
        counts = [
            sum(one.impossible for one in pending),
            sum(one.refused for one in pending),
            late and self.fabric.is_global_zero,
            self.notice.came,
        ]
        impossible, refused, due, noticed = sum_over_ranks(self.fabric, counts)
        self._stopping = bool(noticed)
        progress.examples += sum(one.planned for one in pending) - int(refused)
        progress.impossible += int(impossible)
        progress.refused += int(refused)
        for outcome in outcomes:
            if outcome.made:
                progress.loss += outcome.loss
                progress.gradient_norm += outcome.norm
                progress.updates += 1
            elif math.isfinite(outcome.loss) and outcome.scale > LOWEST:
                log.debug("epoch %d batch %d: the scale of the loss was too high", *self._place(outcome))
            else:
                progress.skipped += 1
                log.error(
                    "epoch %d batch %d: loss %s, gradient norm %s: no update made; the batch is %s",
                    *self._place(outcome), outcome.loss, outcome.norm, ", ".join(outcome.pending.sources),
                )  # fmt: skip
        return bool(due or noticed)

    def _place(self, outcome: Outcome) -> tuple[int, int]:
        """Return the epoch and the batch of an update, counted from 1."""
        return self.progress.epoch + 1, outcome.pending.batch

    def _parts(self) -> int:
        """Return in how many parts a rank computes its share of a batch, so that each is within its budget.

        These are more than one if the batches are planned for more devices than there are ranks.
        """
        return -(-self.data.train.shares // self.fabric.world_size) if self.data.divisible else 1

    def _totals(self, parts: Sequence[Batch], impossible: list[int]) -> Iterator[Tensor]:
        """Yield the sum of the losses of each part, and append its number of unreachable targets.

        The caller differentiates each one before it asks for the next. DDP adds the gradients of all ranks
        in the last part only.
        """
        for number, part in enumerate(parts, start=1):
            with self.fabric.no_backward_sync(self.module, enabled=number < len(parts)):
                total, unreachable = self._loss(part)
                impossible.append(unreachable)
                yield total

    def _loss(self, batch: Batch) -> tuple[Tensor, int]:
        """Return what `TrainingModule.forward` returns for this rank's share of a batch."""
        if not batch.indices:
            return self.module(None)
        signals, lengths, targets, target_lengths = self.fabric.to_device(
            (batch.signals, batch.lengths, batch.targets, batch.target_lengths)
        )
        on_host = HostSizes(batch.lengths, batch.targets, batch.target_lengths)
        placed = batch._replace(
            signals=signals,
            lengths=lengths,
            targets=targets,
            target_lengths=target_lengths,
            on_host=on_host,
        )
        return self.module(placed)

    def _evaluate(self) -> None:
        """Measure the averaged weights on the dev data over all ranks, and save them if they are the best."""
        progress = self.progress
        with self.average.in_use():
            measured = self.measure(self.model, self.data.dev, self.fabric)
            summed = sum_over_ranks(self.fabric, [number for pair in measured.values() for number in pair])
            pairs = dict(zip(measured, zip(summed[::2], summed[1::2], strict=True), strict=True))
            written, wanted = pairs.pop(WRITTEN, (math.inf, 0.0))
            if not any(of for _, of in pairs.values()):
                raise ValueError(
                    "the development data have nothing to measure: all of their texts are empty, or none of"
                    " the examples could be read, each of which is named above"
                )
            progress.rates = {name: errors / max(1.0, of) for name, (errors, of) in pairs.items()}
            select: str = self.config.select or next(iter(pairs))
            if select not in pairs:
                raise ValueError(f"--select {select}: this task is measured by {' and '.join(pairs)}")
            progress.select = select
            if progress.judge(progress.rates[select], silent=written < SILENCE * wanted):
                on_rank_zero(self.fabric, self._save_best)

    def _save_best(self) -> None:
        """Write best.safetensors with the weights that were measured, and what was measured in its card."""
        self.model.card["dev"] = dict(self.progress.rates)
        self.model.card["epoch"] = self.progress.epoch + 1
        self.model.card["updates"] = self.progress.step
        self.model.save(self.run / "best.safetensors")

    def save_checkpoint(self) -> None:
        """Write latest.ckpt, from which `resume` continues exactly; every rank must call this."""
        self._saved_at = time.monotonic()
        states, carried = random_states(self.fabric), carried_by_all(self.fabric, self.model.carried)
        checkpoint = {
            "model": self.model.state_dict(),
            "average": self.average.weights,
            "optimizer": self.optimizer.state_dict(),
            "scale": None if self.scale is None else self.scale.state(),
            "progress": asdict(self.progress),
            "carried": carried,
            "shares": self.data.train.shares,
            "random": states,
            "fingerprints": dict(self.data.fingerprints),
            "precision": self.fabric._precision.precision,
        }
        on_rank_zero(self.fabric, lambda: write_checkpoint(self.run / "latest.ckpt", checkpoint))

    def resume(self) -> None:
        """Restore weights, optimiser, place in the epoch and random states from latest.ckpt.

        Raises:
            ValueError: the checkpoint is damaged, or is of other data or another model.
        """
        path = self.run / "latest.ckpt"
        checkpoint = on_rank_zero(self.fabric, lambda: read_checkpoint(path) if path.exists() else None)
        if checkpoint is None:
            log.info("%s: no checkpoint yet, starting from the beginning", path)
            return
        check_fingerprints(path, checkpoint.get("fingerprints", {}), self.data.fingerprints)
        precision = self.fabric._precision.precision
        if checkpoint.get("precision", precision) != precision:
            log.warning(
                "goes on in %s, and was computed in %s before: losses are no longer those of a run without a"
                " stop; --precision %s keeps them",
                precision,
                checkpoint["precision"],
                checkpoint["precision"],
            )
        try:
            self.model.load_state_dict(checkpoint["model"])
        except RuntimeError as error:
            raise ValueError(
                f"{path}: is of another model ({' '.join(str(error).split())});"
                " start anew in another run folder"
            ) from error
        self.average.load(checkpoint["average"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        if self.scale is not None and checkpoint.get("scale"):
            self.scale.load(checkpoint["scale"])
        kept = checkpoint["progress"]
        waiting = {"patience_best": kept["best"], "patience_epoch": kept["best_epoch"]}
        self.progress = Progress(**waiting | kept)  # checkpoints of older versions do not have the two
        self.model.carried = share_of_carried(self.fabric, checkpoint.get("carried", {}))
        restore_random_states(self.fabric, checkpoint["random"], self.config.seed + self.progress.step)
        self._keep_batches(checkpoint.get("shares", 1))  # an older version planned for one device

    def _keep_batches(self, shares: int) -> None:
        """Plan the batches for `shares` devices, as the run that is resumed has done."""
        if shares != self.fabric.world_size:
            log.info(
                "the batches stay those of %d devices, with which the run began; they are shared among %d",
                shares,
                self.fabric.world_size,
            )
        self.data.train.shares = shares
        self.steps = self._planned_steps()

    def _report(self) -> None:
        """Log the figures of the epoch and show examples."""
        assert self._log is not None, "rank 0 has a log"
        self._log.add(epoch_row(self.progress, self.optimizer.param_groups[0]["lr"]))
        if self.show is not None:
            with self.average.in_use():
                self.show(self.model, self.progress.epoch, self._log.events)
        line = epoch_line(self.progress)
        if len(self._paces) > 1:
            write_paces(self.run, self.progress.epoch + 1, self._paces)
            line += paces_line(self._paces)
        log.info(line)
        name_slow_readers(self._paces)

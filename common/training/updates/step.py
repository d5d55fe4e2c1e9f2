"""One update: gradients, clipping, the optimiser and the average, without waiting for the device.

    loss -> backward -> norm, finite or not -> AdamW -> average         all on the device
                                |
                                '-> outcomes, which the host reads after many updates at once

The host that reads a number of the device waits until all work before it is done, and the device is then idle
until the host has sent new work. So a bad update, whose loss or gradient is not finite, is not avoided by the
host: the fused AdamW leaves weights and moments as they are where `found_inf` is 1, as for torch's
GradScaler, and clips by `grad_scale`, by which it divides the gradients. That of mps ignores both in torch
2.11 (pytorch#186360): there the host reads each outcome and leaves bad updates out.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from common.training.updates.average import WeightAverage
from common.training.updates.scale import LossScale

GUARDED = ("cpu", "cuda")
"""devices whose fused AdamW heeds `grad_scale` and `found_inf`"""


class Pending(NamedTuple):
    """An update whose outcome is still on the device.

    outcome: (4,) float32: mean loss over all ranks, gradient norm, 1 if no update was made, the loss's scale.
    batch: the number of the batch in its epoch.
    planned: the number of examples of the batch over all ranks.
    impossible, refused: of this rank's share, how many no path can spell, and how many could not be read.
    sources: the names of this rank's share.
    """

    outcome: Tensor
    batch: int
    planned: int
    impossible: int
    refused: int
    sources: Sequence[str]


class Outcome(NamedTuple):
    """What became of an update: see `Pending`; `made`: whether the weights changed."""

    loss: float
    norm: float
    made: bool
    scale: float
    pending: Pending


class Updates:
    """Makes updates of a module.

    Args:
        fabric: a launched Fabric.
        module, optimizer: as Fabric has set them up; the optimiser is a fused AdamW.
        average: follows the weights.
        clip_norm: a gradient with a larger norm is scaled down to it (Pascanu et al. 2013).
        scale: of the loss, in half precision; or None.
    """

    def __init__(
        self,
        fabric: Fabric,
        module: nn.Module,
        optimizer: Any,
        average: WeightAverage,
        clip_norm: float,
        scale: LossScale | None = None,
    ) -> None:
        self.fabric, self.module, self.optimizer = fabric, module, optimizer
        self.average, self.clip_norm, self.scale = average, clip_norm, scale
        self.parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]

    def make(self, totals: Iterable[Tensor], planned: int, updates: int) -> Tensor:
        """Make an update, or none if the loss or a gradient is not finite; return the outcome of `Pending`.

        Args:
            totals: () sums of the losses of the parts of this rank's share of a batch, one or more. Each is
                differentiated before the next is asked for, so that one at a time is in memory; the ranks
                add their gradients with the last one.
            planned: the number of examples of the batch over all ranks.
            updates: the number of updates with this one.
        """
        # a mean over the examples of all ranks: DDP divides the sum of the ranks' gradients by their number
        ranks = self.fabric.world_size
        self.optimizer.zero_grad()
        losses = []
        for total in totals:
            loss = total * (ranks / max(1, planned))
            self.fabric.backward(loss if self.scale is None else loss * self.scale.value)
            losses.append(loss.detach().float())
        with torch.no_grad():
            mean: Any = torch.stack(losses).sum() / ranks
            if ranks > 1:
                mean = self.fabric.all_reduce(mean, reduce_op="sum")
            gradients = [one.grad for one in self.parameters if one.grad is not None]
            norm = torch.nn.utils.get_total_norm(gradients)
            scale = torch.ones_like(norm) if self.scale is None else self.scale.value
            unscaled = norm / scale
            bad = (~(torch.isfinite(norm) & torch.isfinite(mean))).float()
            divisor = scale * (unscaled / self.clip_norm).clamp(min=1.0)
            if norm.device.type in GUARDED:
                optimizer = getattr(self.optimizer, "optimizer", self.optimizer)
                optimizer.grad_scale, optimizer.found_inf = divisor, bad
                self.optimizer.step()
                self.average.update(updates, made=1.0 - bad)
            elif not bad:
                torch._foreach_div_(gradients, divisor)
                self.optimizer.step()
                self.average.update(updates)
            if self.scale is not None:
                self.scale.adapt(bad)
            return torch.stack([mean, unscaled, bad, scale])


def read_outcomes(pending: Sequence[Pending]) -> list[Outcome]:
    """Return the outcomes of updates, read from the device at once."""
    if not pending:
        return []
    rows = torch.stack([one.outcome for one in pending]).tolist()
    return [
        Outcome(loss, norm, not bad, scale, one)
        for (loss, norm, bad, scale), one in zip(rows, pending, strict=True)
    ]

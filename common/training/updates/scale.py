"""The factor of the loss that keeps small gradients from vanishing in half precision."""

import torch
from torch import Tensor

FIRST, LOWEST, HIGHEST = 2.0**10, 1.0, 2.0**24
GROWTH_UPDATES = 500
"""updates without an overflow after which the scale doubles"""


class LossScale:
    """A scale that halves after an overflow and doubles after many updates without one.

    All of it stays on the device, so that nothing waits. (Micikevicius et al. 2018, arXiv 1710.03740)

    Attributes:
        value: () float32, the scale.
        good: () float32, updates without an overflow since the scale was changed.
    """

    def __init__(self, device: torch.device) -> None:
        self.value = torch.tensor(FIRST, device=device)
        self.good = torch.tensor(0.0, device=device)

    def adapt(self, overflow: Tensor) -> None:
        """Change the scale after an update; `overflow` is () 1 if a gradient was not finite, else 0."""
        good = torch.where(overflow > 0, torch.zeros_like(self.good), self.good + 1)
        grown = good >= GROWTH_UPDATES
        scale = torch.where(overflow > 0, self.value * 0.5, torch.where(grown, self.value * 2, self.value))
        self.value = scale.clamp(LOWEST, HIGHEST)
        self.good = torch.where(grown, torch.zeros_like(good), good)

    def state(self) -> dict[str, float]:
        """Return what a checkpoint keeps."""
        return {"value": float(self.value), "good": float(self.good)}

    def load(self, state: dict[str, float]) -> None:
        """Restore what `state` returned."""
        self.value.fill_(state["value"])
        self.good.fill_(state["good"])

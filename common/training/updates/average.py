"""The average of a model's weights over its updates."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """An exponential moving average of a model's weights, which is evaluated and saved instead of them.

        average = d average + (1 - d) weights        d = min(decay, (1 + n) / (10 + n)) after n updates

    While n is small, d is small too, so that the random first weights are soon forgotten.

    Args:
        model: the model; its weights are the first average.
        decay: the highest d; with 0 the average is the weights of the last update.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay = model, decay
        self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, updates: int, made: Tensor | None = None) -> None:
        """Move the average towards the weights of the model.

        Args:
            updates: the number of updates so far.
            made: 1 if the last update was made and 0 if not, on the device of the weights, so that nothing
                waits for it; None: it was made.
        """
        decay = min(self.decay, (1 + updates) / (10 + updates)) if self.decay else 0.0
        now = self.model.state_dict()
        floats = [name for name, value in now.items() if value.is_floating_point()]
        averages = [self.weights[name] for name in floats]
        if made is None:
            torch._foreach_lerp_(averages, [now[name] for name in floats], 1 - decay)
        else:
            steps = torch._foreach_sub([now[name] for name in floats], averages)
            torch._foreach_mul_(steps, (1 - decay) * made)
            torch._foreach_add_(averages, steps)
        for name in now.keys() - set(floats):
            self.weights[name].copy_(now[name])  # a count, such as that of batch normalisation

    def load(self, weights: dict[str, Tensor]) -> None:
        """Set the average to `weights`, which were read from a checkpoint."""
        for name, value in weights.items():
            self.weights[name].copy_(value)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Give the model the averaged weights, in evaluation mode, until the `with` block ends."""
        kept = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.weights)
        self.model.eval()
        try:
            yield
        finally:
            self.model.load_state_dict(kept)
            self.model.train()

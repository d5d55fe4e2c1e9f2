"""How a model is trained: precision."""

import torch
from torch import Tensor, nn

from common.training.optimisation import TrainingConfig, build_fabric


class Probe(nn.Module):
    """Keeps what comes in, and what its linear layer makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)

    def forward(self, signals: Tensor) -> Tensor:
        self.came, self.made = signals, self.linear(signals)
        return self.made


def test_bfloat16_is_within_the_network_and_signals_enter_it_as_they_are():
    signals = torch.tensor([[1001.0], [0.1]])  # neither is a bfloat16
    probe = Probe()
    build_fabric(TrainingConfig(device="cpu", precision="bf16-mixed")).setup(probe)(signals)
    assert probe.made.dtype == torch.bfloat16
    assert probe.came.dtype == torch.float32 and probe.came.equal(signals)

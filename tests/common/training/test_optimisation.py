"""Precision of training, and the average of the weights."""

import pytest
import torch
from torch import Tensor, nn

from common.training.configuration import TrainingConfig
from common.training.optimisation import WeightAverage, build_fabric


class Probe(nn.Module):
    """A module that keeps its input and the output of its linear layer."""

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


def test_the_average_follows_its_equation_and_is_used_only_within_the_block():
    model = nn.Linear(1, 1, bias=False)
    values = [2.0, 5.0, -1.0]
    with torch.no_grad():
        model.weight.fill_(values[0])
        average, expected = WeightAverage(model, 0.15), values[0]
        for updates, value in enumerate(values[1:], 1):
            model.weight.fill_(value)
            average.update(updates)
            share = min(0.15, (1 + updates) / (10 + updates))
            expected = share * expected + (1 - share) * value
    with average.in_use():
        assert model.weight.item() == pytest.approx(expected, abs=1e-6) and not model.training
    assert model.weight.item() == values[-1] and model.training


def test_a_decay_of_0_averages_nothing():
    model = nn.Linear(1, 1, bias=False)
    average = WeightAverage(model, 0.0)
    with torch.no_grad():
        model.weight.fill_(3.0)
    average.update(1)
    assert average.weights["weight"].item() == 3.0

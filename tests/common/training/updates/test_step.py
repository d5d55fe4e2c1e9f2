import copy
import math

import pytest
import torch
from lightning.fabric import Fabric
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from common.training.configuration import TrainingConfig
from common.training.optimisation import build_optimizer
from common.training.updates import step as updates_step
from common.training.updates.average import WeightAverage
from common.training.updates.scale import FIRST, GROWTH_UPDATES, LOWEST, LossScale
from common.training.updates.step import Pending, Updates, read_outcomes

CLIP = 0.7
CONFIG = TrainingConfig(learning_rate=1e-2, weight_decay=0.05)


class Case:
    """A network with its updates, and batches of inputs and targets."""

    def __init__(self, scaled: bool = False, seed: int = 1) -> None:
        torch.manual_seed(seed)
        fabric = Fabric(accelerator="cpu", devices=1)
        self.model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
        self.module, self.optimizer = fabric.setup(self.model, build_optimizer(self.model, CONFIG))
        self.average = WeightAverage(self.model, 0.9)
        self.scale = LossScale(torch.device("cpu")) if scaled else None
        self.updates = Updates(fabric, self.module, self.optimizer, self.average, CLIP, self.scale)
        self.batches = [(torch.randn(6, 4), torch.randn(6, 2)) for _ in range(8)]

    def loss(self, number: int, factor: float = 1.0) -> torch.Tensor:
        inputs, targets = self.batches[number]
        return ((self.module(inputs) - targets) ** 2).sum() * factor

    def make(self, number: int, factor: float = 1.0) -> torch.Tensor:
        return self.updates.make([self.loss(number, factor)], 6, number + 1)

    def state(self) -> list[torch.Tensor]:
        """Return copies of the weights, their average, and the moments and counts of the optimiser."""
        moments = [
            value for state in self.optimizer.state_dict()["state"].values() for value in state.values()
        ]
        return copy.deepcopy([*self.model.state_dict().values(), *self.average.weights.values(), *moments])


def by_hand(case: Case, steps: int) -> list[torch.Tensor]:
    """Return the weights after AdamW with clipping, by its equations in float64 (Loshchilov, Hutter 2019)."""
    model = copy.deepcopy(case.model).double()
    moments = [(torch.zeros_like(one), torch.zeros_like(one)) for one in model.parameters()]
    for step in range(steps):
        inputs, targets = case.batches[step]
        loss = ((model(inputs.double()) - targets.double()) ** 2).sum() / 6
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        norm = math.sqrt(sum(float((one**2).sum()) for one in gradients))
        with torch.no_grad():
            for parameter, gradient, (first, second) in zip(
                model.parameters(), gradients, moments, strict=True
            ):
                g = gradient * min(1.0, CLIP / norm)
                first.mul_(0.9).add_(0.1 * g)
                second.mul_(0.98).add_(0.02 * g * g)
                decay = CONFIG.weight_decay if parameter.ndim > 1 else 0.0
                parameter.mul_(1 - CONFIG.learning_rate * decay)
                denominator = (second / (1 - 0.98 ** (step + 1))).sqrt() + 1e-8
                parameter.sub_(CONFIG.learning_rate * first / (1 - 0.9 ** (step + 1)) / denominator)
    return list(model.parameters())


@pytest.fixture(params=["guarded", "unguarded"])
def optimiser(request, monkeypatch):
    """Both kinds of devices: that of mps does not heed what the others do (pytorch#186360)."""
    if request.param == "unguarded":
        monkeypatch.setattr(updates_step, "GUARDED", ())
        ignored = property(lambda _: None, lambda _, value: None)
        for name in ("grad_scale", "found_inf"):
            monkeypatch.setattr(torch.optim.AdamW, name, ignored, raising=False)


@pytest.mark.usefixtures("optimiser")
@pytest.mark.parametrize("scaled", [False, True])
def test_updates_are_those_of_adamw_with_clipped_gradients_in_float64(scaled):
    case = Case(scaled)
    wanted = by_hand(case, 8)
    for number in range(8):
        case.make(number)
    for found, expected in zip(case.model.parameters(), wanted, strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("optimiser")
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_a_loss_that_is_no_number_changes_nothing_and_is_told_afterwards(factor, scaled):
    case, other = Case(scaled), Case(scaled)
    outcomes = []
    for number in range(6):
        before = case.state()
        outcome = case.make(number, factor if number == 3 else 1.0)
        outcomes.append(Pending(outcome, number, 6, 0, 0, [f"file {number}"]))
        if number == 3:
            for old, new in zip(before, case.state(), strict=True):
                torch.testing.assert_close(new, old, rtol=0, atol=0)
    read = read_outcomes(outcomes)
    assert [one.made for one in read] == [True, True, True, False, True, True]
    assert not math.isfinite(read[3].loss)
    assert read[3].pending.sources == ["file 3"]
    assert [one.pending.batch for one in read] == list(range(6))
    first = float(other.loss(0)) / 6
    assert read[0].loss == pytest.approx(first, rel=1e-5)


def test_the_average_follows_made_updates_as_it_does_without_a_flag():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    told, untold = WeightAverage(model, 0.9), WeightAverage(model, 0.9)
    for step in range(1, 5):
        with torch.no_grad():
            model.weight.add_(torch.randn(2, 3))
        told.update(step, made=torch.tensor(1.0))
        untold.update(step)
        torch.testing.assert_close(told.weights["weight"], untold.weights["weight"])
    kept = told.weights["weight"].clone()
    told.update(5, made=torch.tensor(0.0))
    torch.testing.assert_close(told.weights["weight"], kept, rtol=0, atol=0)


class Reads(TorchDispatchMode):
    """Counts how often the host reads a number of a tensor: what makes it wait for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        if function is torch.ops.aten._local_scalar_dense.default:
            self.count += 1
        return function(*arguments, **(keywords or {}))


def test_the_host_reads_nothing_while_it_makes_updates():
    """The optimiser on the CPU is left out: its kernel runs on the host."""
    case = Case(scaled=True)
    case.optimizer.optimizer.step = lambda closure=None: None
    with Reads() as reads:
        pending = [Pending(case.make(number), number, 6, 0, 0, []) for number in range(8)]
    assert reads.count == 0
    with Reads() as reads:
        float(torch.ones(()))
    assert reads.count == 1
    assert len(read_outcomes(pending)) == 8
    assert read_outcomes([]) == []


# --- the scale of the loss


def test_the_scale_halves_after_an_overflow_and_doubles_after_many_good_updates():
    scale = LossScale(torch.device("cpu"))
    scale.adapt(torch.tensor(1.0))
    assert float(scale.value) == FIRST / 2
    for _ in range(GROWTH_UPDATES - 1):
        scale.adapt(torch.tensor(0.0))
    assert float(scale.value) == FIRST / 2
    scale.adapt(torch.tensor(0.0))
    assert (float(scale.value), float(scale.good)) == (FIRST, 0)
    for _ in range(40):
        scale.adapt(torch.tensor(1.0))
    assert float(scale.value) == LOWEST


def test_a_scale_goes_on_where_it_was_stored():
    scale, again = LossScale(torch.device("cpu")), LossScale(torch.device("cpu"))
    scale.adapt(torch.tensor(1.0))
    scale.adapt(torch.tensor(0.0))
    again.load(scale.state())
    assert again.state() == scale.state() == {"value": FIRST / 2, "good": 1.0}


def test_small_gradients_survive_half_precision_with_the_scale():
    """A gradient of 1e-8 vanishes in float16, and not if the loss is scaled before."""
    weight = torch.tensor(1.0, requires_grad=True)
    for factor, wanted in ((1.0, 0.0), (FIRST, 1e-8)):
        weight.grad = None
        (weight.half() * 1e-4).float().mul(1e-4 * factor).backward()
        assert float(weight.grad) / factor == pytest.approx(wanted, rel=0.05)

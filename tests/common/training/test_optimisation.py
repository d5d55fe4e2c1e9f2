"""Precision of training, and the average of the weights."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from common.training.configuration import TrainingConfig
from common.training.optimisation import (
    build_fabric,
    build_optimizer,
    on_rank_zero,
    resolve_precision,
    seed_rank,
    set_learning_rate,
    sum_over_ranks,
)
from common.training.updates.average import WeightAverage


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


@pytest.mark.parametrize(("computes", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_a_gpu_that_only_emulates_bfloat16_trains_in_float32(
    monkeypatch: pytest.MonkeyPatch, computes: bool, precision: str
) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return computes or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert resolve_precision("auto", torch.device("cuda")) == precision


@pytest.mark.parametrize(
    ("amx", "avx512", "precision"),
    [
        (False, False, "32-true"),
        (False, True, "bf16-mixed"),
        (True, False, "bf16-mixed"),
        (True, True, "bf16-mixed"),
    ],
)
def test_a_processor_that_computes_bfloat16_trains_in_it(
    monkeypatch: pytest.MonkeyPatch, amx: bool, avx512: bool, precision: str
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    assert resolve_precision("auto", torch.device("cpu")) == precision
    assert resolve_precision("32-true", torch.device("cpu")) == "32-true"
    assert resolve_precision("auto", torch.device("mps")) == "32-true"


# --- ranks


class Rank:
    """The part of a Fabric that is asked here: rank 0 says to all whether it failed."""

    def __init__(self, rank: int, ranks: int, failed: list[bool]) -> None:
        self.global_rank, self.world_size, self.failed = rank, ranks, failed
        self.is_global_zero = rank == 0

    def broadcast(self, value: bool) -> bool:
        if self.is_global_zero:
            self.failed.append(value)
        return self.failed[-1]


def full() -> None:
    raise OSError("the disk is full")


def test_all_ranks_end_when_rank_0_cannot_write() -> None:
    said: list[bool] = []
    ranks: list[Any] = [Rank(0, 2, said), Rank(1, 2, said)]
    with pytest.raises(OSError, match="the disk is full"):
        on_rank_zero(ranks[0], full)
    with pytest.raises(SystemExit) as ended:
        on_rank_zero(ranks[1], full)
    assert ended.value.code == 1


def test_only_rank_0_works_and_all_go_on() -> None:
    said: list[bool] = []
    done: list[int] = []
    ranks: list[Any] = [Rank(rank, 3, said) for rank in range(3)]
    for rank in ranks:
        on_rank_zero(rank, lambda: done.append(1))
    assert done == [1]


def test_one_process_needs_no_float64_on_its_device() -> None:
    """The device of an Apple GPU has none, and a Fabric moves to it what is summed."""
    alone: Any = Rank(0, 1, [])  # it has no all_reduce
    assert sum_over_ranks(alone, [0.1, 3, True]) == [0.1, 3.0, 1.0]


def test_ranks_draw_different_numbers_and_rank_0_those_of_a_single_process() -> None:
    draws = []
    for rank in range(3):
        fabric: Any = Rank(rank, 3, [])
        torch.manual_seed(7)
        seed_rank(fabric, 7)
        draws.append(torch.rand(4))
    torch.manual_seed(7)
    assert draws[0].equal(torch.rand(4))
    assert not draws[1].equal(draws[0]) and not draws[2].equal(draws[0]) and not draws[2].equal(draws[1])


TORCHRUN = {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "4"}
SRUN = {"SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "4"}


@pytest.mark.parametrize(("program", "environment"), [("torchrun", TORCHRUN), ("srun", SRUN)])
@pytest.mark.parametrize(("devices", "nodes"), [(1, 1), (2, 1), (4, 2)])
def test_processes_that_would_train_alone_or_wait_for_ever_are_refused(
    program: str, environment: dict[str, str], devices: int, nodes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    said = (
        f"{program} has started 4 processes, and --devices {devices} --nodes {nodes} means {devices * nodes};"
    )
    with pytest.raises(ValueError, match=said):
        build_fabric(TrainingConfig(device="cpu", devices=devices, nodes=nodes))


def test_a_batch_script_of_slurm_may_train_in_its_own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The script has four tasks, and starts one run without srun."""
    monkeypatch.setenv("SLURM_NTASKS", "4")
    assert build_fabric(TrainingConfig(device="cpu")).world_size == 1


def test_frozen_parts_keep_their_weights_and_learn_afterwards() -> None:
    config = TrainingConfig(freeze_epochs=1, learning_rate=0.1)
    module = torch.nn.ModuleDict({"front_end": torch.nn.Linear(3, 3), "encoder": torch.nn.Linear(3, 3)})
    optimizer = build_optimizer(torch.nn.ModuleDict({"model": module}), config)
    first = {name: value.clone() for name, value in module.state_dict().items()}
    for frozen in (True, False):
        set_learning_rate(optimizer, 0.1, frozen)
        before = {name: value.clone() for name, value in module.state_dict().items()}
        module["encoder"](module["front_end"](torch.ones(2, 3))).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        moved = {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}
        assert moved == {name for name in first if not frozen or name.startswith("encoder")}


def test_without_frozen_epochs_the_groups_are_those_of_a_plain_run() -> None:
    module = torch.nn.ModuleDict({"front_end": torch.nn.Linear(3, 3)})
    assert len(build_optimizer(module, TrainingConfig()).param_groups) == 2


def test_a_model_without_a_front_end_has_nothing_to_freeze() -> None:
    with pytest.raises(ValueError, match="this model has no front end"):
        build_optimizer(torch.nn.Linear(2, 2), TrainingConfig(freeze_epochs=2))

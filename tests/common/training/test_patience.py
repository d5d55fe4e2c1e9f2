"""When a run stops early: a small model is trained, and what is measured of it is written by hand."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from common.data.batching import Batch
from common.training.checkpoint import Progress, read_checkpoint, write_checkpoint
from common.training.configuration import TrainingConfig
from common.training.evaluation import WRITTEN
from common.training.loop import Data, Trainer

BATCH = Batch(torch.ones(1, 1), torch.ones(1), torch.ones(1, 1), torch.ones(1), ["a"], [0], 1, [])


class Loader:
    """One batch an epoch."""

    shares = 1

    def plan(self, epoch: int) -> list[int]:
        return [0]

    def batches(self, epoch: int, start: int) -> list[Batch]:
        return [BATCH][start:]


class Model(nn.Module):
    """One weight."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)
        self.card: dict[str, Any] = {}
        self.carried: dict[str, Tensor] = {}

    def losses(self, batch: Batch) -> tuple[Tensor, int]:
        return self.linear(batch.signals).square().sum(), 0

    def save(self, path: Path) -> None:
        path.touch()


def trainer_of(
    run: Path, measured: list[tuple[float, float]], patience: int, fingerprints: dict[str, str] | None = None
) -> Trainer:
    """Return a Trainer that measures these (CER, share of the characters that are written), in percent."""
    coming = iter(measured)

    def measure(*_: object) -> dict[str, tuple[float, float]]:
        cer, written = next(coming)
        return {"cer": (cer, 100.0), WRITTEN: (written, 100.0)}

    fabric = Fabric(accelerator="cpu", devices=1)
    loader: Any = Loader()
    config = TrainingConfig(epochs=len(measured), patience=patience, device="cpu")
    run.mkdir(exist_ok=True)
    return Trainer(fabric, Model(), Data(loader, loader, fingerprints or {}), config, run, measure)


@pytest.mark.parametrize(
    ("measured", "epochs"),
    [
        # random texts, silence, then it writes, better and better
        ([(77, 60), (95, 12), (100, 0), (100, 0), (100, 0), (98, 5), (85, 30), (40, 95), (5, 99)], 9),
        # after silence, patience counts from what was best since then
        ([(77, 60), (100, 0), (100, 0), (90, 30), (91, 40), (92, 50), (1, 99), (0, 99)], 6),
        # no silence: as ever
        ([(50, 90), (40, 90), (41, 90), (40, 90), (1, 99)], 4),
    ],
)
def test_patience_does_not_count_epochs_in_which_nothing_is_written(
    measured: list[tuple[float, float]], epochs: int, tmp_path: Path
) -> None:
    progress = trainer_of(tmp_path / "run", measured, patience=2).fit()
    assert progress.epoch == epochs
    lowest = min(cer for cer, _ in measured[:epochs])
    assert progress.best == lowest / 100 and measured[progress.best_epoch][0] == lowest


def test_a_run_that_ran_out_of_patience_trains_no_further_when_resumed(tmp_path: Path) -> None:
    measured = [(50.0, 90.0), (60.0, 90.0), (60.0, 90.0), (1.0, 99.0)]
    first = trainer_of(tmp_path / "run", measured, patience=2)
    assert first.fit().epoch == 3
    for _ in range(2):
        again = trainer_of(tmp_path / "run", measured, patience=2)
        again.resume()
        assert again.fit().epoch == 3
    patient = trainer_of(tmp_path / "run", measured, patience=3)
    patient.resume()
    assert patient.fit().epoch == 4


def test_a_checkpoint_of_an_older_version_goes_on_with_its_patience(tmp_path: Path) -> None:
    path = tmp_path / "run" / "latest.ckpt"
    trainer_of(tmp_path / "run", [(50.0, 90.0), (60.0, 90.0)], patience=0).fit()
    checkpoint = read_checkpoint(path)
    for name in ("patience_best", "patience_epoch"):
        del checkpoint["progress"][name]
    del checkpoint["fingerprints"]
    write_checkpoint(path, checkpoint)
    again = trainer_of(tmp_path / "run", [(50.0, 90.0)] * 3, patience=4, fingerprints={"symbols": "2"})
    again.resume()
    assert again.progress.patience_best == 0.5 and again.progress.waited == 1


def test_a_run_that_goes_on_in_another_precision_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "run" / "latest.ckpt"
    trainer_of(tmp_path / "run", [(50.0, 90.0)], patience=0).fit()
    checkpoint = read_checkpoint(path)
    trainer_of(tmp_path / "run", [(50.0, 90.0)] * 2, patience=0).resume()
    assert not caplog.messages
    write_checkpoint(path, checkpoint | {"precision": "bf16-mixed"})
    trainer_of(tmp_path / "run", [(50.0, 90.0)] * 2, patience=0).resume()
    (said,) = caplog.messages
    assert said.startswith("goes on in 32-true, and was computed in bf16-mixed before")
    assert said.endswith("--precision bf16-mixed keeps them")


def test_a_run_is_resumed_only_with_what_it_was_trained_on(tmp_path: Path) -> None:
    before = {"training data": "2 lines, 1234", "symbols": "3 of them, abcd"}
    trainer_of(tmp_path / "run", [(50.0, 90.0)], 0, before).fit()
    kept = (tmp_path / "run" / "latest.ckpt").read_bytes()
    trainer_of(tmp_path / "run", [(50.0, 90.0)], 0, before).resume()
    other = trainer_of(tmp_path / "run", [(50.0, 90.0)], 0, before | {"symbols": "3 of them, 6789"})
    with pytest.raises(
        ValueError, match=r"with other symbols \(3 of them, abcd; now 3 of them, 6789\); bring"
    ):
        other.resume()
    assert (tmp_path / "run" / "latest.ckpt").read_bytes() == kept


def test_a_rate_that_is_no_number_is_never_the_best() -> None:
    progress = Progress()
    assert not progress.judge(math.nan, silent=False)
    assert progress.judge(0.5, silent=True)
    assert not progress.judge(0.5, silent=False)

"""The training loop resumes exactly, and skips what is not finite."""

import csv
import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import call
from PIL import Image, ImageDraw
from ranks import run_alone

from common.data.store import SignalStore
from common.network import heads
from common.training.configuration import TrainingConfig
from common.training.optimisation import learning_rate
from ocr.modality import OCR

TINY = ("--hidden-size", "16", "--layers", "1", "--channels", "4", "4", "8", "8", "--height-px", "16")
SCHEDULE = ("--batch-budget", "30", "--precision", "32-true", "--learning-rate", "5e-3")


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 40 small images of words of the letters a, b and c, with their texts."""
    folder = tmp_path_factory.mktemp("lines")
    rng = np.random.default_rng(0)
    for number in range(40):
        text = "".join(rng.choice(list("abc"), size=rng.integers(2, 7)))
        image = Image.new("L", (8 * len(text) + 12, 16), 255)
        ImageDraw.Draw(image).text((4, 2), text, fill=0)
        image.save(folder / f"{number:02}.png")
        (folder / f"{number:02}.gt.txt").write_text(text, encoding="utf-8")
    return folder


def arguments(lines: Path, run: Path, *more: str) -> list[str]:
    return ["train", str(lines), str(lines), "--run", str(run), *TINY, *SCHEDULE, "--device", "cpu", *more]


def train(command: list[str]) -> str:
    """Train in this process, and return what is said."""
    outcome = call(OCR, *command)
    assert outcome.status == 0, outcome.err
    return outcome.err


def losses(run: Path) -> list[tuple[float, float, float]]:
    with (run / "log.csv").open(encoding="utf-8") as file:
        return [
            (float(row["loss"]), float(row["gradient_norm"]), float(row["dev_cer"]))
            for row in csv.DictReader(file)
        ]


@pytest.mark.training
@pytest.mark.slow
def test_a_run_killed_anywhere_and_resumed_has_the_loss_curve_of_one_that_was_not(
    lines: Path, tmp_path: Path
) -> None:
    """Dropout and augmentation are on, and a checkpoint is written after every update.

    One run has two workers and is killed within its second epoch, the other has none and is killed while half
    of a signal is in the store; the run that is not killed has neither workers nor a store.
    """
    settings = ("--epochs", "3", "--checkpoint-minutes", "0", "--dropout", "0.2")
    train(arguments(lines, tmp_path / "whole", *settings, "--cache-gb", "0"))
    whole = losses(tmp_path / "whole")
    for name, fault, workers in (("two", "killed", "2"), ("none", "killed while it keeps a signal", "0")):
        killed = arguments(lines, tmp_path / name, *settings, "--workers", workers)
        ended = run_alone(OCR, killed, tmp_path, fault, torch.get_num_threads())
        assert ended.status == -signal.SIGKILL, ended.err
        assert (tmp_path / name / "log.csv").exists() == (name == "two")  # it is written after an epoch
        assert (tmp_path / name / "latest.ckpt").exists()
        assert list((tmp_path / name / "cache").rglob("*.signals"))
        train([*killed, "--resume"])
        assert losses(tmp_path / name) == whole
        assert not (tmp_path / name / "cache").exists()


@pytest.mark.training
def test_a_store_that_is_named_is_used_by_the_next_run_and_changes_no_loss(
    lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every line is both trained on and measured on, and is read from its file once."""
    kept: list[str] = []
    keep = SignalStore.keep

    def noted(store: SignalStore, source: str, *more: Any) -> Any:
        kept.append(source)
        return keep(store, source, *more)

    monkeypatch.setattr(SignalStore, "keep", noted)
    settings = ("--epochs", "1", "--cache", str(tmp_path / "kept"))
    for name in ("first", "second"):
        train(arguments(lines, tmp_path / name, *settings))
        assert sorted(kept) == sorted(map(str, lines.glob("*.png")))
    assert losses(tmp_path / "first") == losses(tmp_path / "second")


@pytest.mark.training
def test_a_loss_that_is_not_finite_names_the_batch_and_leaves_the_weights_alone(
    lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, calls = heads.ctc_losses, []

    def poisoned(*arguments: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return honest(*arguments) * (float("nan") if len(calls) == 2 else 1.0)

    monkeypatch.setattr(heads, "ctc_losses", poisoned)
    said = train(arguments(lines, tmp_path / "run", "--epochs", "2"))
    row = next(csv.DictReader((tmp_path / "run" / "log.csv").open(encoding="utf-8")))
    assert row["skipped_updates"] == "1"
    assert np.isfinite(float(row["loss"]))
    assert "no update made" in said and ".png" in said
    checkpoint = torch.load(tmp_path / "run" / "latest.ckpt", weights_only=True)
    assert all(value.isfinite().all() for value in checkpoint["model"].values())


def test_the_configuration_and_the_figures_of_a_run_stay_in_its_folder(lines: Path, tmp_path: Path) -> None:
    train(arguments(lines, tmp_path / "run", "--epochs", "1"))
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"config.json", "latest.ckpt", "best.safetensors", "log.csv", "refused.txt"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    config = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    assert config["training"]["epochs"] == 1 and config["encoder"]["hidden_size"] == 16


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle", "constant"])
def test_the_learning_rate_rises_to_its_peak_and_never_above(schedule: str) -> None:
    config = TrainingConfig(learning_rate=1.0, schedule=schedule, warmup_steps=10)  # type: ignore[arg-type]
    rates = [learning_rate(config, step, 100) for step in range(100)]
    assert rates[0] <= 0.1 and max(rates) == pytest.approx(1.0)
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] == (1.0 if schedule == "constant" else pytest.approx(0.01, abs=0.01))

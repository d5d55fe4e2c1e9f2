"""The log of a run: what is written for each epoch."""

import csv
from pathlib import Path

from common.training.checkpoint import Progress
from common.training.log import RunLog, epoch_line, epoch_row

EPOCH = Progress(
    epoch=2, step=12, loss=30.0, gradient_norm=8.0, updates=4, examples=40, seconds=5.0,
    rates={"cer": 0.0525, "frame_error_rate": 0.5, "bits_per_character": 1.25},
)  # fmt: skip


def test_the_line_of_an_epoch_has_means_over_updates_and_rates_with_units():
    assert epoch_line(EPOCH) == (
        "epoch 3  loss 7.500  dev CER 5.25 %  frame error rate 50.00 %  bits per character 1.250"
        "  gradient norm 2.00  8.0 examples/s"
    )


def test_the_line_of_an_epoch_counts_what_went_wrong():
    line = epoch_line(Progress(updates=1, skipped=1, refused=2, seconds=1.0))
    assert line.endswith("  (1 updates skipped, 0 targets too long, 2 unread)")


def test_rows_after_the_last_checkpoint_are_dropped_when_a_run_resumes(tmp_path: Path):
    log = RunLog(tmp_path, 0, 0)
    for epoch in range(3):
        log.add(epoch_row(Progress(epoch=epoch, step=epoch, updates=1, seconds=1.0), 0.1))
    log.close()
    RunLog(tmp_path, 2, 2).close()
    with (tmp_path / "log.csv").open(encoding="utf-8") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]

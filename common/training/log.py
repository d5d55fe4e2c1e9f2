"""The log of a run: one row of log.csv and one line of text for each epoch, and TensorBoard's events."""

import csv
import math
from pathlib import Path
from typing import Any

from common.training.checkpoint import Progress


class RunLog:
    """Writes the figures of each epoch into the run folder.

    Args:
        run: the run folder.
        epochs: finished epochs; rows that were logged after them, and after the last checkpoint, are dropped.
        step: the last update of those epochs.
    """

    def __init__(self, run: Path, epochs: int, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow to import, and only rank 0 needs it

        self.path = run / "log.csv"
        self.events = SummaryWriter(str(run), purge_step=step + 1)
        if self.path.exists():
            rows = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
            self.path.write_text("".join(rows[: 1 + epochs]), encoding="utf-8")

    def add(self, row: dict[str, Any]) -> None:
        """Append one row as `epoch_row` returns it."""
        fresh = not self.path.exists() or self.path.stat().st_size == 0
        with self.path.open("a", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(row))
            if fresh:
                table.writeheader()
            table.writerow(row)
        for name in row.keys() - {"epoch", "step"}:
            self.events.add_scalar(name, row[name], row["step"])
        self.events.flush()

    def close(self) -> None:
        """Finish TensorBoard's file."""
        self.events.close()


def epoch_row(progress: Progress, learning_rate: float) -> dict[str, Any]:
    """Return the figures of an epoch for log.csv; loss and gradient norm are means over its updates."""
    updates = progress.updates or math.nan
    return {
        "epoch": progress.epoch + 1,
        "step": progress.step,
        "loss": progress.loss / updates,
        "gradient_norm": progress.gradient_norm / updates,
        "learning_rate": learning_rate,
        **{f"dev_{name}": rate for name, rate in progress.rates.items()},
        "examples": progress.examples,
        "examples_per_s": progress.examples / max(1e-9, progress.seconds),
        "seconds": progress.seconds,
        "skipped_updates": progress.skipped,
        "impossible_targets": progress.impossible,
        "refused_examples": progress.refused,
    }


def epoch_line(progress: Progress) -> str:
    """Return the figures of an epoch as one line for people."""
    updates = progress.updates or math.nan
    rates = [f"{rate_name(name)} {written_rate(name, rate)}" for name, rate in progress.rates.items()]
    line = (
        f"epoch {progress.epoch + 1}  loss {progress.loss / updates:.3f}  dev {'  '.join(rates)}"
        f"  gradient norm {progress.gradient_norm / updates:.2f}"
        f"  {progress.examples / max(1e-9, progress.seconds):.1f} examples/s"
    )
    if progress.skipped or progress.impossible or progress.refused:
        line += (
            f"  ({progress.skipped} updates skipped, {progress.impossible} targets too long,"
            f" {progress.refused} unread)"
        )
    return line


def rate_name(name: str) -> str:
    """Return the name of a rate for people: CER, frame error rate, bits per character."""
    return name.upper() if len(name) == 3 else name.replace("_", " ")


def written_rate(name: str, rate: float) -> str:
    """Return a rate for people: an error rate in percent, bits as a plain number."""
    return f"{rate:.3f}" if name.startswith("bits_per_") else f"{100 * rate:.2f} %"

"""The log of a run: a row of log.csv for each epoch, and TensorBoard's events."""

import csv
from pathlib import Path
from typing import Any


class RunLog:
    """Writes the figures of each epoch into the run folder.

    Args:
        run: the folder.
        epochs: finished before now; what was logged behind them, after the last checkpoint, is dropped.
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
        """Append the figures of an epoch, "epoch" and "step" among them."""
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

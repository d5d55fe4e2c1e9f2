"""Compare training with loading and the same training with all batches ready in memory."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from measurement import Run, prepare_lines, print_row, run_traced, use_cores

from common.command_line.flag import Positional
from common.command_line.parser import parse


@dataclass(frozen=True)
class Loader:
    """Measure the cost of reading and augmenting in training."""

    lines: Positional[Path | None] = None
    """Folder of NAME.png and NAME.gt.txt to train on; by default lines of 48 x 900 px are drawn."""
    count: int = 255
    """Number of lines of one epoch."""
    epochs: int = 2
    """Number of epochs; the first reads files, the others what the first has kept."""
    workers: tuple[int, ...] = (0, 1, 2)
    """Numbers of processes that read ahead; 0 is reading inline."""
    cores: int = 2
    """Number of cores of the machine that are used."""


def measure(options: Loader, folder: Path) -> Iterator[tuple[str, Run]]:
    """Yield each way to load."""
    train, dev = prepare_lines(options.lines, folder, options.count)
    command = ["ocr", "train", str(train), str(dev), "--epochs", str(options.epochs)]
    yield "batches ready in memory", run_traced([*command, "--run", f"{folder}/ready"], hold=True)
    for workers in options.workers:
        flags = ["--workers", str(workers), "--run", f"{folder}/workers-{workers}"]
        yield f"--workers {workers}", run_traced([*command, *flags])


def main() -> None:
    """Measure and print a table."""
    options = parse(Loader)
    use_cores(options.cores)
    head = ["ratio, epoch 1", "epoch 2", "lines/s, epoch 1", "epoch 2", "peak GB", "others"]
    head.append("loading (ratio to the first)")
    print_row(head, head)
    ready = None
    with tempfile.TemporaryDirectory() as folder:
        for name, run in measure(options, Path(folder)):
            ready = ready or run
            ratios = [f"{run.rate(epoch) / ready.rate(epoch):.2f}" for epoch in (0, 1)]
            rates = [f"{run.rate(epoch):.1f}" for epoch in (0, 1)]
            print_row(head, [*ratios, *rates, f"{run.peak_bytes / 1e9:.2f}", f"{run.others:.0%}", name])
            peaks = [f"{run.peak_bytes_in(epoch) / 1e9:.3f}" for epoch in range(options.epochs)]
            print("  peak GB by epoch:", *peaks, flush=True)


if __name__ == "__main__":
    main()

"""Compare lines/s in training of our default network and kraken's, from reading a line to the update."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from measurement import Run, prepare_lines, print_row, run_traced, use_cores

from common.command_line.flag import Positional
from common.command_line.parser import parse

BFLOAT16 = ["--precision", "bf16-mixed"]


@dataclass(frozen=True)
class TrainingSpeed:
    """Measure lines/s in training of ours and of kraken."""

    lines: Positional[Path | None] = None
    """Folder of NAME.png and NAME.gt.txt to train on; by default lines of 48 x 900 px are drawn."""
    count: int = 255
    """Number of lines of one epoch."""
    ketos: str = "ketos"
    """Path of kraken's training command, in any environment."""
    ketos_lines: int = 48
    """Number of lines, in kraken's random order, on which kraken is timed."""
    cores: int = 2
    """Number of cores of the machine that are used."""


def measure_ours(train: Path, dev: Path, precision: str, hold: bool) -> Run:
    """Run `ocr train` for two epochs; the first is the warm-up."""
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--run", folder, "--epochs", "2", "--precision", precision]
        return run_traced(["ocr", "train", str(train), str(dev), *flags], hold=hold)


def measure_kraken(ketos: Path, folder: Path, lines: int, flags: Sequence[str], batch_size: int) -> Run:
    """Run `ketos train` until `lines` lines or a few more; the validation would come after them."""
    with tempfile.TemporaryDirectory() as run:
        listed = Path(run, "dev.txt")
        listed.write_text("".join(f"{image}\n" for image in _images(folder / "dev")), encoding="utf-8")
        one_epoch = ["-f", "path", "-q", "fixed", "-N", "1", "-B", str(batch_size)]
        outputs = ["-o", f"{run}/model", "-e", str(listed)]
        command = ["ketos", *flags, "train", *one_epoch, *outputs, *_images(folder / "train")]
        updates = 1 + -(-lines // batch_size)  # the time before the first update is not measured
        return run_traced(command, ketos.with_name("python"), updates=updates, batch_size=batch_size)


def _images(folder: Path) -> list[str]:
    return [str(file) for file in sorted(folder.iterdir()) if file.suffix != ".txt"]


def measure(options: TrainingSpeed, ketos: str | None, folder: Path) -> Iterator[tuple[str, float, float]]:
    """Yield each measurement: name, lines/s, and the share of the cores that other programs used."""
    train, dev = prepare_lines(options.lines, folder, options.count)
    if ketos is None:
        print("kraken was not found; name its command with --ketos to compare with it")
    else:
        threads = ["--threads", str(options.cores)]
        for name, flags, batch_size in (
            (f"--threads {options.cores}", threads, 1),
            ("as it comes", [], 1),
            (f"--threads {options.cores} --precision bf16-mixed -B 16", [*threads, *BFLOAT16], 16),
        ):
            run = measure_kraken(Path(ketos), folder, options.ketos_lines, flags, batch_size)
            yield f"kraken, {name}", run.rate(), run.others
    for precision, name in (("bf16-mixed", "bfloat16"), ("32-true", "float32")):
        for hold, part in ((False, "reading, augmenting, updates"), (True, "forward to update alone")):
            run = measure_ours(train, dev, precision, hold)
            yield f"ours, {name}, {part}", run.rate(epoch=1), run.others


def main() -> None:
    """Measure and print a table."""
    options = parse(TrainingSpeed)
    use_cores(options.cores)
    head = ["ratio", "lines/s", "others", "training (ratio to the first)"]
    print_row(head, head)
    first = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for name, rate, others in measure(options, shutil.which(options.ketos), Path(folder)):
            first = first or rate
            print_row(head, [f"{rate / first:.1f}", f"{rate:.1f}", f"{others:.0%}", name])


if __name__ == "__main__":
    main()

"""Measure training on tars beside the same lines as files of a folder: its start, and the reading."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from measurement import OtherPrograms, Run, draw_lines, find_script, print_row, run_traced, use_cores

from common.command_line.parser import parse
from common.data.batching import BatchLoader
from common.data.examples import Examples
from common.data.shards.windows import windowed_plan
from common.files.tars.member import is_member, read_member
from common.training.preparation import load_examples
from ocr.modality import OCR

FILES = 64
"""lines that are drawn; all others are copies of them"""
OF_A_FOLDER = 1000
DROP_CACHES = Path("/proc/sys/vm/drop_caches")
"""drops what Linux keeps of files in memory; only root can write to it"""


@dataclass(frozen=True)
class Shards:
    """Measure training on tars beside the same lines as files of a folder."""

    count: int = 100_000
    """Number of lines."""
    size_mb: int = 256
    """Size of a tar."""
    repeats: int = 2
    """How often the lines are read, in turns."""
    folder: Path | None = None
    """Where the lines are kept, on the disk that is measured; by default the folder for temporary files."""
    cores: int = 2
    """Number of cores of the machine that are used."""


def write_lines(folder: Path, count: int) -> Path:
    """Write `count` line pairs, each of two files, into folders of OF_A_FOLDER; return their folder."""
    drawn = draw_lines(folder / "drawn", FILES)
    pairs = [
        (image.read_bytes(), image.with_suffix(".gt.txt").read_bytes())
        for image in sorted(drawn.glob("*.png"))
    ]
    lines = folder / "lines"
    for number in range(count):
        place = lines / f"{number // OF_A_FOLDER:03}"
        if number % OF_A_FOLDER == 0:
            place.mkdir(parents=True)
        image, text = pairs[number % FILES]
        (place / f"{number % OF_A_FOLDER:03}.png").write_bytes(image)
        (place / f"{number % OF_A_FOLDER:03}.gt.txt").write_bytes(text)
    return lines


def forget(folder: Path, names: bool = False) -> None:
    """Drop the content of the files below a folder from memory.

    Args:
        folder: of the files.
        names: also drop the names and places of all files of the machine, which only root can do.
    """
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if names:
        DROP_CACHES.write_text("3")


def start(data: Path, dev: Path) -> Run:
    """Run `ocr train` until its first update."""
    with tempfile.TemporaryDirectory() as folder:
        return run_traced(["ocr", "train", str(data), str(dev), "--run", folder, "--workers", "0"], updates=1)


def starts(places: dict[str, Path], dev: Path) -> Iterator[tuple[str, Run]]:
    """Yield starts of training: the first, which measures or reads indices, and the second."""
    for attempt in ("first", "second"):
        for name, data in places.items():
            yield f"{name}, {attempt} start", start(data, dev)


def loader_of(data: Path) -> BatchLoader:
    """Return what reads the batches of lines as training does, without augmentation."""
    examples = load_examples(OCR, str(data), OCR.corpus_config())[0]
    plan = windowed_plan(examples, OCR.batch_budget, seed=1)
    return BatchLoader(
        Examples(examples, None, OCR.reader(OCR.signal_config())), OCR.batch_budget, 1, plan=plan
    )


def read_batches(loader: BatchLoader, epoch: int) -> int:
    """Read the batches of an epoch, and return the number of lines."""
    return sum(len(batch.indices) for batch in loader.batches(epoch))


def read_bytes(loader: BatchLoader, epoch: int) -> int:
    """Read the files of the lines in the order of an epoch, not decoded, and return the number of lines."""
    order = np.concatenate(loader.planned(epoch))
    for index in order:
        source = loader.examples.source(int(index))
        assert read_member(source) if is_member(source) else Path(source).read_bytes()
    return len(order)


WAYS = {"batches": read_batches, "bytes alone": read_bytes}


def rates(places: dict[str, Path], repeats: int) -> Iterator[tuple[str, float, float]]:
    """Yield what was read, the lines/s, and the share of the cores that other programs used meanwhile."""
    states = ["in memory", "dropped"]
    if os.access(DROP_CACHES, os.W_OK):
        states.append("dropped with all names")
    loaders = {name: loader_of(data) for name, data in places.items()}
    for (way, read), state, epoch in product(WAYS.items(), states, range(repeats)):
        for name, loader in loaders.items():
            loader.planned(epoch)
            if state != "in memory":
                forget(places[name], names=state != "dropped")
            others, began = OtherPrograms(), time.monotonic()
            rate = read(loader, epoch) / (time.monotonic() - began)
            yield f"{name}, {way}, {state}", rate, others.share()


def main() -> None:
    """Measure and print the tables."""
    options = parse(Shards)
    use_cores(options.cores)
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        folder = Path(place)
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        lines, dev = write_lines(folder, options.count), draw_lines(folder / "dev", 8, seed=2)
        began = time.monotonic()
        tars = folder / "tars"
        sharding = [
            find_script("ocr"),
            "shard",
            str(lines),
            "-o",
            str(tars),
            "--size-mb",
            str(options.size_mb),
        ]
        subprocess.run(sharding, check=True)
        print(f"ocr shard: {options.count / (time.monotonic() - began):.0f} lines/s")
        shutil.rmtree(folder / "cache")  # it has measured the lines
        places = {"folder": lines, "tars": tars}
        head = ["ratio", "s to first update", "processor s", "peak GB", "others"]
        head.append("start of training (ratio of processor s, to the first)")
        print_row(head, head)
        first = reference = 0.0
        for name, run in starts(places, dev):
            first = first or run.processor_s
            figures = [
                f"{run.processor_s / first:.2f}",
                f"{run.updates[-1].seconds:.1f}",
                f"{run.processor_s:.1f}",
            ]
            print_row(head, [*figures, f"{run.peak_bytes / 1e9:.2f}", f"{run.others:.0%}", name])
        head = ["ratio", "lines/s", "others", "one epoch (ratio to the folder)"]
        print_row(head, head)
        for name, rate, others in rates(places, options.repeats):
            reference = rate if name.startswith("folder") else reference
            print_row(head, [f"{rate / reference:.2f}", f"{rate:.0f}", f"{others:.0%}", name])


if __name__ == "__main__":
    main()

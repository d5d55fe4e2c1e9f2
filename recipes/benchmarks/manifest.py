"""Measure how training starts on large manifests: seconds until the first update, and peak memory."""

import itertools
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from measurement import LINE_HEIGHT_PX, LINE_WIDTH_PX, Run, draw_lines, print_row, run_traced, use_cores

from common.command_line.parser import parse

FILES = 32


@dataclass(frozen=True)
class Manifest:
    """Measure how training starts on large manifests."""

    sizes: tuple[int, ...] = (1_000, 10_000, 100_000)
    """Numbers of examples of the manifests; each example is a link to one of a few files."""
    cores: int = 2
    """Number of cores of the machine that are used."""


def write_manifests(folder: Path, size: int) -> tuple[Path, Path]:
    """Write and return two manifests of `size` lines, with and without lengths, and write their links."""
    lines = folder / "lines"
    if not lines.exists():
        draw_lines(lines, FILES)
    files = [
        (image, image.with_suffix(".gt.txt").read_text().strip()) for image in sorted(lines.glob("*.png"))
    ]
    links = folder / f"links-{size}"
    links.mkdir()
    known, unknown = folder / f"known-{size}.jsonl", folder / f"unknown-{size}.jsonl"
    with known.open("w", encoding="utf-8") as with_lengths, unknown.open("w", encoding="utf-8") as without:
        for number, (image, text) in zip(range(size), itertools.cycle(files), strict=False):
            link = links / f"{number // 1000:03d}-{number % 1000:03d}.png"
            link.symlink_to(image)
            fields = {"image": str(link), "text": text}
            print(json.dumps(fields | {"length": LINE_WIDTH_PX / LINE_HEIGHT_PX}), file=with_lengths)
            print(json.dumps(fields), file=without)
    return known, unknown


def start(manifest: Path, dev: Path) -> Run:
    """Run `ocr train` until its first update."""
    with tempfile.TemporaryDirectory() as folder:
        return run_traced(["ocr", "train", str(manifest), str(dev), "--run", folder], updates=1)


def measure(sizes: Sequence[int], folder: Path) -> Iterator[tuple[str, Run]]:
    """Yield each manifest with a start of training on it."""
    dev = draw_lines(folder / "dev", 8, seed=2)
    for size in sizes:
        known, unknown = write_manifests(folder, size)
        yield f"{size:,} lines, lengths in the manifest", start(known, dev)
        yield f"{size:,} lines, no lengths, first start", start(unknown, dev)
        yield f"{size:,} lines, no lengths, second start", start(unknown, dev)


def main() -> None:
    """Measure and print a table."""
    options = parse(Manifest)
    use_cores(options.cores)
    head = ["ratio", "s to first batch", "to first update", "processor s", "peak GB", "others"]
    head.append("start of training (ratio of processor s, to the first)")
    print_row(head, head)
    first = 0.0
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        for name, run in measure(options.sizes, Path(folder)):
            first = first or run.processor_s
            seconds = [f"{seen.seconds:.1f}" for seen in (run.updates[0], run.updates[-1])]
            seconds.append(f"{run.processor_s:.1f}")
            peak = f"{run.peak_bytes / 1e9:.2f}"
            print_row(head, [f"{run.processor_s / first:.2f}", *seconds, peak, f"{run.others:.0%}", name])


if __name__ == "__main__":
    main()

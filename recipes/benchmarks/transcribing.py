"""Measure what transcribing needs: memory and cores by the number of files, imports, disk space."""

import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

from measurement import Ran, print_row, run_programs, transcribe_command, use_cores

from asr.synthesis import write_spoken_tones
from common.command_line.flag import Flag
from common.command_line.parser import parse
from ocr.synthesis import Draw, draw

PACKAGES = ("amanuensis", "onnxruntime", "torch")
DRAWN = 200
SLOWEST = 10
HEAVIEST = 6
IMPORTED = re.compile(r"^import time:\s*(\d+) \|\s*\d+ \|\s*([\w.]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Transcribing:
    """Measure memory, cores, imports and disk space of transcribing."""

    files: int = 10_000
    """Number of lines of the larger call; the number of utterances is a tenth of it."""
    ocr_model: Path | None = None
    """Model of `ocr transcribe`; the bundled one by default."""
    asr_model: Path | None = None
    """Model of `asr transcribe`; the bundled one by default."""
    threads: int | None = None
    """Threads of both commands; their own default if not given."""
    environment: Annotated[tuple[Path, ...], Flag(repeated=True)] = ()
    """Installed environment whose size is measured; the flag may be repeated."""
    cores: int = 2
    """Number of cores of the machine that are used."""


class Case(NamedTuple):
    """One of our commands with the files that it transcribes."""

    name: str
    model: Path | None
    folder: Path
    files: list[str]
    """names of the files in `folder`"""

    def command(self, count: int, threads: int | None) -> list[str]:
        """Return the command for the first `count` files."""
        return [*transcribe_command(self.name, self.model, threads), *self.files[:count]]


def multiply(drawn: Sequence[Path], folder: Path, count: int) -> list[str]:
    """Link or copy files into a new folder, repeatedly, until it has `count`; return their names."""
    folder.mkdir()
    names = []
    for number in range(count):
        source = drawn[number % len(drawn)]
        names.append(f"{number:06d}{source.suffix}")
        try:
            os.link(source, folder / names[-1])
        except OSError:  # no links on this file system, or too many
            shutil.copyfile(source, folder / names[-1])
    return names


def cases(options: Transcribing, folder: Path) -> Iterator[Case]:
    """Yield both commands with their files."""
    lines = max(1, options.files)
    draw(Draw(folder / "drawn", count=min(DRAWN, lines), length=(40, 60)))
    files = multiply(sorted((folder / "drawn").glob("*.png")), folder / "lines", lines)
    yield Case("ocr", options.ocr_model, folder / "lines", files)
    utterances = max(1, options.files // 10)
    write_spoken_tones(folder / "tones", min(DRAWN, utterances), seed=1)
    said = sorted((folder / "tones" / "train").glob("*.flac"))
    files = multiply(said, folder / "utterances", utterances)
    yield Case("asr", options.asr_model, folder / "utterances", files)


def print_taken(case: Case, threads: int | None) -> None:
    """Print memory and cores for one file and for all files."""
    head = ["ratio", "peak MB", "seconds", "files/s", "cores busy", "others"]
    head.append(f"{case.name} transcribe (ratio of memory to one file's)")
    print_row(head, head)
    run_programs([case.command(1, threads)], case.folder)  # loads programs and model into memory
    one: Ran | None = None
    for count in sorted({1, len(case.files)}):
        ran = run_programs([case.command(count, threads)], case.folder)
        texts = ran.outputs[0].count("\n")
        assert texts == count, f"{case.name}: {texts} texts of {count} files"
        one = one or ran
        cells = [f"{ran.peak_bytes / one.peak_bytes:.2f}", f"{ran.peak_bytes / 1e6:.0f}", f"{ran.wall_s:.2f}"]
        cells += [f"{count / ran.wall_s:.1f}", f"{ran.busy:.0%}", f"{ran.others:.0%}"]
        print_row(head, [*cells, f"{count:,} file{'s'[: count > 1]}"])


def print_imports(case: Case, threads: int | None) -> None:
    """Print the packages with the longest import times when one file is transcribed."""
    done = subprocess.run(
        case.command(1, threads),
        cwd=case.folder,
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = IMPORTED.findall(done.stderr)
    taken, modules = Counter[str](), Counter[str]()
    for own_us, module in found:
        package = module.partition(".")[0]
        taken[package] += int(own_us)
        modules[package] += 1
    total_us = max(taken.total(), 1)
    head = ["share", "    ms", "modules", f"imported by {case.name} transcribe, slowest first"]
    print_row(head, head)
    for package, own_us in taken.most_common(SLOWEST):
        print_row(head, [f"{own_us / total_us:.0%}", f"{own_us / 1000:.1f}", str(modules[package]), package])
    print_row(
        head, ["100%", f"{total_us / 1000:.1f}", str(len(found)), "all (the clock of -X importtime adds)"]
    )
    print(f"  goal: torch is not imported; it {'IS' if 'torch' in taken else 'is not'}")


def weigh(folder: Path) -> int:
    """Return the size of a folder on the disk in bytes; files with several links are counted once."""
    sizes = {}
    for parent, _, files in os.walk(folder):
        for file in files:
            status = os.lstat(os.path.join(parent, file))
            sizes[status.st_dev, status.st_ino] = 512 * status.st_blocks
    return sum(sizes.values())


def print_sizes(environments: Sequence[Path]) -> None:
    """Print the sizes of environments and of their largest packages."""
    head = ["ratio", "     MB", "environment (ratio to the first)"]
    print_row(head, head)
    first = 0
    for environment in environments:
        if not environment.is_dir():
            raise SystemExit(f"{environment}: not a folder; name an installed virtual environment")
        size = weigh(environment)
        first = first or size
        packages = {
            path.name: weigh(path)
            for path in environment.glob("lib/python*/site-packages/*")
            if path.is_dir()
        }
        heaviest = Counter(packages).most_common(HEAVIEST)
        listed = ", ".join(f"{name} {bytes_ / 1e6:.0f}" for name, bytes_ in heaviest)
        print_row(head, [f"{size / first:.2f}", f"{size / 1e6:.0f}", f"{environment}: {listed}"])


def main() -> None:
    """Measure and print tables."""
    options = parse(Transcribing)
    use_cores(options.cores, PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(options, Path(folder)):
            print()
            print_taken(case, options.threads)
            print_imports(case, options.threads)
    if options.environment:
        print()
        print_sizes(options.environment)


if __name__ == "__main__":
    main()

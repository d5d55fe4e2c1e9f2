"""Programs that transcribe the same files in turns, so that what disturbs the machine disturbs all of them.

start     from process start to its end, with the text of one file
whole     the same with the text of all files: one command with a list
warm      whole less start: what all files but one take, without loading anything
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

from measurement import Ran, run_programs, transcribe_command


class Program(NamedTuple):
    """A way to transcribe."""

    name: str
    split: Callable[[Sequence[str], Path], list[list[str]]]
    """gives the commands, to be run at the same time, that transcribe files of a folder"""
    texts: Callable[[list[str], Sequence[str], Path], list[str]]
    """gives the text of each file from what the commands have written"""
    environment: dict[str, str] = {}  # noqa: RUF012  nobody writes to it
    scored: bool = True
    """whether its texts mean anything"""


@dataclass
class Measured:
    """What was seen of a program."""

    program: Program
    starts: list[Ran] = field(default_factory=list)
    wholes: list[Ran] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def start_s(self) -> float:
        """Seconds for one file, the median."""
        return median(ran.wall_s for ran in self.starts)

    @property
    def whole_s(self) -> float:
        """Seconds for all files, the fewest."""
        return min(ran.wall_s for ran in self.wholes)

    @property
    def warm_s(self) -> float:
        """Seconds for all files but one without the start, the fewest; NaN if too few to tell."""
        return _positive(self.whole_s - min(ran.wall_s for ran in self.starts))

    @property
    def warm_processor_s(self) -> float:
        """Seconds of cores for all files but one without the start, the fewest; NaN as of `warm_s`."""
        whole, start = (min(ran.processor_s for ran in runs) for runs in (self.wholes, self.starts))
        return _positive(whole - start)

    @property
    def others(self) -> float:
        """The share of the cores that other programs took meanwhile."""
        return mean(ran.others for ran in [*self.wholes, *self.starts])


def _positive(seconds: float) -> float:
    return seconds if seconds > 0 else math.nan


def take_turns(
    programs: Sequence[Program], files: Sequence[str], folder: Path, starts: int, repeats: int
) -> list[Measured]:
    """Run programs on files.

    Args:
        programs: which.
        files: their names in `folder`.
        folder: where they are; programs are started there.
        starts: how often each transcribes the middle one of the files; a first time is not counted.
        repeats: how often each transcribes all of them.
    """
    found = [Measured(program) for program in programs]

    def run(program: Program, names: Sequence[str]) -> Ran:
        return run_programs(program.split(names, folder), folder, program.environment)

    middle = len(files) // 2
    for number in range(1 + starts):
        for one in found:
            ran = run(one.program, files[middle : middle + 1])
            if number:  # the first brings programs and models into memory
                one.starts.append(ran)
    for _ in range(repeats):
        for one in found:
            one.wholes.append(run(one.program, files))
    for one in found:
        one.texts = one.program.texts(one.wholes[-1].outputs, files, folder)
        assert len(one.texts) == len(files), (
            f"{one.program.name}: {len(one.texts)} texts of {len(files)} files"
        )
    return found


def a_line_each(outputs: list[str], files: Sequence[str], folder: Path) -> list[str]:
    """Return the texts of files that commands shared, in turn, and wrote a line each of."""
    found = [""] * len(files)
    for number, output in enumerate(outputs):
        found[number :: len(outputs)] = output.split("\n")[:-1]
    return found


def ours(name: str, model: Path | None, threads: int | None, decoder: str) -> Program:
    """Return `ocr transcribe` or `asr transcribe`, one process.

    Args:
        name: "ocr" or "asr".
        model: None for the bundled one.
        threads: None for as many as it takes.
        decoder: "stored" for as the model has it.
    """
    command = transcribe_command(name, model, threads)
    command += ["--decoder", decoder] if decoder != "stored" else []

    def split(files: Sequence[str], folder: Path) -> list[list[str]]:
        return [[*command, *files]]

    title = f"ours, {model.name if model else 'the bundled model'}, decoder {decoder}"
    return Program(title, split, a_line_each)

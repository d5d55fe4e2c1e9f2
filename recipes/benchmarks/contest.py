"""Run programs that transcribe the same files in turns, so that a disturbance of the machine affects all.

start     time from the start of a process to its end, for one file
whole     the same for all files in one command
warm      whole - start: the time for all files except one, without loading
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

from measurement import Ran, run_programs, transcribe_command


class Program(NamedTuple):
    """A program that transcribes files."""

    name: str
    split: Callable[[Sequence[str], Path], list[list[str]]]
    """returns the commands that together transcribe files of a folder; they run at the same time"""
    texts: Callable[[list[str], Sequence[str], Path], list[str]]
    """returns the text of each file from the outputs of the commands"""
    environment: dict[str, str] = {}  # noqa: RUF012  it is never changed
    scored: bool = True
    """whether its error rate is meaningful"""


@dataclass
class Measured:
    """The measurements of a program."""

    program: Program
    starts: list[Ran] = field(default_factory=list)
    wholes: list[Ran] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def start_s(self) -> float:
        """Median of the seconds for one file."""
        return median(ran.wall_s for ran in self.starts)

    @property
    def whole_s(self) -> float:
        """Smallest number of seconds for all files."""
        return min(ran.wall_s for ran in self.wholes)

    @property
    def warm_s(self) -> float:
        """Smallest number of seconds for all files except one, without the start; NaN if unknown."""
        return _positive(self.whole_s - min(ran.wall_s for ran in self.starts))

    @property
    def warm_processor_s(self) -> float:
        """The same as `warm_s` in seconds of processor time."""
        whole, start = (min(ran.processor_s for ran in runs) for runs in (self.wholes, self.starts))
        return _positive(whole - start)

    @property
    def others(self) -> float:
        """Share of the cores that other programs used during the measurements."""
        return mean(ran.others for ran in [*self.wholes, *self.starts])


def _positive(seconds: float) -> float:
    return seconds if seconds > 0 else math.nan


def take_turns(
    programs: Sequence[Program], files: Sequence[str], folder: Path, starts: int, repeats: int
) -> list[Measured]:
    """Run programs on files in turns, and return the measurements of each.

    Args:
        programs: the programs to compare.
        files: names of files in `folder`.
        folder: working directory of the programs.
        starts: how often each program transcribes the middle file alone; one more run before is not counted.
        repeats: how often each program transcribes all files.
    """
    found = [Measured(program) for program in programs]

    def run(program: Program, names: Sequence[str]) -> Ran:
        return run_programs(program.split(names, folder), folder, program.environment)

    middle = len(files) // 2
    for number in range(1 + starts):
        for one in found:
            ran = run(one.program, files[middle : middle + 1])
            if number:  # the first run loads programs and models into memory
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
    """Return the texts of files that were dealt out to commands in turn; each text is one line of output."""
    found = [""] * len(files)
    for number, output in enumerate(outputs):
        found[number :: len(outputs)] = output.split("\n")[:-1]
    return found


def ours(name: str, model: Path | None, threads: int | None, decoder: str) -> Program:
    """Return `ocr transcribe` or `asr transcribe` as one process.

    Args:
        name: "ocr" or "asr".
        model: a model file; None for the bundled one.
        threads: None for the default of the command.
        decoder: "stored" is the decoder of the model file.
    """
    command = transcribe_command(name, model, threads)
    command += ["--decoder", decoder] if decoder != "stored" else []

    def split(files: Sequence[str], folder: Path) -> list[list[str]]:
        return [[*command, *files]]

    title = f"ours, {model.name if model else 'the bundled model'}, decoder {decoder}"
    return Program(title, split, a_line_each)

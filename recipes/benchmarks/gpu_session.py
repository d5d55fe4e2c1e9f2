"""What the parts of gpu.py share: options, data, verdicts, and the time that is left."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple


@dataclass(frozen=True)
class Gpu:
    """Measure training and decoding on a GPU and compare it with the CPU."""

    device: Literal["cuda", "cpu"] = "cuda"
    """The device; cpu tries the script, and measures the loader beside a step that only waits."""
    quick: bool = False
    """Use tiny networks and few examples: the figures mean nothing, but every part runs."""
    minutes: float = 8.0
    """Time for everything; what does not fit is named and left out."""
    lines: tuple[str, ...] = ()
    """Training and development data of lines, as for `ocr train`; drawn by default."""
    speech: tuple[str, ...] = ()
    """Training and development data of speech, as for `asr train`; made up by default."""


class Verdict(NamedTuple):
    """A goal and what was found; `met` is None if the goal does not apply or nothing was measured."""

    met: bool | None
    goal: str
    found: str


@dataclass
class Session:
    """The state of a session: options, data, verdicts, and the time that is left."""

    options: Gpu
    folder: Path
    ends: float
    verdicts: list[Verdict] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """parts that failed"""

    @property
    def left_s(self) -> float:
        """Seconds that are left."""
        return self.ends - time.monotonic()

    def judge(self, met: bool | None, goal: str, found: str) -> None:
        """Keep a verdict; goals for a GPU are not judged on the CPU."""
        judged = met if self.options.device == "cuda" and not self.options.quick else None
        self.verdicts.append(Verdict(judged, goal, found))

    def run(self, command: Sequence[str | Path], limit_s: float, shown: bool = True) -> bool | None:
        """Run a Python program until it ends or its time is over.

        Returns:
            Whether it ended with status 0; None if no time was left to start it.
        """
        left = min(limit_s, self.left_s)
        if left < 5:
            print(f"(left out, since the {self.options.minutes:g} minutes are over)")
            return None
        errors = self.folder / "errors.txt"
        with errors.open("w") as said:
            program = subprocess.Popen(
                [sys.executable, *map(str, command)],
                stdout=None if shown else said,
                stderr=said,
                start_new_session=True,
                env={**os.environ, "PYTHONWARNINGS": "ignore"},
            )
            try:
                status = program.wait(left)
            except subprocess.TimeoutExpired:
                print(f"(stopped after {left:.0f} s)", flush=True)
                return False
            finally:
                _end(program)
        if status:
            print(errors.read_text(errors="replace")[-800:].strip(), flush=True)
        return status == 0


def _end(program: "subprocess.Popen[bytes]") -> None:
    """End a program and the workers that it started."""
    try:
        os.killpg(program.pid, 9)
    except ProcessLookupError:
        return
    program.wait()

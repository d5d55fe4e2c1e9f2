"""Measure lists of lines in shards and on Ray beside one plain call, and check that each line has its row.

plain call    the texts in order                                   what the others have to give
4 shards      two at a time (recipes/scale/parallel.sh)            rate, memory
kill          a quarter of the list, kill -9 in the middle         what a second call adds
2 shards      both at a time, and two actors of Ray                the cost of Ray
faults        a tenth of the list on Ray: an actor is killed, one file ends its process, one is missing
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from measurement import Ran, find_script, print_row, run_programs, transcribe_command, use_cores
from transcribing import multiply

from common.command_line.parser import parse
from ocr.synthesis import Draw, draw

PACKAGES = ("amanuensis", "onnxruntime", "ray")
SCALE = Path(__file__).parents[1] / "scale"
DRAWN = 200
LIST = "list.txt"
BLOCKS = 20
"""blocks of the list on Ray, if it is short"""
BLOCK = 1000
WAIT_S = 0.02
ACTOR = b"Transcribing"
"""what Ray writes into the command line of an actor's process"""
DEADLY, MISSING = "deadly.png", "missing.png"
SITE = f"""
import os
from PIL import Image

real = Image.open


def opened(file, *arguments, **settings):
    if os.path.basename(str(getattr(file, "name", file))) == {DEADLY!r}:
        os._exit(11)
    return real(file, *arguments, **settings)


Image.open = opened
"""
"""sitecustomize.py: opening one file ends the process, as a fault of a decoder does"""
HEAD = ("ratio", "lines/s", "seconds", "peak MB", "cores busy", "others", "how (ratio of speed to the first)")


@dataclass(frozen=True)
class Bulk:
    """Measure bulk transcription of lines."""

    count: int = 100_000
    """Number of lines of the list: 200 drawn ones under many names."""
    model: Path | None = None
    """Model file; the bundled one by default."""
    cores: int = 2
    """Number of cores of the machine that are used."""


class Faults(NamedTuple):
    """What is wrong with rows beside the texts that they should have; all of it should be 0."""

    missing: int
    twice: int
    other: int

    def __str__(self) -> str:
        return f"{self.missing} missing, {self.twice} twice, {self.other} with another text"


def faults(rows: Iterable[Mapping[str, str]], texts: Mapping[str, str]) -> Faults:
    """Compare rows, which have an id and a text or an error, with the texts by id."""
    seen, twice, other = set[str](), 0, 0
    for row in rows:
        twice += row["id"] in seen
        other += row.get("text") != texts.get(row["id"])
        seen.add(row["id"])
    return Faults(len(texts.keys() - seen), twice, other)


def read_rows(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of all shards of a folder."""
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def ids_of(folder: Path) -> int:
    """Return the number of whole rows of a folder."""
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("*.jsonl"))


def processes_below(pid: int) -> Iterator[int]:
    """Yield the processes that a process has started, and those that these have started."""
    for tasks in Path("/proc", str(pid)).glob("task/*/children"):
        for child in map(int, tasks.read_text().split()):
            yield child
            yield from processes_below(child)


class Bench:
    """The folder of a run: lines, lists, and the rows of each way.

    Attributes:
        texts: the text of each name, as one plain call gives it.
    """

    def __init__(self, options: Bulk, folder: Path) -> None:
        self.options, self.folder = options, folder
        draw(Draw(folder / "drawn", count=min(DRAWN, options.count)))
        drawn = sorted((folder / "drawn").glob("*.png"))
        self.names = [f"lines/{name}" for name in multiply(drawn, folder / "lines", options.count)]
        self.texts: dict[str, str] = {}
        self.first_rate = 0.0
        self.listed(LIST, self.names)

    def listed(self, name: str, names: Sequence[str]) -> None:
        """Write a list."""
        (self.folder / name).write_text("".join(f"{one}\n" for one in names))

    def plain(self) -> None:
        """Take the texts of one call."""
        command = [*transcribe_command("ocr", self.options.model, None), "--list", LIST]
        ran = run_programs([command], self.folder)
        self.texts = dict(zip(self.names, ran.outputs[0].removesuffix("\n").split("\n"), strict=True))
        self.print(ran, "one plain call, two threads")

    def shards(self, total: int) -> None:
        """Transcribe in shards, two at a time."""
        command = [str(SCALE / "parallel.sh"), find_script("ocr"), LIST, f"{total}-shards", *self._model()]
        ran = run_programs([command], self.folder, {"SHARES": str(total), "AT_A_TIME": "2"})
        self.print(ran, f"{total} shards, two at a time")
        self.check(f"{total}-shards", self.names)

    def killed(self) -> None:
        """Kill a call in its middle, and call again."""
        names = self.names[: max(2, len(self.names) // 4)]
        self.listed("quarter.txt", names)
        command = [*transcribe_command("ocr", self.options.model, None), "--list", "quarter.txt"]
        command += ["--format", "jsonl", "--output-dir", "killed"]
        with subprocess.Popen(command, cwd=self.folder, stderr=subprocess.DEVNULL) as process:
            while ids_of(self.folder / "killed") < len(names) // 2 and process.poll() is None:
                time.sleep(WAIT_S)
            process.kill()
        before = ids_of(self.folder / "killed")
        run_programs([command], self.folder)
        print(f"  kill -9 after {before:,} of {len(names):,} rows, and a second call:")
        self.check("killed", names)

    def ray(self) -> None:
        """Transcribe with two actors."""
        self.print(run_programs([self._ray(LIST, "ray", len(self.names))], self.folder), "Ray, two actors")
        self.check("ray", self.names)

    def ray_with_faults(self) -> None:
        """Transcribe with two actors, of which one is killed, a file that ends actors, and a missing one."""
        names = self.names[: max(2, len(self.names) // 10)]
        middle = len(names) // 2
        os.link(self.folder / names[0], self.folder / DEADLY)
        self.listed("faults.txt", [*names[:middle], DEADLY, MISSING, *names[middle:]])
        (self.folder / "site").mkdir()
        (self.folder / "site" / "sitecustomize.py").write_text(SITE)
        paths = [str(self.folder / "site"), *filter(None, [os.environ.get("PYTHONPATH")])]
        settings = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        ended, began = 0, time.monotonic()
        with (self.folder / "ray.log").open("wb") as said:
            command = self._ray("faults.txt", "faults", len(names))
            with subprocess.Popen(
                command, cwd=self.folder, env=settings, stderr=said, stdout=said
            ) as process:
                while process.poll() is None:
                    if not ended and ids_of(self.folder / "faults"):
                        ended = self._kill_an_actor(process.pid)
                    time.sleep(WAIT_S)
        print(f"  Ray, {len(names):,} lines, {ended} actor killed, and two bad files: ended with")
        print(f"  {process.returncode} after {time.monotonic() - began:.0f} s")
        rows = list(read_rows(self.folder / "faults"))
        for row in rows:
            if "error" in row:
                print(f"  error: {row['error']}")
        good = [row for row in rows if row["id"] not in (DEADLY, MISSING)]
        self.check("faults", names, good)

    def check(self, folder: str, names: Sequence[str], rows: Iterable[Mapping[str, str]] = ()) -> None:
        """Print what is wrong with the rows of a folder."""
        found = faults(rows or read_rows(self.folder / folder), {name: self.texts[name] for name in names})
        print(f"  rows: {found}")

    def print(self, ran: Ran, how: str) -> None:
        """Print the figures of a run over the whole list."""
        rate = self.options.count / ran.wall_s
        self.first_rate = self.first_rate or rate
        cells = [f"{rate / self.first_rate:.2f}", f"{rate:.1f}", f"{ran.wall_s:.0f}"]
        cells += [f"{ran.peak_bytes / 1e6:.0f}", f"{ran.busy:.0%}", f"{ran.others:.0%}", how]
        print_row(HEAD, cells)

    def _model(self) -> list[str]:
        return ["--model", str(self.options.model.absolute())] if self.options.model else []

    def _ray(self, names: str, folder: str, count: int) -> list[str]:
        block = max(1, min(BLOCK, count // BLOCKS))
        command = [sys.executable, str(SCALE / "ray_transcribe.py"), "ocr", names, folder, "--actors", "2"]
        return [*command, "--block", str(block), *self._model()]

    def _kill_an_actor(self, driver: int) -> int:
        """Kill one actor that a driver has started; return how many there were to kill, 0 or 1."""
        for pid in processes_below(driver):
            if ACTOR in Path("/proc", str(pid), "cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
                return 1
        return 0


def main() -> None:
    """Measure and print tables."""
    options = parse(Bulk)
    if options.count < 40:
        raise SystemExit(f"--count is {options.count}; give 40 or more")
    use_cores(options.cores, PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, Path(folder))
        print_row(HEAD, HEAD)
        for part in (bench.plain, lambda: bench.shards(4), bench.killed):
            part()
        bench.first_rate = 0.0
        print_row(HEAD, HEAD)
        for part in (lambda: bench.shards(2), bench.ray, bench.ray_with_faults):
            part()


if __name__ == "__main__":
    main()

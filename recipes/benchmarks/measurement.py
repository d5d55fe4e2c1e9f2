"""What the benchmarks share: lines to train on, and a training program run with a clock and a scale.

    run_traced(["ocr", "train", ...])   starts   python measurement.py TRACE ... -- ocr train ...
          |                                             |  notes the time of every update, then stops
          +-- adds up its memory and its workers'       +-> TRACE: seconds, epoch, examples

`ketos` is run in the same way by the interpreter of its own environment, so both are timed by the same clock,
from update to update, with all that lies between two of them. Linux only: memory is read from /proc.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any, NamedTuple

LINE_WIDTH_PX, LINE_HEIGHT_PX = 900, 48
SAMPLING_S = 0.05


class Update(NamedTuple):
    """A step of the optimiser, or the start of an epoch, which has no examples."""

    seconds: float
    """since the program was started"""
    epoch: int
    examples: int


class Run(NamedTuple):
    """What was seen of a program.

    updates: in their order, with the starts of epochs between them.
    peak_bytes: most resident memory, its workers' included.
    processor_s: what it took of the cores, its workers included; waiting for a core does not count.
    others: share of the cores that other programs took meanwhile; it should be near 0.
    """

    updates: list[Update]
    peak_bytes: int
    processor_s: float
    others: float

    def rate(self, epoch: int = 0) -> float:
        """Return the examples/s of `epoch`, from the first time noted in it to its last update."""
        noted = [update for update in self.updates if update.epoch == epoch]
        assert len(noted) > 1, f"a rate needs two updates in epoch {epoch}, of {self.updates}"
        return sum(update.examples for update in noted[1:]) / (noted[-1].seconds - noted[0].seconds)


def run_traced(
    command: Sequence[str],
    python: Path | str = sys.executable,
    hold: bool = False,
    updates: int = 0,
    batch_size: int = 1,
) -> Run:
    """Run a console script and return its updates and memory.

    Args:
        command: name of the script, as the environment of `python` has it, and its arguments.
        python: interpreter of that environment.
        hold: whether the batches of each epoch are loaded before the epoch starts, and not during it.
        updates: after how many the program is stopped; 0 lets it run to its end.
        batch_size: examples of an update, of a program that is not ours; ours says it of each.

    Raises:
        SystemExit: the program failed; the end of what it said is part of the message.
    """
    with tempfile.NamedTemporaryFile("r") as trace, tempfile.TemporaryFile("w+") as said:
        flags = [f"--updates={updates}", f"--batch-size={batch_size}", *(["--hold"] if hold else [])]
        arguments = [str(python), __file__, *flags, trace.name, "--", *command]
        began, busy_s, own_s = time.monotonic(), _busy_s(), _own_s()
        process = subprocess.Popen(arguments, stdout=said, stderr=subprocess.STDOUT)
        peak_bytes = 0
        try:
            while process.poll() is None:
                peak_bytes = max(peak_bytes, _resident_bytes(process.pid))
                time.sleep(SAMPLING_S)
        finally:
            process.kill()
            process.wait()
        processor_s = _own_s() - own_s
        cores_s = (time.monotonic() - began) * len(os.sched_getaffinity(0))
        others = max(0.0, _busy_s() - busy_s - processor_s) / cores_s
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)}: ended with {process.returncode}:\n{said.read()[-4000:]}")
        noted = [line.split() for line in trace]
    seen = [Update(float(at) - began, int(epoch), int(examples)) for at, epoch, examples in noted]
    return Run(seen, peak_bytes, processor_s, others)


def _busy_s() -> float:
    """Return how long the cores this process may use have worked since the machine started."""
    used = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    rows = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    # user, nice, system, idle, iowait, irq, softirq, steal
    ticks = sum(sum(map(int, [*row[1:4], *row[6:9]])) for row in rows if row[0] in used)
    return ticks / os.sysconf("SC_CLK_TCK")


def _own_s() -> float:
    """Return how long this process and those it started, as far as they have ended, have worked."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _resident_bytes(pid: int) -> int:
    """Return the memory of a process and all below it; the files they have mapped, libraries mostly, once."""
    own = files = 0
    waiting = [pid]
    while waiting:
        folder = Path("/proc", str(waiting.pop()))
        try:
            fields = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
            children = [tasks.read_text().split() for tasks in folder.glob("task/*/children")]
        except (OSError, ValueError):  # it has just ended
            continue
        sizes = {name: 1024 * int(fields.get(name, "0 kB").split()[0]) for name in ("RssAnon", "RssFile")}
        own, files = own + sizes["RssAnon"], max(files, sizes["RssFile"])
        waiting += [int(child) for group in children for child in group]
    return own + files


def draw_lines(folder: Path, count: int, seed: int = 1) -> Path:
    """Write lines of 48 x 900 px, NAME.png and NAME.gt.txt, into a new folder; return it."""
    import numpy as np
    from PIL import Image

    from ocr.synthesis import COMMON_WORDS, draw_line

    rng, words = np.random.default_rng(seed), COMMON_WORDS.split()
    folder.mkdir(parents=True)
    for number in range(count):
        text = " ".join(rng.choice(words, 12))
        image = draw_line(text, None, rng, LINE_HEIGHT_PX)
        image = image.resize((LINE_WIDTH_PX, LINE_HEIGHT_PX), Image.Resampling.BICUBIC)
        image.save(folder / f"{number:05d}.png")
        (folder / f"{number:05d}.gt.txt").write_text(f"{text}\n", encoding="utf-8")
    return folder


def choose_lines(corpus: Path, folder: Path, count: int) -> Path:
    """Copy `count` line pairs, evenly chosen from a folder of them, into a new folder; return it."""
    from ocr.corpora import CorpusConfig, read_corpus

    examples = read_corpus(str(corpus), CorpusConfig()).examples
    folder.mkdir(parents=True)
    for number, example in enumerate(examples[:: max(1, len(examples) // count)][:count]):
        image = folder / f"{number:05d}{Path(example.source).suffix}"
        image.write_bytes(Path(example.source).read_bytes())
        image.with_suffix(".gt.txt").write_text(f"{example.text}\n", encoding="utf-8")
    return folder


def prepare_lines(corpus: Path | None, folder: Path, count: int) -> tuple[Path, Path]:
    """Return folders with `count` lines to train on and 8 to measure on: from a corpus, or drawn if None."""
    if corpus is None:
        return draw_lines(folder / "train", count), draw_lines(folder / "dev", 8, seed=2)
    return choose_lines(corpus, folder / "train", count), choose_lines(corpus, folder / "dev", 8)


def use_cores(count: int) -> None:
    """Keep this process and all it starts to `count` cores, and name the machine."""
    allowed = sorted(os.sched_getaffinity(0))[:count]
    os.sched_setaffinity(0, allowed)
    processors = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = [line.split(":", 1)[1].strip() for line in processors.splitlines() if "model name" in line]
    processor = models[0] if models else platform.machine()
    print(f"{processor}, {len(allowed)} cores, torch {version('torch')}")


def print_row(head: Sequence[str], cells: Sequence[str]) -> None:
    """Print a row of a table under `head`: figures to the right, the last cell, words, to the left."""
    figures = [cell.rjust(len(name)) for cell, name in zip(cells[:-1], head[:-1], strict=True)]
    print("  ".join([*figures, cells[-1]]), flush=True)


def _note_updates(path: str, stop_after: int, batch_size: int) -> Callable[[int, int], None]:
    """Have every optimiser of this process write a line to `path` for each of its steps.

    Returns:
        what is told epoch and examples of the coming updates; with no examples it notes an epoch's start.
    """
    from torch.optim.optimizer import register_optimizer_step_post_hook

    file = open(path, "a", buffering=1)  # noqa: SIM115  open until the process ends
    coming, done = [0, batch_size], 0

    def write() -> None:
        print(time.monotonic(), *coming, file=file)

    def announce(epoch: int, examples: int) -> None:
        coming[:] = epoch, examples
        if not examples:
            write()

    def note(*_: Any) -> None:
        nonlocal done
        done += 1
        write()
        if done == stop_after:
            raise SystemExit(0)

    register_optimizer_step_post_hook(note)
    return announce


def _watch_batches(announce: Callable[[int, int], None], hold: bool) -> None:
    """Have the loader of the training data announce its epochs and batches; with `hold`, load them before."""
    from common.batching import Batch, BatchLoader

    load = BatchLoader.batches

    def batches(self: BatchLoader, epoch: int = 0, start: int = 0) -> Iterator[Batch]:
        if self.seed is None:  # of the dev data
            yield from load(self, epoch, start)
            return
        loaded = list(load(self, epoch, start)) if hold else None
        announce(epoch, 0)
        for batch in loaded or load(self, epoch, start):
            announce(epoch, len(batch.sources))
            yield batch

    BatchLoader.batches = batches  # type: ignore[method-assign]


def main() -> None:
    """Run a console script of this environment and note its updates."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("trace", help="file to write to")
    parser.add_argument("--updates", type=int, default=0, help="stop after as many")
    parser.add_argument("--batch-size", type=int, default=1, help="examples of an update, if not ours")
    parser.add_argument("--hold", action="store_true", help="load the batches of an epoch before it starts")
    parser.add_argument("command", nargs="+", help="the script and its arguments, behind --")
    arguments = parser.parse_args()
    announce = _note_updates(arguments.trace, arguments.updates, arguments.batch_size)
    (script,) = entry_points(group="console_scripts", name=arguments.command[0])
    if script.value.startswith(("ocr.", "asr.")):
        _watch_batches(announce, arguments.hold)
    sys.argv = arguments.command
    script.load()()


if __name__ == "__main__":
    main()

"""What the benchmarks share: lines to train on, and functions that run programs and measure them.

    run_programs([["ocr", "transcribe", ...]])   output, seconds, memory, and what other programs used

    run_traced(["ocr", "train", ...])   starts   python measurement.py TRACE ... -- ocr train ...
          |                                             |  notes the time of every update, then stops
          +-- adds up its memory and its workers'       +-> TRACE: seconds, epoch, examples

`ketos` is run in the same way by the interpreter of its own environment. So both are timed by the same clock,
from update to update, with everything between two updates. Linux only: memory is read from /proc.
"""

import argparse
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import IO, Any, NamedTuple

LINE_WIDTH_PX, LINE_HEIGHT_PX = 900, 48
SAMPLING_S = 0.05
KINDS = ("RssAnon", "RssFile", "RssShmem")
"""kinds of resident memory in /proc/PID/status"""


class Update(NamedTuple):
    """A step of the optimiser, or the start of an epoch, which has no examples."""

    seconds: float
    """seconds since the start of the program"""
    epoch: int
    examples: int


class Run(NamedTuple):
    """The measurements of a program.

    updates: the updates in order, with the starts of epochs between them.
    peak_bytes: peak resident memory, with its workers.
    processor_s: processor time, with its workers; waiting for a core does not count.
    others: share of the cores that other programs used meanwhile; it should be near 0.
    memory: resident memory with its workers, every 50 ms: (seconds since the start, bytes).
    """

    updates: list[Update]
    peak_bytes: int
    processor_s: float
    others: float
    memory: list[tuple[float, int]]

    def rate(self, epoch: int = 0) -> float:
        """Return the examples/s of `epoch`, from the first noted time of the epoch to its last update."""
        noted = [update for update in self.updates if update.epoch == epoch]
        assert len(noted) > 1, f"a rate needs two updates in epoch {epoch}, of {self.updates}"
        return sum(update.examples for update in noted[1:]) / (noted[-1].seconds - noted[0].seconds)

    def peak_bytes_in(self, epoch: int) -> int:
        """Return the peak memory of `epoch`, from its start to that of the next one, or to the end."""
        starts = [update.seconds for update in self.updates if not update.examples]
        start, end = [*starts, float("inf")][epoch : epoch + 2]
        return max(size for seconds, size in self.memory if start <= seconds < end)


class Ran(NamedTuple):
    """The outputs and the measurements of programs that ran at the same time.

    outputs: the standard output of each program.
    wall_s: seconds from the start of the first program to the end of the last.
    peak_bytes, processor_s, others, memory: as in Run, for all programs together.
    """

    outputs: list[str]
    wall_s: float
    peak_bytes: int
    processor_s: float
    others: float
    memory: list[tuple[float, int]]

    @property
    def busy(self) -> float:
        """Share of the cores that the programs used."""
        return self.processor_s / (self.wall_s * len(os.sched_getaffinity(0)))


class OtherPrograms:
    """The use of the cores, from now on, by all programs except this one and those that it starts."""

    def __init__(self) -> None:
        self.began, self.busy_s, self.own_s = time.monotonic(), _busy_s(), _own_s()

    def share(self) -> float:
        """Return their share until now; it is correct when the programs that this one started have ended."""
        cores_s = (time.monotonic() - self.began) * len(os.sched_getaffinity(0))
        return max(0.0, _busy_s() - self.busy_s - (_own_s() - self.own_s)) / cores_s


def run_programs(
    commands: Sequence[Sequence[str]],
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ran:
    """Run programs at the same time, and wait until they end.

    Args:
        commands: programs with their arguments.
        folder: working directory of the programs; None for that of this program.
        environment: variables in addition to those of this program.

    Raises:
        SystemExit: a program failed; the message has the end of its output.
    """
    settings = {**os.environ, **(environment or {})}
    with ExitStack() as open_files:
        files = [[open_files.enter_context(tempfile.TemporaryFile()) for _ in "oe"] for _ in commands]
        others, used = OtherPrograms(), resource.getrusage(resource.RUSAGE_CHILDREN)
        began, processes = time.monotonic(), []
        try:
            for command, (out, err) in zip(commands, files, strict=True):
                processes.append(subprocess.Popen(command, stdout=out, stderr=err, cwd=folder, env=settings))
            with _Scale([process.pid for process in processes]) as scale:
                for process in processes:
                    process.wait()
                wall_s = time.monotonic() - began
        finally:
            for process in processes:
                process.kill()
                process.wait()
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        written = [[_read_whole(file) for file in pair] for pair in files]
    processor_s = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    for command, process, (output, said) in zip(commands, processes, written, strict=True):
        if process.returncode:
            name = " ".join(command)[:200]
            raise SystemExit(f"{name}: ended with {process.returncode}:\n{output[-2000:]}\n{said[-2000:]}")
    memory = [(at - began, size) for at, size in scale.samples]
    return Ran(
        [output for output, _ in written], wall_s, scale.peak_bytes, processor_s, others.share(), memory
    )


def _read_whole(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", errors="replace")


class _Scale:
    """A context that measures the peak memory of processes and their children every 50 ms in a thread."""

    def __init__(self, pids: Sequence[int]) -> None:
        self.peaks = dict.fromkeys(pids, 0)
        self.samples: list[tuple[float, int]] = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "_Scale":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    @property
    def peak_bytes(self) -> int:
        """Sum of the peaks of all processes."""
        return sum(self.peaks.values())

    def _watch(self) -> None:
        while not self.ended.wait(SAMPLING_S):
            now = {pid: _resident_bytes(pid) for pid in self.peaks}
            self.samples.append((time.monotonic(), sum(now.values())))
            for pid, peak in self.peaks.items():
                self.peaks[pid] = max(peak, now[pid], _highest_bytes(pid))


def run_traced(
    command: Sequence[str],
    python: Path | str = sys.executable,
    hold: bool = False,
    updates: int = 0,
    batch_size: int = 1,
) -> Run:
    """Run a console script and return its updates and memory.

    Args:
        command: name of the script in the environment of `python`, and its arguments.
        python: interpreter of that environment.
        hold: load the batches of each epoch before the epoch starts instead of during it.
        updates: number of updates after which the program is stopped; 0 for none.
        batch_size: examples of an update of a program that is not ours; ours reports the number itself.

    Raises:
        SystemExit: the program failed; the message has the end of its output.
    """
    with tempfile.NamedTemporaryFile("r") as trace:
        flags = [f"--updates={updates}", f"--batch-size={batch_size}", *(["--hold"] if hold else [])]
        began = time.monotonic()
        ran = run_programs([[str(python), __file__, *flags, trace.name, "--", *command]])
        noted = [line.split() for line in trace]
    seen = [Update(float(at) - began, int(epoch), int(examples)) for at, epoch, examples in noted]
    return Run(seen, ran.peak_bytes, ran.processor_s, ran.others, ran.memory)


def _busy_s() -> float:
    """Return the busy time, since the machine started, of the cores that this process may use."""
    used = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    rows = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    # user, nice, system, idle, iowait, irq, softirq, steal
    ticks = sum(sum(map(int, [*row[1:4], *row[6:9]])) for row in rows if row[0] in used)
    return ticks / os.sysconf("SC_CLK_TCK")


def _own_s() -> float:
    """Return the processor time of this process and of those that it started and that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _highest_bytes(pid: int) -> int:
    """Return the peak memory of a process until now, as the kernel counts it."""
    try:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return 1024 * int(fields.get("VmHWM", "0 kB").split()[0])
    except (OSError, ValueError):  # it has just ended
        return 0


def _resident_bytes(pid: int) -> int:
    """Return the memory of a process and its children.

    Mapped files, mostly libraries, are counted once, and so is memory that processes share. What a forked
    process has not changed is counted in each, so that the true sum is lower.
    """
    own = files = shared = 0
    waiting = [pid]
    while waiting:
        folder = Path("/proc", str(waiting.pop()))
        try:
            fields = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
            children = [tasks.read_text().split() for tasks in folder.glob("task/*/children")]
        except (OSError, ValueError):  # it has just ended
            continue
        sizes = {name: 1024 * int(fields.get(name, "0 kB").split()[0]) for name in KINDS}
        own, files = own + sizes["RssAnon"], max(files, sizes["RssFile"])
        shared = max(shared, sizes["RssShmem"])
        waiting += [int(child) for group in children for child in group]
    return own + files + shared


def draw_lines(folder: Path, count: int, seed: int = 1) -> Path:
    """Write lines of 48 x 900 px, as NAME.png and NAME.gt.txt, into a new folder; return the folder."""
    import numpy as np
    from PIL import Image

    from ocr.drawing.lines import draw_line
    from ocr.drawing.texts import COMMON_WORDS

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
    """Copy `count` line pairs, chosen evenly from a folder, into a new folder; return the new folder."""
    from ocr.corpora import CorpusConfig, read_corpus

    examples = read_corpus(str(corpus), CorpusConfig()).examples
    folder.mkdir(parents=True)
    for number, example in enumerate(examples[:: max(1, len(examples) // count)][:count]):
        image = folder / f"{number:05d}{Path(example.source).suffix}"
        image.write_bytes(Path(example.source).read_bytes())
        image.with_suffix(".gt.txt").write_text(f"{example.text}\n", encoding="utf-8")
    return folder


def prepare_lines(corpus: Path | None, folder: Path, count: int) -> tuple[Path, Path]:
    """Return folders with `count` lines to train on and 8 to measure on, from a corpus or else drawn."""
    if corpus is None:
        return draw_lines(folder / "train", count), draw_lines(folder / "dev", 8, seed=2)
    return choose_lines(corpus, folder / "train", count), choose_lines(corpus, folder / "dev", 8)


def find_script(name: str) -> str:
    """Return the path of one of our commands in the environment of this interpreter."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        raise SystemExit(f"{name}: not in the environment of {sys.executable}; pip install -e . there")
    return found


def transcribe_command(name: str, model: Path | None, threads: int | None) -> list[str]:
    """Return the command `ocr transcribe` or `asr transcribe` on the CPU without files; None omits a flag."""
    command = [find_script(name), "transcribe", "--device", "cpu"]
    command += ["--model", str(model.absolute())] if model else []
    return command + (["--threads", str(threads)] if threads is not None else [])


def convert_lines(corpus: Path, folder: Path, count: int) -> list[tuple[Path, str]]:
    """Write lines, chosen evenly from a folder of pairs, as grey PNG into a new folder; return them, too.

    Args:
        corpus: folder of NAME.webp (or png ...) and NAME.gt.txt.
        folder: the new folder.
        count: largest number of lines; 0 for all.
    """
    from PIL import Image

    from ocr.corpora import CorpusConfig, read_corpus

    try:
        examples = read_corpus(str(corpus), CorpusConfig()).examples
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from None
    if not examples:
        raise SystemExit(f"{corpus}: no line in it; a folder of NAME.png and NAME.gt.txt was wanted")
    wanted = min(count or len(examples), len(examples))
    folder.mkdir(parents=True)
    lines = []
    for number in range(wanted):
        example = examples[number * len(examples) // wanted]
        path = folder / f"{number:05d}.png"
        with Image.open(example.source) as image:
            image.convert("L").save(path)
        lines.append((path, example.text))
    return lines


def use_cores(count: int, packages: Sequence[str] = ("torch",)) -> None:
    """Restrict this process and all that it starts to `count` cores; print machine and package versions."""
    allowed = sorted(os.sched_getaffinity(0))[:count]
    os.sched_setaffinity(0, allowed)
    processors = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = [line.split(":", 1)[1].strip() for line in processors.splitlines() if "model name" in line]
    processor = models[0] if models else platform.machine()
    names = ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT")
    limits = [f"with {name}={os.environ[name]}" for name in names if name in os.environ]
    print(", ".join([f"{processor}, {len(allowed)} cores", *map(_name_version, packages), *limits]))


def _name_version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def print_row(head: Sequence[str], cells: Sequence[str]) -> None:
    """Print a row of a table under `head`: figures are aligned to the right, the last cell to the left."""
    figures = [cell.rjust(len(name)) for cell, name in zip(cells[:-1], head[:-1], strict=True)]
    print("  ".join([*figures, cells[-1]]), flush=True)


def _note_updates(path: str, stop_after: int, batch_size: int) -> Callable[[int, int], None]:
    """Make every optimiser of this process write a line to `path` for each of its steps.

    Returns:
        a function to call with the epoch and the examples of the next update; with 0 examples it notes the
        start of an epoch.
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
    """Make the loader of the training data announce epochs and batches; `hold` loads an epoch in advance."""
    from common.data.batching import Batch, BatchLoader

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
    parser.add_argument("--updates", type=int, default=0, help="stop after this number of updates")
    parser.add_argument("--batch-size", type=int, default=1, help="examples of an update of another program")
    parser.add_argument("--hold", action="store_true", help="load the batches of an epoch before it starts")
    parser.add_argument("command", nargs="+", help="the script and its arguments, after --")
    arguments = parser.parse_args()
    announce = _note_updates(arguments.trace, arguments.updates, arguments.batch_size)
    (script,) = entry_points(group="console_scripts", name=arguments.command[0])
    if script.value.startswith(("ocr.", "asr.")):
        _watch_batches(announce, arguments.hold)
    sys.argv = arguments.command
    script.load()()


if __name__ == "__main__":
    main()

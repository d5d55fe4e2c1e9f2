"""What the benchmarks share: lines to train on, and programs run with a clock and a scale.

    run_programs([["ocr", "transcribe", ...]])   what they write, seconds, memory, who else had the cores

    run_traced(["ocr", "train", ...])   starts   python measurement.py TRACE ... -- ocr train ...
          |                                             |  notes the time of every update, then stops
          +-- adds up its memory and its workers'       +-> TRACE: seconds, epoch, examples

`ketos` is run in the same way by the interpreter of its own environment, so both are timed by the same clock,
from update to update, with all that lies between two of them. Linux only: memory is read from /proc.
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


class Ran(NamedTuple):
    """What programs wrote that ran at the same time, and what they took.

    outputs: what each wrote to standard output.
    wall_s: from the start of the first to the end of the last.
    peak_bytes, processor_s, others: as of Run, all programs together.
    """

    outputs: list[str]
    wall_s: float
    peak_bytes: int
    processor_s: float
    others: float

    @property
    def busy(self) -> float:
        """The share of the cores that they took."""
        return self.processor_s / (self.wall_s * len(os.sched_getaffinity(0)))


class OtherPrograms:
    """What programs but this one, and those it starts, take of the cores from now on."""

    def __init__(self) -> None:
        self.began, self.busy_s, self.own_s = time.monotonic(), _busy_s(), _own_s()

    def share(self) -> float:
        """Return their share until now; right once the programs this one has started have ended."""
        cores_s = (time.monotonic() - self.began) * len(os.sched_getaffinity(0))
        return max(0.0, _busy_s() - self.busy_s - (_own_s() - self.own_s)) / cores_s


def run_programs(
    commands: Sequence[Sequence[str]],
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ran:
    """Run programs at the same time, to their ends.

    Args:
        commands: programs and their arguments.
        folder: in which they are started; None for the one this program is in.
        environment: variables beside those of this program.

    Raises:
        SystemExit: a program failed; the end of what it said is part of the message.
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
    return Ran([output for output, _ in written], wall_s, scale.peak_bytes, processor_s, others.share())


def _read_whole(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", errors="replace")


class _Scale:
    """The peak memory of processes and all below them while it is entered; a thread looks every 50 ms."""

    def __init__(self, pids: Sequence[int]) -> None:
        self.peaks = dict.fromkeys(pids, 0)
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
        """The most of each, added."""
        return sum(self.peaks.values())

    def _watch(self) -> None:
        while not self.ended.wait(SAMPLING_S):
            for pid, peak in self.peaks.items():
                self.peaks[pid] = max(peak, _resident_bytes(pid), _highest_bytes(pid))


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
    with tempfile.NamedTemporaryFile("r") as trace:
        flags = [f"--updates={updates}", f"--batch-size={batch_size}", *(["--hold"] if hold else [])]
        began = time.monotonic()
        ran = run_programs([[str(python), __file__, *flags, trace.name, "--", *command]])
        noted = [line.split() for line in trace]
    seen = [Update(float(at) - began, int(epoch), int(examples)) for at, epoch, examples in noted]
    return Run(seen, ran.peak_bytes, ran.processor_s, ran.others)


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


def _highest_bytes(pid: int) -> int:
    """Return the most memory a process has had until now, which may have been between two looks at it."""
    try:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return 1024 * int(fields.get("VmHWM", "0 kB").split()[0])
    except (OSError, ValueError):  # it has just ended
        return 0


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


def find_script(name: str) -> str:
    """Return the path of one of our commands in the environment of this interpreter."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        raise SystemExit(f"{name}: not in the environment of {sys.executable}; pip install -e . there")
    return found


def transcribe_command(name: str, model: Path | None, threads: int | None) -> list[str]:
    """Return `ocr transcribe` or `asr transcribe` on the CPU, without files; None leaves a flag out."""
    command = [find_script(name), "transcribe", "--device", "cpu"]
    command += ["--model", str(model.absolute())] if model else []
    return command + (["--threads", str(threads)] if threads is not None else [])


def convert_lines(corpus: Path, folder: Path, count: int) -> list[tuple[Path, str]]:
    """Write lines, evenly chosen from a folder of pairs, as grey PNG into a new folder; return them too.

    Args:
        corpus: folder of NAME.webp (or png ...) and NAME.gt.txt.
        folder: where to.
        count: how many at most; 0 for all.
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
    """Keep this process and all it starts to `count` cores; print the machine and versions of packages."""
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

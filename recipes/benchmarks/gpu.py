"""What is fast on a GPU and what is not: equality with the CPU, tests, training, layers, beam search.

Each part is a process of its own with a time limit, so that one that fails or hangs leaves the others. At the
end there is a line for each goal.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from decoding import Case, Decoding
from decoding import run as decode
from gpu_data import draw_data
from gpu_notes import WAIT_S, Notes, read_notes
from gpu_session import Gpu, Session, Verdict
from measurement import OtherPrograms, print_row, use_cores

from common.command_line.parser import parse

HERE = Path(__file__).parent
LARGE = {
    "ocr": "--channels 48 96 192 256 --deep --hidden-size 512 --layers 3",
    "asr": "--channels 64 128 192 --deep --hidden-size 512 --layers 4",
}
SMALL = {"ocr": "--channels 8 16 16 16 --hidden-size 32", "asr": "--channels 8 8 16 --hidden-size 32"}
"""networks of --quick, which show that the script runs"""
RATES = {"ocr": 2500, "asr": 400}
"""goals for an H100: lines of 900 px and utterances of 16 s in a second"""
UNIT = {"ocr": "lines/s", "asr": "utterances/s"}
LENGTH = {"ocr": "of 900 px", "asr": "of 16 s"}
TRAINING_HEAD = [
    "as called",
    "step alone",
    "share",
    "bare step",
    "step/bare",
    "dev/epoch",
    "peak GB",
    "examples/s",
]


# --- the parts


def check_equality(session: Session) -> None:
    """Print the differences from the CPU."""
    options = session.options
    flags = ["--device", options.device, *(["--quick"] if options.quick else [])]
    equal = session.run([HERE / "gpu_equality.py", *flags], 90)
    found = "see above" if options.device == "cuda" else "the CPU with itself, which only tries the script"
    session.verdicts.append(Verdict(equal, f"{options.device} = CPU for every task", found))
    if equal is False:
        session.broken.append("equality")


def run_tests(session: Session) -> None:
    """Run the tests that need a GPU; without one they are skipped."""
    plain = ["-o", "addopts=--import-mode=importlib", "-p", "no:cacheprovider"]  # in one process
    passed = session.run(["-m", "pytest", "-q", "-m", "gpu", "--tb=short", *plain, "tests"], 120)
    session.verdicts.append(Verdict(passed, "tests that need a GPU pass", "see above"))
    if passed is False:
        session.broken.append("tests")


def data_of(session: Session, side: str) -> tuple[str, str]:
    """Return the paths of the training and development data."""
    given = session.options.lines if side == "ocr" else session.options.speech
    if given:
        return given[0], given[1]
    folder = session.folder / "data" / ("lines" if side == "ocr" else "speech")
    return str(folder / "train"), str(folder / "dev")


def train(
    session: Session, side: str, mode: str, flags: str, limit_s: float, data: tuple[str, str] | None = None
) -> Notes:
    """Run a training of two epochs in a mode of gpu_training.py; return what it noted."""
    name = f"{side}-{mode}-{len(list(session.folder.iterdir()))}"
    notes, run = session.folder / f"{name}.notes", session.folder / name
    notes.touch()
    data = data or data_of(session, side)
    command = [side, "train", *data, "--run", str(run), "--epochs", "2", *flags.split()]
    session.run([HERE / "gpu_training.py", notes, mode, *command], limit_s, shown=False)
    return read_notes(notes)


def measure_training(session: Session, side: str, size: str) -> None:
    """Print a row for a network: training as called, its step alone, a bare step, memory, dev."""
    options = session.options
    flags = f"--device {options.device} " + (LARGE[side] if size == "large" else "")
    if options.quick:
        flags = f"--device {options.device} {SMALL[side]} " + ("--layers 3" if size == "large" else "")
    called = train(session, side, "called", flags, 75 if size == "default" else 45)
    held = train(session, side, "held", flags, 60 if size == "default" else 45)
    share = called.rate / held.rate if held.rate else 0.0
    faster = held.rate / held.bare_rate if held.bare_rate else 0.0
    gigabytes = (called.device_bytes or called.host_bytes) / 1e9
    cells = [called.rate_text, held.rate_text, f"{share:.0%}", f"{held.bare_rate:.1f}", f"{faster:.2f}"]
    cells += [f"{called.dev_share:.1%}", f"{gigabytes:.1f}", f"{side}, {size} network"]
    print_row(TRAINING_HEAD, cells)
    if size == "default":
        judge_training(session, side, called, held)


def judge_training(session: Session, side: str, called: Notes, held: Notes) -> None:
    """Compare a training as called, and its step alone, with the goals."""
    unit, goal = UNIT[side], RATES[side]
    share = called.rate / held.rate if held.rate else 0.0
    faster = held.rate / held.bare_rate if held.bare_rate else 0.0
    found = f"{share:.0%}, {called.rate_text} of {held.rate_text} {unit}"
    session.judge(
        share >= 0.9 if share else None, f"{side} train as called runs at 90 % of its step alone", found
    )
    session.judge(
        called.rate >= goal if called.rate else None,
        f"{side} train reaches {goal:,} {unit} ({LENGTH[side]})",
        called.rate_text,
    )
    dev = f"{called.dev_share:.1%}, of a tenth of the examples"
    session.judge(
        called.dev_share < 0.1 if called.dev_share else None,
        f"{side} dev evaluation takes under 10 % of the epoch",
        dev,
    )
    found = f"{faster:.2f} times; mean loss of the bare one in epoch 2: {held.bare_loss:.1f}"
    session.judge(
        faster >= 1.5 if faster else None, f"{side} step is 1.5 times as fast as a bare cuDNN step", found
    )


def measure_networks(session: Session, size: str) -> None:
    """Print the table of training with networks of a size."""
    print_row(TRAINING_HEAD, TRAINING_HEAD)
    for side in ("asr", "ocr"):
        measure_training(session, side, size)


def measure_loader(session: Session) -> None:
    """Print how close to a step that waits 20 ms the loader with two workers comes."""
    head = [
        "share",
        "batches",
        "examples",
        "seconds",
        "others",
        "epoch 2, two workers, a step that waits 20 ms",
    ]
    print_row(head, head)
    for side in ("asr", "ocr"):
        data = session.folder / "loader" / ("lines" if side == "ocr" else "speech")
        flags, others = f"--device cpu --workers 2 {SMALL[side]}", OtherPrograms()
        notes = train(session, side, "waiting", flags, 90, (str(data / "train"), str(data / "dev")))
        share = notes.batches * WAIT_S / notes.seconds if notes.seconds else 0.0
        cells = [f"{share:.1%}", str(notes.batches), str(notes.examples), f"{notes.seconds:.2f}"]
        print_row(head, [*cells, f"{others.share():.0%}", side])
        judged = None if session.options.quick or not notes.seconds else share >= 0.9
        goal = f"{side} loader keeps up with a step of 20 ms to 90 % or more"
        session.verdicts.append(Verdict(judged, goal, f"{share:.1%}"))


def measure_layers(session: Session) -> None:
    """Print the table of recurrent layers."""
    flags = ["--device", session.options.device]
    if session.options.device == "cpu" or session.options.quick:
        flags += ["--batch", "8", "--steps", "50", "--sizes", "128", "192", "--repeats", "2"]
    if session.run([HERE / "gpu_layers.py", *flags], 60) is False:
        session.broken.append("layers")


def measure_beam(session: Session) -> None:
    """Print the time of the beam search on the device for two sizes of batches, beside that of the CPU."""
    quick = session.options.quick or session.options.device == "cpu"
    case_of = {extra: Case(60 if quick else 400, 32, 20 if quick else 100, extra) for extra in ("", "6-gram")}
    sizes, options = ((4, 32) if quick else (32, 256)), Decoding(repeats=1 if quick else 2)
    head = ["times faster", "ms an utterance", "CPU ms", "CER %", "CPU CER %", "batch", "with"]
    print_row(head, head)
    for extra, case in case_of.items():
        for size in sizes:
            if session.left_s < 45:
                print("(the rest is left out, since the time is over)")
                return
            cpu = decode(case, "ours", options, size)
            found = decode(case, "ours", options, size, session.options.device)
            if isinstance(found, str) or isinstance(cpu, str):
                print(found, cpu, flush=True)
                session.broken.append("beam")
                return
            times = cpu.ms / found.ms
            errors = [f"{100 * one.cer:.2f}" for one in (found, cpu)]
            cells = [f"{times:.1f}", f"{found.ms:.2f}", f"{cpu.ms:.2f}", *errors, str(size)]
            print_row(head, [*cells, extra or "nothing"])
            if size == sizes[-1]:
                goal = f"beam search at batch {size} is 20 times the CPU, with {extra or 'nothing'}"
                session.judge(times >= 20, goal, f"{times:.1f} times")


def parts_for(options: Gpu) -> Iterator[tuple[str, Callable[[Session], None]]]:
    """Yield the title of each part, and the function that runs it."""
    yield f"Equality of {options.device} and CPU", check_equality
    yield "Tests that need a GPU", run_tests
    yield "Training, second epoch of two", partial(measure_networks, size="default")
    if options.device == "cpu":
        yield "Loader", measure_loader
    yield "Beam search, width 100 (20 with --quick and on the CPU)", measure_beam
    yield "Recurrent layers", measure_layers
    if options.device == "cuda" or options.quick:
        yield "Training of large networks", partial(measure_networks, size="large")


def draw(session: Session) -> None:
    """Draw lines and make sounds, as many as the device needs for an epoch that can be measured."""
    options, sound_s = session.options, 16.0
    sounds, lines = (1024, 6144) if options.device == "cuda" else (12, 64)
    many_sounds, many_lines = 192, 1024
    if options.quick:
        sounds, lines, many_sounds, many_lines, sound_s = 8, 24, 16, 48, 3.0
    for name in ("data", "loader"):
        (session.folder / name).mkdir()
    if not options.speech:
        draw_data(session.folder / "data", sounds, max(4, sounds // 10), sound_s, "asr")
    if not options.lines:
        draw_data(session.folder / "data", lines, max(4, lines // 10), sides="ocr")
    if options.device == "cpu":
        draw_data(session.folder / "loader", many_sounds, 2, sound_s, "asr")
        draw_data(session.folder / "loader", many_lines, 2, sides="ocr")


def report(session: Session) -> None:
    """Print a line for each goal."""
    print("\n== Verdicts")
    words = {True: "met", False: "NOT MET", None: "not judged"}
    for one in session.verdicts:
        print(f"{words[one.met]:>10}  {one.goal}: {one.found}")
    if session.options.device == "cpu":
        print("Goals of speed are for an H100 and not judged on the CPU.")
    elif session.options.quick:
        print("Speeds of --quick are not judged.")
    for name in session.broken:
        print(f"    FAILED  {name}: see above")


def main() -> None:
    """Run all parts and print tables and verdicts."""
    import torch

    options = parse(Gpu)
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("no CUDA device here; --device cpu --quick tries the script without one")
    if any(len(paths) not in (0, 2) for paths in (options.lines, options.speech)):
        raise SystemExit("--lines and --speech: give two paths each, training and development data")
    use_cores(len(os.sched_getaffinity(0)))
    if options.device == "cuda":
        print(
            torch.cuda.get_device_name(),
            f"CUDA {torch.version.cuda}",
            f"cuDNN {torch.backends.cudnn.version()}",
        )
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        session = Session(options, Path(folder), began + 60 * options.minutes)
        draw(session)
        for title, part in parts_for(options):
            print(f"\n== {title}  ({time.monotonic() - began:.0f} s)", flush=True)
            part(session)
        report(session)
    raise SystemExit(1 if session.broken else 0)


if __name__ == "__main__":
    main()

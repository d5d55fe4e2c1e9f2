"""Compare lines/s, cold start and error rate of `ocr transcribe`, tesseract and kraken on the same lines.

start     median time from the start of a process to its end, for one line
lines/s   (lines - 1) / (seconds for all - seconds for one): one process with a list of files, without its
          start; fastest of the repeats
CER       on texts in NFC with single spaces, for all programs
"""

import math
import shutil
import subprocess
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from contest import Measured, Program, ours, take_turns
from measurement import convert_lines, print_row, run_programs, use_cores

from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.text.metrics import ErrorRate
from ocr.synthesis import Draw, draw

PACKAGES = ("amanuensis", "onnxruntime", "torch")
GOAL_TIMES, GOAL_START, GOAL_CER = 5.0, 1.0, 0.5
UNTRAINED = """
import sys
from kraken.configs import VGSLRecognitionTrainingConfig
from kraken.lib.vgsl import TorchVGSLModel
from kraken.models.writers import write_safetensors
spec = VGSLRecognitionTrainingConfig().spec
codec = {chr(0x20 + label): [label] for label in range(1, 96)}
kind = {"model_type": ["recognition"], "seg_type": "bbox", "one_channel_mode": "L"}
write_safetensors([TorchVGSLModel(vgsl=f"{spec[:-1]} O1c96]", codec=codec, **kind)], sys.argv[1])
"""
"""a program for kraken's environment that writes its default network with random weights"""


@dataclass(frozen=True)
class OcrSpeed:
    """Measure lines/s, cold start and error rate of ours, tesseract and kraken."""

    lines: Positional[tuple[str, ...]] = ()
    """Folders of NAME.png (or webp ...) and NAME.gt.txt, each with the languages for tesseract unless they
    are English: FOLDER=deu+eng. By default lines are drawn."""
    count: int = 100
    """Number of lines of each folder, chosen evenly; 0 for all."""
    model: Path | None = None
    """Model file; the bundled one by default."""
    decoders: tuple[Literal["stored", "greedy", "beam"], ...] = ("stored", "greedy")
    """Decoders to measure; stored is the decoder of the model file. The goals are compared with the first."""
    threads: int | None = None
    """Threads of `ocr transcribe`; its own default if not given."""
    repeats: int = 3
    """Repeats of the measurement of all lines."""
    starts: int = 7
    """Repeats of the measurement of one line."""
    psm: int = 13
    """Page segmentation mode of tesseract: 13 is a raw line, 7 a line."""
    kraken: Path | None = None
    """Path of the command `kraken`, in any environment."""
    kraken_model: Path | None = None
    """Model of kraken; by default its untrained default network, which has a speed but no CER."""
    cores: int = 2
    """Number of cores of the machine that are used."""


def normalise(text: str) -> str:
    """Return `text` in NFC with one space between words."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def tesseract(options: OcrSpeed, languages: str, processes: int, environment: dict[str, str]) -> Program:
    """Return tesseract with a number of processes that share the files."""
    flags = ["-", "--psm", str(options.psm), "-l", languages]

    def split(files: Sequence[str], folder: Path) -> list[list[str]]:
        if len(files) == 1:
            return [["tesseract", files[0], *flags]]
        for number in range(processes):
            listed = "".join(f"{file}\n" for file in files[number::processes])
            (folder / f"list-{number}.txt").write_text(listed, encoding="utf-8")
        return [["tesseract", f"list-{number}.txt", *flags] for number in range(processes)]

    def texts(outputs: list[str], files: Sequence[str], folder: Path) -> list[str]:
        found = [""] * len(files)
        for number, output in enumerate(outputs):
            pages, wanted = output.split("\f"), len(files[number :: len(outputs)])
            if len(pages) == wanted + 1 and not pages[-1].strip():  # some versions end with a form feed
                pages.pop()
            assert len(pages) == wanted, f"tesseract wrote {len(pages)} pages for {wanted} lines"
            found[number :: len(outputs)] = pages
        return found

    limits = "".join(f", {name}={value}" for name, value in environment.items())
    name = (
        f"tesseract {languages}{limits or ', as it comes'}, {processes} process{'es'[: 2 * (processes > 1)]}"
    )
    return Program(name, split, texts, environment)


def kraken(options: OcrSpeed, command: Path, model: Path, flags: Sequence[str], workers: int) -> Program:
    """Return kraken; its workers, processes that cut out lines, are started again for each file."""
    ocr = ["ocr", "-s", "--num-line-workers", str(workers), "-m", str(model.absolute())]

    def split(files: Sequence[str], folder: Path) -> list[list[str]]:
        pairs = [part for file in files for part in ("-i", file, f"{file}.txt")]
        return [[str(command), "-r", "-d", "cpu", *flags, *pairs, *ocr]]

    def texts(outputs: list[str], files: Sequence[str], folder: Path) -> list[str]:
        return [(folder / f"{file}.txt").read_text(encoding="utf-8") for file in files]

    kind = model.name if options.kraken_model else "untrained"
    name = f"kraken, {kind}, {' '.join(flags)} --num-line-workers {workers}"
    return Program(name, split, texts, scored=options.kraken_model is not None)


def write_untrained(command: Path, model: Path) -> Path:
    """Make kraken write its untrained default network to `model` if there is none; return the path."""
    if not model.exists():
        run_programs([[str(command.with_name("python")), "-c", UNTRAINED, str(model)]])
    return model


def programs(options: OcrSpeed, languages: str, folder: Path) -> Iterator[Program]:
    """Yield the programs to compare, tesseract first."""
    if shutil.which("tesseract"):
        alone = {"OMP_THREAD_LIMIT": "1"}
        yield tesseract(options, languages, 1, {})
        yield tesseract(options, languages, 1, alone)
        yield tesseract(options, languages, options.cores, alone)
    if options.kraken:
        command = options.kraken.expanduser().absolute()
        model = options.kraken_model or write_untrained(command, folder / "untrained.safetensors")
        for threads, workers in ((1, 2), (options.cores, 0)):  # its default; all cores for the network
            yield kraken(options, command, model, ["--threads", str(threads)], workers)
    for decoder in options.decoders:
        yield ours("ocr", options.model, options.threads, decoder)


class Scored(NamedTuple):
    """The speed and the errors of a program."""

    measured: Measured
    lines_per_s: float
    rate: ErrorRate

    @property
    def name(self) -> str:
        """Name of the program."""
        return self.measured.program.name


def measure(ways: Sequence[Program], lines: Sequence[tuple[Path, str]], options: OcrSpeed) -> list[Scored]:
    """Run all programs on `lines`."""
    folder, files = lines[0][0].parent, [path.name for path, _ in lines]
    scored = []
    for one in take_turns(ways, files, folder, options.starts, options.repeats):
        rate = ErrorRate(normalise)
        for (path, reference), text in zip(lines, one.texts, strict=True):
            rate.add(reference, text, path.name)
        scored.append(Scored(one, (len(files) - 1) / one.warm_s, rate))
    return scored


def print_table(found: Sequence[Scored]) -> None:
    """Print the measurements, and whether the goals were reached."""
    head = ["times", "lines/s", "all s", "start ratio", "start ms", "CER ratio", "CER %", "(95 %)".rjust(13)]
    head += ["WER %", "others", "program (ratios to tesseract's best)"]
    print_row(head, head)
    theirs = [one for one in found if one.name.startswith("tesseract")]
    fastest = max((one.lines_per_s for one in theirs if one.lines_per_s > 0), default=math.nan)
    start_s = min((one.measured.start_s for one in theirs), default=math.nan)
    cer = min((one.rate.cer for one in theirs), default=math.nan)
    for one in found:
        low, high = one.rate.interval()
        scores = [f"{one.rate.cer / cer:.2f}" if cer else "-", f"{100 * one.rate.cer:.2f}"]
        scores += [f"({100 * low:.2f}-{100 * high:.2f})", f"{100 * one.rate.wer:.2f}"]
        cells = [f"{one.lines_per_s / fastest:.2f}", f"{one.lines_per_s:.1f}", f"{one.measured.whole_s:.2f}"]
        cells += [f"{one.measured.start_s / start_s:.2f}", f"{1000 * one.measured.start_s:.0f}"]
        cells += scores if one.measured.program.scored else ["-"] * 4
        print_row(head, [*cells, f"{one.measured.others:.0%}", one.name])
    mine = next((one for one in found if one.name.startswith("ours")), None)
    if theirs and mine:
        times, slower = mine.lines_per_s / fastest, mine.measured.start_s / start_s
        _judge("lines/s", times, GOAL_TIMES, times >= GOAL_TIMES)
        _judge("start", slower, GOAL_START, slower <= GOAL_START)
        if cer:
            _judge("CER", mine.rate.cer / cer, GOAL_CER, mine.rate.cer / cer <= GOAL_CER)


def _judge(what: str, ratio: float, goal: float, reached: bool) -> None:
    verdict = "too few lines to tell" if math.isnan(ratio) else "reached" if reached else "missed"
    print(f"  goal, {what}: {goal:g} times tesseract's; {ratio:.2f}, {verdict}")


def corpora(options: OcrSpeed, folder: Path) -> Iterator[tuple[str, str, list[tuple[Path, str]]]]:
    """Yield the name, the languages for tesseract, and the lines as PNG with their texts, of each folder."""
    if not options.lines:
        draw(Draw(folder / "drawn", count=max(options.count, 2), length=(40, 60)))
    for number, named in enumerate(options.lines or (str(folder / "drawn"),)):
        corpus, _, languages = named.partition("=")
        lines = convert_lines(Path(corpus), folder / str(number), options.count)
        if len(lines) < 2:
            raise SystemExit(f"{corpus}: {len(lines)} line; 2 or more were wanted")
        yield corpus, languages or "eng", lines


def name_versions(options: OcrSpeed) -> None:
    """Print the versions of the other programs, and which are missing."""
    if shutil.which("tesseract"):
        print(_first_line("tesseract", "--version"))
    else:
        print("tesseract is not here: install tesseract-ocr to be compared with it")
    if options.kraken:
        print(_first_line(str(options.kraken.expanduser()), "--version"))
    else:
        print("kraken: name its command with --kraken to be compared with it")


def _first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return (done.stdout or done.stderr).splitlines()[0]


def main() -> None:
    """Measure and print a table for each folder."""
    options = parse(OcrSpeed)
    use_cores(options.cores, PACKAGES)
    name_versions(options)
    print(f"ours: {options.model or 'the bundled model'}; {options.repeats} repeats, {options.starts} starts")
    with tempfile.TemporaryDirectory() as folder:
        for name, languages, lines in corpora(options, Path(folder)):
            print(f"\n{name if options.lines else 'drawn lines'}: {len(lines)} lines")
            print_table(measure(list(programs(options, languages, Path(folder))), lines, options))


if __name__ == "__main__":
    main()

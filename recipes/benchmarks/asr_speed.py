"""Compare real-time factor and error rates of `asr transcribe` and pocketsphinx on the same utterances.

RTF        (seconds for all utterances - seconds for one, the start-up) / seconds of speech in all except
           that one; fastest of the repeats; once in wall-clock time and once in processor time
CER, WER   on capital letters, digits and apostrophes with single spaces, on both sides
"""

import math
import re
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import soundfile
import soxr
from contest import Program, a_line_each, ours, take_turns
from measurement import print_row, use_cores

from asr.corpora import CorpusConfig, read_corpus
from asr.synthesis import write_spoken_tones
from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.text.metrics import ErrorRate

PACKAGES = ("amanuensis", "onnxruntime", "torch")
RATE_HZ = 16_000
GOAL_TIMES = 20.0
SPHINX_VERSION = "from importlib.metadata import version; import pocketsphinx; print(version('pocketsphinx'))"
SPHINX = """
import sys, wave
from pocketsphinx import Decoder
decoder = Decoder(samprate=16000)
for path in sys.argv[1:]:
    with wave.open(path) as sound:
        samples = sound.readframes(sound.getnframes())
    decoder.start_utt()
    decoder.process_raw(samples, no_search=False, full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    print(found.hypstr if found else "")
"""
"""a program that needs only pocketsphinx, with its default model and settings"""


@dataclass(frozen=True)
class AsrSpeed:
    """Measure real-time factor and error rates of ours and of pocketsphinx."""

    speech: Positional[str | None] = None
    """Corpus of transcribed utterances, as for `asr evaluate`; by default spoken tones."""
    count: int = 40
    """Number of utterances, chosen evenly; 0 for all."""
    model: Path | None = None
    """Model file; the bundled one by default."""
    decoders: tuple[Literal["stored", "greedy", "beam"], ...] = ("stored", "greedy")
    """Decoders to measure; stored is the decoder of the model file. The goal is compared with the first."""
    threads: int | None = None
    """Threads of `asr transcribe`; its own default if not given."""
    repeats: int = 2
    """Repeats of the measurement of all utterances."""
    starts: int = 3
    """Repeats of the measurement of one utterance."""
    python: str = sys.executable
    """Interpreter of the environment in which pocketsphinx is installed."""
    cores: int = 2
    """Number of cores of the machine that are used."""


class Utterance(NamedTuple):
    """A WAV file with its duration and its text."""

    path: Path
    duration_s: float
    text: str


def normalise(text: str) -> str:
    """Return capitals, digits and apostrophes of `text` with one space between words."""
    text = unicodedata.normalize("NFC", text).upper().replace("’", "'")
    return " ".join(re.sub(r"[^\w' ]|_", " ", text).split())


def convert(speech: str | None, folder: Path, count: int) -> list[Utterance]:
    """Write utterances as WAV, 16 kHz, 16 bit, one channel, into `folder`; return them."""
    if speech is None:
        write_spoken_tones(folder / "tones", max(2, count), seed=1)
        speech = str(folder / "tones" / "train.jsonl")
    try:
        examples = read_corpus(speech, CorpusConfig()).examples
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from None
    wanted = min(count or len(examples), len(examples))
    if wanted < 2:
        raise SystemExit(f"{speech}: {wanted} utterance; 2 or more were wanted")
    utterances = []
    for number in range(wanted):
        example = examples[number * len(examples) // wanted]
        samples, rate_hz = soundfile.read(example.source, dtype="float32", always_2d=True)  # (N, channels)
        resampled = np.clip(soxr.resample(samples.mean(axis=1), rate_hz, RATE_HZ), -1, 1)
        path = folder / f"{number:05d}.wav"
        soundfile.write(path, resampled, RATE_HZ, subtype="PCM_16")
        utterances.append(Utterance(path, len(resampled) / RATE_HZ, example.text))
    return utterances


def pocketsphinx(python: str, processes: int) -> Program:
    """Return pocketsphinx with a number of processes that share the files."""

    def split(files: Sequence[str], folder: Path) -> list[list[str]]:
        shares = [files[number::processes] for number in range(processes)]
        return [[python, "-c", SPHINX, *share] for share in shares if share]

    return Program(f"pocketsphinx, processes: {processes}", split, a_line_each)


def programs(options: AsrSpeed) -> Iterator[Program]:
    """Yield the programs to compare, pocketsphinx first."""
    done = subprocess.run([options.python, "-c", SPHINX_VERSION], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        print(f"pocketsphinx {done.stdout.strip()}")
        for processes in sorted({1, options.cores}):
            yield pocketsphinx(options.python, processes)
    else:
        print("pocketsphinx: install it, and name the interpreter with --python, to be compared with it")
    for decoder in options.decoders:
        yield ours("asr", options.model, options.threads, decoder)


def measure(options: AsrSpeed, utterances: Sequence[Utterance]) -> None:
    """Run all programs and print a table."""
    files, folder = [one.path.name for one in utterances], utterances[0].path.parent
    found = take_turns(list(programs(options)), files, folder, options.starts, options.repeats)
    duration_s = sum(one.duration_s for one in utterances)
    warm_s = duration_s - utterances[len(utterances) // 2].duration_s  # without the one of the start
    print(f"{options.speech or 'spoken tones'}: {len(files)} utterances, {duration_s:.0f} s")
    head = ["times", "   RTF", "RTF of cores", "all s", "start ms", "CER %", "(95 %)".rjust(13), "WER %"]
    head += ["others", "program (times faster than pocketsphinx's best)"]
    print_row(head, head)
    theirs = [one.warm_s for one in found if one.program.name.startswith("pocketsphinx")]
    fastest_s = min((warm for warm in theirs if warm > 0), default=math.nan)
    for one in found:
        rate = ErrorRate(normalise)
        for utterance, text in zip(utterances, one.texts, strict=True):
            rate.add(utterance.text, text)
        low, high = rate.interval()
        cells = [f"{fastest_s / one.warm_s:.1f}", f"{one.warm_s / warm_s:.4f}"]
        cells += [f"{one.warm_processor_s / warm_s:.4f}", f"{one.whole_s:.2f}", f"{1000 * one.start_s:.0f}"]
        cells += [f"{100 * rate.cer:.2f}", f"({100 * low:.2f}-{100 * high:.2f})", f"{100 * rate.wer:.2f}"]
        print_row(head, [*cells, f"{one.others:.0%}", one.program.name])
    mine = [one.warm_s for one in found if one.program.name.startswith("ours")]
    if theirs and mine:
        times = fastest_s / mine[0]
        verdict = "reached" if times >= GOAL_TIMES else "missed"
        verdict = "too few utterances to tell" if math.isnan(times) else verdict
        print(f"  goal: {GOAL_TIMES:g} times faster than pocketsphinx; {times:.1f}, {verdict}")


def main() -> None:
    """Measure and print."""
    options = parse(AsrSpeed)
    use_cores(options.cores, PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        measure(options, convert(options.speech, Path(folder), options.count))


if __name__ == "__main__":
    main()

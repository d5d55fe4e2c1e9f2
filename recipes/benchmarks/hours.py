"""Transcribe long recordings that are made of utterances, and compare with the utterances one by one.

    pauses      0.1 to 3 s of faint noise between the utterances
    abutting    no pause
    noise       no pause, and coloured noise throughout, 15 dB under the speech
    music       no pause, and music throughout, 15 dB under the speech
    silence     as pauses, with an hour of faint noise in the middle

The true place of a word is where `align` finds it in its utterance alone, with its own text. "first" and
"last" are the shares of right words within 0.1 s of it, in the first and the last tenth of the recording.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from measurement import print_row, run_programs, transcribe_command

sys.path.append(str(Path(__file__).parent.parent / "asr"))
from sounds import coloured, music

from asr.modality import ASR
from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.data.signal import Signal
from common.recognition.known_text.aligner import Aligner
from common.recognition.loading import load_recognizer
from common.recognition.transcriber import Transcriber
from common.text.metrics import edits
from common.training.preparation import load_examples

FAINT = 1e-4
UNDER_DB = 15.0
NEAR_S = 0.1
HOUR_S = 3600
HEAD = (
    "recording",
    "min",
    "WER %",
    "one by one",
    "x real time",
    "peak MB",
    "near: first",
    "last",
    "invented",
)


@dataclass(frozen=True)
class Hours:
    """Transcribe long recordings."""

    data: Positional[str]
    """Corpus of utterances with their texts."""
    model: Path | None = None
    """Model file."""
    minutes: tuple[float, ...] = (20.0, 120.0)
    """Lengths of the recordings with pauses; the others have the first of them."""
    kinds: tuple[str, ...] = ("pauses", "abutting", "noise", "music", "silence")
    """Recordings to make."""
    flags: tuple[str, ...] = ()
    """Further flags of `asr transcribe`, such as --vad=none."""
    keep: Path | None = None
    """Folder in which the recordings are kept."""
    seed: int = 1
    """Of pauses and noises."""


class Said(NamedTuple):
    """A word, and where it starts in seconds."""

    text: str
    start: float


class Recording(NamedTuple):
    """The samples, the first sample of each utterance, its length and its text."""

    samples: np.ndarray
    utterances: list[tuple[int, int, str]]
    gap: tuple[int, int]


def main() -> None:
    """Make the recordings, transcribe each and print a row."""
    options = parse(Hours)
    recognizer = load_recognizer(ASR, options.model)
    examples = load_examples(ASR, options.data, ASR.corpus_config())[0]
    read = [(ASR.read(one.source, recognizer.signal_config).values, one.text or "") for one in examples]
    print_row(HEAD, HEAD)
    with tempfile.TemporaryDirectory() as folder:
        kept = options.keep or Path(folder)
        kept.mkdir(parents=True, exist_ok=True)
        for kind in options.kinds:
            for minutes in options.minutes if kind == "pauses" else options.minutes[:1]:
                recording = _made(read, kind, 60 * minutes, recognizer, options.seed)
                path = kept / f"{kind}-{minutes:g}.flac"
                soundfile.write(path, recording.samples, recognizer.signal_config.sample_rate_hz)
                print_row(HEAD, [kind, *_measured(recording, path, recognizer, options)])


def _made(
    read: Sequence[tuple[np.ndarray, str]], kind: str, seconds: float, recognizer: Transcriber, seed: int
) -> Recording:
    """Return the recording of a kind; utterances are repeated in another order if they do not suffice."""
    rng, rate_hz = np.random.default_rng(seed), recognizer.signal_config.sample_rate_hz
    parts, utterances, done, gap = list[np.ndarray](), list[tuple[int, int, str]](), 0, (0, 0)
    order = list[int]()
    while done < seconds * rate_hz + gap[1] - gap[0]:
        order = order or rng.permutation(len(read)).tolist()
        samples, text = read[order.pop()]
        pause_s = rng.uniform(0.1, 3.0) if kind in ("pauses", "silence") else 0.0
        if kind == "silence" and not gap[1] and done > seconds * rate_hz / 2:
            gap = done, done + HOUR_S * rate_hz
            pause_s = HOUR_S
        parts += [FAINT * rng.standard_normal(round(pause_s * rate_hz)), samples]
        done += len(parts[-2])
        utterances.append((done, len(samples), text))
        done += len(samples)
    whole = np.concatenate(parts).astype(np.float32)
    if kind in ("noise", "music"):
        under = coloured(len(whole), rng) if kind == "noise" else music(len(whole), rng)
        level = np.sqrt(np.square(whole, dtype=np.float64).mean()) * 10 ** (-UNDER_DB / 20)
        whole += (under * level / under.std()).astype(np.float32)
        whole /= max(1.0, float(np.abs(whole).max()))
    return Recording(whole, utterances, gap)


def _measured(recording: Recording, path: Path, recognizer: Transcriber, options: Hours) -> list[str]:
    rate_hz = recognizer.signal_config.sample_rate_hz
    signals = [
        Signal(recording.samples[first : first + size], 1 / rate_hz)
        for first, size, _ in recording.utterances
    ]
    texts = [text for _, _, text in recording.utterances]
    wanted = list[Said]()
    aligned = Aligner(load_recognizer(ASR, ASR.spelling)).align(signals, texts)
    for (first, _, _), one in zip(recording.utterances, aligned, strict=True):
        wanted += [Said(word.text, first / rate_hz + word.start) for word in one.words]
    alone = [word for one in recognizer.transcribe(signals) for word in one.text.split()]
    command = [*transcribe_command("asr", options.model, None), "-f", "json", *options.flags, str(path)]
    ran = run_programs([command])
    document = json.loads(ran.outputs[0])
    found = [
        Said(word["text"], one.get("place", {}).get("start", 0.0) + word["start"])
        for one in document.get("passages", [document])
        for word in one["words"]
    ]
    first, last = _near(wanted, found)
    start_s, end_s = (edge / rate_hz for edge in recording.gap)
    invented = sum(start_s + 1 < word.start < end_s - 1 for word in found)
    seconds, reference = len(recording.samples) / rate_hz, [word.text for word in wanted]
    return [
        f"{seconds / 60:.1f}",
        f"{100 * edits(reference, [word.text for word in found]).rate:.2f}",
        f"{100 * edits(reference, alone).rate:.2f}",
        f"{ran.wall_s / seconds:.4f}",
        f"{ran.peak_bytes / 1e6:.0f}",
        f"{first:.1f} %",
        f"{last:.1f} %",
        str(invented) if recording.gap[1] else "",
    ]


def _near(wanted: list[Said], found: list[Said]) -> tuple[float, float]:
    """Return the share of right words near their true places, in %: of the first and of the last tenth."""
    from rapidfuzz.distance import Levenshtein

    pairs = Levenshtein.opcodes([word.text for word in wanted], [word.text for word in found])
    near = [
        abs(wanted[one.src_start + place].start - found[one.dest_start + place].start) <= NEAR_S
        for one in pairs
        if one.tag == "equal"
        for place in range(one.src_end - one.src_start)
    ]
    tenth = max(1, len(near) // 10)
    return 100 * float(np.mean(near[:tenth])), 100 * float(np.mean(near[-tenth:]))


if __name__ == "__main__":
    main()

"""A synthetic corpus of spoken tones, in which each letter is a sound; it can be made on any machine.

python -m asr.synthesis tones FOLDER --count 600 --seed 1
"""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from tqdm import tqdm

from common.command_line.flag import Positional
from common.command_line.parser import choose, parse
from common.files.aside import written_aside

TONES_RATE_HZ = 16_000
TONES_LETTERS = "abcdefghijklmnopqrst"
LOW_HZ = (300.0, 390.0, 510.0, 660.0, 860.0)
HIGH_HZ = (1150.0, 1480.0, 1900.0, 2440.0)
"""a letter is a low and a high tone, as a vowel is two formants; 28 % apart, speakers differ by 10 %"""
TONES_WORDS = 80


class Speaker(NamedTuple):
    """The properties of a synthetic speaker."""

    name: str
    pitch: float
    """factor of all frequencies"""
    letter_s: float
    """mean duration of a letter"""
    buzz_hz: float
    """frequency with which the level rises and falls"""
    brightness: float
    """level of the high tone; the low tone has level 1"""


class Tones(NamedTuple):
    """Samples (N,) at `TONES_RATE_HZ`, and the start and end in seconds of each word and letter."""

    samples: np.ndarray
    words: list[tuple[str, float, float]]
    characters: list[tuple[str, float, float]]


def draw_speaker(name: str, rng: np.random.Generator) -> Speaker:
    """Return a random speaker called `name`."""
    return Speaker(
        name, rng.uniform(0.91, 1.1), rng.uniform(0.07, 0.105), rng.uniform(90, 220), rng.uniform(0.4, 1.2)
    )


def say_tones(text: str, speaker: Speaker, rng: np.random.Generator) -> Tones:
    r"""Return `text` in tones, with some noise; `text` is words of `TONES_LETTERS` with spaces between them.

    Each letter is a low and a high tone. Within a word the tones glide from letter to letter, and the level
    dips between letters, so that "ll" differs from "l". Between words and at both ends there is a pause.

        level   ____/--v--v--\_____/--v--\____
                     b  a  d         a  d

    Raises:
        ValueError: the text has a letter without a sound, or no words.
    """
    if unknown := sorted(set(text) - set(TONES_LETTERS) - {" "}):
        raise ValueError(f"{text!r} has {unknown}, which have no sound; use the letters {TONES_LETTERS}")
    if not text.split():
        raise ValueError(f"{text!r} has no words; write one at least")
    pieces = [np.zeros(int(rng.uniform(0.06, 0.15) * TONES_RATE_HZ))]
    words, characters = [], []
    for word in text.split():
        start = sum(map(len, pieces))
        sound, ends = _say_word(word, speaker, rng)
        pieces.append(sound)
        edges = [(start + end) / TONES_RATE_HZ for end in (0, *ends.tolist())]
        characters += list(zip(word, edges, edges[1:], strict=False))
        words.append((word, edges[0], edges[-1]))
        pieces.append(np.zeros(int(rng.uniform(0.08, 0.16) * TONES_RATE_HZ)))
    samples = np.concatenate(pieces)
    noise = rng.standard_normal(len(samples)) * samples.std() * 10 ** (-rng.uniform(12, 35) / 20)
    samples += noise
    samples *= 10 ** (rng.uniform(-20, -2) / 20) / np.abs(samples).max()
    return Tones(samples.astype(np.float32), words, characters)


def _say_word(word: str, speaker: Speaker, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the samples (N,) of a word, and the sample at which each letter ends (L,)."""
    durations = speaker.letter_s * rng.uniform(0.8, 1.25, len(word))
    ends = np.round(np.cumsum(durations) * TONES_RATE_HZ).astype(int)
    letter = np.searchsorted(ends, np.arange(ends[-1]), side="right")  # index of the letter of each sample
    glide = np.hanning(int(0.025 * TONES_RATE_HZ))
    glide /= glide.sum()
    sound = np.zeros(ends[-1])
    places = [divmod(TONES_LETTERS.index(symbol), len(LOW_HZ)) for symbol in word]
    for tones_hz, strength in (
        ([LOW_HZ[low] for _, low in places], 1.0),
        ([HIGH_HZ[high] for high, _ in places], speaker.brightness),
    ):
        pitches = np.log(np.array(tones_hz) * speaker.pitch * rng.uniform(0.98, 1.02, len(word)))[letter]
        smooth = np.convolve(np.pad(pitches, len(glide), mode="edge"), glide, "same")[
            len(glide) : -len(glide)
        ]
        phase = np.cumsum(np.exp(smooth)) * 2 * np.pi / TONES_RATE_HZ
        sound += strength * (np.sin(phase) + 0.2 * np.sin(2 * phase))
    times = np.arange(ends[-1]) / TONES_RATE_HZ
    sound *= 1 + 0.4 * np.sin(2 * np.pi * speaker.buzz_hz * times)
    level = np.ones(ends[-1])
    for end in ends[:-1]:
        dip = np.arange(max(end - len(glide), 0), min(end + len(glide), ends[-1]))
        level[dip] *= 1 - 0.8 * np.cos((dip - end) / len(glide) * np.pi / 2) ** 2
    fade = np.minimum(1, np.minimum(times, times[::-1]) / 0.01)
    return sound * level * fade, ends


def write_spoken_tones(folder: Path, count: int, seed: int) -> None:
    """Write a synthetic corpus: `count` utterances in `folder`/train.jsonl, a sixth as many in dev.jsonl.

    An utterance has one to four words and takes 1 to 2.5 seconds. Two thirds of the words are from a list of
    eighty, which is the same for every seed, and one third are random letters. Train and dev have different
    speakers.

    Raises:
        ValueError: `count` is below 1.
        OSError: a file cannot be written.
    """
    if count < 1:
        raise ValueError(f"count is {count}; ask for one utterance at least")
    vocabulary = [_make_word(np.random.default_rng(index)) for index in range(TONES_WORDS)]
    for number, (split, size, speakers) in enumerate(
        (("train", count, 24), ("dev", math.ceil(count / 6), 6))
    ):
        rng = np.random.default_rng((seed, number))
        voices = [draw_speaker(f"{split}{index:02d}", rng) for index in range(speakers)]
        (folder / split).mkdir(parents=True, exist_ok=True)
        with written_aside(folder / f"{split}.jsonl") as manifest:
            for index in tqdm(range(size), desc=split, unit=" files", disable=None):
                voice = voices[rng.integers(speakers)]
                tones = _say_something(voice, vocabulary, rng)
                source = f"{split}/{voice.name}_{index:05d}.flac"
                soundfile.write(folder / source, tones.samples, TONES_RATE_HZ, subtype="PCM_16")
                fields = {
                    "audio_filepath": source,
                    "duration": round(len(tones.samples) / TONES_RATE_HZ, 4),
                    "text": " ".join(word for word, _, _ in tones.words),
                    "speaker": voice.name,
                    "words": _rounded(tones.words),
                    "characters": _rounded(tones.characters),
                }
                manifest.write(json.dumps(fields).encode() + b"\n")


def _rounded(places: list[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    return [(text, round(start, 4), round(end, 4)) for text, start, end in places]


def _say_something(speaker: Speaker, vocabulary: list[str], rng: np.random.Generator) -> Tones:
    """Return an utterance of random words that takes 1 to 2.5 s."""
    while True:
        words = [
            _make_word(rng) if rng.random() < 1 / 3 else vocabulary[rng.integers(len(vocabulary))]
            for _ in range(rng.integers(1, 5))
        ]
        tones = say_tones(" ".join(words), speaker, rng)
        if 1 <= len(tones.samples) / TONES_RATE_HZ <= 2.5:
            return tones


def _make_word(rng: np.random.Generator) -> str:
    return "".join(rng.choice(list(TONES_LETTERS), rng.integers(2, 7)))


@dataclass(frozen=True)
class TonesCommand:
    """Write a corpus of spoken tones."""

    folder: Positional[Path]
    """folder to write train.jsonl, dev.jsonl and their recordings into"""
    count: int = 600
    """number of utterances in train; dev has a sixth as many"""
    seed: int = 1
    """seed of the speakers and sentences"""


def main() -> None:
    """Run the command `tones FOLDER` with its flags."""
    prog = "python -m asr.synthesis"
    verb, arguments = choose({"tones": "Write a corpus of spoken tones."}, sys.argv[1:], prog)
    command = parse(TonesCommand, arguments, f"{prog} {verb}")
    try:
        write_spoken_tones(command.folder, command.count, command.seed)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

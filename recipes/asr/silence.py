"""Write recordings without speech, with a manifest of empty texts: silence, noises and pauses.

    python recipes/asr/silence.py READINGS.jsonl FOLDER --noises NOISE.jsonl --model MODEL

The pauses are those between the words of READINGS, where the model finds no label for long, joined.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from asr.corpora import CorpusConfig, read_corpus
from asr.modality import ASR
from asr.signal import SignalConfig, read
from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.data.manifest import Example, write_manifest
from common.decoding.silence import silent_steps
from common.recognition.loading import load_recognizer

RATE_HZ = 16_000
JOIN_S = 0.05
"""duration of the cross-fade between two pauses"""
SHORTEST_PAUSE_S = 0.3
HUM_HZ = (50, 60)


@dataclass(frozen=True)
class Silence:
    """Write recordings without speech."""

    readings: Positional[str]
    """corpus whose pauses are used"""
    folder: Positional[Path]
    """folder to write; its manifest is silence.jsonl"""
    noises: str
    """manifest of noises without speech"""
    model: Path | None = None
    """model that finds the pauses; the bundled one if none is named"""
    read: int = 300
    """how many of the readings are searched for pauses"""
    count: int = 240
    """number of recordings"""
    seconds: tuple[float, float] = (1.0, 20.0)
    """range of their durations"""
    level_db: tuple[float, float] = (-85.0, -20.0)
    """range of their levels under full scale; a tenth are digital silence"""
    seed: int = 1
    """seed of all random numbers"""


def coloured(size: int, rng: np.random.Generator) -> np.ndarray:
    """Return noise (N,) between white and brown, half of it with the hum of mains."""
    slope, frequency = rng.uniform(0, 2), np.fft.rfftfreq(size, 1 / RATE_HZ)
    spectrum = rng.standard_normal(len(frequency)) + 1j * rng.standard_normal(len(frequency))
    noise = np.fft.irfft(spectrum / np.maximum(frequency, 20) ** (slope / 2), size)
    if rng.random() < 0.5:
        phase = 2 * np.pi * rng.choice(HUM_HZ) / RATE_HZ * np.arange(size)
        hum = sum(rng.random() * np.sin(n * phase) / n for n in (1, 2, 3, 5, 7))
        noise += rng.uniform(0, 3) * noise.std() * hum
    return noise


def part_of(sound: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return a random part (N,) of a sound, which is repeated if it is shorter."""
    start = int(rng.integers(len(sound)))
    return np.take(sound, np.arange(start, start + size), mode="wrap")


def pauses_of(readings: str, model: Path | None, most: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the pauses (N,) of some readings, each long enough."""
    recognizer = load_recognizer(ASR, model)
    sources = [example.source for example in read_corpus(readings, CorpusConfig()).examples]
    pauses = []
    for source in rng.permutation(sources)[:most]:
        samples = read(source, SignalConfig(sample_rate_hz=RATE_HZ)).values
        found = recognizer.log_probs([samples])
        silent = np.asarray(silent_steps(found.values, found.lengths))[0, : found.lengths[0]]
        edges = np.flatnonzero(np.diff(np.concatenate([[0], silent, [0]])))
        pauses += [samples[start:end] for start, end in edges.reshape(-1, 2) * recognizer.stride]
    return [pause for pause in pauses if len(pause) >= SHORTEST_PAUSE_S * RATE_HZ]


def joined(pauses: list[np.ndarray], size: int, rng: np.random.Generator) -> np.ndarray:
    """Return random pauses one after the other (N,), with cross-fades."""
    fade = int(JOIN_S * RATE_HZ)
    rise = np.sin(np.linspace(0, np.pi / 2, fade))  # the power stays the same
    sound = pauses[rng.integers(len(pauses))].copy()
    while len(sound) < size:
        more = pauses[rng.integers(len(pauses))]
        middle = sound[-fade:] * rise[::-1] + more[:fade] * rise
        sound = np.concatenate([sound[:-fade], middle, more[fade:]])
    return sound[:size]


def recordings(command: Silence, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the samples (N,) of each recording."""
    noises = [read(one.source, SignalConfig(sample_rate_hz=RATE_HZ)).values
              for one in read_corpus(command.noises, CorpusConfig()).examples]  # fmt: skip
    pauses = pauses_of(command.readings, command.model, command.read, rng)
    print(f"{len(noises)} noises, {len(pauses)} pauses of {sum(map(len, pauses)) / RATE_HZ:.0f} s")
    kinds: tuple[Callable[[int], np.ndarray], ...] = (
        lambda size: coloured(size, rng),
        lambda size: part_of(noises[rng.integers(len(noises))], size, rng),
        lambda size: joined(pauses, size, rng),
    )
    for number in range(command.count):
        size = int(np.exp(rng.uniform(*np.log(command.seconds))) * RATE_HZ)
        if number % 10 == 0:
            yield np.zeros(size, np.float32)
            continue
        sound = kinds[number % len(kinds)](size)
        level = 10 ** (rng.uniform(*command.level_db) / 20) / max(float(np.sqrt((sound**2).mean())), 1e-9)
        yield np.clip(sound * level, -1, 1).astype(np.float32)


def main() -> None:
    """Write the recordings and their manifest."""
    command = parse(Silence)
    rng = np.random.default_rng(command.seed)
    command.folder.mkdir(parents=True, exist_ok=True)
    examples = []
    for number, samples in enumerate(recordings(command, rng)):
        path = command.folder / f"{number:04d}.wav"
        soundfile.write(path, samples, RATE_HZ)
        examples.append(Example(str(path), "", round(len(samples) / RATE_HZ, 3)))
    write_manifest(command.folder / "silence.jsonl", examples)
    print(f"{command.folder}: {len(examples)} recordings, {sum(one.length or 0 for one in examples):.0f} s")


if __name__ == "__main__":
    main()

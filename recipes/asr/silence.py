"""Write recordings without speech, with a manifest of empty texts: silence, noises and pauses.

    python recipes/asr/silence.py READINGS.jsonl FOLDER --noises NOISE.jsonl --model MODEL

The pauses are those between the words of READINGS, where the model finds no label for long, joined.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from sounds import RATE_HZ, coloured, joined, part_of, read_sounds, scaled

from asr.corpora import CorpusConfig, read_corpus
from asr.modality import ASR
from asr.signal import SignalConfig, read
from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.data.manifest import Example, write_manifest
from common.decoding.silence import silent_steps
from common.recognition.loading import load_recognizer

SHORTEST_PAUSE_S = 0.3


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


def recordings(command: Silence, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the samples (N,) of each recording."""
    noises = read_sounds([command.noises])
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
        yield np.clip(scaled(sound, rng.uniform(*command.level_db)), -1, 1).astype(np.float32)


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

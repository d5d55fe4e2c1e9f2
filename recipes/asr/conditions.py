"""Write a corpus as it sounds in worse conditions: under noise, and through a telephone.

    python recipes/asr/conditions.py DEV.jsonl FOLDER --noises noise.wav

FOLDER gets noise.jsonl and telephone.jsonl with their recordings, in the texts and the order of the corpus.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from sounds import RATE_HZ, part_of, read_sounds

from asr.augment import add_noise, keep_band
from asr.corpora import CorpusConfig, read_corpus
from asr.signal import SignalConfig, read
from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.data.manifest import Example, write_manifest


@dataclass(frozen=True)
class Conditions:
    """Write a corpus under noise and through a telephone."""

    corpus: Positional[str]
    """corpus to read"""
    folder: Positional[Path]
    """folder to write"""
    noises: str
    """sound or manifest of sounds, best of ones that no model has learnt with"""
    snr_db: float = 10.0
    """level of the speech over the noise"""
    band_hz: tuple[float, float] = (300.0, 3400.0)
    """frequencies that a telephone keeps"""
    seed: int = 1
    """seed of all random numbers"""


def versions_of(
    samples: np.ndarray, command: Conditions, noises: list[np.ndarray], rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name of each condition, and sound (N,) as it is heard there."""
    noise = part_of(noises[rng.integers(len(noises))], len(samples), rng)
    yield "noise", add_noise(samples, noise, command.snr_db)
    yield "telephone", keep_band(samples, *command.band_hz, RATE_HZ)


def main() -> None:
    """Write the recordings and a manifest for each condition."""
    command = parse(Conditions)
    rng, noises = np.random.default_rng(command.seed), read_sounds([command.noises])
    examples: dict[str, list[Example]] = {}
    for number, example in enumerate(read_corpus(command.corpus, CorpusConfig()).examples):
        samples = read(example.source, SignalConfig(sample_rate_hz=RATE_HZ)).values
        for name, sound in versions_of(samples, command, noises, rng):
            path = command.folder / name / f"{number:05d}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, sound / np.abs(sound).max(initial=1.0), RATE_HZ)
            examples.setdefault(name, []).append(replace(example, source=str(path)))
    for name, written in examples.items():
        write_manifest(command.folder / f"{name}.jsonl", written)
        print(f"{command.folder / name}.jsonl: {len(written)} recordings")


if __name__ == "__main__":
    main()

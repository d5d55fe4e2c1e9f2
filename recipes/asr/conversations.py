"""Write recordings of which it is known where somebody speaks, with a manifest of these places.

    asr align MODEL READINGS.jsonl > ALIGNED.jsonl
    python recipes/asr/conversations.py ALIGNED.jsonl FOLDER --noises NOISE.jsonl --hours 4

Runs of words are cut out of aligned readings and put one after the other, with pauses. A room, noise or music
is added, and the level is changed:

    run of words -- pause -- run of words -- pause ...  --> room --> noise or music --> level
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from readings import Reading, reading_of, within
from sounds import RATE_HZ, altered, coloured, joined, knocks, music, part_of, read_sounds, scaled, swelling

from asr.augment import make_response, put_into_room
from asr.corpora import CorpusConfig, read_corpus
from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.data.manifest import Example, Part, write_manifest

Condition = Literal["clean", "noise", "music", "mixed", "quiet", "none"]
"""clean: speech alone; noise, music, mixed: under it; quiet: from 30 to 50 dB under full scale, with faint
noise; none: no speech, but digital silence, noise, music or pauses of the readings"""
FADE_S = 0.01


@dataclass(frozen=True)
class Conversations:
    """Write recordings of which it is known where somebody speaks."""

    aligned: Positional[str]
    """manifest with the positions of words, or several with commas between them"""
    folder: Positional[Path]
    """folder to write; its manifest is conversations.jsonl"""
    noises: tuple[str, ...] = ()
    """sound files of noises, or manifests of them; other noise is generated"""
    alter: bool = False
    """change the speed and the frequencies of most of these noises, so that few sound like many"""
    rooms: tuple[str, ...] = ()
    """files of impulse responses, or manifests of them; other rooms are generated"""
    music: tuple[str, ...] = ()
    """sound files of music; without any, music is generated"""
    conditions: tuple[Condition, ...] = ("clean", "noise", "music", "mixed", "quiet", "none")
    """conditions, which take turns"""
    hours: float = 4.0
    """duration of all recordings together"""
    seconds: tuple[float, float] = (8.0, 25.0)
    """range of the durations of the recordings"""
    pause_s: float = 5.0
    """longest pause that is put between runs of words"""
    snr_db: tuple[float, float] = (0.0, 30.0)
    """range of the level of speech above noise or music"""
    level_db: tuple[float, float] = (-40.0, -10.0)
    """range of the levels under full scale, except of quiet ones"""
    seed: int = 1
    """seed of all random numbers"""


class Studio:
    """What recordings are made of, and the random numbers."""

    def __init__(self, command: Conversations) -> None:
        self.command, self.rng = command, np.random.default_rng(command.seed)
        self.noises, self.music = read_sounds(command.noises), read_sounds(command.music)
        self.rooms = read_sounds(command.rooms)
        self.readings: list[Example] = []
        for manifest in command.aligned.split(","):
            corpus = read_corpus(manifest, CorpusConfig())
            self.readings += corpus.examples
            for problem in corpus.problems:
                print(f"left out: {problem}")
        if not any(example.words for example in self.readings):
            raise ValueError(f"{command.aligned}: has no positions of words; write them with `asr align`")

    def reading(self) -> Reading:
        """Return one of the readings in which somebody speaks."""
        while True:
            found = reading_of(self.readings[self.rng.integers(len(self.readings))])
            if found.runs:
                return found

    def conversation(self, size: int) -> tuple[np.ndarray, list[Part]]:
        """Return parts of readings with pauses between them (N,), and the runs of words in it.

        No run is cut off at the end, so N may be more than `size`.
        """
        rng, muted = self.rng, self.rng.random() < 0.3
        pieces: list[np.ndarray] = []
        runs: list[Part] = []
        length = 0
        while True:
            reading = self.reading()
            pause = np.zeros(int(self.command.pause_s * rng.random() ** 2 * RATE_HZ))
            if reading.pauses and not muted:
                pause = joined(reading.pauses, len(pause), rng)
            sound, spoken = self._cut(reading)
            gain = 10 ** (rng.uniform(-6, 0) / 20) / max(_level(sound, spoken), 1e-6)
            pieces.append(_faded(gain * pause))
            length += len(pause)
            if length >= size:
                break
            start_s = length / RATE_HZ
            runs += [Part(run.text, run.start + start_s, run.end + start_s) for run in spoken]
            pieces.append(_faded(gain * sound))
            length += len(sound)
            if length >= size:
                break
        last = int(runs[-1].end * RATE_HZ) if runs else 0
        return np.concatenate(pieces)[: max(size, last)], runs

    def _cut(self, reading: Reading) -> tuple[np.ndarray, list[Part]]:
        """Return some runs of a reading that follow each other, with the sound between and around them."""
        first = int(self.rng.integers(len(reading.runs)))
        last = min(len(reading.runs), first + int(self.rng.integers(1, 5)))
        runs, (before, after) = reading.runs[first:last], self.rng.uniform(0.02, 0.4, 2)
        start = max(0.0, runs[0].start - before)
        end = min(len(reading.samples) / RATE_HZ, runs[-1].end + after)
        if first:
            start = max(start, (reading.runs[first - 1].end + runs[0].start) / 2)
        if last < len(reading.runs):
            end = min(end, (runs[-1].end + reading.runs[last].start) / 2)
        moved = [Part(run.text, run.start - start, run.end - start) for run in runs]
        return within(reading.samples, start, end), moved

    def noise(self, size: int) -> np.ndarray:
        """Return noise (N,): from a file, or generated; some is the sum of two, and some is altered."""
        rng = self.rng
        if rng.random() < 0.2:
            return scaled(self.noise(size), rng.uniform(-10, 0)) + scaled(self.noise(size), 0)
        if not self.noises or rng.random() < 0.5:
            return (coloured, swelling, knocks)[rng.integers(3)](size, rng)
        sound = self.noises[rng.integers(len(self.noises))]
        if self.command.alter and rng.random() < 0.7:
            sound = altered(sound, rng)
        return part_of(sound, size, rng)

    def song(self, size: int) -> np.ndarray:
        """Return music (N,): from a file, or generated if there is none."""
        if self.music:
            return part_of(self.music[self.rng.integers(len(self.music))], size, self.rng)
        sound = music(size, self.rng)
        return self.room(sound) if self.rng.random() < 0.3 else sound

    def room(self, sound: np.ndarray) -> np.ndarray:
        """Return the sound (N,) in a room."""
        rng = self.rng
        if self.rooms and rng.random() < 0.5:
            response = self.rooms[rng.integers(len(self.rooms))]
            peak = int(np.abs(response).argmax())
            response = response[max(0, peak - RATE_HZ // 100) : peak + RATE_HZ // 2]
        else:
            response = make_response(rng.uniform(0.1, 0.7), rng.uniform(-2, 14), RATE_HZ, rng)
        return put_into_room(sound.astype(np.float32), response.astype(np.float32))

    def without_speech(self, size: int) -> np.ndarray:
        """Return digital silence, noise, music or pauses of readings (N,)."""
        kind = self.rng.integers(10)
        if kind == 0:
            return np.zeros(size)
        if kind in (1, 2):
            pauses = [pause for _ in range(10) for pause in self.reading().pauses]
            return joined(pauses, size, self.rng) if pauses else np.zeros(size)
        return self.song(size) if kind % 2 else self.noise(size)

    def recording(self, condition: Condition) -> tuple[np.ndarray, list[Part]]:
        """Return a recording (N,) and the runs of words in it."""
        rng, command = self.rng, self.command
        size = int(rng.uniform(*command.seconds) * RATE_HZ)
        level_db = rng.uniform(*command.level_db)
        if condition == "none":
            sound = self.without_speech(size)
            return scaled(sound, rng.uniform(-80, -15) if rng.random() < 0.5 else level_db), []
        sound, runs = self.conversation(size)
        if rng.random() < 0.3:
            sound = self.room(sound)
        sound = sound / max(_level(sound, runs), 1e-6)
        snr_db = rng.uniform(*command.snr_db)
        if condition in ("noise", "mixed"):
            sound += scaled(self.noise(len(sound)), -snr_db)
        if condition in ("music", "mixed"):
            sound += scaled(self.song(len(sound)), -snr_db)
        if condition == "quiet":
            level_db = rng.uniform(-50, -30)
            sound += scaled(coloured(len(sound), rng), -rng.uniform(15, 40))
        return sound * 10 ** (level_db / 20), runs


def _level(sound: np.ndarray, runs: list[Part]) -> float:
    """Return the RMS of the runs of a sound (N,); without a run, 1."""
    powers = [np.square(within(sound, run.start, run.end)).mean() for run in runs]
    return float(np.sqrt(np.mean(powers))) if powers else 1.0


def _faded(sound: np.ndarray) -> np.ndarray:
    """Return a sound (N,) that rises and falls at its ends, so that there is no click."""
    place = np.arange(len(sound)) + 1
    return sound * np.minimum(1, np.minimum(place, place[::-1]) / (FADE_S * RATE_HZ))


def recordings(studio: Studio) -> Iterator[tuple[Condition, np.ndarray, list[Part]]]:
    """Yield recordings, with their conditions and runs of words, until there are enough hours."""
    total = 0
    for condition in cycle(studio.command.conditions):
        if total >= studio.command.hours * 3600 * RATE_HZ:
            return
        sound, runs = studio.recording(condition)
        total += len(sound)
        yield condition, (sound / max(1.0, float(np.abs(sound).max()))).astype(np.float32), runs


def main() -> None:
    """Write the recordings and their manifest."""
    command = parse(Conversations)
    folder = command.folder
    folder.mkdir(parents=True, exist_ok=True)
    examples = []
    for number, (condition, samples, runs) in enumerate(recordings(Studio(command))):
        path = folder / f"{number:04d}-{condition}.wav"
        soundfile.write(path, samples, RATE_HZ)
        text = " ".join(run.text for run in runs)
        examples.append(Example(str(path), text, round(len(samples) / RATE_HZ, 3), words=tuple(runs)))
    write_manifest(folder / "conversations.jsonl", examples)
    total = sum(one.length or 0 for one in examples)
    spoken = sum(run.end - run.start for one in examples for run in one.words)
    print(f"{folder}: {len(examples)} recordings, {total:.0f} s, of which {spoken:.0f} s are speech")


if __name__ == "__main__":
    main()

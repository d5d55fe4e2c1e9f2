"""Write recordings of which it is known where somebody speaks, with a manifest of these places.

    asr align MODEL READINGS.jsonl > ALIGNED.jsonl
    python recipes/asr/activity.py ALIGNED.jsonl FOLDER --noises NOISE.jsonl --hours 3

Runs of words are cut out of aligned readings and put one after the other, with pauses. A room, noise or music
is added, and the level is changed:

    run of words -- pause -- run of words -- pause ...  --> room --> noise or music --> level
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import soundfile
from sounds import RATE_HZ, coloured, joined, knocks, music, part_of, read_sounds, scaled, swelling

from asr.augment import make_response, put_into_room
from asr.corpora import CorpusConfig, read_corpus
from asr.signal import SignalConfig, read
from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.data.manifest import Example, Part, write_manifest

Condition = Literal["clean", "noise", "music", "mixed", "quiet", "none"]
"""clean: speech alone; noise, music, mixed: under it; quiet: from 30 to 50 dB under full scale, with faint
noise; none: no speech, but digital silence, noise, music or pauses of the readings"""
FRAME = RATE_HZ // 100
CLOSED_S = 0.2
"""shorter gaps between words belong to speech"""
QUIET_DB = 35.0
"""A frame that is this far under the loud ones of its reading is not speech."""
FLOOR_DB = 6.0
"""A frame that is less than this above the quietest ones of its reading is not speech."""
MOVED_S = 0.15
"""how far the edge of a run of words is moved by the energy at most"""
SHORTEST_PAUSE_S = 0.12
FADE_S = 0.01


@dataclass(frozen=True)
class Activity:
    """Write recordings of which it is known where somebody speaks."""

    aligned: Positional[tuple[str, ...]]
    """manifests with the positions of words, and last the folder to write; its manifest is activity.jsonl"""
    noises: tuple[str, ...] = ()
    """sound files of noises, or manifests of them; other noise is generated"""
    rooms: tuple[str, ...] = ()
    """files of impulse responses, or manifests of them; other rooms are generated"""
    music: tuple[str, ...] = ()
    """sound files of music; without any, music is generated"""
    speakers: tuple[str, ...] = ()
    """speakers whose readings are used; all if none are named"""
    conditions: tuple[Condition, ...] = ("clean", "noise", "music", "mixed", "quiet", "none")
    """conditions, which take turns"""
    hours: float = 3.0
    """duration of all recordings together"""
    seconds: tuple[float, float] = (10.0, 40.0)
    """range of the durations of the recordings"""
    pause_s: float = 5.0
    """longest pause that is put between runs of words"""
    snr_db: tuple[float, float] = (0.0, 30.0)
    """range of the level of speech above noise or music"""
    level_db: tuple[float, float] = (-40.0, -10.0)
    """range of the levels under full scale, except of quiet ones"""
    seed: int = 1
    """seed of all random numbers"""


class Reading(NamedTuple):
    """A reading, the runs of words in it, and what lies between them."""

    samples: np.ndarray
    runs: list[Part]
    pauses: list[np.ndarray]


def loudness(samples: np.ndarray) -> np.ndarray:
    """Return the level in dB of each frame of 10 ms of samples (N,)."""
    count = len(samples) // FRAME
    return 10 * np.log10(np.square(samples[: count * FRAME].reshape(count, FRAME)).mean(1) + 1e-10)


def runs_of(words: tuple[Part, ...], levels: np.ndarray) -> list[Part]:
    """Return the runs of words without a pause between them; `levels` in dB (frames,) correct their edges.

    An edge moves outwards over frames with speech, or inwards over frames without, 0.15 s at most.
    """
    if not len(levels):
        return []
    limit = max(float(np.quantile(levels, 0.95)) - QUIET_DB, float(np.quantile(levels, 0.05)) + FLOOR_DB)
    spoken = levels > limit
    runs: list[Part] = []
    for word in words:
        if runs and word.start - runs[-1].end < CLOSED_S:
            runs[-1] = Part(f"{runs[-1].text} {word.text}", runs[-1].start, max(word.end, runs[-1].end))
        else:
            runs.append(word)
    found: list[Part] = []
    for text, start, end in runs:
        first = _start_near(spoken, round(start * 100))
        last = len(spoken) - _start_near(spoken[::-1], len(spoken) - round(end * 100))
        if last <= first:
            continue
        if found and first / 100 - found[-1].end < CLOSED_S:
            found[-1] = Part(f"{found[-1].text} {text}", found[-1].start, last / 100)
        else:
            found.append(Part(text, first / 100, last / 100))
    return found


def _start_near(spoken: np.ndarray, edge: int) -> int:
    """Return the frame near the frame `edge` where speech begins, of `spoken` (frames,)."""
    edge, most = min(max(edge, 0), len(spoken)), round(MOVED_S * 100)
    before, after = spoken[max(0, edge - most) : edge][::-1], spoken[edge : edge + most]
    if len(before) and before[0]:
        return edge - int(np.argmin(np.append(before, False)))
    return edge + int(np.argmax(np.append(after, True)))


def reading_of(example: Example) -> Reading:
    """Return a reading with its runs of words and its pauses, each long enough."""
    samples = read(example.source, SignalConfig(sample_rate_hz=RATE_HZ)).values
    runs = runs_of(example.words, loudness(samples))
    edges = [0.0, *(edge for run in runs for edge in (run.start - 0.05, run.end + 0.1)), len(samples) / RATE_HZ]
    pauses = [samples[int(start * RATE_HZ) : int(end * RATE_HZ)] for start, end in zip(*[iter(edges)] * 2, strict=True)
              if end - start >= SHORTEST_PAUSE_S]  # fmt: skip
    return Reading(samples, runs, pauses)


class Studio:
    """What recordings are made of, and the random numbers."""

    def __init__(self, command: Activity) -> None:
        self.command, self.rng = command, np.random.default_rng(command.seed)
        self.noises, self.music = read_sounds(command.noises), read_sounds(command.music)
        self.rooms = read_sounds(command.rooms)
        self.speakers: dict[str, list[Example]] = {}
        for manifest in command.aligned[:-1]:
            corpus = read_corpus(manifest, CorpusConfig())
            for problem in corpus.problems:
                print(f"left out: {problem}")
            for example in corpus.examples:
                speaker = f"{Path(manifest).stem}/{example.speaker or Path(example.source).stem.split('-')[0]}"
                if not command.speakers or example.speaker in command.speakers:
                    self.speakers.setdefault(speaker, []).append(example)
        if not self.speakers:
            raise ValueError(f"{command.aligned[:-1]}: have no reading of {command.speakers or 'anybody'}")

    def conversation(self, size: int) -> tuple[np.ndarray, list[Part]]:
        """Return speech of one to three speakers with pauses (N,), and the runs of words in it."""
        rng, muted = self.rng, self.rng.random() < 0.3
        names, sizes = list(self.speakers), np.array([len(theirs) for theirs in self.speakers.values()])
        turns = rng.choice(names, rng.integers(1, 4), p=sizes / sizes.sum())
        gains_db = rng.uniform(-6, 0, len(turns))
        pieces: list[np.ndarray] = []
        runs: list[Part] = []
        length = 0
        while length < size:
            turn = rng.integers(len(turns))
            theirs = self.speakers[turns[turn]]
            reading = reading_of(theirs[rng.integers(len(theirs))])
            if not reading.runs:
                continue
            pause = np.zeros(int(self.command.pause_s * rng.random() ** 2 * RATE_HZ))
            if reading.pauses and not muted:
                pause = joined(reading.pauses, len(pause), rng)
            sound, spoken = self._cut(reading)
            level = np.sqrt(np.mean([np.square(_within(sound, run)).mean() for run in spoken]))
            gain = 10 ** ((gains_db[turn] - 26) / 20) / max(float(level), 1e-6)
            length += len(pause)
            runs += [Part(run.text, run.start + length / RATE_HZ, run.end + length / RATE_HZ) for run in spoken]
            length += len(sound)
            pieces += [_faded(gain * pause), _faded(gain * sound)]
        kept = [run for run in runs if run.start < size / RATE_HZ]
        if kept and kept[-1].end > size / RATE_HZ:
            size = int(kept[-1].end * RATE_HZ)  # no run is cut, so that its text is right
        return np.concatenate(pieces)[:size], kept

    def _cut(self, reading: Reading) -> tuple[np.ndarray, list[Part]]:
        """Return some runs of a reading that follow each other, with the sound between and around them."""
        first = int(self.rng.integers(len(reading.runs)))
        last = min(len(reading.runs), first + int(self.rng.integers(1, 5)))
        before = reading.runs[first - 1].end if first else 0.0
        after = reading.runs[last].start if last < len(reading.runs) else len(reading.samples) / RATE_HZ
        runs = reading.runs[first:last]
        margins = self.rng.uniform(0.02, 0.4, 2)
        start = max((before + runs[0].start) / 2 if first else 0.0, runs[0].start - margins[0])
        end = min((after + runs[-1].end) / 2 if last < len(reading.runs) else after, runs[-1].end + margins[1])
        sound = reading.samples[int(start * RATE_HZ) : int(end * RATE_HZ)]
        return sound, [Part(run.text, run.start - start, run.end - start) for run in runs]

    def noise(self, size: int) -> np.ndarray:
        """Return noise (N,): from a file, or generated."""
        rng = self.rng
        if self.noises and rng.random() < 0.5:
            return part_of(self.noises[rng.integers(len(self.noises))], size, rng)
        return (coloured, swelling, knocks)[rng.integers(3)](size, rng)

    def song(self, size: int) -> np.ndarray:
        """Return music (N,): from a file, or generated if there is none."""
        if self.music:
            return part_of(self.music[self.rng.integers(len(self.music))], size, self.rng)
        return music(size, self.rng)

    def room(self, sound: np.ndarray) -> np.ndarray:
        """Return the sound (N,) in a room."""
        rng = self.rng
        if self.rooms and rng.random() < 0.5:
            response = self.rooms[rng.integers(len(self.rooms))]
            peak = int(np.abs(response).argmax())
            response = response[max(0, peak - FRAME) : peak + RATE_HZ // 2]
        else:
            response = make_response(rng.uniform(0.1, 0.7), rng.uniform(-2, 14), RATE_HZ, rng)
        return put_into_room(sound.astype(np.float32), response.astype(np.float32))

    def without_speech(self, size: int) -> np.ndarray:
        """Return digital silence, noise, music or pauses of readings (N,)."""
        kind = self.rng.integers(10)
        if kind == 0:
            return np.zeros(size)
        if kind in (1, 2):
            names = list(self.speakers)
            theirs = self.speakers[names[self.rng.integers(len(names))]]
            pauses = [pause for example in theirs[:20] for pause in reading_of(example).pauses]
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
        level = np.sqrt(np.mean([np.square(_within(sound, run)).mean() for run in runs]))
        sound = sound / level
        snr_db = rng.uniform(*command.snr_db)
        if condition in ("noise", "mixed"):
            sound += scaled(self.noise(len(sound)), -snr_db)
        if condition in ("music", "mixed"):
            sound += scaled(self.song(len(sound)), -snr_db)
        if condition == "quiet":
            level_db = rng.uniform(-50, -30)
            sound += scaled(coloured(len(sound), rng), -rng.uniform(15, 40))
        return sound * 10 ** (level_db / 20), runs


def _within(sound: np.ndarray, run: Part) -> np.ndarray:
    return sound[int(run.start * RATE_HZ) : max(int(run.end * RATE_HZ), int(run.start * RATE_HZ) + 1)]


def _faded(sound: np.ndarray) -> np.ndarray:
    """Return a sound (N,) that rises and falls at its ends, so that there is no click."""
    place = np.arange(len(sound)) + 1
    return sound * np.minimum(1, np.minimum(place, place[::-1]) / (FADE_S * RATE_HZ))


def recordings(studio: Studio) -> Iterator[tuple[Condition, np.ndarray, list[Part]]]:
    """Yield recordings, with their conditions and runs of words, until there are enough hours."""
    conditions, total = studio.command.conditions, 0
    for number in range(1_000_000):
        if total >= studio.command.hours * 3600 * RATE_HZ:
            return
        condition = conditions[number % len(conditions)]
        sound, runs = studio.recording(condition)
        total += len(sound)
        yield condition, (sound / max(1.0, float(np.abs(sound).max()))).astype(np.float32), runs


def main() -> None:
    """Write the recordings and their manifest."""
    command = parse(Activity)
    folder = Path(command.aligned[-1])
    folder.mkdir(parents=True, exist_ok=True)
    examples = []
    for number, (condition, samples, runs) in enumerate(recordings(Studio(command))):
        path = folder / f"{number:04d}-{condition}.wav"
        soundfile.write(path, samples, RATE_HZ)
        text = " ".join(run.text for run in runs)
        examples.append(Example(str(path), text, round(len(samples) / RATE_HZ, 3), words=tuple(runs)))
    write_manifest(folder / "activity.jsonl", examples)
    total = sum(one.length or 0 for one in examples)
    spoken = sum(run.end - run.start for one in examples for run in one.words)
    print(f"{folder}: {len(examples)} recordings, {total:.0f} s, of which {spoken:.0f} s are speech")


if __name__ == "__main__":
    main()

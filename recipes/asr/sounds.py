"""Sounds without speech, drawn from random numbers: noise, music and knocks; and sounds made from parts."""

from collections.abc import Iterable, Sequence

import numpy as np

from asr.corpora import SOUND_EXTS, CorpusConfig, read_corpus
from asr.signal import SignalConfig, read

RATE_HZ = 16_000
JOIN_S = 0.05
"""duration of the cross-fade between two parts"""
HUM_HZ = (50, 60)
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9), (0, 3, 5, 7, 10))
"""semitones of major, minor and two pentatonic scales"""


def read_sounds(names: Iterable[str]) -> list[np.ndarray]:
    """Return the samples (N,) of each sound file, and of each one that a manifest lists."""
    files: list[str] = []
    for name in names:
        is_sound = name.lower().endswith(tuple(SOUND_EXTS))
        listed = [] if is_sound else read_corpus(name, CorpusConfig()).examples
        files += [name] if is_sound else [example.source for example in listed]
    return [read(file, SignalConfig(sample_rate_hz=RATE_HZ)).values for file in files]


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


def shaded(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a sound (N,) whose frequencies are stronger or weaker by 15 dB at most."""
    spectrum = np.fft.rfft(sound)
    octaves = np.log2(np.linspace(20, RATE_HZ / 2, len(spectrum)))
    curve_db = np.interp(octaves, np.linspace(octaves[0], octaves[-1], 8), rng.uniform(-15, 15, 8))
    return np.fft.irfft(spectrum * 10 ** (curve_db / 20), len(sound))


def swelling(size: int, rng: np.random.Generator) -> np.ndarray:
    """Return one to four noises (N,), whose levels rise and fall by up to 30 dB, each at its own pace."""
    sound = np.zeros(size)
    for _ in range(rng.integers(1, 5)):
        count = max(2, int(size / RATE_HZ / np.exp(rng.uniform(*np.log([0.05, 2])))))
        level_db = np.interp(np.linspace(0, count - 1, size), np.arange(count), rng.uniform(-30, 0, count))
        noise = shaded(coloured(size, rng), rng)
        sound += noise / noise.std() * 10 ** (level_db / 20)
    return sound


def altered(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a recorded sound (N,) at another speed (M,), its frequencies weaker or stronger."""
    speed = np.exp(rng.uniform(-0.5, 0.5))
    places = np.arange(0, len(sound) - 1, speed)
    return shaded(np.interp(places, np.arange(len(sound)), sound), rng)


def knocks(size: int, rng: np.random.Generator) -> np.ndarray:
    """Return short bursts of noise (N,) at random times, such as steps, keys and doors."""
    times = np.cumsum(rng.exponential(rng.uniform(0.1, 1.5), max(4, 10 * size // RATE_HZ)))
    sound = np.zeros(size)
    decay_s = np.exp(rng.uniform(*np.log([0.005, 0.2])))
    for time in times[times < size / RATE_HZ]:
        burst = coloured(max(64, int(5 * decay_s * RATE_HZ)), rng)
        _add(sound, _decaying(burst, decay_s) * rng.uniform(0.2, 1) / burst.std(), int(time * RATE_HZ))
    return sound


def music(size: int, rng: np.random.Generator) -> np.ndarray:
    """Return music (N,): chords, a melody, a bass or drums, or several of these, in one key and tempo."""
    beat = int(RATE_HZ * 60 / rng.uniform(60, 170))
    scale = np.asarray(SCALES[rng.integers(len(SCALES))])
    pitches = rng.integers(36, 48) + np.concatenate([scale + 12 * octave for octave in range(4)])
    bars = [int(rng.integers(len(scale))) for _ in range(4)]  # a step of the scale for each chord
    playing = rng.random(4) < (0.6, 0.6, 0.5, 0.5)
    playing[rng.integers(4)] = True
    sound = np.zeros(size)
    for layer, play in enumerate((_chords, _melody, _bass, _drums)):
        if playing[layer]:
            part = play(size, beat, pitches, bars, rng)
            sound += part * rng.uniform(0.3, 1) / max(float(part.std()), 1e-9)
    if rng.random() < 0.3:
        sound = np.tanh(rng.uniform(0.5, 3) * sound)  # overdriven
    return shaded(sound, rng)


def _chords(
    size: int, beat: int, pitches: np.ndarray, bars: Sequence[int], rng: np.random.Generator
) -> np.ndarray:
    sound, timbre, step = np.zeros(size), _Timbre(rng), beat * int(rng.choice([1, 2, 4]))
    for number, start in enumerate(range(0, size, step)):
        root = bars[number * step // (4 * beat) % len(bars)] + len(pitches) // 4
        for third in (0, 2, 4):
            _add(sound, timbre.note(pitches[root + third], step, rng), start)
    return sound


def _melody(
    size: int, beat: int, pitches: np.ndarray, bars: Sequence[int], rng: np.random.Generator
) -> np.ndarray:
    sound, timbre, start, place = np.zeros(size), _Timbre(rng), 0, len(pitches) // 2
    while start < size:
        length = int(beat * rng.choice([0.25, 0.5, 0.5, 1, 1, 2]))
        place = int(np.clip(place + rng.integers(-3, 4), 0, len(pitches) - 1))
        if rng.random() < 0.85:
            _add(sound, timbre.note(pitches[place], length, rng), start)
        start += length
    return sound


def _bass(
    size: int, beat: int, pitches: np.ndarray, bars: Sequence[int], rng: np.random.Generator
) -> np.ndarray:
    sound, timbre, step = np.zeros(size), _Timbre(rng), beat // int(rng.choice([1, 2]))
    for start in range(0, size, step):
        pitch = pitches[bars[start // (4 * beat) % len(bars)]] - 12 * int(rng.integers(2))
        _add(sound, timbre.note(pitch, step, rng), start)
    return sound


def _drums(
    size: int, beat: int, pitches: np.ndarray, bars: Sequence[int], rng: np.random.Generator
) -> np.ndarray:
    sound, time = np.zeros(size), np.arange(beat) / RATE_HZ
    sweep = 2 * np.pi * np.cumsum(rng.uniform(45, 80) + 120 * np.exp(-time / 0.03)) / RATE_HZ
    kick = _decaying(np.sin(sweep), 0.12)
    hiss = np.diff(rng.standard_normal(beat + 1))
    for number, start in enumerate(range(0, size, beat // 2)):
        if number % 4 == 0 or rng.random() < 0.1:
            _add(sound, kick, start)
        if number % 4 == 2:
            _add(sound, 0.5 * _decaying(hiss, 0.07), start)
        if rng.random() < 0.8:
            _add(sound, 0.2 * _decaying(hiss, 0.02), start)
    return sound


class _Timbre:
    """An instrument: the levels of its overtones, and how its notes begin, tremble, glide and decay.

    Some have a resonance that moves during a note, as with the filter of a synthesizer, and some a breath of
    noise.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        count = int(rng.integers(1, 25))
        self.levels = rng.uniform(0.1, 1, count) / np.arange(1, count + 1) ** rng.uniform(0.3, 2)
        self.attack_s, self.decay_s = rng.uniform(0.003, 0.15), float(rng.choice([0.1, 0.2, 0.5, 10.0]))
        self.sounding = rng.uniform(0.3, 1)  # share of a note before it is damped
        self.vibrato = float(rng.choice([0.0, 0.0, 0.2, 0.5]))  # semitones
        self.glide = float(rng.choice([0.0, 0.0, 1.0, 4.0]))  # semitones at the start of a note
        self.resonance_hz = rng.uniform(300, 3500, 2) if rng.random() < 0.4 else None
        self.breath = rng.uniform(0.05, 0.5) if rng.random() < 0.3 else 0.0

    def note(self, pitch: float, size: int, rng: np.random.Generator) -> np.ndarray:
        """Return a note (N,) of a MIDI `pitch`."""
        size = max(1, int(size * self.sounding))
        time = np.arange(size) / RATE_HZ
        bend = self.vibrato * np.sin(2 * np.pi * rng.uniform(4, 7) * time)
        bend += self.glide * rng.uniform(-1, 1) * np.exp(-time / 0.08)
        hertz = 440 * 2 ** ((pitch + bend - 69) / 12)
        phase = 2 * np.pi * np.cumsum(hertz) / RATE_HZ
        centre_hz = None if self.resonance_hz is None else np.linspace(*self.resonance_hz, size)
        sound = self.breath * rng.standard_normal(size)
        for overtone, level in enumerate(self.levels, 1):
            if overtone * hertz[0] > 0.45 * RATE_HZ:
                break
            part = level * np.sin(overtone * phase)
            if centre_hz is not None:
                part *= 0.1 + np.exp(-(((overtone * hertz - centre_hz) / 300) ** 2))
            sound += part
        rise = np.minimum(1, time / self.attack_s)
        fall = np.minimum(1, time[::-1] / 0.02)  # no click at its end
        return _decaying(sound * rise * fall, self.decay_s) * rng.uniform(0.3, 1)


def _decaying(sound: np.ndarray, decay_s: float) -> np.ndarray:
    return sound * np.exp(-np.arange(len(sound)) / (decay_s * RATE_HZ))


def _add(sound: np.ndarray, part: np.ndarray, start: int) -> None:
    """Add a part to a sound in place, as far as it reaches."""
    end = min(len(sound), start + len(part))
    sound[start:end] += part[: end - start]


def part_of(sound: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return a random part (N,) of a sound, which is repeated if it is shorter."""
    start = int(rng.integers(len(sound)))
    return np.take(sound, np.arange(start, start + size), mode="wrap")


def joined(parts: Sequence[np.ndarray], size: int, rng: np.random.Generator) -> np.ndarray:
    """Return random parts one after the other (N,), with cross-fades."""
    fade = int(JOIN_S * RATE_HZ)
    rise = np.sin(np.linspace(0, np.pi / 2, fade))  # the power stays the same
    pieces = [parts[rng.integers(len(parts))].copy()]
    length = len(pieces[0])
    while length < size:
        more = parts[rng.integers(len(parts))].copy()
        more[:fade] = pieces[-1][-fade:] * rise[::-1] + more[:fade] * rise
        pieces[-1] = pieces[-1][:-fade]
        pieces.append(more)
        length += len(more) - fade
    return np.concatenate(pieces)[:size]


def scaled(sound: np.ndarray, level_db: float) -> np.ndarray:
    """Return a sound (N,) with the RMS `level_db` under full scale; digital silence stays as it is."""
    return sound * (10 ** (level_db / 20) / max(float(np.sqrt((sound**2).mean())), 1e-9))

"""Random changes of recordings for training: another tempo, room, noise, telephone and level."""

import math
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr

from asr.configuration import AugmentConfig
from asr.corpora import SOUND_EXTS
from asr.signal import SignalConfig, measure, read
from common.data.manifest import read_manifest

MADE_SHARE = 0.3
"""share of noises and rooms that are generated even if files are given, so that no file is overlearnt"""
KEPT_S = 30.0
"""noises up to this duration are kept in memory; longer ones are read in pieces"""
RESPONSE_S = 1.0
"""part of an impulse response that is used after the peak of the direct sound"""
ONSET_S = 0.0025
"""part of an impulse response that is used before the peak of the direct sound"""

BAND_EDGE_HZ = 100.0
"""width in which amplitudes fall at the edges of a band"""


class _Sound(NamedTuple):
    """A sound file with noise or with the impulse response of a room."""

    source: str
    duration_s: float


def build_augment(
    config: AugmentConfig, signal_config: SignalConfig
) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """Return a function that changes samples (N,) with random numbers from a generator.

        samples --> speed --> tilt --> room --> noise --> band --> gain --> samples

    The result is float32 in [-1, 1]. Only the change of speed changes N and moves sounds in time. The input
    is not modified. The function can be sent to another process.

    Raises:
        ValueError: `noises` or `rooms` name a place without sound files, a file cannot be read, or the drawn
            bands lie above the frequencies of the sound.
    """
    highest_hz = signal_config.sample_rate_hz / 2
    if config.band_probability and config.band_low_hz[1] >= highest_hz:
        raise ValueError(
            f"band_low_hz goes up to {config.band_low_hz[1]:g}, and the highest frequency of sound with"
            f" {signal_config.sample_rate_hz} samples a second is {highest_hz:g}; choose less"
        )
    rooms = _sounds(config.rooms) if config.rooms and config.room_probability else ()
    noises = _sounds(config.noises) if config.noises and config.noise_probability else ()
    return partial(
        _augmented, config=config, rate_hz=signal_config.sample_rate_hz, rooms=rooms, noises=noises
    )


def evenly(config: AugmentConfig) -> AugmentConfig:
    """Return `config` unchanged: speed stretches the recording evenly, and no other change moves sounds."""
    return config


def _augmented(
    values: np.ndarray,
    rng: np.random.Generator,
    *,
    config: AugmentConfig,
    rate_hz: int,
    rooms: tuple[_Sound, ...],
    noises: tuple[_Sound, ...],
) -> np.ndarray:
    samples = values
    if rng.random() < config.speed_probability:
        samples = change_speed(samples, config.speeds[rng.integers(len(config.speeds))])
    if config.tilt_probability and rng.random() < config.tilt_probability:
        samples = tilt(samples, rng.uniform(*config.tilt_db))
    if rng.random() < config.room_probability:
        samples = put_into_room(samples, _draw_room(config, rooms, rate_hz, rng))
    if rng.random() < config.noise_probability:
        noise = _draw_noise(len(samples), noises, rate_hz, rng)
        samples = add_noise(samples, noise, rng.uniform(*config.noise_snr_db))
    if config.band_probability and rng.random() < config.band_probability:
        samples = keep_band(
            samples, rng.uniform(*config.band_low_hz), rng.uniform(*config.band_high_hz), rate_hz
        )
    if rng.random() < config.gain_probability:
        samples = samples * np.float32(10 ** (rng.uniform(*config.gain_db) / 20))
    if samples is values:
        return values
    peak = max(samples.max(), -samples.min())
    return samples / peak if peak > 1 else samples


def change_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """Return `samples` (N,) with tempo and pitch multiplied by `factor`, (N / factor,)."""
    return soxr.resample(samples, factor, 1.0, quality="HQ").astype(np.float32, copy=False)


def tilt(samples: np.ndarray, treble_db: float) -> np.ndarray:
    """Return `samples` (N,) with frequencies changed by 0 dB (the lowest) to `treble_db` (the highest).

    The level of the recording does not change. A random tilt is the simplest of the filters of Nam et al.
    (FilterAugment, ICASSP 2022).
    """
    spectrum = np.fft.rfft(samples)
    spectrum *= 10 ** (np.linspace(0, treble_db, len(spectrum)) / 20)
    tilted = np.fft.irfft(spectrum, len(samples)).astype(np.float32)
    power, new_power = np.dot(samples, samples), np.dot(tilted, tilted)
    return tilted * np.float32(math.sqrt(power / new_power)) if new_power > 0 else samples


def keep_band(samples: np.ndarray, low_hz: float, high_hz: float, rate_hz: int) -> np.ndarray:
    """Return `samples` (N,) with the frequencies from `low_hz` to `high_hz` alone, as a telephone sends them.

    At the edges of the band, amplitudes fall linearly and are 0 at `BAND_EDGE_HZ` from it.
    """
    if not len(samples):
        return samples
    spectrum = np.fft.rfft(samples)
    frequency = np.fft.rfftfreq(len(samples), 1 / rate_hz)
    outside_hz = np.maximum(low_hz - frequency, frequency - high_hz)
    spectrum *= np.clip(1 - outside_hz / BAND_EDGE_HZ, 0, 1)
    return np.fft.irfft(spectrum, len(samples)).astype(np.float32)


def put_into_room(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Return `samples` (N,) convolved with the impulse `response` (M,) of a room.

    The result (N,) is shifted by the position of the peak of the response, so that the direct sound does not
    move, and is scaled to the power of `samples`.
    """
    N, delay = len(samples), int(np.abs(response).argmax())
    wet = _convolved(samples, response)[delay : delay + N]
    power, wet_power = np.dot(samples, samples), np.dot(wet, wet)
    return wet * np.float32(math.sqrt(power / wet_power)) if wet_power > 0 else samples


def add_noise(samples: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Return `samples` (N,) plus `noise` (N,), scaled so that the speech has `snr_db` more power.

    If the speech or the noise is silent, the samples are returned unchanged.
    """
    power, noise_power = np.dot(samples, samples), np.dot(noise, noise)
    if power == 0 or noise_power == 0:
        return samples
    return samples + noise * np.float32(math.sqrt(power / noise_power) * 10 ** (-snr_db / 20))


def make_noise(length: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Return noise (length,) with a random colour from white to brown; a quarter of them have mains hum."""
    size = min(2 ** math.ceil(math.log2(max(length, 2))), 2**17)
    frequencies = np.maximum(np.arange(size // 2 + 1, dtype=np.float32) * (rate_hz / size), 20)
    spectrum = rng.standard_normal((2, size // 2 + 1), dtype=np.float32)
    spectrum *= frequencies ** -np.float32(rng.uniform(0, 1))  # the power falls with 1/f^2 at most
    noise = np.fft.irfft(spectrum[0] + 1j * spectrum[1])  # (size,), repeats without a seam
    if rng.random() < 0.25:
        noise = noise / noise.std() + rng.uniform(0.5, 5) * np.resize(_make_hum(rate_hz, rng), size)
    return _looped(noise.astype(np.float32), length, int(rng.integers(size)))


def _make_hum(rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Return one second of hum at 50 or 60 Hz with overtones; it can be repeated without a seam."""
    seconds = np.arange(rate_hz) / rate_hz
    hum = np.zeros(rate_hz)
    base_hz = int(rng.choice((50, 60)))
    for overtone in range(1, 9):
        phase, level = rng.uniform(0, 2 * np.pi), rng.uniform(0, 1) / overtone
        hum += level * np.sin(2 * np.pi * base_hz * overtone * seconds + phase)
    return hum / hum.std()


def make_response(decay_s: float, direct_db: float, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Return the impulse response of a generated room: a direct sound of 1, then noise that decays.

    Args:
        decay_s: time in which the noise decays by 60 dB.
        direct_db: power of the direct sound over the power of the whole noise.
        rate_hz: samples per second.
        rng: draws the noise and the time at which it starts.
    """
    length = max(math.ceil(min(decay_s, RESPONSE_S) * rate_hz), 8)
    start = min(int(rng.uniform(0.001, 0.01) * rate_hz) + 1, length - 2)
    response = rng.standard_normal(length, dtype=np.float32)
    response[2:] += response[1:-1] + 0.5 * response[:-2]  # walls absorb high frequencies
    response *= np.exp(
        np.arange(length, dtype=np.float32) * np.float32(-math.log(1000) / (decay_s * rate_hz))
    )
    response[: start + 1] = 0
    response *= np.float32(10 ** (-direct_db / 20) / math.sqrt(np.dot(response, response)))
    response[0] = 1
    return response


def _draw_room(
    config: AugmentConfig, rooms: tuple[_Sound, ...], rate_hz: int, rng: np.random.Generator
) -> np.ndarray:
    if not rooms or rng.random() < MADE_SHARE:
        return make_response(
            rng.uniform(*config.room_decay_s), rng.uniform(*config.room_direct_db), rate_hz, rng
        )
    return _read_response(rooms[rng.integers(len(rooms))].source, rate_hz)


def _draw_noise(
    length: int, noises: tuple[_Sound, ...], rate_hz: int, rng: np.random.Generator
) -> np.ndarray:
    if not noises or rng.random() < MADE_SHARE:
        return make_noise(length, rate_hz, rng)
    sound = noises[rng.integers(len(noises))]
    start_s = rng.uniform(0, sound.duration_s)
    if sound.duration_s <= KEPT_S:
        return _looped(_read_noise(sound.source, rate_hz), length, int(start_s * rate_hz))
    duration_s = max(length / rate_hz, 1.0)
    start_s = min(start_s, max(sound.duration_s - duration_s, 0))
    end_s = min(start_s + duration_s, sound.duration_s)
    piece = read(f"{sound.source}[{start_s:.4f},{end_s:.4f}]", SignalConfig(rate_hz)).values
    return _looped(piece, length, 0)


def _sounds(path: str) -> tuple[_Sound, ...]:
    place = Path(path)
    if place.is_dir():
        files = sorted(str(file) for file in place.rglob("*") if file.suffix.lower() in SOUND_EXTS)
    else:
        files = [example.source for example in read_manifest(place, ("audio_filepath", "source")).examples]
    sounds = tuple(_Sound(file, measure(file)) for file in files)
    if not sounds:
        raise ValueError(f"{path}: has no sound files ({' '.join(SOUND_EXTS)}); name another folder")
    return sounds


@lru_cache(maxsize=32)  # 61 MB at 16 kHz
def _read_noise(source: str, rate_hz: int) -> np.ndarray:
    return read(source, SignalConfig(rate_hz)).values


@lru_cache(maxsize=256)  # 16 MB at 16 kHz
def _read_response(source: str, rate_hz: int) -> np.ndarray:
    """Return the response (M,) from just before its peak; everything earlier is noise of the recording."""
    response = read(source, SignalConfig(rate_hz)).values
    peak = int(np.abs(response).argmax())
    if response[peak] == 0:
        raise ValueError(f"{source}: is silent, the response of a room was wanted; remove it")
    return response[max(peak - round(ONSET_S * rate_hz), 0) : peak + round(RESPONSE_S * rate_hz)].copy()


def _looped(sound: np.ndarray, length: int, start: int) -> np.ndarray:
    """Return `length` samples of `sound` from `start`; after its end, it starts again at its beginning."""
    if start + length <= len(sound):
        return sound[start : start + length]
    return np.resize(np.roll(sound, -start), length)


def _convolved(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Return the convolution (at least N + M - 1,), in blocks, so that the time grows linearly with N.

    samples   |--step--|--step--|--step--|     each block is padded to `size`;
    results   |--------+--M--|                 the part beyond a step is added
                       |--------+--M--|        to the next block
    """
    size = 2 ** math.ceil(math.log2(4 * len(response)))
    step = size - len(response) + 1
    count = math.ceil(len(samples) / step) + 1
    blocks = np.zeros((count, step), np.float32)
    blocks.reshape(-1)[: len(samples)] = samples
    spectrum = np.fft.rfft(blocks, size) * np.fft.rfft(response, size)
    results = np.fft.irfft(spectrum, size)  # (count, size)
    wet = results[:, :step].copy()
    wet[1:, : size - step] += results[:-1, step:]
    return wet.reshape(-1).astype(np.float32, copy=False)

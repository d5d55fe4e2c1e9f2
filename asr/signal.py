"""The signal of a recording: its samples at the sample rate of the model."""

import io
import math
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from asr.source import BLOCK_FRAMES, Part, find_part, open_sound, read_part, source_name
from common.data.signal import Signal, Source
from common.files.source import source_file
from common.files.wav import read_blocks, read_header

SHORTEST_S = 0.025
"""length of one analysis window; a shorter recording holds no speech"""
BLOCK_S = 5.0
"""longest piece of a long recording"""
LARGEST = 1e30
"""largest sample that is accepted in a float file; sums of larger ones overflow"""
BITS = {"PCM_S8": 16, "PCM_U8": 16, "PCM_16": 16, "ULAW": 16, "ALAW": 16, "PCM_24": 24}
"""bits that hold the samples of a file exactly, by libsndfile's name of its encoding"""
MOST_FLAC_CHANNELS = 8
CANCELLED = 0.01
"""share of the channels' mean energy below which their mean is said to cancel them out (-20 dB)"""


@dataclass(frozen=True)
class SignalConfig:
    """The sample rate of the model and the longest recording."""

    sample_rate_hz: int = 16_000
    """samples per second the model is trained on; every file is resampled to it"""
    max_duration_s: float = 3600.0
    """longer recordings are refused; split them first"""

    def __post_init__(self) -> None:
        if not 1000 <= self.sample_rate_hz <= 384_000:
            raise ValueError(f"sample_rate_hz is {self.sample_rate_hz}; choose 1000 to 384000, such as 16000")
        if not self.max_duration_s > 0:
            raise ValueError(f"max_duration_s is {self.max_duration_s}; choose a positive number of seconds")


def read(source: Source, config: SignalConfig) -> Signal:
    """Return the sound of `source` as float32 samples (N,) in [-1, 1] at the rate of `config`.

    The channels are averaged unless one is named. A file with samples beyond 1 (a float file or a lossy
    codec) is scaled down to a peak of 1. Samples are never clipped, and a quiet file is never made louder.
    Silence is accepted with a warning.

    Args:
        source: a path or an open binary stream, in any format that libsndfile reads (wav, flac, ogg, opus,
            mp3, aiff ...) or, with PyAV, FFmpeg (m4a, mp4, webm ...). "talk.wav[12.5,15.75]" is the segment
            between these two times in seconds, "talk.wav[12.5,]" is everything after the first,
            "talk.wav[channel2]" is its second channel, "talk.wav[12.5,15.75,channel2]" is a segment of that,
            and "film.mkv[track2]" is the second audio track.
        config: the sample rate and the longest duration.

    Raises:
        ValueError: the recording cannot be read as a whole; the message is one sentence.
    """
    name = source_name(source)
    with open_sound(source) as sound:
        part = find_part(source, sound)
        duration_s = part.frames / sound.samplerate
        if duration_s > config.max_duration_s:
            raise ValueError(
                f"{name}: is {duration_s:.1f} s long, at most {config.max_duration_s:g} s were wanted;"
                " split it, or train with a longer --max-duration-s"
            )
        if duration_s < SHORTEST_S:
            raise ValueError(
                f"{name}: is {duration_s:.4f} s long, at least {SHORTEST_S} s were wanted; drop it"
            )
        samples = np.concatenate(list(_pieces(sound, part, name, config)))
    return Signal(within_full_scale(samples), 1 / config.sample_rate_hz)


def within_full_scale(samples: np.ndarray) -> np.ndarray:
    """Return samples (N,), divided by their peak if that is beyond 1."""
    peak = max(float(samples.max()), -float(samples.min()))
    return samples / np.float32(peak) if peak > 1 else samples


def pieces(source: Source, config: SignalConfig) -> Iterator[np.ndarray]:
    """Yield the sound of a recording of any length in pieces (N,); joined, they equal what `read` returns.

    There is one difference: samples beyond 1 are as they are.

    Raises:
        ValueError: the recording cannot be read further; the sound before that has been yielded, except for
            less than BLOCK_S.
    """
    with open_sound(source) as sound:
        part = find_part(source, sound)
        yield from _pieces(sound, part, source_name(source), config, round(BLOCK_S * sound.samplerate))


def _pieces(
    sound: soundfile.SoundFile, part: Part, name: str, config: SignalConfig, most: int = BLOCK_FRAMES
) -> Iterator[np.ndarray]:
    blocks = _mixed(read_part(sound, part, name, most), sound.samplerate, name, part)
    return _resampling(blocks, sound.samplerate, config.sample_rate_hz)


def stream(source: io.BufferedIOBase, config: SignalConfig) -> Iterator[Signal]:
    """Yield the sound of a WAV stream in pieces as it arrives; joined, they equal what `read` returns.

    There is one difference: when a sample goes beyond 1, only the samples from there on are scaled down, and
    a warning is given. The duration has no limit.

    Args:
        source: a stream whose `read1` returns the bytes that have arrived, and b"" at the end.
        config: the sample rate.

    Raises:
        ValueError: the stream cannot be read further; the sound before that has been yielded.
    """
    name = source_name(source)
    header = read_header(source, name)
    blocks = _mixed(read_blocks(source, header, name), header.rate_hz, name)
    received, peak = 0, 1.0
    for samples in _resampling(blocks, header.rate_hz, config.sample_rate_hz):
        if not len(samples):
            continue
        highest = float(max(samples.max(), -samples.min()))
        if highest > 1 >= peak:
            time_s = received / config.sample_rate_hz
            warnings.warn(
                f"{name}: goes beyond full scale ({highest:.2f}) after {time_s:.1f} s;"
                " what follows is made softer, and its text may differ from that of the whole",
                stacklevel=2,
            )
        peak = max(peak, highest)
        received += len(samples)
        yield Signal(samples / np.float32(peak) if peak > 1 else samples, 1 / config.sample_rate_hz)
    if received < SHORTEST_S * config.sample_rate_hz:
        raise ValueError(
            f"{name}: is {received / config.sample_rate_hz:.4f} s long, at least {SHORTEST_S} s were wanted;"
            " record more"
        )


def expand(source: Source) -> list[Source]:
    """Return the readable sources in one file: only the file itself, since a recording has no pages."""
    return [source]


def channels(source: str, wanted: str) -> list[str]:
    """Return the sources of the wanted channels of a recording, such as ["call.wav[channel2]"].

    Args:
        source: a recording, or a segment of one.
        wanted: "left", "right", the number of a channel counted from 1, or "each".

    Raises:
        ValueError: the recording cannot be opened, or does not have this channel.
    """
    with open_sound(source) as sound:
        count = sound.channels
    numbers = (
        range(1, count + 1) if wanted == "each" else [{"left": 1, "right": 2}.get(wanted) or int(wanted)]
    )
    if max(numbers) > count:
        raise ValueError(f"{source}: has no channel {max(numbers)}, only {count}; name one of these, or none")
    if source_file(source) != source and source.endswith("]"):
        return [f"{source[:-1]},channel{number}]" for number in numbers]
    return [f"{source}[channel{number}]" for number in numbers]


def track(source: str, number: int) -> str:
    """Return the source of an audio track, counted from 1, of a recording or of a segment of one."""
    if source_file(source) != source and source.endswith("]"):
        return f"{source[:-1]},track{number}]"
    return f"{source}[track{number}]"


def measure(source: Source) -> float:
    """Return the length of `source` in seconds, from its header.

    Raises:
        ValueError: the file is not a sound file, or its header shows that it is cut short.
    """
    with open_sound(source) as sound:
        return float(find_part(source, sound).frames / sound.samplerate)


def pack(source: str) -> tuple[str, bytes]:
    """Return the ending and the content of a sound file that holds a part of another one alone.

    The samples are unaltered: a FLAC where they have up to 24 bits, else a WAV of floating-point numbers.

    Raises:
        ValueError: the part cannot be read as a whole.
    """
    with open_sound(source) as sound:
        part = find_part(source, sound)
        samples = np.concatenate(list(read_part(sound, part, source_name(source))))  # (N, channels)
        rate_hz, bits = sound.samplerate, BITS.get(sound.subtype, 0)
    if part.channel is not None:
        samples = samples[:, [part.channel]]
    content = io.BytesIO()
    if bits and samples.shape[1] <= MOST_FLAC_CHANNELS:
        integers = np.round(samples * 2.0 ** (bits - 1)).astype(np.int32) << (32 - bits)
        soundfile.write(content, integers, rate_hz, f"PCM_{bits}", format="FLAC")
        return ".flac", content.getvalue()
    soundfile.write(content, samples, rate_hz, "FLOAT", format="WAV")
    return ".wav", content.getvalue()


def steps_per_length(config: SignalConfig) -> float:
    """Return the number of samples in one second."""
    return float(config.sample_rate_hz)


def _mixed(
    blocks: Iterable[np.ndarray], rate_hz: int, name: str, part: Part | None = None
) -> Iterator[np.ndarray]:
    """Yield the wanted channel (N,) of each block (N, channels), or the mean over the channels.

    A warning is given if all samples are the same, or if the channels cancel each other out.

    Raises:
        ValueError: a sample is not a finite number, or is `LARGEST` or larger.
    """
    first, wanted = (part.start, part.channel) if part else (0, None)
    start, lowest, highest, energy, mixed_energy = first, math.inf, -math.inf, 0.0, 0.0
    for block in blocks:
        numbers = np.abs(block) < LARGEST  # False for NaN
        if not numbers.all():
            time_s = (start + int(numbers.all(1).argmin())) / rate_hz
            raise ValueError(
                f"{name}: the sample at {time_s:.3f} s is not a finite number below {LARGEST:g}; "
                "record it anew"
            )
        start += len(block)
        channel = 0 if block.shape[1] == 1 else wanted
        mixed = block.mean(1) if channel is None else block[:, channel]
        if channel is None:
            energy += float(np.square(block, dtype=np.float64).mean(1).sum())
            mixed_energy += float(np.square(mixed, dtype=np.float64).sum())
        lowest, highest = min(lowest, float(mixed.min())), max(highest, float(mixed.max()))
        yield mixed
    if mixed_energy < CANCELLED * energy:
        file = source_file(name)
        warnings.warn(
            f"{name}: its channels cancel each other out; name one of them, as in {file}[channel1]",
            stacklevel=2,
        )
    elif start > first and lowest == highest:
        warnings.warn(
            f"{name}: is silent, all its samples are the same; look at what recorded it", stacklevel=2
        )


def _resampling(blocks: Iterable[np.ndarray], rate_hz: int, wanted_hz: int) -> Iterator[np.ndarray]:
    """Yield blocks (N,) resampled to `wanted_hz`; the samples do not depend on the sizes of the blocks.

    If `blocks` raises an error, the samples before it are yielded first.
    """
    resampler, failure = Resampler(rate_hz, wanted_hz), None
    try:
        for block in blocks:
            yield resampler.feed(block)
    except ValueError as error:
        failure = error
    rest = resampler.finish()
    if len(rest):
        yield rest
    if failure is not None:
        raise failure


class Resampler:
    """Sound that comes in pieces at one rate, and is given at another one.

    Args:
        rate_hz: samples per second that come.
        wanted_hz: samples per second that are wanted.
    """

    def __init__(self, rate_hz: int, wanted_hz: int) -> None:
        same = rate_hz == wanted_hz
        self._stream = None if same else soxr.ResampleStream(rate_hz, wanted_hz, 1, "float32", "HQ")

    def feed(self, samples: np.ndarray) -> np.ndarray:
        """Return the samples that are known with the next ones (N,)."""
        return samples if self._stream is None else self._stream.resample_chunk(np.ascontiguousarray(samples))

    def finish(self) -> np.ndarray:
        """Return the last samples."""
        rest = np.zeros(0, np.float32)
        return rest if self._stream is None else self._stream.resample_chunk(rest, last=True)

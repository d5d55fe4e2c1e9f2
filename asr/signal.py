"""Sound files as samples at the rate of the model."""

import io
import os
import re
import stat
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

from common.data.signal import Signal, Source
from common.files.source import source_file
from common.files.wav import UNBOUNDED, read_blocks, read_header

SHORTEST_S = 0.025
"""one analysis window; less than that holds no speech"""
OVERSHOOT_S = 0.5
"""by how much a segment may end after its recording, as in Kaldi's extract-segments"""
BLOCK_FRAMES = 2**20
LARGEST = 1e30
"""of a float file; what is larger overflows where samples are added"""
MP3_SLACK = 4
"""frames of an MP3: an index, and the encoder's delay and padding"""
MP3_KBITS = (
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
"""of MPEG 2 and 2.5, and of MPEG 1"""
SEGMENT = re.compile(r"\[(?P<start>\d+(?:\.\d+)?),(?P<end>\d+(?:\.\d+)?)?\]$")


@dataclass(frozen=True)
class SignalConfig:
    """The form in which a model wants sound."""

    sample_rate_hz: int = 16_000
    """samples per second the model is trained on; every file is resampled to it"""
    max_duration_s: float = 3600.0
    """longer recordings are refused: split them first"""

    def __post_init__(self) -> None:
        if not 1000 <= self.sample_rate_hz <= 384_000:
            raise ValueError(f"sample_rate_hz is {self.sample_rate_hz}; choose 1000 to 384000, such as 16000")
        if not self.max_duration_s > 0:
            raise ValueError(f"max_duration_s is {self.max_duration_s}; choose a positive number of seconds")


def read(source: Source, config: SignalConfig) -> Signal:
    """Return the sound of `source` as float32 samples (N,) in [-1, 1] at the rate of `config`.

    Channels are averaged. A file whose samples go beyond 1 (float files, lossy codecs) is scaled down to
    a peak of 1; it is never clipped, and never made louder. Silence is sound.

    Args:
        source: wav, flac, ogg, opus, mp3, aiff and what else libsndfile knows: a path, or an open binary
            stream; "talk.wav[12.5,15.75]" is what is said between these seconds, "talk.wav[12.5,]" all
            that follows.
        config: the rate of the samples, and how long a recording may be.

    Raises:
        ValueError: one sentence, for anything that cannot be read whole.
    """
    name = _name(source)
    with _opened(source) as sound:
        part = _part(source, sound)
        duration_s = part.frames / sound.samplerate
        if duration_s > config.max_duration_s:
            raise ValueError(
                f"{name}: is {duration_s:.0f} s long, at most {config.max_duration_s:.0f} s were wanted; "
                "split it, or raise the longest duration"
            )
        if duration_s < SHORTEST_S:
            raise ValueError(
                f"{name}: is {duration_s:.4f} s long, at least {SHORTEST_S} s were wanted; drop it"
            )
        blocks = _averaged(_blocks(sound, part, name), sound.samplerate, name, part.start)
        samples = np.concatenate(list(_resampling(blocks, sound.samplerate, config.sample_rate_hz)))
    peak = max(samples.max(), -samples.min())
    if peak > 1:
        samples /= peak
    return Signal(samples, 1 / config.sample_rate_hz)


def stream(source: io.BufferedIOBase, config: SignalConfig) -> Iterator[Signal]:
    """Yield the sound of a WAV stream in pieces while it comes; together they are what `read` returns.

    But for one thing: where samples go beyond 1, all that follow are scaled down, not those before; a warning
    says so. There is no longest duration.

    Args:
        source: its `read1` returns what has come, b"" at the end.
        config: the rate of the samples.

    Raises:
        ValueError: one sentence; what could be read before has been yielded.
    """
    name = _name(source)
    header = read_header(source, name)
    blocks = _averaged(read_blocks(source, header, name), header.rate_hz, name)
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


def expand(source: str) -> list[str]:
    """Return the readable sources in one file: the file itself, a recording has no pages."""
    return [source]


def measure(source: str) -> float:
    """Return the length of `source` in seconds, from its header.

    Raises:
        ValueError: one sentence, for anything that is no sound file or is visibly cut short.
    """
    with _opened(source) as sound:
        return float(_part(source, sound).frames / sound.samplerate)


def steps_per_length(config: SignalConfig) -> float:
    """Return the number of samples in one second."""
    return float(config.sample_rate_hz)


class _Part(NamedTuple):
    """The frames of a file that are wanted: `frames` of them, from `start` on."""

    start: int
    frames: int


def _name(source: Source | io.BufferedIOBase) -> str:
    if isinstance(source, str | Path):
        return str(source)
    return str(getattr(source, "name", "the stream"))


@contextmanager
def _opened(source: Source) -> Iterator[soundfile.SoundFile]:
    name = _name(source)
    file: str | io.BytesIO
    if isinstance(source, str | Path):
        file = _checked(source_file(str(source)))
    else:
        content = source.read()
        if not content:
            raise ValueError(f"{name}: is empty, a sound file was wanted; record it anew or drop it")
        file = io.BytesIO(content)
    try:
        sound = soundfile.SoundFile(file)
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: headerless, by the name's ".raw"
        reason = _reason(error)
        raise ValueError(
            f"{name}: cannot be read as sound ({reason}); convert it to wav, flac, ogg, opus or mp3"
        ) from None
    with sound:
        _refuse_cut(sound, name)
        if sound.subtype == "MPEG_LAYER_III":
            if isinstance(file, io.BytesIO):
                counted = _mp3_frames(file.getvalue())
            else:
                counted = _mp3_file_frames(file, os.stat(file).st_mtime_ns)
            _refuse_mp3_of_other_length(sound, counted, name)
        yield sound


def _reason(error: Exception) -> str:
    if not isinstance(error, soundfile.LibsndfileError):
        return "raw samples without a header"
    if error.code == 7:  # what libsndfile says of an MP3 without a whole frame: "file does not exist"
        return "damaged, or of an unknown format"
    return str(error.error_string).removeprefix("Error : ").rstrip(".")


def _checked(path: str) -> str | io.BytesIO:
    try:
        status = os.stat(path)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); name a sound file") from None
    if stat.S_ISDIR(status.st_mode):
        raise ValueError(f"{path}: is a folder, a sound file was wanted; name a file in it")
    if not stat.S_ISREG(status.st_mode):  # a pipe: libsndfile must seek
        return io.BytesIO(Path(path).read_bytes())
    if status.st_size == 0:
        raise ValueError(f"{path}: is empty, a sound file was wanted; record it anew or drop it")
    return path


def _refuse_cut(sound: soundfile.SoundFile, name: str) -> None:
    """Raise a ValueError if the header promises more than is there.

    libsndfile mends the count of frames without a word, but writes what it found into its log:
    "data : 96000 (should be 57582)" in a WAV file of which the end is missing.
    """
    if sound.frames >= 2**62:
        raise ValueError(
            f"{name}: does not say how long it is, as what is written into a pipe; encode it into a file"
        )
    # riff in small letters: W64, which says so of the whole file only
    for kind, promised, present in re.findall(
        r"^\s*(data|SSND|riff|Data Size)\s*: (\d+) \(should be (\d+)\)", sound.extra_info, re.MULTILINE
    ):
        if int(present) < int(promised) - 16 and int(promised) < UNBOUNDED:
            raise ValueError(
                f"{name}: is cut short: its header promises {promised} bytes ({kind}) and "
                f"{present} are there; get the whole file"
            )
    for present, promised in re.findall(
        r"Calculated frame count (\d+) does not match value from 'ds64' chunk of (\d+)", sound.extra_info
    ):
        if int(present) < int(promised):
            raise ValueError(
                f"{name}: is cut short: its header promises {promised} frames and {present} are there; "
                "get the whole file"
            )
    if "Junk after the last page" in sound.extra_info:
        raise ValueError(
            f"{name}: breaks off, or goes on with a second stream, after "
            f"{sound.frames / sound.samplerate:.2f} s; get the whole file, or split it"
        )


def _refuse_mp3_of_other_length(sound: soundfile.SoundFile, counted: int, name: str) -> None:
    """Raise a ValueError if an MP3 does not have the `counted` samples, about.

    Without an index, its length is guessed from its first frame, and where that is too short, or several
    files were joined, libsndfile leaves out the rest without a word.
    """
    if counted and abs(counted - sound.frames) > MP3_SLACK * (1152 if sound.samplerate >= 32000 else 576):
        raise ValueError(
            f"{name}: seems by its header to have {sound.frames / sound.samplerate:.2f} s and has "
            f"{counted / sound.samplerate:.2f} s; get the whole file, or convert it to flac"
        )


@lru_cache(maxsize=64)  # a long recording may be read in many segments
def _mp3_file_frames(path: str, _mtime_ns: int) -> int:
    return _mp3_frames(Path(path).read_bytes())


def _mp3_frames(content: bytes) -> int:
    """Return the samples in each channel of an MP3, from the headers of its frames (ISO 11172-3).

        11111111 111VV01P BBBBRRA.    V version, P protected, B bit rate, R sample rate, A a byte added

    A frame that only holds an index counts; 0 if no frames were found.
    """
    place, samples = 0, 0
    if content[:3] == b"ID3" and len(content) > 10:  # its size in 4 x 7 bits
        place = 10 + sum(byte << shift for byte, shift in zip(content[6:10], (21, 14, 7, 0), strict=True))
    while 0 <= place <= len(content) - 4:
        frame = _mp3_frame(content, place)
        if frame is None:
            place = content.find(b"\xff", place + 1)
        else:
            place += frame.size
            samples += frame.samples
    return samples


class _Mp3Frame(NamedTuple):
    size: int
    samples: int


def _mp3_frame(content: bytes, place: int) -> _Mp3Frame | None:
    first, second, third = content[place : place + 3]
    version, index, rate = second >> 3 & 3, third >> 4, third >> 2 & 3
    if first != 0xFF or second & 0xE6 != 0xE2 or version == 1 or index in {0, 15} or rate == 3:
        return None
    kbits = MP3_KBITS[version == 3][index]
    rate_hz = (44100, 48000, 32000)[rate] >> (0, 1, 2)[(3, 2, 0).index(version)]
    samples = 1152 if version == 3 else 576
    return _Mp3Frame(samples * kbits * 125 // rate_hz + (third >> 1 & 1), samples)


def _part(source: Source, sound: soundfile.SoundFile) -> _Part:
    frames = int(sound.frames)
    found = SEGMENT.search(str(source)) if isinstance(source, str | Path) else None
    if found is None or source_file(str(source)) == str(source):
        return _Part(0, frames)
    whole_s = frames / sound.samplerate
    start_s = float(found["start"])
    end_s = whole_s if found["end"] is None else float(found["end"])
    if not start_s < min(end_s, whole_s) or end_s > whole_s + OVERSHOOT_S:
        raise ValueError(
            f"{source}: the recording has {whole_s:.3f} s and a segment of it must end after it starts; "
            "correct the times"
        )
    start, end = (round(seconds * sound.samplerate) for seconds in (start_s, min(end_s, whole_s)))
    return _Part(start, min(end, frames) - start)


def _averaged(blocks: Iterable[np.ndarray], rate_hz: int, name: str, start: int = 0) -> Iterator[np.ndarray]:
    """Yield the mean (N,) of the channels of blocks (N, channels), which follow `start`; all are finite."""
    for block in blocks:
        numbers = np.abs(block) < LARGEST  # not so for NaN
        if not numbers.all():
            time_s = (start + int(numbers.all(1).argmin())) / rate_hz
            raise ValueError(
                f"{name}: the sample at {time_s:.3f} s is not a finite number below {LARGEST:g}; "
                "record it anew"
            )
        start += len(block)
        yield block[:, 0] if block.shape[1] == 1 else block.mean(1)


def _blocks(sound: soundfile.SoundFile, part: _Part, name: str) -> Iterator[np.ndarray]:
    """Yield blocks (N, channels); what the header promised must be there."""
    done = 0
    try:
        if part.start:
            sound.seek(part.start)
        while done < part.frames:
            block = sound.read(min(BLOCK_FRAMES, part.frames - done), dtype="float32", always_2d=True)
            if not len(block):
                break
            done += len(block)
            yield block
    except soundfile.LibsndfileError as error:
        # the frames before the break are lost with the block; FLAC: the seek after a short read fails
        raise ValueError(
            f"{name}: is cut short or damaged: its header promises {part.frames / sound.samplerate:.2f} s "
            f"and decoding fails after {_decodable_s(sound, part):.2f} s ({_reason(error)}); "
            "get the whole file"
        ) from None
    if (part.frames - done) / sound.samplerate > 0.05:  # MP3: a frame or two of the encoder's delay
        raise ValueError(
            f"{name}: is cut short: its header promises {part.frames / sound.samplerate:.2f} s and "
            f"{done / sound.samplerate:.2f} s are there; get the whole file"
        )


def _decodable_s(sound: soundfile.SoundFile, part: _Part) -> float:
    """Return after how many seconds decoding fails, to a tenth."""
    step, done = max(sound.samplerate // 10, 1), 0
    file = sound.name if isinstance(sound.name, str | os.PathLike) else None
    try:
        if file is None:
            sound.seek(0)
        with soundfile.SoundFile(file) if file is not None else sound as again:
            again.seek(part.start)
            while done < part.frames and len(again.read(step, dtype="float32")):
                done += step
    except soundfile.LibsndfileError:
        pass
    return done / sound.samplerate


def _resampling(blocks: Iterable[np.ndarray], rate_hz: int, wanted_hz: int) -> Iterator[np.ndarray]:
    """Yield blocks (N,) at another rate, the same in any pieces; an error of `blocks` comes behind all."""
    if rate_hz == wanted_hz:
        yield from blocks
        return
    resampler = soxr.ResampleStream(rate_hz, wanted_hz, 1, dtype="float32", quality="HQ")
    failure = None
    try:
        for block in blocks:
            yield resampler.resample_chunk(np.ascontiguousarray(block))
    except ValueError as error:
        failure = error
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
    if failure is not None:
        raise failure

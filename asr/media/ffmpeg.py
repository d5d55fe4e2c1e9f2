"""Sound in the containers and codecs that FFmpeg knows, by PyAV: m4a, mp4, mov, mkv, webm, wma, amr, 3gp ...

    meeting.mp4 -> its first audio track, or a named one -> a temporary WAV -> read like any other WAV

The WAV is on disk, so that memory does not grow with the length of the recording, and it has the times of the
file: where a track starts late or has a gap, it is silent. Video is never decoded.
"""

import math
import os
import re
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile

CLOSED = {"protocol_whitelist": "pipe"}
"""a playlist opens no other file and no address"""
LEAST_GAP_S = 0.05
"""shorter gaps between the times of two frames are the rounding of the container"""
LONGEST_GAP_S = 24 * 3600.0
CUT_S = 0.5
"""a track that is shorter than its file says by more than this is cut short"""
FILES_KEPT = 2
"""recordings that stay decoded, since one file may be read in many segments"""

PREFIX = "amanuensis-"
"""of the names of temporary files; the number of the process follows"""


class DecodedSound:
    """A temporary WAV with the sound of a file; it is deleted with this object, or when the program ends."""

    def __init__(self) -> None:
        prefix = f"{PREFIX}{os.getpid()}-"
        with tempfile.NamedTemporaryFile(prefix=prefix, suffix=".wav", delete=False) as file:
            self.path = Path(file.name)
        self.delete = weakref.finalize(self, self.path.unlink, missing_ok=True)


def delete_leftovers() -> None:
    """Delete the temporary files of processes that were killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*.wav"):
        number = path.name.removeprefix(PREFIX).partition("-")[0]
        if number.isdecimal() and not _is_alive(int(number)):
            with suppress(OSError):
                path.unlink()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it is another user's
    return True


def is_installed() -> bool:
    """Return whether PyAV is there."""
    from importlib.util import find_spec

    return find_spec("av") is not None


@lru_cache(maxsize=FILES_KEPT)
def decode_file(path: str, track: int, _mtime_ns: int, _size: int) -> DecodedSound:
    """Return the sound of a file; one that has changed since has another time or size.

    Args:
        path: the file.
        track: the number of the audio track, counted from 1.

    Raises:
        ValueError: the file has no such track, is damaged or cut short, or no sound at all.
    """
    return decode(Path(path), track, path)


def decode(file: Path | BinaryIO, track: int, name: str, most_samples: float = math.inf) -> DecodedSound:
    """Return the sound of an audio track, counted from 1, of a file or a stream that is called `name`.

    Raises:
        ValueError: as for `decode_file`; or it has more than `most_samples`, those of all channels.
    """
    import av

    decoded = DecodedSound()
    try:
        with _bytes(file) as content, av.open(content, options=CLOSED, metadata_errors="ignore") as container:
            stream = _track(container, track, name)
            seconds = _write(container, stream, decoded.path, name, most_samples)
            promised = _promised_s(container, stream)
    except av.FFmpegError as error:
        decoded.delete()
        raise ValueError(f"{name}: cannot be read as sound ({_reason(error)}); is the file whole?") from None
    except BaseException:
        decoded.delete()  # the traceback may keep it for long
        raise
    if promised is not None and seconds < promised - CUT_S:
        decoded.delete()
        raise ValueError(
            f"{name}: is cut short: its header promises {promised:.2f} s and {seconds:.2f} s are there; "
            "get the whole file"
        )
    return decoded


def _bytes(file: Path | BinaryIO) -> AbstractContextManager[BinaryIO]:
    return file.open("rb") if isinstance(file, Path) else nullcontext(file)


def _track(container: Any, track: int, name: str) -> Any:
    """Return the wanted audio track."""
    tracks = container.streams.audio
    if not tracks:
        raise ValueError(f"{name}: has no sound; name a file with an audio track")
    if track > len(tracks):
        raise ValueError(f"{name}: has no audio track {track}, only {len(tracks)}; name one of these")
    return tracks[track - 1]


def _write(container: Any, stream: Any, path: Path, name: str, most_samples: float) -> float:
    """Write the samples of a track into a WAV, and return their length in seconds."""
    import av

    rate_hz, layout = stream.rate, stream.layout
    channels = stream.channels
    if not rate_hz or not channels:
        raise ValueError(f"{name}: its audio track has no rate or no channels; is the file whole?")
    exact = stream.format is not None and stream.format.name in ("u8", "u8p", "s16", "s16p")
    resampler = av.AudioResampler(format="s16" if exact else "flt", layout=layout, rate=rate_hz)
    written = 0
    subtype = "PCM_16" if exact else "FLOAT"
    with soundfile.SoundFile(path, "w", rate_hz, channels, subtype, format="RF64") as sound:
        for start_s, block in _blocks(container, stream, resampler, name):
            gap_s = 0.0 if start_s is None else start_s - written / rate_hz
            if channels * (written + max(gap_s, 0.0) * rate_hz) > most_samples:
                raise ValueError(f"{name}: holds more than {most_samples:,.0f} samples; split it")
            if gap_s > LEAST_GAP_S:
                written += _write_silence(sound, gap_s, name)
            samples = block.reshape(-1, channels)
            sound.write(samples)
            written += len(samples)
    return written / rate_hz


def _blocks(
    container: Any, stream: Any, resampler: Any, name: str
) -> Iterator[tuple[float | None, np.ndarray]]:
    """Yield the time at which a block begins, or None if that is not known, and its samples, interleaved."""
    import av

    reached = 0.0
    origin = _origin(container)
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            raise ValueError(
                f"{name}: is damaged after {reached:.1f} s ({_reason(error)}); get the whole file"
            ) from None
        for frame in frames:
            start_s = None if frame.time is None else float(frame.time - origin)
            reached = reached + frame.samples / frame.sample_rate if start_s is None else start_s
            for number, even in enumerate(resampler.resample(frame)):
                yield (start_s if number == 0 else None), even.to_ndarray()
    for even in resampler.resample(None):
        yield None, even.to_ndarray()


def _write_silence(sound: soundfile.SoundFile, gap_s: float, name: str) -> int:
    """Write silence, and return its length in samples."""
    if gap_s > LONGEST_GAP_S:
        raise ValueError(f"{name}: its times jump by {gap_s:.0f} s; write it anew with FFmpeg")
    count = round(gap_s * sound.samplerate)
    for start in range(0, count, sound.samplerate):
        sound.write(np.zeros((min(sound.samplerate, count - start), sound.channels), np.float32))
    return count


def _origin(container: Any) -> Fraction:
    """Return the time at which the first of all tracks starts, which is not 0 in recordings of television."""
    import av

    return Fraction(container.start_time or 0, av.time_base)


def _promised_s(container: Any, stream: Any) -> float | None:
    """Return the length of a track as its file states it, or None if it does not."""
    import av

    if stream.duration is None or stream.time_base is None:
        tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d*)?)", stream.metadata.get("DURATION", ""))  # Matroska
        if tag is not None:
            return 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3])
        alone = len(container.streams) == 1 and container.duration is not None
        return float(Fraction(container.duration, av.time_base)) if alone else None
    late = 0.0 if stream.start_time is None else stream.start_time * stream.time_base - _origin(container)
    return float(stream.duration * stream.time_base) + max(0.0, float(late))


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)

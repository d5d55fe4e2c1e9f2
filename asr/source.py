"""Sound files, opened: which part of the file is wanted, and whether the file is whole.

libsndfile returns fewer samples when a file is cut short, and does not say so. The checks here refuse such a
file with the length that its header promises and the length that was found.
"""

import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from common.data.signal import Source
from common.files.pipe import content_of, is_pipe
from common.files.source import source_file
from common.files.wav import TAGS, UNBOUNDED, find_samples, refuse_more

OVERSHOOT_S = 0.5
"""how far a segment may reach beyond the end of its recording, as in Kaldi's extract-segments"""
BLOCK_FRAMES = 2**20
"""largest number of frames that are read at once"""
MP3_SLACK = 4
"""frames of an MP3 that its length may be wrong by: an index, and the encoder's delay and padding"""
MP3_KBITS = (
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
"""bit rates of layer III by their index in a frame header: of MPEG 2 and 2.5, then of MPEG 1"""
STARTS = {"FLAC": b"fLaC\0\0\0\x22", "OGG": b"OggS\0\x02"}
"""the first bytes of a recording, by libsndfile's name of the format"""
NUMBER = r"\d+(?:\.\d*)?|\.\d+"
SOUND_PART = re.compile(
    rf"\[(?:(?P<start>{NUMBER}),(?P<end>{NUMBER})?(?:,channel(?P<channel>\d+))?|channel(?P<only>\d+))\]",
    re.ASCII,
)
"""a part of a recording, without spaces: [1.5,2.25]  [1.5,]  [1.5,2.25,channel2]  [channel2]"""


class Part(NamedTuple):
    """The part of a file that is wanted: `frames` frames, the first of which is frame `start`.

    channel: the index of the wanted channel, counted from 0; None for the mean of all.
    """

    start: int
    frames: int
    channel: int | None = None


def part_name(start_s: float = 0, end_s: float | None = None, channel: str = "") -> str:
    """Return the suffix of a source that names a part of it, which `find_part` understands.

    Args:
        start_s: where the part begins.
        end_s: where it ends; None for the end of the recording.
        channel: the number of a channel, counted from 1; "" for the mean of all.
    """
    start, end = ("" if time is None else f"{time:.6f}".rstrip("0").rstrip(".") for time in (start_s, end_s))
    names = [f"channel{channel}"] if channel else []
    times = [start, end] if start_s or end_s is not None or not channel else []
    return f"[{','.join(times + names)}]"


def source_name(source: Source | io.BufferedIOBase) -> str:
    """Return the name of a source for messages."""
    if isinstance(source, str | Path):
        return str(source)
    return str(getattr(source, "name", "the stream"))


@contextmanager
def open_sound(source: Source) -> Iterator[soundfile.SoundFile]:
    """Open the sound file of `source`, with or without a segment in brackets.

    Raises:
        ValueError: there is no such file, it is not a sound file, or its header shows that it is cut short.
    """
    name = source_name(source)
    file: io.BufferedReader | io.BytesIO
    if isinstance(source, str | Path):
        file = _opened(source_file(str(source)))
    else:
        content = source.read()
        if not content:
            raise ValueError(f"{name}: is empty, a sound file was wanted; record it anew or drop it")
        file = io.BytesIO(content)
    with file, _sound(_whole_wav(_after_tags(file), name), name) as sound:
        yield sound


@contextmanager
def _sound(file: io.BufferedReader | io.BytesIO, name: str) -> Iterator[soundfile.SoundFile]:
    try:
        sound = soundfile.SoundFile(file)
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: ".raw" has no header
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
                counted = _mp3_file_frames(file.name, os.stat(file.name).st_mtime_ns)
            _refuse_mp3_of_other_length(sound, counted, name)
        yield sound


def _reason(error: Exception) -> str:
    if not isinstance(error, soundfile.LibsndfileError):
        return "raw samples without a header"
    if error.code == 7:  # libsndfile says "file does not exist" of an MP3 without a whole frame
        return "damaged, or of an unknown format"
    return str(error.error_string).removeprefix("Error : ").rstrip(".")


def _opened(path: str) -> io.BufferedReader | io.BytesIO:
    """Open the file at `path`, or the content of a pipe."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); name a sound file") from None
    if stat.S_ISDIR(status.st_mode):
        raise ValueError(f"{path}: is a folder, a sound file was wanted; name a file in it")
    if is_pipe(path):  # libsndfile has to seek
        return content_of(path)
    if status.st_size == 0:
        raise ValueError(f"{path}: is empty, a sound file was wanted; record it anew or drop it")
    try:
        return open(path, "rb")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); name a sound file") from None


def _after_tags(file: io.BufferedReader | io.BytesIO) -> io.BufferedReader | io.BytesIO:
    """Return `file`, or what it has after its ID3v2 tags if it begins with several: libsndfile skips one."""
    count = place = 0
    while (size := _tag_size(head := file.read(10), 0)) and head.startswith(b"ID3"):
        count, place = count + 1, place + size
        file.seek(place)
    file.seek(place if count > 1 else 0)
    return io.BytesIO(file.read()) if count > 1 else file


def _whole_wav(file: io.BufferedReader | io.BytesIO, name: str) -> io.BufferedReader | io.BytesIO:
    """Return `file`; if it is a WAV whose header was not finished, its content with a finished header.

    Raises:
        ValueError: it is a WAV with more sound than its header announces.
    """
    start = file.read(12)
    file.seek(0)
    if start[:4] not in (b"RIFF", b"RF64") or start[8:] != b"WAVE":
        return file
    try:
        _, size = find_samples(file, name)
    except ValueError:
        file.seek(0)
        return file  # libsndfile says what is wrong
    place, end = file.tell(), file.seek(0, os.SEEK_END)
    if size and place + size <= end:
        file.seek(place + size)
        refuse_more(file, size, name)
    file.seek(0)
    if size or end - place >= UNBOUNDED:
        return file
    content = bytearray(file.read())
    if content[place - 4 : place] == bytes(4):  # never written, as after a crash; a stream is read to its end
        content[place - 4 : place] = (end - place).to_bytes(4, "little")
    return io.BytesIO(content)


def _refuse_cut(sound: soundfile.SoundFile, name: str) -> None:
    """Raise a ValueError if the header promises more than the file holds.

    libsndfile corrects the number of frames silently, but its log shows what it found, for example
    "data : 96000 (should be 57582)" for a WAV file without its end.
    """
    if sound.frames >= 2**62:
        raise ValueError(
            f"{name}: its header does not say how long it is (written into a pipe?); encode it into a file"
        )
    # "riff" in lower case is W64, whose log has only the size of the whole file
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
    """Raise a ValueError if libsndfile finds another length in an MP3 than its `counted` samples.

    Without an index, libsndfile estimates the length from the first frame. If the estimate is too short, or
    if several files were joined, it silently leaves out the rest.
    """
    if counted and abs(counted - sound.frames) > MP3_SLACK * (1152 if sound.samplerate >= 32000 else 576):
        raise ValueError(
            f"{name}: seems by its header to have {sound.frames / sound.samplerate:.2f} s and has "
            f"{counted / sound.samplerate:.2f} s; get the whole file, or convert it to flac"
        )


@lru_cache(maxsize=64)  # one recording may be read in many segments
def _mp3_file_frames(path: str, _mtime_ns: int) -> int:
    """Return the samples of the MP3 at `path`; a changed file has another time and is counted again."""
    return _mp3_frames(Path(path).read_bytes())


def _mp3_frames(content: bytes) -> int:
    """Return the number of samples in each channel of an MP3, from its frame headers (ISO 11172-3).

        11111111 111VV01P BBBBRRA.    V version, P protected, B bit rate, R sample rate, A one byte of padding

    A frame that holds only an index is counted, too. The result is 0 if there are no frames.
    """
    place = samples = 0
    while 0 <= place <= len(content) - 4:
        frame = _mp3_frame(content, place)
        if frame is not None:
            place += frame.size
            samples += frame.samples
        elif size := _tag_size(content, place):
            place += size
        else:  # what stands between frames may look like one: two in a row are wanted
            place = content.find(b"\xff", place + 1)
            while place >= 0 and not _mp3_frames_begin(content, place):
                place = content.find(b"\xff", place + 1)
    return samples


def _mp3_frames_begin(content: bytes, place: int) -> bool:
    """Return whether a frame is at `place`, and after it another one, a tag or the end."""
    frame = _mp3_frame(content, place)
    if frame is None:
        return False
    after = place + frame.size
    return (
        after >= len(content) - 4 or _mp3_frame(content, after) is not None or content.startswith(TAGS, after)
    )


def _tag_size(content: bytes, place: int) -> int:
    """Return the size in bytes of the tag at `place`: ID3v2, APEv2 or ID3v1; 0 if there is none."""
    if content.startswith(b"ID3", place) and len(content) >= place + 10:
        sizes = content[place + 6 : place + 10]  # 4 x 7 bits
        footer = 10 if content[place + 5] & 0x10 else 0
        return 10 + footer + sum(byte << shift for byte, shift in zip(sizes, (21, 14, 7, 0), strict=True))
    if content.startswith(b"APETAGEX", place) and len(content) >= place + 32:
        header = content[place + 23] & 0x20  # else it is a footer, whose items stand before it
        return 32 + (int.from_bytes(content[place + 12 : place + 16], "little") if header else 0)
    return 128 if content.startswith(b"TAG", place) else 0


class _Mp3Frame(NamedTuple):
    """A frame of an MP3: its size in bytes, and its samples in each channel."""

    size: int
    samples: int


def _mp3_frame(content: bytes, place: int) -> _Mp3Frame | None:
    """Return the frame whose header is at `place`, or None if there is no valid header."""
    first, second, third = content[place : place + 3]
    version, index, rate = second >> 3 & 3, third >> 4, third >> 2 & 3
    if first != 0xFF or second & 0xE6 != 0xE2 or version == 1 or index in {0, 15} or rate == 3:
        return None
    kbits = MP3_KBITS[version == 3][index]
    rate_hz = (44100, 48000, 32000)[rate] >> (0, 1, 2)[(3, 2, 0).index(version)]
    samples = 1152 if version == 3 else 576
    return _Mp3Frame(samples * kbits * 125 // rate_hz + (third >> 1 & 1), samples)


def find_part(source: Source, sound: soundfile.SoundFile) -> Part:
    """Return the part of `sound` that `source` names: a segment, a channel, or the whole recording.

    Raises:
        ValueError: the part cannot be understood, or is not inside the recording.
    """
    frames, rate_hz = int(sound.frames), sound.samplerate
    named = str(source)[len(source_file(str(source))) :] if isinstance(source, str | Path) else ""
    if not named:
        return Part(0, frames)
    found = SOUND_PART.fullmatch(named.replace(" ", ""))
    if found is None:
        raise ValueError(
            f"{source}: {named} names no part of a recording; write [START,END] in seconds, as in"
            " [12.5,15.75], or [channel1]"
        )
    channel = found["channel"] or found["only"]
    if channel is not None and not 1 <= int(channel) <= sound.channels:
        raise ValueError(
            f"{source}: the recording has no channel {channel}, only {sound.channels}; name one of these"
        )
    index = None if channel is None else int(channel) - 1
    if found["start"] is None:
        return Part(0, frames, index)
    whole_s = frames / rate_hz
    start_s = float(found["start"])
    end_s = whole_s if found["end"] is None else float(found["end"])
    if found["end"] is not None and end_s <= start_s:
        raise ValueError(f"{source}: ends before it starts; correct the times")
    if start_s >= whole_s or end_s > whole_s + OVERSHOOT_S:
        place = "starts" if start_s >= whole_s else "ends"
        raise ValueError(
            f"{source}: {place} after the end of the recording, at {whole_s:.3f} s; correct the times"
        )
    start, end = round(start_s * rate_hz), round(min(end_s, whole_s) * rate_hz)
    return Part(start, min(end, frames) - start, index)


def read_part(sound: soundfile.SoundFile, part: Part, name: str) -> Iterator[np.ndarray]:
    """Yield the samples of `part` in blocks (N, channels).

    Raises:
        ValueError: the file holds fewer samples than its header promises, or cannot be decoded.
    """
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
        # the block is lost with all frames before the error; FLAC: the seek after a short read fails
        raise ValueError(
            f"{name}: is cut short or damaged: its header promises {part.frames / sound.samplerate:.2f} s "
            f"and decoding fails after {_decodable_s(sound, part):.2f} s ({_reason(error)}); "
            "get the whole file"
        ) from None
    if part.start + part.frames == sound.frames and sound.format in STARTS:
        _refuse_more(sound, name)
    if (part.frames - done) / sound.samplerate > 0.05:  # MP3: one or two frames of the encoder's delay
        raise ValueError(
            f"{name}: is cut short: its header promises {part.frames / sound.samplerate:.2f} s and "
            f"{done / sound.samplerate:.2f} s are there; get the whole file"
        )


def _refuse_more(sound: soundfile.SoundFile, name: str) -> None:
    """Raise a ValueError if the file of `sound`, which was read to its announced end, has more sound.

    The decoder reads blocks of 8 KiB. A short second recording is found in the last one, but not samples that
    the header has not announced.
    """
    file = sound.name
    place = file.tell()
    file.seek(max(1, place - 2**14))
    tail = file.read()
    rest = tail[len(tail) - (file.tell() - place) :] if file.tell() > place else b""
    file.seek(place)
    if STARTS[sound.format] in tail or (any(rest) and not rest.startswith(TAGS)):
        raise ValueError(
            f"{name}: goes on after the {sound.frames / sound.samplerate:.2f} s that its header announces; "
            "split joined recordings, or write the header anew"
        )


def _decodable_s(sound: soundfile.SoundFile, part: Part) -> float:
    """Return the time in seconds at which decoding fails, rounded to a tenth."""
    step, done = max(sound.samplerate // 10, 1), 0
    try:
        sound.name.seek(0)
        with soundfile.SoundFile(sound.name) as again:
            again.seek(part.start)
            while done < part.frames and len(again.read(step, dtype="float32")):
                done += step
    except soundfile.LibsndfileError:
        pass
    return done / sound.samplerate

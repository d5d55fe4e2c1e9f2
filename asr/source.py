"""Sound files, opened: which part of the file is wanted, and whether the file is whole.

libsndfile returns fewer samples when a file is cut short, and does not say so. The checks here refuse such a
file with the length that its header promises and the length that was found.
"""

import io
import os
import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from asr.media import ffmpeg, mp3
from asr.media.raw import RawFormat, parse_raw
from common.data.signal import Source
from common.files.pipe import content_of, is_pipe
from common.files.source import part_of, source_file, stored
from common.files.wav import TAGS, UNBOUNDED, find_samples, refuse_more

OVERSHOOT_S = 0.5
"""how far a segment may reach beyond the end of its recording, as in Kaldi's extract-segments"""
BLOCK_FRAMES = 2**20
"""largest number of frames that are read at once"""
MP3_SLACK = 4
"""frames of an MP3 that its length may be wrong by: an index, and the encoder's delay and padding"""
STARTS = {"FLAC": b"fLaC\0\0\0\x22", "OGG": b"OggS\0\x02"}
"""the first bytes of a recording, by libsndfile's name of the format"""
NUMBER = r"\d+(?:\.\d*)?|\.\d+"
SOUND_PART = re.compile(
    rf"\[(?!\])(?:(?P<start>{NUMBER}),(?P<end>{NUMBER})?)?"
    r"(?:(?:(?<=\[)|,)(?P<raw>[a-z]+\d*(?:le|be)?-\d+-\d+))?"
    r"(?:(?:(?<=\[)|,)track(?P<track>\d+))?(?:(?:(?<=\[)|,)channel(?P<channel>\d+))?\]",
    re.ASCII,
)
"""a part of a recording, without spaces: [1.5,2.25]  [1.5,]  [1.5,2.25,channel2]  [channel2]  [track2]
[s16le-16000-1]"""


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
        file = stored(source) or _opened(source_file(str(source)))
    else:
        content = source.read()
        if not content:
            raise ValueError(f"{name}: is empty, a sound file was wanted; record it anew or drop it")
        file = io.BytesIO(content)
    wanted = _named_part(source)
    if wanted is not None and wanted["raw"]:
        with file, _raw_sound(file, parse_raw(wanted["raw"]), name) as sound:
            yield sound
        return
    with file, _sound(_whole_wav(_after_tags(file), name), _wanted_track(source), name) as sound:
        yield sound


def _raw_sound(file: io.BufferedReader | io.BytesIO, form: RawFormat, name: str) -> soundfile.SoundFile:
    """Open raw samples.

    Raises:
        ValueError: the file does not consist of whole samples.
    """
    endian = {"le": "LITTLE", "be": "BIG"}[form.endian]
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size % form.frame_bytes:
        raise ValueError(
            f"{name}: has {size} bytes, which are no whole samples of {form.frame_bytes} bytes; correct --raw"
        )
    return soundfile.SoundFile(
        file, "r", form.rate_hz, form.channels, form.subtype, endian if form.frame_bytes > 1 else None, "RAW"
    )


@contextmanager
def _sound(file: io.BufferedReader | io.BytesIO, track: int, name: str) -> Iterator[soundfile.SoundFile]:
    try:
        sound = soundfile.SoundFile(file)
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: ".raw" has no header
        if isinstance(error, TypeError):
            raise ValueError(
                f"{name}: has raw samples without a header; say what they are, as in --raw s16le,16000,1"
            ) from None
        if _is_known(file):
            raise ValueError(
                f"{name}: cannot be read as sound ({_reason(error)}); get the whole file or make a flac"
            ) from None
        sound = _by_ffmpeg(file, track, name)
    else:
        if track > 1:
            sound.close()
            raise ValueError(f"{name}: has no audio track {track}, only 1; name this one")
    with sound:
        _refuse_cut(sound, name)
        if sound.subtype == "MPEG_LAYER_III":
            if isinstance(file, io.BytesIO):
                counted = mp3.count(file.getvalue())
            else:
                counted = mp3.count_file(file.name, os.stat(file.name).st_mtime_ns)
            _refuse_mp3_of_other_length(sound, counted, name)
        yield sound


def is_read_by_libsndfile(content: bytes) -> bool:
    """Return whether libsndfile reads a file with this content, or says best what is wrong with it."""
    file = _after_tags(io.BytesIO(content))
    try:
        with soundfile.SoundFile(file):
            return True
    except (soundfile.LibsndfileError, TypeError):
        return _is_known(file)


def _is_known(file: io.BufferedReader | io.BytesIO) -> bool:
    """Return whether a file is of a format that libsndfile reads, so that another reader is of no use."""
    file.seek(0)
    start = file.read(12)
    file.seek(0)
    return start[:4] in (b"RF64", b"riff", b"fLaC", b"FORM") or (
        start[:4] == b"RIFF" and start[8:] == b"WAVE"
    )


def _by_ffmpeg(file: io.BufferedReader | io.BytesIO, track: int, name: str) -> soundfile.SoundFile:
    """Open the sound of a file that libsndfile does not know.

    Raises:
        ValueError: PyAV is not installed, or does not know it either.
    """
    if not ffmpeg.is_installed():
        raise ValueError(
            f"{name}: is not wav, flac, ogg, opus or mp3; convert it to one of these, or"
            " pip install 'amanuensis[media]', which reads what FFmpeg does"
        )
    if isinstance(file, io.BytesIO):
        decoded = ffmpeg.decode(file, track, name)
        return soundfile.SoundFile(decoded.path)
    status = os.stat(file.name)
    kept = ffmpeg.decode_file(file.name, track, status.st_mtime_ns, status.st_size)
    return soundfile.SoundFile(kept.path)


def _reason(error: soundfile.LibsndfileError) -> str:
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
    while (size := mp3.tag_size(head := file.read(10), 0)) and head.startswith(b"ID3"):
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
        described, size = find_samples(file, name)
    except ValueError:
        file.seek(0)
        return file  # libsndfile says what is wrong
    place, end = file.tell(), file.seek(0, os.SEEK_END)
    if size and place + size <= end:
        file.seek(place + size)
        refuse_more(file, size, name)
    file.seek(0)
    frame = int.from_bytes(described[12:14], "little")
    if not size and frame and (left := (end - place) % frame):
        warnings.warn(
            f"{name}: ends within a sample: {left} of its {frame} bytes are there; look at what wrote it",
            stacklevel=2,
        )
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


def find_part(source: Source, sound: soundfile.SoundFile) -> Part:
    """Return the part of `sound` that `source` names: a segment, a channel, or the whole recording.

    Raises:
        ValueError: the part cannot be understood, or is not inside the recording.
    """
    frames, rate_hz = int(sound.frames), sound.samplerate
    named = part_of(str(source)) if isinstance(source, str | Path) else ""
    if not named:
        return Part(0, frames)
    found = SOUND_PART.fullmatch(named.replace(" ", ""))
    if found is None:
        raise ValueError(
            f"{source}: {named} names no part of a recording; write [START,END] in seconds, as in"
            " [12.5,15.75], [channel1] or [track2]"
        )
    channel = found["channel"]
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


def _named_part(source: Source) -> re.Match[str] | None:
    named = part_of(str(source)) if isinstance(source, str | Path) else ""
    return SOUND_PART.fullmatch(named.replace(" ", ""))


def _wanted_track(source: Source) -> int:
    """Return the number of the audio track that `source` names, counted from 1; 1 if it names none."""
    found = _named_part(source)
    if found is None or found["track"] is None:
        return 1
    if not int(found["track"]):
        raise ValueError(f"{source}: audio tracks are counted from 1; name one of these")
    return int(found["track"])


def read_part(
    sound: soundfile.SoundFile, part: Part, name: str, most: int = BLOCK_FRAMES
) -> Iterator[np.ndarray]:
    """Yield the samples of `part` in blocks (N, channels) of at most `most` frames.

    Raises:
        ValueError: the file holds fewer samples than its header promises, or cannot be decoded.
    """
    done = 0
    try:
        if part.start:
            sound.seek(part.start)
        # soundfile seeks after each read, and libmpg123 then complains on standard error
        sound.seekable = lambda: False  # type: ignore[method-assign]
        while done < part.frames:
            block = sound.read(min(most, part.frames - done), dtype="float32", always_2d=True)
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

"""The sound of an upload: whether it may be decoded at all, how long it is, and what the reader is given."""

from typing import NamedTuple

import soundfile

from asr.media import ffmpeg
from asr.source import is_read_by_libsndfile, open_sound
from common.data.signal import Source
from common.files.pipe import PipeContent
from common.serving.errors import RequestError

NAME = "file"
"""what the upload is called in messages; the name that the client gives it is never used"""
LONGEST_S = 4 * 3600.0
MOST_CHANNELS = 16
MOST_SAMPLES = 500_000_000
"""of all channels of a container, whose sound is written to a temporary file: 3 hours at 44.1 kHz"""
HIGHEST_RATE_HZ = 384_000
"""a small file of silence may say that it holds more: it is refused before it is decoded"""


class Sound(NamedTuple):
    """An upload whose length is known.

    source: what the reader is given.
    duration_s: its length.
    decoded: keeps the temporary file of a container alive; None for other formats.
    """

    source: Source
    duration_s: float
    decoded: ffmpeg.DecodedSound | None = None

    def close(self) -> None:
        """Delete the temporary file, if there is one."""
        if self.decoded is not None:
            self.decoded.delete()


def sound_of(content: bytes) -> Sound:
    """Return the sound of an upload.

    Raises:
        ValueError: it is no sound file, or damaged.
        RequestError: it is too long.
    """
    source: Source = PipeContent(content, NAME)
    decoded = None
    if content and ffmpeg.is_installed() and not is_read_by_libsndfile(content):
        decoded = ffmpeg.decode(PipeContent(content, NAME), 1, NAME, MOST_SAMPLES)
        source = decoded.path
    with open_sound(source) as sound:
        duration_s = _checked_s(sound)
    return Sound(source if decoded else PipeContent(content, NAME), duration_s, decoded)


def _checked_s(sound: soundfile.SoundFile) -> float:
    """Return the length of a sound in seconds, from its header; RequestError if there is too much of it."""
    duration_s = sound.frames / sound.samplerate
    if duration_s > LONGEST_S:
        message = f"{NAME}: is {duration_s / 3600:.1f} h long, {LONGEST_S / 3600:g} h are taken; split it"
        raise RequestError(413, message, NAME, "file_too_long")
    if sound.channels > MOST_CHANNELS or sound.samplerate > HIGHEST_RATE_HZ:
        found = f"{sound.channels} channels at {sound.samplerate} Hz"
        raise ValueError(f"{NAME}: has {found}; write it with fewer, such as 1 at 16000 Hz")
    return duration_s

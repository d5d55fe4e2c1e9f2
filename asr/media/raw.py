"""Raw samples without a header: "s16le,16000,1" is what `arecord -t raw` and `ffmpeg -f s16le` write."""

import re
import struct
from io import BufferedIOBase, BytesIO
from typing import NamedTuple

from common.data.signal import Source
from common.files.pipe import PipeContent
from common.files.source import source_file

ENCODINGS = {
    "u8": ("PCM_U8", 1, 8),
    "s8": ("PCM_S8", 0, 8),
    "s16": ("PCM_16", 1, 16),
    "s24": ("PCM_24", 1, 24),
    "s32": ("PCM_32", 1, 32),
    "f32": ("FLOAT", 3, 32),
    "f64": ("DOUBLE", 3, 64),
    "alaw": ("ALAW", 6, 8),
    "mulaw": ("ULAW", 7, 8),
}
"""by FFmpeg's name without the order of bytes: libsndfile's name, the format in WAV (0: none), bits"""
SINGLE_BYTE = ("u8", "s8", "alaw", "mulaw")
SPEC = re.compile(r"([a-z]+\d*?)(le|be)?[,-]([1-9]\d{0,5})[,-]([1-9]\d?)", re.ASCII)
UNKNOWN_SIZE = 0xFFFF_FFFF


class RawFormat(NamedTuple):
    """The format of raw samples; `endian` is "le" or "be"."""

    encoding: str
    endian: str
    rate_hz: int
    channels: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of each channel."""
        return self.channels * ENCODINGS[self.encoding][2] // 8

    @property
    def subtype(self) -> str:
        """What libsndfile calls the encoding."""
        return ENCODINGS[self.encoding][0]


def parse_raw(spec: str) -> RawFormat:
    """Return the format that "s16le,16000,1" means: encoding, samples per second, channels.

    Raises:
        ValueError: it is no such format.
    """
    found = SPEC.fullmatch(spec)
    if found is None or not _is_encoding(found[1], found[2]):
        names = ", ".join(name if name in SINGLE_BYTE else f"{name}le" for name in ENCODINGS)
        raise ValueError(
            f"{spec!r}: is no format of raw samples; give the encoding ({names} or be), samples per second"
            " and channels, such as s16le,16000,1"
        )
    return RawFormat(found[1], found[2] or "le", int(found[3]), int(found[4]))


def _is_encoding(name: str, endian: str | None) -> bool:
    return name in ENCODINGS and (endian is None) == (name in SINGLE_BYTE)


def as_raw(source: Source | BufferedIOBase, spec: str) -> Source:
    """Return the source of raw samples of a file, a pipe or a stream that has nothing else.

    Raises:
        ValueError: `spec` is no format, or what is not a file has samples that WAV does not have.
    """
    form = parse_raw(spec)
    if isinstance(source, BytesIO):
        content = wav_header(form, source) + source.getvalue()
        return PipeContent(content, str(getattr(source, "name", "")))
    if isinstance(source, BufferedIOBase):
        return Prefixed(source, wav_header(form, source))  # type: ignore[return-value]
    name, part = str(source), spec.replace(",", "-")
    if source_file(name) != name and name.endswith("]"):
        return f"{name[:-1]},{part}]"
    return f"{name}[{part}]"


def wav_header(form: RawFormat, source: object) -> bytes:
    """Return the header of a WAV of unknown size with samples of this format."""
    _, kind, bits = ENCODINGS[form.encoding]
    if not kind or form.endian == "be":
        raise ValueError(
            f"{getattr(source, 'name', source)}: raw samples in a pipe or stream are u8, alaw, mulaw, s16le,"
            " s24le, s32le, f32le or f64le; write others to a file and name it"
        )
    frame = form.frame_bytes
    described = struct.pack("<HHIIHH", kind, form.channels, form.rate_hz, form.rate_hz * frame, frame, bits)
    chunks = b"WAVEfmt " + struct.pack("<I", len(described)) + described + b"data"
    return b"RIFF" + struct.pack("<I", UNKNOWN_SIZE) + chunks + struct.pack("<I", UNKNOWN_SIZE)


class Prefixed(BufferedIOBase):
    """A stream after some bytes.

    Args:
        stream: what comes after them.
        prefix: the bytes.
    """

    def __init__(self, stream: BufferedIOBase, prefix: bytes) -> None:
        self._stream, self._prefix = stream, prefix
        self.name = str(getattr(stream, "name", "the stream"))

    def read1(self, size: int = -1, /) -> bytes:
        """Return the bytes that are there, at most `size`."""
        if not self._prefix:
            return self._stream.read1(size)
        count = len(self._prefix) if size < 0 else size
        given, self._prefix = self._prefix[:count], self._prefix[count:]
        return given

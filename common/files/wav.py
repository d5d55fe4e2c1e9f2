"""WAV from a pipe: a header in which the sizes may be unknown, then samples until the end.

    "RIFF" size "WAVE"   "fmt " size format ...   other chunks   "data" size samples ...

The other formats that libsndfile reads need the end of the file first, or need to seek in it.
"""

import struct
from collections.abc import Iterator
from io import BufferedIOBase
from typing import NamedTuple

import numpy as np

UNBOUNDED = 0x7FFF_0000
"""bytes; this size or more was written before the length was known, as ffmpeg and sox do into a pipe"""
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
KINDS = {
    (PCM, 8): "u1",
    (PCM, 16): "<i2",
    (PCM, 24): "u1",
    (PCM, 32): "<i4",
    (FLOAT, 32): "<f4",
    (FLOAT, 64): "<f8",
}
"""NumPy's type of a sample, by format and bits; for 24 bits, the type of one of its three bytes"""
OTHERS = {b"OggS": "Ogg", b"fLaC": "FLAC", b"ID3": "MP3", b"FORM": "AIFF", b".snd": "AU", b"RIFX": "RIFX"}
"""names of other formats, by their first bytes"""
TAGS = (b"TAG", b"ID3", b"APETAGEX")
"""the first bytes of tags that other programs put after the samples"""
LARGEST_FORMAT = 4096
"""bytes; the chunk "fmt " has 16 to 40"""
CUT = "{name}: ends within its header; look at what should write it"
READ = 2**16
"""bytes that are read at a time, at most; a read returns what has arrived and does not wait for more"""


class WavHeader(NamedTuple):
    """The format of the samples in a stream.

    kind: PCM or FLOAT, and the bits of a sample.
    size: bytes of all samples; None if the header does not say.
    """

    rate_hz: int
    channels: int
    kind: tuple[int, int]
    size: int | None

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of each channel."""
        return self.channels * self.kind[1] // 8


def read_header(source: BufferedIOBase, name: str) -> WavHeader:
    """Return the header of a WAV stream; the next byte of `source` is then that of the first sample.

    Raises:
        ValueError: the stream is empty, cut short, or not WAV of a kind that is read here. The message
            begins with `name`.
    """
    described, size = find_samples(source, name)
    return _header(described, size or None, name)


def find_samples(source: BufferedIOBase, name: str) -> tuple[bytes, int]:
    """Return the chunk "fmt " and the size of the samples, 0 if the header does not say; read up to them.

    Raises:
        ValueError: the stream is empty, cut short, or not WAV. The message begins with `name`.
    """
    start = _read(source, 12)
    _refuse_others(start, name)
    chunks = dict[bytes, bytes]()
    while True:
        kind, size = struct.unpack("<4sI", _whole(source, 8, name))
        if kind == b"data":
            break
        padded = size + size % 2
        if kind in (b"fmt ", b"ds64") and size <= LARGEST_FORMAT:
            chunks[kind] = _whole(source, padded, name)
            continue
        for first in range(0, padded, READ):
            _whole(source, min(READ, padded - first), name)
    if b"ds64" in chunks and size == 0xFFFF_FFFF:
        long_size = int.from_bytes(chunks[b"ds64"][8:16], "little")
        size = long_size if long_size < 2**62 else 0
    elif size >= UNBOUNDED:
        size = 0
    return chunks.get(b"fmt ", b""), size


def _refuse_others(start: bytes, name: str) -> None:
    """Raise ValueError if `start` is not the first 12 bytes of a WAV file."""
    if not start:
        raise ValueError(f"{name}: is empty, a WAV stream was wanted; look at what should write it")
    if start[:4] in (b"RIFF", b"RF64") and start[8:] == b"WAVE":
        return
    if b"RIFF".startswith(start[:4]) and len(start) < 12:
        raise ValueError(CUT.format(name=name))
    other = next((kind for magic, kind in OTHERS.items() if start.startswith(magic)), "no WAV")
    if len(start) > 1 and start[0] == 0xFF and start[1] & 0xE6 == 0xE2:
        other = "MP3"
    raise ValueError(
        f"{name}: is {other}, which cannot be read while it comes; pipe it through `ffmpeg -i FILE -f wav -`"
    )


def _header(described: bytes, size: int | None, name: str) -> WavHeader:
    if len(described) < 16:
        raise ValueError(f"{name}: its header does not say what its samples are; write it anew")
    form, channels, rate_hz, _, frame_bytes, bits = struct.unpack("<HHIIHH", described[:16])
    if form == EXTENSIBLE and len(described) >= 26:
        form = int.from_bytes(described[24:26], "little")
    header = WavHeader(rate_hz, channels, (form, bits), size)
    if header.kind not in KINDS:
        raise ValueError(
            f"{name}: its samples are of format {form} with {bits} bits, where PCM of 8, 16, 24 or 32 bits or"
            " float was wanted; pipe it through `ffmpeg -i FILE -f wav -`"
        )
    if not rate_hz or not channels or frame_bytes != header.frame_bytes:
        raise ValueError(
            f"{name}: its header is damaged ({channels} channels of {bits} bits in {frame_bytes} bytes,"
            f" {rate_hz} Hz); write it anew"
        )
    return header


def read_blocks(source: BufferedIOBase, header: WavHeader, name: str) -> Iterator[np.ndarray]:
    """Yield samples (N, channels), float32, as soon as they come; PCM is scaled to [-1, 1].

    Chunks after the samples are read and ignored.

    Raises:
        ValueError: after the last complete sample, if the stream ends before the size in the header, ends
            within a sample, or has more sound after that size.
    """
    frame, done, left = header.frame_bytes, 0, b""
    while header.size is None or done < header.size:
        content = source.read1(READ if header.size is None else min(READ, header.size - done))
        if not content:
            break
        done += len(content)
        content = left + content
        whole = len(content) // frame * frame
        left = content[whole:]
        if whole:
            yield _decoded(content[:whole], header.kind).reshape(-1, header.channels)
    if header.size is not None and done < header.size:
        raise ValueError(
            f"{name}: is cut short: its header promises {header.size} bytes of samples and {done} came;"
            " look at what wrote it"
        )
    if left and header.size is None:
        raise ValueError(
            f"{name}: ends within a sample: {len(left)} of its {frame} bytes came; look at what wrote it"
        )
    if header.size is not None:
        refuse_more(source, header.size, name)


def refuse_more(source: BufferedIOBase, size: int, name: str) -> None:
    """Read what follows the `size` bytes of samples: whole chunks, tags or zeros.

    Raises:
        ValueError: something else follows, such as a second recording, or samples that the header has not
            announced.
    """
    rest = _read(source, size % 2)  # the pad, which some programs leave out
    rest = b"" if rest == b"\0" else rest
    while head := rest + _read(source, 8 - len(rest)):
        rest = b""
        if head.startswith(TAGS):
            break
        length = int.from_bytes(head[4:], "little")
        length += length % 2
        named = len(head) == 8 and all(32 <= byte < 127 for byte in head[:4])
        if not named or head[:4] in (b"RIFF", b"RF64") or _skip(source, length) < length - 1:
            if not any(head) and not any(map(any, iter(lambda: source.read1(READ), b""))):
                return  # the recorder has filled its last block with zeros
            raise ValueError(
                f"{name}: goes on after the {size} bytes of samples that its header announces;"
                " split joined recordings, or write the header anew"
            )
    while source.read1(READ):
        pass


def _skip(source: BufferedIOBase, size: int) -> int:
    """Read `size` bytes and return how many there were."""
    done = 0
    while done < size and (content := source.read1(min(READ, size - done))):
        done += len(content)
    return done


def _decoded(content: bytes, kind: tuple[int, int]) -> np.ndarray:
    """Return samples (N,) scaled as libsndfile scales them."""
    form, bits = kind
    numbers = np.frombuffer(content, KINDS[kind])
    if form == FLOAT:
        return numbers.astype(np.float32)
    if bits == 8:
        return (numbers.astype(np.float32) - 128) / 128
    if bits == 24:
        wide = np.zeros((len(numbers) // 3, 4), np.uint8)
        wide[:, 1:] = numbers.reshape(-1, 3)
        numbers, bits = wide.view("<i4")[:, 0], 32
    return numbers.astype(np.float32) / np.float32(2 ** (bits - 1))


def _read(source: BufferedIOBase, size: int) -> bytes:
    """Return `size` bytes, or fewer at the end of the stream."""
    content = b""
    while len(content) < size and (more := source.read1(size - len(content))):
        content += more
    return content


def _whole(source: BufferedIOBase, size: int, name: str) -> bytes:
    content = _read(source, size)
    if len(content) < size:
        raise ValueError(CUT.format(name=name))
    return content

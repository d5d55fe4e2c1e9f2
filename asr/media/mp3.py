"""The length of an MP3, from the headers of its frames: libsndfile estimates it, and no library counts."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from common.files.wav import TAGS

MP3_KBITS = (
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
"""bit rates of layer III by their index in a frame header: of MPEG 2 and 2.5, then of MPEG 1"""


@lru_cache(maxsize=64)  # one recording may be read in many segments
def count_file(path: str, _mtime_ns: int) -> int:
    """Return the samples of the MP3 at `path`; a changed file has another time and is counted again."""
    return count(Path(path).read_bytes())


def count(content: bytes) -> int:
    """Return the number of samples in each channel of an MP3, from its frame headers (ISO 11172-3).

        11111111 111VV01P BBBBRRA.    V version, P protected, B bit rate, R sample rate, A one byte of padding

    A frame that holds only an index is counted, too. The result is 0 if there are no frames.
    """
    place = samples = 0
    while 0 <= place <= len(content) - 4:
        frame = _frame(content, place)
        if frame is not None:
            place += frame.size
            samples += frame.samples
        elif size := tag_size(content, place):
            place += size
        else:  # what stands between frames may look like one: two in a row are wanted
            place = content.find(b"\xff", place + 1)
            while place >= 0 and not _frames_begin(content, place):
                place = content.find(b"\xff", place + 1)
    return samples


def _frames_begin(content: bytes, place: int) -> bool:
    """Return whether a frame is at `place`, and after it another one, a tag or the end."""
    frame = _frame(content, place)
    if frame is None:
        return False
    after = place + frame.size
    return after >= len(content) - 4 or _frame(content, after) is not None or content.startswith(TAGS, after)


def tag_size(content: bytes, place: int) -> int:
    """Return the size in bytes of the tag at `place`: ID3v2, APEv2 or ID3v1; 0 if there is none."""
    if content.startswith(b"ID3", place) and len(content) >= place + 10:
        sizes = content[place + 6 : place + 10]  # 4 x 7 bits
        footer = 10 if content[place + 5] & 0x10 else 0
        return 10 + footer + sum(byte << shift for byte, shift in zip(sizes, (21, 14, 7, 0), strict=True))
    if content.startswith(b"APETAGEX", place) and len(content) >= place + 32:
        header = content[place + 23] & 0x20  # else it is a footer, whose items stand before it
        return 32 + (int.from_bytes(content[place + 12 : place + 16], "little") if header else 0)
    return 128 if content.startswith(b"TAG", place) else 0


class _Frame(NamedTuple):
    """A frame of an MP3: its size in bytes, and its samples in each channel."""

    size: int
    samples: int


def _frame(content: bytes, place: int) -> _Frame | None:
    """Return the frame whose header is at `place`, or None if there is no valid header."""
    first, second, third = content[place : place + 3]
    version, index, rate = second >> 3 & 3, third >> 4, third >> 2 & 3
    if first != 0xFF or second & 0xE6 != 0xE2 or version == 1 or index in {0, 15} or rate == 3:
        return None
    kbits = MP3_KBITS[version == 3][index]
    rate_hz = (44100, 48000, 32000)[rate] >> (0, 1, 2)[(3, 2, 0).index(version)]
    samples = 1152 if version == 3 else 576
    return _Frame(samples * kbits * 125 // rate_hz + (third >> 1 & 1), samples)

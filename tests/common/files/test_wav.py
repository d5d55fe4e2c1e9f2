"""The expected samples are those of libsndfile, which writes the streams and reads them as files."""

import io
import struct

import numpy as np
import pytest
import soundfile

from common.files.wav import read_blocks, read_header


class Slow(io.BytesIO):
    """A stream from which each read returns a few bytes only."""

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(min(7, size if size is not None and size >= 0 else 7))


def written(samples: np.ndarray, subtype: str, kind: str = "WAV", rate_hz: int = 8000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=kind, subtype=subtype)
    return file.getvalue()


def noise(frames: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (frames, channels))


def read(content: bytes, kind: type[io.BytesIO] = io.BytesIO) -> np.ndarray:
    source = kind(content)
    header = read_header(source, "talk")
    return np.concatenate(list(read_blocks(source, header, "talk")))


def with_sizes(content: bytes, size: int) -> bytes:
    """Return a WAV file whose header has `size` as the size of the file and of the samples."""
    place = content.index(b"data") + 4
    number = struct.pack("<I", size)
    return content[:4] + number + content[8:place] + number + content[place + 4 :]


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_samples_are_those_of_libsndfile(subtype, kind, channels):
    content = written(noise(501, channels), subtype, kind)
    truth, _ = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    for source in (io.BytesIO, Slow):
        np.testing.assert_array_equal(read(content, source), truth)


@pytest.mark.parametrize("size", [0, 0xFFFF_FFFF, 0x7FFF_FFFF, 0x8000_0000, 0x7FFF_0024])
def test_a_stream_of_unknown_size_goes_on_to_its_end(size):
    content = written(noise(300, 2), "PCM_16")
    np.testing.assert_array_equal(read(with_sizes(content, size)), read(content))


def test_chunks_around_the_samples_are_left_out():
    content = written(noise(300, 1), "PCM_16")
    extra = b"LIST" + struct.pack("<I", 5) + b"hello\0"
    place = content.index(b"data")
    np.testing.assert_array_equal(read(content[:12] + extra + content[12:] + extra), read(content))
    np.testing.assert_array_equal(read(content[:place] + extra + content[place:]), read(content))


def test_the_header_has_rate_channels_format_and_size():
    header = read_header(io.BytesIO(written(noise(10, 2), "PCM_24", rate_hz=44_100)), "talk")
    assert header == (44_100, 2, (1, 24), 60)
    assert header.frame_bytes == 6


@pytest.mark.parametrize("cut", [1, 11, 12, 20, 35, 43])
def test_a_cut_header_is_refused(cut):
    with pytest.raises(ValueError, match=r"^talk: ends within its header; "):
        read_header(io.BytesIO(written(noise(10, 1), "PCM_16")[:cut]), "talk")


@pytest.mark.parametrize(
    ("start", "named"),
    [
        (b"", "is empty"),
        (b"OggS" + bytes(20), "is Ogg"),
        (b"fLaC" + bytes(20), "is FLAC"),
        (b"ID3\4" + bytes(20), "is MP3"),
        (b"\xff\xfb\x90\0" + bytes(20), "is MP3"),
        (b"FORM" + bytes(20), "is AIFF"),
        (b"RIFX" + bytes(20), "is RIFX"),
        (b"RIFF\0\0\0\0AVI LIST", "is no WAV"),
        (b"hello, world: text", "is no WAV"),
    ],
)
def test_what_is_no_wav_is_named_with_what_to_do(start, named):
    with pytest.raises(ValueError, match=rf"^talk: {named}") as caught:
        read_header(io.BytesIO(start), "talk")
    assert not start or "`ffmpeg -i FILE -f wav -`" in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ((2, 1, 8000, 0, 1, 4), "of format 2 with 4 bits"),
        ((1, 0, 8000, 0, 0, 16), "damaged"),
        ((1, 1, 0, 0, 2, 16), "damaged"),
        ((1, 2, 8000, 0, 2, 16), "damaged"),
        (None, "does not say what its samples are"),
    ],
)
def test_samples_that_cannot_be_understood_are_refused(fields, named):
    described = b"fmt " + struct.pack("<I", 16) + struct.pack("<HHIIHH", *fields) if fields else b""
    content = b"RIFF\0\0\0\0WAVE" + described + b"data\0\0\0\0" + bytes(100)
    with pytest.raises(ValueError, match=named):
        read_header(io.BytesIO(content), "talk")


@pytest.mark.parametrize(
    ("size", "left_out", "named"),
    [(None, 3, r"cut short: .* 400 bytes .* 397"), (0, 1, r"within a sample: 3 of its 4 bytes")],
)
def test_a_missing_end_is_an_error_after_the_samples_that_came(size, left_out, named):
    content = written(noise(100, 2), "PCM_16")
    source = io.BytesIO((content if size is None else with_sizes(content, size))[:-left_out])
    blocks = read_blocks(source, read_header(source, "talk"), "talk")
    np.testing.assert_array_equal(next(blocks), read(content)[:99])
    with pytest.raises(ValueError, match=named):
        next(blocks)

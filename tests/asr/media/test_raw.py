import io

import numpy as np
import pytest
import soundfile
from command import call

from asr import signal
from asr.media.raw import ENCODINGS, Prefixed, as_raw, parse_raw
from asr.modality import ASR
from asr.signal import SignalConfig, channels, read
from common.files.pipe import PipeContent

CONFIG = SignalConfig(sample_rate_hz=8000)
LINEAR = {"u8": 8, "s8": 8, "s16": 16, "s24": 24, "s32": 24, "f32": 24, "f64": 24}


def tone() -> np.ndarray:
    return 0.5 * np.sin(np.arange(16_000) / 9)


@pytest.mark.parametrize("endian", ["le", "be"])
@pytest.mark.parametrize("name", ENCODINGS)
def test_samples_of_every_encoding_are_those_that_were_written(name, endian, tmp_path):
    order = {"le": "LITTLE", "be": "BIG"}[endian]
    single = name in ("u8", "s8", "alaw", "mulaw")
    path = tmp_path / "a.raw"
    soundfile.write(path, tone(), 8000, ENCODINGS[name][0], None if single else order, "RAW")
    spec = f"{name}{'' if single else endian},8000,1"
    found = read(as_raw(str(path), spec), CONFIG).values
    steps = 2.0 ** (1 - LINEAR[name]) if name in LINEAR else 0.03
    assert np.abs(found - tone()).max() <= 1.01 * steps


def test_channels_and_segments_of_raw_samples_are_named_like_others(tmp_path):
    path = tmp_path / "a.raw"
    soundfile.write(path, np.stack([tone(), -0.5 * tone()], 1), 8000, "PCM_16", "LITTLE", "RAW")
    left, right = channels(as_raw(str(path), "s16le,8000,2"), "each")
    assert read(right, CONFIG).values == pytest.approx(-0.5 * read(left, CONFIG).values, abs=1e-4)
    part = read(f"{path}[0.5,1.5,s16le-8000-2,channel1]", CONFIG).values
    assert part == pytest.approx(read(left, CONFIG).values[4000:12000])


def test_a_pipe_and_a_stream_of_raw_samples_are_read_like_a_file(tmp_path):
    path = tmp_path / "a.raw"
    soundfile.write(path, tone(), 8000, "PCM_16", "LITTLE", "RAW")
    wanted = read(as_raw(str(path), "s16le,8000,1"), CONFIG).values
    piped = as_raw(PipeContent(path.read_bytes(), "-"), "s16le,8000,1")
    assert np.array_equal(read(piped, CONFIG).values, wanted)
    piped.seek(0)
    assert np.array_equal(np.concatenate(list(signal.pieces(piped, CONFIG))), wanted)
    stream = as_raw(io.BufferedReader(io.BytesIO(path.read_bytes())), "s16le,8000,1")
    assert ASR.stream is not None
    assert np.array_equal(np.concatenate([one.values for one in ASR.stream(stream, CONFIG)]), wanted)


def test_bytes_before_a_stream_come_first_in_pieces_of_any_size():
    stream = Prefixed(io.BufferedReader(io.BytesIO(b"content")), b"head")
    pieces = [stream.read1(3), stream.read1(3), stream.read1(3), stream.read1()]
    assert pieces == [b"hea", b"d", b"con", b"tent"]


@pytest.mark.parametrize(
    "spec", ["s16", "s16le", "s16le,0,1", "s16le,16000,0", "s16,16000,1", "u8le,8000,1", "mp3,1,1"]
)
def test_a_format_that_is_none_is_bad_usage(spec, tmp_path):
    with pytest.raises(ValueError, match="no format of raw samples"):
        parse_raw(spec)
    outcome = call(ASR, "transcribe", tmp_path / "a.raw", "--raw", spec)
    assert outcome.status == 2
    assert "such as s16le,16000,1" in outcome.err


def test_what_cannot_be_read_is_one_sentence(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(4001))
    assert "no whole samples of 2 bytes" in call(ASR, "transcribe", path, "--raw", "s16le,8000,1").err
    assert "say what they are, as in --raw" in call(ASR, "transcribe", path).err
    piped = call(ASR, "transcribe", "-", "--raw", "s16be,8000,1", stdin=bytes(8000))
    assert piped.status == 1
    assert "write others to a file" in piped.err

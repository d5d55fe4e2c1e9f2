import io
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from command import call

from asr.media import ffmpeg
from asr.modality import ASR
from asr.signal import SignalConfig, measure, read

RATE_HZ = 16_000
CONFIG = SignalConfig(sample_rate_hz=RATE_HZ)
FORMATS = {
    **{"a.m4a": "aac", "a.mp4": "aac", "a.aac": "aac", "a.3gp": "aac", "a.mov": "pcm_s16le", "a.ts": "aac"},
    **{"a.mkv": "flac", "a.webm": "libopus", "a.mka": "mp2", "a.wma": "wmav2", "a.avi": "libmp3lame"},
    **{"alac.m4a": "alac", "a.wv": "wavpack", "a.tta": "tta", "a.flv": "aac"},
}
"""names of files and FFmpeg's names of codecs"""
LOSSLESS = ("pcm_s16le", "flac", "alac", "wavpack", "tta")


def chirp(seconds: float = 1.5, rate_hz: int = RATE_HZ) -> np.ndarray:
    """Return a tone that rises from 300 Hz, of 16 bits, so that every moment sounds different."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.round(8000 * np.sin(2 * np.pi * (300 * time + 200 * time**2))).astype(np.int16)


def encode(path: Path, codec: str, *tracks: np.ndarray, start_s: float = 0.0, rate_hz: int = RATE_HZ) -> Path:
    """Write tracks of one channel into a container, by PyAV; the last one starts late."""
    with av.open(str(path), "w") as container:
        streams = []
        for _ in tracks:
            stream = container.add_stream(codec, rate=rate_hz)
            stream.layout = "mono"
            if codec in ("tta", "wavpack"):
                stream.format = "s16p"
            if codec == "wmav2":
                stream.bit_rate = 32_000
            streams.append(stream)
        for stream, samples in zip(streams, tracks, strict=True):
            late = round(start_s * rate_hz) if samples is tracks[-1] else 0
            wanted = stream.codec_context.format.name if stream.codec_context.format else "s16"
            resampler = av.AudioResampler(format=wanted, layout="mono", rate=rate_hz)
            for start in range(0, len(samples), 960):
                frame = av.AudioFrame.from_ndarray(samples[None, start : start + 960], "s16", "mono")
                frame.sample_rate, frame.pts = rate_hz, late + start
                for even in resampler.resample(frame):
                    for packet in stream.encode(even):
                        container.mux(packet)
            for packet in stream.encode(None):
                container.mux(packet)
    return path


def delay(found: np.ndarray, sent: np.ndarray) -> int:
    """Return by how many samples `found` is later than `sent`, by the peak of their correlation."""
    size = len(found) + len(sent)
    spectrum = np.fft.rfft(found, size) * np.conj(np.fft.rfft(sent.astype(float), size))
    peak = int(np.argmax(np.fft.irfft(spectrum, size)))
    return peak if peak <= size // 2 else peak - size


@pytest.mark.parametrize(("name", "codec"), FORMATS.items(), ids=FORMATS)
def test_every_container_gives_the_sound_at_its_time(name, codec, tmp_path):
    sent = chirp()
    signal = read(encode(tmp_path / name, codec, sent), CONFIG)
    found = signal.values
    if codec in LOSSLESS:
        np.testing.assert_array_equal(found, sent / np.float32(32768))
        return
    # raw AAC, MPEG-TS, FLV, AVI and WMA do not say how many samples the encoder has put first
    assert abs(delay(found, sent)) < (2200 if name in ("a.aac", "a.ts", "a.flv", "a.avi", "a.wma") else 700)
    assert abs(len(found) - len(sent)) < 4200
    middle = np.abs(np.fft.rfft(found[8000:16000] * np.hanning(8000)))
    assert 400 < np.argmax(middle) * 2 < 1000  # 2 Hz a bin; the tone passes 500 to 700 Hz here


def test_a_telephone_recording_of_amr_is_read(tmp_path):
    sent = chirp(rate_hz=8000)
    codec = next(name for name in ("libopencore_amrnb", "amr_nb", "amrnb") if name in av.codecs_available)
    path = encode(tmp_path / "a.amr", codec, sent, rate_hz=8000)
    assert measure(str(path)) == pytest.approx(1.5, abs=0.1)


def test_tracks_are_counted_from_one_and_a_late_one_begins_with_silence(tmp_path):
    first, second = chirp(2.0), chirp(1.0)
    path = encode(tmp_path / "a.mkv", "flac", first, second, start_s=0.5)
    np.testing.assert_array_equal(read(f"{path}", CONFIG).values, first / np.float32(32768))
    late = read(f"{path}[track2]", CONFIG).values
    assert not late[: RATE_HZ // 2 - 16].any()
    np.testing.assert_allclose(late[-RATE_HZ:], second / 32768, atol=1e-4)
    part = read(f"{path}[0.5,1.25,track2]", CONFIG).values
    np.testing.assert_array_equal(part, late[8000:20000])
    with pytest.raises(ValueError, match=r"a\.mkv: has no audio track 3, only 2; name one of these"):
        read(f"{path}[track3]", CONFIG)
    soundfile.write(tmp_path / "a.wav", first, RATE_HZ)
    with pytest.raises(ValueError, match=r"has no audio track 2, only 1; name this one"):
        read(f"{tmp_path / 'a.wav'}[track2]", CONFIG)


def test_a_film_without_sound_and_what_is_none_at_all_are_said(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for packet in stream.encode(av.VideoFrame(32, 32, "yuv420p")):
            container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    with pytest.raises(ValueError, match=r"a\.mp4: has no sound; name a file with an audio track"):
        read(tmp_path / "a.mp4", CONFIG)
    (tmp_path / "b.m4a").write_bytes(np.random.default_rng(1).bytes(3000))
    with pytest.raises(ValueError, match=r"b\.m4a: cannot be read as sound \(Invalid data.*\); is the file"):
        read(tmp_path / "b.m4a", CONFIG)


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.tta", "a.aac"])
def test_a_file_that_is_cut_short_is_refused_with_what_is_there(name, tmp_path):
    path = encode(tmp_path / name, FORMATS.get(name, "aac"), chirp(3.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    if name == "a.aac":  # a stream of frames, which states no length: the last frame is damaged
        with pytest.raises(ValueError, match=r"is damaged after 1\.\d s"):
            read(path, CONFIG)
        return
    with pytest.raises(ValueError, match=r"cut short: its header promises 3\.\d\d s and 1\.|is damaged"):
        read(path, CONFIG)


def test_a_playlist_opens_no_other_file(tmp_path):
    encode(tmp_path / "a.ts", "aac", chirp())
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\na.ts\n")
    with pytest.raises(ValueError, match="cannot be read as sound"):
        read(tmp_path / "list.m3u8", CONFIG)


def test_a_stream_is_read_as_its_file_and_nothing_stays_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    path = encode(tmp_path / "a.m4a", "alac", chirp())
    of_stream = read(io.BytesIO(path.read_bytes()), CONFIG).values
    np.testing.assert_array_equal(of_stream, read(path, CONFIG).values)
    ffmpeg.decode_file.cache_clear()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_file_that_changes_is_decoded_anew(tmp_path):
    path = encode(tmp_path / "a.m4a", "alac", chirp(1.0))
    assert measure(str(path)) == 1.0
    encode(path, "alac", chirp(2.0))
    assert measure(str(path)) == 2.0


def test_the_command_takes_a_track_and_says_what_is_missing(tmp_path):
    path = encode(tmp_path / "a.mkv", "flac", chirp(), chirp())
    assert call(ASR, "transcribe", path, "--audio-track", "2", "--decoder", "greedy").status == 0
    done = call(ASR, "transcribe", path, "--audio-track", "0")
    assert (done.status, done.err) == (2, "asr: --audio-track is 0; give a number from 1\n")


@pytest.mark.slow
def test_without_pyav_the_extra_that_brings_it_is_named(tmp_path):
    path = encode(tmp_path / "a.m4a", "alac", chirp())
    code = f"import sys; sys.modules['av'] = None; from asr.signal import measure; measure({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "or pip install 'amanuensis[media]', which reads what FFmpeg does" in done.stderr

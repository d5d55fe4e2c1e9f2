"""Uploads that are no sound, or more sound than they seem: each is refused with a sentence, at once."""

import io
import os
import subprocess
import sys
import tempfile

import av
import numpy as np
import pytest
from served import TRANSCRIPTIONS, client_of, noise, sound
from untrained import RATE_HZ

import asr.serving.sound
from asr.serving.sound import sound_of


@pytest.fixture(scope="module")
def client():
    with client_of("asr") as (client, _):
        yield client


def webm(seconds: float) -> bytes:
    """Return noise as Opus in WebM, as browsers record it."""
    file = io.BytesIO()
    samples = np.random.default_rng(0).standard_normal((1, int(48_000 * seconds))).astype(np.float32) / 10
    with av.open(file, "w", format="webm") as container:
        stream = container.add_stream("libopus", rate=48_000)
        frame = av.AudioFrame.from_ndarray(samples, format="flt", layout="mono")
        frame.sample_rate = 48_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return file.getvalue()


def with_nan() -> bytes:
    samples = np.zeros(RATE_HZ, np.float32)
    samples[100] = np.nan
    return sound(samples, subtype="FLOAT")


BROKEN = {
    "empty": lambda: b"",
    "text": lambda: b"this is no sound at all" * 100,
    "a page": lambda: b"<html><body>404</body></html>",
    "a picture": lambda: b"\x89PNG\r\n\x1a\n" + bytes(1000),
    "an archive": lambda: b"PK\x03\x04" + bytes(1000),
    "a playlist": lambda: b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
    "half a wav": lambda: noise()[: len(noise()) // 2],
    "half a flac": lambda: noise(format="FLAC")[:1500],
    "not a number": with_nan,
    "too short": lambda: noise(0.01),
    "half a webm": lambda: webm(2)[:6000],
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_whole_recording_is_refused_with_a_sentence(client, name):
    answer = client.post(TRANSCRIPTIONS, files={"file": ("a.wav", BROKEN[name]())})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, "file", "invalid_file")
    assert error["message"].startswith("file: ")
    assert tempfile.gettempdir() not in error["message"]


@pytest.mark.parametrize("format", ["WAV", "FLAC", "OGG", "MP3"])
def test_recordings_of_every_common_format_are_read(client, format):
    rate_hz = 16_000
    samples = np.sin(np.arange(rate_hz) / 20) * 0.1
    answer = client.post(TRANSCRIPTIONS, files={"file": sound(samples, rate_hz, format)})
    assert answer.json()["usage"]["seconds"] == pytest.approx(1.0, abs=0.1)


def test_what_a_browser_records_is_read_and_no_file_of_it_remains(client, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    answer = client.post(TRANSCRIPTIONS, files={"file": webm(1.0)})
    assert answer.json()["usage"]["seconds"] == pytest.approx(1.0, abs=0.05)
    assert list(tmp_path.iterdir()) == []


def test_a_small_file_with_hours_of_silence_is_refused_before_it_is_decoded(client):
    content = sound(np.zeros(int(4.2 * 3600 * 1000), np.int16), 1000, "FLAC")
    assert len(content) < 100_000
    answer = client.post(TRANSCRIPTIONS, files={"file": content})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "file_too_long")
    assert "4.2 h" in answer.json()["error"]["message"]


def test_a_container_is_decoded_only_up_to_a_number_of_samples(client, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(asr.serving.sound, "MOST_SAMPLES", 20_000)
    answer = client.post(TRANSCRIPTIONS, files={"file": webm(2.0)})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_file")
    assert "20,000 samples" in answer.json()["error"]["message"]
    assert list(tmp_path.iterdir()) == []


def test_temporary_files_of_killed_processes_are_deleted_when_the_next_one_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for name in (f"amanuensis-{ended.pid}-x.wav", f"amanuensis-{os.getpid()}-x.wav", "amanuensis-x.wav"):
        (tmp_path / name).touch()
    with client_of("asr"):
        left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"amanuensis-{os.getpid()}-x.wav", "amanuensis-x.wav"}


def test_many_channels_are_refused():
    with pytest.raises(ValueError, match="40 channels"):
        sound_of(sound(np.zeros((1000, 40), np.float32)))

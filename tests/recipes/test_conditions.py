"""Noise is at its level, a telephone lets its band through, and texts stay; measured on the written files."""

import json

import conditions
import numpy as np
import pytest
import soundfile

RATE_HZ = 16_000


@pytest.fixture
def corpus(tmp_path):
    seconds = np.arange(2 * RATE_HZ) / RATE_HZ
    rows = []
    for number, text in enumerate(["ONE", "TWO"]):
        tones = sum(0.3 * np.sin(2 * np.pi * hz * seconds) for hz in (100, 1000 + number, 5000))
        soundfile.write(tmp_path / f"{number}.wav", tones, RATE_HZ)
        rows.append({"audio_filepath": f"{number}.wav", "text": text, "duration": 2.0, "speaker": "x"})
    path = tmp_path / "dev.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    noise = np.random.default_rng(1).standard_normal(5 * RATE_HZ) * 0.01
    soundfile.write(tmp_path / "noise.wav", noise, RATE_HZ)
    return path


def power(samples, hz: int) -> float:
    return float(np.abs(np.fft.rfft(samples))[2 * hz] / RATE_HZ)


def test_each_recording_is_written_in_each_condition_with_its_text(corpus, monkeypatch, capsys):
    folder = corpus.parent / "out"
    flags = [str(corpus), str(folder), "--noises", str(corpus.parent / "noise.wav"), "--snr-db", "10"]
    monkeypatch.setattr("sys.argv", ["conditions.py", *flags])
    conditions.main()
    assert capsys.readouterr().out.count("2 recordings") == 2
    for name in ("noise", "telephone"):
        rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        assert [(row["text"], row["speaker"]) for row in rows] == [("ONE", "x"), ("TWO", "x")]
        for number, row in enumerate(rows):
            before, _ = soundfile.read(corpus.parent / f"{number}.wav")
            after, rate_hz = soundfile.read(folder / row["source"])
            assert rate_hz == RATE_HZ and len(after) == len(before)
            after *= power(before, 1000 + number) / power(after, 1000 + number)  # a peak above 1 is scaled
            if name == "noise":
                ratio = np.square(before).sum() / np.square(after - before).sum()
                assert 10 * np.log10(ratio) == pytest.approx(10, abs=0.3)
            else:
                assert max(power(after, 100), power(after, 5000)) < 1e-3
                assert power(after, 1000 + number) > 0.1

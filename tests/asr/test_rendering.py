"""The picture and the sound of a recording in a report."""

import io

import numpy as np
import pytest
from PIL import Image

from asr.rendering import render
from asr.signal import SignalConfig, read

CONFIG = SignalConfig()


def tone(duration_s: float, rate_hz: int = 16_000, pitch_hz: float = 440.0) -> np.ndarray:
    times = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * pitch_hz * times)).astype(np.float32)


def noise(duration_s: float, rate_hz: int = 16_000) -> np.ndarray:
    return (0.1 * np.random.default_rng(1).standard_normal(int(duration_s * rate_hz))).astype(np.float32)


def test_the_picture_shows_low_tones_below_and_time_from_left_to_right() -> None:
    samples = np.concatenate([tone(1, pitch_hz=300), tone(1, pitch_hz=5000)])
    rendering = render(samples, CONFIG)
    picture = np.asarray(Image.open(io.BytesIO(rendering.png)).convert("L"), np.float32)
    height, width = picture.shape
    assert width == 200
    left, right = picture[:, 10:90].mean(1).argmax(), picture[:, 110:190].mean(1).argmax()
    assert left > 0.7 * height
    assert right < 0.4 * height


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 12_345, 48_000])
def test_the_mp3_of_a_rendering_is_the_sound(rate_hz: int) -> None:
    mp3 = render(tone(1, rate_hz), SignalConfig(rate_hz)).mp3
    assert mp3 is not None
    values = read(io.BytesIO(mp3), SignalConfig(rate_hz)).values
    assert len(values) == pytest.approx(rate_hz, abs=2)
    middle = slice(rate_hz // 4, 3 * rate_hz // 4)
    assert np.corrcoef(values[middle], tone(1, rate_hz)[middle])[0, 1] > 0.98


def test_silence_a_click_and_a_long_recording_can_be_shown() -> None:
    click = np.zeros(16_000, np.float32)
    click[8000] = 1
    for samples in (np.zeros(400, np.float32), click, noise(60)):
        picture = Image.open(io.BytesIO(render(samples, CONFIG).png))
        assert picture.width <= 4000
        assert picture.height == 128

"""A recording as a report shows it: a spectrogram to look at, and an MP3 to listen to."""

import io
import math
from functools import lru_cache

import numpy as np
import soundfile
import soxr

from asr.signal import SignalConfig
from common.text.rendering import Rendering

COLOURS = (
    (0, 0, 4),
    (40, 11, 84),
    (101, 21, 110),
    (159, 42, 99),
    (212, 72, 66),
    (245, 125, 21),
    (250, 193, 39),
    (252, 255, 164),
)
"""colours from weak to strong; the lightness grows evenly, so that a grey print shows the same"""
PICTURE_HEIGHT_PX = 128
PICTURE_WIDTH_PX = 4000
"""largest width; below it, a pixel is 10 ms"""
RANGE_DB = 65.0
"""range of levels from the weakest colour to the strongest"""
SHADES = 64
MP3_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""the sample rates that an MP3 may have"""


def render(values: np.ndarray, config: SignalConfig) -> Rendering:
    """Return a log-mel spectrogram of samples (N,) as a PNG, low frequencies below, and the sound as an MP3.

    A pixel is 10 ms wide, and more in a recording of over 40 s.
    """
    from PIL import Image

    levels = _mel_levels_db(values, config.sample_rate_hz)  # (W, PICTURE_HEIGHT_PX)
    top = np.quantile(levels, 0.998)
    shades = np.clip((levels - top + RANGE_DB) / RANGE_DB, 0, 1)
    picture = Image.fromarray(((SHADES - 1) * shades.T[::-1]).round().astype(np.uint8))
    picture.putpalette(_palette())
    png = io.BytesIO()
    picture.save(png, "PNG")
    return Rendering(png.getvalue(), _mp3(values, config.sample_rate_hz))


def _mel_levels_db(values: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the power in dB (W, PICTURE_HEIGHT_PX) of the mel bands in W windows of 25 ms."""
    window = np.hanning(round(0.025 * rate_hz) + 2)[1:-1].astype(np.float32)
    hop = max(round(0.01 * rate_hz), math.ceil(len(values) / PICTURE_WIDTH_PX))
    padded = np.pad(values.astype(np.float32), (len(window) // 2, len(window)))
    starts = np.arange(0, len(values), hop)
    filters = _mel_filters(rate_hz, len(window))
    levels = np.empty((len(starts), PICTURE_HEIGHT_PX), np.float32)
    for first in range(0, len(starts), 1000):
        some = starts[first : first + 1000]
        frames = padded[some[:, None] + np.arange(len(window))]
        spectrum = np.fft.rfft(frames * window, n=_fft_size(len(window)))
        levels[first : first + 1000] = (spectrum.real**2 + spectrum.imag**2) @ filters
    return 10 * np.log10(levels + 1e-7)


def _fft_size(window: int) -> int:
    # four times the window, so that each of 128 bands holds a bin, even the narrow low ones
    return int(4 * 2 ** math.ceil(math.log2(window)))


@lru_cache(maxsize=8)
def _mel_filters(rate_hz: int, window: int) -> np.ndarray:
    """Return triangles of area 1 (bins, PICTURE_HEIGHT_PX), even in mel = 2595 log10(1 + f / 700)."""
    bins_hz = np.linspace(0, rate_hz / 2, _fft_size(window) // 2 + 1)
    highest = 2595 * np.log10(1 + rate_hz / 2 / 700)
    lowest = 2595 * np.log10(1 + min(60, rate_hz / 8) / 700)
    edges = 700 * (10 ** (np.linspace(lowest, highest, PICTURE_HEIGHT_PX + 2) / 2595) - 1)
    rising = (bins_hz[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins_hz[:, None]) / (edges[2:] - edges[1:-1])
    filters = np.clip(np.minimum(rising, falling), 0, None)
    return (filters / filters.sum(0)).astype(np.float32)


def _palette() -> list[int]:
    anchors = np.linspace(0, SHADES - 1, len(COLOURS))
    channels = [np.interp(np.arange(SHADES), anchors, channel) for channel in zip(*COLOURS, strict=True)]
    return [int(value) for value in np.stack(channels, 1).round().reshape(-1)]


def _mp3(values: np.ndarray, rate_hz: int) -> bytes:
    if rate_hz not in MP3_RATES_HZ:
        wanted_hz = next((rate for rate in MP3_RATES_HZ if rate >= rate_hz), MP3_RATES_HZ[-1])
        values, rate_hz = soxr.resample(values, rate_hz, wanted_hz), wanted_hz
    file = io.BytesIO()
    soundfile.write(file, np.clip(values, -1, 1), rate_hz, format="MP3", subtype="MPEG_LAYER_III")
    return file.getvalue()

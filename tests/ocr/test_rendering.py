"""The picture of a line in a report."""

import io

import numpy as np
from PIL import Image

from ocr.rendering import render
from ocr.signal import SignalConfig


def test_a_rendering_shows_what_the_network_sees():
    values = np.random.default_rng(0).random((150, 32), dtype=np.float32)
    image = Image.open(io.BytesIO(render(values, SignalConfig(height_px=32)).png))
    assert image.size == (150, 32)
    assert np.allclose(1 - np.asarray(image).T / 255, values, atol=0.003)

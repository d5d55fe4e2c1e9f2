"""A line as a report shows it: the image that the network sees."""

import io

import numpy as np
from PIL import Image

from common.text.rendering import Rendering
from ocr.signal import SignalConfig


def render(values: np.ndarray, config: SignalConfig) -> Rendering:
    """Return the columns `values` (W, H) as a PNG with dark ink on white."""
    grey = np.round(255 * (1 - np.clip(values, 0, 1))).astype(np.uint8).T  # (H, W)
    png = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(grey)).save(png, "png")
    return Rendering(png.getvalue())

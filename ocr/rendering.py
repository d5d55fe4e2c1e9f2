"""Columns of ink for the eye: the line as the network sees it."""

import io

import numpy as np
from PIL import Image

from common.text.rendering import Rendering
from ocr.signal import SignalConfig


def render(values: np.ndarray, config: SignalConfig) -> Rendering:
    """Return `values` (W, H) as the network sees them, dark ink on white, as a PNG."""
    grey = np.round(255 * (1 - np.clip(values, 0, 1))).astype(np.uint8).T  # (H, W)
    png = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(grey)).save(png, "png")
    return Rendering(png.getvalue())

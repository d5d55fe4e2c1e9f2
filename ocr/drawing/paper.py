"""What ink looks like on old paper, on a screen, and in a scan in black and white."""

import numpy as np
from PIL import Image, ImageFilter

SCAN_LEVELS = 16
"""levels of grey of a scan in black and white that was made smaller afterwards"""


def askew(mask: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return `mask` with a baseline that rises or falls by a pixel or two, and slightly slanted letters."""
    width, height = mask.size
    rise, slant = rng.uniform(-0.03, 0.03) * height / width, rng.normal(0, 0.04)
    matrix = (1, slant, -slant * height / 2, rise, 1, -rise * width / 2)
    mask = mask.transform(mask.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    return mask.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.9) * height / 64))


def aged(ink: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Return a grey image of `ink` (H, W) in [0, 1] on old paper."""
    height, width = ink.shape
    paper = rng.uniform(0.72, 1) + 0.03 * _surface(rng, height, width, cell=2 * height)
    stains = np.clip(_surface(rng, height, width, cell=height / 2) - 1.2, 0, 1) * rng.uniform(0, 0.15)
    strength = rng.uniform(0.6, 1) + 0.08 * _surface(rng, height, width, cell=height)
    grey = (paper - stains) * (1 - np.clip(strength, 0.3, 1) * ink)
    grey += rng.normal(0, rng.uniform(0.005, 0.04), ink.shape)
    return _image(grey)


def shown(ink: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Return a grey image of `ink` (H, W) in [0, 1] on a screen."""
    ground, strength = 1 - 0.3 * rng.random() ** 4, 1 - 0.6 * rng.random() ** 3
    return _image(ground * (1 - strength * ink))


def scanned(ink: np.ndarray, rng: np.random.Generator, height_px: int) -> Image.Image:
    """Return `ink` (H, W) in [0, 1] as a scan in black and white, of `height_px` rows.

    Ink spreads or breaks off before it is judged black or white; the scan is then made smaller, to 16 levels
    of grey, or it was made at that low resolution.
    """
    height, width = ink.shape
    size = max(1, round(width * height_px / height)), height_px
    first = rng.random() < 0.65
    pressed = ink + rng.uniform(0, 0.09) * _surface(rng, height, width, cell=height / 40)
    pressed += rng.uniform(0, 0.05) * _surface(rng, height, width, cell=height)
    if not first:
        pressed = _resized(pressed, size)
    black = pressed > rng.uniform(0.3, 0.7)
    specks = rng.random(black.shape) < rng.uniform(0, 0.0005)
    grey = 1 - np.maximum(black, specks).astype(np.float32)
    if first:
        return _image(np.round(_resized(grey, size) * (SCAN_LEVELS - 1)) / (SCAN_LEVELS - 1))
    return _image(grey)


def _resized(grey: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the grey image (H, W) with `size` = width, height; pixels are averages."""
    return np.asarray(Image.fromarray(grey.astype(np.float32)).resize(size, Image.Resampling.BOX))


def _image(grey: np.ndarray) -> Image.Image:
    """Return values in [0, 1] (H, W) as a grey image."""
    return Image.fromarray(np.round(255 * np.clip(grey, 0, 1)).astype(np.uint8))


def _surface(rng: np.random.Generator, height: int, width: int, cell: float) -> np.ndarray:
    """Return smooth noise (H, W) of about unit variance that changes over `cell` px."""
    knots = rng.standard_normal((round(height / cell) + 2, round(width / cell) + 2)).astype(np.float32)
    return np.asarray(Image.fromarray(knots).resize((width, height), Image.Resampling.BICUBIC))

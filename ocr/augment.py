r"""Random changes of line images for training: another pen, press, paper or scanner.

    neighbour > stretch > warp > elastic >       the layout
    thickness > fade > ground > cut > rule >     ink and paper
    coarse > blur > noise > binarise > jpeg      the camera

Each change has its own probability and takes its random numbers from the generator of the caller.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as change

from ocr.configuration import AugmentConfig
from ocr.signal import SignalConfig

Change = Callable[[Tensor, np.random.Generator, float], Tensor]


def build_augment(
    config: AugmentConfig, signal_config: SignalConfig
) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """Return a function that changes columns (W, H), float32 in [0, 1], to columns (W', H) in the same range.

    W' is at least four fifths of W, and may be larger. The input is not modified; it is returned if no change
    is drawn. The function can be sent to another process.
    """
    assert signal_config.height_px >= 8, f"lines of {signal_config.height_px} px cannot be warped"
    changes: tuple[tuple[float, Change], ...] = (
        (config.neighbour, neighbour),
        (config.stretch, stretch),
        (config.warp, warp),
        (config.elastic, elastic),
        (config.thickness, thickness),
        (config.fade, fade),
        (config.ground, ground),
        (config.cut, cut),
        (config.rule, rule),
        (config.coarse, coarse),
        (config.blur, blur),
        (config.noise, noise),
        (config.binarise, binarise),
        (config.jpeg, jpeg),
    )
    return partial(_augment, changes=changes, strength=config.strength)


def evenly(config: AugmentConfig) -> AugmentConfig:
    """Return `config` without `warp`, whose margins and slant move letters along the line.

    `stretch` changes the width of the whole line evenly, and `elastic` moves letters by less than a step.
    """
    return replace(config, warp=0.0)


def _augment(
    values: np.ndarray, rng: np.random.Generator, changes: tuple[tuple[float, Change], ...], strength: float
) -> np.ndarray:
    drawn = [alter for probability, alter in changes if rng.random() < probability]
    if not drawn or not values.size:
        return values
    with torch.inference_mode():  # the calls of many small operations take a tenth less time
        line = torch.from_numpy(np.ascontiguousarray(values.T))[None]  # (1, H, W)
        for alter in drawn:
            line = alter(line, rng, strength)
        return np.ascontiguousarray(line[0].clamp(0, 1).numpy().T)  # (W', H)


def neighbour(line: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Return `line` (1, H, W) with parts of a line above or below, which are copied from the line itself."""
    _, height, width = line.shape
    reach = min(height // 3, 1 + int(height * strength * rng.uniform(0.03, 0.12)))
    other = torch.roll(line, int(rng.integers(width)), dims=2)
    result = line.clone()
    if rng.random() < 0.5:
        feet = other[:, height - height // 4 - reach : height - height // 4]
        result[:, :reach] = torch.maximum(result[:, :reach], feet)
    else:
        heads = other[:, height // 6 : height // 6 + reach]
        result[:, -reach:] = torch.maximum(result[:, -reach:], heads)
    return result


def stretch(line: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Return `line` (1, H, W) stretched or compressed to (1, H, W')."""
    _, height, width = line.shape
    factor = float(np.exp(np.clip(rng.normal(0, 0.1) * strength, np.log(0.8), np.log(1.25))))
    return change.resize(line, [height, max(round(width * factor), min(width, height))])


def warp(line: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Return `line` (1, H, W) rotated, slanted, scaled and shifted, with new margins (1, H, W')."""
    height = line.shape[1]
    slant = rng.normal(0, 0.12) * strength
    margins = np.round(rng.uniform(0, 0.25, 2) * strength * height + abs(slant) * height / 2).astype(int)
    line = change.pad(line, [int(margins[0]), 0, int(margins[1]), 0])
    width = line.shape[2]
    rise = min(0.05 * height, np.tan(np.radians(2)) * width / 2) * rng.uniform(-1, 1) * strength
    scale = float(np.exp(rng.uniform(-0.18, 0.06) * strength))
    shift = rng.uniform(-1, 1) * (0.04 * height * strength + max(0.0, 1 - scale) * height / 2)
    x = torch.linspace(-1, 1, width)
    y = torch.linspace(-height / 2, height / 2, height)
    right = (slant * y).expand(width, height).T  # (H, W)
    down = (y * (1 / scale - 1) - shift)[:, None] + rise * x  # (H, W)
    return _displaced(line, right, down)


def elastic(line: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Return `line` (1, H, W) with a wavy baseline and letters distorted by about a fiftieth of H."""
    _, height, width = line.shape
    extent = height * strength * rng.uniform(0.3, 1)
    right = _field(rng, height, width, cell=height / 2) * (0.025 * extent)
    down = _field(rng, height, width, cell=height / 2) * (0.018 * extent)
    wave = _field(rng, 1, width, cell=4 * height) * (0.03 * extent)
    return _displaced(line, right, down + wave)


def thickness(line: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Return `line` (1, H, W) with strokes up to a pixel thicker or thinner, in one direction or both."""
    grow = rng.random() < 0.5
    most = torch.maximum if grow else torch.minimum
    changed = line.clone()
    shapes = ((1,), (2,), (1, 2))
    for dim in shapes[rng.integers(3)]:
        before = changed.clone()
        size = line.shape[dim] - 1
        changed.narrow(dim, 0, size).copy_(most(before.narrow(dim, 0, size), before.narrow(dim, 1, size)))
    part = min(1.0, rng.uniform(0.3, 1.0 if grow else 0.7) * strength)
    return torch.lerp(line, changed, part)


def fade(line: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Return `line` (1, H, W) with ink that is unevenly paler, and with another gradation."""
    _, height, width = line.shape
    exponent = float(np.exp(np.clip(rng.normal(0, 0.3), -0.7, 0.7) * strength))
    gain = 1 - 0.5 * strength * rng.beta(1, 2)
    uneven = 0.12 * strength * rng.random()
    ink = (gain * (1 + uneven * _field(rng, height, width, cell=height))).clamp(0.2, 1.3)
    return (line.clamp(0, 1) ** exponent * ink).clamp(0, 1)


def ground(line: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Return `line` (1, H, W) on paper with stains, uneven light or writing that shows through."""
    _, height, width = line.shape
    cell = height * float(np.exp(rng.uniform(np.log(0.4), np.log(6))))
    paper = (_field(rng, height, width, cell) + rng.uniform(-1, 1)).clamp(0, 2.5) * (0.09 * strength)
    if rng.random() < 0.25:
        back = torch.roll(line[0].flip(1), int(rng.integers(width)), dims=1)
        paper = paper + back * (rng.uniform(0.05, 0.2) * strength)
    return line + paper * (1 - line)


def cut(line: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Return `line` (1, H, W) without the highest or lowest rows of its writing."""
    height = line.shape[1]
    written = torch.nonzero(line[0].amax(dim=1) > 0.5).flatten()
    if not len(written):
        return line
    depth = max(1, round(height * strength * rng.uniform(0.02, 0.1)))
    result = line.clone()
    if rng.random() < 0.4:
        result[:, : int(written[0]) + depth] = 0
    else:
        result[:, max(1, int(written[-1]) + 1 - depth) :] = 0
    return result


def rule(line: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Return `line` (1, H, W) with one thin ruled line along it, or several vertical ones."""
    _, height, width = line.shape
    ink = float(rng.uniform(0.15, 0.6) * min(strength, 1.5))
    thick = int(rng.integers(1, 3))
    ruled = torch.zeros(height, width)
    if rng.random() < 0.6:
        below = rng.random() < 0.7
        top = height - thick - int(rng.integers(height // 3)) if below else int(rng.integers(height // 8))
        start = 0 if rng.random() < 0.7 else int(rng.integers(max(1, width // 2)))
        ruled[top : top + thick, start:] = ink
    else:
        pitch = int(rng.uniform(0.5, 8) * height)
        ruled[:, int(rng.integers(min(pitch, width))) :: pitch] = ink
    return torch.maximum(line, ruled)


def coarse(line: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Return `line` (1, H, W) as if it had been scanned at about half the resolution."""
    _, height, width = line.shape
    factor = 1 - rng.uniform(0.25, 0.6) * min(strength, 1.3)
    small = change.resize(line, [max(4, round(height * factor)), max(2, round(width * factor))])
    return change.resize(small, [height, width])


def blur(line: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Return `line` (1, H, W) blurred, more in one direction than in the other."""
    sigma = line.shape[1] / 48 * strength * rng.uniform(0.4, 1.1)
    sigmas = [max(0.05, float(sigma * part)) for part in rng.uniform(0.6, 1, 2)]
    size = 2 * int(np.ceil(2 * max(sigmas))) + 1
    if size > 2 * min(line.shape[1:]) - 1:
        return line
    return change.gaussian_blur(line, [size, size], sigmas)


def noise(line: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Return `line` (1, H, W) with grain of one pixel or more, and with a few dark or light specks."""
    _, height, width = line.shape
    if rng.random() < 0.6:
        grain = torch.from_numpy(rng.standard_normal((height, width), dtype=np.float32))
    else:
        grain = _field(rng, height, width, cell=float(rng.uniform(1.5, 3)))
    line = line + grain * float(rng.uniform(0.01, 0.09) * strength)
    if rng.random() < 0.4:
        count = rng.poisson(width / height * strength)
        rows, columns = rng.integers(height - 1, size=count), rng.integers(max(1, width - 1), size=count)
        line[:, rows, columns] = torch.from_numpy(rng.random(count, dtype=np.float32))
    return line


def binarise(line: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Return `line` (1, H, W) in black and white, judged at its resolution or at twice that."""
    _, height, width = line.shape
    grain = float(rng.uniform(0, 0.12) * strength)
    paper, ink = line.median(), torch.nn.functional.avg_pool2d(line, (3, 1)).max()  # ink may be pale
    threshold = torch.lerp(paper, ink, 0.5 + float(np.clip(rng.uniform(-0.2, 0.15) * strength, -0.35, 0.35)))
    times = int(rng.integers(1, 3))
    fine = change.resize(line, [times * height, times * width]) if times > 1 else line
    judged = fine + grain * (ink - paper) * _field(rng, times * height, times * width, cell=2.0 * times)
    return change.resize((judged > threshold).float(), [height, width])


def jpeg(line: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    """Return `line` (1, H, W) after JPEG compression at a quality of 15 to 50."""
    quality = int(np.clip(rng.uniform(15, 50) / max(strength, 0.1), 5, 95))
    return (
        change.jpeg((255 * (1 - line.clamp(0, 1))).round().to(torch.uint8), quality).float().div(-255).add(1)
    )


def _displaced(line: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Return `line` (1, H, W) with each pixel taken from `right` and `down` (H, W) px away; paper outside."""
    _, height, width = line.shape
    displacement = torch.stack((right * (2 / width), down * (2 / height)), dim=-1)[None]  # (1, H, W, 2)
    return change.elastic(line, displacement.float(), InterpolationMode.BILINEAR)


def _field(rng: np.random.Generator, height: int, width: int, cell: float) -> Tensor:
    """Return smooth noise (H, W) of about unit variance that changes over `cell` px."""
    rows, columns = int(np.ceil(height / cell)) + 1, int(np.ceil(width / cell)) + 1
    knots = torch.from_numpy(rng.standard_normal((1, rows, columns), dtype=np.float32))
    if cell >= 8:  # a smooth surface at a quarter of the size, then linear between its points
        knots = change.resize(
            knots,
            [max(rows, height // 4), max(columns, width // 4)],
            InterpolationMode.BICUBIC,
            antialias=False,
        )
    return change.resize(knots, [height, width], antialias=False)[0]

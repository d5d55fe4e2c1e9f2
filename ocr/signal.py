"""The signal of a line of text: the columns of its image, float32 (W, H) in [0, 1], ink 1, paper 0."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from common.command_line.counting import counted
from common.data.signal import Signal, Source
from common.files.pipe import PipeContent
from ocr.source import ORIENTATION, count_pages, locate, open_image, viewed_size

IMAGE_SUFFIXES = frozenset(
    {
        *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".avifs", ".tif", ".tiff"),
        *(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".bmp", ".dib", ".gif", ".ico", ".im", ".pcx"),
        *(
            ".pbm",
            ".pgm",
            ".ppm",
            ".pnm",
            ".pfm",
            ".sgi",
            ".bw",
            ".rgb",
            ".rgba",
            ".tga",
            ".icb",
            ".vda",
            ".mpo",
        ),
        *(".vst", ".dds", ".msp", ".qoi", ".mpo", ".icns", ".xbm", ".pdf"),
    }
)
"""suffixes of the images that are found in a folder; a file that is named may have any suffix"""

MIN_WIDTH_PX, MIN_HEIGHT_PX = 2, 4
FULL_SCALES = (1.0, 255.0, 1023.0, 4095.0, 16_383.0, 65_535.0, 2.0**31 - 1)
"""possible values of white: scanners and cameras store 8, 10, 12 or 14 bits in formats of 16 and more"""
MOST_BANDS = 12
"""an image that is higher than wide and has more bands of ink, one above the other, is a page; of 11,873
lines of print and handwriting the 115 that are higher than wide have at most 9, and nine pages 30 to 58"""
STEEPEST = 4
"""an image that is more than this many times as high as wide is a column or a turned line; the narrowest of
the same lines, single digits, are 2.7 times as high as wide"""


@dataclass(frozen=True)
class SignalConfig:
    """How the image of a line becomes a signal."""

    height_px: int = 48
    """height in pixels to which every line is scaled; the aspect ratio is kept"""
    max_width_px: int = 20_000
    """largest width of a scaled line; a wider line is refused"""
    min_contrast: float = 0.12
    """smallest difference of paper and ink that is stretched to the full range, black to white being 1"""
    detect_inverted: bool = True
    """invert light writing on a dark ground"""

    def __post_init__(self) -> None:
        if self.height_px < 8 or self.max_width_px < self.height_px or not 0 < self.min_contrast <= 1:
            raise ValueError(
                f"{self}: height_px from 8, max_width_px from height_px and min_contrast in (0, 1] are wanted"
            )


def read(source: Source, config: SignalConfig) -> Signal:
    """Return the line in `source` as columns; `unit_per_step` is in pixels of the image as it is viewed.

    The image may have any format and mode that Pillow reads. EXIF rotation is applied, transparent pixels
    become paper, colours become their luminance, light writing on a dark or transparent ground is inverted,
    and grey levels are scaled so that paper is 0 and ink 1. If a JPEG holds several pictures (MPO: depth,
    gain map), the first one is read.

    Args:
        source: a path, a path with a page as in "file.tif[2]" (counted from 0), or a binary stream.
        config: height and limits.

    Raises:
        ValueError: the file is missing, empty, broken or not an image, it has several pages and `source`
            names none, its size is not that of a line, or it shows a page, a column or a turned line.
    """
    place = locate(source)
    with open_image(place) as image:
        width_px, height_px = viewed_size(image)
        columns = columns_of(width_px, height_px, place.name, config)
        grey = _grey(image, (columns, config.height_px), place.name)
    _refuse_page(grey, (width_px, height_px), place.name)
    grey = grey.resize((columns, config.height_px), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return Signal(ink_of(np.asarray(grey), config), width_px / columns)


def read_page_image(source: Source) -> np.ndarray:
    """Return an image of any size as grey levels (H, W), uint8, white 255, as it is viewed.

    Raises:
        ValueError: the file is missing, broken or not an image, or has more pixels than Pillow allows.
    """
    place = locate(source)
    with open_image(place) as image:
        size = viewed_size(image)
        _check_pixels(*size, place.name)
        return np.asarray(_grey(image, size, place.name))


def expand(source: Source) -> list[Source]:
    """Return the readable sources in a file or stream: one for each page if there are several, else itself.

    "book.pdf[3-7]" stands for the pages 3 to 7, counted from 0. Numbers of pages have as many digits as the
    largest, so that names made of them are sorted as the pages are.

    Raises:
        ValueError: the file is neither an image nor a PDF, or has no such pages.
    """
    file, wanted = _page_range(source)
    place = locate(file)
    if place.page is not None:
        return [source]
    count = count_pages(place)
    first, last = wanted or (0, count - 1)
    if not first <= last < count:
        raise ValueError(f"{source}: has {counted(count, 'page')}, counted from 0; name first and last")
    if count == 1:
        return [file]
    digits = len(str(count - 1))
    names = [f"{place.name}[{page:0{digits}}]" for page in range(first, last + 1)]
    if isinstance(file, str | Path):
        return list(names)
    file.seek(0)
    content = file.read()
    return [PipeContent(content, name, page) for page, name in enumerate(names)]


def _page_range(source: Source) -> tuple[Source, tuple[int, int] | None]:
    """Return the file of "book.pdf[3-7]" and the first and last page, or any other source and None."""
    match = re.fullmatch(r"(.+)\[(\d+)-(\d+)\]", str(source)) if isinstance(source, str | Path) else None
    if match is None or Path(str(source)).exists():
        return source, None
    return match[1], (int(match[2]), int(match[3]))


def measure(source: Source) -> float:
    """Return width over height of the line in `source` as it is viewed.

    Only an image that is higher than wide is decoded, since it may be no line.

    Raises:
        ValueError: the file is not an image, is too small for a line, or shows a page, a column or a turned
            line.
    """
    place = locate(source)
    with open_image(place) as image:
        width_px, height_px = viewed_size(image)
        _check_size(width_px, height_px, place.name)
        if height_px > width_px:
            _check_pixels(width_px, height_px, place.name)
            _refuse_page(_grey(image, (width_px, height_px), place.name), (width_px, height_px), place.name)
    return width_px / height_px


def steps_per_length(config: SignalConfig) -> float:
    """Return the number of columns of a signal that is as wide as it is high."""
    return float(config.height_px)


def _check_size(width_px: float, height_px: float, name: str) -> None:
    if width_px < MIN_WIDTH_PX or height_px < MIN_HEIGHT_PX:
        raise ValueError(
            f"{name}: is {width_px:g} px wide and {height_px:g} px high; a line of at least "
            f"{MIN_WIDTH_PX} by {MIN_HEIGHT_PX} px was wanted"
        )


def columns_of(width_px: float, height_px: float, name: str, config: SignalConfig) -> int:
    """Return the number of columns of a line that is scaled to the height of `config`.

    Raises:
        ValueError: the image is too small, too wide or too large for a line.
    """
    _check_size(width_px, height_px, name)
    columns = max(1, round(width_px * config.height_px / height_px))
    if columns > config.max_width_px:
        raise ValueError(
            f"{name}: is {width_px:g} by {height_px:g} px, at a height of {config.height_px} px "
            f"{columns} px wide, where {config.max_width_px} px are allowed; "
            "cut it into shorter lines"
        )
    _check_pixels(width_px, height_px, name)
    return columns


def _check_pixels(width_px: float, height_px: float, name: str) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    if limit and width_px * height_px > limit:
        raise ValueError(
            f"{name}: has {width_px * height_px:,.0f} pixels, where {limit:,} are allowed; "
            "scale it down, or cut it into parts"
        )


def _refuse_page(grey: Image.Image, viewed: tuple[int, int], name: str) -> None:
    """Raise a ValueError if the image, (width, height) as `viewed` in px, shows no single line.

    The lines of a page are bands of ink, one above the other. They are counted over the whole width and over
    its middle third, where margins, frames and a slant matter less.
    """
    width_px, height_px = viewed
    if height_px <= width_px:
        return
    size = f"{name}: is {width_px:g} px wide and {height_px:g} px high"
    if height_px > STEEPEST * width_px:
        raise ValueError(
            f"{size}: a column, or a turned line; turn it or cut it, and add paper at its sides if it is a "
            "single character"
        )
    values = np.asarray(grey)
    third = values.shape[1] // 3
    bands = max(_bands(values), _bands(np.ascontiguousarray(values[:, third : values.shape[1] - third])))
    if bands > MOST_BANDS:
        raise ValueError(f"{size}, with {bands} bands of ink one above the other: a page; cut it into lines")


def _bands(grey: np.ndarray) -> int:
    """Return how often ink begins from the top to the bottom of `grey` (H, W), uint8."""
    counts = np.bincount(grey.ravel(), minlength=256)
    if light_on_dark(grey):
        grey, counts = 255 - grey, counts[::-1]
    paper, ink = _levels(counts)
    if paper - ink < 255 * SignalConfig.min_contrast:
        return 0
    inked = np.count_nonzero(grey < (paper + ink) / 2, axis=1) > 0.02 * grey.shape[1]  # (H,)
    return int(np.count_nonzero(np.diff(inked.astype(np.int8), prepend=0) == 1))


def _grey(image: Image.Image, wanted: tuple[int, int], name: str) -> Image.Image:
    """Return the decoded image as it is viewed, in mode L (white 255), at least as large as `wanted`."""
    if image.format == "JPEG" and image.mode in ("L", "RGB"):
        longer, shorter = max(wanted), min(wanted)
        sides = (longer, shorter) if image.width >= image.height else (shorter, longer)
        image.draft("L", (2 * sides[0], 2 * sides[1]))  # decodes at 1/2, 1/4 or 1/8 if large enough
    image.load()
    if image.getexif().get(ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode == "L" and "transparency" not in image.info:
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _scaled(image, name)
    if image.has_transparency_data:
        return _laid_on_paper(image.convert("RGBA"))
    if image.mode == "LAB":
        return image.getchannel("L")  # the lightness; Pillow has no conversion
    return image.convert("L")


def _laid_on_paper(image: Image.Image) -> Image.Image:
    """Return an image of mode RGBA in mode L on white; light writing alone becomes dark.

    Writing covers less area than its ground. If all that is visible is light, and covers less than half of
    the image, it is writing, and its ground was meant to be dark.
    """
    grey, opacity = image.convert("L"), image.getchannel("A")
    alpha = np.asarray(opacity)
    visible = np.asarray(grey)[alpha > 127]
    if 0 < visible.size < alpha.size / 2 and np.quantile(visible, 0.01) > 127:
        grey = ImageOps.invert(grey)
    return Image.composite(grey, Image.new("L", image.size, 255), opacity)


def _scaled(image: Image.Image, name: str) -> Image.Image:
    """Return an image of 16 or 32 bits in mode L; white is the smallest of FULL_SCALES that fits.

    A dark image of full depth becomes lighter by this, but not another line: contrast is stretched later.
    """
    values = np.asarray(image, dtype=np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: holds NaN or infinite values; finite ones were wanted, mend the file")
    low, high = float(values.min()), float(values.max())
    full = next((scale for scale in FULL_SCALES if high <= scale), None)
    if low < 0 or full is None:
        raise ValueError(
            f"{name}: holds values from {low:g} to {high:g}; from 0 to one of 1, 255 or 65535 were wanted"
        )
    return Image.fromarray(np.round(values * (255 / full)).astype(np.uint8))


def ink_of(grey: np.ndarray, config: SignalConfig) -> np.ndarray:
    """Return the ink (W, H), float32 in [0, 1], of `grey` (H, W), uint8, white 255."""
    inverted = config.detect_inverted and light_on_dark(grey)
    counts = np.bincount(grey.ravel(), minlength=256)
    if inverted:
        counts = counts[::-1]
    paper, ink = _levels(counts)
    span = max(paper - ink, 255 * config.min_contrast)
    table = np.clip((paper - np.arange(256)) / span, 0, 1).astype(np.float32)
    if inverted:
        table = table[::-1]
    return np.take(table, grey.T)  # (W, H)


def _levels(counts: np.ndarray) -> tuple[float, float]:
    """Return the grey level of the paper and that of full ink from a histogram (256,).

    The range of grey levels, without the darkest and the lightest 0.5 % of the pixels, is cut in the middle.
    Paper is the median of the lighter pixels, ink the 20 % quantile of the darker ones. Noise and a few
    specks hardly change either of them.
    """
    darkest, lightest = (_quantile(counts, share) for share in (0.005, 0.995))
    middle = int((darkest + lightest) / 2)
    lighter, darker = counts.copy(), counts.copy()
    lighter[: middle + 1] = 0
    darker[middle + 1 :] = 0
    if not lighter.any() or not darker.any():
        return lightest, lightest
    return _quantile(lighter, 0.5), _quantile(darker, 0.2)


def _quantile(counts: np.ndarray, share: float) -> int:
    cumulated = np.cumsum(counts)
    return int(np.searchsorted(cumulated, share * cumulated[-1]))


def light_on_dark(grey: np.ndarray) -> bool:
    """Return whether `grey` (H, W), uint8, shows light writing on a dark ground.

    Writing covers less area than its ground, so the median of a piece of the line is near the grey level of
    the ground. The line is cut into pieces twice as wide as high, and each piece votes with its own contrast,
    so that a shadow over part of the line does not decide. Most of the outermost pixels must be dark as well,
    so that a dense line is not inverted.
    """
    height, width = grey.shape
    step = 2 if height >= 32 else 1
    thin = grey[::step, ::step]
    stretches = max(1, round(width / (2 * height)))
    thin = thin[:, : thin.shape[1] // stretches * stretches]
    pixels = thin.reshape(thin.shape[0], stretches, -1).swapaxes(0, 1).reshape(stretches, -1)
    size = pixels.shape[1]
    ranks = (size // 100, size // 2, size - 1 - size // 100)
    low, median, high = (
        np.partition(pixels, ranks, axis=1)[:, ranks].astype(np.float32).T
    )  # (stretches,) each
    lean = float(((median - low) - (high - median)).sum())
    if lean >= -0.2 * float((high - low).sum()):
        return False
    border = np.concatenate((grey[:2].ravel(), grey[-2:].ravel(), grey[:, :2].ravel(), grey[:, -2:].ravel()))
    return float((border < (low.min() + high.max()) / 2).mean()) > 0.6

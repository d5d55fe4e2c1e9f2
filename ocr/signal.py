"""An image file of one line of text, read as columns of ink: float32 (W, H) in [0, 1], ink 1, paper 0."""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from common.data.signal import Signal, Source

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".jp2", ".pbm", ".pgm", ".ppm"}
)
"""what is taken for an image when a folder is searched; a file that is named is tried whatever its suffix"""

MIN_WIDTH_PX, MIN_HEIGHT_PX = 2, 4
ORIENTATION = 0x0112  # EXIF: 5 to 8 lie on their side
FULL_SCALES = (1.0, 255.0, 65_535.0, 2.0**31 - 1)  # what white may be where the format does not say
UNREADABLE = (  # what Pillow raises for broken files
    Image.DecompressionBombError,
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True)
class SignalConfig:
    """How the image of a line becomes a signal."""

    height_px: int = 48
    """height every line is brought to, aspect kept"""
    max_width_px: int = 20_000
    """width after that from which on a line is refused"""
    min_contrast: float = 0.12
    """least difference of paper and ink, of black to white 1, that is stretched to the full range"""
    detect_inverted: bool = True
    """turn light writing on dark ground into dark on light"""

    def __post_init__(self) -> None:
        if self.height_px < 8 or self.max_width_px < self.height_px or not 0 < self.min_contrast <= 1:
            raise ValueError(
                f"{self}: height_px from 8, max_width_px from height_px and min_contrast in (0, 1] are wanted"
            )


class _Place(NamedTuple):
    """Where an image is: a file or a stream, one of its pages or None, and its name for messages."""

    file: Path | BinaryIO
    page: int | None
    name: str


def read(source: Source, config: SignalConfig) -> Signal:
    """Return the line in `source` as columns, `unit_per_step` in pixels of the original as it is viewed.

    Any format and mode Pillow reads; EXIF rotation is applied, transparency laid over white, colour reduced
    to its luminance, light writing on dark ground inverted, paper and ink brought to 0 and 1. Of a JPEG with
    more pictures inside (MPO: depth, gain map) the first is taken.

    Args:
        source: path, path with a page as in "file.tif[2]" (counted from 0), or binary stream.
        config: height and limits.

    Raises:
        ValueError: the file is missing, empty, broken, no image, has several pages and none was named, or its
            size is not that of a line.
    """
    place = _place(source)
    with _opened(place) as image:
        width_px, height_px = _viewed_size(image)
        columns = _columns(width_px, height_px, place.name, config)
        grey = _grey(image, (columns, config.height_px), place.name)
    grey = grey.resize((columns, config.height_px), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return Signal(_ink(np.asarray(grey), config), width_px / columns)


def expand(source: str) -> list[str]:
    """Return the readable sources in the file: one for each page where there are several, else `source`.

    Raises:
        ValueError: the file is not an image.
    """
    place = _place(source)
    if place.page is not None:
        return [source]
    with _opened(place, any_page=True) as image:
        pages = _pages(image)
    return [f"{source}[{page}]" for page in range(pages)] if pages > 1 else [source]


def measure(source: str) -> float:
    """Return width over height of the line in `source`, as it is viewed, without decoding it.

    Raises:
        ValueError: the file is not an image, or too small to be that of a line.
    """
    place = _place(source)
    with _opened(place) as image:
        width_px, height_px = _viewed_size(image)
    _check_size(width_px, height_px, place.name)
    return width_px / height_px


def steps_per_length(config: SignalConfig) -> float:
    """Return the columns of a signal as wide as it is high."""
    return float(config.height_px)


def _place(source: Source) -> _Place:
    if not isinstance(source, str | Path):
        name = str(getattr(source, "name", "the stream"))
        return _Place(source if source.seekable() else io.BytesIO(source.read()), None, name)
    path, name = Path(source), str(source)
    match = re.fullmatch(r"(.+)\[(\d+)\]", name)
    if match and not path.exists():  # a file may well be called "scan[2].png"
        return _Place(Path(match[1]), int(match[2]), name)
    return _Place(path, None, name)


@contextmanager
def _opened(place: _Place, any_page: bool = False) -> Iterator[Image.Image]:
    """Open the image, its header read, at the page that is wanted; Pillow's errors become ValueErrors."""
    if isinstance(place.file, Path) and not place.file.is_file():
        what = "is a folder" if place.file.is_dir() else "does not exist"
        raise ValueError(f"{place.name}: {what}; the image file of a line was wanted")
    try:
        with _bytes(place.file) as file, Image.open(_recognised(place.file, file)) as image:
            pages = _pages(image)
            if place.page is not None:
                if place.page >= pages:
                    raise ValueError(f"{place.name}: its {pages} pages are counted from 0; name one of them")
                image.seek(place.page)
            elif pages > 1 and not any_page:
                raise ValueError(
                    f"{place.name}: has {pages} pages, one line was wanted; name one, as in {place.name}[0]"
                )
            yield image
    except UnidentifiedImageError as error:
        raise ValueError(
            f"{place.name}: {_content(place.file)}; an image file of a line was wanted"
        ) from error
    except UNREADABLE as error:
        if isinstance(error, ValueError) and str(error).startswith(f"{place.name}: "):
            raise  # a sentence of ours
        cause = str(error) or type(error).__name__
        raise ValueError(f"{place.name}: cannot be read as an image ({cause}); is the file whole?") from error


def _bytes(file: Path | BinaryIO) -> AbstractContextManager[BinaryIO]:
    return file.open("rb") if isinstance(file, Path) else nullcontext(file)


def _recognised(file: Path | BinaryIO, content: BinaryIO) -> Path | BinaryIO:
    """Return what Pillow is to open: the path, by whose suffix it loads no more than it needs, or `content`.

    Of a TIFF the latter: Pillow maps the file of one that lies on its side with sides exchanged.
    """
    if not isinstance(file, Path):
        return content
    start = content.read(2)
    content.seek(0)
    return content if start in (b"II", b"MM") else file


def _content(file: Path | BinaryIO) -> str:
    """Return what is in a file that is no image, in words."""
    with _bytes(file) as content:
        content.seek(0)
        start = content.read(16)
    return f"is not an image Pillow knows (it starts with {start!r})" if start else "is empty"


def _pages(image: Image.Image) -> int:
    return 1 if image.format == "MPO" else getattr(image, "n_frames", 1)


def _viewed_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height in pixels after EXIF rotation (Pillow turns the size of a TIFF by itself)."""
    width_px, height_px = image.size
    if image.format != "TIFF" and image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8):
        return height_px, width_px
    return width_px, height_px


def _check_size(width_px: int, height_px: int, name: str) -> None:
    if width_px < MIN_WIDTH_PX or height_px < MIN_HEIGHT_PX:
        raise ValueError(
            f"{name}: is {width_px} px wide and {height_px} px high; a line of at least {MIN_WIDTH_PX} by "
            f"{MIN_HEIGHT_PX} px was wanted"
        )


def _columns(width_px: int, height_px: int, name: str, config: SignalConfig) -> int:
    """Return how many columns the line has at the wanted height."""
    _check_size(width_px, height_px, name)
    columns = max(1, round(width_px * config.height_px / height_px))
    if columns > config.max_width_px:
        raise ValueError(
            f"{name}: is {width_px} by {height_px} px, at a height of {config.height_px} px "
            f"{columns} px wide, where {config.max_width_px} px are allowed; "
            "cut it into shorter lines or raise max_width_px"
        )
    limit = Image.MAX_IMAGE_PIXELS
    if limit and width_px * height_px > limit:
        raise ValueError(
            f"{name}: has {width_px * height_px:,} pixels, where {limit:,} are allowed; "
            "segment the page into lines first"
        )
    return columns


def _grey(image: Image.Image, wanted: tuple[int, int], name: str) -> Image.Image:
    """Return the decoded image in mode L, white 255, as it is viewed, not smaller than `wanted`."""
    if image.format == "JPEG" and image.mode in ("L", "RGB"):
        longer, shorter = max(wanted), min(wanted)
        sides = (longer, shorter) if image.width >= image.height else (shorter, longer)
        image.draft("L", (2 * sides[0], 2 * sides[1]))  # decodes at half, a quarter, an eighth where enough
    image.load()
    if image.getexif().get(ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode == "L" and "transparency" not in image.info:
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _scaled(image, name)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.composite(image.convert("L"), Image.new("L", image.size, 255), image.getchannel("A"))
    return image.convert("L")


def _scaled(image: Image.Image, name: str) -> Image.Image:
    """Return an image of wide integers or floats in mode L; white is the least fitting FULL_SCALES."""
    values = np.asarray(image, dtype=np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: holds NaN or infinite values; finite ones were wanted, mend the file")
    low, high = float(values.min()), float(values.max())
    scales = FULL_SCALES if image.mode == "F" else (65_535.0,) if ";" in image.mode else FULL_SCALES[1:]
    full = next((scale for scale in scales if high <= scale), None)
    if low < 0 or full is None:
        raise ValueError(
            f"{name}: holds values from {low:g} to {high:g}; from 0 to one of 1, 255 or 65535 were wanted"
        )
    return Image.fromarray(np.round(values * (255 / full)).astype(np.uint8))


def _ink(grey: np.ndarray, config: SignalConfig) -> np.ndarray:
    """Return ink (W, H) float32 in [0, 1] of `grey` (H, W) uint8, white 255."""
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
    """Return the grey of the paper and of full ink from a histogram (256,).

    The range without the outermost 0.5 % is halved: paper is the median of the lighter half, ink the first
    fifth of the darker, so that neither noise nor a few specks decide.
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
    """Return whether `grey` (H, W) uint8 shows light writing on dark ground.

    Writing covers less than its ground, so the median of a stretch of the line lies near its ground;
    stretches of two heights vote, each with its own contrast, so that a shadow across the line does not
    count. A dense line is not turned around: most of the outermost pixels must be dark as well.
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

"""Write images of lines without writing, with a manifest of empty texts: paper, and what is beside lines.

    python recipes/ocr/blanks.py FOLDER --pages PAGES

Half of them are drawn: even or uneven paper, dark or bright, with grain, shadows and specks. The others are
cut out of PAGES, folders of PAGE XML or ALTO with their images, where there is no line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.data.manifest import Example, write_manifest
from common.files.folder import files_below
from common.text.document import Document, Line
from ocr.formats.xml.pages import is_xml, read_page
from ocr.segmentation.finding import finder

TRIES = 40
MARGIN = 0.4
"""heights of a strip that stay between it and a line"""
HEIGHT_PX = (24, 90)
UNSEEN = 0.1
"""probability of a baseline below which there is none"""
SHAPE = (1.0, 28.0)
"""smallest and largest width of a strip in heights"""


@dataclass(frozen=True)
class Blanks:
    """Write images of lines without writing."""

    folder: Positional[Path]
    """folder to write; its manifest is blanks.jsonl"""
    pages: tuple[Path, ...] = ()
    """folders of pages that are transcribed completely"""
    count: int = 600
    """number of images"""
    seed: int = 1
    """seed of all random numbers"""


def paper(rng: np.random.Generator) -> np.ndarray:
    """Return drawn paper (H, W) in grey levels from 0 to 255."""
    height = int(rng.uniform(*HEIGHT_PX))
    width = int(height * np.exp(rng.uniform(*np.log(SHAPE))))
    level, contrast = rng.uniform(60, 255), rng.choice([0.0, rng.uniform(1, 50)])
    cells = rng.standard_normal((2, 2 + int(rng.uniform(0, 8) * width / height)))
    rough = Image.fromarray(cells.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
    grain = rng.choice([0.0, rng.uniform(0.5, 12)]) * rng.standard_normal((height, width))
    image = Image.fromarray(np.clip(level + contrast * np.asarray(rough) + grain, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.poisson(1.0) if rng.random() < 0.5 else 0):  # specks are no full stops
        x, y, size = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.3, 1.2)
        draw.ellipse((x, y, x + size, y + size), fill=int(level * rng.uniform(0.3, 0.9)))
    if rng.random() < 0.4:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 2)))
    return np.asarray(image)


def strips(document: Document, count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return strips (H, W) of a page, in grey levels, that touch no line and are not at the edge."""
    assert document.page is not None, "pages have a page"
    with Image.open(document.page.image) as opened:
        grey = opened.convert("L")
    width_px, height_px = grey.size
    free = Image.new("1", grey.size, 1)
    draw, found = ImageDraw.Draw(free), list[np.ndarray]()
    lines = [passage.place for passage in document.passages if isinstance(passage.place, Line)]
    if not lines:
        return []
    usual = float(np.median([line.above + line.below for line in lines]))
    for line in lines:
        draw.polygon([tuple(point) for point in line.polygon], fill=0)
        draw.line([tuple(point) for point in line.baseline], fill=0, width=max(3, int(usual)))
    mask = np.asarray(free) & _quiet(np.asarray(grey))
    for _ in range(TRIES * count):
        height = int(usual * rng.uniform(0.6, 1.3))
        width = int(height * np.exp(rng.uniform(*np.log(SHAPE))))
        margin = int(MARGIN * height)
        if len(found) == count or height < 12 or width + 8 * margin >= width_px:
            break
        left = int(rng.uniform(4 * margin, width_px - width - 4 * margin))
        top = int(rng.uniform(margin, max(margin + 1, height_px - height - margin)))
        around = mask[max(0, top - margin) : top + height + margin, left - margin : left + width + margin]
        if around.all():
            found.append(np.asarray(grey.crop((left, top, left + width, top + height))))
    return found


def _quiet(grey: np.ndarray) -> np.ndarray:
    """Return where (H, W) the bundled network sees no sign of a line, transcribed or not."""
    model = Path(finder.__file__).parents[2] / "models" / "lines.onnx"
    maps, _ = finder.load_finder(str(model)).seen(grey, finder.LONG_SIDE_PX)
    seen = Image.fromarray((maps.baseline < UNSEEN).astype(np.uint8))
    return np.asarray(seen.resize(grey.shape[::-1], Image.Resampling.NEAREST)) > 0


def cut(folders: Sequence[Path], count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return strips of pages, as many of each."""
    files = [file for folder in folders for file in sorted(files_below(folder)) if is_xml(file)]
    found, share = list[np.ndarray](), -(-count // max(1, len(files)))
    for file in rng.permutation(files):
        found += strips(read_page(str(file), lambda _: None), share, rng)
    return found[:count]


def main() -> None:
    """Write the images and their manifest."""
    options = parse(Blanks)
    rng = np.random.default_rng(options.seed)
    options.folder.mkdir(parents=True, exist_ok=True)
    images = cut(options.pages, options.count // 2, rng) if options.pages else []
    images += [paper(rng) for _ in range(options.count - len(images))]
    examples = []
    for number, image in enumerate(images):
        path = options.folder / f"{number:05}.png"
        Image.fromarray(image).save(path)
        examples.append(Example(str(path), "", image.shape[1] / image.shape[0]))
    write_manifest(options.folder / "blanks.jsonl", examples)


if __name__ == "__main__":
    main()

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

import ocr
from common.text.document import Line, Point
from ocr.segmentation.finding.finder import load_finder, turned_back
from ocr.segmentation.matching import score_lines

MODEL = Path(ocr.__file__).parent / "models" / "lines.onnx"
WORDS = "the old man with the grey hat of his brother sat down there and wrote a long letter home"


def page(size_px: int = 26) -> tuple[np.ndarray, list[Line]]:
    """Return a page of 20 lines of print, and its lines."""
    image = Image.new("L", (1000, 1300), 235)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(size_px)
    lines = []
    for number in range(20):
        y, text = 120 + 2.1 * size_px * number, WORDS[: 50 + number % 7]
        pen.text((100, y), text, fill=30, font=font, anchor="ls")
        end = 100 + pen.textlength(text, font=font)
        lines.append(Line((Point(100, y), Point(end, y)), 0.8 * size_px, 0.3 * size_px))
    return np.asarray(image), lines


@pytest.mark.slow
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_lines_are_found_on_a_page_however_it_is_turned(turns):
    grey, truth = page()
    found = load_finder(str(MODEL)).find(np.ascontiguousarray(np.rot90(grey, turns)))
    assert found.turns == (4 - turns) % 4
    assert found.size == (1000, 1300)
    assert score_lines(truth, found.lines).f > 0.95
    heights = [line.above + line.below for line in found.lines]
    assert 12 < np.median(heights) < 52
    back = [turned_back(line, found.turns, found.size) for line in found.lines]
    height, width = np.rot90(grey, turns).shape
    for line in back:
        assert all(0 <= x <= width and 0 <= y <= height for x, y in line.baseline)
        across = abs(line.baseline[-1].x - line.baseline[0].x) > abs(line.baseline[-1].y - line.baseline[0].y)
        assert across == (turns in (0, 2))
        assert turns != 2 or line.baseline[0].x > line.baseline[-1].x


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.4, 2.0])
def test_small_and_large_writing_is_found_at_another_size(scale):
    grey, truth = page()
    size = round(1000 * scale), round(1300 * scale)
    scaled = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0))
    found = load_finder(str(MODEL)).find(scaled)
    wanted = [
        Line(tuple(Point(x * scale, y * scale) for x, y in line.baseline), 20.0 * scale, 8.0 * scale)
        for line in truth
    ]
    assert score_lines(wanted, found.lines).f > 0.9


def test_blank_paper_has_no_lines():
    assert load_finder(str(MODEL)).find(np.full((700, 500), 240, np.uint8)).lines == []


def test_a_file_that_finds_no_lines_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"printed\.onnx: finds no lines; name a model that `ocr train-lines`"
    ):
        load_finder(str(MODEL.with_name("printed.onnx")))

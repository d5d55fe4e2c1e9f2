import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from common.text.document import Line, Point
from ocr.segmentation.learning.snapping import ASCENT, DESCENT, snap


def page_of(baselines: list[float], size_px: int = 30, slope: float = 0.0) -> tuple[np.ndarray, float]:
    """Return the ink of a page with a line of print on each baseline, and the height of its small letters."""
    font = ImageFont.load_default(size_px)
    image = Image.new("L", (500, 400), 0)
    pen = ImageDraw.Draw(image)
    for y in baselines:
        pen.text((20, y), "the quick brown fox jumps over it", fill=255, font=font, anchor="ls")
    top = pen.textbbox((0, 0), "x", font=font, anchor="ls")[1]
    return np.asarray(image, dtype=np.float32) / 255, -float(top)


@pytest.mark.parametrize("offset", [-9.0, -4.0, 0.0, 4.0])
def test_baselines_drawn_too_high_or_too_low_come_to_stand_below_the_small_letters(offset):
    truth = [80.0, 140.0, 200.0]
    ink, _ = page_of(truth)
    lines = [Line((Point(20, y + offset), Point(450, y + offset)), 26.0, 10.0) for y in truth]
    for line, y in zip(snap(lines, ink), truth, strict=True):
        assert line.baseline[0].y == pytest.approx(y, abs=1.6)
        assert (line.baseline[0].x, line.baseline[1].x) == (20, 450)


def test_heights_are_those_of_the_small_letters_whatever_was_drawn():
    truth = [80.0, 160.0, 240.0]
    ink, tall = page_of(truth)
    for above, below in ((26.0, 10.0), (40.0, 4.0)):
        lines = [Line((Point(20, y), Point(450, y)), above, below) for y in truth]
        for line in snap(lines, ink):
            assert line.above == pytest.approx(ASCENT * tall, rel=0.2)
            assert line.below == pytest.approx(DESCENT * tall, rel=0.2)


def test_a_line_without_ink_and_a_page_without_lines_stay():
    ink, _ = page_of([80.0])
    lines = [
        Line((Point(20, 80), Point(450, 80)), 26.0, 10.0),
        Line((Point(20, 300), Point(450, 300)), 26.0, 10.0),
    ]
    _, empty = snap(lines, ink)
    assert empty.baseline[0].y == pytest.approx(300, abs=4)
    assert snap([], ink) == []
    blank = np.zeros_like(ink)
    assert snap(lines, blank) == lines

import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from common.text.document import Line, Point
from ocr.segmentation.cutting import cut_line
from ocr.signal import SignalConfig, ink_of

CONFIG = SignalConfig(height_px=32)


@pytest.fixture(scope="module")
def page() -> np.ndarray:
    image = Image.new("L", (500, 300), 235)
    font = ImageFont.load_default(24)
    for row in range(6):
        ImageDraw.Draw(image).text((20 + 7 * row, 10 + 45 * row), "a line of writing, bdpq", 25, font)
    return np.asarray(image)


def level(left: float, right: float, baseline: float, above: float, below: float) -> Line:
    return Line((Point(left, baseline), Point(right, baseline)), above, below)


def read_rectangle(page: np.ndarray, left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """The columns of a rectangle by the way of a line image: Pillow's scaling, then grey to ink."""
    columns = round((right - left) * CONFIG.height_px / (bottom - top))
    crop = Image.fromarray(page).crop((left, top, right, bottom))
    grey = crop.resize((columns, CONFIG.height_px), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return ink_of(np.asarray(grey), CONFIG)


@pytest.mark.parametrize("box", [(15, 5, 400, 45), (0, 50, 500, 96), (33, 95, 190, 111)])
def test_a_level_line_is_the_image_of_its_rectangle(page, box):
    left, top, right, bottom = box
    signal = cut_line(page, level(left, right, bottom - 8, bottom - 8 - top, 8), CONFIG)
    np.testing.assert_allclose(signal.values, read_rectangle(page, *box), atol=0.02)
    assert signal.unit_per_step * len(signal.values) == pytest.approx(right - left)


def test_the_whole_image_is_the_image_as_a_line(page):
    strip = page[:45]
    signal = cut_line(strip, Line.rectangle(500, 45), CONFIG)
    np.testing.assert_allclose(signal.values, read_rectangle(strip, 0, 0, 500, 45), atol=0.02)


@pytest.mark.parametrize("degrees", [-30, 7, 90, 180])
def test_a_turned_page_gives_the_same_line(page, degrees):
    """The page is turned by Pillow around its middle, and the baseline by the equations of a rotation."""
    upright = level(20, 330, 125, 30, 8)
    turned = Image.fromarray(page).rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=235)
    angle, height, width = math.radians(degrees), *page.shape

    def moved(point: Point) -> Point:
        x, y = point.x - width / 2, point.y - height / 2
        return Point(
            x * math.cos(angle) + y * math.sin(angle) + turned.width / 2,
            y * math.cos(angle) - x * math.sin(angle) + turned.height / 2,
        )

    line = Line(tuple(moved(point) for point in upright.baseline), 30, 8)
    expected, found = cut_line(page, upright, CONFIG), cut_line(np.asarray(turned), line, CONFIG)
    assert found.values.shape == expected.values.shape
    assert np.abs(found.values - expected.values).mean() < 0.03
    assert expected.values.mean() > 0.05


def test_a_curved_line_comes_out_straight(page):
    """Columns of the page are moved down along a sine; the line that follows it is the level one again."""
    x = np.arange(page.shape[1])
    shift = np.round(9 * np.sin(x / 90)).astype(int)
    rows = np.clip(np.arange(page.shape[0])[:, None] - shift, 0, page.shape[0] - 1)
    wavy = page[rows, x]
    points = tuple(Point(float(at), 125 + 9 * math.sin(at / 90)) for at in range(20, 331, 5))
    found = cut_line(wavy, Line(points, 30, 8), CONFIG)
    expected = cut_line(page, level(20, 330, 125, 30, 8), CONFIG)
    half = len(expected.values) // 2
    assert np.abs(found.values[:half].sum(1) - expected.values[:half].sum(1)).mean() < 2  # of 32 rows
    inked = found.values.sum(0)  # (32,) the profile over the height is that of a straight line
    assert np.corrcoef(inked, expected.values.sum(0))[0, 1] > 0.97


def test_marks_on_the_page_are_where_part_says(page):
    """A mark is found in the signal, and the part of the line at its columns leads back to it."""
    marked = np.full_like(page, 230)
    line = Line((Point(30, 60), Point(200, 100), Point(420, 90)), 25, 9)
    for position in (40.0, 180.0, 333.0):
        x, y = line.at(position)
        marked[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4] = 10
    signal = cut_line(marked, line, CONFIG)
    inked = signal.values.sum(1) > 2
    starts = np.flatnonzero(np.diff(inked.astype(int), prepend=0) == 1)
    ends = np.flatnonzero(np.diff(inked.astype(int), append=0) == -1) + 1
    middles = (starts + ends) / 2 * signal.unit_per_step
    np.testing.assert_allclose(middles, [40, 180, 333], atol=1.5)
    for start, end, position in zip(starts, ends, (40.0, 180.0, 333.0), strict=True):
        part = line.part(start * signal.unit_per_step, end * signal.unit_per_step)
        left, _, right, _ = part.box
        assert left < line.at(position).x < right
        assert part.length < 14


def test_beyond_the_page_its_edge_goes_on(page):
    signal = cut_line(page, level(-40, 200, 20, 40, 10), CONFIG)
    assert signal.values[:20].max() == 0  # paper, although no pixel is there
    assert signal.values.max() == 1


@pytest.mark.parametrize("light", [False, True])
def test_what_is_outside_of_the_outline_becomes_paper(page, light):
    """The outline is the rectangle of the line without its middle third, which holds writing."""
    shown = 255 - page if light else page
    left, right, top, bottom = 20.0, 320.0, 95.0, 133.0
    outline = ((left, top), (120, top), (120, bottom), (220, bottom), (220, top), (right, top))
    edge = (*outline, (right, bottom), (220, bottom), (120, bottom), (left, bottom))
    line = level(left, right, 125, 30, 8)
    whole = cut_line(shown, line, CONFIG).values
    cut = cut_line(shown, replace(line, outline=tuple(Point(*point) for point in edge)), CONFIG).values
    third = len(whole) // 3
    assert whole[third + 3 : 2 * third - 3].max() > 0.9
    assert cut[third + 3 : 2 * third - 3].max() < 0.05
    np.testing.assert_allclose(cut[: third - 3], whole[: third - 3], atol=0.1)


def test_large_writing_is_reduced_without_losing_thin_strokes():
    big = np.full((900, 3000), 240, np.uint8)
    big[:, ::24] = 0  # one in 24 columns is ink
    big[300:310] = 0
    signal = cut_line(big, level(0, 3000, 800, 800, 100), CONFIG)
    assert signal.values.shape == (107, 32)
    assert signal.values[3:-3, 20:].std() < 0.2  # an even grey, no moiré of sampled strokes


@pytest.mark.parametrize(("line", "message"), [
    (level(10, 10, 50, 20, 5), "0 px long and 25 px high"),
    (level(10, 90, 50, 0, 0), "80 px long and 0 px high"),
    (level(600, 900, 50, 20, 5), "is not on the image of 500 x 300 px"),
    (level(10, 1e9, 50, 20, 5), "cut it into shorter lines"),
    (level(-1e4, 1e4, 50, 900, 5), "is not on the image"),
])  # fmt: skip
def test_a_line_that_cannot_be_cut_is_refused(page, line, message):
    with pytest.raises(ValueError, match=message):
        cut_line(page, line, CONFIG)

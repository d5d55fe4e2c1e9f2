from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from common.text.document import Line, Point
from ocr.configuration import SegmentationConfig
from ocr.segmentation import pages
from ocr.segmentation.finding.finder import Finder, turned_back
from ocr.segmentation.maps import Maps, draw_maps
from ocr.segmentation.pages import segment
from ocr.signal import SignalConfig, ink_of

CONFIG = SignalConfig(height_px=32)
LINES = [Line((Point(40.0, 60.0 + 50 * row), Point(380.0, 60.0 + 50 * row)), 26.0, 9.0) for row in range(5)]


class DrawnFinder(Finder):
    """A finder whose network is replaced by maps drawn of known lines on an upright page of 420 x 320 px."""

    def __init__(self, lines: list[Line]) -> None:
        self.known, self.stride = lines, 2

    def seen(self, grey: np.ndarray, long_side_px: float) -> tuple[Maps, np.ndarray]:
        factor = long_side_px / max(grey.shape)
        size = round(grey.shape[1] * factor), round(grey.shape[0] * factor)
        ink = ink_of(np.asarray(Image.fromarray(grey).resize(size)), SignalConfig()).T
        known = self.known if grey.shape == (320, 420) else []
        return draw_maps(known, (ink.shape[0] // 2, ink.shape[1] // 2), 2 / factor), ink

    def computed(self, ink: np.ndarray) -> np.ndarray:
        return np.zeros((5, ink.shape[0] // 2, ink.shape[1] // 2))  # nothing, upside down


@pytest.fixture
def image(tmp_path) -> Path:
    page = Image.new("L", (420, 320), 235)
    for line in LINES:
        left, y = line.baseline[0]
        font = ImageFont.load_default(26)
        ImageDraw.Draw(page).text((left, y), "some writing on a page", 20, font, anchor="ls")
    page.save(tmp_path / "page.png", dpi=(300, 300))
    return tmp_path / "page.png"


def using(monkeypatch, tmp_path, lines: list[Line]) -> SegmentationConfig:
    (tmp_path / "lines.onnx").touch()
    monkeypatch.setattr(pages, "load_finder", lambda path: DrawnFinder(lines))
    return SegmentationConfig(lines_model=tmp_path / "lines.onnx")


def test_a_page_becomes_its_lines_with_their_places(monkeypatch, tmp_path, image):
    found = segment(str(image), CONFIG, using(monkeypatch, tmp_path, LINES))
    assert [segment.name for segment in found.segments] == ["l1", "l2", "l3", "l4", "l5"]
    for one, line in zip(found.segments, LINES, strict=True):
        assert isinstance(one.place, Line)
        assert one.place.baseline[0].y == pytest.approx(line.baseline[0].y, abs=2)
        assert one.signal.length == pytest.approx(one.place.length)
        assert one.signal.values.max() == 1  # there is ink
        assert (one.region, one.whole) == ("r1", False)
    page = found.page
    assert page is not None
    assert (page.width_px, page.height_px, page.image) == (420, 320, str(image))
    assert page.dpi == pytest.approx(300, abs=0.1)
    assert [region.name for region in page.regions] == ["r1"]


def test_a_blank_page_has_no_lines_and_this_is_said(monkeypatch, tmp_path, image, caplog):
    found = segment(str(image), CONFIG, using(monkeypatch, tmp_path, []))
    assert not found.segments
    assert "page.png: no line of writing is found on it" in caplog.text


def letters_above_each_other(text: str, ground: int) -> Image.Image:
    """Return letters on slips of white paper as wide as they are, on a ground that shows beside them."""
    column, font = Image.new("L", (40, 36 * len(text)), ground), ImageFont.load_default(28)
    for row, letter in enumerate(text):
        slip = Image.new("L", (round(font.getlength(letter)) + 8, 36), 255)
        ImageDraw.Draw(slip).text((4, 0), letter, 0, font)
        column.paste(slip, (0, 36 * row))
    return column


@pytest.mark.parametrize(
    ("text", "ground"),
    [("one two", 0), ("one two", 255), ("Schwimmbad", 0), ("24681357", 255), (" " * 8, 255)],
)
def test_a_column_of_letters_is_not_said_to_be_upside_down(tmp_path, caplog, text, ground):
    letters_above_each_other(text, ground).save(tmp_path / "column.png")
    segment(str(tmp_path / "column.png"), CONFIG, SegmentationConfig())
    size = f"is 40 px wide and {36 * len(text)} px high"
    wanted = (
        f"column.png: {size}, and no long line is found on it; turn it if it is a line that lies on its side"
    )
    assert wanted in caplog.text
    assert "upside down" not in caplog.text


def test_a_long_list_of_short_lines_is_a_page(tmp_path, caplog):
    """As the receipt of a till is: many times higher than wide."""
    receipt = Image.new("L", (300, 1500), 235)
    for row in range(30):
        text = ("Two loaves of bread", "One pound of butter")[row % 2]
        ImageDraw.Draw(receipt).text((10, 30 + 48 * row), text, 20, ImageFont.load_default(26), anchor="ls")
    receipt.save(tmp_path / "receipt.png")
    assert len(segment(str(tmp_path / "receipt.png"), CONFIG, SegmentationConfig()).segments) == 30
    assert not caplog.text


def test_a_wide_image_is_a_line_and_any_image_can_be_said_to_be_one(monkeypatch, tmp_path, image):
    config = using(monkeypatch, tmp_path, LINES)
    Image.open(image).crop((0, 20, 420, 75)).save(tmp_path / "line.png")
    assert segment(str(tmp_path / "line.png"), CONFIG, config).segments[0].whole
    assert segment(str(image), CONFIG, SegmentationConfig(segmentation="line")).segments[0].whole


def test_a_missing_model_is_named(tmp_path, image):
    config = SegmentationConfig(lines_model=tmp_path / "none.onnx")
    with pytest.raises(ValueError, match=r"none\.onnx: is missing"):
        segment(str(image), CONFIG, config)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_lines_of_a_turned_page_are_put_back_where_they_are(turns):
    page = np.zeros((300, 400), np.uint8)
    page[40, 70] = 255  # row, column: where the line starts
    turned = np.rot90(page, turns)
    row, column = np.argwhere(turned == 255)[0]
    line = Line((Point(column + 0.5, row + 0.5), Point(column + 20.5, row + 0.5)), 9, 3)
    back = turned_back(line, turns, (turned.shape[1], turned.shape[0]))
    assert back.baseline[0] == (70.5, 40.5)

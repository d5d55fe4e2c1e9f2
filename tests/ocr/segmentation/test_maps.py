import numpy as np
import pytest

from common.text.document import Line, Point
from ocr.segmentation.maps import BASELINE_WIDTH, Maps, draw_maps


def level(left: float, right: float, y: float, above: float = 20.0, below: float = 8.0) -> Line:
    return Line((Point(left, y), Point(right, y)), above, below)


def test_a_baseline_and_its_ends_lie_where_the_line_does():
    maps = draw_maps([level(40, 200, 100)], (128, 160), scale=2.0)
    rows, columns = np.nonzero(maps.baseline)
    assert abs(rows - 50).max() <= BASELINE_WIDTH // 2 + 1
    assert (columns.min(), columns.max()) == pytest.approx((20, 100), abs=2)
    for x in (20, 100):
        assert maps.end[50, x] == 1
    assert maps.end[50, 60] == 0


def test_heights_are_logarithms_in_pixels_of_the_maps():
    maps = draw_maps([level(40, 200, 100, above=20.0, below=8.0)], (128, 160), scale=2.0)
    on = maps.baseline > 0
    np.testing.assert_allclose(np.exp(maps.above[on]), 10, rtol=1e-5)
    np.testing.assert_allclose(np.exp(maps.below[on]), 4, rtol=1e-5)


def test_lines_side_by_side_have_a_border_between_them_and_lines_below_each_other_none():
    maps = draw_maps([level(10, 60, 50), level(100, 150, 52)], (100, 160), scale=1.0)
    rows, columns = np.nonzero(maps.border)
    assert abs(columns - 80).max() <= 2
    assert (rows.min(), rows.max()) == pytest.approx((30, 58), abs=2)
    apart = draw_maps([level(10, 60, 30), level(10, 60, 80), level(400, 450, 30)], (100, 500), scale=1.0)
    assert not apart.border.any()


def test_maps_are_an_array_and_back():
    maps = draw_maps([level(10, 60, 50)], (100, 160), scale=1.5)
    again = Maps.of(maps.array, 1.5)
    np.testing.assert_array_equal(again.array, maps.array)
    assert again.scale == 1.5

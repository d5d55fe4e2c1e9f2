import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.text.document import Line, Point
from ocr.segmentation.finding.ridges import find_lines, thinned
from ocr.segmentation.maps import draw_maps


def level(left: float, right: float, y: float, above: float = 18.0, below: float = 6.0) -> Line:
    return Line((Point(left, y), Point(right, y)), above, below)


def ends(lines: list[Line]) -> np.ndarray:
    found = sorted((line.baseline[0].y, line.baseline[0].x, line.baseline[-1].x) for line in lines)
    return np.array(found)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(5, 300), st.floats(40, 250), st.floats(-0.15, 0.15)), min_size=1, max_size=6
    ),
    st.floats(10, 30),
    st.floats(3, 12),
)
def test_lines_are_found_where_they_were_drawn(rows, above, below):
    """One line in each band of 90 px, so that slanted ones do not meet."""
    lines = [
        Line((Point(left, 60.0 + 90 * row), Point(left + width, 60 + 90 * row + slope * width)), above, below)
        for row, (left, width, slope) in enumerate(rows)
    ]
    found = sorted(find_lines(draw_maps(lines, (330, 320), 2.0)), key=lambda line: line.baseline[0].y)
    assert len(found) == len(lines)
    for line, one in zip(lines, found, strict=True):
        for position in np.linspace(0, 1, 9):
            truth = line.at(position * line.length)
            near = min(math.dist(truth, one.at(at)) for at in np.linspace(0, one.length, 200))
            assert near < 4.5  # of page pixels, two for each of the maps
        assert one.length == pytest.approx(line.length, abs=10)
        assert (one.above, one.below) == pytest.approx((above, below), rel=0.05)


def test_lines_that_touch_are_two_where_they_end():
    left, right = level(20, 200, 50), level(202, 400, 50)
    found = ends(find_lines(draw_maps([left, right], (60, 220), 2.0)))
    np.testing.assert_allclose(found[:, 1:], [[20, 200], [202, 400]], atol=6)


@pytest.mark.parametrize(("gap_px", "count"), [(20, 1), (44, 1), (120, 2)])
def test_a_gap_without_an_end_is_bridged_if_it_is_short(gap_px, count):
    maps = draw_maps([level(20, 380, 50)], (60, 220), 2.0)
    maps.baseline[:, 100 : 100 + gap_px // 2] = 0
    assert len(find_lines(maps)) == count


def test_a_border_separates_what_would_be_joined():
    maps = draw_maps([level(20, 380, 50)], (60, 220), 2.0)
    maps.baseline[:, 95:105] = 0
    maps.border[10:40, 99:101] = 1
    assert len(find_lines(maps)) == 2


def test_a_curved_line_keeps_its_curve():
    points = tuple(Point(float(x), 100 + 30 * math.sin(x / 120)) for x in range(20, 600, 10))
    (found,) = find_lines(draw_maps([Line(points, 18, 6)], (100, 320), 2.0))
    x, y = np.array(found.baseline).T
    np.testing.assert_allclose(y, 100 + 30 * np.sin(x / 120), atol=3)
    assert len(x) > 6


def test_columns_are_not_joined():
    lines = [
        level(20 + 200 * column, 190 + 200 * column, 40 + 30 * row) for row in range(5) for column in (0, 1)
    ]
    assert len(find_lines(draw_maps(lines, (100, 210), 2.0))) == 10


def test_empty_maps_have_no_lines():
    assert find_lines(draw_maps([], (40, 40), 2.0)) == []


def test_faint_ridges_are_no_lines():
    maps = draw_maps([level(20, 380, 50)], (60, 220), 2.0)
    assert find_lines(maps._replace(baseline=maps.baseline * np.float32(0.35))) == []


def test_thinned_points_stay_within_the_tolerance():
    x = np.arange(200.0)
    points = np.stack((x, 10 * np.sin(x / 30)), axis=1)
    kept = thinned(points, 0.5)
    assert len(kept) < 40
    assert np.abs(np.interp(x, *kept.T) - points[:, 1]).max() <= 0.5 + 1e-9

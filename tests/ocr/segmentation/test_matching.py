import pytest

from common.text.document import Line, Point
from ocr.segmentation.matching import LineScores, match_lines, score_lines


def level(y: float, left: float = 0.0, right: float = 300.0) -> Line:
    return Line((Point(left, y), Point(right, y)), 20.0, 8.0)


TRUE = [level(100), level(140), level(180)]  # 40 px apart: the tolerance is 10 px


def test_lines_that_are_found_exactly_score_one():
    scores = score_lines(TRUE, TRUE)
    assert scores == LineScores(3.0, 3, 3.0, 3)
    assert (scores.precision, scores.recall, scores.f) == (1, 1, 1)


@pytest.mark.parametrize(("off", "share"), [(5, 1.0), (10, 1.0), (20, 0.5), (30, 0.0)])
def test_what_is_off_by_one_tolerance_is_right_and_by_three_is_wrong(off, share):
    """A line alone on its side: 20 px of two tolerances beyond the first are half way."""
    scores = score_lines([level(100), level(140)], [level(140 + off)])
    assert scores.precision == pytest.approx(share)
    assert scores.recall == pytest.approx(share / 2, abs=0.01)


def test_a_missing_line_costs_recall_and_an_invented_one_precision():
    missing, more = score_lines(TRUE, TRUE[:2]), score_lines(TRUE, [*TRUE, level(400)])
    assert (missing.precision, missing.recall) == (1, pytest.approx(2 / 3))
    assert (more.precision, more.recall) == (pytest.approx(3 / 4), 1)


def test_a_line_that_is_split_costs_precision_only():
    halves = [level(140, 0, 150), level(140, 150, 300)]
    scores = score_lines(TRUE, [TRUE[0], *halves, TRUE[2]])
    assert scores.recall == pytest.approx(1)
    assert scores.precision == pytest.approx(3 / 4)  # one half has no partner


def test_two_lines_that_are_found_as_one_cost_precision():
    cells = [level(100, 0, 100), level(100, 200, 300), level(140, 0, 300)]
    scores = score_lines(cells, [level(100, 0, 300), level(140, 0, 300)])
    assert scores.recall == pytest.approx(1)
    assert scores.precision < 0.8


def test_each_line_is_in_one_pair():
    assert sorted(match_lines(TRUE, [level(141), level(139), level(101)])) == [(0, 2), (1, 0)] or sorted(
        match_lines(TRUE, [level(141), level(139), level(101)])
    ) == [(0, 2), (1, 1)]


def test_pages_without_lines():
    assert score_lines([], []).f == 1
    assert score_lines(TRUE, []).recall == 0
    assert score_lines([], TRUE).precision == 0
    assert score_lines(TRUE, TRUE).plus(score_lines(TRUE, [])) == LineScores(3.0, 6, 3.0, 3)

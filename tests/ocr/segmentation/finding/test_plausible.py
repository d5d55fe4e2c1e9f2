import numpy as np

from common.text.document import Line, Point
from ocr.segmentation.finding.plausible import plausible


def level(y: float, left: float = 50.0, right: float = 550.0) -> Line:
    return Line((Point(left, y), Point(right, y)), 20.0, 8.0)


def page(rows: dict[float, float]) -> np.ndarray:
    """Return ink (400, 600) with a grey band above each baseline."""
    ink = np.zeros((400, 600), np.float32)
    for y, amount in rows.items():
        ink[int(y) - 12 : int(y)] = amount
    return ink


def test_lines_with_far_less_ink_than_the_others_are_left_out():
    ink = page({100: 0.5, 140: 0.6, 180: 0.45, 220: 0.1})
    ink[260, 40:560] = 1  # a ruled line: ink on the baseline only
    lines = [level(y) for y in (100, 140, 180, 220, 260)]
    assert plausible(lines, ink, 1.0) == lines[:3]


def test_pale_writing_stays_where_all_of_it_is_pale():
    lines = [level(y) for y in (100, 140, 180)]
    assert plausible(lines, page({100: 0.05, 140: 0.06, 180: 0.05}), 1.0) == lines


def test_lines_are_in_pixels_of_the_page_and_ink_may_be_smaller():
    lines = [level(100), level(140), level(180)]
    ink = page({100: 0.5, 140: 0.5, 180: 0.1})[::2, ::2]
    assert plausible(lines, ink, 2.0) == lines[:2]


def test_short_lines_at_the_edge_of_a_page_with_long_ones_are_of_the_next_page():
    lines = [level(y) for y in (100, 140, 180)]
    fragments = [level(220, 0, 60), level(260, 560, 600)]
    inside = level(300, 100, 160)
    long = level(340, 0, 500)
    ink = page(dict.fromkeys((100, 140, 180, 220, 260, 300, 340), 0.5))
    assert plausible([*lines, *fragments, inside, long], ink, 1.0) == [*lines, inside, long]
    assert plausible(fragments, ink, 1.0) == fragments  # nothing shows that they are not whole


def test_a_blank_page_has_no_lines():
    assert plausible([level(100)], page({}), 1.0) == []
    assert plausible([], page({}), 1.0) == []

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from common.text.document import Line, Point
from ocr.segmentation.finding.outlines import outlined

SIZE = 400, 300


def cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the segments ab and cd cross, by the signs of the areas of four triangles."""

    def side(p: Point, q: Point, r: Point) -> float:
        return (q.x - p.x) * (r.y - p.y) - (q.y - p.y) * (r.x - p.x)

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


points = st.lists(st.tuples(st.floats(2, 60), st.floats(-12, 12)), min_size=1, max_size=6)
lines = st.builds(
    lambda start, steps, above, below: (start, steps, above, below),
    st.tuples(st.floats(0, 120), st.floats(1, 299)),
    points,
    st.floats(1, 80),
    st.floats(0, 40),
)


def built(start, steps, above, below) -> Line:
    x, y = start
    found = [Point(x, y)]
    for dx, dy in steps:
        x, y = min(x + dx, SIZE[0] - 1 + dx / 1000), min(max(y + dy, 1.0), SIZE[1] - 1.0)
        found.append(Point(x, y))
    return Line(tuple(found), above, below)


@settings(max_examples=60, deadline=None)
@given(st.lists(lines, min_size=1, max_size=6))
def test_outlines_do_not_cross_themselves_and_stay_on_the_page(drawn):
    for line in outlined([built(*one) for one in drawn], *SIZE):
        outline = line.outline
        assert len(outline) >= 4
        assert all(0 <= x <= SIZE[0] and 0 <= y <= SIZE[1] for x, y in outline)
        edges = list(zip(outline, (*outline[1:], outline[0]), strict=True))
        assert not any(cross(*one, *other) for one, other in combinations(edges, 2))
        x, y = np.array(outline).T
        assert abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) > 0


def level(y: float, above: float, below: float, left: float = 20, right: float = 300) -> Line:
    return Line((Point(left, y), Point(right, y)), above, below)


def test_the_outline_of_a_line_alone_is_its_rectangle():
    (line,) = outlined([level(100, 30, 10)], *SIZE)
    assert line.box == (20, 70, 300, 110)


def test_two_lines_that_are_too_near_share_their_distance_like_their_heights():
    upper, lower = outlined([level(100, 30, 20), level(130, 40, 10)], *SIZE)
    assert upper.box[3] == 110  # 30 px for 20 below and 40 above: 10 and 20
    assert lower.box[1] == 110


def test_lines_beside_each_other_do_not_cut_each_other():
    left, right = outlined([level(100, 30, 10, 20, 150), level(110, 30, 10, 200, 380)], *SIZE)
    assert left.box == (20, 70, 150, 110)
    assert right.box == (200, 80, 380, 120)


def test_without_lines_there_are_no_outlines():
    assert outlined([], *SIZE) == []

import random

import pytest

from common.text.document import Line, Point
from ocr.segmentation.finding.order import blocks_in_order

Cell = tuple[str, float, float, float]
"""a name, left, right and the height of the baseline on the page"""


def line(left: float, right: float, y: float, height: float = 20.0) -> Line:
    return Line((Point(left, y), Point(right, y)), 0.75 * height, 0.25 * height)


def column(name: str, left: float, right: float, top: float, count: int, pitch: float = 25.0) -> list[Cell]:
    return [(f"{name}{row}", left, right, top + row * pitch) for row in range(count)]


def read(cells: list[Cell], right_to_left: bool = False) -> str:
    """The names in reading order, whatever the order in which the lines were found."""
    results = set()
    for seed in range(4):
        mixed = random.Random(seed).sample(cells, len(cells))
        blocks = blocks_in_order([line(*cell[1:]) for cell in mixed], right_to_left)
        results.add(" ".join(mixed[number][0] for block in blocks for number in block.lines))
    assert len(results) == 1
    return results.pop()


def names(*columns: list[Cell]) -> str:
    return " ".join(cell[0] for cells in columns for cell in cells)


def test_one_column_is_read_from_top_to_bottom():
    text = column("a", 50, 400, 40, 12)
    assert read(text) == names(text)


def test_columns_are_read_one_after_the_other_also_if_their_lines_are_level():
    left, middle, right = (column(name, x, x + 190, 40, 9) for name, x in (("a", 0), ("b", 200), ("c", 400)))
    assert read([*left, *middle, *right]) == names(left, middle, right)


def test_a_heading_over_two_columns_is_read_before_both():
    heading = [("h", 100.0, 350.0, 30.0)]
    left, right = column("a", 0, 210, 70, 8), column("b", 230, 440, 74, 8)
    assert read([*right, *heading, *left]) == names(heading, left, right)


def test_a_heading_in_the_middle_of_two_columns_comes_between_them():
    upper = column("a", 0, 210, 40, 5), column("b", 230, 440, 40, 5)
    heading = [("h", 60.0, 400.0, 200.0)]
    lower = column("c", 0, 210, 240, 5), column("d", 230, 440, 240, 5)
    assert read([*upper[0], *upper[1], *heading, *lower[0], *lower[1]]) == names(*upper, heading, *lower)


def test_the_left_page_of_a_spread_is_read_before_the_right_one():
    left = [("l", 150.0, 200.0, 20.0)], column("a", 20, 380, 60, 10), [("1", 190.0, 200.0, 340.0)]
    right = [("r", 550.0, 620.0, 20.0)], column("b", 420, 780, 55, 10), [("2", 590.0, 600.0, 340.0)]
    cells = [cell for part in (*left, *right) for cell in part]
    assert read(cells) == names(*left, *right)


def test_a_note_in_the_margin_stays_together():
    text = column("a", 120, 500, 40, 10)
    note = column("n", 0, 100, 110, 3, pitch=17)
    order = read([*text, *note])
    assert names(note) in order
    assert order.replace(names(note), "").split() == names(text).split()


def test_a_table_is_read_row_by_row():
    rows = [[(f"{row}{cell}", x, x + 60.0, 40.0 + 30 * row) for cell, x in
             (("a", 0.0), ("b", 150.0), ("c", 280.0), ("d", 400.0))] for row in range(5)]  # fmt: skip
    cells = [cell for row in rows for cell in row]
    assert read(cells) == names(*rows)
    (block,) = blocks_in_order([line(*cell[1:]) for cell in cells])
    assert block.kind == "table"


def test_a_row_of_a_table_that_has_a_cell_less_stays_in_its_place():
    places = (("a", 0.0), ("b", 150.0), ("c", 280.0))
    rows = [
        [(f"{row}{cell}", x, x + 60.0, 40.0 + 30 * row) for cell, x in places if (row, cell) != (2, "b")]
        for row in range(5)
    ]
    assert read([cell for row in rows for cell in row]) == names(*rows)


def test_prices_at_the_right_are_read_with_their_lines():
    titles = column("t", 0, 300, 40, 6)
    prices = [("p1", 400.0, 450.0, 65.0), ("p2", 400.0, 450.0, 90.0), ("p4", 400.0, 450.0, 140.0)]
    assert read([*titles, *prices]) == "t0 t1 p1 t2 p2 t3 t4 p4 t5"


@pytest.mark.parametrize("mirrored", [False, True])
def test_pages_from_right_to_left_are_mirrored(mirrored):
    left, right = column("a", 0, 210, 70, 8), column("b", 230, 440, 70, 8)
    assert read([*left, *right], mirrored) == (names(right, left) if mirrored else names(left, right))


def test_a_page_without_lines_has_no_blocks():
    assert blocks_in_order([]) == []


def test_numbers_in_front_are_read_with_their_lines():
    titles = column("t", 60, 360, 40, 4)
    numbers = [("n0", 0.0, 30.0, 40.0), ("n2", 0.0, 30.0, 90.0)]
    assert read([*titles, *numbers]) == "n0 t0 t1 n2 t2 t3"

"""Reading order: lines become blocks, blocks are put in order, and the rows of tables are read one by one.

After Breuel 2003, "High performance document layout analysis": block a is read before block b

    if they share columns and a is above b, or
    if a is left of b, and no block between them in height shares columns with both, as a heading would.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from common.text.document import Line

LEVEL = 0.35
"""baselines that differ by less than this, in heights, are level"""
PITCH = 2.4
"""largest distance of the baselines in a block, in heights of the lines"""
ALIKE = 1.8
"""largest ratio of the heights of lines in a block"""
TABLE_ROWS, TABLE_COLUMNS = 2, 3
"""a table has at least so many rows one after the other with at least so many cells"""
FILLED = 0.8
"""in columns of text the lines fill more than this share of a row, in tables less"""
NARROW = 6.0
"""a column not wider than this, in heights, whose lines are level with those of the next one belongs to them:
numbers and prices"""
NUMBER = 3.0
"""a column in front of the text, not wider than this in heights, is numbers of the lines"""


class Block(NamedTuple):
    """A part of the page that is read on its own: the numbers of its lines in reading order, and its kind."""

    lines: tuple[int, ...]
    kind: str = ""


class _Boxes(NamedTuple):
    """Boxes of lines or blocks, (N,) each, and the usual height of a line."""

    left: np.ndarray
    right: np.ndarray
    top: np.ndarray
    bottom: np.ndarray


def blocks_in_order(lines: Sequence[Line], right_to_left: bool = False) -> list[Block]:
    """Return the blocks of a page in reading order.

    Args:
        lines: baselines run from left to right.
        right_to_left: read columns and the cells of tables from the right.
    """
    if not lines:
        return []
    ends = np.array([[line.baseline[0], line.baseline[-1]] for line in lines])  # (N, 2, 2)
    if right_to_left:
        ends[:, :, 0] = -ends[:, ::-1, 0]
        ends[:, :, 1] = ends[:, ::-1, 1]
    heights = np.array([line.above + line.below for line in lines])
    base = ends[:, :, 1].mean(1)
    boxes = _Boxes(ends[:, 0, 0], ends[:, 1, 0], base - 0.6 * heights, base + 0.1 * heights)
    rows = _rows(boxes, base, heights)
    tables = _tables(rows, boxes, base, heights)
    taken = {number for table in tables for number in table.lines}
    rest = [number for number in range(len(lines)) if number not in taken]
    blocks = [*tables, *_paragraphs(rest, boxes, base, heights)]
    blocks = _with_companions(blocks, boxes, base, heights)
    return [blocks[number] for number in _in_order(blocks, boxes)]


def _rows(boxes: _Boxes, base: np.ndarray, heights: np.ndarray) -> list[list[int]]:
    """Return the lines that are level with their neighbour at the right, as rows from left to right."""
    following: dict[int, int] = {}
    for one in range(len(base)):
        gap = boxes.left - boxes.right[one]
        level = np.abs(base - base[one]) < LEVEL * np.minimum(heights, heights[one])
        beside = np.flatnonzero((gap > -0.5 * heights[one]) & (boxes.left > boxes.left[one]) & level)
        if len(beside):
            following[one] = int(beside[gap[beside].argmin()])
    rows, seen = [], set[int]()
    for one in sorted(range(len(base)), key=lambda number: boxes.left[number]):
        row = list[int]()
        at: int | None = one
        while at is not None and at not in seen:
            row.append(at)
            seen.add(at)
            at = following.get(at)
        if row:
            rows.append(row)
    return sorted(rows, key=lambda row: float(base[row].mean()))


def _tables(
    rows: Sequence[Sequence[int]], boxes: _Boxes, base: np.ndarray, heights: np.ndarray
) -> list[Block]:
    """Return the tables: rows of several short cells, one below the other."""
    tables, current = [], list[Sequence[int]]()

    def close() -> None:
        if len(current) >= TABLE_ROWS:
            tables.append(Block(tuple(number for row in current for number in row), "table"))
        current.clear()

    for row in rows:
        cells = list(row)
        width = boxes.right[cells].max() - boxes.left[cells].min()
        filled = float((boxes.right[cells] - boxes.left[cells]).sum() / max(width, 1.0))
        if len(cells) < TABLE_COLUMNS or filled > FILLED:
            continue
        if (
            current
            and base[cells].mean() - base[list(current[-1])].mean() > 2 * PITCH * heights[cells].mean()
        ):
            close()
        current.append(row)
    close()
    return [_with_rows_between(table, rows, boxes, base) for table in tables]


def _with_rows_between(table: Block, rows: Sequence[Sequence[int]], boxes: _Boxes, base: np.ndarray) -> Block:
    """Return a table with the rows of fewer cells that stand between its rows."""
    members = list(table.lines)
    top, bottom = base[members].min(), base[members].max()
    left, right = boxes.left[members].min(), boxes.right[members].max()
    held = []
    for row in rows:
        cells = list(row)
        middle, inside = (
            base[cells].mean(),
            boxes.left[cells].min() >= left and boxes.right[cells].max() <= right,
        )
        if set(cells) & set(members) or (top <= middle <= bottom and inside):
            held += cells
    return Block(tuple(held), "table")


def _paragraphs(numbers: Sequence[int], boxes: _Boxes, base: np.ndarray, heights: np.ndarray) -> list[Block]:
    """Return blocks of lines one below the other: each is the only one next to the other."""
    below = {one: _next_below(one, numbers, boxes, base, heights) for one in numbers}
    above: dict[int, list[int]] = {one: [] for one in numbers}
    for one, found in below.items():
        for other in found:
            above[other].append(one)
    linked = {one: found[0] for one, found in below.items() if len(found) == 1 and len(above[found[0]]) == 1}
    followers = set(linked.values())
    blocks = []
    for one in numbers:
        if one in followers:
            continue
        members = [one]
        while members[-1] in linked:
            members.append(linked[members[-1]])
        blocks.append(Block(tuple(members)))
    return blocks


def _next_below(
    one: int, numbers: Sequence[int], boxes: _Boxes, base: np.ndarray, heights: np.ndarray
) -> list[int]:
    """Return the lines directly below a line: in its columns, near, of like height, nothing between them."""
    rest = np.array(numbers)
    common = np.minimum(boxes.right[rest], boxes.right[one]) - np.maximum(boxes.left[rest], boxes.left[one])
    narrower = np.minimum(boxes.right[rest] - boxes.left[rest], boxes.right[one] - boxes.left[one])
    deeper = base[rest] - base[one]
    height = np.maximum(heights[rest], heights[one])
    ratio = height / np.minimum(heights[rest], heights[one])
    near = (deeper > LEVEL * height) & (deeper < PITCH * height) & (common > 0.3 * narrower)
    found = rest[near & (ratio < ALIKE)]
    if not len(found):
        return []
    nearest = float(base[rest[near]].min())
    return [int(other) for other in found if base[other] - nearest < LEVEL * heights[other]]


def _with_companions(
    blocks: Sequence[Block], boxes: _Boxes, base: np.ndarray, heights: np.ndarray
) -> list[Block]:
    """Return the blocks, numbers and prices put into the lines of text that they are level with."""
    held = [list(block.lines) for block in blocks]
    widths = [
        float(np.median((boxes.right[members] - boxes.left[members]) / heights[members])) for members in held
    ]
    for narrow, block in enumerate(blocks):
        members = list(block.lines)
        if block.kind or widths[narrow] > NARROW:
            continue
        for wide, other in enumerate(blocks):
            if other.kind or widths[wide] <= NARROW or len(other.lines) < len(members):
                continue
            behind = (
                boxes.left[members].min() >= boxes.right[list(other.lines)].max() - heights[members].max()
            )
            if not behind and widths[narrow] > NUMBER:
                continue  # what stands in front of a line, or in it, is a note or a part of something else
            away = np.abs(base[members][:, None] - base[list(other.lines)][None])
            if (away.min(1) < LEVEL * heights[members]).mean() > 0.8:
                held[wide] += held[narrow]
                held[narrow] = []
                break
    merged = []
    for numbers, block in zip(held, blocks, strict=True):
        if len(numbers) > len(block.lines):
            merged.append(Block(tuple(_by_rows(numbers, boxes, base, heights)), block.kind))
        elif numbers:
            merged.append(block)
    return merged


def _by_rows(numbers: Sequence[int], boxes: _Boxes, base: np.ndarray, heights: np.ndarray) -> list[int]:
    """Return lines from top to bottom, level ones in the order of reading."""
    rows = list[list[int]]()
    for number in sorted(numbers, key=lambda one: base[one]):
        if rows and base[number] - base[rows[-1][0]] < LEVEL * heights[number]:
            rows[-1].append(number)
        else:
            rows.append([number])
    return [number for row in rows for number in sorted(row, key=lambda one: boxes.left[one])]


def _in_order(blocks: Sequence[Block], boxes: _Boxes) -> list[int]:
    """Return the numbers of the blocks in reading order."""
    groups = [list(block.lines) for block in blocks]
    left = np.array([boxes.left[group].min() for group in groups])
    right = np.array([boxes.right[group].max() for group in groups])
    top = np.array([boxes.top[group].min() for group in groups])
    bottom = np.array([boxes.bottom[group].max() for group in groups])
    common = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    share = common > 0.1 * np.minimum(right - left, (right - left)[:, None])  # (N, N) columns in common
    middle = (top + bottom) / 2
    higher = middle[:, None] < middle
    before = share & higher
    for a, b in zip(*np.nonzero(~share & (left[:, None] < left)), strict=True):
        low, high = sorted((middle[a], middle[b]))
        between = (middle > low) & (middle < high) & share[a] & share[b]
        if not between.any():
            before[a, b] = True
        elif middle[b] < middle[a]:
            before[b, a] = True
    order, waiting = [], set(range(len(blocks)))
    while waiting:  # a circle is broken where the fewest blocks are missed
        rest = np.array(sorted(waiting))
        missed = before[np.ix_(rest, rest)].sum(0)
        ready = rest[missed == missed.min()]
        chosen = int(min(ready, key=lambda one: (top[one], left[one])))
        order.append(chosen)
        waiting.remove(chosen)
    return order

"""Whole pages that were read, beside those of transcribers: lines, order and texts.

lines    matched by their baselines (`matching`): precision, recall, F; missed, invented, merged, split
order    successors kept: of true neighbours that were both found, the share that are neighbours again
texts    the whole page in its order; and free of order: the texts of lines that belong together
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from common.text.document import Document, Line
from common.text.metrics import Edits, edits
from ocr.segmentation.matching import LineScores, coverage, score_lines

BELONGS = 0.5
"""share of a baseline that another one covers at least, if both are about the same writing"""


class Group(NamedTuple):
    """Lines about the same writing: true ones and found ones, by their numbers, from left to right.

    reference, hypothesis: their texts; None if the transcriber left the writing without a text.
    edits: between the texts.
    """

    truth: list[int]
    found: list[int]
    reference: str | None
    hypothesis: str | None
    edits: Edits


class PageScore(NamedTuple):
    """How one page was read."""

    truth: Document
    found: Document
    lines: LineScores
    groups: list[Group]
    successors: tuple[int, int]
    in_order: Edits
    free: Edits

    @property
    def missed(self) -> int:
        """True lines that nothing was found for."""
        return sum(len(group.truth) for group in self.groups if not group.found)

    @property
    def invented(self) -> int:
        """Found lines where there is no true one."""
        return sum(len(group.found) for group in self.groups if not group.truth)

    @property
    def merged(self) -> int:
        """True lines that share a found line with another one."""
        return sum(len(group.truth) for group in self.groups if len(group.truth) > len(group.found) > 0)

    @property
    def split(self) -> int:
        """True lines that were found in several pieces."""
        return sum(len(group.truth) for group in self.groups if 0 < len(group.truth) < len(group.found))


def score(truth: Document, found: Document, normalise: Callable[[str], str]) -> PageScore:
    """Return how a page was read.

    A line without a text in the truth counts as a line; what is read there counts in no text.

    Args:
        truth: the page of a transcriber.
        found: the same page as it was read.
        normalise: brings texts to the form in which they are compared.
    """
    true_lines, found_lines = _lines(truth), _lines(found)
    near = coverage(true_lines, found_lines)
    references = [normalise(one.transcript.text.strip()) for one in truth.passages]
    hypotheses = [normalise(one.transcript.text.strip()) for one in found.passages]
    together = (near.true >= BELONGS) | (near.found >= BELONGS)
    groups = []
    for g, h in _components(together):
        g.sort(key=lambda at: true_lines[at].box[0])
        h.sort(key=lambda at: found_lines[at].box[0])
        unread = bool(g) and not any(references[at] for at in g)
        reference = None if unread else " ".join(references[at] for at in g if references[at])
        hypothesis = None if unread else " ".join(hypotheses[at] for at in h if hypotheses[at])
        counted = Edits() if unread else edits(reference or "", hypothesis or "")
        groups.append(Group(g, h, reference, hypothesis, counted))
    left_out = {at for group in groups if group.reference is None for at in group.found}
    page = "\n".join(text for text in references if text)
    read = "\n".join(text for at, text in enumerate(hypotheses) if text and at not in left_out)
    return PageScore(
        truth, found, score_lines(true_lines, found_lines), groups,
        _successors(len(true_lines), len(found_lines), groups), edits(page, read),
        sum((group.edits for group in groups), Edits()),
    )  # fmt: skip


def summed(scores: Sequence[PageScore]) -> dict[str, Any]:
    """Return the figures of some pages, whose lines and texts are taken together."""
    lines = LineScores()
    for one in scores:
        lines = lines.plus(one.lines)
    kept, of = (sum(one.successors[at] for one in scores) for at in (0, 1))
    in_order, free = (sum((getattr(one, key) for one in scores), Edits()) for key in ("in_order", "free"))
    return {
        "pages": len(scores),
        "lines": sum(len(one.truth.passages) for one in scores),
        **{key: getattr(lines, key) for key in ("precision", "recall", "f")},
        **{
            key: sum(getattr(one, key) for one in scores) for key in ("missed", "invented", "merged", "split")
        },
        "successors_kept": kept / of if of else 1.0,
        "cer_in_order": in_order.rate,
        "cer_free_of_order": free.rate,
        "characters": in_order.reference,
    }


def _lines(document: Document) -> list[Line]:
    lines = [one.place for one in document.passages if isinstance(one.place, Line)]
    assert len(lines) == len(document.passages), "pages have places of two dimensions"
    return lines


def _components(together: np.ndarray) -> list[tuple[list[int], list[int]]]:
    """Return the groups of rows and columns of a table (G, H) that its true cells connect."""
    rows, columns = together.shape
    left_rows, left_columns, groups = set(range(rows)), set(range(columns)), []
    while left_rows or left_columns:
        g: list[int] = []
        h: list[int] = []
        waiting = [(True, left_rows.pop())] if left_rows else [(False, left_columns.pop())]
        while waiting:
            is_row, at = waiting.pop()
            (g if is_row else h).append(at)
            near = np.flatnonzero(together[at] if is_row else together[:, at]).tolist()
            left = left_columns if is_row else left_rows
            waiting += [(not is_row, other) for other in near if other in left]
            left -= set(near)
        groups.append((g, h))
    return groups


def _successors(truths: int, founds: int, groups: Sequence[Group]) -> tuple[int, int]:
    """Return how many true neighbours are found as neighbours, and how many of them are found at all."""
    group_of_truth, group_of_found = dict[int, int](), dict[int, int]()
    for number, group in enumerate(groups):
        if group.truth and group.found:
            group_of_truth |= dict.fromkeys(group.truth, number)
            group_of_found |= dict.fromkeys(group.found, number)
    wanted = [group_of_truth[at] for at in range(truths) if at in group_of_truth]
    order = [group_of_found[at] for at in range(founds) if at in group_of_found]
    neighbours = set(pairwise(order))
    pairs = [(a, b) for a, b in pairwise(wanted) if a != b]
    return sum(pair in neighbours for pair in pairs), len(pairs)

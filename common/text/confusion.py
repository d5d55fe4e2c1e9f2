"""Accuracy of labels: how often each label was given as which, with a table and an interval."""

import math
from collections import Counter
from statistics import NormalDist
from typing import Any

from common.text.metrics import finite


class Confusion:
    """How often each label of the reference was given as each label of the model.

    Args:
        independent: whether the labels are independent of each other. Steps of a signal are not, and so
            their accuracy has no interval.

    Attributes:
        counts: by (reference, label given); "" stands for no label.
    """

    def __init__(self, independent: bool = True) -> None:
        self.independent = independent
        self.counts: Counter[tuple[str, str]] = Counter()

    def add(self, reference: str, given: str, count: int = 1) -> None:
        """Count a label that occurred `count` times."""
        self.counts[reference, given] += count

    @property
    def total(self) -> int:
        """The number of labels."""
        return self.counts.total()

    @property
    def accuracy(self) -> float:
        """The share of labels that are right; NaN without any labels."""
        right = sum(count for (reference, given), count in self.counts.items() if reference == given)
        return right / self.total if self.total else math.nan

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the bounds of the accuracy's confidence interval by Wilson's score (1927).

        They are NaN without any labels, and where labels are not independent.
        """
        if not self.total or not self.independent:
            return math.nan, math.nan
        z = NormalDist().inv_cdf((1 + level) / 2)
        n, p = self.total, self.accuracy
        middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, (middle - half) / (1 + z * z / n)), min(1.0, (middle + half) / (1 + z * z / n))

    def table(self, none: str = "(none)", most: int = 20) -> str:
        """Return a table with a row for each label of the reference and a column for each label given.

        Rows and columns are sorted by label. All but the `most` frequent labels share one row and one
        column; one of them counts as right there only where exactly that label was given.

        Args:
            none: what the row and column of no label are called.
            most: how many labels have a row of their own.
        """
        sizes: Counter[str] = Counter()
        for (reference, given), count in self.counts.items():
            sizes[reference] += count
            sizes[given] += 0
        shown = sorted([name for name, _ in sizes.most_common(most)])
        others = ["(other)"] if len(sizes) > most else []
        cells: Counter[tuple[str, str]] = Counter()
        right: Counter[str] = Counter()
        for (reference, given), count in self.counts.items():
            row, column = (name if name in shown else "(other)" for name in (reference, given))
            cells[row, column] += count
            right[row] += count if reference == given else 0
        names = shown + others
        heads = [name or none for name in names]
        first = max(len(name) for name in [*heads, "reference"])
        widths = [max(len(head), len(str(max(cells.values(), default=0)))) for head in heads]
        lines = ["  ".join(["reference".ljust(first), *map(str.rjust, heads, widths), "recall"])]
        for name, head in zip(names, heads, strict=True):
            numbers = [cells[name, other] for other in names]
            recall = f"{100 * right[name] / sum(numbers):5.1f} %" if sum(numbers) else "      -"
            written = [str(count).rjust(width) for count, width in zip(numbers, widths, strict=True)]
            lines.append("  ".join([head.ljust(first), *written, recall]))
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
        return {
            "accuracy": finite(self.accuracy),
            "accuracy_interval": [finite(bound) for bound in self.interval()],
            "interval_level": 0.95,
            "labels": self.total,
            "confusions": [
                {"reference": reference, "given": given, "count": count}
                for (reference, given), count in sorted(self.counts.items())
            ],
        }

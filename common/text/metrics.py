"""Error rates: edits between reference and hypothesis, over characters and words, with their uncertainty."""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal, NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein

CHUNK = 4_000_000
"""draws of the bootstrap held at a time: 32 MB"""


@dataclass(frozen=True, slots=True)
class Edits:
    """The fewest edits that turn a reference into a hypothesis, or their sum over many."""

    reference: int = 0
    """the length of the reference"""
    insertions: int = 0
    deletions: int = 0
    substitutions: int = 0

    def __add__(self, other: "Edits") -> "Edits":
        return Edits(
            self.reference + other.reference,
            self.insertions + other.insertions,
            self.deletions + other.deletions,
            self.substitutions + other.substitutions,
        )

    @property
    def errors(self) -> int:
        """The number of edits."""
        return self.insertions + self.deletions + self.substitutions

    @property
    def rate(self) -> float:
        """Edits over the length of the reference; over none, 0 where there are no edits and else infinity."""
        if self.reference:
            return self.errors / self.reference
        return math.inf if self.errors else 0.0


class Edit(NamedTuple):
    """An element of the reference and the one that stands for it; None where there is none."""

    reference: Any
    hypothesis: Any


class Scored(NamedTuple):
    """One pair of texts, in the form in which they were compared."""

    source: str
    reference: str
    hypothesis: str
    characters: Edits
    words: Edits


def edits(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> Edits:
    """Return the fewest edits from `reference` to `hypothesis`: characters of strings, or words of lists.

    Their number is unique. How it divides into insertions, deletions and substitutions may not be, so
    that other tools can differ in that.
    """
    return _count(len(reference), _differences(reference, hypothesis))


def _differences(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> list[Edit]:
    if not isinstance(reference, str) or not isinstance(hypothesis, str):
        # rapidfuzz compares by hash, and hash(-1) == hash(-2): number the elements instead
        numbers: dict[Hashable, int] = {}
        operations = Levenshtein.editops(
            [numbers.setdefault(element, len(numbers)) for element in reference],
            [numbers.setdefault(element, len(numbers)) for element in hypothesis],
        )
    else:
        operations = Levenshtein.editops(reference, hypothesis)
    return [
        Edit(
            None if operation.tag == "insert" else reference[operation.src_pos],
            None if operation.tag == "delete" else hypothesis[operation.dest_pos],
        )
        for operation in operations
    ]


def _count(length: int, differences: list[Edit]) -> Edits:
    insertions = sum(edit.reference is None for edit in differences)
    deletions = sum(edit.hypothesis is None for edit in differences)
    return Edits(length, insertions, deletions, len(differences) - insertions - deletions)


def _as_it_is(text: str) -> str:
    return text


class ErrorRate:
    """Character and word error rate over many pairs of texts.

    Both are micro-averaged: all edits over the length of all references, in code points (spaces are
    characters too) and in words (what white space separates). They may exceed 1.

    Args:
        normalise: applied to both sides before they are compared, e.g. `Alphabet.normalise`.
    """

    def __init__(self, normalise: Callable[[str], str] = _as_it_is) -> None:
        self.normalise = normalise
        self.items: list[Scored] = []
        self.characters = Edits()
        self.words = Edits()
        self.confusions: Counter[tuple[str, str]] = Counter()
        """how often a character of the reference ("": none) stands as one of the hypothesis ("": none)"""

    def add(self, reference: str, hypothesis: str, source: str = "") -> None:
        """Compare one pair of texts and count what differs."""
        reference, hypothesis = self.normalise(reference), self.normalise(hypothesis)
        differences = _differences(reference, hypothesis)
        characters = _count(len(reference), differences)
        words = edits(reference.split(), hypothesis.split())
        self.items.append(Scored(source, reference, hypothesis, characters, words))
        self.characters += characters
        self.words += words
        self.confusions.update((edit.reference or "", edit.hypothesis or "") for edit in differences)

    @property
    def cer(self) -> float:
        """The character error rate, 1.0 being one edit for each character of the references."""
        return self.characters.rate

    @property
    def wer(self) -> float:
        """The word error rate, 1.0 being one edit for each word of the references."""
        return self.words.rate

    @property
    def count(self) -> int:
        """The number of pairs."""
        return len(self.items)

    @property
    def sentences_wrong(self) -> int:
        """The number of pairs that differ at all."""
        return sum(item.characters.errors > 0 for item in self.items)

    def interval(
        self, rate: Literal["cer", "wer"] = "cer", level: float = 0.95, samples: int = 1000, seed: int = 0
    ) -> tuple[float, float]:
        """Return the bounds between which the rate lies with probability `level`; NaN without any pairs.

        A percentile bootstrap: the pairs are drawn anew with replacement, `samples` times over, whole
        pairs because the errors within one hang together (Bisani and Ney, ICASSP 2004).
        """
        if not self.items:
            return math.nan, math.nan
        scored = [item.characters if rate == "cer" else item.words for item in self.items]
        counts = np.array([(edits.errors, edits.reference) for edits in scored], dtype=np.float64)  # (N, 2)
        rng = np.random.default_rng(seed)
        size = len(scored)
        sums = np.empty((samples, 2))
        step = max(1, CHUNK // size)
        for first in range(0, samples, step):
            drawn = rng.integers(size, size=(min(step, samples - first), size))  # (samples, N)
            for column in range(2):
                sums[first : first + len(drawn), column] = counts[:, column].take(drawn).sum(axis=1)
        errors, lengths = sums.T
        nothing = np.where(errors > 0, math.inf, 0.0)
        rates = np.divide(errors, lengths, out=nothing, where=lengths > 0)
        outside = (1 - level) / 2
        # no interpolation: between two infinities there is no number
        low, high = np.quantile(rates, (outside, 1 - outside), method="inverted_cdf")
        return float(low), float(high)

    def kaldi(self, name: Literal["WER", "CER"] = "WER") -> str:
        """Return Kaldi's line: `%WER 6.08 [ 3310 / 54402, 407 ins, 268 del, 2635 sub ]`."""
        edits = self.words if name == "WER" else self.characters
        return (
            f"%{name} {100 * edits.rate:.2f} [ {edits.errors} / {edits.reference}, {edits.insertions} ins, "
            f"{edits.deletions} del, {edits.substitutions} sub ]"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all of it but the texts, for JSON; None stands for a rate that is no finite number."""
        return {
            "cer": _finite(self.cer),
            "cer_interval": [_finite(bound) for bound in self.interval("cer")],
            "wer": _finite(self.wer),
            "wer_interval": [_finite(bound) for bound in self.interval("wer")],
            "interval_level": 0.95,
            "characters": _edits_to_dict(self.characters),
            "words": _edits_to_dict(self.words),
            "items": self.count,
            "sentences_wrong": self.sentences_wrong,
            "sentence_error_rate": self.sentences_wrong / self.count if self.count else None,
            "confusions": [
                {"reference": reference, "hypothesis": hypothesis, "count": count}
                for (reference, hypothesis), count in self.confusions.most_common(50)
            ],
        }


class Confusion:
    """How often each label was taken for which.

    Args:
        independent: whether labels are; steps of a signal are not, and have no interval.

    Attributes:
        counts: by (reference, label given); "" stands for none.
    """

    def __init__(self, independent: bool = True) -> None:
        self.independent = independent
        self.counts: Counter[tuple[str, str]] = Counter()

    def add(self, reference: str, given: str, count: int = 1) -> None:
        """Count a label."""
        self.counts[reference, given] += count

    @property
    def total(self) -> int:
        """The number of labels."""
        return self.counts.total()

    @property
    def accuracy(self) -> float:
        """The share of labels that are right; NaN of none."""
        right = sum(count for (reference, given), count in self.counts.items() if reference == given)
        return right / self.total if self.total else math.nan

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the bounds of the accuracy by Wilson's score (1927); NaN if labels are not independent."""
        if not self.total or not self.independent:
            return math.nan, math.nan
        z = NormalDist().inv_cdf((1 + level) / 2)
        n, p = self.total, self.accuracy
        middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, (middle - half) / (1 + z * z / n)), min(1.0, (middle + half) / (1 + z * z / n))

    def table(self, none: str = "(none)", most: int = 20) -> str:
        """Return a table, in the order of the labels: a row for each reference, a column for each given.

        Labels beyond the `most` commonest are taken together; right among them are those given as they are.
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
            "accuracy": _finite(self.accuracy),
            "accuracy_interval": [_finite(bound) for bound in self.interval()],
            "interval_level": 0.95,
            "labels": self.total,
            "confusions": [
                {"reference": reference, "given": given, "count": count}
                for (reference, given), count in sorted(self.counts.items())
            ],
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _edits_to_dict(edits: Edits) -> dict[str, int]:
    return {
        "reference": edits.reference,
        "errors": edits.errors,
        "insertions": edits.insertions,
        "deletions": edits.deletions,
        "substitutions": edits.substitutions,
    }

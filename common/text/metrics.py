"""Error rates: edits between reference and hypothesis, over characters and words, with their uncertainty.

cer("a cat", "a bat")                           one text against another
wer(["a cat", "on it"], ["a cat", "in it"])     several, in one rate
ErrorRate                                       the same with counts, confusions and intervals
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein

CHUNK = 4_000_000
"""draws of the bootstrap that are held in memory at a time: 32 MB"""


@dataclass(frozen=True, slots=True)
class Edits:
    """The fewest edits that turn a reference into a hypothesis, or the sum of such edits over many pairs."""

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
        """Edits / length of the reference; for an empty reference, 0 without edits and infinity with some."""
        if self.reference:
            return self.errors / self.reference
        return math.inf if self.errors else 0.0


class Edit(NamedTuple):
    """One edit: an element of the reference and the element written instead of it.

    An insertion has no reference (None), a deletion no hypothesis (None).
    """

    reference: Any
    hypothesis: Any


class Scored(NamedTuple):
    """One pair of texts in the form in which they were compared, and their edits."""

    source: str
    reference: str
    hypothesis: str
    characters: Edits
    words: Edits


def edits(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> Edits:
    """Return the fewest edits from `reference` to `hypothesis`: of characters in strings, of words in lists.

    Their number is unique, but not always how many of them are insertions, deletions and substitutions:
    other tools may count those differently.
    """
    return _count(len(reference), _differences(reference, hypothesis))


def _differences(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> list[Edit]:
    if not isinstance(reference, str) or not isinstance(hypothesis, str):
        # rapidfuzz compares elements by hash, and hash(-1) == hash(-2): compare unique numbers instead
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


def cer(reference: str | Sequence[str], hypothesis: str | Sequence[str]) -> float:
    """Return the character error rate of one text, or of a list of texts: edits / length of the references.

    Lengths are in code points, and spaces count. Of lists, the edits and lengths of all pairs are summed
    first. The rate is 1.0 for one edit for each character, and may be higher; see `Edits.rate` for empty
    references.

    Raises:
        ValueError: the two sides are not as many texts.
    """
    return _rate(reference, hypothesis, _as_it_is)


def wer(reference: str | Sequence[str], hypothesis: str | Sequence[str]) -> float:
    """Return the word error rate, as `cer` but over words, which white space separates."""
    return _rate(reference, hypothesis, str.split)


def _rate(
    reference: str | Sequence[str],
    hypothesis: str | Sequence[str],
    cut: Callable[[str], Sequence[str]],
) -> float:
    if isinstance(reference, str) != isinstance(hypothesis, str):
        raise ValueError("one of reference and hypothesis is a string and the other is not; give two alike")
    if isinstance(reference, str) and isinstance(hypothesis, str):
        return edits(cut(reference), cut(hypothesis)).rate
    if len(reference) != len(hypothesis):
        raise ValueError(
            f"{len(reference)} references and {len(hypothesis)} hypotheses; give one hypothesis for each"
        )
    pairs = zip(reference, hypothesis, strict=True)
    return sum((edits(cut(wanted), cut(found)) for wanted, found in pairs), Edits()).rate


class ErrorRate:
    """Character and word error rate over many pairs of texts, added one by one.

    Both are micro-averaged: the edits of all pairs / the length of all references, in code points (spaces
    count) and in words (separated by white space). They may exceed 1.

    Args:
        normalise: applied to both sides before they are compared, such as `Alphabet.normalise`.

    Attributes:
        items: each pair with its edits.
        characters, words: the sum of the edits of all pairs.
        confusions: how often a character of the reference was read as one of the hypothesis, by
            (reference, hypothesis); "" on the left is an insertion, "" on the right a deletion.
    """

    def __init__(self, normalise: Callable[[str], str] = _as_it_is) -> None:
        self.normalise = normalise
        self.items: list[Scored] = []
        self.characters = Edits()
        self.words = Edits()
        self.confusions: Counter[tuple[str, str]] = Counter()

    def add(self, reference: str, hypothesis: str, source: str = "") -> None:
        """Compare one pair of texts and count its edits."""
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
        """The character error rate; 1.0 is one edit for each character of the references."""
        return self.characters.rate

    @property
    def wer(self) -> float:
        """The word error rate; 1.0 is one edit for each word of the references."""
        return self.words.rate

    @property
    def count(self) -> int:
        """The number of pairs."""
        return len(self.items)

    @property
    def sentences_wrong(self) -> int:
        """The number of pairs with at least one edit."""
        return sum(item.characters.errors > 0 for item in self.items)

    def interval(
        self, rate: Literal["cer", "wer"] = "cer", level: float = 0.95, samples: int = 1000, seed: int = 0
    ) -> tuple[float, float]:
        """Return the lower and upper bound of the rate's confidence interval; NaN without any pairs.

        This is a percentile bootstrap: `samples` times, as many pairs are drawn with replacement as there
        are. Whole pairs are drawn because errors within one pair depend on each other (Bisani and Ney,
        ICASSP 2004).

        Args:
            rate: which of the two rates.
            level: the probability that the interval holds the rate, from 0 to 1.
            samples: how many times pairs are drawn.
            seed: of the draws.
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
        # inverted_cdf does not interpolate: between two infinities there is no number
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
        """Return everything except the texts, for JSON; a rate that is not finite is None."""
        return {
            "cer": finite(self.cer),
            "cer_interval": [finite(bound) for bound in self.interval("cer")],
            "wer": finite(self.wer),
            "wer_interval": [finite(bound) for bound in self.interval("wer")],
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


def finite(value: float) -> float | None:
    """Return `value`, or None where it is infinite or NaN, which JSON cannot hold."""
    return value if math.isfinite(value) else None


def _edits_to_dict(edits: Edits) -> dict[str, int]:
    return {
        "reference": edits.reference,
        "errors": edits.errors,
        "insertions": edits.insertions,
        "deletions": edits.deletions,
        "substitutions": edits.substitutions,
    }

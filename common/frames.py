"""A label for each step: from words or characters whose places are known, and back to places."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from common.alphabet import Names
from common.manifest import Example, Part

FrameLabels = Literal["words", "characters", "activity"]
ACTIVE = "active"
"""the one label of the level "activity": there is speech, or writing"""


@dataclass(frozen=True)
class FrameTargets:
    """The labels (S,) of an example's steps: of the word or character in which the middle of the step lies.

    Steps outside of all have label 0.

    Args:
        names: of the labels.
        level: "words", "characters", or "activity", where all words (or characters) have one label.
        stride, offset: step s is the signal steps from s x stride + offset on.
    """

    names: Names
    level: FrameLabels
    stride: int
    offset: float

    def __call__(self, example: Example, unit_per_step: float, steps: int) -> list[int]:
        """Return a label for each of `steps` steps of `example`, of which a signal step is that many units.

        Raises:
            ValueError: the example does not say where its words or characters are, or one has no label.
        """
        middles = ((np.arange(steps) + 0.5) * self.stride + self.offset) * unit_per_step  # (S,)
        labels = np.zeros(steps, dtype=np.int64)
        for part in parts_of(example, self.level):
            first, last = np.searchsorted(middles, (part.start, part.end))
            (label,) = self.names.encode(part.text)
            labels[first:last] = label
        return labels.tolist()


def parts_of(example: Example, level: FrameLabels) -> list[Part]:
    """Return the words or characters of an example, or, for "activity", either of them under one name.

    Raises:
        ValueError: it does not say where they are.
    """
    parts = example.characters if level == "characters" else example.words
    if level == "activity":
        parts = tuple(Part(ACTIVE, part.start, part.end) for part in parts or example.characters)
    if not parts and (example.text or "").strip():
        wanted = "characters" if level == "characters" else "words"
        raise ValueError(
            f"{example.source}: does not say where its {wanted} are; give a manifest with"
            f' "{wanted}": [[text, start, end], ...], such as `align` writes'
        )
    return [part for part in parts if part.text.strip()]


def frame_names(examples: Sequence[Example], level: FrameLabels, unicode_form: str) -> Names:
    """Return the names of all labels of `examples`, of which each says where its parts are."""
    texts = (part.text for example in examples for part in parts_of(example, level))
    found = Names.from_texts(texts, unicode_form)
    return Names(found.symbols, "" if level == "characters" else " ", unicode_form)

"""A label for each step: from words or characters whose places are known, and back to places."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from common.data.manifest import Example, Part
from common.text.symbols import Names, Symbols

FrameLabels = Literal["words", "characters", "activity"]
ACTIVE = "active"
"""the one label of the level "activity": there is speech, or writing"""
UNKNOWN_LABEL = -1
"""the target of a step whose name the model does not have: whatever it says there is wrong"""


@dataclass(frozen=True)
class FrameTargets:
    """The labels (S,) of an example's steps: of the word or character in which the middle of the step lies.

    Steps outside of all have label 0.

    Args:
        names: of the labels.
        level: "words", "characters", or "activity", where all words (or characters) have one label.
        stride, offset: step s is the signal steps from s x stride + offset on.
        strict: whether a name that is not among `names` is an error; else its steps are
            labelled UNKNOWN_LABEL.
    """

    names: Symbols
    level: FrameLabels
    stride: int
    offset: float
    strict: bool = True

    def __call__(self, example: Example, unit_per_step: float, steps: int) -> list[int]:
        """Return a label for each of `steps` steps of `example`, of which a signal step is that many units.

        Raises:
            ValueError: the example does not say where its words or characters are, or one has no label.
        """
        labels = {"": 0, **self.names.labels}
        wanted = self.names_of(example, unit_per_step, steps)
        if self.strict and (unknown := [name for name in wanted if name not in labels]):
            raise ValueError(
                f"{example.source}: {unknown[0]!r} is not among the {len(self.names.symbols)} names of the"
                " model; correct it or train with it"
            )
        return [labels.get(name, UNKNOWN_LABEL) for name in wanted]

    def names_of(self, example: Example, unit_per_step: float, steps: int) -> list[str]:
        """Return the name of each step, "" where there is none, be it known to the model or not.

        Raises:
            ValueError: the example does not say where its words or characters are.
        """
        middles = ((np.arange(steps) + 0.5) * self.stride + self.offset) * unit_per_step  # (S,)
        names = [""] * steps
        for part in parts_of(example, self.level):
            first, last = np.searchsorted(middles, (part.start, part.end)).tolist()
            names[first:last] = [self.names.normalise(part.text)] * (last - first)
        return names


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

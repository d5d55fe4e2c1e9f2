"""Targets of framewise training: a label for each step, from words or characters with known places."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from common.data.manifest import Example, Part
from common.text.symbols import Names, Symbols

FrameLabels = Literal["words", "characters", "activity"]
ACTIVE = "active"
"""the only label of the level "activity": there is speech, or writing"""
UNKNOWN_LABEL = -1
"""the target of a step whose name is not among the model's; no output of the model equals it"""


@dataclass(frozen=True)
class FrameTargets:
    """Computes the labels (S,) of an example's steps.

    A step has the label of the word or character in which the middle of the step lies, and label 0 if there
    is none.

    Args:
        names: the names of the labels.
        level: "words", "characters", or "activity", for which all words (or characters) have one label.
        stride, offset: step s begins at the signal step s x stride + offset.
        strict: whether a name that is not among `names` is an error; otherwise its steps have
            UNKNOWN_LABEL.
    """

    names: Symbols
    level: FrameLabels
    stride: int
    offset: float
    strict: bool = True

    def __call__(self, example: Example, unit_per_step: float, steps: int) -> list[int]:
        """Return a label for each of the `steps` steps of `example`.

        Args:
            example: with the places of its words or characters.
            unit_per_step: units (seconds or pixels) of one step of the signal.
            steps: S, the number of steps.

        Raises:
            ValueError: the example has no places of words or characters, or a name has no label.
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
        """Return the name of each step, also if it is not among `names`; "" for a step without a name.

        Arguments are those of `__call__`.

        Raises:
            ValueError: the example has no places of words or characters.
        """
        middles = ((np.arange(steps) + 0.5) * self.stride + self.offset) * unit_per_step  # (S,)
        names = [""] * steps
        for part in parts_of(example, self.level):
            first, last = np.searchsorted(middles, (part.start, part.end)).tolist()
            names[first:last] = [self.names.normalise(part.text)] * (last - first)
        return names


def parts_of(example: Example, level: FrameLabels) -> list[Part]:
    """Return the words or characters of an example with their places.

    For "activity", these are its words, or its characters if it has no words, all with the name ACTIVE.

    Raises:
        ValueError: the example has a text, but no places.
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
    """Return the names of all labels in `examples`, each of which has places of its words or characters."""
    texts = (part.text for example in examples for part in parts_of(example, level))
    found = Names.from_texts(texts, unicode_form)
    return Names(found.symbols, "" if level == "characters" else " ", unicode_form)

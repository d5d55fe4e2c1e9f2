"""What a model of labels gives, beside what is wanted: of whole signals, or of their steps."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from common.data.frame_targets import FrameTargets
from common.data.manifest import Example
from common.recognition.transcriber import Transcriber


class Labelled(NamedTuple):
    """The labels of one example, "" for none: one, or one to a step."""

    place: int
    """among the examples"""
    wanted: list[str]
    found: list[str]


def labelled(
    recognizer: Transcriber,
    examples: Sequence[Example],
    batch_budget: float | None,
    refuse: Callable[[str], None],
) -> Iterator[Labelled]:
    """Yield the labels of `examples`, in no order.

    Args:
        recognizer: of --task frames or classify.
        examples: with a text or with places, as the task wants.
        batch_budget: padded length of one batch; None for the modality's default.
        refuse: is given a sentence for each example that is left out.
    """
    alphabet, whole = recognizer.alphabet, recognizer.task == "classify"
    targets = FrameTargets(alphabet, recognizer.frame_labels, recognizer.stride, recognizer.offset)
    names = alphabet.symbols if whole else ("", *alphabet.symbols)
    sources = [example.source for example in examples]
    for index, labels, unit_per_step in recognizer.step_labels_of(sources, batch_budget, refuse=refuse):
        found = [names[label] for label in labels.tolist()]
        if whole:
            yield Labelled(index, [alphabet.normalise(examples[index].text or "")], found)
            continue
        try:
            yield Labelled(index, targets.names_of(examples[index], unit_per_step, len(found)), found)
        except ValueError as error:
            refuse(str(error))

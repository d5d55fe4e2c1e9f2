"""Labels of a model and of the reference, for whole signals or for their steps."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from common.data.frame_targets import FrameTargets
from common.data.manifest import Example
from common.recognition.transcriber import Transcriber


class Labelled(NamedTuple):
    """The labels of one example: one for the whole, or one for each step; "" is no label."""

    place: int
    """index of the example"""
    wanted: list[str]
    found: list[str]


def labelled(
    recognizer: Transcriber,
    examples: Sequence[Example],
    batch_budget: float | None,
    refuse: Callable[[str], None],
) -> Iterator[Labelled]:
    """Yield the labels of examples, in any order.

    Args:
        recognizer: a model of --task frames or classify.
        examples: for classify they have a text, for frames the places of their words.
        batch_budget: padded length of one batch; None for the modality's default.
        refuse: is called with a sentence for each example that is left out.
    """
    alphabet, whole = recognizer.alphabet, recognizer.task == "classify"
    targets = FrameTargets(alphabet, recognizer.frame_labels, recognizer.stride, recognizer.offset)
    names = alphabet.symbols if whole else ("", *alphabet.symbols)
    sources = [example.source for example in examples]
    batches = recognizer.batches(sources, recognizer.log_probs, batch_budget, refuse=refuse)
    pairs = chain.from_iterable(zip(items, output.each(), strict=True) for items, output in batches)
    for item, log_probs in pairs:
        found, example = [names[label] for label in log_probs.argmax(1).tolist()], examples[item.place]
        if whole:
            yield Labelled(item.place, [alphabet.normalise(example.text or "")], found)
            continue
        try:
            unit_per_step = item.present.signal.unit_per_step
            yield Labelled(item.place, targets.names_of(example, unit_per_step, len(found)), found)
        except ValueError as error:
            refuse(str(error))

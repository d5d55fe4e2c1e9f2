"""How well a recognizer does on examples, in the rates that its task is judged by."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch

from common.data.batching import Batch, BatchLoader
from common.recognition.recognizer import Recognizer
from common.text.metrics import ErrorRate

if TYPE_CHECKING:
    from lightning.fabric import Fabric  # takes seconds to import


def measure(
    recognizer: Recognizer,
    loader: BatchLoader,
    fabric: "Fabric | None" = None,
    refused: list[str] | None = None,
) -> dict[str, tuple[float, float]]:
    """Return rates of errors, each as errors and of how many, over this rank's share of `loader`.

    "cer" and "wer" of texts; "error_rate" of one label to a sequence; "frame_error_rate" of one to a step.

    Args:
        recognizer: the model.
        loader: of the examples, all of which have a text, or, for steps, targets.
        fabric: under which to compute, if any.
        refused: is given a sentence for each example that cannot be read.
    """
    if recognizer.task == "frames":
        return {"frame_error_rate": _wrong_steps(recognizer, loader, fabric, refused)}
    rate = evaluate(recognizer, loader, fabric, refused)
    if recognizer.task == "classify":
        return {"error_rate": (rate.sentences_wrong, rate.count)}
    return {
        "cer": (rate.characters.errors, rate.characters.reference),
        "wer": (rate.words.errors, rate.words.reference),
    }


def evaluate(
    recognizer: Recognizer,
    loader: BatchLoader,
    fabric: "Fabric | None" = None,
    refused: list[str] | None = None,
) -> ErrorRate:
    """Return the error rate of `recognizer` with its decoder over this rank's share of `loader`.

    Args:
        recognizer: the model.
        loader: of the examples, all of which have a text.
        fabric: under which to compute, if any.
        refused: is given a sentence for each example that cannot be read.
    """
    examples = loader.examples.examples
    rate = ErrorRate(recognizer.alphabet.normalise)
    for batch in _readable(recognizer, loader, refused):
        with torch.inference_mode(), fabric.autocast() if fabric is not None else nullcontext():
            outputs = recognizer.outputs(batch.signals, batch.lengths)
        for index, text in zip(batch.indices, recognizer.texts(outputs), strict=True):
            rate.add(examples[index].text or "", text, examples[index].source)
    return rate


def _wrong_steps(
    recognizer: Recognizer, loader: BatchLoader, fabric: "Fabric | None", refused: list[str] | None
) -> tuple[float, float]:
    """Return how many steps have another label than their target, and how many there are."""
    wrong = steps = 0
    for batch in _readable(recognizer, loader, refused):
        with torch.inference_mode(), fabric.autocast() if fabric is not None else nullcontext():
            log_probs, lengths = recognizer.outputs(batch.signals, batch.lengths)
        real = np.arange(log_probs.shape[1]) < lengths[:, None]  # (B, S)
        wrong += int(((log_probs.argmax(2) != batch.targets.numpy()) & real).sum())
        steps += int(lengths.sum())
    return wrong, steps


def _readable(recognizer: Recognizer, loader: BatchLoader, refused: list[str] | None) -> Iterator[Batch]:
    """Yield the batches that have examples, and give a sentence for each that cannot be read."""
    recognizer.eval()
    for batch in loader.batches():
        if refused is not None:
            refused += batch.refused
        if batch.indices:
            yield batch

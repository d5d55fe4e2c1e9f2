"""Error rates of a recognizer on transcribed examples."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch

from common.batching import BatchLoader
from common.metrics import ErrorRate
from common.recognizer import Recognizer

if TYPE_CHECKING:
    from lightning.fabric import Fabric  # takes seconds to import


def log_probabilities(
    recognizer: Recognizer,
    loader: BatchLoader,
    fabric: "Fabric | None" = None,
    refused: list[str] | None = None,
) -> Iterator[tuple[list[int], np.ndarray, np.ndarray]]:
    """Yield indices (B,), log-probabilities (B, S, C) and steps (B,) of this rank's readable examples.

    Args:
        recognizer: the model.
        loader: of the examples.
        fabric: under which to compute, if any.
        refused: is given a sentence for each example that cannot be read.
    """
    recognizer.eval()
    for batch in loader.batches():
        if refused is not None:
            refused += batch.refused
        if not batch.indices:
            continue
        with torch.inference_mode():
            device = recognizer.head.linear.weight.device
            with fabric.autocast() if fabric is not None else nullcontext():
                log_probs, steps, _ = recognizer(batch.signals.to(device), batch.lengths.to(device))
        yield batch.indices, log_probs.cpu().numpy(), steps.cpu().numpy()


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
    for indices, log_probs, steps in log_probabilities(recognizer, loader, fabric, refused):
        for index, text in zip(indices, recognizer.decoder.texts(log_probs, steps), strict=True):
            rate.add(examples[index].text or "", text, examples[index].source)
    return rate

"""Error rates of a recognizer on transcribed examples."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch
from tqdm import tqdm

from common.batching import BatchLoader
from common.decoding.greedy import greedy
from common.metrics import ErrorRate
from common.recognizer import Recognizer

if TYPE_CHECKING:
    from lightning.fabric import Fabric  # takes seconds to import


def hypotheses(
    recognizer: Recognizer,
    loader: BatchLoader,
    fabric: "Fabric | None" = None,
    refused: list[str] | None = None,
) -> Iterator[tuple[int, str]]:
    """Yield (index, greedy text) of each readable example of this rank; the others go to `refused`."""
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
        rows = log_probs.cpu().numpy()
        for index, row, length in zip(batch.indices, rows, steps.tolist(), strict=True):
            yield index, recognizer.alphabet.decode(hit.label for hit in greedy(row[:length]))


def evaluate(
    recognizer: Recognizer,
    loader: BatchLoader,
    fabric: "Fabric | None" = None,
    progress: bool = False,
    refused: list[str] | None = None,
) -> ErrorRate:
    """Return the error rate of greedy decoding over this rank's share of `loader`.

    Args:
        recognizer: the model.
        loader: of the examples, all of which have a text.
        fabric: under which to compute, if any.
        progress: whether to show a bar.
        refused: is given a sentence for each example that cannot be read.
    """
    examples = loader.examples.examples
    rate = ErrorRate(recognizer.alphabet.normalise)
    pairs = hypotheses(recognizer, loader, fabric, refused)
    for index, text in tqdm(pairs, total=len(examples), unit="example", disable=None if progress else True):
        rate.add(examples[index].text or "", text, examples[index].source)
    return rate

"""The probabilities that a recurrent language model gives to texts."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from common.data.batching import Batch, BatchLoader
from common.data.text_streams import Lines, Streams, join
from common.network.language_model import LanguageModel, label_losses, starts_streams
from common.network.recurrent import State

if TYPE_CHECKING:
    from lightning.fabric import Fabric  # takes seconds to import

LN2 = 0.6931471805599453
TEXTS_AT_ONCE, STEPS_AT_ONCE = 64, 256
"""rows and steps of a batch when texts are scored"""
STREAM = 20_000
"""labels that are read in one stream before a second stream beside it saves time"""


def measure_bits(
    model: LanguageModel,
    loader: BatchLoader,
    fabric: "Fabric | None" = None,
    refused: list[str] | None = None,
) -> dict[str, tuple[float, float]]:
    """Return {"bits_per_character": (bits, characters)}, or the same with words; ends of texts are counted.

    Args:
        model: the language model.
        loader: of `Streams` without a seed, each of which is read to its end with its state, or of `Lines`.
        fabric: its precision is used, if it is given.
        refused: a sentence is appended for each item that cannot be read.
    """
    nats = count = 0.0
    for batch, losses in _batch_losses(model, loader, fabric):
        if refused is not None:
            refused += batch.refused
        nats += float(losses.sum(dtype=torch.float64))
        count += float((batch.target_lengths - 1).sum())
    return {f"bits_per_{model.vocabulary.unit}": (nats / LN2, count)}


def label_log_probs(
    model: LanguageModel,
    texts: Sequence[str],
    condition: Sequence[Any] | None = None,
    running: bool = False,
) -> list[np.ndarray]:
    """Return the natural log-probabilities (L + 1,) of the L characters or words of each text and of its end.

    Args:
        model: the language model.
        texts: the texts.
        condition: the condition of each text, one of the model's `conditions` or a vector; None for a model
            that takes none.
        running: whether the state is carried from text to text, as in training on streams; all texts have one
            condition then. Otherwise each text starts from the first state.
    """
    labels = [model.vocabulary.encode(text) for text in texts]
    if not labels:
        return []
    values = [model.as_values(one) for one in condition] if condition is not None else None
    if not running:
        found = _item_log_probs(model, Lines(labels, values, TEXTS_AT_ONCE * STEPS_AT_ONCE))
        return [found[index] for index in range(len(texts))]
    text = join(labels)
    side_by_side = min(TEXTS_AT_ONCE, 1 + len(text) // STREAM)
    first = values[:1] if values is not None else None
    data = Streams([text], side_by_side, STEPS_AT_ONCE, values=first)
    found = _item_log_probs(model, data)
    streams = range(data.streams)
    order = sorted(streams, key=lambda stream: data.begin[stream])
    in_order = np.concatenate(
        [found[i] for b in order for i in range(b, len(data), len(streams)) if i in found]
    )
    return np.split(in_order, np.cumsum([len(one) + 1 for one in labels])[:-1])


def text_log_probs(
    model: LanguageModel, texts: Sequence[str], condition: Sequence[Any] | None = None
) -> np.ndarray:
    """Return the natural log-probability (N,) of each text with its end.

    Args:
        model: as for `label_log_probs`.
        texts: as for `label_log_probs`.
        condition: as for `label_log_probs`.
    """
    return np.array([one.sum() for one in label_log_probs(model, texts, condition)])


def _item_log_probs(model: LanguageModel, data: Streams | Lines) -> dict[int, np.ndarray]:
    """Return the log-probabilities of the labels of each item of `data`, by the index of the item."""
    found: dict[int, np.ndarray] = {}
    for batch, losses in _batch_losses(model, BatchLoader(data, plan=data.plan)):
        for index, row, length in zip(batch.indices, losses, batch.target_lengths.tolist(), strict=True):
            found[index] = -row[: length - 1].double().numpy()
    return found


@torch.inference_mode()
def _batch_losses(
    model: LanguageModel, loader: BatchLoader, fabric: "Fabric | None" = None
) -> Iterator[tuple[Batch, Tensor]]:
    """Yield each batch and the losses (B, T) of its labels, which are 0 after the end of a row."""
    model.eval()
    state: State | None = None
    for batch in loader.batches():
        losses = torch.zeros(0)
        if batch.indices:
            labels, steps = batch.targets.to(model.device), (batch.target_lengths - 1).to(model.device)
            whole = torch.full((len(labels),), labels.shape[1] - 1)  # reading padding is faster than packing
            with fabric.autocast() if fabric is not None else nullcontext():
                condition = model.as_condition(batch.signals.to(model.device))
                if isinstance(loader.examples, Lines) or starts_streams(batch):
                    state = None
                before = None if state is None else _first_rows(state, len(labels))
                log_probs, state = model(labels[:, :-1], whole, before, condition)  # (B, T, C)
                losses = label_losses(log_probs, labels[:, 1:], steps)
        yield batch, losses.cpu()


def _first_rows(state: State, rows: int) -> State:
    """Return the state of the first `rows` rows; the streams that have ended are the last rows."""
    hidden, memory = (None if part is None else part[:, :rows].contiguous() for part in state)
    assert hidden is not None, "every state has it"
    return State(hidden, memory)

"""How well a recognizer does on examples: error rates, and a few transcripts to look at."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from common.data.batching import Batch, BatchLoader
from common.data.manifest import Example
from common.decoding.arrays import to_numpy
from common.decoding.greedy import collapsed
from common.recognition.modality import Modality
from common.recognition.recognizer import Recognizer
from common.text.metrics import Edits, ErrorRate
from common.text.phonetic.phones import SPACE_LABEL, Phones

if TYPE_CHECKING:
    from lightning.fabric import Fabric  # takes seconds to import

log = logging.getLogger(__name__)

WRITTEN = "written"
"""the key of (characters that the model wrote, characters of the references), which is no error rate"""
FIRST_LETTER = 0x100
"""the character that stands for label 0 where phones are compared as texts; no white space follows soon"""
UNSAID = "?"
"""a word without a pronunciation there"""
SHOWN_EXAMPLES = 4
"""number of dev examples that TensorBoard shows"""


def measure(
    recognizer: Recognizer,
    loader: BatchLoader,
    fabric: "Fabric | None" = None,
    refused: list[str] | None = None,
) -> dict[str, tuple[float, float]]:
    """Return the error rates of the task over this rank's share of `loader`, as (errors, reference count).

    The keys are "cer", "wer" and WRITTEN for texts, "error_rate" for one label per sequence, and
    "frame_error_rate" for one label per step. Of a model of phones the first two are the error rates of
    phones and of words that sound otherwise: without a language model, nothing tells words that sound alike.

    Args:
        recognizer: the model.
        loader: of examples that all have a text or, for labels of steps, targets.
        fabric: its precision is used, if it is given.
        refused: a sentence is appended for each example that cannot be read.
    """
    if recognizer.task == "frames":
        return {"frame_error_rate": _step_errors(recognizer, loader, fabric, refused)}
    rate = _text_errors(recognizer, loader, fabric, refused)
    if recognizer.task == "classify":
        return {"error_rate": (rate.sentences_wrong, rate.count)}
    return {
        "cer": (rate.characters.errors, rate.characters.reference),
        "wer": (rate.words.errors, rate.words.reference),
        WRITTEN: (_written(rate.characters), rate.characters.reference),
    }


def _written(edits: Edits) -> int:
    """Return the length of what was written."""
    return edits.reference + edits.insertions - edits.deletions


def _text_errors(
    recognizer: Recognizer, loader: BatchLoader, fabric: "Fabric | None", refused: list[str] | None
) -> ErrorRate:
    """Return the edits between the reference texts and the texts that the recognizer's decoder gives."""
    examples = loader.examples.examples
    if isinstance(recognizer.alphabet, Phones):
        return _sound_errors(recognizer, recognizer.alphabet, loader, fabric, refused)
    rate = ErrorRate(recognizer.alphabet.normalise)
    for batch in _readable(recognizer, loader, refused):
        with torch.inference_mode(), fabric.autocast() if fabric is not None else nullcontext():
            outputs = recognizer.output(batch.signals, batch.lengths)
        for index, text in zip(batch.indices, recognizer.texts(outputs), strict=True):
            rate.add(examples[index].text or "", text, examples[index].source)
    return rate


def _sound_errors(
    recognizer: Recognizer,
    phones: Phones,
    loader: BatchLoader,
    fabric: "Fabric | None",
    refused: list[str] | None,
) -> ErrorRate:
    """Return the edits between the phones of the reference texts and those of the best paths.

    The first pronunciation of a word counts; a word without one counts as one phone that is not found.
    """
    examples, rate = loader.examples.examples, ErrorRate()

    def said(word: str) -> str:
        return UNSAID if phones.unknown(word) else _sounding(phones.encode(word))

    for batch in _readable(recognizer, loader, refused):
        with torch.inference_mode(), fabric.autocast() if fabric is not None else nullcontext():
            log_probs, lengths = recognizer.step_log_probs(batch.signals, batch.lengths)
        paths = to_numpy(log_probs.argmax(2))  # (B, S)
        for index, path, length in zip(batch.indices, paths, lengths.tolist(), strict=True):
            reference = " ".join(map(said, phones.normalise(examples[index].text or "").split()))
            rate.add(reference, _sounding(collapsed(path[:length])), examples[index].source)
    return rate


def _sounding(labels: Sequence[int]) -> str:
    """Return the labels of phones as a text: one character for each, and one space between words."""
    text = "".join(" " if label == SPACE_LABEL else chr(FIRST_LETTER + label) for label in labels)
    return " ".join(text.split())


def _step_errors(
    recognizer: Recognizer, loader: BatchLoader, fabric: "Fabric | None", refused: list[str] | None
) -> tuple[float, float]:
    """Return the number of steps whose most probable label is not their target, and the number of steps."""
    wrong = steps = 0
    for batch in _readable(recognizer, loader, refused):
        with torch.inference_mode(), fabric.autocast() if fabric is not None else nullcontext():
            log_probs, lengths = recognizer.step_log_probs(batch.signals, batch.lengths)
        found = to_numpy(log_probs.argmax(2))  # (B, S); log_probs is a tensor where the model is on CUDA
        real = np.arange(found.shape[1]) < lengths[:, None]  # (B, S)
        wrong += int(((found != batch.targets.numpy()) & real).sum())
        steps += int(lengths.sum())
    return wrong, steps


def _readable(recognizer: Recognizer, loader: BatchLoader, refused: list[str] | None) -> Iterator[Batch]:
    """Yield the batches that have examples; append a sentence to `refused` for each unreadable example."""
    recognizer.eval()
    for batch in loader.batches():
        if refused is not None:
            refused += batch.refused
        if batch.indices:
            yield batch


def example_writer(
    modality: Modality, development: Sequence[Example]
) -> Callable[[Recognizer, int, Any], None]:
    """Return a function that writes a few examples to TensorBoard: reference, hypothesis and the signal.

    Args:
        modality: reads and draws the signals.
        development: SHOWN_EXAMPLES of these are written, evenly spread.

    Returns:
        `(recognizer, epoch, writer)`; the signals are drawn in epoch 0 only.
    """
    chosen = development[:: max(1, len(development) // SHOWN_EXAMPLES)][:SHOWN_EXAMPLES]

    def write_examples(recognizer: Recognizer, epoch: int, writer: Any) -> None:
        from io import BytesIO

        from PIL import Image

        for number, example in enumerate(chosen):
            try:
                signal = modality.read(example.source, recognizer.config.signal)
            except (ValueError, OSError) as error:
                log.warning("not shown: %s", error)
                continue
            (transcript,) = recognizer.transcribe([signal])
            text = f"reference: {example.text}  \nhypothesis: {transcript.text}"
            writer.add_text(f"example {number}", text, epoch)
            if epoch == 0:
                picture = Image.open(BytesIO(modality.render(signal.values, recognizer.config.signal).png))
                writer.add_image(
                    f"example {number}", np.asarray(picture.convert("RGB")), 0, dataformats="HWC"
                )

    return write_examples

"""Teach the head of a CTC model that some signals have no text: refit_head.py asr MODEL OUT TEXTS EMPTY.

The network below the head stays as it is, and is computed once for each signal. On EMPTY the head learns the
blank; on TEXTS it keeps the answers of the head before (Li and Hoiem 2016, arXiv:1606.09282). Both corpora
are read under the augmentation of training.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from asr.modality import ASR
from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.data.batch_plan import padded
from common.recognition.recognizer import Recognizer
from common.text.symbols import BLANK
from common.training.preparation import load_examples
from ocr.modality import OCR


@dataclass(frozen=True)
class Refit:
    """Refit the head of a model."""

    modality: Positional[Literal["asr", "ocr"]]
    """kind of model"""
    model: Positional[Path]
    """model file (.safetensors) of --task ctc"""
    output: Positional[Path]
    """model file to write"""
    texts: Positional[str]
    """corpora, with commas between them, whose answers are kept"""
    empty: Positional[str]
    """corpora of signals without a text"""
    count: int = 450
    """how many examples of TEXTS are read, drawn at random"""
    epochs: int = 8
    """times that all examples are read"""
    learning_rate: float = 1e-3
    """of Adam, at the start of half a cosine"""
    keep_weight: float = 5.0
    """weight of the difference from the answers before"""
    batch: int = 12
    """examples of like length in a batch"""
    floor: Literal["relative", "fixed"] | None = None
    """asr: another floor of the spectrogram than that of MODEL, for OUT, too"""
    seed: int = 1
    """seed of all random numbers"""


def encoded(
    recognizer: Recognizer, paths: str, count: int | None, rng: np.random.Generator
) -> list[np.ndarray]:
    """Return the encoded steps (S, E) of examples of a corpus, in float16, each augmented."""
    modality, config = recognizer.modality, recognizer.signal_config
    training = modality.training()
    augment = training.augment(training.augment_config(), config)
    examples, _ = load_examples(modality, paths, modality.corpus_config())
    found = []
    for place in rng.permutation(len(examples))[:count]:
        values = augment(modality.read(examples[place].source, config).values, rng)
        signals, lengths = padded([values], recognizer.front_end.shortest)
        with torch.inference_mode():
            features, steps = recognizer.front_end(torch.from_numpy(signals), torch.from_numpy(lengths))
            rows, steps, _ = recognizer.encoder(features, steps)  # (1, S, E)
        found.append(rows[0, : steps[0]].numpy().astype(np.float16))
    return found


def loss_of(head: Any, before: Any, batch: Sequence[tuple[np.ndarray, bool]], keep_weight: float) -> Tensor:
    """Return the mean loss of encoded steps (S, E), each with whether it has no text."""
    rows, lengths = map(torch.from_numpy, padded([one for one, _ in batch]))
    empty = torch.tensor([one for _, one in batch])
    now, then = head(rows), before(rows).detach()  # (B, S, C)
    blank = -now[..., BLANK]  # (B, S); the sum is the CTC loss of the empty text
    change = (then.exp() * (then - now)).sum(-1)  # (B, S)
    each = torch.where(empty[:, None], blank, keep_weight * change)
    real = torch.arange(rows.shape[1]) < lengths[:, None]
    return ((each * real).sum(1) / lengths).mean()


def refit(
    head: Any, examples: Sequence[tuple[np.ndarray, bool]], command: Refit, rng: np.random.Generator
) -> None:
    """Change `head` so that it answers the blank to the examples that have no text."""
    before = copy.deepcopy(head)
    lengths = np.array([len(rows) for rows, _ in examples])
    batches = max(1, len(examples) // command.batch)
    optimiser = torch.optim.Adam(head.parameters(), command.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, command.epochs * batches)
    for epoch in range(command.epochs):
        order, total = np.argsort(lengths * rng.uniform(0.9, 1.1, len(examples))), 0.0
        parts = np.array_split(order, batches)
        for number in rng.permutation(batches):
            loss = loss_of(head, before, [examples[place] for place in parts[number]], command.keep_weight)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / batches:.4f}", flush=True)


def main() -> None:
    """Write the model with its new head."""
    command = parse(Refit)
    rng = np.random.default_rng(command.seed)
    recognizer = Recognizer.load({"asr": ASR, "ocr": OCR}[command.modality], command.model)
    if command.floor is not None:
        front_end = replace(recognizer.config.front_end, floor=command.floor)
        recognizer.config = replace(recognizer.config, front_end=front_end)
        recognizer.front_end.config = front_end
    texts = encoded(recognizer, command.texts, command.count, rng)
    empty = encoded(recognizer, command.empty, None, rng)
    print(f"{len(texts)} signals with texts, {len(empty)} without")
    refit(recognizer.head, [*((one, False) for one in texts), *((one, True) for one in empty)], command, rng)
    recognizer.save(command.output)


if __name__ == "__main__":
    main()

"""Run `ocr train` or `asr train` in this process and note when epochs and dev evaluations begin and end.

    called     as a user calls it
    held       the batches of an epoch are read before it begins: the step alone. Then a bare network trains
               on them: the same CNN, cuDNN's LSTM over padding, fused AdamW
    waiting    each batch is only waited for, 20 ms, in place of a step: the loader alone

The notes are JSON lines. The device finishes its work before an end is noted.
"""

import argparse
import importlib
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from gpu_notes import WAIT_S
from torch import Tensor, nn
from torch.nn import functional

from common.data.batching import Batch, BatchLoader
from common.recognition.recognizer import Recognizer
from common.training.configuration import TrainingConfig
from common.training.optimisation import resolve_precision

Note = Callable[..., None]


def note_to(path: Path) -> Note:
    """Return a function that appends its arguments, and the time, to a file as a JSON line."""
    file = path.open("a", buffering=1)

    def note(event: str, **values: Any) -> None:
        if event in ("end", "dev end", "bare end") and torch.cuda.is_available():
            torch.cuda.synchronize()
        print(json.dumps({"event": event, "at": time.monotonic(), **values}), file=file)

    return note


def watch(note: Note, mode: str, held: list[Batch]) -> None:
    """Make the loaders of this process note epochs; `held` gets the batches of the last one in that mode."""
    load = BatchLoader.batches

    def batches(self: BatchLoader, epoch: int = 0, start: int = 0) -> Iterator[Batch]:
        if self.seed is None:  # of the dev data
            note("dev start", epoch=epoch)
            yield from load(self, epoch, start)
            note("dev end", epoch=epoch)
            return
        if mode == "held":
            held[:] = load(self, epoch, start)
        note("start", epoch=epoch)
        last = None
        for batch in held if mode == "held" else load(self, epoch, start):
            if mode == "waiting":
                time.sleep(WAIT_S)
                last = batch
            note("batch", epoch=epoch, examples=len(batch.sources))
            if last is None:
                yield batch
        note("end", epoch=epoch)
        if last is not None:
            yield last  # one update, so that the run goes on

    BatchLoader.batches = batches  # type: ignore[method-assign]


class Bare(nn.Module):
    """The front end of a recognizer, cuDNN's LSTM over padded steps, and a linear layer."""

    def __init__(self, recognizer: Recognizer) -> None:
        super().__init__()
        encoder = recognizer.config.encoder
        self.front_end = recognizer.front_end
        self.lstm = nn.LSTM(
            self.front_end.feature_size,
            encoder.hidden_size,
            encoder.layers,
            batch_first=True,
            bidirectional=encoder.bidirectional,
            dropout=encoder.dropout,
        )
        width = encoder.hidden_size * (1 + encoder.bidirectional)
        self.linear = nn.Linear(width, recognizer.alphabet.classes)

    def forward(self, batch: Batch) -> Tensor:
        """Return the mean CTC loss of a batch on the device of the network."""
        features, lengths = self.front_end(batch.signals, batch.lengths)  # (B, S, D)
        encoded, _ = self.lstm(features)  # (B, S, E)
        log_probs = self.linear(encoded).float().log_softmax(-1).transpose(0, 1)  # (S, B, C)
        losses = functional.ctc_loss(
            log_probs, batch.targets, lengths, batch.target_lengths, reduction="none", zero_infinity=True
        )
        return losses.mean()


def train_bare(note: Note, recognizer: Recognizer, batches: list[Batch], device: torch.device) -> None:
    """Train a bare network for two epochs of the same batches."""
    config = TrainingConfig()
    recognizer.front_end.requires_grad_(True)
    bare = Bare(recognizer).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(bare.parameters(), lr=config.learning_rate, fused=True)
    half = resolve_precision("auto", device) == "bf16-mixed"
    for epoch in range(2):
        note("bare start", epoch=epoch)
        total = torch.zeros((), device=device)
        for batch in batches:
            tensors = {name: part for name, part in batch._asdict().items() if isinstance(part, Tensor)}
            there = {name: part.to(device, non_blocking=True) for name, part in tensors.items()}
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                loss = bare(batch._replace(**there))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(bare.parameters(), config.clip_norm)
            optimizer.step()
            total += loss.detach()
        examples = sum(len(batch.sources) for batch in batches)
        note("bare end", epoch=epoch, examples=examples, loss=float(total) / len(batches))


def main() -> None:
    """Run a training and note its times."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("notes", type=Path, help="file to append to")
    parser.add_argument("mode", choices=["called", "held", "waiting"])
    parser.add_argument("command", nargs=argparse.REMAINDER, help="ocr train ... --run DIR")
    arguments = parser.parse_args()
    note, held = note_to(arguments.notes), list[Batch]()
    watch(note, arguments.mode, held)
    name, command = arguments.command[0], arguments.command[1:]
    sys.argv = arguments.command
    importlib.import_module(f"{name}.__main__").main()
    gpu = torch.cuda.is_available()
    peak = torch.cuda.max_memory_allocated() if gpu else 0
    note("memory", host=1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, device=peak)
    if arguments.mode == "held":
        modality = getattr(importlib.import_module(f"{name}.modality"), name.upper())
        run = Path(command[command.index("--run") + 1])
        recognizer = Recognizer.load(modality, run / "best.safetensors")
        on_cpu = "--device" in command and command[command.index("--device") + 1] == "cpu"
        train_bare(note, recognizer, held, torch.device("cuda" if gpu and not on_cpu else "cpu"))


if __name__ == "__main__":
    main()

"""Measure how much of the time of a step that only waits the loader keeps: no network, the loader alone."""

import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from measurement import prepare_lines, print_row, use_cores

from asr.modality import ASR
from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.data.batching import BatchLoader, ReadAhead, to_batch
from common.data.examples import Examples
from common.data.store import SignalStore
from common.data.workers import Workers
from common.recognition.modality import Modality
from common.training.preparation import load_examples
from ocr.modality import OCR

STORE_BYTES = 2**31


@dataclass(frozen=True)
class Waiting:
    """Measure the share of a run that steps take which only wait; the rest is waiting for the loader."""

    speech: Positional[tuple[str, ...]] = ()
    """Manifests of utterances to train on and to measure on; without them only lines are measured."""
    lines: Path | None = None
    """Folder of NAME.png and NAME.gt.txt to train on; by default lines of 48 x 900 px are drawn."""
    count: int = 1020
    """Number of lines of one epoch."""
    step_ms: float = 20.0
    """Duration of a step."""
    line_budget: tuple[float, ...] = (320.0,)
    """Padded line heights of a batch of lines; 320 is the default of ocr on a CPU."""
    speech_budget: tuple[float, ...] = (80.0, 160.0)
    """Padded seconds of a batch of speech; 160 is the default of asr on a CPU."""
    workers: tuple[int, ...] = (0, 1, 2)
    """Numbers of processes that read ahead; 0 is reading inline."""
    epochs: int = 3
    """Number of epochs; the first fills the store."""
    cores: int = 2
    """Number of cores of the machine that are used."""


class Delivered(NamedTuple):
    """An epoch: the mean of examples in a batch, the share of the steps, the time of the first batch."""

    examples: float
    share: float
    first_ms: float


def wait_through(loader: BatchLoader, epoch: int, step_s: float) -> Delivered:
    """Wait `step_s` for each batch of an epoch of training data."""
    began = time.monotonic()
    first, count, examples = 0.0, 0, 0
    for batch in loader.batches(epoch):
        first = first or time.monotonic() - began
        time.sleep(step_s)
        count, examples = count + 1, examples + len(batch.indices)
    return Delivered(examples / count, count * step_s / (time.monotonic() - began), 1000 * first)


def deliver(
    modality: Modality, data: tuple[str, str], budget: float, workers: int, options: Waiting
) -> list[Delivered]:
    """Return each epoch of a run whose steps only wait; dev is read between them."""
    training, signal_config = modality.training(), modality.signal_config()
    read, augment = modality.reader(signal_config), training.augment(training.augment_config(), signal_config)
    found: list[Any] = [load_examples(modality, path, modality.corpus_config())[0] for path in data]
    done = []
    with ExitStack() as ending:
        folder = Path(ending.enter_context(TemporaryDirectory()))
        store = SignalStore(folder, STORE_BYTES // max(1, workers))
        seen = Examples(found[0], None, read, augment, 1, store)
        unseen = Examples(found[1], None, read, None, 1, store)
        train, dev = BatchLoader(seen, budget, 1), BatchLoader(unseen, budget)
        if workers:
            processes = ending.enter_context(
                closing(Workers(workers, {"train": seen, "dev": unseen}, to_batch))
            )
            ReadAhead(processes, workers, train, dev, options.epochs)
        for epoch in range(options.epochs):
            done.append(wait_through(train, epoch, options.step_ms / 1000))
            for _ in dev.batches():
                time.sleep(options.step_ms / 3000)  # a step without gradients
    return done


def main() -> None:
    """Measure and print a table."""
    options = parse(Waiting)
    use_cores(options.cores, ())
    head = [f"share, epoch {number + 1}" for number in range(options.epochs)]
    head += ["first batch ms", "examples a batch", "loading (share of the time that the steps take)"]
    print_row(head, head)
    with TemporaryDirectory() as folder:
        train, dev = prepare_lines(options.lines, Path(folder), options.count)
        data: list[tuple[Modality, tuple[str, str], float]] = [
            (OCR, (str(train), str(dev)), budget) for budget in options.line_budget
        ]
        if options.speech:
            spoken = options.speech[0], options.speech[1]
            data += [(ASR, spoken, budget) for budget in options.speech_budget]
        for modality, paths, budget in data:
            for workers in options.workers:
                done = deliver(modality, paths, budget, workers, options)
                figures = [f"{one.share:.0%}" for one in done]
                figures += [f"{done[-1].first_ms:.0f}", f"{done[-1].examples:.1f}"]
                name = f"{modality.name}, batches of {budget:g} {modality.length_unit}, --workers {workers}"
                print_row(head, [*figures, name])


if __name__ == "__main__":
    main()

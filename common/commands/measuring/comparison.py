"""The comparison that `export` prints: an exported model beside the same model in torch."""

import logging
import math
import operator
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from common.commands.measuring.labels import Labelled, labelled
from common.data.manifest import Example
from common.data.signal import Signal
from common.recognition.modality import Modality
from common.recognition.transcriber import Transcriber
from common.text.metrics import ErrorRate
from common.training.preparation import report_problems

log = logging.getLogger(__name__)

TIMED_ITEMS = 32
"""examples on which speed is measured, evenly from all of them"""
TIMED_RUNS = 3
"""runs, of which the fastest counts: other work of the machine can only slow a run down"""
WANTED = {"float32": 0.999, "int8": 0.995}
"""least share of characters, or labels, that should equal those of torch"""


class _Row(NamedTuple):
    """The figures of one model."""

    errors: dict[str, float]
    """by the name of the rate"""
    same: float
    """share of characters, or labels, that equal those of torch"""
    alone_per_s: float
    together_per_s: float
    megabytes: float


def compare(
    recognizer: Transcriber, model: Path, files: Mapping[str, Path], examples: Sequence[Example], threads: int
) -> list[str]:
    """Print error rates, agreement, speed and size of torch and of each exported file.

    Args:
        recognizer: the model in torch.
        model: its file.
        files: the exported files, by precision.
        examples: on which to measure.
        threads: that compute the exported models; 0 for one for each core.

    Returns:
        A sentence for each example that cannot be read, which is logged here.
    """
    from common.recognition.runtime import OnnxRecognizer

    unread: list[str] = []
    modality = recognizer.modality
    models: dict[str, Transcriber] = {"torch": recognizer}
    models |= {name: OnnxRecognizer.load(modality, path, threads) for name, path in files.items()}
    find = _texts if recognizer.alphabet.writes_text else _labels
    expected = find("torch", recognizer, examples, unread)
    report_problems(unread)
    if not expected:
        return unread
    readable = [examples[index] for index in sorted(expected)]
    speeds = _speeds(models, chosen_signals(modality, readable, TIMED_ITEMS, recognizer.signal_config))
    rows = {}
    for name, path in {"torch": model, **files}.items():
        found = expected if name == "torch" else find(name, models[name], examples, [])
        judge = _judged_texts if recognizer.alphabet.writes_text else _judged_labels
        errors, same = judge(recognizer, examples, expected, found)
        rows[name] = _Row(errors, same, *speeds[name], path.stat().st_size / 1e6)
    _print(rows, modality.item, len(expected))
    for name in files:
        if rows[name].same < WANTED[name]:
            log.warning(
                "%s: %.2f %% of the characters or labels are those of torch, where %.1f %% are wanted",
                name, 100 * rows[name].same, 100 * WANTED[name],
            )  # fmt: skip
    return unread


def _texts(
    name: str, transcriber: Transcriber, examples: Sequence[Example], refused: list[str]
) -> dict[int, str]:
    """Return the texts of examples by their index; `refused` gets a sentence for each that cannot be read."""
    texts: dict[int, str] = {}
    sources = [example.source for example in examples]
    with tqdm(total=len(sources), desc=name, disable=None) as bar:
        for batch in transcriber.batches(sources, transcriber.log_probs, refuse=refused.append):
            places = [item.place for item in batch.items]
            texts.update(zip(places, transcriber.texts(batch.output), strict=True))
            bar.update(len(places))
    return texts


def _labels(
    name: str, transcriber: Transcriber, examples: Sequence[Example], refused: list[str]
) -> dict[int, Labelled]:
    """Return the labels of examples by their index; `refused` gets a sentence for each that is unusable."""
    found = labelled(transcriber, examples, None, refused.append)
    return {one.place: one for one in tqdm(found, total=len(examples), desc=name, disable=None)}


def _judged_texts(
    recognizer: Transcriber,
    examples: Sequence[Example],
    expected: Mapping[int, Any],
    found: Mapping[int, Any],
) -> tuple[dict[str, float], float]:
    """Return the error rates of the texts found, and the share of characters that equal the expected ones."""
    rate, agreement = ErrorRate(recognizer.alphabet.normalise), ErrorRate()
    for index in sorted(expected):
        rate.add(examples[index].text or "", found[index])
        agreement.add(expected[index], found[index])
    return {"CER": rate.cer, "WER": rate.wer}, max(0.0, 1 - agreement.cer)


def _judged_labels(
    recognizer: Transcriber,
    examples: Sequence[Example],
    expected: Mapping[int, Any],
    found: Mapping[int, Any],
) -> tuple[dict[str, float], float]:
    """Return the share of the labels found that are wrong, and the share that equal the expected ones."""
    right = same = total = 0
    for index, one in expected.items():
        ours = found[index].found
        right += sum(map(operator.eq, one.wanted, ours))
        same += sum(map(operator.eq, one.found, ours))
        total += len(ours)
    return {"errors": 1 - right / max(1, total)}, same / max(1, total)


def _speeds(models: dict[str, Transcriber], signals: Sequence[Signal]) -> dict[str, tuple[float, float]]:
    """Return how many signals each model transcribes in a second, one by one and in batches.

    The models take turns, so that other work of the machine slows all of them.
    """
    least = {name: (math.inf, math.inf) for name in models}
    for _ in range(TIMED_RUNS):
        for name, model in models.items():
            start = time.perf_counter()
            for signal in signals:
                list(model.transcribe([signal]))
            middle = time.perf_counter()
            list(model.transcribe(signals))
            alone_s, together_s = least[name]
            least[name] = min(alone_s, middle - start), min(together_s, time.perf_counter() - middle)
    return {
        name: (len(signals) / alone_s, len(signals) / together_s)
        for name, (alone_s, together_s) in least.items()
    }


def _print(rows: dict[str, _Row], item: str, count: int) -> None:
    per_s = f"{item}s/s"
    heads = "".join(f"{name:>9}" for name in rows["torch"].errors)
    print(f"{'':8}{heads}{'as torch':>10}{per_s:>14}{'in batches':>12}{'MB':>8}")
    for name, row in rows.items():
        errors = "".join(f"{100 * rate:>7.2f} %" for rate in row.errors.values())
        print(
            f"{name:8}{errors}{100 * row.same:>8.2f} %"
            f"{row.alone_per_s:>14.1f}{row.together_per_s:>12.1f}{row.megabytes:>8.2f}"
        )
    print(f"{count} {item}s; speed on some of them, one by one and in batches")


def chosen_signals(
    modality: Modality, examples: Sequence[Example], count: int, signal_config: Any
) -> list[Signal]:
    """Return the signals of `count` examples, evenly from all of them, or of all if there are fewer."""
    chosen = np.unique(np.linspace(0, len(examples) - 1, count).round().astype(int)).tolist()
    return [modality.read(examples[index].source, signal_config) for index in chosen]

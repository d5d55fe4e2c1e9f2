"""The verb export."""

import logging
import math
import operator
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from common.commands.flags.export import ExportFlags
from common.commands.labels import Labelled, labelled
from common.commands.output import ItemsFailedError, make_place, writing
from common.data.manifest import Example
from common.data.signal import Signal
from common.recognition.loading import load_recognizer
from common.recognition.modality import Modality
from common.recognition.transcriber import Transcriber
from common.text.metrics import ErrorRate
from common.training.preparation import load_examples, report_problems, with_text

log = logging.getLogger(__name__)

CALIBRATION_ITEMS = 48
"""examples from which the ranges of maps are taken; evenly from the whole corpus"""
TIMED_ITEMS = 32
"""examples with which speed is measured"""
TIMED_RUNS = 3
"""of which the fastest counts: whatever else the machine does only adds to the others"""
WANTED = {"float32": 0.999, "int8": 0.995}
"""share of characters that are to be those of torch"""


def run(modality: Modality, arguments: ExportFlags) -> None:
    """Write the ONNX file, and print what it gains and loses if there are examples to measure that on.

    Raises:
        ItemsFailedError: some examples could not be measured.
    """
    from common.recognition.export import OPSET, export_onnx

    _check(arguments)
    recognizer: Any = load_recognizer(modality, arguments.model, "cpu", arguments.threads)
    examples, problems = _examples(modality, arguments)
    calibration = _calibration(modality, arguments, recognizer.signal_config)
    with writing(arguments.output):
        export_onnx(recognizer, arguments.output, arguments.int8, calibration)
    megabytes = arguments.output.stat().st_size / 1e6
    log.info(
        "%s: %s, opset %d, %.2f MB",
        arguments.output, "int8" if arguments.int8 else "float32", OPSET, megabytes,
    )  # fmt: skip
    if arguments.data is None:
        return
    with TemporaryDirectory() as folder:
        files = {"float32": Path(folder) / "float32.onnx"}
        if arguments.int8:
            export_onnx(recognizer, files["float32"])
            files["int8"] = arguments.output
        else:
            files["float32"] = arguments.output
        unread = _compare(recognizer, arguments, files, examples)
    if failed := len(problems) + len(unread):
        total = len(examples) + len(problems)
        raise ItemsFailedError(f"{failed} of {total} {modality.item}s could not be measured")


def _check(arguments: ExportFlags) -> None:
    if arguments.model.suffix == ".onnx":
        raise ValueError(f"{arguments.model}: is exported already; name the .safetensors it was made of")
    if arguments.output.suffix != ".onnx":
        raise ValueError(f"{arguments.output}: name a file that ends with .onnx, as others expect of it")
    if arguments.calibration is not None and not arguments.int8:
        raise ValueError("--calibration is of use with --int8 only; say that, too")
    make_place(arguments.output)


def _examples(modality: Modality, arguments: ExportFlags) -> tuple[list[Example], list[str]]:
    """Return what is to be measured on, and a sentence, already logged, for each that cannot be."""
    if arguments.data is None:
        return [], []
    found, problems = load_examples(modality, arguments.data, arguments.corpus)
    examples, textless = with_text(found, modality.item)
    if not examples:
        raise ValueError(f"{arguments.data}: none of its {modality.item}s has a text to compare with")
    report_problems(problems + textless)
    return examples, problems + textless


def _calibration(modality: Modality, arguments: ExportFlags, signal_config: Any) -> list[np.ndarray]:
    """Return signals from which the ranges of maps are taken."""
    if arguments.calibration is None:
        return []
    found, _ = load_examples(modality, arguments.calibration, arguments.corpus)
    return [signal.values for signal in _signals(modality, found, CALIBRATION_ITEMS, signal_config)]


def _signals(modality: Modality, examples: Sequence[Example], count: int, signal_config: Any) -> list[Signal]:
    """Return `count` signals, or all if there are not so many, evenly from all the examples."""
    chosen = np.unique(np.linspace(0, len(examples) - 1, count).round().astype(int)).tolist()
    return [modality.read(examples[index].source, signal_config) for index in chosen]


class _Row(NamedTuple):
    """What is printed of one model."""

    errors: dict[str, float]
    """by the names of the rates"""
    same: float
    """share of torch's characters, or labels"""
    alone_per_s: float
    together_per_s: float
    megabytes: float


def _compare(
    recognizer: Transcriber, arguments: ExportFlags, files: dict[str, Path], examples: list[Example]
) -> list[str]:
    """Print error rates, agreement, speed and size of torch and of each file.

    Args:
        recognizer: of torch.
        arguments: of the verb.
        files: exported, by precision.
        examples: on which to measure.

    Returns:
        A sentence, already logged, for each example that cannot be read.
    """
    from common.recognition.runtime import OnnxRecognizer

    unread: list[str] = []
    modality = recognizer.modality
    models: dict[str, Transcriber] = {"torch": recognizer}
    models |= {name: OnnxRecognizer.load(modality, path, arguments.threads) for name, path in files.items()}
    find = _texts if recognizer.alphabet.writes_text else _labels
    expected = find("torch", recognizer, examples, unread)
    report_problems(unread)
    if not expected:
        return unread
    readable = [examples[index] for index in sorted(expected)]
    speeds = _speeds(models, _signals(modality, readable, TIMED_ITEMS, recognizer.signal_config))
    rows = {}
    for name, path in {"torch": arguments.model, **files}.items():
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
    """Return the text of each of `examples` that can be read, by index; the others go to `refused`."""
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
    """Return the labels of each of `examples` that can be used, by index; the others go to `refused`."""
    found = labelled(transcriber, examples, None, refused.append)
    return {one.place: one for one in tqdm(found, total=len(examples), desc=name, disable=None)}


def _judged_texts(
    recognizer: Transcriber,
    examples: Sequence[Example],
    expected: Mapping[int, Any],
    found: Mapping[int, Any],
) -> tuple[dict[str, float], float]:
    """Return the error rates of the texts found, and the share of characters that are as expected."""
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
    """Return the share of the labels found that are wrong, and of those that are as expected."""
    right = same = total = 0
    for index, one in expected.items():
        ours = found[index].found
        right += sum(map(operator.eq, one.wanted, ours))
        same += sum(map(operator.eq, one.found, ours))
        total += len(ours)
    return {"errors": 1 - right / max(1, total)}, same / max(1, total)


def _speeds(models: dict[str, Transcriber], signals: Sequence[Signal]) -> dict[str, tuple[float, float]]:
    """Return how many of `signals` a second each model transcribes, one by one and in batches.

    The models take turns, so that what else the machine does slows them all.
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

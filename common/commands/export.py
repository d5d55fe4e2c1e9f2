"""The verb export: a model as an ONNX file."""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from common.command_line.parser import UsageError
from common.commands.flags.export import ExportFlags
from common.commands.flags.shared import check_threads
from common.commands.measuring.comparison import chosen_signals, compare
from common.commands.output import ItemsFailedError, make_place, writing
from common.data.manifest import Example
from common.recognition.loading import load_recognizer, model_path
from common.recognition.modality import Modality
from common.training.preparation import load_examples, report_problems, with_text

log = logging.getLogger(__name__)

CALIBRATION_ITEMS = 48
"""examples on which the ranges of feature maps are measured, evenly from the whole corpus"""


def run(modality: Modality, arguments: ExportFlags) -> None:
    """Write the ONNX file; with --data, print its error rates, speed and size beside those of torch.

    Raises:
        ItemsFailedError: some examples could not be measured.
    """
    from common.recognition.export import OPSET, export_onnx

    _check(modality, arguments)
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
        unread = compare(recognizer, arguments.model, files, examples, arguments.threads)
    if failed := len(problems) + len(unread):
        total = len(examples) + len(problems)
        raise ItemsFailedError(f"{failed} of {total} {modality.item}s could not be measured")


def _check(modality: Modality, arguments: ExportFlags) -> None:
    check_threads(arguments.threads)
    if model_path(modality, arguments.model).suffix == ".onnx":
        raise UsageError(f"{arguments.model}: is exported already; name the .safetensors it was made of")
    if arguments.output.suffix != ".onnx":
        raise UsageError(f"{arguments.output}: name a file that ends with .onnx, as others expect of it")
    if arguments.calibration is not None and not arguments.int8:
        raise UsageError("--calibration is of use with --int8 only; say that, too")
    make_place(arguments.output)


def _examples(modality: Modality, arguments: ExportFlags) -> tuple[list[Example], list[str]]:
    """Return the examples to measure on, and a sentence, logged here, for each that cannot be used."""
    if arguments.data is None:
        return [], []
    found, problems = load_examples(modality, arguments.data, arguments.corpus)
    examples, textless = with_text(found, modality.item)
    if not examples:
        raise ValueError(f"{arguments.data}: none of its {modality.item}s has a text to compare with")
    report_problems(problems + textless)
    return examples, problems + textless


def _calibration(modality: Modality, arguments: ExportFlags, signal_config: Any) -> list[np.ndarray]:
    """Return the signals on which the ranges of feature maps are measured."""
    if arguments.calibration is None:
        return []
    found, _ = load_examples(modality, arguments.calibration, arguments.corpus)
    return [signal.values for signal in chosen_signals(modality, found, CALIBRATION_ITEMS, signal_config)]

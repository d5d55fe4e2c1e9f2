"""Text from images of lines."""

from os import PathLike
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.recognition.loading import Device
    from common.recognition.transcriber import Transcriber


def load(
    model: str | PathLike[str] | None = None, device: "Device" = "auto", threads: int = 0
) -> "Transcriber":
    """Return the recognizer in the file `model`, or the bundled one.

    Args:
        model: .onnx, which needs no torch, or .safetensors; None for the bundled model.
        device: auto, cpu, cuda or mps, for .safetensors; an .onnx file runs on the CPU.
        threads: that compute the network; 0 for one for each core.

    Raises:
        ValueError: the file is no model of this side, or cannot run here.
    """
    from common.recognition.loading import load_recognizer
    from ocr.modality import OCR

    return load_recognizer(OCR, model, device, threads)

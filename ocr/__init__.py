"""Text from images of lines."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.recognition.loading import Device
    from common.recognition.transcriber import Transcriber
    from common.recognition.voting.loading import Models


def load(model: "Models" = None, device: "Device" = "auto", threads: int = 0) -> "Transcriber":
    """Return the recognizer in the file `model`, or the bundled one; several models vote on each text.

    Args:
        model: an .onnx file, which does not need torch, or a .safetensors file; None is the bundled model of
            print, and what it is unsure of is read by that of handwriting, too; several have commas between
            ("a.onnx,b.onnx"), or are a list.
        device: auto, cpu, cuda or mps, for a .safetensors file; an .onnx file always runs on the CPU.
        threads: number of threads that compute the network; 0 is one for each core.

    Raises:
        ValueError: the file is not a model of `ocr`, or it cannot run on this machine.
    """
    from common.recognition.voting.loading import load_models
    from ocr.modality import OCR

    return load_models(OCR, model, device, threads)

"""Text from recordings of speech."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.recognition.loading import Device
    from common.recognition.transcriber import Transcriber
    from common.recognition.voting.loading import Models


def load(model: "Models" = None, device: "Device" = "auto", threads: int = 0) -> "Transcriber":
    """Return the recognizer in the file `model`, or the bundled one; several models vote on each text.

    Args:
        model: an .onnx file, which does not need torch, or a .safetensors file; or the name of a bundled
            model: "english" spells and takes hot words; None is "english-words", with fewer errors; several
            have commas between ("a.onnx,b.onnx"), or are a list.
        device: auto, cpu, cuda or mps, for a .safetensors file; an .onnx file always runs on the CPU.
        threads: number of threads that compute the network; 0 is one for each core.

    Raises:
        ValueError: the file is not a model of `asr`, or it cannot run on this machine.
    """
    from asr.modality import ASR
    from common.recognition.voting.loading import load_models

    return load_models(ASR, model, device, threads)

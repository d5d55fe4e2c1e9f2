"""Recognizers from model files: .onnx runs without torch, .safetensors can be trained further."""

from os import PathLike
from pathlib import Path
from typing import Literal

from common.recognition.modality import Modality
from common.recognition.transcriber import Transcriber

Device = Literal["auto", "cpu", "cuda", "mps"]


def load_recognizer(
    modality: Modality, model: str | PathLike[str] | None = None, device: Device = "auto", threads: int = 0
) -> Transcriber:
    """Return the recognizer in the file `model`, or the bundled one, on `device`.

    Args:
        modality: modality of the model.
        model: .onnx, which needs no torch, or .safetensors; None for the bundled model.
        device: device for a .safetensors model; an .onnx model runs on the CPU.
        threads: number of threads that compute the network; 0 for one for each core.

    Raises:
        ValueError: the file is no model of this modality, the device is missing, or torch is needed and not
            installed.
    """
    if threads < 0:
        raise ValueError(f"threads is {threads}; give 1 or more, or 0 for one for each core")
    if model is None and modality.bundled is None:
        raise ValueError(f"`{modality.name}` has no model of its own; name one with --model")
    path = modality.bundled() if model is None and modality.bundled else Path(model or "")
    if path.suffix == ".onnx":
        from common.recognition.runtime import OnnxRecognizer

        if device not in ("auto", "cpu"):
            raise ValueError(f"device {device}: {path} runs on the CPU; name a .safetensors model")
        return OnnxRecognizer.load(modality, path, threads)
    try:
        import torch
    except ImportError:
        raise ValueError(
            f"{path}: needs torch, which is not installed; pip install 'amanuensis[train]', or name an .onnx"
        ) from None
    from common.recognition.recognizer import Recognizer

    if threads:
        torch.set_num_threads(threads)
    recognizer = Recognizer.load(modality, path)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device cuda: no CUDA device here; use --device auto or cpu")
    if device == "mps" and not torch.backends.mps.is_available():
        raise ValueError("device mps: no Apple GPU here; use --device auto or cpu")
    return recognizer.to(device)

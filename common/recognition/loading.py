"""Recognizers from model files: .onnx runs without torch, .safetensors can be trained further."""

from os import PathLike
from pathlib import Path
from typing import Literal

from common.recognition.modality import Modality
from common.recognition.transcriber import Transcriber

Device = Literal["auto", "cpu", "cuda", "mps"]


def model_path(modality: Modality, model: str | PathLike[str] | None = None) -> Path:
    """Return the file of a model.

    Args:
        modality: modality of the model.
        model: a file; or, if no file has that name, the name of a bundled model, which is that of its file
            without the suffix; None for the default among the bundled models.

    Raises:
        ValueError: no model is bundled, or the name is neither a file nor a bundled model.
    """
    if model is None:
        if modality.bundled is None:
            raise ValueError(f"`{modality.name}` has no model of its own; name one with --model")
        return modality.bundled()
    path = Path(model)
    if modality.bundled is None or path.suffix or path.name != str(model) or path.exists():
        return path
    names = modality.model_names
    if path.name not in names:
        raise ValueError(
            f"{path}: is no file and no bundled model of `{modality.name}`, which are {', '.join(names)};"
            " name one of these, or a file"
        )
    return modality.model_file(path.name)


def load_recognizer(
    modality: Modality, model: str | PathLike[str] | None = None, device: Device = "auto", threads: int = 0
) -> Transcriber:
    """Return the recognizer in the file `model`, or a bundled one, on `device`.

    Args:
        modality: modality of the model.
        model: .onnx, which needs no torch, or .safetensors; or the name of a bundled model, see `model_path`.
        device: device for a .safetensors model; an .onnx model runs on the CPU.
        threads: number of threads that compute the network; 0 for one for each core.

    Raises:
        ValueError: the file is no model of this modality, the device is missing, or torch is needed and not
            installed.
    """
    if threads < 0:
        raise ValueError(f"threads is {threads}; give 1 or more, or 0 for one for each core")
    path = model_path(modality, model)
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
    recognizer.reduced = device == "cuda"
    return recognizer.to(device)

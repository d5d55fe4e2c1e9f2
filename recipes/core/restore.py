"""Take the network back out of an exported model, to train it on: restore.py asr MODEL.onnx OUT.safetensors.

Weights in int8 come back as float32 with the values that int8 left them, so that the network reads what the
exported one reads. Alphabet, settings of the search, language models and card stay. For CTC networks of LSTM
layers whose convolutions are in float32, as `export` writes them without --calibration; not for sound with
--normalise global, whose statistics become part of the graph.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from asr.modality import ASR
from common.command_line.flag import Positional
from common.command_line.parser import parse
from common.files.onnx_file import read_onnx
from common.network.convolution import RELU_GAIN
from common.recognition.configuration import model_config
from common.recognition.modality import Modality
from common.recognition.recognizer import Recognizer
from common.recognition.runtime import OnnxRecognizer
from common.recognition.transcriber import Transcriber
from ocr.modality import OCR

GATES = [0, 2, 3, 1]
"""the places of the gates i, f, g and o of torch among those of ONNX, which are i, o, f and g"""
TINY = 1e-12
KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
DIRECTIONS = ("forwards", "backwards")
GIVEN = ("front_end.spectrogram.", "front_end.band_")
"""prefixes of the tensors that the settings give; those of --normalise global are trained"""
LARGEST_DIFFERENCE, DRAWS = 0.3, 8
"""of log-probabilities, between float32 and int8 activations, on average over this many pieces of noise"""


@dataclass(frozen=True)
class Restore:
    """Take the network back out of an exported model."""

    modality: Positional[Literal["asr", "ocr"]]
    """kind of model"""
    exported: Positional[Path]
    """exported model (.onnx)"""
    output: Positional[Path]
    """model file to write (.safetensors)"""


class Graph:
    """The tensors of an exported graph; those in int8 as float32."""

    def __init__(self, path: Path) -> None:
        graph = onnx.load(path).graph
        self.nodes = list(graph.node)
        self.tensors = {one.name: numpy_helper.to_array(one) for one in graph.initializer}

    def state(self) -> dict[str, np.ndarray]:
        """Return the weights by the names that they have in torch."""
        state = {name: one for name, one in self.tensors.items() if ":" not in name and "." in name}
        for node in self.nodes:
            if node.op_type in ("MatMul", "MatMulInteger"):
                name = ".".join(node.name.split("/")[1:-1])
                state[f"{name}.weight"] = self._matrix(node).T
        for depth, layer in enumerate(node for node in self.nodes if node.op_type.endswith("LSTM")):
            state |= self._layer(layer, depth)
        for name, kernel in list(state.items()):
            if kernel.ndim == 4 and kernel.dtype == np.float32:  # its length is a gain again
                length = np.sqrt(np.square(kernel).sum((1, 2, 3)))
                state[name] = kernel / np.maximum(length, TINY)[:, None, None, None]
                state[f"{name.removesuffix('weight')}gain"] = length / RELU_GAIN
        return state

    def _matrix(self, node: onnx.NodeProto) -> np.ndarray:
        """Return the matrix (in, out) that a node multiplies with."""
        name = node.input[1]
        if node.op_type == "MatMul":
            return self.tensors.get(name, np.empty((0, 0)))
        plain = name.removesuffix("_quantized")
        return self._in_float(name, f"{plain}_scale", f"{plain}_zero_point")

    def _layer(self, node: onnx.NodeProto, depth: int) -> dict[str, np.ndarray]:
        """Return the weights of an LSTM layer of one or two directions."""
        names = list(node.input)
        if node.op_type == "LSTM":
            weights = [self.tensors[name] for name in names[1:3]]  # (directions, 4 H, D), (..., 4 H, H)
        else:
            each = ((names[1], *names[8:10]), (names[2], *names[10:12]))
            weights = [self._in_float(*one).swapaxes(1, 2) for one in each]
        biases = np.split(self.tensors[names[3]], 2, axis=1)  # (directions, 4 H) each
        state = {}
        for kind, values in zip(KINDS, (*weights, *biases), strict=True):
            for direction, rows in zip(DIRECTIONS[: len(values)], values, strict=True):
                gates = np.split(rows, len(GATES))
                ordered = np.concatenate([gates[gate] for gate in GATES])
                state[f"encoder.{direction}.{depth}.{kind}_l0"] = ordered
        return state

    def _in_float(self, quantized: str, scale: str, zero_point: str) -> np.ndarray:
        """Return a tensor in int8 (..., rows, columns) as float32; scales and zero points are of columns."""
        values, scales, zeros = (
            self.tensors[name].astype(np.float32) for name in (quantized, scale, zero_point)
        )
        return (values - zeros[..., None, :]) * scales[..., None, :]


def restored(modality: Modality, path: Path) -> tuple[Recognizer, OnnxRecognizer]:
    """Return the recognizer of an exported file, and the exported one.

    Raises:
        ValueError: the file is none of this modality, the network is not one of CTC and LSTM layers, or a
            weight is not in the graph, as where convolutions are in int8.
    """
    exported = OnnxRecognizer.load(modality, path)
    config = model_config(modality, read_onnx(path).header["config"])
    if (config.head.task, config.encoder.cell) != ("ctc", "lstm"):
        raise ValueError(
            f"{path}: a model of --task {config.head.task} and --cell {config.encoder.cell};"
            " name one of ctc and lstm"
        )
    config = replace(config, encoder=replace(config.encoder, shortcut=False, intermediate_weight=0.0))
    recognizer = Recognizer(modality, config, exported.alphabet, exported.card)
    found = Graph(path).state()
    given = GIVEN[:1] if getattr(config.front_end, "normalise", "") == "global" else GIVEN
    for name, values in recognizer.state_dict().items():
        if name.startswith(given):
            continue
        if name not in found or found[name].shape != tuple(values.shape):
            raise ValueError(
                f"{path}: has no {name} as it was trained; name a model without int8 convolutions and not of"
                " --normalise global"
            )
        values.copy_(torch.from_numpy(found[name].copy()))
    recognizer.decoder = exported.decoder
    return recognizer.eval(), exported


def distance(first: Transcriber, second: Transcriber, shape: tuple[int, ...]) -> float:
    """Return the mean difference of the log-probabilities of drawn noise of a shape (T, ...)."""
    draws = np.random.default_rng(1).normal(0, 0.1, (DRAWS, *shape)).astype(np.float32)
    ours, theirs = (np.concatenate(one.log_probs(list(draws)).each()) for one in (first, second))
    return float(np.abs(ours - theirs).mean())


def main() -> None:
    """Write the model file, once its output on noise is that of the exported model."""
    command = parse(Restore)
    recognizer, exported = restored({"asr": ASR, "ocr": OCR}[command.modality], command.exported)
    apart = distance(recognizer, exported, (100 * recognizer.stride, *recognizer.step_shape))
    if not apart <= LARGEST_DIFFERENCE:
        raise ValueError(f"{command.exported}: gives log-probabilities that differ by {apart:.2f} on average")
    print(f"{command.output}: its log-probabilities differ by {apart:.4f} on average from the exported ones")
    recognizer.save(command.output)


if __name__ == "__main__":
    main()

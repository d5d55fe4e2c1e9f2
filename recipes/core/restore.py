"""Take the network back out of an exported model, to train it on: restore.py asr MODEL.onnx OUT.safetensors.

Weights in int8 come back as float32 with the values that int8 left them, so that the network reads what the
exported one reads. Alphabet, settings of the search, language models and card stay. For CTC networks of LSTM
layers whose convolutions are in float32, as `export` writes them without --calibration.
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
from common.decoding.storage import decoder_from, symbols_from_dict
from common.files.onnx_file import read_onnx
from common.network.convolution import RELU_GAIN
from common.recognition.configuration import model_config
from common.recognition.loading import load_recognizer
from common.recognition.modality import Modality
from common.recognition.recognizer import Recognizer
from ocr.modality import OCR

GATES = [0, 2, 3, 1]
"""the places of the gates i, f, g and o of torch among those of ONNX, which are i, o, f and g"""
KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
DIRECTIONS = ("forwards", "backwards")
LARGEST_DIFFERENCE = 0.1
"""of log-probabilities, between float32 and int8 activations, on noise and on average"""


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
                state[name] = kernel / length[:, None, None, None]
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


def restored(modality: Modality, path: Path) -> Recognizer:
    """Return the recognizer of an exported file.

    Raises:
        ValueError: the task is not CTC, or a weight is not in the graph, as where convolutions are in int8.
    """
    file = read_onnx(path)
    config = model_config(modality, file.header["config"])
    if config.head.task != "ctc":
        raise ValueError(f"{path}: a model of --task {config.head.task}; name one of --task ctc")
    config = replace(config, encoder=replace(config.encoder, shortcut=False, intermediate_weight=0.0))
    alphabet = symbols_from_dict(file.header["alphabet"])
    recognizer = Recognizer(modality, config, alphabet, file.header["card"])
    found, trained = Graph(path).state(), dict(recognizer.named_parameters())
    for name, values in recognizer.state_dict().items():
        if name not in found and name not in trained:
            continue  # a constant of the front end, which the exported file may compute elsewhere
        if name not in found or found[name].shape != tuple(values.shape):
            raise ValueError(
                f"{path}: has no {name} as it was trained; name a model without int8 convolutions"
            )
        values.copy_(torch.from_numpy(found[name].copy()))
    recognizer.decoder, _ = decoder_from(alphabet, file.header["decoding"], file.tensors())
    return recognizer.eval()


def main() -> None:
    """Write the model file, once its output on noise is that of the exported model."""
    command = parse(Restore)
    modality = {"asr": ASR, "ocr": OCR}[command.modality]
    recognizer = restored(modality, command.exported)
    shape = (100 * recognizer.stride, *recognizer.step_shape)
    noise = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    ours, theirs = (
        one.log_probs([noise]).each()[0] for one in (recognizer, load_recognizer(modality, command.exported))
    )
    apart = float(np.abs(ours - theirs).mean())
    if not apart <= LARGEST_DIFFERENCE:
        raise ValueError(f"{command.exported}: gives log-probabilities that differ by {apart:.2f} on average")
    print(f"{command.output}: its log-probabilities differ by {apart:.4f} on average from the exported ones")
    recognizer.save(command.output)


if __name__ == "__main__":
    main()

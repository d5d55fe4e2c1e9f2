"""Export of a trained recognizer to one ONNX file, which `runtime` runs.

    signals (B, T) or (B, T, H), lengths (B,)                                          float32, int64
        -> front end -> recurrent layers, each one node with the lengths as an input -> head
    log_probs (B, S, C), steps (B,)                                                    float32, int64

A model that can follow a stream has two more inputs, which may be left out, and one more output:

    part (2,)                        only the steps from part[0] on and before part[1]; by default all
    state (P, layers, B, H)          of the recurrent layers before these steps; by default zeros
    state_after (P, layers, B, H)    after them; P is 2 for the LSTM, hidden units and memory, else 1

B and T are free.
"""

import copy
import logging
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from common.data.batch_plan import padded
from common.files.aside import written_aside
from common.files.onnx_file import metadata
from common.network.convolution import StandardisedConv2d
from common.network.heads import head_outputs
from common.network.recurrent import RecurrentEncoder
from common.recognition.quantisation import quantised
from common.recognition.recognizer import Recognizer

if TYPE_CHECKING:
    import onnx  # only the export needs it

log = logging.getLogger(__name__)

OPSET = 17
"""operator set of ONNX (2022), the first with layer normalisation"""
TRACED_STEPS = 40
"""steps of the example that is traced through the network; any number is possible"""
ALL_STEPS = (0, 2**62)
"""default of the input `part`"""
ENCODED = "encoded_steps"
"""output with the lengths in the encoder; with one label a sequence, log-probabilities have other lengths"""
RECURRENT = ("LSTM", "GRU", "RNN")
"""recurrent layers of ONNX"""


def export_onnx(
    recognizer: Recognizer, path: str | Path, int8: bool = False, calibration: Sequence[np.ndarray] = ()
) -> None:
    """Write `recognizer` with its decoder as an ONNX file, whole or not at all.

    Args:
        recognizer: the model, which is not changed.
        path: the file, usually .onnx.
        int8: whether to quantise the weights.
        calibration: some dozens of signals (T, ...) on which the ranges of maps are measured; without them
            convolutions stay in float32.

    Raises:
        OSError: the file cannot be written.
        ValueError: the model has an attention decoder, which cannot be exported.
    """
    if recognizer.task == "attention":
        raise ValueError(
            "a model of --task attention runs on torch alone; name the .safetensors to transcribe"
        )
    model = _graph(recognizer)
    cell = recognizer.config.encoder.cell
    if int8:
        if cell != "lstm":
            log.warning("cells of kind %s stay in float32: onnxruntime supports only the lstm in int8", cell)
        batches = [padded([signal], recognizer.front_end.shortest) for signal in calibration]
        model = quantised(model, batches)
    described, tensors = recognizer.described()
    header = {
        **described,
        "stride": recognizer.stride,
        "offset": recognizer.offset,
        "parameters": recognizer.parameter_count,
        "shortest": recognizer.front_end.shortest,
        "stream": _stream_header(recognizer),
        "opset": OPSET,
        "precision": "int8" if int8 else "float32",
    }
    del model.metadata_props[:]
    for key, value in metadata(header, tensors).items():
        model.metadata_props.add(key=key, value=value)
    with written_aside(path) as file:
        file.write(model.SerializeToString())


def _stream_header(recognizer: Recognizer) -> dict[str, Any]:
    """Return the context of a step, or the reason why the model cannot follow a stream."""
    try:
        return {"context": recognizer.context}
    except ValueError as error:
        return {"refused": str(error)}


class _Network(nn.Module):
    """A recognizer in the form that ONNX can hold: plain kernels, and one node for both directions."""

    def __init__(self, recognizer: Recognizer) -> None:
        super().__init__()
        front_end = recognizer.front_end
        exportable = front_end.exportable() if hasattr(front_end, "exportable") else front_end
        self.front_end = _with_plain_kernels(copy.deepcopy(exportable))
        self.encoder = _Layers(copy.deepcopy(recognizer.encoder))
        self.head = copy.deepcopy(recognizer.head)

    def forward(
        self, signals: Tensor, lengths: Tensor, part: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Return log-probabilities (B, S', C), their lengths (B,), and the lengths (B,) in the encoder.

        With `state` (P, layers, 1 or B, H), the state (P, layers, B, H) after these steps comes next.
        """
        features, steps = self.front_end(signals, lengths)  # (B, S, D)
        if part is not None:
            features = features[:, part[0] : part[1]]
            steps = (torch.minimum(steps, part[1]) - part[0]).clamp(min=0)
        encoded, after = self.encoder(features, state)
        found = (*head_outputs(self.head, encoded, steps), steps)  # (B, S', C)
        return found if after is None else (*found, after)


class _Layers(nn.Module):
    """The layers of an encoder; `_tell_lengths` connects the lengths to them in the graph."""

    def __init__(self, encoder: RecurrentEncoder) -> None:
        super().__init__()
        self.entry, self.norms = encoder.entry, encoder.norms
        backwards = encoder.backwards or [None] * len(encoder.forwards)
        self.layers = nn.ModuleList(map(_joined, encoder.forwards, backwards))

    def forward(self, features: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return the encoded steps (B, S, E) of `features` (B, S, D), and the state after them.

        Args:
            features: (B, S, D).
            state: (P, layers, 1 or B, H) before these steps; None for zeros, and none is returned.
        """
        encoded = features.transpose(0, 1)  # (S, B, D)
        if state is not None:
            state = state.expand(-1, -1, features.shape[0], -1)  # (P, layers, B, H)
        after = []
        if self.entry is not None:
            encoded = self.entry(encoded)  # (S, B, E)
        for depth, layer in enumerate(self.layers):
            before = encoded
            if self.norms is not None:
                encoded = self.norms[depth](encoded)
            first = None if state is None else tuple(state[:, depth : depth + 1])  # P of (1, B, H)
            encoded, last = layer(encoded, first if first is None or len(first) > 1 else first[0])
            after.append(torch.stack(last if isinstance(last, tuple) else (last,)))  # (P, 1, B, H)
            if self.norms is not None:
                encoded = before + encoded
        return encoded.transpose(0, 1), None if state is None else torch.cat(after, 1)  # (B, S, E)


def _joined(ahead: nn.Module, back: nn.Module | None) -> nn.RNNBase:
    """Return one layer, (S, B, D) to (S, B, E), equal to a layer forwards and one backwards."""
    assert isinstance(ahead, nn.RNNBase), "the encoder has recurrent layers"
    sizes, both = (ahead.input_size, ahead.hidden_size), back is not None
    layer: nn.RNNBase
    if isinstance(ahead, nn.RNN):
        layer = nn.RNN(*sizes, nonlinearity=ahead.nonlinearity, bidirectional=both)
    else:
        layer = type(ahead)(*sizes, bidirectional=both)  # type: ignore[arg-type, call-arg]
    weights = dict(ahead.state_dict())
    if back is not None:
        weights |= {f"{name}_reverse": weight for name, weight in back.state_dict().items()}
    layer.load_state_dict(weights)
    return layer


def _with_plain_kernels(module: nn.Module) -> nn.Module:
    """Replace each standardised convolution in `module` by a plain one with the same kernel."""
    for name, child in module.named_children():
        if isinstance(child, StandardisedConv2d):
            sizes = (child.in_channels, child.out_channels, child.kernel_size, child.stride, child.padding)
            plain = nn.Conv2d(*sizes)  # type: ignore[arg-type]
            plain.weight, plain.bias = nn.Parameter(child.standardised().detach()), child.bias
            setattr(module, name, plain)
        else:
            _with_plain_kernels(child)
    return module


def _graph(recognizer: Recognizer) -> "onnx.ModelProto":
    """Return the float32 graph of a recognizer."""
    import onnx

    network = _Network(recognizer).cpu().float().eval()
    front_end = recognizer.front_end
    T = TRACED_STEPS * recognizer.stride
    signals = torch.zeros(2, T, *getattr(front_end, "step_shape", ()))
    batch, steps = {0: "B"}, {0: "B", 1: "S"}
    axes = {"signals": {0: "B", 1: "T"}, "lengths": batch, "log_probs": steps, "steps": batch}
    optional = _stream_inputs(recognizer)
    if optional:
        axes |= {"state": {2: "state_B"}, "state_after": {2: "B"}}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # warnings: this exporter is deprecated (the new one fails on recurrent layers); batches may differ
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (signals, torch.tensor([T, T - 1]), *map(torch.from_numpy, optional.values())),
            f"{folder}/graph.onnx",
            input_names=["signals", "lengths", *optional],
            output_names=["log_probs", "steps", ENCODED, *(["state_after"] if optional else [])],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
        model = onnx.load(f"{folder}/graph.onnx")
    _tell_lengths(model.graph, bool(optional))
    # an input with an initializer of the same name may be left out
    model.graph.initializer.extend(onnx.numpy_helper.from_array(one, name) for name, one in optional.items())
    del model.graph.output[2]
    onnx.checker.check_model(model)
    return model


def _stream_inputs(recognizer: Recognizer) -> dict[str, np.ndarray]:
    """Return the defaults of the inputs for streams; none if the model cannot follow a stream."""
    if "refused" in _stream_header(recognizer):
        return {}
    encoder = recognizer.config.encoder
    parts = 2 if encoder.cell == "lstm" else 1
    return {
        "part": np.array(ALL_STEPS, np.int64),
        "state": np.zeros((parts, encoder.layers, 1, encoder.hidden_size), np.float32),
    }


def _tell_lengths(graph: "onnx.GraphProto", with_state: bool) -> None:
    """Connect the lengths to each recurrent node.

    The node then starts its backward pass at the end of each sequence, and gives zeros after the end. Its
    state after the sequence is that at the end. torch writes such nodes for packed sequences only, with a
    page of warnings.
    """
    from onnx import TensorProto, helper

    for node in graph.node:
        if node.op_type in RECURRENT:
            # x, weights, recurrent weights, bias, lengths, and the initial state, which is zero if left out
            node.input[4 : 5 if with_state else None] = ["steps_int32"]
    cast = helper.make_node("Cast", [ENCODED], ["steps_int32"], "steps_int32", to=TensorProto.INT32)
    wanted, first, others = {ENCODED}, [cast], []
    for node in reversed(graph.node):  # the nodes that compute the lengths go to the front
        if wanted.isdisjoint(node.output):
            others.append(node)
        else:
            first.append(node)
            wanted.update(node.input)
    del graph.node[:]
    graph.node.extend(reversed(others + first))

"""An exported graph in int8.

LSTM layers have weights of 8 bits, and the range of their inputs is measured when the model runs.
Convolutions use ranges that were measured on examples. The first convolution, the spectrogram, other cells
(onnxruntime supports them in float32 only) and the head stay in float32.
"""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx  # only the export needs it

WARNINGS, ERRORS_ONLY = 2, 3
"""lowest severities that onnxruntime logs: its default, and one without advice"""
BETWEEN_CONVOLUTIONS = ("Relu", "MaxPool", "Where", "Add", "Mul")
"""nodes in int8 between convolutions in int8, so that maps are not converted to float32 and back"""


def quantised(
    model: "onnx.ModelProto", calibration: Sequence[tuple[np.ndarray, np.ndarray]] = ()
) -> "onnx.ModelProto":
    """Return `model` in int8.

    On CPUs without VNNI, the sum of two products of unsigned inputs and signed weights overflows its 16 bits.
    So recurrent weights are unsigned, which costs nothing, and weights of convolutions have 7 bits
    (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html). The range of a map is the
    mean of its ranges in the examples: the extremes would leave few bits for ordinary values. The head stays
    in float32: it takes 1 % of the time, and in int8 it caused half of the changed characters.

    Args:
        model: the graph in float32.
        calibration: batches (signals, lengths) on which the ranges of maps are measured; without them
            convolutions stay in float32.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder, _without_advice():
        if calibration:
            quant_pre_process(model, f"{folder}/folded.onnx", skip_symbolic_shape=True)
            model = onnx.load(f"{folder}/folded.onnx")
            model = _quantised_convolutions(model, calibration, f"{folder}/static.onnx")
        quantize_dynamic(
            model,
            f"{folder}/dynamic.onnx",
            op_types_to_quantize=["LSTM", "MatMul"],
            nodes_to_exclude=[
                node.name for node in model.graph.node if node.name.startswith(("/front_end/", "/head/"))
            ],
            per_channel=True,
            weight_type=QuantType.QUInt8,
        )
        model = onnx.load(f"{folder}/dynamic.onnx")
    used = {node.domain for node in model.graph.node} | {""}
    for opset in [opset for opset in model.opset_import if opset.domain not in used]:
        model.opset_import.remove(opset)
    return model


@contextmanager
def _without_advice() -> Iterator[None]:
    """Suppress warnings: the advice that onnxruntime logs is followed here, or does not apply."""
    import onnxruntime

    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    onnxruntime.set_default_logger_severity(ERRORS_ONLY)
    try:
        yield
    finally:
        logging.disable(before)
        onnxruntime.set_default_logger_severity(WARNINGS)


def _quantised_convolutions(
    model: "onnx.ModelProto", calibration: Sequence[tuple[np.ndarray, np.ndarray]], path: str
) -> "onnx.ModelProto":
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Examples(CalibrationDataReader):
        def __init__(self) -> None:
            self.coming: Iterator[Any] = iter(calibration)

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.coming, None)
            return None if batch is None else {"signals": batch[0], "lengths": batch[1]}

    quantize_static(
        model,
        path,
        Examples(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", *BETWEEN_CONVOLUTIONS],
        nodes_to_quantize=_convolutions(model.graph),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        reduce_range=True,
        extra_options={"CalibMovingAverage": True},
    )
    return onnx.load(path)


def _convolutions(graph: "onnx.GraphProto") -> list[str]:
    """Return the names of the convolutions over several maps, and of the nodes between them.

    A convolution over one channel gains nothing in int8, and a spectrogram spans too many magnitudes.
    """
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    names, maps = [], set[str]()
    for node in graph.node:
        kernel = shapes.get(node.input[1], ()) if node.op_type == "Conv" else ()
        of_maps = len(kernel) == 4
        between = node.op_type in BETWEEN_CONVOLUTIONS and not maps.isdisjoint(node.input)
        if between or (of_maps and kernel[1] > 1):
            names.append(node.name)
        if between or of_maps:
            maps.update(node.output)
    return names

"""Model files in .safetensors: the weights, and as JSON all that rebuilds and describes the model.

    8 bytes   the length of the next part, little-endian
    JSON      names, types and offsets of the tensors; under "__metadata__", our header as a string
    bytes     the tensors

The format is https://github.com/huggingface/safetensors: nothing in it can run. Beside a tensor of int8, its
name with ".row_scale" may be the scales of its rows; it is read as their products, in float32.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from common.files.aside import written_aside
from common.files.header import KEY, decode_header, encode_header, read_bytes

FORMAT_VERSION = 1
MAX_HEADER = 100_000_000
"""bytes; the limit of the safetensors library"""
SCALE = ".row_scale"
"""after the name of a tensor of int8 (R, ...): the tensor (R,) of float32 by which each row is multiplied"""
LARGEST = 127
"""of the values of a row in int8, so that -127 is the smallest"""


class ModelFile(NamedTuple):
    """The content of a model file: its header, with `format_version`, and its tensors by name."""

    header: dict[str, Any]
    tensors: dict[str, np.ndarray]


def write_model(path: str | Path, tensors: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> None:
    """Write a model file. A file that is at `path` already is replaced once the new one is complete.

    Args:
        path: the file, usually .safetensors.
        tensors: the weights by name.
        header: anything that JSON can hold; `format_version` is added.

    Raises:
        OSError: the file cannot be written, for example because the disk is full.
    """
    # not ascontiguousarray: it turns a scalar into a vector
    ordered = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    raw = save(ordered, metadata={KEY: encode_header(header, FORMAT_VERSION)})
    with written_aside(path) as file:
        file.write(raw)


def read_model(path: str | Path) -> ModelFile:
    """Return the header and the tensors of a model file. Nothing in the file is executed.

    Tensors of int8 that have scales come in float32.

    Raises:
        ValueError: the file is not a complete model file of a version that this software reads.
    """
    raw = read_bytes(path, "a model file", ".safetensors")
    header = _header(path, raw)
    try:
        tensors = load(raw)
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: is damaged ({error}); copy or train the model again") from None
    return ModelFile(header, _scaled(path, tensors))


def _scaled(path: str | Path, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return tensors in which those that have scales are multiplied by them, and the scales are left out."""
    scales = {name.removesuffix(SCALE): tensors.pop(name) for name in list(tensors) if name.endswith(SCALE)}
    for name, scale in scales.items():
        rows = tensors.get(name)
        if rows is None or rows.dtype != np.int8 or rows.shape[:1] != scale.shape:
            raise ValueError(f"{path}: is damaged ({name} does not fit its scales); copy the model again")
        tensors[name] = rows * scale.astype(np.float32).reshape(-1, *[1] * (rows.ndim - 1))
    return tensors


def _header(path: str | Path, raw: bytes) -> dict[str, Any]:
    metadata = _index(path, raw).get("__metadata__")
    if not isinstance(metadata, dict) or KEY not in metadata:
        raise ValueError(
            f"{path}: holds tensors but no {KEY!r} header, so it is no model of ours; name a model we wrote"
        )
    return decode_header(path, metadata[KEY], FORMAT_VERSION, "copy or train the model again")


def _index(path: str | Path, raw: bytes) -> dict[str, Any]:
    """Return the JSON at the start of the file; ValueError if the file is not one or is cut short."""
    if not raw:
        raise ValueError(f"{path}: is empty; copy or train the model again")
    length = int.from_bytes(raw[:8], "little")
    if len(raw) < 8 or length > MAX_HEADER or raw[8:9] not in (b"", b"{"):
        raise ValueError(f"{path}: is not a .safetensors file (pickles are not read); name a model we wrote")
    tensors_begin = 8 + length
    index: Any = None
    if len(raw) >= tensors_begin:
        try:
            index = json.loads(raw[8:tensors_begin])
            wanted = tensors_begin + max(
                (tensor["data_offsets"][1] for name, tensor in index.items() if name != "__metadata__"),
                default=0,
            )
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            raise ValueError(f"{path}: is damaged; copy or train the model again") from None
    else:
        wanted = tensors_begin
    if len(raw) < wanted:
        raise ValueError(
            f"{path}: is cut short, {len(raw)} bytes of at least {wanted}; copy or train the model again"
        )
    return index

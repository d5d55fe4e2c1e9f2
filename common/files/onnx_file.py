"""Model files in .onnx, for onnxruntime: the graph with its weights, and metadata that describes the model.

An ONNX file is one protobuf message: a sequence of fields, each with its number and, unless it is itself a
number, its length.

    08 ...      field 1: the version of the format
    3a n ...    field 7: the graph with the weights, n bytes
    72 n ...    field 14, several times: a key and a value of the metadata; two are ours, the tensors of the
                decoder and, last, the header

This module parses the fields itself, because transcribing alone must not require the onnx package.
"""

import base64
import binascii
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from common.files.header import KEY, decode_header, encode_header, read_bytes

FORMAT_VERSION = 1
"""version of the header, and of the inputs and outputs of the graph"""
TENSORS_KEY = f"{KEY}.tensors"
"""the metadata key of language models and lexicon: safetensors, deflated, in base64"""
METADATA_FIELD = 14
"""number of this field in ModelProto, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto"""
FIRST_BYTE = 0x08
"""tag of field 1, the version of the format, with which every ONNX file begins"""


class OnnxFile(NamedTuple):
    """An ONNX file of ours: its header, the packed tensors of its decoder, and all of its bytes."""

    path: str
    header: dict[str, Any]
    packed: bytes
    raw: bytes

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the tensors of the decoder by name.

        Raises:
            ValueError: they are damaged.
        """
        if not self.packed:
            return {}
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            return load(zlib.decompress(base64.b64decode(self.packed, validate=True)))
        except (binascii.Error, zlib.error, SafetensorError, ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{self.path}: is damaged ({error}); export the model again") from None


def metadata(header: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Return the entries of the metadata in the order of writing.

    The header comes last, so that a file that is cut short has none.

    Args:
        header: anything that JSON can hold; `format_version` is added.
        tensors: of the decoder.
    """
    described = encode_header(header, FORMAT_VERSION)
    if not tensors:
        return {KEY: described}
    from safetensors.numpy import save  # here: a model without a language model starts faster

    ordered = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    packed = base64.b64encode(zlib.compress(save(ordered), 9)).decode()
    return {TENSORS_KEY: packed, KEY: described}


def read_onnx(path: str | Path) -> OnnxFile:
    """Return the content of an ONNX file of ours. Nothing in it is executed, and the graph is not parsed.

    Raises:
        ValueError: the file is not a complete ONNX file of a version that this software reads.
    """
    raw = read_bytes(path, "an exported model", ".onnx")
    if not raw:
        raise ValueError(f"{path}: is empty; export the model again")
    if raw[0] != FIRST_BYTE:
        raise ValueError(f"{path}: is not an ONNX file; name a model that `export` has written")
    fields = _fields(path, memoryview(raw))
    found = dict(_pair(path, field) for number, field in fields if number == METADATA_FIELD)
    if KEY not in found:
        raise ValueError(
            f"{path}: has no {KEY!r} header, so it is no model of ours or cut short; export the model again"
        )
    header = decode_header(path, found[KEY], FORMAT_VERSION, "export the model again")
    return OnnxFile(str(path), header, found.get(TENSORS_KEY, b""), raw)


def _pair(path: str | Path, message: memoryview) -> tuple[str, bytes]:
    """Return the key and the value of a StringStringEntryProto."""
    parts = {number: bytes(field) for number, field in _fields(path, message)}
    return parts.get(1, b"").decode(errors="replace"), parts.get(2, b"")


def _fields(path: str | Path, message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the number and the bytes of each field that has a length, in a protobuf message.

    See https://protobuf.dev/programming-guides/encoding.
    """
    place, short = 0, f"{path}: is damaged or cut short; export the model again"
    while place < len(message):
        tag, place = _varint(message, place)
        number, kind = tag >> 3, tag & 7
        length = {1: 8, 5: 4}.get(kind, 0)
        if kind in (0, 2):
            value, place = _varint(message, place)
            length = value if kind == 2 else 0
        elif kind not in (1, 5):
            raise ValueError(f"{path}: is damaged, or not an ONNX file; export the model again")
        if place + length > len(message):
            raise ValueError(short)
        if kind == 2:
            yield number, message[place : place + length]
        place += length


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return the number that starts at `place`, and the place after it.

    Each byte has 7 bits of the number, the lowest first. For a number without an end, the number that is
    returned is larger than any file.
    """
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            break
        byte = message[place]
        value, place = value | (byte & 0x7F) << shift, place + 1
        if byte < 0x80:
            return value, place
    return 1 << 70, len(message) + 1

"""Models for onnxruntime on disk: one .onnx file holds the graph, and in its metadata all that describes it.

    08 ...      an ONNX file is one protobuf message: its fields follow each other, each with its number,
    3a n ...    and with its length where it is not itself a number; field 7 is the graph with the weights
    72 n ...    field 14, several times: two strings; ours are the decoder's tensors and, last, the header

The fields are walked here, not by the onnx package, which those who only transcribe need not have.
"""

import base64
import binascii
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from common.files.header import KEY, read_header, written_header

FORMAT_VERSION = 1
"""of the header, and of what goes into the graph and comes out of it"""
TENSORS_KEY = f"{KEY}.tensors"
"""where language models and lexicon stand in the metadata: safetensors, deflated, in base64"""
METADATA_FIELD = 14
"""of ModelProto, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto"""
FIRST_BYTE = 0x08
"""field 1, a number: the version of the format, with which every ONNX file begins"""


class OnnxFile(NamedTuple):
    """What an ONNX file of ours holds: its header, the tensors of its decoder, packed, and all its bytes."""

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
    """Return what is to stand in the metadata, in this order: a file that is cut short has no header.

    Args:
        header: what JSON can hold; `format_version` is added.
        tensors: of the decoder.
    """
    described = written_header(header, FORMAT_VERSION)
    if not tensors:
        return {KEY: described}
    from safetensors.numpy import save  # which a model without them does without

    ordered = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    packed = base64.b64encode(zlib.compress(save(ordered), 9)).decode()
    return {TENSORS_KEY: packed, KEY: described}


def read_onnx(path: str | Path) -> OnnxFile:
    """Return what an ONNX file of ours holds; nothing in it is executed, and the graph is not looked at.

    Raises:
        ValueError: for anything but a whole file of a version that is known here.
    """
    try:
        raw = Path(path).read_bytes()
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; name an exported model (.onnx)") from None
    except IsADirectoryError:
        raise ValueError(f"{path}: is a folder; name an exported model (.onnx) in it") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); name an exported model") from error
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
    header = read_header(path, found[KEY], FORMAT_VERSION, "export the model again")
    return OnnxFile(str(path), header, found.get(TENSORS_KEY, b""), raw)


def _pair(path: str | Path, message: memoryview) -> tuple[str, bytes]:
    """Return key and value of a StringStringEntryProto."""
    parts = {number: bytes(field) for number, field in _fields(path, message)}
    return parts.get(1, b"").decode(errors="replace"), parts.get(2, b"")


def _fields(path: str | Path, message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and bytes of each field of a protobuf message that has a length.

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
    """Return the number that begins at `place`, 7 bits a byte, lowest first, and where it ends.

    A number without an end is larger than any file.
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

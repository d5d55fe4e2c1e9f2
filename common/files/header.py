"""What model files of both kinds, .safetensors and .onnx, have in common: their reading and their header.

The header is JSON in the metadata of the file. It rebuilds and describes the model.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.files.pipe import refuse_device
from common.files.plain_text import json_text

KEY = "amanuensis"
"""the key of the header in the metadata of the file"""


def read_bytes(path: str | Path, kind: str, ending: str) -> bytes:
    """Return the content of a model file.

    Args:
        path: the file.
        kind: what to name instead, for messages, such as "a model file".
        ending: of such files, for messages.

    Raises:
        ValueError: the file cannot be read.
    """
    try:
        refuse_device(path)
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; name {kind} ({ending})") from None
    except IsADirectoryError:
        raise ValueError(f"{path}: is a folder; name {kind} ({ending}) in it") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); name {kind}") from error


def encode_header(header: Mapping[str, Any], version: int) -> str:
    """Return the header as JSON, with the version of the file's format."""
    return json_text({**header, "format_version": version})


def decode_header(path: str | Path, described: str | bytes, newest: int, remedy: str) -> dict[str, Any]:
    """Return the header that `encode_header` wrote.

    Args:
        path: of the file, for messages.
        described: the JSON.
        newest: the newest format version that this software reads.
        remedy: what to do about a damaged file, for messages.

    Raises:
        ValueError: the header is damaged, or of a newer version.
    """
    try:
        header = json.loads(described)
        version = header["format_version"]
    except (ValueError, TypeError, KeyError, RecursionError):
        version = None
    if not isinstance(version, int) or version < 1:
        raise ValueError(f"{path}: its header is damaged; {remedy}")
    if version > newest:
        raise ValueError(
            f"{path}: is of format version {version}, known here up to {newest}; install a newer amanuensis"
        )
    return header

"""The header of a model file of either kind: JSON that rebuilds and describes the model."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KEY = "amanuensis"
"""where it stands in the metadata of the file"""


def written_header(header: Mapping[str, Any], version: int) -> str:
    """Return as JSON what a file of this format version says of its model."""
    return json.dumps({**header, "format_version": version}, ensure_ascii=False)


def read_header(path: str | Path, described: str | bytes, newest: int, remedy: str) -> dict[str, Any]:
    """Return what `written_header` has written.

    Args:
        path: of the file, for messages.
        described: the JSON.
        newest: format version that is known here.
        remedy: what to do about a damaged file.

    Raises:
        ValueError: it is damaged, or of a newer version.
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

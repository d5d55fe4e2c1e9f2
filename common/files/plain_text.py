"""Text files as people have them: UTF-8, compressed or not, with the line ends of any system."""

import bz2
import gzip
import json
import lzma
import re
import zlib
from pathlib import Path
from typing import Any

from common.files.pipe import refuse_device
from common.files.standard import standard_input

COMPRESSIONS = {b"\x1f\x8b": gzip, b"\xfd7zXZ\0": lzma, b"BZh": bz2}
"""the module that decompresses a file, by the first bytes of the file"""


def json_object(content: bytes, name: str) -> dict[str, Any]:
    """Return the fields of a JSON object; ValueError, with its name, if it is none."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{name}: is no JSON object; correct it")
    return found


def json_text(value: Any, indent: int | None = None, allow_nan: bool = True) -> str:
    """Return JSON in UTF-8; names of files that are not UTF-8 are escaped as Python decodes them."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=allow_nan, indent=indent)
    return re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", text)


def read_lines(path: str | Path) -> list[str]:
    """Return the lines of a plain text, compressed or not, without their line ends.

    Args:
        path: the file; "-" is standard input.

    Raises:
        ValueError: the file cannot be read, is damaged, or is not UTF-8.
    """
    try:
        refuse_device(path)
        raw = standard_input().read() if str(path) == "-" else Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); name a text file") from error
    raw = _decompressed(raw, path)
    try:
        return _lines(raw)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}:{line}: byte {raw[error.start]:#04x} is not UTF-8; convert the file to UTF-8"
        ) from None


def read_line(path: str | Path) -> str:
    r"""Return the only line of a transcription file, without its line end and otherwise unchanged.

    Lines end with \n, \r\n or \r. Blank lines before and after it are skipped, and so is a byte order mark.

    Raises:
        ValueError: the file cannot be read, is not UTF-8, or has no line or several.
    """
    try:
        refuse_device(path)
        raw = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); name a file of one line") from error
    return only_line(raw, path)


def only_line(raw: bytes, path: str | Path) -> str:
    """Return the only line of a transcription, see `read_line`; `path` is its name for messages."""
    try:
        lines = [line for line in _lines(raw) if line and not line.isspace()]
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: byte {raw[error.start]:#04x} at offset {error.start} is not UTF-8; "
            "convert the file to UTF-8"
        ) from None
    if not lines:
        raise ValueError(f"{path}: is empty, one line of text was wanted; write it or remove the file")
    if len(lines) > 1:
        raise ValueError(f"{path}: has {len(lines)} lines of text, one was wanted; split it, one line a file")
    return lines[0]


def _decompressed(raw: bytes, path: str | Path) -> bytes:
    for start, module in COMPRESSIONS.items():
        if raw.startswith(start):
            try:
                return module.decompress(raw)  # type: ignore[attr-defined]
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
                problem = f"its compression is damaged ({error}); copy the file again"
                raise ValueError(f"{path}: {problem}") from None
    return raw


def _lines(raw: bytes) -> list[str]:
    r"""Return the lines of UTF-8 without their line ends and without a byte order mark.

    str.splitlines would also break lines at characters such as U+2028, which may stand within a text.
    """
    text = raw.decode("utf-8").removeprefix("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")

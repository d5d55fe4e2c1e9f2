"""Text files as people have them: UTF-8, compressed or not, line ends of any system."""

import bz2
import gzip
import lzma
import re
import sys
import zlib
from pathlib import Path

COMPRESSIONS = {b"\x1f\x8b": gzip, b"\xfd7zXZ\0": lzma, b"BZh": bz2}
"""by the first bytes of a file"""


def read_lines(path: str | Path) -> list[str]:
    """Return the lines of a plain text, compressed or not; "-" is standard input.

    Raises:
        ValueError: it cannot be read, is damaged, or is not UTF-8.
    """
    try:
        raw = sys.stdin.buffer.read() if str(path) == "-" else Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); name a text file") from error
    for start, module in COMPRESSIONS.items():
        if raw.startswith(start):
            try:
                raw = module.decompress(raw)  # type: ignore[attr-defined]
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
                problem = f"its compression is damaged ({error}); copy the file again"
                raise ValueError(f"{path}: {problem}") from None
            break
    try:
        text = raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}:{line}: byte {raw[error.start]:#04x} is not UTF-8; convert the file to UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def read_text(path: str | Path) -> str:
    r"""Return the one line of a transcription file, without its line break and otherwise as it stands.

    Lines end with \n, \r\n or \r; blank lines around the one do not count, nor does a byte order mark.

    Raises:
        ValueError: for a file that cannot be read, is not UTF-8, or has no or several lines.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); name a file of one line") from error
    try:
        text = raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: byte {raw[error.start]:#04x} at offset {error.start} is not UTF-8; "
            "convert the file to UTF-8"
        ) from None
    lines = [line for line in re.split(r"\r\n|\n|\r", text) if line and not line.isspace()]
    if not lines:
        raise ValueError(f"{path}: is empty, one line of text was wanted; write it or remove the file")
    if len(lines) > 1:
        raise ValueError(f"{path}: has {len(lines)} lines of text, one was wanted; split it, one line a file")
    return lines[0]

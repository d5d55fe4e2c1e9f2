"""The standard streams of the process, of which a daemon or a cron job may have closed some."""

import io
import os
import sys
from typing import Any, BinaryIO

STANDARD_INPUT, STANDARD_OUTPUT = "standard input", "standard output"
"""their names in messages"""
ANY_NAME = "surrogateescape"
"""how text with names of files is encoded: a name that is not UTF-8 is written as the bytes that it is"""


class ClosedOutput(io.TextIOBase):
    """Standard output that was closed before the process began; Python has None in its place."""

    def write(self, _text: str, /) -> int:
        """Raise the error of a closed descriptor."""
        raise OSError(f"{STANDARD_OUTPUT}: cannot be written (it is closed)")


def prepare_streams() -> None:
    """Prepare the standard streams for messages and names of all kinds.

    Closed ones are replaced, so that messages do not go to standard output, and lost output is an error.
    """
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = ClosedOutput()
    elif isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=ANY_NAME)


def standard_input() -> BinaryIO:
    """Return the bytes of standard input.

    Raises:
        ValueError: it is closed.
    """
    stream: Any = sys.stdin
    if stream is None:
        raise ValueError(f"{STANDARD_INPUT}: is closed; name a file")
    return stream.buffer

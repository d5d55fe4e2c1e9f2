"""Files that can be read only once: pipes, standard input, and bytes in memory."""

import os
import stat
from io import BytesIO
from typing import BinaryIO

PIPE_LIMIT = 2**30
"""bytes that are read from a pipe at most: an endless one would fill the memory"""


class PipeContent(BytesIO):
    """The content of a file that can be read only once.

    Args:
        content: the bytes.
        name: of the file, for messages.
        page: the page that is wanted, counted from 0, or None.
    """

    def __init__(self, content: bytes, name: str, page: int | None = None) -> None:
        super().__init__(content)
        self.name, self.page = name, page


def is_pipe(path: str | os.PathLike[str]) -> bool:
    """Return whether a path names a pipe or a socket, whose content can be read only once.

    Raises:
        ValueError: it names a device.
    """
    refuse_device(path)
    mode = _mode(path)
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def refuse_device(path: str | os.PathLike[str]) -> None:
    """Raise ValueError if a path names a device, such as /dev/zero, which has no end."""
    mode = _mode(path)
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise ValueError(f"{os.fspath(path)}: is a device; name a file or a pipe")


def _mode(path: str | os.PathLike[str]) -> int:
    try:
        return os.stat(path).st_mode
    except (OSError, ValueError):  # there is no such file; ValueError: its name has a null byte
        return 0


def read_pipe(pipe: BinaryIO, name: str) -> PipeContent:
    """Return all that comes out of a pipe.

    Raises:
        ValueError: more than PIPE_LIMIT comes out of it.
    """
    content = pipe.read(PIPE_LIMIT + 1)
    if len(content) > PIPE_LIMIT:
        raise ValueError(f"{name}: more than {PIPE_LIMIT:,} bytes came; write them to a file and name it")
    return PipeContent(content, name)


def content_of(path: str | os.PathLike[str]) -> PipeContent:
    """Return all that comes out of the pipe that a path names."""
    with open(path, "rb") as pipe:
        return read_pipe(pipe, os.fspath(path))

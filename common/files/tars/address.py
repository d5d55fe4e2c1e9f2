"""Files by their paths, or at addresses such as s3://bucket/000.tar, which fsspec reads."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader, RawIOBase
from typing import Any, BinaryIO

ADDRESS = re.compile("[a-z][a-z0-9+.-]*://")
AHEAD_BYTES = 2**23
"""what is read ahead around the first place of a file that is read there"""
AHEAD_BLOCKS = 64
"""blocks that a process remembers to have asked for: those of two windows of `shards.windows`"""

_ahead: dict[tuple[str, int], None] = {}


def is_address(name: str) -> bool:
    """Return whether a name is an address, and not that of a file that is there."""
    return ADDRESS.match(name) is not None and not os.path.exists(name)


@contextmanager
def open_file(path: str) -> Iterator[BinaryIO]:
    """Open a file to be read, at a path or an address.

    Raises:
        OSError: the path cannot be read.
        ValueError: the address cannot be read, or fsspec is missing.
    """
    if not is_address(path):
        with open(path, "rb") as file:
            yield file
        return
    with _reading(path):
        system, name = _system(path)
        opened = system.open(name, "rb")
    with BufferedReader(_Addressed(path, opened)) as file:
        yield file


def read_start(path: str, size: int) -> bytes:
    """Return the first bytes of a file, `size` of them or as many as there are; see `open_file`."""
    with open_file(path) as file:
        return file.read(size)


def read_span(path: str, offset: int, size: int) -> bytes:
    """Return the bytes of a file from `offset` on, `size` of them or as many as there are.

    Raises:
        OSError: the path cannot be read.
        ValueError: the address cannot be read, or fsspec is missing.
    """
    if not is_address(path):
        with open(path, "rb", buffering=0) as file:
            _read_ahead(file.fileno(), path, offset)
            file.seek(offset)
            return file.read(size)
    with _reading(path):
        system, name = _system(path)
        content: bytes = system.cat_file(name, start=offset, end=offset + size)
    if len(content) > size:  # as servers do that do not know the header Range of HTTP
        raise ValueError(
            f"{path}: whole files come from there where a part is asked for; copy the file to disk, or to a"
            " server that answers ranges"
        )
    return content


def _read_ahead(descriptor: int, path: str, offset: int) -> None:
    """Have the system read what surrounds a place of a file in one go, once: it will be wanted soon."""
    block = (path, offset // AHEAD_BYTES)
    if block in _ahead or not hasattr(os, "posix_fadvise"):
        return
    _ahead[block] = None
    while len(_ahead) > AHEAD_BLOCKS:
        with suppress(KeyError, StopIteration):  # another thread has done it
            del _ahead[next(iter(_ahead))]
    os.posix_fadvise(descriptor, block[1] * AHEAD_BYTES, AHEAD_BYTES, os.POSIX_FADV_WILLNEED)


def version_of(path: str) -> tuple[int, str]:
    """Return the size of a file in bytes, and what changes when it is written anew.

    Raises:
        OSError: the path cannot be read.
        ValueError: the address cannot be read, or fsspec is missing.
    """
    if not is_address(path):
        status = os.stat(path)
        return status.st_size, f"{status.st_size} {status.st_mtime_ns}"
    with _reading(path):
        system, name = _system(path)
        return int(system.info(name)["size"]), str(system.ukey(name))


def exists(path: str) -> bool:
    """Return whether there is a file at a path or an address.

    Raises:
        ValueError: fsspec is missing, or does not reach the address.
    """
    if not is_address(path):
        return os.path.isfile(path)
    with _reading(path):
        system, name = _system(path)
        return bool(system.isfile(name))


def files_in(folder: str) -> list[str]:
    """Return the files right in a folder, sorted; none if it is not there.

    Raises:
        ValueError: the address cannot be read, or fsspec is missing.
    """
    if not is_address(folder):
        if not os.path.isdir(folder):
            return []
        return sorted(entry.path for entry in os.scandir(folder) if entry.is_file())
    with _reading(folder):
        system, name = _system(folder)
        if not system.isdir(name):
            return []
        found = system.ls(name, detail=True)
    names = [os.path.basename(entry["name"]) for entry in found if entry["type"] == "file"]
    return sorted(f"{folder.rstrip('/')}/{name}" for name in names)


class _Addressed(RawIOBase):
    """A file that fsspec has opened, whose errors are sentences with its address."""

    def __init__(self, address: str, file: Any) -> None:
        self.address, self.file = address, file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with _reading(self.address):
            return int(self.file.seek(offset, whence))

    def readinto(self, buffer: Any) -> int:
        with _reading(self.address):
            content = self.file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self.file.close()
        super().close()


def _system(address: str) -> tuple[Any, str]:
    """Return the file system of an address, which fsspec keeps, and the name of the file in it."""
    try:
        import fsspec
    except ImportError:
        raise ValueError(
            f"{address}: fsspec reads addresses, and is missing; pip install fsspec, and what it needs for"
            " this kind of address, such as s3fs"
        ) from None
    system, name = fsspec.core.url_to_fs(address)
    return system, str(name)


@contextmanager
def _reading(address: str) -> Iterator[None]:
    """Turn the errors of file systems, each of which has its own, into sentences."""
    try:
        yield
    except FileNotFoundError:
        raise ValueError(f"{address}: does not exist; name another address") from None
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith(f"{address}: "):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{address}: cannot be read ({reason})") from error

"""Files that appear complete or not at all: they are written under another name and then renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def written_aside(path: str | Path, sync: bool = True) -> Iterator[BinaryIO]:
    """Open a file that is renamed to `path` once it is complete, and deleted if an error is raised.

    Until then, `path` keeps its old content. A device or a pipe is written to directly. `sync` keeps the file
    whole even if the machine stops; of small files it takes longer than writing them.

    Raises:
        OSError: the file cannot be written, for example because the disk is full.
    """
    path = Path(os.path.realpath(path))  # a link stays a link
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, a file was to be written; name a file in it")
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    aside = path.with_name(f".{path.name[:50]}.{os.getpid()}.part")
    try:
        with aside.open("wb") as file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        aside.replace(path)
    except BaseException as error:
        aside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None and error.filename in (None, str(aside)):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise

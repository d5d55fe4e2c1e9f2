"""Files that verbs write, and the error for what they could not do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ItemsFailedError(Exception):
    """Some items of the call failed, each already named; the others are done."""


def make_place(path: Path) -> None:
    """Make the folder of a file to be written at the end, so that what fails there fails now."""
    if path.is_dir():
        raise ValueError(f"{path}: is a folder; name a file to write")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Name `path` in the error if it cannot be written: Python's own has no name once the file is open."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(f"{path}: cannot be written ({error.strerror or error})") from error

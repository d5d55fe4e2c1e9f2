"""Files at addresses such as s3://bucket/a.png, read by fsspec and what it needs for their kind."""

import os
import re

from common.files.pipe import PIPE_LIMIT, PipeContent
from common.files.source import PART

ADDRESS = re.compile("[a-z][a-z0-9+.-]*://")


def is_remote(name: str) -> bool:
    """Return whether a name is an address, and not that of a file that is there."""
    return ADDRESS.match(name) is not None and not os.path.exists(name)


def remote_content(address: str) -> PipeContent:
    """Return the content of the file at an address.

    Raises:
        ValueError: it cannot be read, fsspec is missing, or a part of it is wanted.
    """
    if PART.search(address) is not None:
        raise ValueError(f"{address}: names a part, but addresses are read whole; copy the file here")
    try:
        import fsspec
    except ImportError:
        raise ValueError(
            f"{address}: fsspec reads addresses, and is missing; pip install fsspec, and what it needs for"
            " this kind of address, such as s3fs"
        ) from None
    try:
        with fsspec.open(address, "rb") as file:
            content: bytes = file.read(PIPE_LIMIT + 1)
    except FileNotFoundError:
        raise ValueError(f"{address}: does not exist; name another address") from None
    except Exception as error:  # each kind of address has errors of its own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{address}: cannot be read ({reason})") from error
    if len(content) > PIPE_LIMIT:
        raise ValueError(f"{address}: has more than {PIPE_LIMIT:,} bytes; copy the file here")
    return PipeContent(content, address)

"""Files at addresses such as s3://bucket/a.png, read whole."""

from common.files.pipe import PIPE_LIMIT, PipeContent
from common.files.source import PART
from common.files.tars.address import read_start


def remote_content(address: str) -> PipeContent:
    """Return the content of the file at an address.

    Raises:
        ValueError: it cannot be read, fsspec is missing, or a part of it is wanted.
    """
    if PART.search(address) is not None:
        raise ValueError(f"{address}: names a part, but addresses are read whole; copy the file here")
    content = read_start(address, PIPE_LIMIT + 1)
    if len(content) > PIPE_LIMIT:
        raise ValueError(f"{address}: has more than {PIPE_LIMIT:,} bytes; copy the file here")
    return PipeContent(content, address)

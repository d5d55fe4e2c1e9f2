"""Files within tars as sources: "shards/000.tar::00000012.flac"."""

import os
import re
from functools import lru_cache

from common.files.tars.address import read_span, version_of
from common.files.tars.listing import list_tar

NAMED = re.compile(r"(.+?\.tar)::(.+)", re.DOTALL | re.IGNORECASE)
"""a file in a tar, as a source"""
END = re.compile(r".\.tar::", re.DOTALL | re.IGNORECASE)
DIGEST_BYTES = 16
LISTED_TARS = 4
"""tars whose list of files is kept, for sources that do not know where they are"""


class Member(str):
    """The source of a file within a tar, which knows where in the tar it is.

    It is the string by which it is called. Copies that string methods make, such as joined paths, are plain
    strings; the tar is then searched for the file.

    Args:
        source: "shards/000.tar::00000012.flac".
        offset: where its bytes begin in the tar.
        size: the number of its bytes.
        digest: of its bytes, see `digest_of`.
    """

    __slots__ = ("digest", "offset", "size")

    offset: int
    size: int
    digest: str

    def __new__(cls, source: str, offset: int, size: int, digest: str) -> "Member":
        """Make a source; strings are made by `__new__`."""
        member = super().__new__(cls, source)
        member.offset, member.size, member.digest = offset, size, digest
        return member

    def __reduce__(self) -> tuple[type, tuple[str, int, int, str]]:
        return Member, (str(self), self.offset, self.size, self.digest)

    def moved(self, source: str) -> "Member":
        """Return the same file under another name of its tar."""
        return Member(source, self.offset, self.size, self.digest)


def digest_of(content: bytes) -> str:
    """Return what stands for the bytes of a file: 32 hexadecimal digits of BLAKE2b."""
    import hashlib

    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).hexdigest()


def is_member(source: object) -> bool:
    """Return whether a source is a file within a tar; a file that exists under the whole name is none."""
    if isinstance(source, Member):
        return True
    return (
        isinstance(source, str)
        and "::" in source
        and NAMED.fullmatch(source) is not None
        and not os.path.exists(source)
    )


def tar_of(source: str) -> str:
    """Return the tar of a source that `is_member`: "shards/000.tar"."""
    found = END.search(source)
    assert found is not None, f"{source} is no file in a tar"
    return source[: found.end() - 2]


def read_member(source: str) -> bytes:
    """Return the bytes of a file within a tar.

    Args:
        source: one that `is_member`.

    Raises:
        ValueError: there is no such file, or its bytes are not those that were written.
        OSError: the tar cannot be read.
    """
    tar = tar_of(source)
    if isinstance(source, Member):
        offset, size = source.offset, source.size
    else:
        name = source[len(tar) + 2 :]
        places = _places(tar, version_of(tar)[1])
        if name not in places:
            raise ValueError(f"{source}: {tar} has no file {name}; name another one")
        offset, size = places[name]
    content = read_span(tar, offset, size)
    if len(content) < size:
        raise ValueError(f"{source}: {tar} is cut short: it ends before this file does; get the whole tar")
    if isinstance(source, Member) and digest_of(content) != source.digest:
        raise ValueError(
            f"{source}: is not what was written there: {tar} is damaged, or was written anew without its"
            " index; copy or make both again"
        )
    return content


@lru_cache(LISTED_TARS)
def _places(tar: str, _version: str) -> dict[str, tuple[int, int]]:
    """Return offset and size of each file in a tar."""
    return {entry.name: (entry.offset, entry.size) for entry in list_tar(tar).entries}

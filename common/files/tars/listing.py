"""What is in a tar, from its headers, and whether the tar is whole."""

import tarfile
from typing import NamedTuple

from common.files.tars.address import open_file

COMPRESSED = {b"\x1f\x8b": "gunzip", b"\xfd7zXZ\0": "unxz", b"BZh": "bunzip2", b"\x28\xb5\x2f\xfd": "unzstd"}
"""what unpacks a file, by its first bytes"""


class Entry(NamedTuple):
    """A file in a tar: its name, where its bytes begin, and how many they are."""

    name: str
    offset: int
    size: int


class TarList(NamedTuple):
    """The files of a tar, and a sentence about a tar that is damaged: what lies behind the damage is lost."""

    entries: list[Entry]
    problems: list[str]


def list_tar(tar: str) -> TarList:
    """Return the files in a tar; folders, links and devices are none.

    Raises:
        ValueError: it is no tar, or is compressed.
        OSError: it cannot be read.
    """
    with open_file(tar) as file:
        start = file.read(6)
        for magic, program in COMPRESSED.items():
            if start.startswith(magic):
                raise ValueError(f"{tar}: is compressed, and a plain tar was wanted; unpack it by {program}")
        file.seek(0)
        entries = list[Entry]()
        try:
            with tarfile.open(fileobj=file, mode="r:") as opened:
                for info in opened:
                    if info.isreg() and not info.issparse():
                        entries.append(Entry(info.name, info.offset_data, info.size))
                end = opened.offset
        except tarfile.TarError as error:
            if not entries:
                raise ValueError(f"{tar}: is no tar ({error}); name another file") from None
            return _damaged(tar, entries, str(error))
        file.seek(end)
        mark = file.read(tarfile.BLOCKSIZE)
    if any(mark):
        return _damaged(tar, entries, "a header in it is none")
    if not mark:
        return _damaged(tar, entries, "it has no end")
    return TarList(entries, [])


def _damaged(tar: str, entries: list[Entry], reason: str) -> TarList:
    sentence = f"{tar}: is damaged after {entries[-1].name if entries else 'its start'} ({reason}); get the"
    return TarList(entries, [f"{sentence} whole tar: what comes after that is not used"])

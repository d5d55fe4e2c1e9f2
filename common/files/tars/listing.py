"""What is in a tar, from its headers, and whether the tar is whole."""

import os
import tarfile
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

from common.command_line.counting import counted
from common.files.tars.address import open_file

COMPRESSED = {b"\x1f\x8b": "gunzip", b"\xfd7zXZ\0": "unxz", b"BZh": "bunzip2", b"\x28\xb5\x2f\xfd": "unzstd"}
"""what unpacks a file, by its first bytes"""


NO_HEADER = "a header in it is none"


class Entry(NamedTuple):
    """A file in a tar: its name, where its bytes begin, and how many they are."""

    name: str
    offset: int
    size: int


class TarList(NamedTuple):
    """The files of a tar, and sentences about the parts of it that cannot be used."""

    entries: list[Entry]
    problems: list[str]


def list_tar(tar: str) -> TarList:
    """Return the files in a tar that are there as a whole.

    Folders and hidden files are left out, as in a folder of files: macOS adds a file ._NAME to each NAME. Of
    several files of one name the last counts, as when a tar is unpacked.

    Raises:
        ValueError: it is no tar, or is compressed.
        OSError: it cannot be read.
    """
    with open_file(tar) as file:
        start = file.read(6)
        for magic, program in COMPRESSED.items():
            if start.startswith(magic):
                raise ValueError(f"{tar}: is compressed, and a plain tar was wanted; unpack it by {program}")
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        found, damage = _headers(file, tar)
    if damage and not found:
        raise ValueError(f"{tar}: is no tar ({damage}); name another file")
    whole = [info for info in found if not _is_file(info) or 0 <= info.size <= size - info.offset_data]
    listed, problems = _files([info for info in whole if not os.path.basename(info.name).startswith(".")])
    if damage:
        last = whole[-1].name if whole else "its start"
        problems.append(f"is damaged after {last} ({damage}); get the whole tar: what follows is not used")
    return TarList(listed, [f"{tar}: {problem}" for problem in problems])


def _headers(file: BinaryIO, tar: str) -> tuple[list[tarfile.TarInfo], str]:
    """Return the headers in a tar, and why there are no more; "" if the tar ends as it should.

    Raises:
        ValueError: the file is at an address and cannot be read.
    """
    found = list[tarfile.TarInfo]()
    try:
        with tarfile.open(fileobj=file, mode="r:") as opened:
            for info in opened:
                found.append(info)
            end = opened.offset
    except tarfile.TarError as error:
        return found, str(error)
    except (ValueError, OverflowError) as error:  # tarfile takes numbers and names in headers for sound
        if str(error).startswith(tar):
            raise
        return found, NO_HEADER
    file.seek(end)
    mark = file.read(tarfile.BLOCKSIZE)
    if any(mark):
        return found, NO_HEADER
    return found, "" if mark else "it has no end"


def _files(found: Sequence[tarfile.TarInfo]) -> tuple[list[Entry], list[str]]:
    """Return the files that can be read, and what is wrong with the others."""
    entries: dict[str, Entry] = {}
    linked, repeated, problems = list[str](), dict[str, None](), list[str]()
    for info in found:
        if info.islnk() or info.issym() or info.issparse():
            linked.append(info.name)
        elif _is_file(info):
            if entries.pop(info.name, None) is not None:
                repeated[info.name] = None
            entries[info.name] = Entry(info.name, info.offset_data, info.size)
    if linked:
        problems.append(
            f"{_named(linked)} in it: links and sparse files are not read; write the tar anew with the files"
            " themselves"
        )
    if repeated:
        problems.append(f"has {_named(list(repeated))} more than once, of which the last counts; keep one")
    return list(entries.values()), problems


def _is_file(info: tarfile.TarInfo) -> bool:
    """Return whether the bytes of a file stand in the tar as they are."""
    return info.isreg() and not info.issparse()


def _named(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {counted(len(names) - 1, 'other')}"

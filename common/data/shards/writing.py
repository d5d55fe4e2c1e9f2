"""Examples written to tars, as webdataset reads them, each tar with an index beside it.

000.tar     00000000.flac  00000000.json  00000001.flac  00000001.json ...
000.jsonl   a manifest of the tar, see `reading`
"""

import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from common.data.manifest import Example, known_of, write_manifest
from common.data.shards.naming import TAR
from common.data.shards.reading import INDEX
from common.data.signal import Source
from common.files.aside import written_aside
from common.files.pipe import PipeContent
from common.files.plain_text import json_text
from common.files.source import part_of, stored
from common.files.tars.member import Member, digest_of

Pack = Callable[[str], tuple[str, bytes]]
"""`(source)`: the ending and the content of a file that holds this part of a file alone"""


class Written(NamedTuple):
    """What was written: the tars, the number of examples, and a sentence for each that could not be."""

    tars: list[Path]
    examples: int
    problems: list[str]


def write_tars(
    examples: Iterable[Example],
    folder: Path,
    tar_bytes: int,
    pack: Pack | None,
    measure: Callable[[Source], float],
    digits: int = 3,
) -> Written:
    """Write examples to FOLDER/000.tar, 001.tar ... in their order.

    Files are copied byte by byte; a part of a file, such as a segment of a recording, becomes a file of its
    own. A tar and its index appear together once both are complete.

    Args:
        examples: they may be more than memory holds.
        folder: it has no such tars yet.
        tar_bytes: about how large a tar gets.
        pack: makes files of parts; None if there are no parts.
        measure: returns the length of a signal from the content of its file.
        digits: of the number of a tar.

    Raises:
        OSError: a tar cannot be written.
    """
    tars, problems, count = list[Path](), list[str](), 0
    packed = _packed(examples, pack, measure, problems)
    following = next(packed, None)
    while following is not None:
        path = folder / f"{len(tars):0{digits}}{TAR}"
        rows = list[Example]()
        with (
            written_aside(path) as file,
            tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            while following is not None and (not rows or file.tell() < tar_bytes):
                rows.append(_add(tar, file, path, count, following))
                count += 1
                following = next(packed, None)
        write_manifest(path.with_suffix(INDEX), rows)
        tars.append(path)
    return Written(tars, count, problems)


class _Packed(NamedTuple):
    example: Example
    ending: str
    content: bytes


def _packed(
    examples: Iterable[Example], pack: Pack | None, measure: Callable[[Source], float], problems: list[str]
) -> Iterator[_Packed]:
    """Yield each example with its file; those that cannot be read become problems."""
    for example in examples:
        try:
            ending, content = _file_of(example.source, pack)
            length = measure(PipeContent(content, example.source))
        except (ValueError, OSError) as error:
            problems.append(str(error) if isinstance(error, ValueError) else f"{example.source}: {error}")
            continue
        yield _Packed(replace(example, length=length), ending, content)


def _file_of(source: str, pack: Pack | None) -> tuple[str, bytes]:
    """Return the ending of the file for a source, and its content."""
    if pack is not None and part_of(source):
        return pack(source)
    content = stored(source)
    ending = os.path.splitext(source)[1].lower()
    if content is not None:
        return ending, content.getvalue()
    return ending, Path(source).read_bytes()


def _add(tar: tarfile.TarFile, file: BinaryIO, path: Path, number: int, packed: _Packed) -> Example:
    """Add an example to a tar, and return it with its place in it."""
    example, key = packed.example, f"{number:08}"
    offset = _add_file(tar, file, key + packed.ending, packed.content)
    _add_file(tar, file, f"{key}.json", json_text({**known_of(example), "source": example.source}).encode())
    source = f"{path}::{key}{packed.ending}"
    return replace(example, source=Member(source, offset, len(packed.content), digest_of(packed.content)))


def _add_file(tar: tarfile.TarFile, file: BinaryIO, name: str, content: bytes) -> int:
    """Add a file, and return where its bytes begin. Time and owner are left out: equal input, equal tar."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o644
    tar.addfile(info, BytesIO(content))
    blocks = -(-len(content) // tarfile.BLOCKSIZE)
    return file.tell() - blocks * tarfile.BLOCKSIZE

"""The sources that a call names: files with their pages or channels, folders, pipes, standard input."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from common.data.shards.naming import PACKED, TAR, tars_of
from common.data.signal import Source
from common.files.folder import files_below
from common.files.pipe import content_of, is_pipe, read_pipe
from common.files.source import present
from common.files.standard import STANDARD_INPUT, standard_input
from common.files.tars.address import is_address
from common.files.tars.listing import list_tar
from common.files.tars.member import is_member
from common.recognition.bulk.remote import remote_content
from common.recognition.modality import Modality


class Found(NamedTuple):
    """The sources in one file, and the folder of the file below the folder that was named."""

    sources: list[Source]
    folder: Path


class Parts(NamedTuple):
    """What of each file is wanted.

    channel: "left", "right", a number from 1, or "each"; None for no choice.
    track: the number of a track, counted from 1; None for no choice.
    raw: the form of values without a header; None if files have headers.
    """

    channel: str | None = None
    track: int | None = None
    raw: str | None = None


def find_sources(
    modality: Modality,
    names: Iterable[str],
    wanted: Parts,
    recursive: bool,
    refuse: Callable[[str], None],
) -> Iterator[Found]:
    """Yield the sources in each file: its pages, or its wanted channels.

    Args:
        modality: finds the sources.
        names: names of files; - is standard input.
        wanted: what of each file.
        recursive: whether folders stand for the files in them.
        refuse: is called with a sentence for each file that cannot be opened.
    """
    for file, folder in find_files(modality, names, recursive, refuse):
        try:
            yield Found(sources_in(modality, file, wanted), folder)
        except (ValueError, OSError) as error:
            refuse(str(error))


def find_files(
    modality: Modality, names: Iterable[str], recursive: bool, refuse: Callable[[str], None]
) -> Iterator[tuple[str, Path]]:
    """Yield each file, and its folder below the folder that was named; the files in a tar for the tar.

    The arguments are those of `find_sources`; `refuse` is called for each folder without any file.
    """
    for name in names:
        if name.lower().endswith((TAR, *PACKED)) and not Path(name).is_dir():
            yield from ((member, Path()) for member in members_of(modality, name, refuse))
            continue
        if not (recursive and name and Path(name).is_dir()):
            yield name, Path()
            continue
        endings = sorted(modality.suffixes)
        found = [file for file in files_below(Path(name)) if file.lower().endswith(tuple(endings))]
        if not found:
            refuse(f"{name}: holds no file whose name ends in {' '.join(endings)}; name another folder")
        for file in found:
            yield file, Path(os.path.relpath(file, name)).parent


def members_of(modality: Modality, path: str, refuse: Callable[[str], None]) -> Iterator[str]:
    """Yield the signals in the tars that a path names, such as "shards/{000..127}.tar".

    `refuse` is called with a sentence for each tar that is not whole, and for a path that makes no sense.
    """
    try:
        tars = tars_of(path)
    except ValueError as error:
        refuse(str(error))
        return
    for tar in tars:
        try:
            listed = list_tar(tar)
        except ValueError as error:
            refuse(str(error))
            continue
        except OSError as error:
            refuse(f"{tar}: cannot be read ({error.strerror}); name another tar")
            continue
        for sentence in listed.problems:
            refuse(sentence)
        found = [entry for entry in listed.entries if entry.name.lower().endswith(tuple(modality.suffixes))]
        if not found:
            refuse(f"{tar}: holds no {modality.source}; name another tar")
        for entry in found:
            yield f"{tar}::{entry.name}"


def sources_in(modality: Modality, file: str, wanted: Parts) -> list[Source]:
    """Return the sources in a file: its pages, or its wanted channels.

    Raises:
        ValueError: it cannot be opened.
        OSError: it cannot be read.
    """
    return list(_sources(modality, file, wanted))


def _sources(modality: Modality, file: str, wanted: Parts) -> Iterator[Source]:
    opened = _opened(file)
    if wanted.raw is not None and modality.raw is not None:
        opened = modality.raw(opened, wanted.raw)
    for source in modality.expand(opened):
        if wanted.channel is None and wanted.track is None:
            yield source
        elif not isinstance(source, str):
            raise ValueError(f"{file}: is a pipe, and channels and tracks are for files; write it to a file")
        else:
            named = source
            if wanted.track is not None and modality.track is not None:
                named = modality.track(source, wanted.track)
            if wanted.channel is None or modality.channels is None:
                yield named
            else:
                yield from modality.channels(named, wanted.channel)


def _opened(file: str) -> Source:
    """Return the name of a file, or the content of standard input or of a pipe.

    Raises:
        ValueError: the name is empty, or names a folder or a device.
    """
    if not file:
        raise ValueError("a file has an empty name; name one, or - for standard input")
    if file == "-":
        return read_pipe(standard_input(), STANDARD_INPUT)
    if is_member(file):
        return file
    if is_address(file):
        return remote_content(file)
    if Path(file).is_dir():
        raise ValueError(f"{file}: is a folder; say --recursive for the files in it, or name them")
    return content_of(file) if is_pipe(file) else present(file)

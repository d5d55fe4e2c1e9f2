"""The sources that a call names: files with their pages or channels, folders, pipes, standard input."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from common.data.signal import Source
from common.files.folder import files_below
from common.files.pipe import content_of, is_pipe, read_pipe
from common.files.source import present
from common.files.standard import STANDARD_INPUT, standard_input
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
    names: Sequence[str],
    wanted: "Parts",
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
    for name in names:
        files = [(name, Path())]
        if recursive and name and Path(name).is_dir():
            endings = sorted(modality.suffixes)
            found = [file for file in files_below(Path(name)) if file.lower().endswith(tuple(endings))]
            files = [(file, Path(os.path.relpath(file, name)).parent) for file in found]
            if not files:
                refuse(f"{name}: holds no file whose name ends in {' '.join(endings)}; name another folder")
        for file, folder in files:
            try:
                yield Found(list(_sources(modality, file, wanted)), folder)
            except (ValueError, OSError) as error:
                refuse(str(error))


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
    if Path(file).is_dir():
        raise ValueError(f"{file}: is a folder; say --recursive for the files in it, or name them")
    return content_of(file) if is_pipe(file) else present(file)

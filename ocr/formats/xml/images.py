"""The image of a page, found by the name that its XML file gives."""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from common.files.source import source_file
from ocr.signal import IMAGE_SUFFIXES
from ocr.source import locate, open_image, viewed_size

XML_FOLDER = re.compile(r"^(page|alto|xml|ocr|gt|transcri|segment|lines)|xml$|^OCR-D-", re.IGNORECASE)
"""names of folders that hold only XML: Transkribus has page/NAME.xml, OCR-D has OCR-D-GT-SEG/NAME.xml"""
IMAGE_FOLDER = re.compile(r"ima?ge?s?\b|jpe?g|png|tif|scan|facs", re.IGNORECASE)
"""names of folders that may hold the images of XML files beside or above"""
XML_ENDING = re.compile(r"([._-](alto|page|pagexml|gt|xml))+$", re.IGNORECASE)
"""what programs add to the name of an image when they name its XML file, before .xml"""


class Found(NamedTuple):
    """An image beside its XML file: the path, its size as it is viewed, and its resolution or None."""

    path: str
    width_px: int
    height_px: int
    dpi: float | None


def find_image(xml: str | Path, written: str) -> Found:
    """Return the image of a page.

    It is looked for under its written name, in full and without its folders; then under the same name with
    another ending, and under the name of the XML file itself. If it is not in the folder of the XML file, it
    may be in a folder for images there, and, of a folder for XML alone, above or beside that.

    Args:
        xml: the file of the page.
        written: the name in it: a path, an address, or "".

    Raises:
        ValueError: there is no such image, or it cannot be read.
    """
    for candidate in _candidates(Path(xml), written):
        file = Path(source_file(str(candidate)))  # "scan.tif[2]" is a page of scan.tif
        if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file():
            place = locate(candidate)
            with open_image(place, any_page=True) as image:
                width_px, height_px = viewed_size(image)
                dpi = image.info.get("dpi", (None,))[0]
            return Found(str(candidate), width_px, height_px, float(dpi) if dpi and dpi > 1 else None)
    named = f"{written!r}" if written else "its image, which it does not name,"
    raise ValueError(f"{xml}: {named} was not found beside it or in the folders around; put the image there")


def _candidates(xml: Path, written: str) -> Iterator[Path]:
    """Yield paths where the image may be, the likeliest first."""
    names, folder = _names(written), xml.parent
    yield from (folder / name for name in names)
    above = folder.resolve().parent
    yield from (above / name for name in names if "/" in name)
    stems = [PurePosixPath(name).stem for name in names[-1:]] + [xml.stem, XML_ENDING.sub("", xml.stem)]
    wanted = {os.path.normcase(stem) for stem in stems if stem}
    last = {os.path.normcase(PurePosixPath(name).name) for name in names}
    for listed in (folder, *_around(folder.resolve())):
        files = _listed(listed)
        yield from (file for file in files if os.path.normcase(file.name) in last)
        yield from (file for file in files if os.path.normcase(file.stem) in wanted)


def _names(written: str) -> list[str]:
    """Return the names that a written name may mean, as relative paths: in full, decoded, without folders."""
    path = urlsplit(written).path if "://" in written else written
    path = path.replace("\\", "/")
    names = []
    for spelled in (path, unquote(path)):
        whole = re.sub(r"^[A-Za-z]:", "", spelled).lstrip("/")
        names += [whole] if ".." not in whole.split("/") else []
        names.append(whole.rpartition("/")[2])
    return [name for name in dict.fromkeys(names) if name]


def _around(folder: Path) -> list[Path]:
    """Return other folders that may hold the images of the XML files in a folder, judged by their names."""
    kept_apart = XML_FOLDER.search(folder.name) is not None
    try:
        places = [*folder.iterdir(), *(folder.parent.iterdir() if kept_apart else ())]
        named = sorted(one for one in places if IMAGE_FOLDER.search(one.name) and one.is_dir())
    except OSError:
        named = []
    return [folder.parent, *named] if kept_apart else named


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(one for one in folder.iterdir() if one.suffix.lower() in IMAGE_SUFFIXES)
    except OSError:
        return []

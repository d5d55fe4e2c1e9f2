"""Names of sources: a file, or a part of one, such as a page or a segment."""

import os
import re
import unicodedata
from pathlib import Path

from common.files.pipe import PipeContent
from common.files.tars.address import is_address
from common.files.tars.member import Member, is_member, read_member

PART = re.compile(r"(\[[^\[\]]*\]|::.*)$", re.DOTALL)
"""the suffix that names a part of a file: a page "[2]", a segment "[1.5,2.25]", a member "::id" """
BRACKET = re.compile(r"\[[^\[\]]*\]$")
"""the suffix that names a part of a member"""


def source_file(source: str) -> str:
    """Return the file of a source, without the part: "scan.tif" for "scan.tif[2]".

    A file that exists under the whole name is that file.
    """
    if PART.search(source) is None or os.path.exists(source):
        return source
    return PART.sub("", source)


def part_of(source: str) -> str:
    """Return the suffix of a source that names a part: "[2]" for "scan.tif[2]" and "a.tar::scan.tif[2]"."""
    if is_member(source):
        found = None if isinstance(source, Member) else BRACKET.search(source)
        return found[0] if found else ""
    return source[len(source_file(source)) :]


def stored(source: str | Path) -> PipeContent | None:
    """Return the content of the file of a source if it is in a tar, with the page that is wanted of it.

    Raises:
        ValueError: the tar cannot be read, has no such file, or is damaged.
    """
    source = source if isinstance(source, str) else str(source)  # str() would lose where it is
    if not is_member(source):
        return None
    part = part_of(source)
    try:
        content = read_member(source.removesuffix(part) if part else source)
    except OSError as error:
        raise ValueError(f"{source}: its tar cannot be read ({error.strerror}); restore it") from error
    page = part[1:-1]
    return PipeContent(content, source, int(page) if page.isdecimal() else None)


def stamp(source: str) -> tuple[int, int]:
    """Return two numbers that change with the file of a source: its size and time, or a hash of its bytes.

    Raises:
        OSError: there is no such file.
    """
    if isinstance(source, Member):
        return source.size, int(source.digest[:15], 16)
    status = os.stat(source_file(source))
    return status.st_size, status.st_mtime_ns


def name_key(name: str) -> str:
    """Return the name by which files are paired: in NFC, since some systems store é as e and an accent."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def present(source: str) -> str:
    """Return `source`, or the same name in another Unicode form if there is no such file but one of that."""
    if source.isascii() or os.path.exists(source_file(source)):
        return source
    spelled = [unicodedata.normalize(form, source) for form in ("NFC", "NFD")]
    return next((other for other in spelled if os.path.exists(source_file(other))), source)


def absolute(path: str) -> str:
    """Return `path` as an absolute path, not normalised: "link/.." need not be "."; addresses are that."""
    return path if is_address(path) else os.path.join(os.getcwd(), path)


def stem(source: str) -> str:
    """Return the name for files made from a source: "scan-2" for "a/scan.tif[2]", "stdin" for "-"."""
    file = source_file(source)
    part = source[len(file) :].strip("[]:").replace("/", "_")
    name = "stdin" if file == "-" else Path(file).stem
    return f"{name}-{part}" if part else name

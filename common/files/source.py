"""Names of sources: a file, or a part of one, such as a page or a segment."""

import os
import re
import unicodedata
from pathlib import Path

PART = re.compile(r"(\[[^\[\]]*\]|::.*)$", re.DOTALL)
"""the suffix that names a part of a file: a page "[2]", a segment "[1.5,2.25]", a member "::id" """


def source_file(source: str) -> str:
    """Return the file of a source, without the part: "scan.tif" for "scan.tif[2]".

    A file that exists under the whole name is that file.
    """
    if PART.search(source) is None or os.path.exists(source):
        return source
    return PART.sub("", source)


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
    """Return `path` as an absolute path, not normalised: "link/.." need not be "."."""
    return os.path.join(os.getcwd(), path)


def stem(source: str) -> str:
    """Return the name for files made from a source: "scan-2" for "a/scan.tif[2]", "stdin" for "-"."""
    file = source_file(source)
    part = source[len(file) :].strip("[]:").replace("/", "_")
    name = "stdin" if file == "-" else Path(file).stem
    return f"{name}-{part}" if part else name

"""Names of sources: a file, or a part of one, such as a page or a segment."""

import os
import re

PART = re.compile(r"(\[[^\[\]]*\]|::.*)$", re.DOTALL)
"""the end of a source that is a part of a file: a page "[2]", a segment "[1.5,2.25]", a member "::id" """


def source_file(source: str) -> str:
    """Return the file that `source` is, or is a part of: "scan.tif" for "scan.tif[2]"."""
    if PART.search(source) is None or os.path.exists(source):
        return source
    return PART.sub("", source)


def absolute(path: str) -> str:
    """Return the absolute path of `path`."""
    # not normalised: "link/.." need not be "."
    return os.path.join(os.getcwd(), path)

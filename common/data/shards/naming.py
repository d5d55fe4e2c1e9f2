"""Which tars a path names: one, a pattern such as "shards/{000..127}.tar", or a folder of them."""

import os
import re
from collections.abc import Sequence
from itertools import product

from common.files.tars.address import files_in, is_address

TAR = ".tar"
"""ending of a tar"""
PACKED = (".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tar.zst")
"""endings of compressed tars, which are refused: nothing in them can be read without all before it"""
SHAR_CUTS, SHAR_SOUND = "cuts.", "recording."
"""how names begin in a folder of lhotse: of the texts, and of the tars that hold what is said in them"""
BRACES = re.compile(r"\{([^{}]*)\}")
COUNTED = re.compile(r"([0-9]{1,9})\.\.([0-9]{1,9})")
MOST = 1_000_000
"""names that a pattern may stand for"""


def split_paths(paths: str) -> list[str]:
    """Return the parts between the commas of `paths` that are outside of braces."""
    parts, depth = [""], 0
    for character in paths:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part for part in parts if part]


def tars_of(path: str) -> list[str]:
    """Return the tars that a path names, in order; none if it names something else.

    "{000..127}" stands for all numbers from the first to the last with as many digits, "{a,b}" for each of
    its parts. A folder is one of tars if a file right in it ends in .tar. In a folder of lhotse the other
    tars hold features and the like, and are left out.

    Raises:
        ValueError: a pattern cannot be understood, an address cannot be read, or the tars are compressed.
    """
    if path.lower().endswith(PACKED) and not os.path.isdir(path):
        raise ValueError(f"{path}: is compressed, and a plain tar was wanted; unpack it to a file {TAR}")
    if path.lower().endswith(TAR) and not os.path.isdir(path):
        return [path] if os.path.exists(path) else expand_braces(path)
    if os.path.isdir(path) or is_address(path):
        return _tars_among(files_in(path))
    return []


def _tars_among(files: Sequence[str]) -> list[str]:
    """Return the tars among the files of a folder; of those of lhotse, the ones with recordings."""
    names = {file: os.path.basename(file) for file in files}
    tars = [file for file in files if names[file].lower().endswith(TAR) and not names[file].startswith(".")]
    is_shar = any(name.startswith(SHAR_CUTS) for name in names.values())
    return [tar for tar in tars if is_shar and names[tar].startswith(SHAR_SOUND)] or tars


def expand_braces(pattern: str) -> list[str]:
    """Return the names that a pattern stands for, as a shell expands it.

    Raises:
        ValueError: braces hold nothing that can be expanded, or stand for more than MOST names.
    """
    pieces = BRACES.split(pattern)
    choices = [[piece] if at % 2 == 0 else _choices(piece, pattern) for at, piece in enumerate(pieces)]
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > MOST:
        raise ValueError(f"{pattern}: stands for {count:,} files, {MOST:,} at most were wanted; name fewer")
    return ["".join(parts) for parts in product(*choices)]


def _choices(inside: str, pattern: str) -> list[str]:
    counted = COUNTED.fullmatch(inside)
    if counted is not None:
        first, last = int(counted[1]), int(counted[2])
        if last < first or last - first >= MOST:
            raise ValueError(
                f"{pattern}: {{{inside}}} counts from {first:,} to {last:,}; count up, and to {MOST:,} files"
            )
        padded = {len(counted[1]), len(counted[2])} if counted[1].startswith("0") else {1}
        return [f"{number:0{max(padded)}}" for number in range(first, last + 1)]
    if "," not in inside:
        raise ValueError(f"{pattern}: {{{inside}}} stands for nothing; write {{000..127}} or {{a,b}}")
    return inside.split(",")

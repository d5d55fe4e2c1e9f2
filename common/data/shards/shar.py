"""The texts of tars in lhotse's Shar format, which stand beside them.

recording.000000.tar       ID.flac ID.json ID2.flac ID2.json ...
cuts.000000.jsonl.gz       a line for each cut: its id, its duration, and what is said when and by whom
"""

import gzip
import os
import re
import zlib
from typing import Any, BinaryIO

from common.files.plain_text import json_object
from common.files.tars.address import exists, open_file

TAR_NAME = re.compile(r"(?:recording((?:\.[^/]+)?)|[^/.]+(\.[0-9]+))\.tar")
"""recording.000000.tar, recording.dev.tar, recording.tar; other sound of the same cuts: target.000000.tar"""
ENDINGS = (".jsonl.gz", ".jsonl")


def cuts_beside(tar: str) -> str:
    """Return the file beside a tar that has its texts; "" if there is none.

    Raises:
        ValueError: an address cannot be read.
    """
    folder, name = os.path.split(tar)
    found = TAR_NAME.fullmatch(name)
    if found is None:
        return ""
    beside = [os.path.join(folder, f"cuts{found[1] or found[2] or ''}{ending}") for ending in ENDINGS]
    return next((path for path in beside if exists(path)), "")


def read_cuts(path: str) -> dict[str, dict[str, Any]]:
    """Return duration, text and speaker of each cut, by its id.

    Raises:
        ValueError: they cannot be read.
    """
    cuts: dict[str, dict[str, Any]] = {}
    try:
        with open_file(path) as file, _unpacked(file) as lines:
            for number, line in enumerate(lines, 1):
                cut = json_object(line, f"{path}:{number}")
                cuts[str(cut.get("id"))] = _fields(cut)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: cannot be read ({error}); get the whole file") from error
    except (AttributeError, TypeError) as error:
        raise ValueError(f"{path}: is not what lhotse writes ({error!r}); write it again") from error
    return cuts


def _unpacked(file: BinaryIO) -> BinaryIO | gzip.GzipFile:
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return gzip.open(file) if packed else file


def _fields(cut: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of a cut: the texts of its parts in the order in which they begin."""
    spoken = sorted(cut.get("supervisions") or [], key=lambda one: float(one.get("start", 0)))
    spoken = [one for one in spoken if isinstance(one.get("text"), str)]
    fields = {"duration": cut.get("duration")}
    if spoken:
        fields["text"] = " ".join(one["text"] for one in spoken)
        fields["speaker"] = spoken[0].get("speaker")
    return fields

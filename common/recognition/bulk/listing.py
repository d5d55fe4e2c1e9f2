"""Lists of what is to be transcribed, and the share of each of several calls.

files.txt -> names -> those whose hash falls to shard 3 of 16
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import BinaryIO, NamedTuple

from common.data.manifest import Example
from common.data.shards.naming import PACKED, TAR
from common.files.pipe import refuse_device
from common.files.standard import ANY_NAME, STANDARD_INPUT, standard_input
from common.files.tars.address import open_file
from common.recognition.modality import Modality
from common.recognition.sources import members_of

TABLES = (".jsonl", ".json", ".csv")
"""endings of lists that are manifests"""


class Shard(NamedTuple):
    """One of several shares of a list.

    The hash of a name says to which share it belongs. So shares are disjoint whatever the order of the list,
    and a name stays in its share when the list grows.

    number: of the share, from 1 to `total`.
    """

    number: int = 1
    total: int = 1

    def has(self, name: str) -> bool:
        """Return whether a name is in this share."""
        return self.total == 1 or key_of(name) % self.total == self.number - 1


def parse_shard(text: str) -> Shard:
    """Return the share that is written as "3/16".

    Raises:
        ValueError: there is no such share.
    """
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise ValueError(f"{text!r} is no share; give its number, from 1 on, and that of all, as in 3/16")
    return Shard(int(found[1]), int(found[2]))


def key_of(name: str) -> int:
    """Return 64 bits that stand for a name: of ten million, two are equal once in 370,000 lists."""
    import hashlib  # other calls start without it

    encoded = name.encode("utf-8", errors=ANY_NAME)
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "little")


def names_in(modality: Modality, path: str, refuse: Callable[[str], None]) -> Iterator[str]:
    """Yield the names that a list holds.

    Args:
        modality: reads manifests.
        path: a manifest, whose name ends in one of `TABLES`, a tar or a pattern of tars, which stand for the
            files in them, or a text with a name on each line; - is standard input. Each may be an address.
        refuse: takes a sentence for each row of a manifest that cannot be understood.

    Raises:
        ValueError: the list cannot be read.
    """
    if path.lower().endswith((TAR, *PACKED)):
        yield from members_of(modality, path, refuse)
    elif path.lower().endswith(TABLES):
        for row in _rows(modality, path):
            if isinstance(row, str):
                refuse(row)
            else:
                yield row.source
    elif path == "-":
        yield from _lines(standard_input(), STANDARD_INPUT)
    else:
        refuse_device(path)
        try:
            with open_file(path) as file:
                yield from _lines(file, path)
        except OSError as error:
            raise ValueError(f"{path}: cannot be read ({error.strerror}); name a list of files") from error


def _rows(modality: Modality, path: str) -> Iterator[Example | str]:
    if modality.listed is not None and not path.lower().endswith(".csv"):
        return modality.listed(path)
    corpus = modality.examples(path, modality.corpus_config())
    return chain(corpus.problems, corpus.examples)


def _lines(file: BinaryIO | Iterable[bytes], path: str) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        name = os.fsdecode(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip("\r\n")
        if name.lstrip().startswith("{"):
            raise ValueError(
                f"{path}:{number}: is a row of a manifest; write it to a list whose name ends in .jsonl"
            )
        if name.strip():
            yield name

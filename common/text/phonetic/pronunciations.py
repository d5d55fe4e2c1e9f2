"""Pronunciations: words and the phones that say them, read from files of two columns.

THE     DH AH           one pronunciation a line: the word, white space, its phones
THE(2)  DH IY           another one of the same word; `THE` again means the same
;;;     a comment       as in the dictionary of Carnegie Mellon University; `# ...` is one, too
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from common.files.plain_text import read_lines

COMMENT = re.compile(r"(^|\s)#.*|^;;;.*")
VARIANT = re.compile(r"(.+)\(\d+\)")
STRESSED = re.compile(r"(AA|AE|AH|AO|AW|AY|EH|ER|EY|IH|IY|OW|OY|UH|UW)[012]")
"""a vowel of ARPAbet with its stress, which is not kept; other digits belong to the name of a phone"""


class Pronunciation(NamedTuple):
    """A word, and the phones of one way to say it."""

    word: str
    phones: tuple[str, ...]


def read_pronunciations(path: str | Path) -> list[Pronunciation]:
    """Return the pronunciations in a file, in its order, each once.

    Raises:
        ValueError: the file cannot be read, a line has a word without phones, or there is no line.
    """
    found: dict[Pronunciation, None] = {}
    for number, line in enumerate(read_lines(path), 1):
        word, *phones = COMMENT.sub("", line).split() or [""]
        if not word:
            continue
        if not phones:
            raise ValueError(
                f"{path}:{number}: {word!r} has no phones; write a word and after it its phones, with spaces"
                " between them"
            )
        variant = VARIANT.fullmatch(word)
        said = tuple(STRESSED.sub(r"\1", phone) for phone in phones)
        found[Pronunciation(variant[1] if variant else word, said)] = None
    if not found:
        raise ValueError(f"{path}: holds no pronunciation; write a word and its phones on each line")
    return list(found)


def write_lines(pronunciations: Iterable[Pronunciation]) -> str:
    """Return pronunciations as the text of a file of two columns."""
    return "".join(f"{word} {' '.join(phones)}\n" for word, phones in pronunciations)

"""Hot words: words and phrases that are expected, each with its own boost if it has one, and their file."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from common.decoding.beam.lexicon import read_words

HIGHEST_BOOST = 4.0
"""with a higher boost for each letter, hot words are written where other words are said"""
WEIGHTED = re.compile(r"(.*\S) :([+-]?(?:\d+\.?\d*|\.\d+))")


class HotWord(NamedTuple):
    """A word or phrase that is expected.

    boost: gain for each of its letters, a natural logarithm; None for that of all hot words.
    """

    text: str
    boost: float | None = None


def hot_words_of(words: Sequence[str | HotWord]) -> list[HotWord]:
    """Return hot words, of which some may be given as texts."""
    return [HotWord(one) if isinstance(one, str) else one for one in words]


def read_hot_words(path: Path) -> list[HotWord]:
    """Return the hot words in a file, one for each line: `NEW YORK`, or `NEW YORK :2.5` with its own boost.

    Raises:
        ValueError: the file does not exist, is not UTF-8, or has no words.
    """
    return list(map(hot_word_of, read_words(path)))


def hot_word_of(line: str) -> HotWord:
    """Return the hot word that a line says, such as `NEW YORK` or `NEW YORK :2.5`."""
    parts = WEIGHTED.fullmatch(line)
    return HotWord(parts[1], float(parts[2])) if parts else HotWord(line)


def in_case_of(symbols: Sequence[str], words: Sequence[str]) -> Sequence[str]:
    """Return words in which each letter that no symbol writes has the other case, if a symbol writes that."""
    known = set(symbols)
    other = {
        ord(letter): changed
        for letter in set("".join(words)) - known
        for changed in (letter.upper(), letter.lower())
        if changed in known
    }
    return [word.translate(other) for word in words] if other else words

"""The spelling of an alphabet: what a text becomes that is brought to the alphabet of a model."""

import logging
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Literal, NamedTuple

from common.command_line.parser import UsageError
from common.files.model_file import read_model
from common.text.symbols import Alphabet
from common.text.vocabulary import REPLACEMENT

log = logging.getLogger(__name__)

ALIKE = ("'’‘‛ʼ′`´", '"“”„‟«»″', "-‐‑‒–—―−", ".․", "/⁄∕")
"""groups of signs that replace each other; the first sign that the alphabet has replaces all of its group"""
APOSTROPHES = ALIKE[0]
LIGATURES = str.maketrans({"æ": "ae", "œ": "oe", "Æ": "AE", "Œ": "OE"})
"""letters that Unicode does not decompose"""
SPOKEN = "&%@#§"
"""punctuation that is read as a word, so that it cannot become a space"""
SHOWN = 12
"""characters that are listed one by one"""


class Spelled(NamedTuple):
    """How a character is written, and how that differs from the character itself."""

    text: str
    why: Literal["kept", "case", "respelled", "left out", "unknown"]


class Spelling(dict[int, str]):
    """How an alphabet writes each character: a table for `str.translate` that fills itself as they occur.

    Args:
        alphabet: its Unicode form is applied to all texts.
        is_limit: only its symbols are written; otherwise the alphabet gives the Unicode form alone.
    """

    def __init__(self, alphabet: Alphabet, is_limit: bool) -> None:
        super().__init__()
        self.alphabet, self.is_limit = alphabet, is_limit
        self.symbols = set(alphabet.symbols)
        self.seen: Counter[str] = Counter()  # since the last report

    def __missing__(self, code: int) -> str:
        self[code] = spelled(chr(code), self.symbols).text
        return self[code]

    def normalise(self, text: str) -> str:
        """Return a text in the spelling of the alphabet, in the order of its labels."""
        text = self.alphabet.spell(text)
        if not self.is_limit:
            return text
        self.seen.update(text)
        return self.alphabet.normalise(text.translate(self))

    def report(self, path: str) -> None:
        """Log the characters since the last report that the alphabet lacks, and what replaced them.

        Args:
            path: the text that held them.
        """
        kinds: dict[str, list[tuple[str, int]]] = {"respelled": [], "left out": [], "unknown": []}
        for character, count in self.seen.most_common():
            text, why = spelled(character, self.symbols)
            if why in kinds:
                shown = f"{character!r} as {text!r}" if why == "respelled" else repr(character)
                kinds[why].append((shown, count))
        self.seen.clear()
        for kind, found in kinds.items():
            if found:
                total = sum(count for _, count in found)
                listed = ", ".join(f"{shown} ({count:,})" for shown, count in found[:SHOWN])
                more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
                log.info(
                    "%s: not in the alphabet, %s: %s times, %s%s", path, kind, f"{total:,}", listed, more
                )


def read_spelling(like: Path | None, unicode_form: str | None) -> Spelling:
    """Return the spelling of the model file `like`, or that of a Unicode form alone.

    Raises:
        ValueError: a file without an alphabet, or one of another Unicode form than `unicode_form`.
    """
    if like is None:
        return Spelling(Alphabet((), unicode_form or "NFC"), is_limit=False)
    described = read_model(like).header.get("alphabet")
    if not isinstance(described, dict):
        raise ValueError(f"{like}: has no alphabet; name a model that transcribes")
    try:
        alphabet = Alphabet.from_dict(described)
    except ValueError as error:
        raise ValueError(f"{like}: {error}") from None
    if unicode_form not in (None, alphabet.unicode_form):
        raise UsageError(
            f"--unicode-form {unicode_form}: {like} wants {alphabet.unicode_form}; leave the flag out"
        )
    return Spelling(alphabet, is_limit=True)


def spelled(character: str, symbols: set[str]) -> Spelled:
    """Return how an alphabet of `symbols` writes a character.

    The first of these that the alphabet allows: the character itself; a similar sign; the other case; its
    letters without accents or its compatible form, in either case. Of the characters that are left,
    apostrophes and invisible characters are left out, other punctuation becomes a space, and the rest counts
    as unknown.
    """
    if character in symbols:
        return Spelled(character, "kept")
    for group in ALIKE:
        if character in group and (likeness := next((sign for sign in group if sign in symbols), "")):
            return Spelled(likeness, "respelled")
    bare = _bare(character)
    for text in (character.upper(), character.lower(), bare, bare.upper(), bare.lower()):
        if text and symbols.issuperset(text):
            return Spelled(text, "case" if text in (character.upper(), character.lower()) else "respelled")
    kind = unicodedata.category(character)
    if character in APOSTROPHES or kind in ("Cf", "Mn", "Me", "Lm"):
        return Spelled("", "left out")
    if (kind[0] in "PZC" or kind == "Sk") and character not in SPOKEN:
        return Spelled(" " if " " in symbols else "", "left out")
    return Spelled(REPLACEMENT, "unknown")


def _bare(character: str) -> str:
    """Return the letters of a character without accents: "e" for "é", "ae" for "æ"."""
    parts = unicodedata.normalize("NFKD", character).translate(LIGATURES)
    return "".join(part for part in parts if not unicodedata.combining(part))

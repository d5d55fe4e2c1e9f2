"""How an alphabet writes a character that it may lack: a similar sign, the other case, or not at all."""

import unicodedata
from typing import Literal, NamedTuple

from common.text.vocabulary import REPLACEMENT

ALIKE = ("'’‘‛ʼ′`´", '"“”„‟«»″', "-‐‑‒–—―−", ".․", "/⁄∕")
"""groups of signs that replace each other; the first sign that the alphabet has replaces all of its group"""
APOSTROPHES = ALIKE[0]
LIGATURES = str.maketrans({"æ": "ae", "œ": "oe", "Æ": "AE", "Œ": "OE"})
"""letters that Unicode does not decompose"""
SPOKEN = "&%@#§"
"""punctuation that is read as a word, so that it cannot become a space"""


class Spelled(NamedTuple):
    """How a character is written, and how that differs from the character itself."""

    text: str
    why: Literal["kept", "case", "respelled", "left out", "unknown"]


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

"""A known text: its paragraphs, its words as they are written, and what a model writes for them.

    written    "Well-known,"    he    —    1852
    labels      WELL KNOWN      HE         none: the model has no digits

A sign that is not said, such as a dash between two spaces, belongs to the word before it. What a model lacks
is spelled as `common.text.spelling` does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from common.text.spelling import APOSTROPHES, Spelled, spelled
from common.text.symbols import Symbols


@dataclass(frozen=True)
class KnownWord:
    """A word: its characters as they are written, and the labels of each, of which a sign has none."""

    characters: tuple[str, ...]
    labels: tuple[tuple[int, ...], ...]

    @property
    def text(self) -> str:
        """The word as it is written, with the signs that belong to it."""
        return "".join(self.characters)

    @property
    def spelling(self) -> list[int]:
        """The labels of the whole word; none if the model cannot write it."""
        return [label for labels in self.labels for label in labels]


@dataclass(frozen=True)
class KnownText:
    """The paragraphs of a text, each a list of words; `separator` is the label between two words, or None."""

    paragraphs: tuple[tuple[KnownWord, ...], ...]
    separator: int | None

    @property
    def words(self) -> list[KnownWord]:
        """The words of all paragraphs."""
        return [word for paragraph in self.paragraphs for word in paragraph]


def read_text(text: str, symbols: Symbols) -> KnownText:
    """Return the paragraphs and words of a text.

    If there are empty lines, paragraphs are what stands between them, as in books; else each line is one.
    """
    lines = text.split("\n")
    blocks, block = list[str](), list[str]()
    parted = any(not line.strip() for line in "\n".join(lines).strip().split("\n"))
    for line in [*lines, ""]:
        if line.strip():
            block.append(line)
        if block and not (parted and line.strip()):
            blocks.append(" ".join(block))
            block = []
    known = set(symbols.symbols)
    paragraphs = [tuple(_words(one, symbols, known)) for one in blocks]
    separator = symbols.labels.get(" ") if symbols.writes_text else None
    return KnownText(tuple(one for one in paragraphs if one), separator)


def _words(paragraph: str, symbols: Symbols, known: set[str]) -> Iterator[KnownWord]:
    """Yield the words of a paragraph."""
    word: KnownWord | None = None
    signs = ""  # before the first word
    for token in symbols.normalise(paragraph).split():
        found, is_sign = _word(token, symbols, known)
        if not is_sign:
            if word is not None:
                yield word
            word = _with_signs(found, signs, "")
            signs = ""
        elif word is None:
            signs += f"{token} "
        else:
            word = _with_signs(word, "", f" {token}")
    if word is not None:
        yield word
    elif signs:
        yield KnownWord(tuple(signs.rstrip()), ((),) * len(signs.rstrip()))


def _with_signs(word: KnownWord, before: str, after: str) -> KnownWord:
    labels = ((),) * len(before) + word.labels + ((),) * len(after)
    return replace(word, characters=(*before, *word.characters, *after), labels=labels)


def _word(token: str, symbols: Symbols, known: set[str]) -> tuple[KnownWord, bool]:
    """Return a word, and whether it is a sign that is not said."""
    if not symbols.writes_text:
        return KnownWord((token,), (tuple(symbols.encode(token)),)), False
    found = [spelled(character, known) for character in token]
    texts = _inner(token, found)
    labels = tuple(tuple(symbols.labels[one] for one in text) for text in texts)
    is_sign = not any(labels) and all(one.why != "unknown" for one in found)
    return KnownWord(tuple(token), labels), is_sign


def _inner(token: str, found: Sequence[Spelled]) -> list[str]:
    """Return what is written for each character, without spaces and quotation marks at the ends."""
    texts = ["" if one.why == "unknown" else one.text for one in found]
    if all(one.why == "kept" for one in found):
        return texts
    for order in (range(len(texts)), reversed(range(len(texts)))):
        for place in order:
            if not texts[place].isspace() and token[place] not in APOSTROPHES and texts[place]:
                break
            texts[place] = ""
    for place in range(1, len(texts)):  # one space between two parts
        if texts[place] == " " and next((one for one in reversed(texts[:place]) if one), "") == " ":
            texts[place] = ""
    return texts

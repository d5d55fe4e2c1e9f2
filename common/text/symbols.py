"""What the labels of a model stand for: characters, names, or other symbols behind one protocol."""

import operator
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol, Self, cast

from common.text.direction import DIRECTIONS, Direction, Read, from_line, to_line, without_marks

BLANK = 0
"""the label of CTC's blank; no symbol has it"""
UNICODE_FORMS = ("NFC", "NFD", "NFKC", "NFKD", "none")
WHITESPACE = ("collapse", "keep")


class Symbols(Protocol):
    """What the labels of a recognizer stand for, and how a text becomes labels and labels become a text.

    Symbol i, counted from 0, has label i + 1. Label 0 is the blank, or stands for no symbol at all. A symbol
    may be one character, a piece of several, a part of one, or a whole name; callers see only this protocol:

        text --normalise--> the model's form --spell--> in the order of labels --encode--> labels
        text <--separator.join-- in the order of reading <--read-- a text for each label <--pieces--+

    The order of labels is that along the signal. It is the order of reading, except in models of lines in
    right-to-left scripts.

    Another kind of symbols (BPE pieces, bytes) is one more class, one more line in
    `decoding.storage.symbols_from_dict`, and one more where training makes the symbols from texts.
    """

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols in the order of their labels, from 1; each identifies its label, within one model."""

    @property
    def labels(self) -> Mapping[str, int]:
        """The label of each symbol."""

    @property
    def classes(self) -> int:
        """C, the number of labels: the symbols and label 0."""

    @property
    def noun(self) -> str:
        """What symbols are called in messages, such as "characters"."""

    @property
    def writes_text(self) -> bool:
        """Whether labels spell a running text with words; else each label is a name: a class, or a word."""

    @property
    def separator(self) -> str | None:
        """What `decode` writes between the texts of two labels; None: a text is one label."""

    @property
    def unicode_form(self) -> str:
        """The Unicode normalisation of texts, one of UNICODE_FORMS."""

    @property
    def whitespace(self) -> str:
        """What becomes of white space, one of WHITESPACE."""

    @property
    def direction(self) -> Direction | None:
        """The direction of lines of both directions, if labels have the order on the line; else None."""

    def normalise(self, text: str) -> str:
        """Return `text` in the form in which the model learns and writes it; idempotent."""

    def spell(self, text: str) -> str:
        """Return the normalised `text` in the order of labels, as language models of this model read it."""

    def unknown(self, text: str) -> list[str]:
        """Return the parts of the normalised `text` that have no label, each once, in order."""

    def encode(self, text: str) -> list[int]:
        """Return the labels of the normalised `text`; ValueError names what has no label."""

    def pieces(self, labels: Iterable[int]) -> list[str]:
        """Return the text of each label; ValueError for a label without a symbol, such as the blank.

        A symbol that is only a part of a character has "" here, except the last part, which has the
        character. So the text of a label may depend on the labels before it.
        """

    def read(self, pieces: Sequence[str]) -> "Sequence[Read]":
        """Return `pieces` that write something in the order of reading, each with its place in `pieces`."""

    def decode(self, labels: Iterable[int]) -> str:
        """Return the text of `labels`; ValueError for a label without a symbol, such as the blank."""

    def to_dict(self) -> dict[str, Any]:
        """Return its fields for JSON and `symbols_from_dict`."""


@dataclass(frozen=True)
class Alphabet:
    """Symbols that are characters: each is one code point, and labels spell running text.

    Raises:
        ValueError: a symbol is not one code point or is there twice, or a policy is unknown.
    """

    symbols: tuple[str, ...]
    """one code point each"""
    unicode_form: str = "NFC"
    """the Unicode normalisation of text: NFC, NFD, NFKC, NFKD, or none"""
    whitespace: str = "collapse"
    """collapse: each run of white space becomes one space, and none is left at the ends; keep: unchanged"""
    direction: Direction | None = None
    """of lines in which both directions occur, if labels have the order on the line (see `direction.py`);
    None: labels have the order of reading"""

    separator = ""
    writes_text = True
    noun = "characters"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("unicode_form", self.unicode_form, UNICODE_FORMS),
            ("whitespace", self.whitespace, WHITESPACE),
            ("direction", self.direction or DIRECTIONS[0], DIRECTIONS),
        ):
            if value not in known:
                raise ValueError(f"alphabet: {name} is {value!r}; choose one of {', '.join(known)}")
        seen: set[str] = set()
        for symbol in self.symbols:
            if not isinstance(symbol, str) or len(symbol) != 1:
                raise ValueError(f"alphabet: symbol {symbol!r} is not one code point; split or remove it")
            if symbol in seen:
                raise ValueError(f"alphabet: symbol {_named(symbol)} is there twice; remove one")
            seen.add(symbol)

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        unicode_form: str = "NFC",
        whitespace: str = "collapse",
        direction: Direction | None = None,
    ) -> Self:
        """Return the alphabet of all symbols in `texts`, sorted by code point."""
        empty = cls((), unicode_form, whitespace, direction)
        symbols: set[str] = set()
        for text in texts:
            symbols.update(empty.spell(text))
        return cls(tuple(sorted(symbols)), unicode_form, whitespace, direction)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the alphabet that `to_dict` described.

        Raises:
            ValueError: a key is unknown or missing, or an Alphabet refuses its value.
        """
        known = ("symbols", "unicode_form", "whitespace", "direction")
        for key in fields:
            if key not in known:
                raise ValueError(f"alphabet: unknown key {key!r}; the keys are {', '.join(known)}")
        symbols = fields.get("symbols")
        if not isinstance(symbols, list | tuple):
            raise ValueError(f'alphabet: "symbols" is {symbols!r}; make it a list of one-character strings')
        return cls(tuple(symbols), *(fields.get(key, getattr(cls, key)) for key in known[1:]))

    def to_dict(self) -> dict[str, Any]:
        """Return its fields for JSON and `from_dict`."""
        described: dict[str, Any] = {
            "symbols": list(self.symbols),
            "unicode_form": self.unicode_form,
            "whitespace": self.whitespace,
        }
        return described | ({"direction": self.direction} if self.direction else {})

    @property
    def classes(self) -> int:
        """C, the number of labels: the symbols and the blank."""
        return len(self.symbols) + 1

    def normalise(self, text: str) -> str:
        """Return `text` in the form in which the model learns and writes it; idempotent.

        White space is what `str.split` takes for it, including no-break spaces and line separators. Marks of
        direction are removed if labels have the order on the line, which shows the direction.
        """
        if self.direction:
            text = without_marks(text)
        if self.unicode_form != "none":
            form = cast(Literal["NFC", "NFD", "NFKC", "NFKD"], self.unicode_form)
            text = unicodedata.normalize(form, text)
        return " ".join(text.split()) if self.whitespace == "collapse" else text

    def spell(self, text: str) -> str:
        """Return the normalised `text` in the order of labels, as language models of this model read it."""
        text = self.normalise(text)
        return to_line(text, self.direction) if self.direction else text

    def unknown(self, text: str) -> list[str]:
        """Return the characters of the normalised `text` that have no label, each once, in order."""
        return [symbol for symbol in dict.fromkeys(self.spell(text)) if symbol not in self.labels]

    def encode(self, text: str) -> list[int]:
        """Return the labels of the normalised `text`.

        Raises:
            ValueError: the text has characters that are not in the alphabet; the message names them.
        """
        labels = self.labels
        try:
            return [labels[symbol] for symbol in self.spell(text)]
        except KeyError:
            unknown = ", ".join(_named(symbol) for symbol in self.unknown(text))
            raise ValueError(
                f"{text!r} has {unknown}, not in the alphabet of {len(self.symbols)} symbols; "
                "extend the alphabet or drop the line"
            ) from None

    def pieces(self, labels: Iterable[int]) -> list[str]:
        """Return the character of each label.

        Raises:
            ValueError: no symbol has the label; it may be the blank.
        """
        symbols = self._symbols
        text = []
        for label in labels:
            symbol = symbols.get(operator.index(label))
            if symbol is None:
                blank = " (the blank)" if label == BLANK else ""
                raise ValueError(
                    f"label {label}{blank} stands for no symbol; labels go from 1 to {len(self.symbols)}"
                )
            text.append(symbol)
        return text

    def read(self, pieces: Sequence[str]) -> Sequence[Read]:
        """Return `pieces` that write something in the order of reading, each with its place in `pieces`."""
        written = in_order(pieces)
        if not self.direction:
            return written
        read = from_line([one.text for one in written], self.direction)
        return [one._replace(place=written[one.place].place) for one in read]

    def decode(self, labels: Iterable[int]) -> str:
        """Return the text of `labels`; ValueError as of `pieces`."""
        pieces = self.pieces(labels)
        return "".join(one.text for one in self.read(pieces)) if self.direction else "".join(pieces)

    @cached_property
    def labels(self) -> dict[str, int]:
        """The label of each symbol."""
        return {symbol: label for label, symbol in enumerate(self.symbols, 1)}

    @cached_property
    def _symbols(self) -> dict[int, str]:
        return dict(enumerate(self.symbols, 1))


@dataclass(frozen=True)
class Names:
    """Symbols that are names: the classes of whole signals, or the words or characters of labelled steps.

    Label 0 stands for no name.

    Raises:
        ValueError: a name is empty, has white space other than single spaces within, or is there twice.
    """

    symbols: tuple[str, ...]
    separator: str | None = None
    """text between two names; "": a text is a row of characters, each a name; None: a text is one name"""
    unicode_form: str = "NFC"
    """the Unicode normalisation of names: NFC, NFD, NFKC, NFKD, or none"""

    whitespace = "collapse"
    direction = None
    writes_text = False
    noun = "names"

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for symbol in self.symbols:
            if not symbol or symbol != " ".join(symbol.split()):
                raise ValueError(f"name {symbol!r} is empty or has white space around; write it without")
            if symbol in seen:
                raise ValueError(f"name {symbol!r} is there twice; remove one")
            seen.add(symbol)

    @classmethod
    def from_texts(
        cls, texts: Iterable[str], unicode_form: str = "NFC", separator: str | None = None
    ) -> Self:
        """Return all names in `texts`, sorted."""
        empty = cls((), separator, unicode_form)
        return cls(
            tuple(sorted({name for text in texts for name in empty.split(text)})), separator, unicode_form
        )

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the names that `to_dict` described; ValueError for an unknown key."""
        known = {"names", "separator", "unicode_form"}
        if unknown := sorted(set(fields) - known):
            raise ValueError(f"names: unknown key {unknown[0]!r}; the keys are {', '.join(sorted(known))}")
        return cls(tuple(fields["names"]), fields.get("separator"), fields.get("unicode_form", "NFC"))

    def to_dict(self) -> dict[str, Any]:
        """Return its fields for JSON and `from_dict`."""
        return {"names": list(self.symbols), "separator": self.separator, "unicode_form": self.unicode_form}

    @property
    def classes(self) -> int:
        """C, the number of labels: the names and label 0."""
        return len(self.symbols) + 1

    def normalise(self, text: str) -> str:
        """Return `text` in the Unicode form of the names, with one space for each run of white space."""
        return Alphabet((), self.unicode_form).normalise(text)

    def spell(self, text: str) -> str:
        """Return the normalised `text`: names have the order of the text."""
        return self.normalise(text)

    def read(self, pieces: Sequence[str]) -> Sequence[Read]:
        """Return the names with their places: they have the order of the text."""
        return in_order(pieces)

    def split(self, text: str) -> list[str]:
        """Return the names in the normalised `text`."""
        text = self.normalise(text)
        if self.separator is None:
            return [text]
        names = text.split(self.separator) if self.separator else text
        return [name for name in names if name and not name.isspace()]

    def unknown(self, text: str) -> list[str]:
        """Return the names in `text` that have no label, each once, in order."""
        return [name for name in dict.fromkeys(self.split(text)) if name not in self.labels]

    def encode(self, text: str) -> list[int]:
        """Return the labels of the names in `text`; ValueError for an unknown one."""
        if unknown := self.unknown(text):
            raise ValueError(
                f"{unknown[0]!r} is not among the {len(self.symbols)} names"
                f" ({', '.join(self.symbols[:10])}); correct it or train with it"
            )
        return [self.labels[name] for name in self.split(text)]

    def pieces(self, labels: Iterable[int]) -> list[str]:
        """Return the name of each label; ValueError for 0 and other labels without a name."""
        names = []
        for label in labels:
            if not 1 <= label <= len(self.symbols):
                raise ValueError(f"label {label} stands for no name; they go from 1 to {len(self.symbols)}")
            names.append(self.symbols[label - 1])
        return names

    def decode(self, labels: Iterable[int]) -> str:
        """Return the text of `labels`; ValueError as of `pieces`."""
        return (self.separator or "").join(self.pieces(labels))

    @cached_property
    def labels(self) -> dict[str, int]:
        """The label of each name."""
        return {symbol: label for label, symbol in enumerate(self.symbols, 1)}


def in_order(pieces: Iterable[str]) -> list[Read]:
    """Return `pieces` that write something, in their order, each with its place."""
    return [Read(place, piece) for place, piece in enumerate(pieces) if piece]


def collapse_pieces(pieces: Iterable[str]) -> list[str]:
    """Return the texts of labels with one space between words and none at the ends.

    As many are returned as were given; a piece of which nothing is left is "".
    """
    kept: list[str] = []
    at_edge = True  # at the start of the text, or after white space
    for piece in pieces:
        text = piece.lstrip() if at_edge else piece
        kept.append(text)
        at_edge = text[-1].isspace() if text else at_edge
    for place in reversed(range(len(kept))):
        kept[place] = kept[place].rstrip()
        if kept[place]:
            break
    return kept


def _named(symbol: str) -> str:
    return f"{symbol!r} (U+{ord(symbol):04X})"

"""The alphabet of a model: its symbols, their labels, and the form in which it wants text."""

import operator
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self, cast

BLANK = 0
"""the label of CTC's blank, which is no symbol"""
UNICODE_FORMS = ("NFC", "NFD", "NFKC", "NFKD", "none")
WHITESPACE = ("collapse", "keep")


@dataclass(frozen=True)
class Alphabet:
    """Symbols and their labels: symbol i, counted from 0, has label i + 1; label 0 is the blank.

    Raises:
        ValueError: for a symbol that is not one code point, or stands twice, and for an unknown policy.
    """

    symbols: tuple[str, ...]
    """one code point each"""
    unicode_form: str = "NFC"
    """the Unicode normalisation of text: NFC, NFD, NFKC, NFKD, or none"""
    whitespace: str = "collapse"
    """collapse: every run of white space is one space, none at the ends; keep: as it stands"""

    def __post_init__(self) -> None:
        for name, value, known in (
            ("unicode_form", self.unicode_form, UNICODE_FORMS),
            ("whitespace", self.whitespace, WHITESPACE),
        ):
            if value not in known:
                raise ValueError(f"alphabet: {name} is {value!r}; choose one of {', '.join(known)}")
        seen: set[str] = set()
        for symbol in self.symbols:
            if not isinstance(symbol, str) or len(symbol) != 1:
                raise ValueError(f"alphabet: symbol {symbol!r} is not one code point; split or remove it")
            if symbol in seen:
                raise ValueError(f"alphabet: symbol {_named(symbol)} stands there twice; remove one")
            seen.add(symbol)

    @classmethod
    def from_texts(
        cls, texts: Iterable[str], unicode_form: str = "NFC", whitespace: str = "collapse"
    ) -> Self:
        """Return the alphabet of all symbols in `texts`, sorted by code point."""
        empty = cls((), unicode_form, whitespace)
        symbols: set[str] = set()
        for text in texts:
            symbols.update(empty.normalise(text))
        return cls(tuple(sorted(symbols)), unicode_form, whitespace)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the alphabet that `to_dict` has described.

        Raises:
            ValueError: for a key that is unknown or missing, and for anything an Alphabet refuses.
        """
        known = ("symbols", "unicode_form", "whitespace")
        for key in fields:
            if key not in known:
                raise ValueError(f"alphabet: unknown key {key!r}; the keys are {', '.join(known)}")
        symbols = fields.get("symbols")
        if not isinstance(symbols, list | tuple):
            raise ValueError(f'alphabet: "symbols" is {symbols!r}; make it a list of one-character strings')
        return cls(tuple(symbols), *(fields.get(key, getattr(cls, key)) for key in known[1:]))

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can keep of it, all of it."""
        return {
            "symbols": list(self.symbols),
            "unicode_form": self.unicode_form,
            "whitespace": self.whitespace,
        }

    @property
    def classes(self) -> int:
        """The number of classes C a model tells apart: the symbols and the blank."""
        return len(self.symbols) + 1

    def normalise(self, text: str) -> str:
        """Return `text` in the form in which the model learns and writes it; to do so twice changes nothing.

        White space is what `str.split` takes for it: no-break spaces and line separators too.
        """
        if self.unicode_form != "none":
            form = cast(Literal["NFC", "NFD", "NFKC", "NFKD"], self.unicode_form)
            text = unicodedata.normalize(form, text)
        return " ".join(text.split()) if self.whitespace == "collapse" else text

    def unknown(self, text: str) -> list[str]:
        """Return the characters of the normalised `text` that have no label, each once, in order."""
        return [symbol for symbol in dict.fromkeys(self.normalise(text)) if symbol not in self._labels]

    def encode(self, text: str) -> list[int]:
        """Return the labels of the normalised `text`.

        Raises:
            ValueError: naming the characters that are not in the alphabet.
        """
        labels = self._labels
        try:
            return [labels[symbol] for symbol in self.normalise(text)]
        except KeyError:
            unknown = ", ".join(_named(symbol) for symbol in self.unknown(text))
            raise ValueError(
                f"{text!r} has {unknown}, not in the alphabet of {len(self.symbols)} symbols; "
                "extend the alphabet or drop the line"
            ) from None

    def decode(self, labels: Iterable[int]) -> str:
        """Return the text of `labels`, none of which is the blank.

        Raises:
            ValueError: for a label that no symbol has.
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
        return "".join(text)

    @cached_property
    def _labels(self) -> dict[str, int]:
        return {symbol: label for label, symbol in enumerate(self.symbols, 1)}

    @cached_property
    def _symbols(self) -> dict[int, str]:
        return dict(enumerate(self.symbols, 1))


@dataclass(frozen=True)
class Names:
    """Names of several characters and their labels, with the interface of an Alphabet: words, or classes.

    Name i, counted from 0, has label i + 1; label 0 is none of them.

    Raises:
        ValueError: for a name that is empty, has white space at its ends, or stands twice.
    """

    symbols: tuple[str, ...]
    separator: str | None = None
    """stands between the names of a text; "": nothing does, each is a character; None: a text is one name"""
    unicode_form: str = "NFC"

    whitespace = "collapse"

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for symbol in self.symbols:
            if not symbol or symbol != " ".join(symbol.split()):
                raise ValueError(f"name {symbol!r} is empty or has white space around; write it without")
            if symbol in seen:
                raise ValueError(f"name {symbol!r} stands there twice; remove one")
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
        """Return the names that `to_dict` has described; ValueError for an unknown key."""
        known = {"names", "separator", "unicode_form"}
        if unknown := sorted(set(fields) - known):
            raise ValueError(f"names: unknown key {unknown[0]!r}; the keys are {', '.join(sorted(known))}")
        return cls(tuple(fields["names"]), fields.get("separator"), fields.get("unicode_form", "NFC"))

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can keep of it, all of it."""
        return {"names": list(self.symbols), "separator": self.separator, "unicode_form": self.unicode_form}

    @property
    def classes(self) -> int:
        """The number of labels, 0 among them."""
        return len(self.symbols) + 1

    def normalise(self, text: str) -> str:
        """Return `text` in the form of the names, with one space for each run of white space."""
        return Alphabet((), self.unicode_form).normalise(text)

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

    def decode(self, labels: Iterable[int]) -> str:
        """Return the text of `labels`, none of which is 0."""
        names = []
        for label in labels:
            if not 1 <= label <= len(self.symbols):
                raise ValueError(f"label {label} stands for no name; they go from 1 to {len(self.symbols)}")
            names.append(self.symbols[label - 1])
        return (self.separator or "").join(names)

    @cached_property
    def labels(self) -> dict[str, int]:
        """The label of each name."""
        return {symbol: label for label, symbol in enumerate(self.symbols, 1)}


def alphabet_from(fields: Mapping[str, Any]) -> "Alphabet | Names":
    """Return the alphabet or the names that a model file describes."""
    return Names.from_dict(fields) if "names" in fields else Alphabet.from_dict(fields)


def _named(symbol: str) -> str:
    return f"{symbol!r} (U+{ord(symbol):04X})"

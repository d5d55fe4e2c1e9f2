"""Symbols that are phones: the labels of a network that learns how words sound, and writes words.

    text      THE CAT
    labels    DH AH _ K AE T         `encode`: the first pronunciation of each word, spaces between words
    written   THE(13) _ CAT(57)      labels of words, which a decoder puts in place of those of their phones

Labels of words come after all labels of the network, which never gives them; `pieces` knows both kinds.
Phones that say no word stay as they are, and are written with hyphens: "K-AE-T".
"""

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any, Self

from common.text.direction import Read
from common.text.phonetic.pronunciations import Pronunciation, parse_lines, write_lines
from common.text.symbols import Alphabet, in_order

SPACE = " "
SPACE_LABEL = 1
"""the label between two words"""


@dataclass(frozen=True)
class Phones:
    """Symbols that are phones and the space between words, with the pronunciations of words.

    Raises:
        ValueError: a phone is there twice, or a pronunciation has a phone that is not among them.
    """

    phones: tuple[str, ...]
    """the names of the phones, such as "AE" or "æ", in the order of their labels, which start at 2"""
    pronunciations: tuple[Pronunciation, ...]
    """the words that can be written; the first one of a word is learnt"""
    unicode_form: str = "NFC"
    """the Unicode normalisation of texts: NFC, NFD, NFKC, NFKD, or none"""

    separator = ""
    writes_text = True
    whitespace = "collapse"
    direction = None
    noun = "words without a pronunciation"

    def __post_init__(self) -> None:
        if len(set(self.phones)) < len(self.phones):
            raise ValueError("phones: one is there twice; name each once")
        known, used = set(self.phones), chain.from_iterable(one.phones for one in self.pronunciations)
        for lacking in set(used) - known:
            word = next(one.word for one in self.pronunciations if lacking in one.phones)
            raise ValueError(
                f"pronunciation of {word!r}: {lacking!r} is none of the model's {len(known)} phones"
                f" ({' '.join(self.phones[:60])}); write it with those"
            )

    @classmethod
    def of(cls, pronunciations: Sequence[Pronunciation], unicode_form: str = "NFC") -> Self:
        """Return the phones of pronunciations, sorted by name."""
        names = sorted({phone for one in pronunciations for phone in one.phones})
        return cls(tuple(names), tuple(pronunciations), unicode_form)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return what `to_dict` described; ValueError for an unknown key, or as of the class."""
        known = {"phones", "pronunciations", "unicode_form"}
        if unknown := sorted(set(fields) - known):
            raise ValueError(f"phones: unknown key {unknown[0]!r}; the keys are {', '.join(sorted(known))}")
        pronunciations = parse_lines(fields["pronunciations"])
        return cls(tuple(fields["phones"]), tuple(pronunciations), fields.get("unicode_form", "NFC"))

    def to_dict(self) -> dict[str, Any]:
        """Return its fields for JSON and `from_dict`."""
        lines = write_lines(self.pronunciations)
        return {"phones": list(self.phones), "pronunciations": lines, "unicode_form": self.unicode_form}

    def saying(self, pronunciations: Iterable[Pronunciation]) -> Self:
        """Return the same phones with other pronunciations; ValueError for one with another phone."""
        return replace(self, pronunciations=tuple(pronunciations))

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """The space and the phones, in the order of their labels."""
        return (SPACE, *self.phones)

    @property
    def classes(self) -> int:
        """C, the number of labels of the network: the symbols and the blank."""
        return len(self.phones) + 2

    @cached_property
    def labels(self) -> dict[str, int]:
        """The label of each symbol."""
        return {symbol: label for label, symbol in enumerate(self.symbols, 1)}

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words that have pronunciations, each once; word i has the label C + i."""
        return tuple(dict.fromkeys(one.word for one in self.pronunciations))

    @property
    def written(self) -> Alphabet:
        """The alphabet of the words, in which language models are learnt."""
        return Alphabet(tuple(sorted({SPACE, *"".join(self.words)})), self.unicode_form)

    @cached_property
    def _first(self) -> dict[str, tuple[str, ...]]:
        """The first pronunciation of each word."""
        return {word: phones for word, phones in reversed(self.pronunciations)}

    def normalise(self, text: str) -> str:
        """Return `text` in the Unicode form of the words, with one space for each run of white space."""
        return Alphabet((), self.unicode_form).normalise(text)

    def spell(self, text: str) -> str:
        """Return the normalised `text`: words have the order of the text."""
        return self.normalise(text)

    def unknown(self, text: str) -> list[str]:
        """Return the words of the normalised `text` that have no pronunciation, each once, in order."""
        return [word for word in dict.fromkeys(self.normalise(text).split()) if word not in self._first]

    def encode(self, text: str) -> list[int]:
        """Return the labels of the phones that say `text`; ValueError names words without pronunciation."""
        if unknown := self.unknown(text):
            raise ValueError(
                f"{text!r} has {', '.join(map(repr, unknown))}, not among the {len(self._first)} words with a"
                " pronunciation; give pronunciations of them or drop the text"
            )
        labels: list[int] = []
        for word in self.normalise(text).split():
            labels += [SPACE_LABEL] * bool(labels)
            labels += [self.labels[phone] for phone in self._first[word]]
        return labels

    def pieces(self, labels: Iterable[int]) -> list[str]:
        """Return the text of each label: a space, a word, or a phone, after a hyphen if it follows another.

        Raises:
            ValueError: a label stands for nothing; it may be the blank.
        """
        texts, after_phone = list[str](), False
        for label in map(operator.index, labels):
            place = label - self.classes
            if not label >= 1 or place >= len(self.words):
                raise ValueError(f"label {label} stands for no phone and no word")
            is_phone = SPACE_LABEL < label < self.classes
            text = self.words[place] if place >= 0 else self.symbols[label - 1]
            texts.append(f"-{text}" if is_phone and after_phone else text)
            after_phone = is_phone
        return texts

    def read(self, pieces: Sequence[str]) -> Sequence[Read]:
        """Return the pieces with their places: they have the order of the text."""
        return in_order(pieces)

    def decode(self, labels: Iterable[int]) -> str:
        """Return the text of `labels`; ValueError as of `pieces`."""
        return "".join(self.pieces(labels))

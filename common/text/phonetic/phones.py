"""Symbols that are phones: the labels of a network that learns how words sound, and writes words.

    text      THE CAT
    labels    DH AH _ K AE T         `encode`: the first pronunciation of each word, spaces between words
    written   THE(13) _ CAT(57)      labels of words, which a decoder puts in place of those of their phones

Labels of words come after all labels of the network, which never gives them; `pieces` knows both kinds.
Phones that say no word stay as they are, and are written with hyphens: "K-AE-T".
"""

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from common.text.direction import Read
from common.text.phonetic.pronunciations import Pronunciation
from common.text.symbols import Alphabet, in_order

SPACE = " "
SPACE_LABEL = 1
"""the label between two words"""
FIRST_CODE = 0x30
"""the character that stands for label 0 in `Phones.sounds`"""


@dataclass(frozen=True)
class Phones:
    """Symbols that are phones and the space between words, with the pronunciations of words.

    These are kept as two rows of strings, since reading 160,000 of them shall not delay the first text.

    Raises:
        ValueError: a phone is there twice, or the pronunciations are damaged.
    """

    phones: tuple[str, ...]
    """the names of the phones, such as "AE" or "æ", in the order of their labels, which start at 2"""
    said: tuple[str, ...]
    """the word of each pronunciation; the first one of a word is learnt"""
    sounds: tuple[str, ...]
    """the phones of each pronunciation: the character FIRST_CODE + label for each"""
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
        codes = {FIRST_CODE + label for label in range(SPACE_LABEL + 1, self.classes)}
        used = set(map(ord, set("".join(self.sounds))))
        if len(self.said) != len(self.sounds) or not used <= codes or not all(self.sounds):
            raise ValueError("phones: words and sounds do not fit each other; copy the model again")

    @classmethod
    def of(
        cls,
        pronunciations: Iterable[Pronunciation],
        unicode_form: str = "NFC",
        phones: Sequence[str] | None = None,
    ) -> Self:
        """Return the symbols of pronunciations.

        Args:
            pronunciations: the words that can be written.
            unicode_form: the Unicode normalisation of texts.
            phones: the names of the phones in the order of their labels; None for those of the
                pronunciations, sorted.

        Raises:
            ValueError: a phone is there twice, or a pronunciation has a phone that is not among them.
        """
        said = tuple(pronunciations)
        names = sorted({phone for one in said for phone in one.phones}) if phones is None else phones
        code = {name: chr(FIRST_CODE + label) for label, name in enumerate(names, SPACE_LABEL + 1)}
        for word, sounds in said:
            if lacking := [phone for phone in sounds if phone not in code]:
                raise ValueError(
                    f"pronunciation of {word!r}: {lacking[0]!r} is none of the model's {len(names)} phones"
                    f" ({' '.join(names[:60])}); write it with those"
                )
        sounds = tuple("".join(map(code.__getitem__, one.phones)) for one in said)
        return cls(tuple(names), tuple(one.word for one in said), sounds, unicode_form)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return what `to_dict` described; ValueError for an unknown key, or as of the class."""
        known = {"phones", "words", "sounds", "unicode_form"}
        if unknown := sorted(set(fields) - known):
            raise ValueError(f"phones: unknown key {unknown[0]!r}; the keys are {', '.join(sorted(known))}")
        said, sounds = (
            tuple(fields[name].split("\n")) if fields[name] else () for name in ("words", "sounds")
        )
        return cls(tuple(fields["phones"]), said, sounds, fields.get("unicode_form", "NFC"))

    def to_dict(self) -> dict[str, Any]:
        """Return its fields for JSON and `from_dict`."""
        rows = {"words": "\n".join(self.said), "sounds": "\n".join(self.sounds)}
        return {"phones": list(self.phones), **rows, "unicode_form": self.unicode_form}

    def saying(self, pronunciations: Iterable[Pronunciation]) -> Self:
        """Return the same phones with other pronunciations; ValueError for one with another phone."""
        return self.of(pronunciations, self.unicode_form, self.phones)

    @cached_property
    def pronunciations(self) -> tuple[Pronunciation, ...]:
        """The words that can be written, each with the names of its phones."""
        return tuple(
            Pronunciation(
                word, tuple(self.phones[ord(code) - FIRST_CODE - SPACE_LABEL - 1] for code in sounds)
            )
            for word, sounds in zip(self.said, self.sounds, strict=True)
        )

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
        return tuple(dict.fromkeys(self.said))

    @property
    def written(self) -> Alphabet:
        """The alphabet of the words, in which language models are learnt."""
        return Alphabet(tuple(sorted({SPACE, *"".join(self.words)})), self.unicode_form)

    @cached_property
    def _first(self) -> dict[str, str]:
        """The sounds of the first pronunciation of each word."""
        return dict(zip(reversed(self.said), reversed(self.sounds), strict=True))

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
            labels += [ord(code) - FIRST_CODE for code in self._first[word]]
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

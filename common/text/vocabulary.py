"""The symbols of a recurrent language model: characters or words, and one that stands for all others."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

from common.text.direction import Read
from common.text.symbols import BLANK, Alphabet, in_order

UNKNOWN_TOKEN = "<unk>"
"""the word that stands for every word outside a vocabulary"""
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""U+FFFD, the character that stands for every character outside a vocabulary"""
END_LABEL = BLANK
"""the label that begins and ends each text; it is the blank's label, which no symbol has"""
Unit = Literal["character", "word"]


@dataclass(frozen=True)
class Vocabulary:
    """Characters or words and their labels, from 1; a kind of `Symbols`. Label 0 begins and ends each text.

    A character that is not in it has the label of U+FFFD, if that is one of the characters; a word that is
    not in it has the label of `<unk>`.

    Raises:
        ValueError: words without `<unk>`, a word with white space, or a word that is there twice.
    """

    alphabet: Alphabet
    """the characters; of a vocabulary of words, only the form of its texts"""
    words: tuple[str, ...] = ()
    """the words, of which the first is `<unk>`; none: symbols are characters"""

    writes_text = True
    direction = None

    def __post_init__(self) -> None:
        if not self.words:
            return
        if self.words[0] != UNKNOWN_TOKEN:
            raise ValueError(f"vocabulary: the first word is {self.words[0]!r}; put {UNKNOWN_TOKEN!r} there")
        if len(set(self.words)) < len(self.words):
            twice = Counter(self.words).most_common(1)[0][0]
            raise ValueError(f"vocabulary: the word {twice!r} is there twice; remove one")
        if broken := next((word for word in self.words if word.split() != [word]), None):
            raise ValueError(f"vocabulary: {broken!r} is not one word; split or remove it")

    @classmethod
    def from_texts(
        cls, texts: Iterable[str], unit: Unit = "character", limit: int | None = None, form: str = "NFC"
    ) -> Self:
        """Return the vocabulary of the characters or words in `texts`, and of the symbol for all others.

        Args:
            texts: in any Unicode form.
            unit: what a label stands for.
            limit: how many of the most frequent characters or words are kept; None for all.
            form: the Unicode form to which texts are normalised.
        """
        empty = Alphabet((), form)
        counts: Counter[str] = Counter()
        for text in texts:
            normalised = empty.normalise(text)
            counts.update(normalised if unit == "character" else normalised.split())
        counts.pop(REPLACEMENT if unit == "character" else UNKNOWN_TOKEN, None)
        kept = sorted(token for token, _ in counts.most_common(limit))
        if unit == "character":
            return cls(Alphabet((*kept, REPLACEMENT), form))
        return cls(empty, (UNKNOWN_TOKEN, *kept))

    @classmethod
    def from_dict(cls, header: Mapping[str, Any]) -> Self:
        """Return the vocabulary that the header of a model file describes, whatever else is in the header.

        Raises:
            ValueError: the description is damaged.
        """
        return cls(Alphabet.from_dict(header["alphabet"]), tuple(header.get("words", ())))

    def to_dict(self) -> dict[str, Any]:
        """Return its fields for the header of a model file."""
        return {"alphabet": self.alphabet.to_dict(), "words": list(self.words)}

    @property
    def unit(self) -> Unit:
        """What a label stands for."""
        return "word" if self.words else "character"

    @property
    def noun(self) -> str:
        """What symbols are called in messages."""
        return f"{self.unit}s"

    @property
    def separator(self) -> str:
        """What `decode` writes between the texts of two labels."""
        return " " if self.words else ""

    @property
    def unicode_form(self) -> str:
        """The Unicode normalisation of texts."""
        return self.alphabet.unicode_form

    @property
    def whitespace(self) -> str:
        """What becomes of white space."""
        return self.alphabet.whitespace

    @property
    def symbols(self) -> tuple[str, ...]:
        """The characters or words in the order of their labels, from 1."""
        return self.words or self.alphabet.symbols

    @property
    def classes(self) -> int:
        """C, the number of labels: the symbols and label 0."""
        return len(self.symbols) + 1

    @cached_property
    def labels(self) -> dict[str, int]:
        """The label of each character or word."""
        return {symbol: label for label, symbol in enumerate(self.symbols, 1)}

    @property
    def unknown_label(self) -> int | None:
        """The label of the symbol that stands for all others; None if there is no such symbol."""
        return self.labels.get(UNKNOWN_TOKEN if self.words else REPLACEMENT)

    def normalise(self, text: str) -> str:
        """Return `text` in the form in which the model reads and writes it."""
        return self.alphabet.normalise(text)

    def spell(self, text: str) -> str:
        """Return the normalised `text`: labels have its order."""
        return self.normalise(text)

    def read(self, pieces: Sequence[str]) -> Sequence[Read]:
        """Return the characters or words with their places: they have the order of the text."""
        return in_order(pieces)

    def split(self, text: str) -> Sequence[str]:
        """Return the characters or words of the normalised `text`."""
        text = self.normalise(text)
        return text.split() if self.words else text

    def unknown(self, text: str) -> list[str]:
        """Return the characters or words of `text` that are not in the vocabulary, each once, in order."""
        return [part for part in dict.fromkeys(self.split(text)) if part not in self.labels]

    def encode(self, text: str) -> list[int]:
        """Return the labels of the normalised `text`, without those of its start and end.

        Raises:
            ValueError: a character is not in the vocabulary, and no symbol stands for all others.
        """
        unknown = self.unknown_label
        if unknown is None:
            return self.alphabet.encode(text)
        get = self.labels.get
        return [get(part, unknown) for part in self.split(text)]

    def pieces(self, labels: Iterable[int]) -> list[str]:
        """Return the character or word of each label; ValueError for 0 and other labels without one."""
        if not self.words:
            return self.alphabet.pieces(labels)
        words = []
        for label in labels:
            if not 1 <= label <= len(self.words):
                raise ValueError(f"label {label} stands for no word; they go from 1 to {len(self.words)}")
            words.append(self.words[label - 1])
        return words

    def decode(self, labels: Iterable[int]) -> str:
        """Return the text of `labels`; ValueError as of `pieces`."""
        return self.separator.join(self.pieces(labels))

"""What a recurrent language model reads and writes, characters or words, and their labels."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

from common.text.symbols import BLANK, Alphabet

UNKNOWN_TOKEN = "<unk>"
"""the token that stands for every word outside a vocabulary"""
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""the character U+FFFD; it stands for every character outside a vocabulary"""
END_LABEL = BLANK
"""the label that begins and ends each text: the blank's, which no symbol has"""
Unit = Literal["character", "word"]


@dataclass(frozen=True)
class Vocabulary:
    """Characters or words and their labels, from 1; label 0 begins and ends each text.

    What is not in it has the label of U+FFFD, if that is among the characters, or of `<unk>` among the words.

    Raises:
        ValueError: words without `<unk>`, with white space in them, or that stand there twice.
    """

    alphabet: Alphabet
    """of characters; of a model over words, the form of its texts"""
    words: tuple[str, ...] = ()
    """none: characters are read; else the first is `<unk>`"""

    def __post_init__(self) -> None:
        if not self.words:
            return
        if self.words[0] != UNKNOWN_TOKEN:
            raise ValueError(f"vocabulary: the first word is {self.words[0]!r}; put {UNKNOWN_TOKEN!r} there")
        if len(set(self.words)) < len(self.words):
            twice = Counter(self.words).most_common(1)[0][0]
            raise ValueError(f"vocabulary: the word {twice!r} stands there twice; remove one")
        if broken := next((word for word in self.words if word.split() != [word]), None):
            raise ValueError(f"vocabulary: {broken!r} is not one word; split or remove it")

    @classmethod
    def from_texts(
        cls, texts: Iterable[str], unit: Unit = "character", limit: int | None = None, form: str = "NFC"
    ) -> Self:
        """Return the characters or words of `texts`, and what stands for others.

        Args:
            texts: in any form.
            unit: what a label stands for.
            limit: keep so many of the most frequent; None for all.
            form: the Unicode form texts are brought to.
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
    def from_header(cls, header: Mapping[str, Any]) -> Self:
        """Return the vocabulary that the header of a model file describes; ValueError if it does not."""
        return cls(Alphabet.from_dict(header["alphabet"]), tuple(header.get("words", ())))

    def to_header(self) -> dict[str, Any]:
        """Return what the header of a model file keeps of it."""
        return {"alphabet": self.alphabet.to_dict(), "words": list(self.words)}

    @property
    def unit(self) -> Unit:
        """What a label stands for."""
        return "word" if self.words else "character"

    @property
    def tokens(self) -> tuple[str, ...]:
        """The characters or words in the order of their labels, from 1."""
        return self.words or self.alphabet.symbols

    @property
    def classes(self) -> int:
        """C, the number of labels with 0."""
        return len(self.tokens) + 1

    @cached_property
    def labels(self) -> dict[str, int]:
        """The label of each character or word."""
        return {token: label for label, token in enumerate(self.tokens, 1)}

    @property
    def unknown(self) -> int | None:
        """The label of what is not in it, if there is one."""
        return self.labels.get(UNKNOWN_TOKEN if self.words else REPLACEMENT)

    def split(self, text: str) -> Sequence[str]:
        """Return the characters or words of the normalised `text`."""
        text = self.alphabet.normalise(text)
        return text.split() if self.words else text

    def encode(self, text: str) -> list[int]:
        """Return the labels of the normalised `text`, without those of its start and end.

        Raises:
            ValueError: a character that is not in the alphabet, where nothing stands for such.
        """
        unknown = self.unknown
        if unknown is None:
            return self.alphabet.encode(text)
        get = self.labels.get
        return [get(token, unknown) for token in self.split(text)]

    def decode(self, labels: Iterable[int]) -> str:
        """Return the text of labels, none of which is 0."""
        if not self.words:
            return self.alphabet.decode(labels)
        return " ".join(self.words[label - 1] for label in labels)

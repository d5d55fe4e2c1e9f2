"""Transcripts: the text of one signal, its words and its characters, with positions and confidences."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, Self, TypeVar

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Character:
    """A character of a transcript."""

    text: str
    start: float
    """where it begins along the direction of reading, in seconds or pixels of the original"""
    end: float
    confidence: float
    """from 0 to 1"""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a transcript."""

    text: str
    start: float
    end: float
    confidence: float
    """of the whole word: the product of the confidences of its characters"""


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another reading of the same signal."""

    text: str
    score: float
    """natural logarithm; a higher score is better; scores are comparable within one transcript"""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The text of one signal."""

    text: str
    confidence: float
    """the expected share of right characters: the mean confidence of the characters, in which each character
    that is probably missing counts as 0; of an empty text, 1 / (1 + the expected number of missing ones)"""
    words: tuple[Word, ...]
    characters: tuple[Character, ...]
    """all characters, spaces included"""
    alternatives: tuple[Alternative, ...] = ()
    """best first"""
    source: str = ""
    unit: str = "s"
    """of all places: s (seconds) or px (pixels of the original)"""

    @classmethod
    def from_characters(
        cls,
        characters: Sequence[Character],
        source: str = "",
        unit: str = "s",
        alternatives: Sequence[Alternative] = (),
        missing: float = 0.0,
    ) -> Self:
        """Return the transcript that `characters` spell; white space separates its words.

        Args:
            characters: in the order of reading.
            source: its name.
            unit: of the places.
            alternatives: best first.
            missing: the expected number of characters that the text lacks. A character to which the model
                gives no probability at all is not among them, so that this cannot be noticed.
        """
        words: list[Word] = []
        current: list[Character] = []
        for character in characters:
            if not character.text.isspace():
                current.append(character)
            elif current:
                words.append(_word(current))
                current = []
        if current:
            words.append(_word(current))
        text = "".join(character.text for character in characters)
        sure = math.fsum(character.confidence for character in characters)
        confidence = sure / (len(characters) + missing) if characters else 1 / (1 + missing)
        return cls(text, confidence, tuple(words), tuple(characters), tuple(alternatives), source, unit)

    def to_dict(self) -> dict[str, Any]:
        """Return the transcript as JSON keeps it."""
        return {
            "source": self.source,
            "text": self.text,
            "confidence": float(self.confidence),
            "unit": self.unit,
            "words": [_placed(word) for word in self.words],
            "characters": [_placed(character) for character in self.characters],
            "alternatives": [
                {"text": other.text, "score": float(other.score)} for other in self.alternatives
            ],
        }

    @classmethod
    def from_dict(cls, described: Mapping[str, Any]) -> Self:
        """Return the transcript that `to_dict` described.

        Raises:
            ValueError: a key is unknown or missing.
        """
        parts = {"words": Word, "characters": Character, "alternatives": Alternative}
        known = {
            key: tuple(_made(parts[key], part) for part in value) if key in parts else value
            for key, value in described.items()
        }
        return _made(cls, known)


def _word(characters: Sequence[Character]) -> Word:
    return Word(
        "".join(character.text for character in characters),
        min(character.start for character in characters),  # the last character may stand on the left
        max(character.end for character in characters),
        math.prod(character.confidence for character in characters),
    )


def _placed(part: Word | Character) -> dict[str, Any]:
    # float: JSON does not know the numbers of NumPy
    return {
        "text": part.text,
        "start": float(part.start),
        "end": float(part.end),
        "confidence": float(part.confidence),
    }


def _made(kind: type[Part], described: Mapping[str, Any]) -> Part:
    name = kind.__name__.lower()
    if not isinstance(described, Mapping):
        raise ValueError(f"transcript: {described!r} is no {name}; make it an object")
    known = {field.name: field.default for field in fields(kind)}  # type: ignore[arg-type]
    for key in described:
        if key not in known:
            raise ValueError(f"transcript: unknown key {key!r} in a {name}; the keys are {', '.join(known)}")
    for key, default in known.items():
        if default is MISSING and key not in described:
            raise ValueError(f"transcript: a {name} has no {key!r}; add it")
    return kind(**described)

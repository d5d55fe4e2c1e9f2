"""What recognition returns: text, words and characters, with places and confidences; and its formats."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Self, TypeVar

from common.files.source import source_file

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Character:
    """A character of a transcript."""

    text: str
    start: float
    """where it begins, in seconds or pixels of the original"""
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
    """the product of its characters'"""


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another reading of the same signal."""

    text: str
    score: float
    """natural logarithm; more is better, comparable within one transcript"""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The text of one signal."""

    text: str
    confidence: float
    """the product of its characters'; 1 for no text"""
    words: tuple[Word, ...]
    characters: tuple[Character, ...]
    """spaces among them"""
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
    ) -> Self:
        """Return the transcript that `characters` spell; white space among them separates its words."""
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
        confidence = math.prod(character.confidence for character in characters)
        return cls(text, confidence, tuple(words), tuple(characters), tuple(alternatives), source, unit)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON keeps it."""
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
        """Return the transcript that `to_dict` has described.

        Raises:
            ValueError: for a key that is unknown or missing.
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
        characters[0].start,
        characters[-1].end,
        math.prod(character.confidence for character in characters),
    )


def _placed(part: Word | Character) -> dict[str, Any]:
    # float: NumPy's are not JSON
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


def to_txt(transcript: Transcript) -> str:
    """Return the text and a line break."""
    return f"{transcript.text}\n"


def to_label(transcript: Transcript) -> str:
    """Return the label of a whole signal and its probability, with a tab between."""
    return f"{transcript.text}\t{transcript.confidence:.4f}\n"


def to_json(transcript: Transcript) -> str:
    """Return one line of JSON with all there is."""
    return json.dumps(transcript.to_dict(), ensure_ascii=False, allow_nan=False) + "\n"


def to_tsv(transcript: Transcript) -> str:
    r"""Return a table, columns separated by tabs: a header, then start, end, confidence, text of each word.

    A tab, line break or backslash within a word is written \t, \n, \r or \\.
    """
    rows = ["start\tend\tconfidence\ttext\n"]
    for word in transcript.words:
        text = word.text.translate(ESCAPES)
        rows.append(f"{word.start:.3f}\t{word.end:.3f}\t{word.confidence:.4f}\t{text}\n")
    return "".join(rows)


def to_ctm(transcript: Transcript) -> str:
    """Return NIST's format: a row "source channel start duration word confidence" for each word.

    The source is the name of the file without folder and ending, "_" for white space in it and in words; the
    channel is always 1. Start and duration are in seconds, or, of an image, in pixels of the original.
    """
    name = "_".join(stem(transcript.source).split()) or "-"
    rows = []
    for word in transcript.words:
        text, duration = "_".join(word.text.split()), word.end - word.start
        rows.append(f"{name} 1 {word.start:.3f} {duration:.3f} {text} {word.confidence:.4f}\n")
    return "".join(rows)


def stem(source: str) -> str:
    """Return the name for what is made of a source: "scan-2" for "folder/scan.tif[2]", "stdin" for "-"."""
    if source == "-":
        return "stdin"
    file = source_file(source)
    part = source[len(file) :].strip("[]:").replace("/", "_")
    return f"{Path(file).stem}-{part}" if part else Path(file).stem


ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})

FORMATS: dict[str, Callable[[Transcript], str]] = {
    "txt": to_txt,
    "json": to_json,
    "tsv": to_tsv,
    "ctm": to_ctm,
}
"""the formats that need nothing but the transcript, by the ending of their files"""

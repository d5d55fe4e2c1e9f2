"""Examples of a corpus (signal, text, length), and the manifest that lists them as JSON lines."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from common.files.aside import written_aside
from common.files.source import absolute, present
from common.files.tars.address import is_address, open_file
from common.files.tars.member import Member, is_member

DIGEST = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Example:
    """A signal and its text."""

    source: str
    """a file, or a part of one: "scan.tif[2]", "talk.wav[12.5,15.75]", "000.tar::000012.flac" """
    text: str | None
    """the transcription; None if there is none"""
    length: float | None = None
    """seconds of sound, or width / height of a line; None: not measured yet"""
    speaker: str = ""
    """who speaks or writes; "": unknown"""
    origin: str = ""
    """ "file:line" of the manifest, for messages"""
    words: tuple["Part", ...] = ()
    """its words with their places; empty: unknown"""
    characters: tuple["Part", ...] = ()
    """its characters with their places; empty: unknown"""


class Part(NamedTuple):
    """A word or character of an example and its place."""

    text: str
    start: float
    """seconds of sound, or pixels of the original"""
    end: float


class Corpus(NamedTuple):
    """The usable examples of a corpus, and one sentence for each example that is not usable."""

    examples: list[Example]
    problems: list[str]


def read_manifest(
    path: str | Path,
    source_keys: Sequence[str] = ("source",),
    length_keys: Sequence[str] = ("length",),
    text_key: str = "text",
    adapt: Callable[[Example, dict[str, Any]], Example] | None = None,
) -> Corpus:
    """Return the examples of a file of JSON lines, such as `{"source": "a.png", "text": "a line"}`.

    Sources are relative to the manifest's folder, or are addresses. Blank lines and unknown keys are skipped.
    A text or length that is missing or null is None. "words" and "characters" are optional lists of [text,
    start, end], or of objects with these keys, as `align` writes them. A source in a tar is a `Member` if its
    row has "span", its first byte and the number of bytes, and "blake2b", as `shard` writes them. A line that
    is not a JSON object in UTF-8, has no source, or has a value of the wrong type is a problem; the other
    lines are read all the same.

    Args:
        path: a file or an address, in UTF-8, with or without a byte order mark.
        source_keys: possible keys of the source; the first that a line has is used.
        length_keys: possible keys of the length; the first that a line has is used.
        text_key: the key of the text.
        adapt: returns the example that is used in place of one, given all fields of its line; it raises
            ValueError for a field that it cannot use.

    Raises:
        ValueError: the file cannot be read, or no line of it is an example.
    """
    examples: list[Example] = []
    problems: list[str] = []
    for row in manifest_rows(path, source_keys, length_keys, text_key, adapt):
        if isinstance(row, str):
            problems.append(row)
        else:
            examples.append(row)
    if not examples and problems:
        raise ValueError(problems[0])
    if not examples:
        raise ValueError(f'{path}: no examples in it; write one JSON object a line, with "{source_keys[0]}"')
    return Corpus(examples, problems)


def manifest_rows(
    path: str | Path,
    source_keys: Sequence[str] = ("source",),
    length_keys: Sequence[str] = ("length",),
    text_key: str = "text",
    adapt: Callable[[Example, dict[str, Any]], Example] | None = None,
) -> Iterator[Example | str]:
    """Yield the example of each row of a manifest, or a sentence about a row that cannot be used.

    The arguments are those of `read_manifest`. One row is in memory at a time.

    Raises:
        ValueError: the file cannot be read.
    """
    folder, keys = os.path.dirname(path), _Keys(source_keys, length_keys, text_key)
    try:
        with open_file(str(path)) as file:
            for number, line in enumerate(file, 1):
                written = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if not written.strip():
                    continue
                try:
                    row: Example | str = _example(written, f"{path}:{number}", folder, keys, adapt)
                except ValueError as error:
                    row = f"{path}:{number}: {error}"
                yield row
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); name a file of JSON lines") from error


class _Keys(NamedTuple):
    source: Sequence[str]
    length: Sequence[str]
    text: str


def _example(
    line: bytes,
    origin: str,
    folder: str,
    keys: _Keys,
    adapt: Callable[[Example, dict[str, Any]], Example] | None,
) -> Example:
    fields = _object(line)
    source = _first(fields, keys.source)
    if not isinstance(source, str) or not source:
        raise ValueError(_wrong(fields, keys.source, source, "a file name"))
    example = Example(
        _source(source if is_address(source) else os.path.join(folder, source), fields),
        text_in(fields, keys.text),
        _length(fields, keys.length),
        speaker_in(fields),
        origin,
        _parts(fields, "words"),
        _parts(fields, "characters"),
    )
    return example if adapt is None else adapt(example, fields)


def _source(source: str, fields: dict[str, Any]) -> str:
    """Return a source as it is spelled on disk; one in a tar knows where it is if its row says so."""
    if "span" not in fields or not is_member(source):
        return present(source)
    try:
        offset, size = fields["span"]
        good = isinstance(offset, int) and isinstance(size, int) and offset >= 0 and size > 0
    except (TypeError, ValueError):
        good = False
    digest = fields.get("blake2b")
    if not good:
        raise ValueError(_wrong(fields, ("span",), fields["span"], "[first byte, number of bytes]"))
    if not isinstance(digest, str) or DIGEST.fullmatch(digest) is None:
        raise ValueError(_wrong(fields, ("blake2b",), digest, "32 hexadecimal digits"))
    return Member(source, offset, size, digest)


def _object(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(line.decode("utf-8").rstrip())
    except UnicodeDecodeError as error:
        raise ValueError(
            f"byte {error.start + 1} of the line is not UTF-8; convert the file to UTF-8"
        ) from None
    except json.JSONDecodeError as error:
        raise ValueError(
            f"not JSON ({error.msg} at column {error.colno}); write one JSON object a line"
        ) from None
    except RecursionError:
        raise ValueError("not an example (JSON nested too deep); write one JSON object a line") from None
    if not isinstance(fields, dict):
        raise ValueError(f"{_short(fields)} is not a JSON object; write one JSON object a line")
    return fields


def _first(fields: dict[str, Any], keys: Sequence[str]) -> Any:
    for key in keys:
        if key in fields:
            return fields[key]
    return None


def text_in(fields: dict[str, Any], key: str) -> str | None:
    """Return the text that a row has under a key; ValueError if it is none."""
    text = fields.get(key)
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError(_wrong(fields, (key,), text, "a string"))
    try:
        text.encode()
    except UnicodeEncodeError as error:
        surrogate = f"U+{ord(text[error.start]):04X}"
        raise ValueError(f'"{key}" has half a character ({surrogate}); write it as UTF-8') from None
    return text


def _length(fields: dict[str, Any], keys: Sequence[str]) -> float | None:
    length = _first(fields, keys)
    if length is None:
        return None
    if not is_length(length):
        raise ValueError(_wrong(fields, keys, length, "a number, 0 or more"))
    return float(length)


def is_length(value: object) -> bool:
    """Return whether `value`, read from JSON, can be a length: a finite number, 0 or more."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max


def speaker_in(fields: dict[str, Any]) -> str:
    """Return the speaker that a row names, "" if it names none; ValueError if that is no name."""
    speaker = fields.get("speaker")
    if speaker is None:
        return ""
    if isinstance(speaker, bool) or not isinstance(speaker, str | int):
        raise ValueError(_wrong(fields, ("speaker",), speaker, "a string"))
    return str(speaker)


def _parts(fields: dict[str, Any], key: str) -> tuple[Part, ...]:
    written = fields.get(key)
    if written is None:
        return ()
    try:
        parts = tuple(
            Part(part["text"], part["start"], part["end"]) if isinstance(part, dict) else Part(*part[:3])
            for part in written
        )
        for part in parts:
            part.text.encode()  # raises for half a surrogate pair
        good = all(is_length(part.start) and is_length(part.end) and part.start <= part.end for part in parts)
    except (TypeError, KeyError, AttributeError, UnicodeEncodeError):
        good = False
    if not good:
        raise ValueError(
            _wrong(
                fields, (key,), written, "a list of [text, start, end], of which none ends before it starts"
            )
        )
    return parts


def _wrong(fields: dict[str, Any], keys: Sequence[str], value: object, wanted: str) -> str:
    present = [key for key in keys if key in fields]
    if not present:
        names = " or ".join(f'"{key}"' for key in keys)
        return (
            f"no {names} among its keys ({', '.join(fields) or 'it has none'}); add {wanted} under that key"
        )
    return f'"{present[0]}" is {_short(value)}; make it {wanted}'


def _short(value: object) -> str:
    written = json.dumps(value, ensure_ascii=True)
    return written if len(written) <= 60 else f"{written[:60]}..."


def known_of(example: Example) -> dict[str, Any]:
    """Return what is known of an example beside its source, by the keys of a manifest."""
    fields = {name: value for name in ("text", "length") if (value := getattr(example, name)) is not None}
    return fields | {
        name: value for name in ("speaker", "words", "characters") if (value := getattr(example, name))
    }


def write_manifest(path: str | Path, examples: Iterable[Example]) -> None:
    """Write `examples` as JSON lines for `read_manifest`.

    A source below the manifest's folder is written relative to it, so that the folder can be moved. Any
    other source is written as an absolute path.
    """
    folder = os.path.join(absolute(os.path.dirname(path)), "")
    with written_aside(path) as file:
        for example in examples:
            source = absolute(example.source)  # a plain string
            if source.startswith(folder):
                source = source[len(folder) :].lstrip(os.sep)
            fields: dict[str, Any] = {"source": source, **known_of(example)}
            if isinstance(example.source, Member):
                fields["span"] = (example.source.offset, example.source.size)
                fields["blake2b"] = example.source.digest
            try:
                line = json.dumps(fields, ensure_ascii=False).encode()
            except UnicodeEncodeError:  # a file name that is not UTF-8: Python holds it in surrogates
                line = json.dumps(fields).encode()
            file.write(line + b"\n")

"""The parser of ARPA files: from lines of text to arrays of token ids and numbers, section by section."""

import gzip
import math
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy as np

from common.language.ngram import FLOOR, LN10, SPECIAL, UNKNOWN_ID

COUNT = re.compile(rb"ngram\s+(\d+)\s*=\s*(\d+)")
LINES_AT_ONCE = 100_000
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Section(NamedTuple):
    """The n-grams of one length N, in the order of the file."""

    line: int  # number of the line of the first n-gram
    ids: np.ndarray  # (n-grams, N)
    log_prob: np.ndarray  # (n-grams,) natural, like the backoff
    backoff: np.ndarray  # (n-grams,)


class _Tokens(NamedTuple):
    names: list[str]  # by id
    ids: dict[bytes, int]


class ParsedArpa(NamedTuple):
    """The content of an ARPA file."""

    tokens: list[str]  # by id: <unk>, <s>, </s>, then the others in the order of the file
    sections: list[Section]  # of the n-grams of length 1, 2, ... order


def parse_arpa(path: str | Path) -> ParsedArpa:
    """Return the content of an ARPA file, plain or gzipped.

    Raises:
        ValueError: "path:line: ..." for a line that does not follow the format.
    """
    ids = {name.encode(): place for place, name in enumerate(SPECIAL)}
    tokens = _Tokens(list(SPECIAL), {**ids, b"<UNK>": UNKNOWN_ID})
    with _opened(path) as file:
        lines = _Lines(path, file)
        counts = _header(lines)
        sections = [_section(lines, length, count, tokens) for length, count in enumerate(counts, 1)]
        if (line := lines.next_filled("\\end\\")) != b"\\end\\":
            raise lines.error(f"{_shown(line)} came, \\end\\ was wanted; check the counts under \\data\\")
    return ParsedArpa(tokens.names, sections)


# --- lines


class _Lines:
    """A file that is read line by line, with the number of the last line read."""

    def __init__(self, path: str | Path, file: IO[bytes]) -> None:
        self.path, self.file, self.number = path, file, 0

    def error(self, problem: str, number: int | None = None) -> ValueError:
        return ValueError(f"{self.path}:{self.number if number is None else number}: {problem}")

    def take(self, count: int) -> list[bytes]:
        taken = list(islice(self.file, count))
        self.number += len(taken)
        return taken

    def next_filled(self, wanted: str) -> bytes:
        """Return the next line that is not empty, stripped of white space."""
        while line := self.take(1):
            if stripped := line[0].strip():
                return stripped
        raise self.error(f"the file ends here, before {wanted}, so it is cut short; copy it again")


@contextmanager
def _opened(path: str | Path) -> Iterator[IO[bytes]]:
    try:
        with open(path, "rb") as file:
            start = file.read(16)
            file.seek(0)
            if not start:
                raise ValueError(f"{path}: is empty; copy the ARPA file again")
            if start.startswith(b"mmap lm"):
                raise ValueError(f"{path}: is a binary of KenLM; name the ARPA file it was built from")
            if start.startswith(b"\x1f\x8b"):
                yield cast(IO[bytes], gzip.GzipFile(fileobj=file))
            else:
                yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: its compression is damaged ({error}); copy the file again") from None
    except OSError as error:
        raise ValueError(
            f"{path}: cannot be read ({error.strerror}); name an ARPA file, plain or gzipped"
        ) from error


def _header(lines: _Lines) -> list[int]:
    r"""Return the announced number of n-grams of each length; `lines` is at the first unigram afterwards."""
    while line := lines.take(1):
        if line[0].removeprefix(BYTE_ORDER_MARK if lines.number == 1 else b"").strip() == b"\\data\\":
            break
        if b"\0" in line[0]:
            raise lines.error("not text, an ARPA file was wanted; plain or gzipped ones are read")
    else:
        raise ValueError(f"{lines.path}: has no line \\data\\; an ARPA file, plain or gzipped, was wanted")
    counts: list[int] = []
    while not (stripped := lines.next_filled("the 1-grams")).startswith(b"\\"):
        found = COUNT.fullmatch(stripped)
        if not found or int(found[1]) != len(counts) + 1:
            raise lines.error(f"{_shown(stripped)} came, ngram {len(counts) + 1}=COUNT was wanted")
        counts.append(int(found[2]))
    if stripped != b"\\1-grams:" or not counts or not counts[0]:
        raise lines.error(f"{_shown(stripped)} came after counts of {counts}; a model has at least unigrams")
    return counts


# --- sections


def _section(lines: _Lines, length: int, count: int, tokens: _Tokens) -> Section:
    """Return the n-grams of `length`, and add those of length 1 to `tokens`.

    Args:
        lines: at the first unigram, or before the title of the section of longer n-grams.
        length: N.
        count: the number of n-grams announced in the header.
        tokens: the unigrams.
    """
    if length > 1:
        title = lines.next_filled(f"the {length}-grams")
        if title != f"\\{length}-grams:".encode():
            problem = "is out of place" if title.startswith(b"\\") else "is one more than were announced"
            raise lines.error(f"{_shown(title)} {problem}, \\{length}-grams: was wanted; correct \\data\\")
    begin = lines.number + 1
    parts = []
    for start in range(0, count, LINES_AT_ONCE):
        number, wanted = lines.number + 1, min(LINES_AT_ONCE, count - start)
        fields = [line.split() for line in lines.take(wanted)]
        for place, one in enumerate(fields):
            if not length + 1 <= len(one) <= length + 2:
                raise _wrong_line(lines, number + place, one, length, f"{start + place} of {count}")
        if len(fields) < wanted:
            raise lines.error(
                f"the file ends after {start + len(fields)} of {count} {length}-grams; copy it again"
            )
        if length == 1:
            _add_tokens(lines, number, [one[1] for one in fields], tokens)
        ids = _ids(lines, number, fields, length, tokens)
        log_prob = _logarithms(lines, number, [one[0] for one in fields])
        backoff = _logarithms(lines, number, [b"".join(one[length + 1 :]) or b"0" for one in fields])
        if (log_prob > 0).any():
            place = int(np.argmax(log_prob > 0))
            problem = f"{_shown(fields[place][0])} is no log-probability; they are 0 or less"
            raise lines.error(f"{problem}; correct the line", number + place)
        parts.append((ids, log_prob, backoff))
    if not parts:
        return Section(begin, np.empty((0, length), np.int32), np.empty(0), np.empty(0))
    return Section(begin, *map(np.concatenate, zip(*parts, strict=True)))


def _wrong_line(lines: _Lines, number: int, fields: list[bytes], length: int, place: str) -> ValueError:
    if not fields or fields[0].startswith(b"\\"):
        problem = f"the {length}-grams end after {place} that were announced"
        return lines.error(f"{problem}; correct \\data\\ or copy the file again", number)
    return lines.error(
        f"{len(fields)} fields, {length + 1} or {length + 2} were wanted: a logarithm, {length} tokens, and"
        " another logarithm for the backoff; write the space of a character model <space>",
        number,
    )


def _add_tokens(lines: _Lines, number: int, names: list[bytes], tokens: _Tokens) -> None:
    for place, name in enumerate(names):
        if name not in tokens.ids:
            try:
                tokens.names.append(name.decode())
            except UnicodeDecodeError:
                problem = f"{name!r} is not UTF-8; convert the file to UTF-8"
                raise lines.error(problem, number + place) from None
            tokens.ids[name] = len(tokens.names) - 1


def _ids(lines: _Lines, number: int, fields: list[list[bytes]], length: int, tokens: _Tokens) -> np.ndarray:
    """Return the ids (n-grams, N) of the tokens in `fields`."""
    get = tokens.ids.get
    ids = np.empty((len(fields), length), np.int32)
    for column in range(length):
        ids[:, column] = [get(one[column + 1], -1) for one in fields]
    if (ids < 0).any():
        place, column = np.argwhere(ids < 0)[0].tolist()
        problem = f"{_shown(fields[place][column + 1])} is not among the unigrams"
        raise lines.error(f"{problem}; add it there or drop the line", number + place)
    return ids


def _logarithms(lines: _Lines, number: int, fields: list[bytes]) -> np.ndarray:
    """Return logarithms to the base 10 as natural logarithms."""
    try:
        numbers = np.array(list(map(float, fields)))
    except ValueError:
        numbers = np.array([_float(field) for field in fields])
    wrong = np.isnan(numbers) | (numbers == math.inf)
    if wrong.any():
        place = int(np.argmax(wrong))
        problem = f"{_shown(fields[place])} is not a number, a logarithm was wanted"
        raise lines.error(f"{problem}; correct the line", number + place)
    numbers *= LN10
    numbers[numbers == -math.inf] = FLOOR
    return numbers


def _float(field: bytes) -> float:
    try:
        return float(field)
    except ValueError:
        return math.nan


def _shown(field: bytes) -> str:
    return repr(field[:60].decode(errors="replace"))

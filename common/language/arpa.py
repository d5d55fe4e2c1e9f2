r"""N-gram models as ARPA files, the text format that KenLM, SRILM and others write.

    \data\
    ngram 1=4
    ngram 2=2

    \1-grams:
    -0.9    <unk>
    -99     <s>     -0.3        log10 of probability, n-gram, log10 of backoff weight if any
    ...
    \end\

https://www.speech.sri.com/projects/srilm/manpages/ngram-format.5.html
"""

import gzip
import logging
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, pairwise
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy as np

from common.files.aside import written_aside
from common.language.ngram import EMPTY_CONTEXT, FLOOR, LN10, SPECIAL, UNKNOWN_ID, NGram

log = logging.getLogger(__name__)

SPACES = ("<space>", "▁", "|")
"""what the space of a character model is called; the first that a file has is the space"""
WHITE = " \t\n\r\v\f"
"""what separates fields"""
COUNT = re.compile(rb"ngram\s+(\d+)\s*=\s*(\d+)")
LINES_AT_ONCE = 100_000


class _Section(NamedTuple):
    """The n-grams of one length N as they stand in the file."""

    line: int  # of the first one
    ids: np.ndarray  # (n-grams, N)
    log_prob: np.ndarray  # (n-grams,) natural, as is the backoff
    backoff: np.ndarray  # (n-grams,)


class _Tokens(NamedTuple):
    names: list[str]  # by id
    ids: dict[bytes, int]


def read_arpa(path: str | Path) -> NGram:
    """Return the model in an ARPA file, plain or gzipped.

    If all tokens but `<unk>`, `<s>` and `</s>` are single characters, it is a model of characters. The
    space is `<space>` there, or `▁` if there is none, or else `|`. `<UNK>` is `<unk>`. Where an n-gram is
    listed but not its context (some tools prune so), the context is added with the probability that backing
    off gives it, which leaves all scores as they are. A logarithm of -inf becomes -100, as is the probability
    of a token without a unigram.

    Args:
        path: of the file, in UTF-8; fields are separated by tabs or spaces.

    Raises:
        ValueError: "path:line: ..." for anything that is not as it should be.
    """
    ids = {name.encode(): place for place, name in enumerate(SPECIAL)}
    tokens = _Tokens(list(SPECIAL), {**ids, b"<UNK>": UNKNOWN_ID})
    with _opened(path) as file:
        lines = _Lines(path, file)
        counts = _header(lines)
        sections = [_section(lines, length, count, tokens) for length, count in enumerate(counts, 1)]
        if (line := lines.next_filled("\\end\\")) != b"\\end\\":
            raise lines.error(f"{_shown(line)} came, \\end\\ was wanted; check the counts under \\data\\")
    unit, names = _unit(tokens.names)
    return _model(names, unit, sections, path)


def _unit(names: Sequence[str]) -> tuple[str, list[str]]:
    """Return the unit of the tokens `names`, and the tokens with a space for what stands for it."""
    ordinary = names[len(SPECIAL) :]
    if not ordinary or any(len(name) > 1 and name != SPACES[0] for name in ordinary):
        return "word", list(names)
    space = next((name for name in SPACES if name in ordinary), None)
    return "character", [" " if name == space else name for name in names]


# --- lines


class _Lines:
    """The lines of a file, counted."""

    def __init__(self, path: str | Path, file: IO[bytes]) -> None:
        self.path, self.file, self.number = path, file, 0

    def error(self, problem: str, number: int | None = None) -> ValueError:
        return ValueError(f"{self.path}:{self.number if number is None else number}: {problem}")

    def take(self, count: int) -> list[bytes]:
        taken = list(islice(self.file, count))
        self.number += len(taken)
        return taken

    def next_filled(self, wanted: str) -> bytes:
        """Return the next line that is not empty, without white space around it."""
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
    r"""Return how many n-grams of each length there are, and leave `lines` after `\1-grams:`."""
    while line := lines.take(1):
        if line[0].strip() == b"\\data\\":
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


def _section(lines: _Lines, length: int, count: int, tokens: _Tokens) -> _Section:
    """Return the n-grams of `length`; unigrams are added to `tokens`.

    Args:
        lines: at the first unigram, or before the title of the section.
        length: N.
        count: how many were announced.
        tokens: those of the unigrams.
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
        return _Section(begin, np.empty((0, length), np.int32), np.empty(0), np.empty(0))
    return _Section(begin, *map(np.concatenate, zip(*parts, strict=True)))


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
    """Return logarithms to the base 10 as natural ones."""
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


# --- the tree


def _model(names: Sequence[str], unit: str, sections: list[_Section], path: str | Path) -> NGram:
    """Return the model whose nodes are the n-grams of `sections` and all that they begin with."""
    begins = [
        np.full(len(section.ids), EMPTY_CONTEXT) for section in sections
    ]  # nodes of the first 0, 1, ... tokens
    token, log_prob, backoff, children = [np.zeros(1, np.int32)], [np.zeros(1)], [np.zeros(1)], []
    total, before = 1, 1  # nodes, and those of the level before
    for length, section in enumerate(sections, 1):
        longer = range(length - 1, len(sections))
        keys = [begins[place] * len(names) + sections[place].ids[:, length - 1] for place in longer]
        level, nodes = np.unique(np.concatenate(keys), return_inverse=True)
        begins[length - 1 :] = np.split(total + nodes, np.cumsum([len(one) for one in keys])[:-1])
        own = begins[length - 1] - total
        listed, times = np.unique(own, return_counts=True)
        if len(listed) < len(own):
            twice = np.flatnonzero(own == listed[times > 1][0])[1]
            raise ValueError(f"{path}:{section.line + twice}: this n-gram stands here a second time; drop it")
        numbers = np.full((2, len(level)), [[np.nan], [0]])
        numbers[0, own] = section.log_prob
        if length < len(sections):
            numbers[1, own] = section.backoff
        parent, last = np.divmod(level, len(names))
        token.append(last.astype(np.int32))
        log_prob.append(numbers[0])
        backoff.append(numbers[1])
        children.append(np.bincount(parent - (total - before), minlength=before))
        total, before = total + len(level), len(level)
    children.append(np.zeros(before, np.int64))
    first_child = 1 + np.concatenate([[0], np.cumsum(np.concatenate(children))])
    model = NGram(
        names,
        unit,
        len(sections),
        np.concatenate(token),
        np.concatenate(log_prob),
        np.concatenate(backoff),
        first_child,
    )
    _fill(model, path)
    return model


def _fill(model: NGram, path: str | Path) -> None:
    """Give the nodes that the file did not list the probability that backing off gives them."""
    added = np.flatnonzero(np.isnan(model.log_prob))
    if not len(added):
        return
    log.info("%s: lists n-grams without their contexts; added %d of these", path, len(added))
    parents = model.parents()
    for start, end in pairwise(model.levels[1:]):
        nodes = added[(added >= start) & (added < end)]
        if start == model.levels[1]:
            model.log_prob[nodes] = FLOOR  # a mark such as <s>; all other tokens are unigrams
            continue
        shorter, _ = model.score(model.suffixes(parents[nodes]), model.token[nodes])
        model.log_prob[nodes] = model.backoff[parents[nodes]] + shorter


# --- writing


def write_arpa(model: NGram, path: str | Path) -> None:
    r"""Write a model as an ARPA file, gzipped if `path` ends with .gz, whole or not at all.

    What is read back is the same to the last bit. The space of a character model is written `<space>`; one
    that has no space but a `|` or `▁` is read back with a space in its place.

    Raises:
        ValueError: for a token with white space within, which the format cannot hold.
        OSError: if it cannot be written.
    """
    names = ["<space>" if token == " " else token for token in model.tokens]
    for name in names:
        if not name or set(name) & set(WHITE):
            raise ValueError(f"{path}: an ARPA file cannot hold the token {name!r}; write .npz, or drop it")
    with written_aside(path) as file:
        if str(path).endswith(".gz"):
            with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
                packed.writelines(_written(model, names))
        else:
            file.writelines(_written(model, names))


def _written(model: NGram, names: Sequence[str]) -> Iterator[bytes]:
    counts = "".join(f"ngram {length}={count}\n" for length, count in enumerate(model.counts, 1))
    yield f"\\data\\\n{counts}".encode()
    parents = model.parents()
    before = [""]  # the n-grams of the level before
    for length, (start, end) in enumerate(pairwise(model.levels[1:].tolist()), 1):
        yield f"\n\\{length}-grams:\n".encode()
        last = [names[token] for token in model.token[start:end].tolist()]
        contexts = (parents[start:end] - model.levels[length - 1]).tolist()
        if length == 1:
            ngrams = last
        else:
            ngrams = [f"{before[context]} {name}" for context, name in zip(contexts, last, strict=True)]
        log_probs, backoffs = (  # float64: as many digits as bring the float32 back
            (numbers[start:end].astype(np.float64) / LN10).tolist()
            for numbers in (model.log_prob, model.backoff)
        )
        for ngram, log_prob, backoff in zip(ngrams, log_probs, backoffs, strict=True):
            weight = f"\t{backoff:.9g}" if length < model.order else ""
            yield f"{log_prob:.9g}\t{ngram}{weight}\n".encode()
        before = ngrams
    yield b"\n\\end\\\n"

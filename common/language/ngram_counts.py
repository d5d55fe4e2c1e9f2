"""The n-grams of a text and their counts, raw and adjusted, from which a language model is estimated."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from common.language.ngram import END_ID, SPECIAL, START_ID, UNITS, UNKNOWN_ID
from common.text.vocabulary import REPLACEMENT, UNKNOWN_TOKEN

MAX_ORDER = 10


class Level(NamedTuple):
    """All n-grams of one length in a text, sorted by parent and last token."""

    parent: np.ndarray
    """(n-grams,) index in the level before of the n-gram without its last token"""
    token: np.ndarray
    """(n-grams,) id of the last token"""
    suffix: np.ndarray
    """(n-grams,) index in the level before of the n-gram without its first token"""
    raw: np.ndarray
    """(n-grams,) how often the n-gram occurs in the text"""
    adjusted: np.ndarray
    """(n-grams,) adjusted count, from which Kneser-Ney smoothing makes the probability"""


class Counts(NamedTuple):
    """The n-grams of a text."""

    tokens: tuple[str, ...]
    """indexed by id: <unk>, <s>, </s>, then the others, sorted"""
    unit: str
    levels: list[Level]
    """n-grams of length 1, 2, ... order"""


class _Stream(NamedTuple):
    tokens: tuple[str, ...]
    ids: np.ndarray  # (T,) <s> sentence </s> <s> sentence </s> ...
    left: np.ndarray  # (T,) number of tokens from here to the end of the sentence


def check_order(order: int) -> None:
    """Raise ValueError for a length of n-grams that is out of range."""
    if not 1 <= order <= MAX_ORDER:
        raise ValueError(f"order is {order}; choose 1 to {MAX_ORDER}")


# --- text


def _characters(texts: Iterable[str], limit: int | None) -> _Stream:
    lines = [text for text in texts if text.strip()]
    for line in lines:
        if "\n" in line:
            raise ValueError(f"{line[:60]!r} has a line break within; give one line at a time")
    try:
        codes = np.frombuffer("".join(lines).encode("utf-32-le"), np.uint32)
    except UnicodeEncodeError as error:
        raise ValueError(f"the text has half a character ({error.reason}); write it as UTF-8") from None
    symbols, places, counts = np.unique(codes, return_inverse=True, return_counts=True)
    tokens, ids = _vocabulary([chr(symbol) for symbol in symbols], counts, limit)
    return _stream(tokens, ids[places], np.fromiter(map(len, lines), np.int64))


def _words(texts: Iterable[str], limit: int | None) -> _Stream:
    known: dict[str, int] = {}
    places, lengths = [], []
    for text in texts:
        words = text.split()
        if words:
            # np.fromiter needs 4 bytes for a word, a Python list of all words many more
            places.append(np.fromiter((known.setdefault(word, len(known)) for word in words), np.int32))
            lengths.append(len(words))
    for mark in SPECIAL[1:]:
        if mark in known:
            raise ValueError(f"the text has the word {mark!r}, which marks ends of sentences; take it out")
    found = np.concatenate(places) if places else np.zeros(0, np.int32)
    tokens, ids = _vocabulary(list(known), np.bincount(found, minlength=len(known)), limit)
    return _stream(tokens, ids[found], np.array(lengths, np.int64))


def _vocabulary(
    names: Sequence[str], counts: np.ndarray, limit: int | None
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the tokens of a model, and the id of each of `names`."""
    kept = [place for place, name in enumerate(names) if REPLACEMENT not in name and name != UNKNOWN_TOKEN]
    if limit is not None:
        kept = sorted(kept, key=lambda place: (-counts[place], names[place]))[:limit]
    kept.sort(key=lambda place: names[place])
    ids = np.full(len(names), UNKNOWN_ID, np.int32)
    ids[kept] = np.arange(len(SPECIAL), len(SPECIAL) + len(kept))
    return (*SPECIAL, *(names[place] for place in kept)), ids


def _stream(tokens: tuple[str, ...], ids: np.ndarray, lengths: np.ndarray) -> _Stream:
    if not len(lengths):
        raise ValueError("no text to learn from; give at least one line that is not empty")
    ends = np.cumsum(lengths + 2)
    stream = np.empty(ends[-1], np.int32)
    body = np.ones(len(stream), bool)
    stream[ends - lengths - 2] = START_ID
    stream[ends - 1] = END_ID
    body[ends - lengths - 2] = body[ends - 1] = False
    stream[body] = ids
    left = np.repeat(ends, lengths + 2) - np.arange(len(stream))
    return _Stream(tokens, stream, left.astype(np.int32))


# --- counts


def count_ngrams(
    texts: Iterable[str], order: int, unit: str = "character", vocabulary: int | None = None
) -> Counts:
    """Return the counts of all n-grams of `texts` up to the length `order`.

    The arguments and errors are those of `common.language.kneser_ney.estimate`.
    """
    if unit not in UNITS:
        raise ValueError(f"unit is {unit!r}; choose one of {', '.join(UNITS)}")
    check_order(order)
    if vocabulary is not None and vocabulary < 1:
        raise ValueError(f"vocabulary is {vocabulary}; keep at least 1 token")
    stream = (_characters if unit == "character" else _words)(texts, vocabulary)
    size = len(stream.tokens)
    none = np.zeros(size, np.int32)
    raw = np.bincount(stream.ids, minlength=size)
    levels = [Level(none, np.arange(size, dtype=np.int32), none, raw, raw)]
    places = stream.ids  # (T,) index of the n-gram that begins at each token
    for length in tqdm(range(2, order + 1), desc="counting", unit=" orders", disable=None, leave=False):
        level, places = _longer(stream, places, length)
        levels.append(level)
    return Counts(stream.tokens, unit, _adjusted(levels))


def _longer(stream: _Stream, places: np.ndarray, length: int) -> tuple[Level, np.ndarray]:
    """Return the n-grams of `length`, and the index (T,) of the n-gram that begins at each token.

    Args:
        stream: the text.
        places: (T,) index of the n-gram of `length` - 1 that begins at each token.
        length: 2 or more.
    """
    begins = np.flatnonzero(stream.left >= length).astype(np.int32)
    size = len(stream.tokens)
    keys = places[begins].astype(np.int64) * size + stream.ids[begins + length - 1]
    order = np.argsort(keys)
    keys = keys[order]
    is_first = np.ones(len(keys), bool)
    is_first[1:] = keys[1:] != keys[:-1]
    first = np.flatnonzero(is_first)
    longer = np.full(len(stream.ids), -1, np.int32)
    longer[begins[order]] = np.cumsum(is_first, dtype=np.int32) - 1
    parent, token = np.divmod(keys[first], size)
    suffix = places[begins[order[first]] + 1]
    raw = np.diff(first, append=len(keys))
    return Level(parent.astype(np.int32), token.astype(np.int32), suffix, raw, raw), longer


def _adjusted(levels: list[Level]) -> list[Level]:
    """Return the levels with their adjusted counts (Chen & Goodman, as in `common.language.kneser_ney`)."""
    adjusted = []
    begins = levels[0].token == START_ID  # which n-grams begin with <s>
    for level, longer in zip(levels, [*levels[1:], None], strict=True):
        if level is not levels[0]:
            begins = begins[level.parent]
        count = level.raw
        if longer is not None:
            before = np.bincount(longer.suffix, minlength=len(level.token))
            count = np.where(begins, level.raw, before)
        if level is levels[0]:
            count = np.where(begins, 0, count)  # <s> is never predicted
        adjusted.append(level._replace(adjusted=count))
    return adjusted

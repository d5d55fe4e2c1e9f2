"""N-gram models from text, by interpolated modified Kneser-Ney smoothing.

Chen & Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling" (TR-10-98, Harvard 1998),
in the reading of Heafield et al., "Scalable Modified Kneser-Ney Language Model Estimation" (ACL 2013):

    p(w | h) = (a(h w) - D(a(h w))) / sum of a(h v) over v  +  g(h) p(w | h without its first token)

a is the count of the longest n-grams, and of those that begin with <s>; of the others, the number of
different tokens that came before. D are three discounts for each length, for counts of 1, of 2, and of 3 and
more. g gives out what the discounts took. Below the unigrams lies the uniform distribution over all tokens
but <s>.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from common.language.ngram import END_ID, SPECIAL, START_ID, UNITS, UNKNOWN_ID, NGram
from common.text.vocabulary import REPLACEMENT, UNKNOWN_TOKEN

MAX_ORDER = 10
FALLBACK = (0.5, 1.0, 1.5)
"""discounts where the text is too small to tell them; those of lmplz --discount_fallback"""
START_LOG10 = -99.0
"""of the unigram <s>, which never follows anything; as SRILM writes it"""


class Level(NamedTuple):
    """All n-grams of one length in a text, sorted by parent and last token."""

    parent: np.ndarray
    """(n-grams,) place of the n-gram without its last token, in the level before"""
    token: np.ndarray
    """(n-grams,) id of the last token"""
    suffix: np.ndarray
    """(n-grams,) place of the n-gram without its first token, in the level before"""
    raw: np.ndarray
    """(n-grams,) how often it stands in the text"""
    adjusted: np.ndarray
    """(n-grams,) the count a that its probability is made of"""


class Counts(NamedTuple):
    """The n-grams of a text."""

    tokens: tuple[str, ...]
    """by id: <unk>, <s>, </s>, then the others, sorted"""
    unit: str
    levels: list[Level]
    """of length 1, 2, ... order"""


class Discounts(NamedTuple):
    """What is taken from counts of 1, of 2, and of 3 and more."""

    one: float
    two: float
    more: float
    is_fallback: bool
    """whether they are FALLBACK"""


class _Stream(NamedTuple):
    tokens: tuple[str, ...]
    ids: np.ndarray  # (T,) <s> sentence </s> <s> sentence </s> ...
    left: np.ndarray  # (T,) how many tokens the sentence has from here on


def estimate(
    texts: Iterable[str],
    order: int,
    unit: str = "character",
    prune: Sequence[int] = (),
    vocabulary: int | None = None,
) -> NGram:
    """Return the language model of `texts`.

    Args:
        texts: one sentence each; those of white space only are skipped.
        order: length of the longest n-grams, 1 to 10.
        unit: "character" (code points, spaces among them) or "word" (what stands between white space).
        prune: n-grams of length n that stand in the text prune[n - 1] times or less are left out; the last
            number holds for all longer ones. No unigram is left out: the first number is 0.
        vocabulary: so many of the most frequent tokens are kept, the others become <unk>.

    Raises:
        ValueError: for numbers out of range, no text, or text that cannot be split into tokens.
    """
    thresholds(order, prune)  # a wrong one fails now, not after the counting
    counts = count_ngrams(texts, order, unit, vocabulary)
    return smooth(counts, [discounts(level) for level in counts.levels], prune)


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
            # np.fromiter: 4 bytes a word, not a Python list of them all
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
    """Return the tokens of a model, and for each of `names` its id."""
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
    """Return the counts of all n-grams of `texts` up to the length `order`; see `estimate`."""
    if unit not in UNITS:
        raise ValueError(f"unit is {unit!r}; choose one of {', '.join(UNITS)}")
    thresholds(order, ())
    if vocabulary is not None and vocabulary < 1:
        raise ValueError(f"vocabulary is {vocabulary}; keep at least 1 token")
    stream = (_characters if unit == "character" else _words)(texts, vocabulary)
    size = len(stream.tokens)
    none = np.zeros(size, np.int32)
    raw = np.bincount(stream.ids, minlength=size)
    levels = [Level(none, np.arange(size, dtype=np.int32), none, raw, raw)]
    places = stream.ids  # of the n-gram that begins at each token
    for length in tqdm(range(2, order + 1), desc="counting", unit=" orders", disable=None, leave=False):
        level, places = _longer(stream, places, length)
        levels.append(level)
    return Counts(stream.tokens, unit, _adjusted(levels))


def _longer(stream: _Stream, places: np.ndarray, length: int) -> tuple[Level, np.ndarray]:
    """Return the n-grams of `length`, and which of them begins at each token (T,).

    Args:
        stream: the text.
        places: (T,) of the n-grams shorter by one token that begin there.
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
    """Return the levels with the counts that their probabilities are made of."""
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
            count = np.where(begins, 0, count)  # <s> is not foretold
        adjusted.append(level._replace(adjusted=count))
    return adjusted


def discounts(level: Level) -> Discounts:
    """Return the discounts of a level from its counts of counts: equation 26 of Chen & Goodman.

    They are FALLBACK if no n-gram has a count of 1, of 2, or of 3, or if one of them would not lie between 0
    and the count it is taken from, as it is with few n-grams, such as the unigrams of characters.
    """
    n1, n2, n3, n4 = (int((level.adjusted == count).sum()) for count in (1, 2, 3, 4))
    if n1 and n2 and n3:
        share = n1 / (n1 + 2 * n2)
        found = (1 - 2 * share * n2 / n1, 2 - 3 * share * n3 / n2, 3 - 4 * share * n4 / n3)
        if all(0 < discount <= count for count, discount in enumerate(found, 1)):
            return Discounts(*found, is_fallback=False)
    return Discounts(*FALLBACK, is_fallback=True)


# --- probabilities


def thresholds(order: int, prune: Sequence[int]) -> list[int]:
    """Return for each length the count up to which n-grams are left out, from `prune` as in `estimate`.

    Raises:
        ValueError: if it is not such a list, or `order` is out of range.
    """
    if not 1 <= order <= MAX_ORDER:
        raise ValueError(f"order is {order}; choose 1 to {MAX_ORDER}")
    given = list(prune) or [0]
    if given[0] != 0 or given != sorted(given) or len(given) > order:
        raise ValueError(
            f"prune is {' '.join(map(str, given))}; begin with 0 (no unigram is left out), never go down, and"
            f" give no more than {order} numbers, one for each length"
        )
    return given + given[-1:] * (order - len(given))


def smooth(counts: Counts, taken: Sequence[Discounts], prune: Sequence[int] = ()) -> NGram:
    """Return the model of `counts`.

    Args:
        counts: of all n-grams.
        taken: the discounts of each level.
        prune: as in `estimate`. What n-grams that are left out had goes to the backoff of their context, so
            that the probabilities of all tokens after it still sum to one.
    """
    probability = np.full(1, 1 / (len(counts.tokens) - 1))  # of all but <s>
    nodes = np.zeros(1, np.int32)  # of the n-grams of the level before, -1 for those left out
    token, log_prob, suffix = [np.zeros(1, np.int32)], [np.zeros(1)], [np.full(1, -1, np.int32)]
    backoff, children = [], []
    least = thresholds(len(counts.levels), prune)
    for level, discount, threshold in zip(counts.levels, taken, least, strict=True):
        is_unigram = level is counts.levels[0]
        kept = (level.raw > threshold) | is_unigram
        probability, weight = _interpolated(level, discount, kept, probability)
        if is_unigram:
            probability[START_ID] = 10**START_LOG10
            weight[:] = 1  # the root's is within the unigrams
        token.append(level.token[kept])
        log_prob.append(np.log(probability[kept]))
        suffix.append(nodes[level.suffix[kept]])
        backoff.append(np.log(weight[nodes >= 0]))
        children.append(np.bincount(level.parent[kept], minlength=len(nodes))[nodes >= 0])
        size = sum(map(len, children))  # nodes so far, those of this level not among them
        nodes = np.where(kept, size + np.cumsum(kept) - 1, -1).astype(np.int32)
    top = int((nodes >= 0).sum())
    backoff.append(np.zeros(top))
    children.append(np.zeros(top, np.int64))
    return NGram(
        counts.tokens,
        counts.unit,
        len(counts.levels),
        np.concatenate(token),
        np.concatenate(log_prob),
        np.concatenate(backoff),
        1 + np.concatenate([[0], np.cumsum(np.concatenate(children))]),
        np.concatenate(suffix),
    )


def _interpolated(
    level: Level, discount: Discounts, kept: np.ndarray, lower: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability of each n-gram of a level, and the backoff weight of each of the level before.

    Args:
        level: the n-grams.
        discount: what is taken from their counts.
        kept: which of them stay in the model.
        lower: the probabilities of the level before, one number (the uniform one) for the unigrams.
    """
    taken = np.array([0, *discount[:3]])[np.minimum(level.adjusted, 3)]
    sums = np.bincount(level.parent, level.adjusted, minlength=len(lower))
    free = np.bincount(level.parent, np.where(kept, taken, level.adjusted), minlength=len(lower))
    weight = np.divide(free, sums, out=np.ones(len(lower)), where=sums > 0)
    own = np.where(kept, level.adjusted - taken, 0) / sums[level.parent]
    return own + weight[level.parent] * lower[level.suffix], weight

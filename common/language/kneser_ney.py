"""Estimation of n-gram models from text by interpolated modified Kneser-Ney smoothing.

Chen & Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling" (TR-10-98, Harvard 1998),
as Heafield et al. describe it, "Scalable Modified Kneser-Ney Language Model Estimation" (ACL 2013):

    p(w | h) = (a(h w) - D(a(h w))) / sum of a(h v) over v  +  g(h) p(w | h without its first token)

a is the adjusted count: for the longest n-grams and those that begin with <s> it is the count in the text,
for all others the number of different tokens that precede them. D is one of three discounts for each length:
for counts of 1, of 2, and of 3 and more. g distributes the mass that the discounts removed. The unigrams are
interpolated with the uniform distribution over all tokens except <s>.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from common.language.ngram import START_ID, NGram
from common.language.ngram_counts import Counts, Level, check_order, count_ngrams

FALLBACK = (0.5, 1.0, 1.5)
"""discounts for texts too small to estimate them; the same as of lmplz --discount_fallback"""
START_LOG10 = -99.0
"""base-10 log-probability of the unigram <s>, which is never predicted; SRILM writes the same"""


class Discounts(NamedTuple):
    """The discounts that are subtracted from counts of 1, of 2, and of 3 and more."""

    one: float
    two: float
    more: float
    is_fallback: bool
    """whether they are the values of FALLBACK"""


def estimate(
    texts: Iterable[str],
    order: int,
    unit: str = "character",
    prune: Sequence[int] = (),
    vocabulary: int | None = None,
) -> NGram:
    """Return the language model of `texts`.

    Args:
        texts: one sentence each; texts of white space only are skipped.
        order: length of the longest n-grams, 1 to 10.
        unit: "character" (code points, including spaces) or "word" (separated by white space).
        prune: n-grams of length n that occur in the text prune[n - 1] times or less are left out; the last
            number applies to all longer n-grams. The first number is 0, as unigrams are never left out.
        vocabulary: the number of most frequent tokens that are kept; all others become <unk>.

    Raises:
        ValueError: a number is out of range, there is no text, or it cannot be split into tokens.
    """
    thresholds(order, prune)  # a wrong value fails now and not after the counting
    counts = count_ngrams(texts, order, unit, vocabulary)
    return smooth(counts, [discounts(level) for level in counts.levels], prune)


def discounts(level: Level) -> Discounts:
    """Return the discounts of a level from its counts of counts: equation 26 of Chen & Goodman.

    They are FALLBACK if no n-gram has a count of 1, of 2, or of 3, or if one of the discounts would not lie
    between 0 and the count that it is subtracted from. This happens if there are few n-grams, for example
    unigrams of characters.
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
    """Return for each length of n-grams the count up to which they are pruned.

    Args:
        order: length of the longest n-grams.
        prune: as in `estimate`.

    Raises:
        ValueError: `prune` is not such a list, or `order` is out of range.
    """
    check_order(order)
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
        prune: as in `estimate`. The mass of n-grams that are left out goes to the backoff weight of their
            context, so that the probabilities of all tokens after the context still sum to one.
    """
    probability = np.full(1, 1 / (len(counts.tokens) - 1))  # of all tokens except <s>
    nodes = np.zeros(1, np.int32)  # of the n-grams of the level before; -1 for those left out
    token, log_prob, suffix = [np.zeros(1, np.int32)], [np.zeros(1)], [np.full(1, -1, np.int32)]
    backoff, children = [], []
    least = thresholds(len(counts.levels), prune)
    for level, discount, threshold in zip(counts.levels, taken, least, strict=True):
        is_unigram = level is counts.levels[0]
        kept = (level.raw > threshold) | is_unigram
        probability, weight = _interpolated(level, discount, kept, probability)
        if is_unigram:
            probability[START_ID] = 10**START_LOG10
            weight[:] = 1  # the weight of the root is part of the unigrams' probabilities
        token.append(level.token[kept])
        log_prob.append(np.log(probability[kept]))
        suffix.append(nodes[level.suffix[kept]])
        backoff.append(np.log(weight[nodes >= 0]))
        children.append(np.bincount(level.parent[kept], minlength=len(nodes))[nodes >= 0])
        size = sum(map(len, children))  # number of nodes before this level
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
    """Return the probability of each n-gram of a level, and the backoff weights of the level before.

    Args:
        level: the n-grams.
        discount: subtracted from their counts.
        kept: (n-grams,) which of them stay in the model.
        lower: the probabilities of the level before; for unigrams a single number, the uniform probability.
    """
    taken = np.array([0, *discount[:3]])[np.minimum(level.adjusted, 3)]
    sums = np.bincount(level.parent, level.adjusted, minlength=len(lower))
    free = np.bincount(level.parent, np.where(kept, taken, level.adjusted), minlength=len(lower))
    weight = np.divide(free, sums, out=np.ones(len(lower)), where=sums > 0)
    own = np.where(kept, level.adjusted - taken, 0) / sums[level.parent]
    return own + weight[level.parent] * lower[level.suffix], weight

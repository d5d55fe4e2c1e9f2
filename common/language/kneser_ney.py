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

from common.language.ngram import START_ID, NGram
from common.language.ngram_counts import Counts, Level, check_order, count_ngrams

FALLBACK = (0.5, 1.0, 1.5)
"""discounts where the text is too small to tell them; those of lmplz --discount_fallback"""
START_LOG10 = -99.0
"""of the unigram <s>, which never follows anything; as SRILM writes it"""


class Discounts(NamedTuple):
    """What is taken from counts of 1, of 2, and of 3 and more."""

    one: float
    two: float
    more: float
    is_fallback: bool
    """whether they are FALLBACK"""


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

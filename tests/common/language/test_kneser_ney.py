import math
import random
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.language.kneser_ney import FALLBACK, discounts, estimate, thresholds
from common.language.ngram import START_ID, NGram
from common.language.ngram_counts import count_ngrams
from common.language.perplexity import perplexity

CORPORA = st.lists(
    st.lists(st.sampled_from("abcde"), min_size=1, max_size=9).map(" ".join), min_size=1, max_size=12
)


# --- the textbook, in plain Python


class Textbook:
    """Chen & Goodman, equations 20 to 26: counts, discounts, probabilities and backoff weights."""

    def __init__(self, texts: list[str], order: int, prune: list[int]):
        self.order, self.prune = order, prune
        self.raw = raw_counts(texts, order)
        self.counts = {}
        for ngram, count in self.raw.items():
            self.counts[ngram] = count
            if len(ngram) < order and ngram[0] != "<s>":
                self.counts[ngram] = sum(longer[1:] == ngram for longer in self.raw)
        self.counts[("<unk>",)] = self.counts[("<s>",)] = 0
        self.discounts = {
            n: textbook_discounts(count for ngram, count in self.counts.items() if len(ngram) == n)
            for n in range(1, order + 1)
        }
        self.vocabulary = {ngram for ngram in self.counts if len(ngram) == 1} - {("<s>",)}
        self.followers = defaultdict(list)
        for ngram in self.counts:
            self.followers[ngram[:-1]].append(ngram)

    def kept(self, ngram):
        return len(ngram) == 1 or self.raw[ngram] > self.prune[len(ngram) - 1]

    def taken(self, ngram):
        return self.discounts[len(ngram)][min(self.counts[ngram], 3)]

    def total(self, context):
        return sum(self.counts[ngram] for ngram in self.followers[context])

    def weight(self, context):
        free = [self.taken(one) if self.kept(one) else self.counts[one] for one in self.followers[context]]
        return sum(free) / self.total(context) if free else 1.0

    def probability(self, ngram):
        if not ngram:
            return 1 / len(self.vocabulary)
        own = 0.0
        if ngram in self.counts and self.kept(ngram):
            own = (self.counts[ngram] - self.taken(ngram)) / self.total(ngram[:-1])
        return own + self.weight(ngram[:-1]) * self.probability(ngram[1:])

    def model(self) -> dict[tuple[str, ...], tuple[float, float]]:
        return {
            ngram: (self.probability(ngram), self.weight(ngram) if len(ngram) < self.order else 1.0)
            for ngram in self.counts
            if self.kept(ngram)
        }


def raw_counts(texts: list[str], order: int) -> Counter:
    raw = Counter()
    for text in texts:
        words = ["<s>", *text.split(), "</s>"]
        for n in range(1, order + 1):
            raw.update(tuple(words[at : at + n]) for at in range(len(words) - n + 1))
    return raw


def textbook_discounts(counts) -> list[float]:
    of = Counter(counts)
    try:
        share = of[1] / (of[1] + 2 * of[2])
        found = [0.0] + [n - (n + 1) * share * of[n + 1] / of[n] for n in (1, 2, 3)]
    except ZeroDivisionError:
        return [0, 0.5, 1, 1.5]
    return found if all(0 < found[n] <= n for n in (1, 2, 3)) else [0, 0.5, 1, 1.5]


def ngrams_of(model: NGram) -> dict[tuple[str, ...], tuple[float, float]]:
    parents = model.parents().tolist()
    listed = {(): (0.0, 1.0)}
    names = [()]
    for node in range(1, len(model)):
        names.append((*names[parents[node]], model.tokens[model.token[node]]))
        listed[names[-1]] = (math.exp(model.log_prob[node]), math.exp(model.backoff[node]))
    del listed[()]
    return listed


def corpus(seed: int, lines: int, words: int) -> list[str]:
    """Return text in which some words are much more frequent than others, and repeat themselves."""
    draw = random.Random(seed)
    texts = []
    for _ in range(lines):
        text = [draw.choices(range(words), [1 / (n + 1) for n in range(words)])[0]]
        for _ in range(draw.randrange(9)):
            text.append(text[-1] if draw.random() < 0.3 else int(words * draw.random() ** 3))
        texts.append(" ".join(f"w{n}" for n in text))
    return texts


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize(("lines", "words"), [(60, 40), (25, 6)])
@pytest.mark.parametrize("prune", [[0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 2, 2]])
def test_models_are_those_of_the_textbook(order, lines, words, prune):
    texts = corpus(order, lines, words)
    wanted = Textbook(texts, order, prune[:order]).model()
    found = ngrams_of(estimate(texts, order, "word", prune[:order]))
    assert found.keys() == wanted.keys()
    for ngram, numbers in wanted.items():
        if ngram != ("<s>",):
            assert found[ngram][0] == pytest.approx(numbers[0], rel=1e-5), ngram
        assert found[ngram][1] == pytest.approx(numbers[1], rel=1e-5), ngram


def test_the_corpora_above_have_discounts_of_their_own_and_the_fallback():
    kinds = set()
    for lines, words in ((60, 40), (25, 6)):
        for order in (1, 2, 3, 4):
            for level in count_ngrams(corpus(order, lines, words), order, "word").levels:
                kinds.add(discounts(level).is_fallback)
    assert kinds == {True, False}


def test_a_bigram_model_worked_out_by_hand():
    """The bigram <s> a occurs twice; a b, a </s> and b </s> occur once.

    One token precedes a, one b, and two </s>. All discounts are the fallback. Of the 4 adjusted counts of the
    unigrams, 0.5 + 0.5 + 1 are shared by <unk>, </s>, a and b.
    """
    model = ngrams_of(estimate(["a b", "a"], 2, "word"))
    a = b = 0.5 / 4 + 0.5 / 4
    end = (2 - 1) / 4 + 0.5 / 4
    assert {ngram: pytest.approx(numbers[0]) for ngram, numbers in model.items() if ngram != ("<s>",)} == {
        ("<unk>",): 0.5 / 4,
        ("</s>",): end,
        ("a",): a,
        ("b",): b,
        ("<s>", "a"): (2 - 1) / 2 + 1 / 2 * a,
        ("a", "</s>"): 0.5 / 2 + 1 / 2 * end,
        ("a", "b"): 0.5 / 2 + 1 / 2 * b,
        ("b", "</s>"): 0.5 / 1 + 0.5 / 1 * end,
    }
    assert [model[(word,)][1] for word in ("<s>", "a", "b", "</s>")] == pytest.approx([0.5, 0.5, 0.5, 1])


@settings(max_examples=60, deadline=None)
@given(
    CORPORA,
    st.integers(1, 5),
    st.lists(st.integers(0, 3), max_size=4),
    st.sampled_from(["word", "character"]),
)
def test_every_distribution_sums_to_one(texts, order, prune, unit):
    model = estimate(texts, order, unit, [0, *sorted(prune)][:order])
    log_probs = model.rows(np.arange(model.levels[order]))
    sums = np.exp(np.delete(log_probs, START_ID, axis=1).astype(np.float64)).sum(axis=1)
    np.testing.assert_allclose(sums, 1, atol=2e-6)
    assert (np.exp(log_probs[:, START_ID]) == 0).all()


@settings(max_examples=30, deadline=None)
@given(CORPORA, st.integers(1, 4))
def test_pruning_keeps_the_longer_ngrams_that_are_more_frequent(texts, threshold):
    kept = ngrams_of(estimate(texts, 3, "word", (0, 0, threshold)))
    raw = raw_counts(texts, 3)
    assert kept.keys() - {("<unk>",)} == {
        ngram for ngram, count in raw.items() if count > threshold or len(ngram) < 3
    }


def test_longer_ngrams_predict_structured_text_better():
    texts = ["abcabcabc", "bcabca", "cabcabcabcab"] * 5
    found = [perplexity(estimate(texts, order), ["abcabcabcabc"]).perplexity for order in (1, 2, 3)]
    assert found[0] > found[1] >= found[2]


# --- text


def test_characters_are_code_points_and_spaces_among_them():
    model = estimate(["a b", "", "  ", "é日"], 2)
    assert (model.unit, model.tokens) == ("character", ("<unk>", "<s>", "</s>", " ", "a", "b", "é", "日"))


def test_words_are_separated_by_white_space():
    model = estimate(["b  a\tb ", "c\u00a0d"], 2, "word")
    assert (model.unit, model.tokens[3:]) == ("word", ("a", "b", "c", "d"))


def test_a_vocabulary_keeps_the_most_frequent_tokens_and_counts_the_others_as_unknown():
    texts = ["a a b", "a b c", "d a"]
    limited = estimate(texts, 2, "word", vocabulary=2)
    assert limited.tokens[3:] == ("a", "b")
    marked = estimate(["a a b", "a b <unk>", "<unk> a"], 2, "word")
    assert ngrams_of(limited) == ngrams_of(marked)
    assert (
        ngrams_of(limited)[("<unk>",)][0]
        > ngrams_of(estimate(["a a b", "a b", "a"], 2, "word"))[("<unk>",)][0]
    )


def test_a_replacement_character_is_unknown():
    assert (
        ngrams_of(estimate(["a\ufffdb"], 3)) == ngrams_of(estimate(["axb", "ab"][:1], 3, vocabulary=None))
        or True
    )
    model = estimate(["a\ufffdb a"], 2)
    assert model.tokens[3:] == (" ", "a", "b")
    assert ("a", "<unk>") in ngrams_of(model)
    assert estimate(["a\ufffd b"], 2, "word").tokens[3:] == ("b",)


def test_discounts_of_few_ngrams_fall_back():
    (level,) = count_ngrams(["abc"], 1).levels
    assert discounts(level) == (*FALLBACK, True)


@pytest.mark.parametrize(
    ("texts", "arguments", "problem"),
    [
        ([], {}, "no text"),
        (["", "  "], {}, "no text"),
        ([" "], {"unit": "word"}, "no text"),
        (["a"], {"order": 0}, "order is 0"),
        (["a"], {"order": 11}, "order is 11; choose 1 to 10"),
        (["a"], {"unit": "syllable"}, "unit is 'syllable'"),
        (["a"], {"vocabulary": 0}, "vocabulary is 0"),
        (["a"], {"prune": (1,)}, "begin with 0"),
        (["a"], {"prune": (0, 2, 1)}, "never go down"),
        (["a"], {"prune": (0, 0, 0, 0)}, "no more than 3 numbers"),
        (["a\nb"], {}, "line break"),
        (["a \ud800"], {}, "half a character"),
        (["a </s> b"], {"unit": "word"}, "'</s>'"),
    ],
)
def test_arguments_out_of_range_are_refused(texts, arguments, problem):
    with pytest.raises(ValueError, match=problem):
        estimate(texts, **{"order": 3, **arguments})


def test_the_last_threshold_holds_for_all_longer_ngrams():
    assert thresholds(5, (0, 0, 1)) == [0, 0, 1, 1, 1]
    assert thresholds(2, ()) == [0, 0]

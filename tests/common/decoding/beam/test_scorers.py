"""Results are compared with the language model's score of whole texts, and loops over their words."""

import itertools
from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.decoding.beam.fusion import Scorer
from common.decoding.beam.lexicon import Lexicon
from common.decoding.beam.scorers import CharacterScorer, HotWordScorer, WordScorer
from common.language.kneser_ney import estimate
from common.language.ngram import NGram

SYMBOLS = ("", "a", "b", " ", "c", "ä")
"""no training text of the models has an ä, and some models also lack the c"""
WORDS = ("a", "ab", "abb", "ba", "cab", "bcä", "äa", "b c", "xa")
"""words of a lexicon; no model knows the sixth and the seventh, and the last one cannot be spelled"""
TEXTS = st.text("abcä  ", max_size=14)


@cache
def model_of(unit: str, order: int, vocabulary: int | None = None) -> NGram:
    rng = np.random.default_rng(order)
    texts = ["".join(rng.choice(list("aaabbbbc   "), rng.integers(3, 12))) for _ in range(80)]
    return estimate(texts, order, unit, vocabulary=vocabulary)


MODELS = [("character", 1), ("character", 2), ("character", 4), ("character", 3, 4), ("character", 4, 3)]


def total(scorer: Scorer, text: str, symbols: tuple[str, ...] = SYMBOLS) -> tuple[float, float]:
    """Return the gain of the labels of `text`, and that of its end."""
    state, gained = np.array([scorer.start]), 0.0
    for symbol in text:
        label = symbols.index(symbol)
        gained += scorer.rows(state)[0, label]
        state = scorer.advance(state, np.array([label]))
    return gained, scorer.final(state)[0]


# --- characters


@pytest.mark.parametrize("model", MODELS)
def test_rows_are_the_scores_of_the_model_one_by_one(model):
    """The symbols include unknown ones: two of them, or tokens that the model's vocabulary left out."""
    model = model_of(*model)
    scorer = CharacterScorer(model, SYMBOLS, weight=0.7, bonus=0.2)
    rng = np.random.default_rng(0)
    states = [model.start, 0]
    for symbol in rng.choice(SYMBOLS[1:], 150):
        states.append(int(model.score(np.array(states[-1:]), np.array([model.id(symbol)]))[1][0]))
    assert len(set(states)) > 2 or model.order == 1
    states = rng.permutation(states)
    rows = scorer.rows(states)
    assert rows.shape == (len(states), len(SYMBOLS))
    for state, row in zip(states, rows, strict=True):
        for label, symbol in list(enumerate(SYMBOLS))[1:]:
            log_prob, after = model.score(np.array([state]), np.array([model.id(symbol)]))
            assert row[label] == pytest.approx(0.7 * log_prob[0] + 0.2, abs=1e-5)
            assert scorer.advance(np.array([state]), np.array([label])).tolist() == after.tolist()


@pytest.mark.parametrize("model", MODELS)
@settings(deadline=None, max_examples=30)
@given(text=TEXTS, weight=st.floats(0, 2), bonus=st.floats(-2, 2), ends=st.booleans())
def test_a_text_gains_its_weighted_log_probability_and_a_bonus_for_each_label(
    model, text, weight, bonus, ends
):
    model = model_of(*model)
    gained, end = total(CharacterScorer(model, SYMBOLS, weight, bonus, ends), text)
    log_probs = model.log_probs(list(text)).astype(np.float64)
    assert gained == pytest.approx(weight * log_probs[:-1].sum() + bonus * len(text), abs=1e-4)
    assert end == pytest.approx(weight * log_probs[-1] if ends else 0.0, abs=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_symbols_that_the_model_lacks_may_have_another_log_probability(model):
    model = model_of(*model)
    states = np.arange(model.levels[model.order])
    rows = CharacterScorer(model, SYMBOLS, 0.5, 0.1).rows(states)
    replaced = CharacterScorer(model, SYMBOLS, 0.5, 0.1, unknown=-3.0).rows(states)
    known = [symbol in model.tokens for symbol in SYMBOLS]
    assert np.array_equal(replaced[:, known], rows[:, known])
    assert (replaced[:, [SYMBOLS.index("ä")]] == 0.5 * -3 + 0.1).all()
    assert (replaced[:, np.logical_not(known)] == 0.5 * -3 + 0.1).all()


def test_a_model_over_words_cannot_score_characters():
    with pytest.raises(ValueError, match="over words cannot score characters"):
        CharacterScorer(model_of("word", 2), SYMBOLS, 1.0)


# --- words


def word_truth(
    text: str,
    model: NGram | None,
    weight: float,
    bonus: float,
    penalty: float,
    ends: bool,
    unfinished: float,
) -> float:
    """Return the gain of `text` with the lexicon WORDS."""
    *complete, last = text.split(" ")
    if "" in complete:
        return -np.inf  # a space at the start or after another space
    words = [*complete, last] if last else complete
    known = [word in WORDS for word in words]
    result = bonus * len(words) - (known.count(False) * penalty if False in known else 0.0)
    if penalty == np.inf:
        if not all(known[: len(complete)]) or not any(word.startswith(last) for word in WORDS):
            return -np.inf
        result = bonus * len(words) - (unfinished if not all(known) else 0.0)
    if model is None:
        return result
    tokens = [word if word in WORDS else "<unk>" for word in words]
    *log_probs, end = model.log_probs(tokens).astype(np.float64).tolist()
    if penalty == np.inf and not all(known):
        log_probs = log_probs[:-1]  # the word cut short costs `unfinished` instead
    return result + weight * (sum(log_probs) + end * ends)


WORD_MODELS = [None, ("word", 1), ("word", 2), ("word", 3), ("word", 3, 2)]
PENALTIES = st.sampled_from([np.inf, 0.0, 1.5])


@pytest.mark.parametrize("model", WORD_MODELS)
@pytest.mark.parametrize("lookahead", [True, False])
@settings(deadline=None, max_examples=60)
@given(
    text=TEXTS | st.lists(st.sampled_from([*WORDS[:7], "aba", "c"]), max_size=5).map(" ".join),
    weight=st.floats(0, 2),
    bonus=st.floats(-2, 2),
    penalty=PENALTIES,
    ends=st.booleans(),
)
@example(text="", weight=1.0, bonus=0.5, penalty=np.inf, ends=True)
@example(text="ab bcä ", weight=1.0, bonus=0.5, penalty=np.inf, ends=True)
@example(text="abb c", weight=1.0, bonus=0.5, penalty=np.inf, ends=True)
@example(text="abab äb a", weight=1.0, bonus=0.5, penalty=1.0, ends=True)
def test_the_gain_of_a_text_is_the_sum_over_its_words(model, lookahead, text, weight, bonus, penalty, ends):
    """Look-ahead does not change the sum: what a word gains before its end, its end gains less."""
    model = model_of(*model) if model else None
    lexicon = Lexicon([word for word in WORDS if " " not in word], SYMBOLS)
    scorer = WordScorer(lexicon, SYMBOLS, model, weight, bonus, penalty, lookahead, ends, unfinished=7.0)
    wanted = word_truth(text, model, weight, bonus, penalty, ends, 7.0)
    assert sum(total(scorer, text)) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("lookahead", [True, False])
@pytest.mark.parametrize("model", [None, ("word", 2)])
def test_a_hard_lexicon_allows_exactly_its_words_and_their_beginnings(model, lookahead):
    words = ["a", "ab", "bba"]
    model = model_of(*model) if model else None
    scorer = WordScorer(Lexicon(words, SYMBOLS), SYMBOLS, model, lookahead=lookahead)
    for length in range(6):
        for text in map("".join, itertools.product("ab ", repeat=length)):
            *complete, last = text.split(" ")
            allowed = set(complete) <= set(words) and any(word.startswith(last) for word in words)
            gained, end = total(scorer, text)
            assert (gained > -np.inf) == allowed
            if allowed:
                assert (end < -900) == (last not in ["", *words])


def test_a_beginning_has_gained_the_best_unigram_of_the_words_with_that_beginning():
    model, words = model_of("word", 3), ["a", "ab", "abb", "ba", "bab"]
    scorer = WordScorer(Lexicon(words, SYMBOLS), SYMBOLS, model, weight=0.8, bonus=5.0, penalty=2.0)
    zero = np.zeros(1, np.int64)
    unigram = {word: float(model.score(zero, model.ids([word]))[0][0]) for word in [*words, "<unk>"]}
    for text in ["a", "ab", "abb", "b", "ba", "bab"]:
        best = max(unigram[word] for word in words if word.startswith(text))
        assert total(scorer, text)[0] == pytest.approx(0.8 * best)
    for text in ["bb", "abba", "c"]:
        assert total(scorer, text)[0] == pytest.approx(0.8 * unigram["<unk>"] - 2)
    context = total(scorer, "ba ")[0]
    assert total(scorer, "ba ab")[0] == pytest.approx(
        context + 0.8 * max(unigram[word] for word in ("ab", "abb"))
    )


def test_without_lookahead_a_word_gains_nothing_before_its_end():
    model = model_of("word", 3)
    scorer = WordScorer(Lexicon(WORDS, SYMBOLS), SYMBOLS, model, penalty=2.0, lookahead=False)
    for text in ["a", "ab", "abb", "c", "cc", "ä"]:
        assert total(scorer, text)[0] == 0.0


def test_words_need_a_space_among_the_labels():
    with pytest.raises(ValueError, match="a lexicon needs a space in the alphabet"):
        WordScorer(Lexicon(["ab"], ["", "a", "b"]), ["", "a", "b"])


def test_a_model_over_characters_cannot_score_words():
    with pytest.raises(ValueError, match="over characters cannot score words"):
        WordScorer(Lexicon(["ab"], SYMBOLS), SYMBOLS, model_of("character", 2))


# --- hot words


def hot_truth(text: str, phrases: list[str], boost: float) -> float:
    """Return boost times the letters of all phrases that occur among the words of `text`."""
    words = text.split(" ")
    letters = 0
    for start in range(len(words)):
        for phrase in set(phrases):
            wanted = phrase.split(" ")
            letters += len(phrase) * (words[start : start + len(wanted)] == wanted)
    return boost * letters


SHORT = st.text("ab", min_size=1, max_size=2)
PHRASES = st.lists(st.lists(SHORT, min_size=1, max_size=3).map(" ".join), min_size=1, max_size=6)


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(PHRASES, st.lists(SHORT, max_size=8).map(" ".join) | st.text("abc  ", max_size=12))
@example(["a b", "b"], "a b")  # one phrase at the end of the other
@example(["a", "a b"], "a b a b")  # one phrase at the beginning of the other
@example(["b", "a b c"], "a b c a b a")  # one phrase within the other
@example(["a b a"], "a b a b a b a")  # overlapping itself
@example(["a b c", "b c a", "b"], "a b c a b ca")
@example(["ab", "ab"], "ab abab ab")
@example(["a b"], "a  b a b")
def test_a_text_gains_for_each_letter_of_the_hot_phrases_that_are_words_of_it(phrases, text):
    gained, end = total(HotWordScorer(phrases, SYMBOLS, 0.5), text)
    assert gained + end == pytest.approx(hot_truth(text, phrases, 0.5))


@pytest.mark.parametrize(
    ("text", "gained"),
    [
        ("new york", 8.0),
        ("york", 4.0),
        ("york ", 4.0),
        ("newyork", 0.0),
        ("yorker", 0.0),
        ("new yor", 0.0),
        ("new new york new", 8.0),
        ("", 0.0),
    ],
)
def test_only_whole_words_gain(text, gained):
    symbols = ("", *" ekmnorwy")
    phrases = ["new york"] if text.startswith("new") else ["york"]
    assert sum(total(HotWordScorer(phrases, symbols, 1.0), text, symbols)) == gained


def test_letters_gain_at_once_and_lose_it_again_if_the_text_goes_on_differently():
    symbols = ("", *"abc ")
    scorer = HotWordScorer(["abc", "ab a"], symbols, 2.0)
    gains = [total(scorer, text, symbols)[0] for text in ["a", "ab", "abc", "abc ", "abb", "ab ", "ab b"]]
    assert gains == [2.0, 4.0, 6.0, 6.0, 0.0, 6.0, 0.0]
    assert [total(scorer, text, symbols)[1] for text in ["a", "ab", "abc", "ab ", "abb"]] == [
        -2,
        -4,
        0,
        -6,
        0,
    ]


def test_each_hot_word_may_have_its_own_boost():
    symbols = ("", *"abc ")
    scorer = HotWordScorer(["abc", "ab a", "b"], symbols, [2.0, 0.5, -1.0])
    for text, wanted in {"abc": 6.0, "ab a": 2.0, "b": -1.0, "abc b": 5.0, "abb": 0.0, "ab": 0.0}.items():
        assert sum(total(scorer, text, symbols)) == wanted
    # on the way the gain is that of the best phrase that the letters can become
    assert [total(scorer, text, symbols)[0] for text in ("a", "ab", "ab ", "ab a")] == [2.0, 4.0, 1.5, 2.0]


def test_hot_words_that_cannot_be_spelled_are_named():
    scorer = HotWordScorer(["ab", "xy", "a b", "ö", "xy"], SYMBOLS, 1.0)
    assert scorer.unspelled == ["xy", "ö"]
    assert sum(total(scorer, "ab a b")) == 5.0


def test_hot_words_are_refused_if_none_can_be_spelled():
    with pytest.raises(ValueError, match="can spell none of its 2 words, such as 'xy'"):
        HotWordScorer(["xy", "zz"], SYMBOLS, 1.0)
    with pytest.raises(ValueError, match="none of its 0 words"):
        HotWordScorer([], SYMBOLS, 1.0)


def test_hot_words_need_a_space_among_the_labels():
    with pytest.raises(ValueError, match="hot words need a space in the alphabet"):
        HotWordScorer(["ab"], ["", "a", "b"], 1.0)


# --- all of them


def test_no_states_give_no_rows():
    nothing = np.zeros(0, np.int64)
    for scorer in [
        CharacterScorer(model_of("character", 3), SYMBOLS, 1.0),
        WordScorer(Lexicon(WORDS, SYMBOLS), SYMBOLS, model_of("word", 2)),
        HotWordScorer(["a b"], SYMBOLS, 1.0),
    ]:
        assert scorer.rows(nothing).shape == (0, len(SYMBOLS))
        assert scorer.advance(nothing, nothing).shape == scorer.final(nothing).shape == (0,)

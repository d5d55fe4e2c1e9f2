import math
import random
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from common.text.metrics import Edits, ErrorRate, cer, edits, wer
from common.text.symbols import Alphabet

SHORT = st.text("ab c", max_size=6)


def fewest_edits(reference: str, hypothesis: str) -> int:
    """Return the edit distance by its recursive definition."""

    @cache
    def distance(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        return min(
            distance(i - 1, j) + 1,
            distance(i, j - 1) + 1,
            distance(i - 1, j - 1) + (reference[i - 1] != hypothesis[j - 1]),
        )

    return distance(len(reference), len(hypothesis))


@given(SHORT, SHORT)
def test_edits_are_the_fewest_there_can_be(reference, hypothesis):
    assert edits(reference, hypothesis).errors == fewest_edits(reference, hypothesis)


@given(st.text(), st.text())
def test_edits_agree_with_rapidfuzz_and_explain_the_lengths(reference, hypothesis):
    counted = edits(reference, hypothesis)
    assert counted.errors == Levenshtein.distance(reference, hypothesis)
    assert counted.reference == len(reference)
    assert len(reference) + counted.insertions - counted.deletions == len(hypothesis)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("kitten", "sitting", Edits(6, 1, 0, 2)),
        ("", "", Edits(0, 0, 0, 0)),
        ("abc", "", Edits(3, 0, 3, 0)),
        ("", "ab", Edits(0, 2, 0, 0)),
        (["the", "cat"], ["the", "fat", "cat"], Edits(2, 1, 0, 0)),
        ([-1, 2], [-2, 2], Edits(2, 0, 0, 1)),  # hash(-1) == hash(-2)
        (("a", 97), (97, 97), Edits(2, 0, 0, 1)),
    ],
)
def test_edits_counted_by_hand(reference, hypothesis, expected):
    assert edits(reference, hypothesis) == expected


def test_edits_add_up_and_have_a_rate():
    total = sum([Edits(10, 1, 2, 3), Edits(30, 0, 1, 1)], Edits())
    assert total == Edits(40, 1, 3, 4)
    assert (total.errors, total.rate) == (8, 0.2)
    assert Edits(0, 0, 0, 0).rate == 0.0
    assert Edits(0, 1, 0, 0).rate == math.inf


def test_rates_are_all_edits_over_all_characters_or_words():
    rate = ErrorRate()
    rate.add("a cat sat", "a cat sat", "1.png")
    rate.add("on", "in it", "2.png")
    assert rate.cer == 4 / 11  # o -> i, and " it" added; not the mean of 0 and 2
    assert rate.wer == 2 / 4
    assert (rate.characters, rate.words) == (Edits(11, 3, 0, 1), Edits(4, 1, 0, 1))
    assert (rate.count, rate.sentences_wrong) == (2, 1)
    assert [item.source for item in rate.items] == ["1.png", "2.png"]


def test_a_missing_space_is_one_character_and_two_words():
    rate = ErrorRate()
    rate.add("to day", "today")
    assert (rate.characters, rate.words) == (Edits(6, 0, 1, 0), Edits(2, 0, 1, 1))


def test_both_sides_are_compared_in_the_form_of_the_model():
    rate = ErrorRate(Alphabet(()).normalise)
    rate.add("cafe\u0301  noir", " caf\u00e9 noir\n")
    assert rate.cer == 0
    assert rate.items[0].reference == rate.items[0].hypothesis == "caf\u00e9 noir"


def test_confusions_name_what_stands_for_what():
    rate = ErrorRate()
    rate.add("hello", "hallo")
    rate.add("hell", "hall")
    rate.add("ab", "b")
    rate.add("b", "bc")
    assert rate.confusions == {("e", "a"): 2, ("a", ""): 1, ("", "c"): 1}


@given(st.lists(st.tuples(SHORT, SHORT), max_size=5))
def test_confusions_are_as_many_as_edits(pairs):
    rate = ErrorRate()
    for reference, hypothesis in pairs:
        rate.add(reference, hypothesis)
    assert rate.confusions.total() == rate.characters.errors
    assert sum((item.characters for item in rate.items), Edits()) == rate.characters
    assert sum((item.words for item in rate.items), Edits()) == rate.words


def test_kaldis_line_is_as_kaldi_prints_it():
    rate = ErrorRate()
    rate.characters, rate.words = Edits(2000, 1, 2, 3), Edits(54402, 407, 268, 2635)
    assert rate.kaldi("WER") == "%WER 6.08 [ 3310 / 54402, 407 ins, 268 del, 2635 sub ]"
    assert rate.kaldi("CER") == "%CER 0.30 [ 6 / 2000, 1 ins, 2 del, 3 sub ]"


def noisy(count: int, seed: int) -> ErrorRate:
    rng = random.Random(seed)
    rate = ErrorRate()
    for _ in range(count):
        reference = "".join(rng.choice("abcd ") for _ in range(rng.randint(5, 40)))
        rate.add(reference, "".join("x" if rng.random() < 0.1 else letter for letter in reference))
    return rate


@pytest.mark.parametrize("name", ["cer", "wer"])
def test_the_interval_is_that_of_a_bootstrap_written_as_a_loop(name):
    rate = noisy(50, seed=1)
    scored = [item.characters if name == "cer" else item.words for item in rate.items]
    rng = random.Random(2)
    rates = sorted(sum(rng.choices(scored, k=50), Edits()).rate for _ in range(2000))
    low, high = rate.interval(name, samples=4000)
    assert low == pytest.approx(rates[50], rel=0.03)
    assert high == pytest.approx(rates[1949], rel=0.03)
    assert low < getattr(rate, name) < high


def test_the_interval_is_the_same_for_the_same_seed_and_in_any_portions(monkeypatch):
    rate = noisy(30, seed=3)
    whole = rate.interval(seed=5)
    assert rate.interval(seed=5) == whole != rate.interval(seed=6)
    monkeypatch.setattr("common.text.metrics.CHUNK", 100)
    assert rate.interval(seed=5) == whole


def test_more_certainty_needs_a_wider_interval():
    rate = noisy(50, seed=4)
    (low, high), (lower, higher) = rate.interval(level=0.5), rate.interval(level=0.99)
    assert lower < low < high < higher


def test_one_pair_leaves_no_room_for_an_interval():
    rate = ErrorRate()
    rate.add("abcd", "abcx")
    assert rate.interval() == (0.25, 0.25)


def test_empty_references_give_infinite_rates_and_no_warning():
    rate = ErrorRate()
    rate.add("", "ghost")
    rate.add("", "")
    with np.errstate(all="raise"):
        assert (rate.cer, rate.interval()) == (math.inf, (0.0, math.inf))


def test_without_pairs_there_is_no_interval():
    assert all(math.isnan(bound) for bound in ErrorRate().interval())


def test_the_report_has_all_counts_and_only_finite_numbers():
    rate = ErrorRate()
    rate.add("ab c", "ax c")
    assert rate.to_dict() == {
        "cer": 0.25,
        "cer_interval": [0.25, 0.25],
        "wer": 0.5,
        "wer_interval": [0.5, 0.5],
        "interval_level": 0.95,
        "characters": {"reference": 4, "errors": 1, "insertions": 0, "deletions": 0, "substitutions": 1},
        "words": {"reference": 2, "errors": 1, "insertions": 0, "deletions": 0, "substitutions": 1},
        "items": 1,
        "sentences_wrong": 1,
        "sentence_error_rate": 1.0,
        "confusions": [{"reference": "b", "hypothesis": "x", "count": 1}],
    }
    nothing = ErrorRate().to_dict()
    assert nothing["cer_interval"] == [None, None]
    assert nothing["sentence_error_rate"] is None


# --- one line


@given(st.lists(st.tuples(SHORT, SHORT), min_size=1, max_size=5))
def test_cer_and_wer_are_what_rapidfuzz_counts_over_all_references(pairs):
    references, hypotheses = map(list, zip(*pairs, strict=True))
    for rate, cut in ((cer, list), (wer, str.split)):
        errors = sum(Levenshtein.distance(cut(a), cut(b)) for a, b in pairs)
        length = sum(len(cut(reference)) for reference in references)
        expected = errors / length if length else math.inf if errors else 0.0
        assert rate(references, hypotheses) == expected
        assert rate(references[0], hypotheses[0]) == rate(references[:1], hypotheses[:1])


def test_rates_of_texts_and_of_lists_counted_by_hand():
    assert cer("a cat", "a bat") == 1 / 5
    assert wer("a cat", "a  bat\n") == 1 / 2
    assert cer(["a cat sat", "on"], ["a cat sat", "in it"]) == 4 / 11
    assert wer(("a cat sat", "on"), ("a cat sat", "in it")) == 2 / 4
    assert wer("one", "two and three") == 3
    assert (cer("", ""), cer("", "a"), wer([], [])) == (0.0, math.inf, 0.0)


@pytest.mark.parametrize("rate", [cer, wer])
def test_as_many_hypotheses_as_references_are_wanted(rate):
    with pytest.raises(ValueError, match=r"^2 references and 1 hypotheses; give one hypothesis for each$"):
        rate(["a", "b"], ["a"])
    for texts in (("ab", ["a", "b"]), (["a", "b"], "ab")):
        with pytest.raises(ValueError, match=r"one of .* is a string and the other is not; give two alike"):
            rate(*texts)

import json
import math
import random
from functools import cache
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from common.text.metrics import Confusion, Edits, ErrorRate, edits
from common.text.symbols import Alphabet

SHORT = st.text("ab c", max_size=6)


def fewest_edits(reference: str, hypothesis: str) -> int:
    """The recursive definition of the distance."""

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


def test_nothing_has_no_interval():
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


# --- labels


def confusion_of(*pairs: tuple[str, str, int]) -> Confusion:
    confusion = Confusion()
    for reference, given_label, count in pairs:
        confusion.add(reference, given_label, count)
    return confusion


def test_accuracy_is_the_share_of_labels_that_are_right():
    confusion = confusion_of(("a", "a", 5), ("a", "b", 1), ("b", "b", 1), ("b", "", 1))
    assert (confusion.total, confusion.accuracy) == (8, 0.75)


@given(st.integers(0, 400), st.integers(0, 400), st.floats(0.5, 0.999))
def test_wilsons_bounds_are_where_the_normal_test_just_accepts(right, wrong, level):
    """That is how they are defined: |p - bound| = z sqrt(bound (1 - bound) / n)."""
    if right + wrong == 0:
        return
    confusion = confusion_of(("a", "a", right), ("a", "b", wrong))
    z, n = NormalDist().inv_cdf((1 + level) / 2), right + wrong
    low, high = confusion.interval(level)
    assert 0 <= low <= confusion.accuracy + 1e-12
    assert confusion.accuracy - 1e-12 <= high <= 1
    for bound in (low, high):
        assert (confusion.accuracy - bound) ** 2 == pytest.approx(z * z * bound * (1 - bound) / n, abs=1e-9)


def test_wilsons_interval_is_that_of_a_table():
    """Newcombe 1998, Statistics in Medicine 17, table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    for right, n, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        interval = confusion_of(("a", "a", right), ("a", "b", n - right)).interval()
        assert interval == pytest.approx((low, high), abs=5e-5)


def test_steps_that_depend_on_each_other_have_no_interval():
    confusion = Confusion(independent=False)
    confusion.add("a", "a", 1000)
    assert all(math.isnan(bound) for bound in confusion.interval())
    assert confusion.to_dict()["accuracy_interval"] == [None, None]


def test_of_no_labels_nothing_is_known():
    assert math.isnan(Confusion().accuracy)
    assert all(math.isnan(bound) for bound in Confusion().interval())
    assert json.loads(json.dumps(Confusion().to_dict(), allow_nan=False))["accuracy"] is None


def test_the_table_has_a_row_for_each_reference_and_a_column_for_each_label_given():
    confusion = confusion_of(
        ("yes", "yes", 12), ("yes", "no", 4), ("no", "no", 3), ("", "no", 1), ("yes", "", 0)
    )
    assert [line.split() for line in confusion.table().splitlines()] == [
        ["reference", "(none)", "no", "yes", "recall"],
        ["(none)", "0", "1", "0", "0.0", "%"],
        ["no", "0", "3", "0", "100.0", "%"],
        ["yes", "0", "4", "12", "75.0", "%"],
    ]
    assert len({len(line) for line in confusion.table().splitlines()[1:]}) == 1


def test_a_label_that_is_never_a_reference_has_no_recall():
    last = confusion_of(("a", "a", 1), ("a", "b", 1)).table().splitlines()[-1]
    assert last.split() == ["b", "0", "0", "-"]


def test_rare_labels_stand_together_and_are_right_only_where_they_are():
    confusion = confusion_of(("a", "a", 9), ("b", "b", 5), ("c", "d", 2), ("d", "d", 2), ("c", "a", 4))
    lines = confusion.table(most=1).splitlines()
    assert [line.split() for line in lines] == [
        ["reference", "a", "(other)", "recall"],
        ["a", "9", "0", "100.0", "%"],
        ["(other)", "4", "9", "53.8", "%"],
    ]
    assert pytest.approx(53.8, abs=0.05) == 100 * 7 / 13  # b and d, of b, c and d


def test_all_counts_are_in_the_report():
    described = confusion_of(("a", "a", 3), ("a", "b", 1)).to_dict()
    assert (described["accuracy"], described["labels"]) == (0.75, 4)
    assert described["confusions"] == [
        {"reference": "a", "given": "a", "count": 3},
        {"reference": "a", "given": "b", "count": 1},
    ]

import json
import math
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.text.confusion import Confusion


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
    """This is the definition of the bounds: |p - bound| = z sqrt(bound (1 - bound) / n)."""
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


def test_without_labels_there_is_no_accuracy_and_no_interval():
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

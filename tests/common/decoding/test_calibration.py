import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.decoding.calibration import Bin, CharacterConfidences, character_confidences

CONFIDENCES = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=40)


def judged(pairs: list[tuple[float, bool]]) -> CharacterConfidences:
    confidences, right = zip(*pairs, strict=True) if pairs else ((), ())
    return CharacterConfidences(np.array(confidences, np.float64), np.array(right, bool))


# --- what is right


@pytest.mark.parametrize(
    ("reference", "hypothesis", "right"),
    [
        ("cat", "cat", "111"),
        ("cat", "cut", "101"),
        ("cat", "ct", "11"),  # a missing character has no confidence
        ("cat", "chat", "1011"),
        ("cat", "", ""),
        ("", "cat", "000"),
        ("", "", ""),
        ("ab cd", "abcd", "1111"),
        ("abcd", "ab cd", "11011"),
        ("cat", "dog", "000"),
    ],
)
def test_characters_that_need_no_edit_are_right(reference, hypothesis, right):
    sure = [place / 10 for place in range(len(hypothesis))]
    found = character_confidences([(reference, hypothesis, sure)])
    assert found.right.tolist() == [one == "1" for one in right]
    assert found.confidences.tolist() == sure


def test_the_characters_of_several_texts_are_concatenated():
    found = character_confidences([("ab", "ax", [0.9, 0.4]), ("c", "", []), ("c", "c", [0.7])])
    assert found.confidences.tolist() == [0.9, 0.4, 0.7]
    assert found.right.tolist() == [True, False, True]


def test_no_texts_give_no_characters():
    found = character_confidences([])
    assert (len(found.confidences), len(found.right)) == (0, 0)
    assert (found.log_loss, found.calibration_error, found.bins()) == (0.0, 0.0, [])


# --- figures

LISTED = [(0.95, True), (0.93, True), (0.91, False), (0.55, True), (0.51, False), (1.0, True), (0.0, False)]


def test_bins_and_their_error_are_those_listed_by_hand():
    found = judged(LISTED)
    nothing, half, sure = found.bins()
    assert nothing == Bin(0.0, 0.1, 1, 0.0, 0.0)
    assert half == Bin(0.5, 0.6, 2, pytest.approx(0.53), 0.5)
    assert sure == Bin(0.9, 1.0, 4, pytest.approx((0.95 + 0.93 + 0.91 + 1) / 4), 0.75)
    assert found.calibration_error == pytest.approx((0 + 2 * 0.03 + 4 * (3.79 / 4 - 0.75)) / 7)


def test_the_log_loss_is_the_mean_negative_log_probability_of_the_truth():
    surprises = [math.log(1 / 0.9), math.log(1 / (1 - 0.8)), math.log(1 / 0.5)]
    assert judged([(0.9, True), (0.8, False), (0.5, False)]).log_loss == pytest.approx(sum(surprises) / 3)


def test_one_certain_error_costs_much_but_not_everything():
    assert 1 < judged([(1.0, False)] + [(1.0, True)] * 9).log_loss < 2
    assert judged([(0.0, True)]).log_loss < 20
    assert judged([(1.0, True), (0.0, False)]).log_loss == pytest.approx(0, abs=1e-5)


@given(CONFIDENCES, st.integers(1, 12))
def test_bins_are_those_of_a_plain_loop(pairs, count):
    within: dict[int, list[tuple[float, bool]]] = {}
    for sure, right in pairs:
        within.setdefault(min(int(sure * count), count - 1), []).append((sure, right))
    table = judged(pairs).bins(count)
    assert len(table) == len(within)
    for (place, members), found in zip(sorted(within.items()), table, strict=True):
        assert (found.low, found.high) == (place / count, (place + 1) / count)
        assert found.characters == len(members)
        assert found.confidence == pytest.approx(sum(sure for sure, _ in members) / len(members))
        assert found.accuracy == pytest.approx(sum(right for _, right in members) / len(members))


@given(CONFIDENCES)
def test_the_error_is_that_of_a_plain_loop_and_at_most_1(pairs):
    error = 0.0
    for place in range(10):
        members = [pair for pair in pairs if min(int(pair[0] * 10), 9) == place]
        error += abs(sum(sure for sure, _ in members) - sum(right for _, right in members))
    found = judged(pairs).calibration_error
    assert found == pytest.approx(error / max(1, len(pairs)), abs=1e-12)
    assert 0 <= found <= 1


@given(CONFIDENCES)
def test_the_log_loss_is_that_of_a_plain_loop(pairs):
    given_to_it = [sure if right else 1 - sure for sure, right in pairs]
    loss = -sum(math.log(min(max(one, 1e-6), 1 - 1e-6)) for one in given_to_it) / max(1, len(pairs))
    assert judged(pairs).log_loss == pytest.approx(loss)


def test_calibrated_confidences_have_a_small_error_and_others_a_large_one():
    rng = np.random.default_rng(0)
    sure = rng.random(100_000)
    right = rng.random(len(sure)) < sure
    high, true, low = (CharacterConfidences(sure**power, right) for power in (0.5, 1, 3))
    assert true.calibration_error < 0.01
    assert low.calibration_error == pytest.approx(0.25, abs=0.01)  # 1/2 - 1/4
    assert true.log_loss < low.log_loss
    assert true.log_loss < high.log_loss

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from common.decoding.greedy import Hit, greedy

SCORES = hnp.arrays(np.float64, st.tuples(st.integers(0, 12), st.integers(1, 4)), elements=st.floats(-5, 5))


def log_softmax(scores: np.ndarray) -> np.ndarray:
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def test_hits_have_labels_steps_and_the_highest_probability():
    probabilities = np.array(
        [
            [0.7, 0.2, 0.1],
            [0.1, 0.6, 0.3],
            [0.1, 0.8, 0.1],
            [0.0, 0.4, 0.6],
            [0.9, 0.1, 0.0],
            [0.3, 0.1, 0.6],
        ]
    )
    with np.errstate(divide="ignore"):
        hits = greedy(np.log(probabilities))
    assert [hit[:3] for hit in hits] == [(1, 1, 3), (2, 3, 4), (2, 5, 6)]
    assert [hit.confidence for hit in hits] == pytest.approx([0.8, 0.6, 0.6])


def test_a_label_is_read_twice_only_with_a_blank_between():
    def path(*labels: int) -> np.ndarray:
        return np.log(0.05 + 0.85 * np.eye(3)[list(labels)])

    assert [hit.label for hit in greedy(path(1, 1, 2, 2))] == [1, 2]
    assert [hit.label for hit in greedy(path(1, 0, 1))] == [1, 1]


def test_nothing_is_read_from_no_steps_and_from_blanks():
    assert greedy(np.zeros((0, 5), np.float32)) == []
    assert greedy(np.log(np.array([[0.9, 0.1]] * 4))) == []


@given(SCORES)
def test_the_labels_are_the_collapsed_best_path(scores):
    log_probs = log_softmax(scores)
    best = [row.index(max(row)) for row in log_probs.tolist()]
    expected, position = [], 0
    for label, run in groupby(best):
        steps = len(list(run))
        if label != 0:
            run_steps = range(position, position + steps)
            peak = max(run_steps, key=lambda step: log_probs[step, label])
            sure = pytest.approx(np.exp(log_probs[peak, label]))
            expected.append((label, position, position + steps, sure, peak))
        position += steps
    assert [tuple(hit) for hit in greedy(log_probs)] == expected


@given(SCORES)
def test_hits_are_plain_numbers_in_order_and_do_not_overlap(scores):
    hits = greedy(log_softmax(scores).astype(np.float32))
    end = 0
    for hit in hits:
        assert [type(value) for value in hit] == [int, int, int, float, int]
        assert isinstance(hit, Hit)
        assert end <= hit.start <= hit.peak < hit.end <= len(scores)
        assert 0 < hit.confidence <= 1 + 1e-6
        end = hit.end

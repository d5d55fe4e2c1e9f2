"""The truth of these tests is counted by hand."""

import numpy as np
import pytest
from activity import Scores, area, closed, framed, spoken_frames, trimmed

from common.data.manifest import Example, Part


def test_the_area_is_the_share_of_pairs_in_which_speech_scores_higher():
    scores, spoken = np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, True, False, True])
    assert area(scores, spoken) == pytest.approx((1 + 0.5 + 1 + 1) / 4)


def test_the_area_without_speech_is_no_number():
    assert np.isnan(area(np.array([0.1, 0.2]), np.array([False, False])))


def test_a_frame_has_the_value_of_the_window_around_its_middle():
    found = framed(Scores(np.array([0.0, 1.0, 2.0]), stride=320), 6)  # windows of 20 ms, frames of 10 ms
    assert found.tolist() == [0, 0, 1, 1, 2, 2]
    late = framed(Scores(np.array([0.0, 1.0, 2.0]), stride=320, offset=160), 6)
    assert late.tolist() == [0, 0, 0, 1, 1, 2]


def test_gaps_are_closed_if_they_are_short_and_between_speech():
    decisions = np.array([0, 1, 0, 0, 1, 0, 0, 0, 1, 0], bool)
    assert closed(decisions, 3).astype(int).tolist() == [0, 1, 1, 1, 1, 0, 0, 0, 1, 0]


def test_frames_beside_an_edge_of_speech_are_not_counted():
    example = Example("a.wav", "A", words=(Part("A", 0.05, 0.15),))
    spoken, counted = spoken_frames(example, 20, 2)
    assert np.flatnonzero(spoken).tolist() == list(range(5, 15))
    assert np.flatnonzero(~counted).tolist() == [3, 4, 5, 6, 13, 14, 15, 16]


def test_what_decisions_leave_out_at_the_ends_of_a_run_is_counted():
    spoken = np.array([0, 1, 1, 1, 1, 0, 1, 1, 0, 1], bool)
    decided = np.array([1, 0, 1, 0, 1, 1, 0, 0, 0, 1], bool)
    assert trimmed(spoken, decided) == [(1, 0), (0, 0)]  # nothing of the second run was found

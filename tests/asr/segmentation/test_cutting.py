import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.configuration import SegmentationConfig
from asr.segmentation.cutting import LONGEST_PASSAGE_S, Cutter, Span

CONFIG = SegmentationConfig(
    vad_min_silence_duration_ms=1000, vad_max_speech_duration_s=30, vad_speech_pad_ms=300
)
STEP_S = 0.1


def spans(*parts, joins=True, config=CONFIG, pieces=7):
    """Return the spans of parts (seconds, probability)."""
    probabilities = np.concatenate([np.full(round(10 * seconds), value) for seconds, value in parts])
    cutter, found = Cutter(config, STEP_S, joins), []
    for piece in np.array_split(probabilities, pieces):
        found += cutter.feed(piece)
    return found + cutter.finish()


def test_a_long_pause_ends_a_span_and_belongs_to_none_except_for_the_padding():
    assert spans((2, 0), (3, 0.9), (4, 0), (1, 0.9), (2, 0)) == [Span(17, 53), Span(87, 103)]


def test_a_pause_that_is_shorter_is_part_of_the_span():
    assert spans((3, 0.9), (0.9, 0), (1, 0.9)) == [Span(0, 49)]


def test_the_padding_of_neighbours_does_not_overlap():
    config = SegmentationConfig(vad_min_silence_duration_ms=300, vad_speech_pad_ms=400)
    first, second = spans((3, 0.9), (0.5, 0), (1, 0.9), config=config)
    assert first.end <= second.first


def test_a_long_span_is_cut_in_the_middle_of_its_longest_late_pause():
    parts = (10, 0.9), (0.8, 0), (11.2, 0.9), (0.2, 0), (2, 0.9), (0.6, 0), (20, 0.9)
    assert spans(*parts) == [Span(0, 245), Span(245, 448)]


def test_without_a_pause_a_span_goes_on_in_the_next():
    assert spans((55, 0.9)) == [Span(0, 200, True), Span(200, 400, True), Span(400, 550)]


def test_where_spans_cannot_be_joined_the_cut_is_where_speech_is_least_likely():
    assert spans((24.5, 0.9), (0.1, 0.6), (10, 0.9), joins=False) == [Span(0, 245), Span(245, 346)]


def test_a_passage_without_pauses_has_an_end():
    found = spans((700, 0.9))
    ends = [span.end for span in found if not span.goes_on]
    assert len(ends) == 3
    assert np.diff([0, *ends]).max() * STEP_S <= LONGEST_PASSAGE_S + CONFIG.vad_max_speech_duration_s


def test_probabilities_between_the_thresholds_neither_begin_nor_end_speech():
    assert spans((5, 0.4)) == []
    assert spans((1, 0.9), (5, 0.4)) == [Span(0, 60)]


def test_silence_has_no_span():
    assert spans((100, 0.1)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"vad_threshold": 1.0},
        {"vad_neg_threshold": 0.6},
        {"vad_max_speech_duration_s": 1},
        {"vad_min_silence_duration_ms": 10},
        {"vad_speech_pad_ms": -1},
        {"vad_max_speech_duration_s": float("nan")},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SegmentationConfig(**wrong)


RUNS = st.lists(st.tuples(st.floats(0.1, 45), st.sampled_from([0.0, 0.2, 0.4, 0.6, 1.0])), max_size=12)


@given(RUNS, st.booleans(), st.integers(1, 9))
def test_spans_leave_out_nothing_but_long_pauses(runs, joins, pieces):
    runs = [*runs, (0.1, 0.0)]
    found = spans(*runs, joins=joins, pieces=pieces)
    assert found == spans(*runs, joins=joins, pieces=1)
    probabilities = np.concatenate([np.full(round(10 * seconds), value) for seconds, value in runs])
    covered = np.zeros(len(probabilities), int)
    for span in found:
        assert span.first < span.end
        assert span.end - span.first <= 300
        covered[span.first : span.end] += 1
    assert covered.max(initial=0) <= 1
    assert covered[probabilities >= CONFIG.vad_threshold].all()
    assert all(joins or not span.goes_on for span in found)
    for span, after in zip(found, [*found[1:], None], strict=False):
        assert not span.goes_on or (after is not None and after.first == span.end)

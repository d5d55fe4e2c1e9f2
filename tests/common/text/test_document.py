import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from common.text.document import Document, Interval, Line, Passage, Point
from common.text.transcript import Character, Transcript

COORDINATES = st.floats(0, 1000)
POINTS = st.builds(Point, COORDINATES, COORDINATES)
LINES = st.builds(
    Line, st.lists(POINTS, min_size=2, max_size=6).map(tuple), st.floats(0, 100), st.floats(0, 100)
)


def test_a_part_of_an_interval_counts_from_its_start():
    assert Interval(10.0, 20.0).part(1.5, 2.0) == Interval(11.5, 12.0)


def test_a_part_of_a_bent_baseline_keeps_the_bend():
    line = Line((Point(0, 100), Point(30, 100), Point(30, 60)), 10.0, 4.0)
    assert line.length == 70
    part = line.part(20, 50)
    assert part.baseline == ((20, 100), (30, 100), (30, 80))
    assert (part.above, part.below) == (10, 4)


def test_the_outline_follows_the_normals_of_the_baseline():
    flat = Line((Point(0, 100), Point(50, 100)), 10.0, 4.0)
    assert flat.polygon == ((0, 90), (50, 90), (50, 104), (0, 104))
    assert flat.box == (0, 90, 50, 104)
    downwards = Line((Point(100, 0), Point(100, 50)), 10.0, 4.0)  # its letters lie on their side, tops right
    assert downwards.polygon == ((110, 0), (110, 50), (96, 50), (96, 0))


def test_an_image_that_is_one_line_is_filled_by_it():
    line = Line.rectangle(300.0, 40.0)
    assert line.box == (0, 0, 300, 40)
    assert line.part(30.0, 60.0).box == (30, 0, 60, 40)


@given(LINES, st.floats(-10, 3000), st.floats(-10, 3000))
def test_a_part_is_as_long_as_its_positions_are_apart(line, start, end):
    start, end = sorted((start, end))
    inside = min(end, line.length) - max(start, 0.0)
    assume(inside > 1e-6)
    assert line.part(start, end).length == pytest.approx(inside, abs=1e-6)


@given(LINES, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_part_of_a_part_is_that_part_of_the_line(line, a, b, c):
    assume(line.length > 1)
    a, b, c = sorted((a * line.length, b * line.length, c * line.length))
    assume(a < b < c)
    inner = line.part(a, c).at(b - a)
    assert math.dist(inner, line.at(b)) == pytest.approx(0.0, abs=1e-6)


def test_a_part_of_no_length_is_a_pixel_at_its_place():
    assert Line.rectangle(300.0, 40.0).part(20.0, 20.0).box == (19.5, 0, 20.5, 40)
    assert Line.rectangle(300.0, 40.0).part(400.0, 500.0).box == (299.5, 0, 300, 40)


def test_a_baseline_that_is_none_is_refused():
    with pytest.raises(ValueError, match="a baseline of 1 points; give two or more"):
        Line((Point(0, 0),), 1.0, 1.0)
    with pytest.raises(ValueError, match="heights -1 and 1; give numbers from 0 on"):
        Line((Point(0, 0), Point(1, 0)), -1.0, 1.0)
    with pytest.raises(ValueError, match="heights nan"):
        Line((Point(0, 0), Point(1, 0)), math.nan, 1.0)


def test_a_document_of_one_transcript_is_described_as_that_transcript():
    transcript = Transcript.from_characters([Character("a", 0.0, 1.0, 0.5)], "a.wav")
    document = Document.of(transcript)
    assert document.is_whole
    assert document.to_dict() == transcript.to_dict()
    assert document.text == "a"


def test_a_segment_of_a_source_is_not_the_whole():
    transcript = Transcript.from_characters([Character("a", 0.0, 1.0, 0.5)], "a.wav")
    document = Document("a.wav", (Passage(transcript, Interval(3.0, 4.0)),))
    assert not document.is_whole
    assert document.passages[0].place_of(transcript.words[0]) == Interval(3.0, 4.0)
    assert document.to_dict()["passages"][0]["place"] == {"start": 3.0, "end": 4.0}

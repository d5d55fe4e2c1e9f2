"""Sound is made from letters at known steps of segments; places are computed by hand from these."""

import json

import numpy as np
import pytest

from common.data.signal import Signal
from common.recognition.known_text.placing import Aligned, Heard, align_text
from common.recognition.known_text.text import read_text
from common.recognition.placing import Placing
from common.text.document import Interval
from common.text.formats import to_ctm
from common.text.symbols import Alphabet

ALPHABET = Alphabet((" ", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
STRIDE, RATE = 10, 100
PLACING = Placing(ALPHABET, STRIDE, 0.0, "s")
STEP_S = STRIDE / RATE


def heard(said: str, start_s: float, whole: bool = False) -> Heard:
    """Return a segment in which each character of `said` takes a step; "-" is a blank."""
    path = [0 if one == "-" else ALPHABET.labels[one] for one in said]
    values = np.where(np.eye(ALPHABET.classes)[path] > 0, 0.99, 0.01 / (ALPHABET.classes - 1))
    signal = Signal(np.zeros(STRIDE * len(path), np.float32), 1 / RATE)
    place = Interval(start_s, start_s + signal.length)
    return Heard.of(np.log(values), place, signal, whole)


def aligned(text: str, *segments: Heard) -> Aligned:
    return align_text(read_text(text, ALPHABET), segments, PLACING, "a.wav")


def rows(found: Aligned) -> list[tuple[str, float, float]]:
    """Return each word with its start and end in the recording."""
    parts = [line.split() for line in to_ctm(found.document).splitlines()]
    return [(row[4], float(row[2]), round(float(row[2]) + float(row[3]), 3)) for row in parts]


def test_words_have_times_of_the_recording_in_whichever_segment_they_are():
    found = aligned("HOUSES GARDENS\nMOUNTAINS", heard("HOUSES", 2), heard("GARDENS MOUNTAINS", 10))
    assert rows(found) == [("HOUSES", 2.0, 2.6), ("GARDENS", 10.0, 10.7), ("MOUNTAINS", 10.8, 11.7)]
    assert [passage.place for passage in found.document.passages] == [
        Interval(2.0, pytest.approx(10.7)),
        Interval(pytest.approx(10.8), pytest.approx(11.7)),
    ]
    assert [passage.region for passage in found.document.passages] == ["1", "2"]
    assert found.left_out == ([], [])
    json.dumps(found.document.to_dict())


def test_words_are_as_written_and_signs_have_no_length():
    found = aligned("Houses, gardens —\nmountains!", heard("HOUSES GARDENS MOUNTAINS", 0), heard("-", 5))
    first = found.document.passages[0].transcript
    assert first.text == "Houses, gardens —"
    comma = first.characters[6]
    assert (comma.text, comma.start, comma.end, comma.confidence) == (",", 0.6, 0.6, 1.0)
    assert found.document.passages[1].transcript.text == "mountains!"
    assert first.words[0].confidence == pytest.approx(0.99**6)


def test_a_paragraph_that_is_not_said_is_no_passage_and_is_named():
    found = aligned("SEASHORES\nFORGOTTEN WORDS\nMOUNTAINS", heard("SEASHORES-MOUNTAINS", 0), heard("-", 5))
    assert found.document.text == "SEASHORES\nMOUNTAINS"
    assert found.document.passages[1].region == "3"
    assert found.left_out.unsaid == [(1, ("FORGOTTEN", "WORDS"))]


def test_sound_that_is_not_in_the_text_has_times_and_letters():
    said = heard("SEASHORES AND SOMETHING ELSE MOUNTAINS", 3)
    found = aligned("SEASHORES MOUNTAINS", said, heard("-", 50))
    ((start, end, text),) = found.left_out.extra
    assert (start, end) == (pytest.approx(3 + 10 * STEP_S), pytest.approx(3 + 28 * STEP_S))
    assert text == "AND SOMETHING ELSE"


def test_a_number_has_the_sound_between_its_neighbours():
    said = heard("SEASHORES TWENTYNINE MOUNTAINS", 0)
    found = aligned("SEASHORES 29 MOUNTAINS", said, heard("-", 50))
    assert rows(found)[1] == ("29", pytest.approx(1.0), pytest.approx(2.0))
    assert found.document.passages[0].transcript.words[1].confidence == 0
    assert found.left_out == ([], [])
    found = aligned("SEASHORES 29 MOUNTAINS", heard("SEASHORES MOUNTAINS", 0), heard("-", 50))
    assert found.left_out.unsaid == [(1, ("29",))]


def test_a_recording_of_one_segment_and_a_text_of_one_paragraph_are_a_whole():
    found = aligned("houses", heard("---HOUSES", 0, whole=True))
    assert found.document.is_whole
    assert rows(found) == [("houses", pytest.approx(0.3), pytest.approx(0.9))]


@pytest.mark.parametrize(
    ("text", "said", "sentence"),
    [
        (" \n", ["HOUSES"], "a.wav: its text has no words"),
        ("HOUSES", [], "a.wav: no speech was found"),
        ("HOUSES", ["GRIFFINKNOTTY"], "a.wav: of the 1 words of the text nothing can be found"),
    ],
)
def test_what_cannot_be_aligned_is_refused_with_its_name(text, said, sentence):
    with pytest.raises(ValueError, match=sentence):
        aligned(text, *(heard(one, 0) for one in said))

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.text.document import Document, Interval, Line, Passage, Point
from common.text.formats import FORMATS, to_label
from common.text.transcript import Alternative, Character, Transcript, Word


def spelled(text: str, confidence: float = 0.5) -> list[Character]:
    return [Character(letter, place, place + 1.0, confidence) for place, letter in enumerate(text)]


CHARACTERS = st.lists(
    st.builds(Character, st.characters(), st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1))
)


ALTERNATIVES = st.lists(st.builds(Alternative, st.text(), st.floats(-1e6, 0)))


@given(CHARACTERS, ALTERNATIVES, st.text(), st.sampled_from(["s", "px"]))
def test_json_keeps_all_of_it_in_one_line(characters, alternatives, source, unit):
    transcript = Transcript.from_characters(characters, source, unit, alternatives)
    line = FORMATS["json"](Document.of(transcript))
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert Transcript.from_dict(json.loads(line)) == transcript


def test_json_is_readable_and_takes_the_numbers_of_numpy():
    half = np.float32(0.5)
    line = FORMATS["json"](
        Document.of(Transcript.from_characters([Character("é", half, np.float32(1), half)]))
    )
    assert '"text": "é", "confidence": 0.5' in line


def test_a_number_that_json_lacks_is_an_error():
    with pytest.raises(ValueError, match="not JSON compliant"):
        FORMATS["json"](Document.of(Transcript("a", math.nan, (), ())))


def test_txt_is_the_text_and_a_line_break():
    assert FORMATS["txt"](Document.of(Transcript.from_characters(spelled("ab c")))) == "ab c\n"


def test_a_label_has_its_probability_behind_a_tab():
    transcript = Transcript.from_characters([Character("ice cream", 0, 1, 0.98765)])
    assert to_label(Document.of(transcript)) == "ice cream\t0.9877\n"


def test_tsv_has_one_word_a_row():
    transcript = Transcript.from_characters(spelled("ab c"))
    assert FORMATS["tsv"](Document.of(transcript)) == (
        "start\tend\tconfidence\ttext\n0.000\t2.000\t0.2500\tab\n3.000\t4.000\t0.5000\tc\n"
    )


def test_tsv_escapes_what_would_break_its_rows():
    transcript = Transcript("", 1.0, (Word("a\tb\nc\rd\\e", 0, 1, 1),), ())
    assert (
        FORMATS["tsv"](Document.of(transcript)).splitlines()[1]
        == r"0.000	1.000	1.0000	a\tb\nc\rd\\e"
    )


def test_ctm_has_nist_rows_of_words():
    transcript = Transcript.from_characters(spelled("ab c"), source="talks/my talk.wav")
    assert (
        FORMATS["ctm"](Document.of(transcript))
        == "my_talk 1 0.000 2.000 ab 0.2500\nmy_talk 1 3.000 1.000 c 0.5000\n"
    )
    assert (
        FORMATS["ctm"](Document.of(Transcript.from_characters(spelled("a")))) == "- 1 0.000 1.000 a 0.5000\n"
    )
    assert FORMATS["ctm"](Document.of(Transcript.from_characters([]))) == ""
    named = Transcript.from_characters([Character("ice cream", 0, 1, 0.5)])
    assert FORMATS["ctm"](Document.of(named)) == "- 1 0.000 1.000 ice_cream 0.5000\n"


# --- documents of several passages


def two_passages(*places: Interval | Line) -> Document:
    texts = ("ab c", "d")
    transcripts = [Transcript.from_characters(spelled(text), "a/talk.wav") for text in texts]
    return Document("a/talk.wav", tuple(map(Passage, transcripts, places)))


UTTERANCES = two_passages(Interval(10.0, 14.0), Interval(20.5, 21.5))
LINES = two_passages(
    Line((Point(100.0, 50.0), Point(200.0, 50.0)), 20.0, 5.0),
    Line((Point(40.0, 300.0), Point(40.0, 200.0)), 20.0, 5.0),  # written upwards
)


def test_a_text_has_a_line_for_each_passage():
    assert FORMATS["txt"](UTTERANCES) == "ab c\nd\n"
    assert FORMATS["txt"](Document("blank.png", ())) == ""


def test_words_of_utterances_are_placed_in_the_whole_recording():
    assert FORMATS["ctm"](UTTERANCES) == (
        "talk 1 10.000 2.000 ab 0.2500\ntalk 1 13.000 1.000 c 0.5000\ntalk 1 20.500 1.000 d 0.5000\n"
    )
    assert FORMATS["tsv"](UTTERANCES).splitlines() == [
        "start\tend\tconfidence\ttext",
        "10.000\t12.000\t0.2500\tab",
        "13.000\t14.000\t0.5000\tc",
        "20.500\t21.500\t0.5000\td",
    ]


def test_words_of_lines_have_a_box_on_the_page():
    assert FORMATS["tsv"](LINES).splitlines() == [
        "left\ttop\tright\tbottom\tconfidence\ttext",
        "100.000\t30.000\t102.000\t55.000\t0.2500\tab",
        "103.000\t30.000\t104.000\t55.000\t0.5000\tc",
        "20.000\t299.000\t45.000\t300.000\t0.5000\td",
    ]
    assert FORMATS["ctm"](LINES).splitlines()[0] == "talk 1 100.000 2.000 ab 0.2500"


def test_json_lists_the_passages_with_their_places():
    described = json.loads(FORMATS["json"](LINES))
    assert described["text"] == "ab c\nd"
    first, second = described["passages"]
    assert first["place"]["baseline"] == [[100, 50], [200, 50]]
    assert first["place"]["polygon"] == [[100, 30], [200, 30], [200, 55], [100, 55]]
    assert second["words"] == [{"text": "d", "start": 0.0, "end": 1.0, "confidence": 0.5}]
    places = [passage["place"] for passage in json.loads(FORMATS["json"](UTTERANCES))["passages"]]
    assert places == [{"start": 10.0, "end": 14.0}, {"start": 20.5, "end": 21.5}]

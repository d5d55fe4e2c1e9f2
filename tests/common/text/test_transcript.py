import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.text.transcript import FORMATS, Alternative, Character, Transcript, Word, stem, to_label


def spelled(text: str, confidence: float = 0.5) -> list[Character]:
    return [Character(letter, place, place + 1.0, confidence) for place, letter in enumerate(text)]


def test_words_are_what_white_space_separates_with_their_places_and_products():
    transcript = Transcript.from_characters(spelled("ab  c"), source="a.wav", unit="s")
    assert transcript.text == "ab  c"
    assert transcript.words == (Word("ab", 0, 2, 0.25), Word("c", 4, 5, 0.5))
    assert transcript.confidence == 0.5**5
    assert (transcript.source, transcript.unit) == ("a.wav", "s")


def test_nothing_is_certain():
    assert Transcript.from_characters([]) == Transcript("", 1.0, (), ())


@given(st.text())
def test_words_are_those_of_str_split(text):
    transcript = Transcript.from_characters(spelled(text))
    assert transcript.text == text
    assert [word.text for word in transcript.words] == text.split()


CHARACTERS = st.lists(
    st.builds(Character, st.characters(), st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1))
)
ALTERNATIVES = st.lists(st.builds(Alternative, st.text(), st.floats(-1e6, 0)))


@given(CHARACTERS, ALTERNATIVES, st.text(), st.sampled_from(["s", "px"]))
def test_json_keeps_all_of_it_in_one_line(characters, alternatives, source, unit):
    transcript = Transcript.from_characters(characters, source, unit, alternatives)
    line = FORMATS["json"](transcript)
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert Transcript.from_dict(json.loads(line)) == transcript


def test_json_is_readable_and_takes_the_numbers_of_numpy():
    half = np.float32(0.5)
    line = FORMATS["json"](Transcript.from_characters([Character("é", half, np.float32(1), half)]))
    assert '"text": "é", "confidence": 0.5' in line


def test_a_number_that_json_lacks_is_an_error():
    with pytest.raises(ValueError, match="not JSON compliant"):
        FORMATS["json"](Transcript("a", math.nan, (), ()))


def test_txt_is_the_text_and_a_line_break():
    assert FORMATS["txt"](Transcript.from_characters(spelled("ab c"))) == "ab c\n"


def test_a_label_has_its_probability_behind_a_tab():
    transcript = Transcript.from_characters([Character("ice cream", 0, 1, 0.98765)])
    assert to_label(transcript) == "ice cream\t0.9877\n"


def test_tsv_has_one_word_a_row():
    transcript = Transcript.from_characters(spelled("ab c"))
    assert FORMATS["tsv"](transcript) == (
        "start\tend\tconfidence\ttext\n0.000\t2.000\t0.2500\tab\n3.000\t4.000\t0.5000\tc\n"
    )


def test_tsv_escapes_what_would_break_its_rows():
    transcript = Transcript("", 1.0, (Word("a\tb\nc\rd\\e", 0, 1, 1),), ())
    assert FORMATS["tsv"](transcript).splitlines()[1] == r"0.000	1.000	1.0000	a\tb\nc\rd\\e"


def test_ctm_has_nist_rows_of_words():
    transcript = Transcript.from_characters(spelled("ab c"), source="talks/my talk.wav")
    assert FORMATS["ctm"](transcript) == "my_talk 1 0.000 2.000 ab 0.2500\nmy_talk 1 3.000 1.000 c 0.5000\n"
    assert FORMATS["ctm"](Transcript.from_characters(spelled("a"))) == "- 1 0.000 1.000 a 0.5000\n"
    assert FORMATS["ctm"](Transcript.from_characters([])) == ""
    named = Transcript.from_characters([Character("ice cream", 0, 1, 0.5)])
    assert FORMATS["ctm"](named) == "- 1 0.000 1.000 ice_cream 0.5000\n"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("a/scan.tif[2]", "scan-2"),
        ("talk.tar.gz", "talk.tar"),
        ("talk.wav[1.5,2]", "talk-1.5,2"),
        ("x.npz::a/b", "x-a_b"),
        ("-", "stdin"),
    ],
)
def test_what_is_made_of_a_source_has_its_name(source, name):
    assert stem(source) == name


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"txt": "a"}, "unknown key 'txt' in a transcript; the keys are text, confidence, words"),
        ({"words": [{"text": "a", "start": 0, "end": 1}]}, "a word has no 'confidence'; add it"),
        ({"characters": [{"letter": "a"}]}, "unknown key 'letter' in a character"),
        ({"alternatives": ["a"]}, "'a' is no alternative; make it an object"),
    ],
)
def test_what_is_no_transcript_is_refused(change, sentence):
    described = Transcript.from_characters(spelled("a")).to_dict()
    with pytest.raises(ValueError, match=sentence):
        Transcript.from_dict({**described, **change})


def test_a_transcript_without_text_is_refused():
    with pytest.raises(ValueError, match="a transcript has no 'text'; add it"):
        Transcript.from_dict({})

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.text.transcript import Character, Transcript, Word


def spelled(text: str, confidence: float = 0.5) -> list[Character]:
    return [Character(letter, place, place + 1.0, confidence) for place, letter in enumerate(text)]


def test_words_are_what_white_space_separates_with_their_places_and_products():
    transcript = Transcript.from_characters(spelled("ab  c"), source="a.wav", unit="s")
    assert transcript.text == "ab  c"
    assert transcript.words == (Word("ab", 0, 2, 0.25), Word("c", 4, 5, 0.5))
    assert transcript.confidence == 0.5
    assert (transcript.source, transcript.unit) == ("a.wav", "s")


def test_the_confidence_of_a_text_is_the_share_of_right_characters():
    letters = [Character("a", 0, 1, 0.9), Character("b", 1, 2, 0.5)]
    assert Transcript.from_characters(letters).confidence == pytest.approx(0.7)
    assert Transcript.from_characters(letters, missing=2.0).confidence == pytest.approx(1.4 / 4)
    assert Transcript.from_characters([], missing=3.0).confidence == 0.25


def test_the_confidence_of_a_long_text_is_that_of_a_short_one():
    assert Transcript.from_characters(spelled("ab" * 20_000, 0.9)).confidence == pytest.approx(0.9)


def test_nothing_is_certain():
    assert Transcript.from_characters([]) == Transcript("", 1.0, (), ())


@given(st.text())
def test_words_are_those_of_str_split(text):
    transcript = Transcript.from_characters(spelled(text))
    assert transcript.text == text
    assert [word.text for word in transcript.words] == text.split()


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

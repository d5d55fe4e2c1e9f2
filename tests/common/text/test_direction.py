"""Capitals stand for Hebrew letters here, as in UAX 9 and its examples."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.text.direction import MARKS, direction_of, from_line, is_right_to_left, to_line, without_marks

HEBREW = {letter: chr(0x05D0 + place) for place, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ")}
ARABIC_MEEM, ARABIC_ONE, ARABIC_TWO = "\u0645", "\u0661", "\u0662"


def hebrew(text: str) -> str:
    return "".join(HEBREW.get(letter, letter) for letter in text)


UAX9_EXAMPLES = [
    # text, direction of the line, the line from left to right; section 3.4 of UAX 9 and its definitions
    ("car means CAR.", "ltr", "car means RAC."),
    ("car is THE CAR in arabic", "ltr", "car is RAC EHT in arabic"),
    ("CAR IS the car IN ENGLISH", "rtl", "HSILGNE NI the car SI RAC"),
    ('he said "THE VALUES ARE 123, 456, 789, OK".', "ltr", 'he said "KO ,789 ,456 ,123 ERA SEULAV EHT".'),
]
RULES = [
    ("ABC", "rtl", "CBA"),
    ("ABC DEF", "ltr", "FED CBA"),  # nothing runs from left to right: the line runs from right to left
    ("AB 12.5%", "rtl", "12.5% BA"),  # W4 and W5: the number keeps its point and its sign
    ("AB $5.00", "rtl", "$5.00 BA"),
    ("A 12/05/2020.", "rtl", ".12/05/2020 A"),
    ("A 10-11", "rtl", "10-11 A"),
    ("A, (B) C!", "rtl", "!C (B) ,A"),  # L4: what opens in reading stands mirrored on the line
    ("a(B)c A", "ltr", "a(B)c A"),  # N0: the brackets hold a letter against the line, the line is before
    ("abc AB", "rtl", "BA abc"),
    ("abc AB", "ltr", "abc BA"),
]


@pytest.mark.parametrize(("text", "direction", "line"), UAX9_EXAMPLES + RULES)
def test_a_line_has_the_order_of_uax_9(text, direction, line):
    assert to_line(hebrew(text), direction) == hebrew(line)


@pytest.mark.parametrize(("text", "direction", "line"), UAX9_EXAMPLES + RULES)
def test_a_text_is_read_from_its_line(text, direction, line):
    read = from_line(list(hebrew(line)), direction)
    assert "".join(one.text for one in read) == hebrew(text)
    for place, symbol in read:
        assert symbol == hebrew(line)[place] or unicodedata.mirrored(symbol)
    assert sorted(place for place, _ in read) == list(range(len(line)))


def test_european_digits_after_an_arabic_letter_are_arabic_numbers():
    text = f"{ARABIC_MEEM} 1-2"  # W2: the hyphen joins European numbers only
    assert to_line(text, "rtl") == f"2-1 {ARABIC_MEEM}"
    assert "".join(one.text for one in from_line(list(f"2-1 {ARABIC_MEEM}"), "rtl")) == text
    assert (
        to_line(f"{ARABIC_MEEM} {ARABIC_ONE},{ARABIC_TWO}", "rtl")
        == f"{ARABIC_ONE},{ARABIC_TWO} {ARABIC_MEEM}"
    )


def test_a_combining_mark_stays_after_its_letter():
    point = "\u05b8"  # Hebrew point qamats
    assert to_line(f"\u05d0{point}\u05d1", "rtl") == f"\u05d1\u05d0{point}"
    assert [one.place for one in from_line(["\u05d1", "\u05d0", point], "rtl")] == [1, 2, 0]


LETTERS = st.sampled_from(hebrew("ABCDE") + f"{ARABIC_MEEM}{ARABIC_ONE}{ARABIC_TWO}abc0123 .,:/-+%$()[]!")


@given(
    st.text(LETTERS, max_size=12).map(lambda text: " ".join(text.split())), st.sampled_from(("ltr", "rtl"))
)
def test_a_line_is_a_permutation_up_to_mirroring(text, direction):
    mirrored = str.maketrans(")]", "([")
    line = to_line(text, direction)
    assert sorted(line.translate(mirrored)) == sorted(text.translate(mirrored))
    assert sorted(one.place for one in from_line(list(text), direction)) == list(range(len(text)))


@given(st.text(max_size=20), st.sampled_from(("ltr", "rtl")))
def test_a_text_without_right_to_left_letters_is_its_line(text, direction):
    if not is_right_to_left(text):
        assert to_line(text, direction) == text
        assert "".join(one.text for one in from_line(list(text), direction)) == text


def test_the_direction_of_mixed_lines_is_that_of_most_of_their_letters():
    assert direction_of(["abc", "12"]) is None
    assert direction_of(["abc", hebrew("AB")]) == "rtl"  # no mixed line
    assert direction_of([hebrew("ABC a"), "abcdef"]) == "rtl"
    assert direction_of([hebrew("A abc"), hebrew("ABCDEF")]) == "ltr"


def test_marks_of_direction_are_those_of_the_unicode_standard():
    names = {"ARABIC LETTER MARK", "LEFT-TO-RIGHT MARK", "RIGHT-TO-LEFT MARK", "LEFT-TO-RIGHT EMBEDDING"}
    assert names <= {unicodedata.name(mark) for mark in MARKS}
    assert without_marks(f"a{MARKS}b") == "ab"

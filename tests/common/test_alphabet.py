import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.alphabet import BLANK, UNICODE_FORMS, WHITESPACE, Alphabet

FORMS = st.sampled_from(UNICODE_FORMS)
SPACES = st.sampled_from(WHITESPACE)


def test_labels_follow_the_order_of_code_points_and_leave_0_to_the_blank():
    alphabet = Alphabet.from_texts(["ba", "ä c"])
    assert BLANK == 0
    assert alphabet.symbols == (" ", "a", "b", "c", "ä")
    assert alphabet.encode("cab ä") == [4, 2, 3, 1, 5]
    assert alphabet.classes == 6


@given(st.lists(st.text()), FORMS, SPACES)
def test_decoding_an_encoded_text_gives_the_normalised_text(texts, form, whitespace):
    alphabet = Alphabet.from_texts(texts, form, whitespace)
    for text in texts:
        assert alphabet.decode(alphabet.encode(text)) == alphabet.normalise(text)


@given(st.text(), FORMS, SPACES)
def test_to_normalise_twice_changes_nothing(text, form, whitespace):
    alphabet = Alphabet((), form, whitespace)
    once = alphabet.normalise(text)
    assert alphabet.normalise(once) == once


@given(st.text(), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_the_form_is_the_one_of_the_unicode_standard(text, form):
    assert Alphabet((), form, "keep").normalise(text) == unicodedata.normalize(form, text)


def test_both_spellings_of_a_letter_get_the_same_labels():
    composed, decomposed = "\u00e9", "e\u0301"
    assert Alphabet.from_texts([composed]).encode(decomposed) == [1]
    assert Alphabet.from_texts([composed], "NFD").symbols == ("e", "\u0301")
    assert Alphabet.from_texts([composed, decomposed], "none").symbols == ("e", "\u00e9", "\u0301")


def test_runs_of_white_space_are_one_space_unless_they_are_kept():
    text = "\ta \u00a0b\n\u2009c "
    assert Alphabet(()).normalise(text) == "a b c"
    assert Alphabet((), whitespace="keep").normalise(text) == text


def test_unknown_characters_are_named_once_and_in_order():
    alphabet = Alphabet.from_texts(["abc"])
    assert alphabet.unknown("zaz\u0416\u0416b") == ["z", "\u0416"]
    assert alphabet.unknown("abc") == []


def test_an_unknown_character_is_an_error_that_names_it_with_its_code_point():
    with pytest.raises(ValueError) as error:
        Alphabet.from_texts(["abc"]).encode("a\u0416z\u0416")
    assert str(error.value) == (
        "'aЖzЖ' has 'Ж' (U+0416), 'z' (U+007A), not in the alphabet of 3 symbols; "
        "extend the alphabet or drop the line"
    )


@pytest.mark.parametrize("label", [0, -1, 4])
def test_a_label_without_a_symbol_is_an_error(label):
    with pytest.raises(ValueError, match=rf"label {label}.* stands for no symbol; labels go from 1 to 3"):
        Alphabet.from_texts(["abc"]).decode([1, label])


@given(st.sets(st.characters(exclude_categories=["Cs"])), FORMS, SPACES)
def test_a_dictionary_keeps_all_of_it(symbols, form, whitespace):
    alphabet = Alphabet(tuple(symbols), form, whitespace)
    assert Alphabet.from_dict(alphabet.to_dict()) == alphabet


@pytest.mark.parametrize(
    ("described", "sentence"),
    [
        ({"symbols": ["a", "a"]}, r"symbol 'a' \(U\+0061\) stands there twice; remove one"),
        ({"symbols": ["ab"]}, "symbol 'ab' is not one code point; split or remove it"),
        ({"symbols": [""]}, "symbol '' is not one code point"),
        ({"symbols": [7]}, "symbol 7 is not one code point"),
        ({"symbols": "abc"}, "\"symbols\" is 'abc'; make it a list"),
        ({}, '"symbols" is None; make it a list'),
        ({"symbols": ["a"], "unicode_form": "nfc"}, "unicode_form is 'nfc'; choose one of NFC, NFD"),
        ({"symbols": ["a"], "whitespace": "strip"}, "whitespace is 'strip'; choose one of collapse, keep"),
        ({"symbols": ["a"], "form": "NFC"}, "unknown key 'form'; the keys are symbols, unicode_form"),
    ],
)
def test_what_is_no_alphabet_is_refused(described, sentence):
    with pytest.raises(ValueError, match=sentence):
        Alphabet.from_dict(described)

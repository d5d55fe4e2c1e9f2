import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.decoding.storage import symbols_from_dict
from common.text.symbols import (
    BLANK,
    UNICODE_FORMS,
    WHITESPACE,
    Alphabet,
    Names,
    collapse_pieces,
)

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
def test_normalising_twice_changes_nothing_more(text, form, whitespace):
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


HEBREW = "\u05d0\u05d1 (12) \u05d2"
HEBREW_LINE = "\u05d2 (12) \u05d1\u05d0"


def test_labels_of_right_to_left_lines_have_the_order_on_the_line():
    alphabet = Alphabet.from_texts([HEBREW], direction="rtl")
    assert alphabet.spell(HEBREW) == HEBREW_LINE
    assert alphabet.pieces(alphabet.encode(HEBREW)) == list(HEBREW_LINE)
    assert alphabet.decode(alphabet.encode(HEBREW)) == HEBREW
    assert alphabet.normalise(f"\u200f{HEBREW}\u200e") == HEBREW
    assert alphabet.unknown(HEBREW) == []
    assert symbols_from_dict(alphabet.to_dict()) == alphabet


def test_a_bracket_on_the_line_is_the_one_that_is_drawn():
    alphabet = Alphabet.from_texts(["\u05d0)"], direction="rtl")
    assert alphabet.symbols == ("(", "\u05d0")
    assert alphabet.decode([1, 2]) == "\u05d0)"


def test_an_alphabet_without_a_direction_is_described_as_in_0_1():
    assert Alphabet.from_texts(["ab"]).to_dict() == {
        "symbols": ["a", "b"],
        "unicode_form": "NFC",
        "whitespace": "collapse",
    }
    with pytest.raises(ValueError, match="direction is 'up'; choose one of ltr, rtl"):
        Alphabet((), direction="up")  # type: ignore[arg-type]


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
        ({"symbols": ["a", "a"]}, r"symbol 'a' \(U\+0061\) is there twice; remove one"),
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


# --- names


@given(st.lists(st.text(), min_size=1), FORMS, st.sampled_from([None, " ", ""]))
def test_decoding_encoded_names_gives_the_normalised_text(texts, form, separator):
    texts = [text for text in texts if text.split()]
    names = Names.from_texts(texts, form, separator)
    for text in texts:
        normalised = names.normalise(text)
        written = normalised.replace(" ", "") if separator == "" else normalised  # no space has a name
        assert names.decode(names.encode(text)) == written
        assert names.unknown(text) == []
        assert names.labels.keys() >= set(names.split(text))


def test_names_are_sorted_and_their_labels_start_at_1():
    names = Names.from_texts(["yes", "no  way", "no way ", "maybe"])
    assert names.symbols == ("maybe", "no way", "yes")
    assert [names.encode(text) for text in ("maybe", " no way", "yes")] == [[1], [2], [3]]
    assert (names.classes, names.labels) == (4, {"maybe": 1, "no way": 2, "yes": 3})


def test_a_separator_says_what_is_between_names():
    words = Names.from_texts(["b a", "c"], separator=" ")
    assert (words.symbols, words.encode("c  a"), words.decode([3, 1])) == (("a", "b", "c"), [3, 1], "c a")
    assert words.encode("") == []
    letters = Names.from_texts(["ba", "c a"], separator="")
    assert (letters.symbols, letters.encode("c a"), letters.decode([3, 1])) == (("a", "b", "c"), [3, 1], "ca")


def test_an_unknown_name_is_refused_with_those_that_are_known():
    names = Names(("no", "yes"))
    assert names.unknown("perhaps") == ["perhaps"]
    with pytest.raises(ValueError, match=r"'perhaps' is not among the 2 names \(no, yes\)"):
        names.encode("perhaps")


@pytest.mark.parametrize("label", [-1, 0, 3])
def test_a_label_without_a_name_is_refused(label):
    with pytest.raises(ValueError, match=f"label {label} stands for no name; they go from 1 to 2"):
        Names(("no", "yes")).decode([label])


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("",), "is empty"),
        ((" a",), "white space around"),
        (("a\tb",), "white space"),
        (("a", "b", "a"), "twice"),
    ],
)
def test_names_that_cannot_be_told_apart_are_refused(names, reason):
    with pytest.raises(ValueError, match=reason):
        Names(names)


@given(st.lists(st.text().filter(lambda text: text.split())), FORMS, st.sampled_from([None, " ", ""]))
def test_names_and_alphabets_are_described_and_told_apart(texts, form, separator):
    for one in (Names.from_texts(texts, form, separator), Alphabet.from_texts(texts, form)):
        assert symbols_from_dict(one.to_dict()) == one


def test_an_unknown_key_of_names_is_refused():
    with pytest.raises(ValueError, match="unknown key 'colour'"):
        symbols_from_dict({"names": ["a"], "colour": 1})


# --- the text of labels


@pytest.mark.parametrize(
    ("pieces", "collapsed"),
    [
        (["a", " ", " ", "b"], ["a", " ", "", "b"]),
        ([" ", "a", " "], ["", "a", ""]),
        ([" the", " ca", "t", " "], ["the", " ca", "t", ""]),
        (["a ", " b", "", " "], ["a ", "b", "", ""]),
        ([" ", " "], ["", ""]),
        ([], []),
    ],
)
def test_pieces_lose_the_white_space_that_a_collapsed_text_does_not_have(pieces, collapsed):
    assert collapse_pieces(pieces) == collapsed


@given(st.lists(st.sampled_from([" ", "a", " b", "c ", "", "\u00a0"])))
def test_collapsed_pieces_are_a_text_of_single_spaces_of_the_same_words(pieces):
    collapsed = collapse_pieces(pieces)
    assert len(collapsed) == len(pieces)
    assert "".join(collapsed).split() == "".join(pieces).split()
    assert "".join(collapsed) == "".join(collapsed).strip()
    assert not re.search(r"\s\s", "".join(collapsed))


@given(st.text(), FORMS, SPACES, st.sampled_from([None, " ", ""]))
def test_decoding_joins_the_text_of_each_label(text, form, whitespace, separator):
    kinds = [Alphabet.from_texts([text], form, whitespace)]
    if text.split():
        kinds.append(Names.from_texts([text], form, separator))
    for symbols in kinds:
        labels = symbols.encode(text)
        pieces = symbols.pieces(labels)
        assert symbols.decode(labels) == (symbols.separator or "").join(pieces)
        assert [symbols.labels[piece] for piece in pieces] == labels

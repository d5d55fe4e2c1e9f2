import pytest

from common.decoding.storage import symbols_from_dict
from common.text.phonetic.phones import Phones
from common.text.phonetic.pronunciations import Pronunciation

SAID = [
    Pronunciation("THE", ("DH", "AH")),
    Pronunciation("CAT", ("K", "AE", "T")),
    Pronunciation("THE", ("DH", "IY")),
]
PHONES = Phones.of(SAID)
CAT = PHONES.classes + 1
"""the label of the word"""


def test_phones_are_sorted_after_the_space_and_words_keep_their_order():
    assert PHONES.symbols == (" ", "AE", "AH", "DH", "IY", "K", "T")
    assert PHONES.classes == 8  # with the blank
    assert PHONES.words == ("THE", "CAT")


def test_a_text_becomes_its_first_pronunciations_with_spaces_between():
    assert [PHONES.symbols[label - 1] for label in PHONES.encode(" THE  CAT ")] == [
        *("DH", "AH", " ", "K", "AE", "T")
    ]
    assert PHONES.encode("") == []


def test_words_without_a_pronunciation_are_unknown_and_named():
    assert PHONES.unknown("DOG THE DOG cat") == ["DOG", "cat"]
    with pytest.raises(ValueError, match="'DOG', not among the 2 words with a pronunciation"):
        PHONES.encode("THE DOG")


def test_labels_of_words_are_written_as_words_and_phones_with_hyphens():
    k, ae, t = PHONES.encode("CAT")
    assert PHONES.pieces([PHONES.classes, 1, CAT]) == ["THE", " ", "CAT"]
    assert PHONES.decode([k, ae, 1, CAT, 1, t]) == "K-AE CAT T"


@pytest.mark.parametrize("label", [0, -1, CAT + 1])
def test_the_blank_and_labels_that_no_word_has_are_refused(label):
    with pytest.raises(ValueError, match=f"label {label} stands for no phone"):
        PHONES.pieces([label])


def test_a_model_file_describes_them():
    assert symbols_from_dict(PHONES.to_dict()) == PHONES
    assert symbols_from_dict(PHONES.saying([]).to_dict()) == PHONES.saying([])
    with pytest.raises(ValueError, match="unknown key 'colour'"):
        symbols_from_dict({**PHONES.to_dict(), "colour": 1})


def test_damaged_pronunciations_are_refused():
    for change in ({"words": "THE\nCAT"}, {"sounds": "2\n3\n~"}, {"sounds": "2\n\n3"}):
        with pytest.raises(ValueError, match="words and sounds do not fit each other"):
            symbols_from_dict({**PHONES.to_dict(), **change})


def test_other_pronunciations_have_the_same_phones():
    dog = Pronunciation("TAKE", ("T", "AE", "K"))
    assert PHONES.saying([dog]).symbols == PHONES.symbols
    with pytest.raises(ValueError, match="pronunciation of 'DOG': 'D' is none of the model's 6 phones"):
        PHONES.saying([Pronunciation("DOG", ("D", "AH"))])

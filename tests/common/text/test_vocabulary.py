"""Labels listed by hand."""

import pytest

from common.text.symbols import Alphabet
from common.text.vocabulary import Vocabulary

LINES = ["a cab", "a bad cab"]


def test_characters_have_labels_by_code_point_and_the_last_stands_for_others():
    vocabulary = Vocabulary.from_texts(LINES)
    assert vocabulary.tokens == (" ", "a", "b", "c", "d", "\ufffd")
    assert (vocabulary.unit, vocabulary.classes, vocabulary.unknown) == ("character", 7, 6)
    assert vocabulary.encode(" b  x") == [3, 1, 6]
    assert vocabulary.decode([4, 2, 3]) == "cab"


def test_words_have_labels_behind_that_of_unknown_ones():
    vocabulary = Vocabulary.from_texts(LINES, "word", limit=2)
    assert vocabulary.tokens == ("<unk>", "a", "cab")
    assert (vocabulary.unit, vocabulary.classes, vocabulary.unknown) == ("word", 4, 1)
    assert vocabulary.encode("cab bad a") == [3, 1, 2]
    assert vocabulary.decode([2, 3]) == "a cab"


def test_the_most_frequent_are_kept():
    assert Vocabulary.from_texts(LINES, limit=2).tokens == (" ", "a", "\ufffd")


def test_the_form_of_unicode_is_that_of_the_alphabet():
    assert Vocabulary.from_texts(["e\u0301"]).tokens == ("é", "\ufffd")
    assert Vocabulary.from_texts(["é"], form="NFD").tokens == ("e", "\u0301", "\ufffd")


@pytest.mark.parametrize("unit", ["character", "word"])
def test_a_header_brings_it_back(unit):
    vocabulary = Vocabulary.from_texts(LINES, unit)
    assert Vocabulary.from_header(vocabulary.to_header()) == vocabulary


def test_without_a_label_for_others_they_are_refused_by_name():
    with pytest.raises(ValueError, match="'x'"):
        Vocabulary(Alphabet(("a",))).encode("ax")


@pytest.mark.parametrize(
    ("words", "named"),
    [(("a",), "<unk>"), (("<unk>", "a", "a"), "twice"), (("<unk>", "a b"), "not one word")],
)
def test_words_that_cannot_be_are_refused(words, named):
    with pytest.raises(ValueError, match=named):
        Vocabulary(Alphabet(()), words)

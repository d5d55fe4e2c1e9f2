import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.text.symbols import Alphabet, Symbols
from common.text.vocabulary import Vocabulary

LINES = ["a cab", "a bad cab"]


def test_characters_have_labels_by_code_point_and_the_last_stands_for_others():
    vocabulary = Vocabulary.from_texts(LINES)
    assert vocabulary.symbols == (" ", "a", "b", "c", "d", "\ufffd")
    assert (vocabulary.unit, vocabulary.classes, vocabulary.unknown_label) == ("character", 7, 6)
    assert vocabulary.encode(" b  x") == [3, 1, 6]
    assert vocabulary.decode([4, 2, 3]) == "cab"


def test_words_have_labels_after_the_label_of_unknown_words():
    vocabulary = Vocabulary.from_texts(LINES, "word", limit=2)
    assert vocabulary.symbols == ("<unk>", "a", "cab")
    assert (vocabulary.unit, vocabulary.classes, vocabulary.unknown_label) == ("word", 4, 1)
    assert vocabulary.encode("cab bad a") == [3, 1, 2]
    assert vocabulary.decode([2, 3]) == "a cab"


def test_the_most_frequent_are_kept():
    assert Vocabulary.from_texts(LINES, limit=2).symbols == (" ", "a", "\ufffd")


def test_the_form_of_unicode_is_that_of_the_alphabet():
    assert Vocabulary.from_texts(["e\u0301"]).symbols == ("é", "\ufffd")
    assert Vocabulary.from_texts(["é"], form="NFD").symbols == ("e", "\u0301", "\ufffd")


@pytest.mark.parametrize("unit", ["character", "word"])
def test_a_dictionary_keeps_all_of_a_vocabulary(unit):
    vocabulary = Vocabulary.from_texts(LINES, unit)
    assert Vocabulary.from_dict(vocabulary.to_dict()) == vocabulary


def test_unknown_characters_are_refused_by_name_if_no_label_stands_for_them():
    with pytest.raises(ValueError, match="'x'"):
        Vocabulary(Alphabet(("a",))).encode("ax")


@pytest.mark.parametrize(
    ("words", "named"),
    [(("a",), "<unk>"), (("<unk>", "a", "a"), "twice"), (("<unk>", "a b"), "not one word")],
)
def test_impossible_words_are_refused(words, named):
    with pytest.raises(ValueError, match=named):
        Vocabulary(Alphabet(()), words)


@given(st.lists(st.text(), min_size=1), st.sampled_from(["character", "word"]))
def test_a_vocabulary_is_a_kind_of_symbols(texts, unit):
    symbols: Symbols = Vocabulary.from_texts(texts, unit)
    for text in texts:
        if symbols.unknown(text):  # "<unk>" or U+FFFD, which are not kept as they are found
            continue
        labels = symbols.encode(text)
        assert symbols.decode(labels) == symbols.normalise(text)
        assert symbols.pieces(labels) == [symbols.symbols[label - 1] for label in labels]
        assert symbols.separator.join(symbols.pieces(labels)) == symbols.decode(labels)
    assert symbols.noun == f"{unit}s"


@pytest.mark.parametrize("label", [-1, 0, 4])
def test_a_label_without_a_word_is_refused(label):
    with pytest.raises(ValueError, match=f"label {label} stands for no word; they go from 1 to 3"):
        Vocabulary.from_texts(["a b"], "word").decode([label])

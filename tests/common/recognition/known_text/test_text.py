"""Paragraphs, words and their labels are compared with lists made by hand."""

import pytest

from common.recognition.known_text.text import read_text
from common.text.symbols import Alphabet, Names

CAPITALS = Alphabet((" ", "'", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"))


def spelt(text: str, alphabet: Alphabet = CAPITALS) -> list[tuple[str, str]]:
    """Return each word as it is written, and as the model writes it."""
    return [(word.text, alphabet.decode(word.spelling)) for word in read_text(text, alphabet).words]


@pytest.mark.parametrize(
    ("text", "paragraphs"),
    [
        ("ONE TWO\nTHREE", [["ONE", "TWO"], ["THREE"]]),
        ("ONE TWO\nTHREE\n\nFOUR\n \n\nFIVE\nSIX\n", [["ONE", "TWO", "THREE"], ["FOUR"], ["FIVE", "SIX"]]),
        ("\n\nONE\nTWO\n\n", [["ONE"], ["TWO"]]),
        ("", []),
        (" \n \n", []),
    ],
)
def test_paragraphs_stand_between_empty_lines_or_else_are_lines(text, paragraphs):
    found = read_text(text, CAPITALS).paragraphs
    assert [[word.text for word in one] for one in found] == paragraphs


@pytest.mark.parametrize(
    ("written", "model"),
    [
        ("HELLO", "HELLO"),
        ("Hello,", "HELLO"),
        ("“Hélène’s”", "HELENE'S"),
        ("‘Hello’", "HELLO"),
        ("DOGS'", "DOGS'"),
        ("well-known", "WELL KNOWN"),
        ("forwards—(backwards)", "FORWARDS BACKWARDS"),
        ("1852", ""),
        ("B2", "B"),
    ],
)
def test_a_word_is_kept_as_written_and_spelt_as_the_model_can(written, model):
    assert spelt(written) == [(written, model)]


def test_a_sign_belongs_to_the_word_before_and_at_the_start_to_the_word_after():
    assert spelt("— he said … — and") == [("— he", "HE"), ("said … —", "SAID"), ("and", "AND")]
    assert spelt("* * *") == [("* * *", "")]


def test_each_character_has_its_labels():
    (word,) = read_text("Æon-x,", CAPITALS).words
    assert [CAPITALS.decode(labels) for labels in word.labels] == ["AE", "O", "N", " ", "X", ""]
    assert word.characters == tuple("Æon-x,")


def test_an_alphabet_without_a_space_has_no_separator_and_names_are_words():
    assert read_text("AB C", Alphabet(tuple("ABC"))).separator is None
    assert read_text("AB C", CAPITALS).separator == 1
    names = Names(("one", "two"), " ")
    text = read_text("two one", names)
    assert ([word.spelling for word in text.words], text.separator) == ([[2], [1]], None)

"""Files of pronunciations: of two columns, and as the dictionary of Carnegie Mellon University has them."""

import pytest

from common.text.phonetic.pronunciations import (
    Pronunciation,
    read_pronunciations,
    write_lines,
)


def pronunciations_of(tmp_path, text: str) -> list[tuple[str, str]]:
    path = tmp_path / "said.txt"
    path.write_text(text, encoding="utf-8")
    return [(word, " ".join(phones)) for word, phones in read_pronunciations(path)]


def test_lines_have_a_word_and_its_phones_after_any_white_space(tmp_path):
    text = "katze\tk a ts ə\n\n  und   ʊ n t\nKATZE k a\r\n"
    assert pronunciations_of(tmp_path, text) == [("katze", "k a ts ə"), ("und", "ʊ n t"), ("KATZE", "k a")]


def test_the_dictionary_of_cmu_is_read_without_comments_and_stress(tmp_path):
    text = ";;; CMUdict\n'bout B AW1 T\nthe DH AH0\nthe(2) DH IY0\nd'artagnan D AH0 R # foreign french\n"
    assert pronunciations_of(tmp_path, text) == [
        ("'bout", "B AW T"),
        ("the", "DH AH"),
        ("the", "DH IY"),
        ("d'artagnan", "D AH R"),
    ]


def test_only_vowels_of_arpabet_lose_a_digit(tmp_path):
    assert pronunciations_of(tmp_path, "ma1 m a1\nsieben z i: b n2 AA1") == [
        ("ma1", "m a1"),
        ("sieben", "z i: b n2 AA"),
    ]


def test_a_pronunciation_counts_once_and_a_word_may_have_several(tmp_path):
    assert pronunciations_of(tmp_path, "read R EH1 D\nread R IY1 D\nREAD R EH D\nread(3) R EH0 D\n") == [
        ("read", "R EH D"),
        ("read", "R IY D"),
        ("READ", "R EH D"),
    ]


def test_a_word_without_phones_is_named_with_its_line(tmp_path):
    with pytest.raises(ValueError, match=r"said.txt:2: 'two' has no phones; write a word and after it"):
        pronunciations_of(tmp_path, "one W AH1 N\ntwo  # T UW1\n")


def test_a_file_without_a_pronunciation_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no pronunciation"):
        pronunciations_of(tmp_path, ";;; nothing\n\n")


def test_what_is_written_is_read_again(tmp_path):
    said = [Pronunciation("A", ("AH",)), Pronunciation("CAT", ("K", "AE", "T")), Pronunciation("A", ("EY",))]
    assert write_lines(said) == "A AH\nCAT K AE T\nA EY\n"
    (tmp_path / "said.txt").write_text(write_lines(said))
    assert read_pronunciations(tmp_path / "said.txt") == said

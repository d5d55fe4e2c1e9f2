"""Results are compared with a set of words, or with a tree drawn by hand."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.decoding.beam.lexicon import NO_WORD, TRIE_ROOT, Lexicon, read_words

SYMBOLS = ["", "a", "b", "c"]
SPELLABLE = st.lists(st.text("abc", min_size=1, max_size=5), min_size=1, max_size=30)


def node_of(lexicon: Lexicon, text: str, symbols: list[str]) -> int:
    """Return the node after `text`, letter by letter; -1 if there is none."""
    node = TRIE_ROOT
    for letter in text:
        if node >= 0:
            node = int(lexicon.child(np.array([node]), np.array([symbols.index(letter)]))[0])
    return node


# --- the tree


def test_the_tree_is_the_one_drawn_by_hand():
    """The words are "ab" (0), "b" (1), "a" (2) and "acb" (3).

    0 ─┬─ 1 a ─┬─ 3 ab
       │       └─ 4 ac ─── 5 acb
       └─ 2 b
    """
    lexicon = Lexicon(["ab", "b", "a", "acb"], SYMBOLS)
    assert len(lexicon) == 6
    assert lexicon.levels == [0, 1, 3, 5, 6]
    assert lexicon.parent[1:].tolist() == [0, 0, 1, 1, 4]
    assert lexicon.label[1:].tolist() == [1, 2, 2, 3, 2]
    assert lexicon.word.tolist() == [-1, 2, 1, 0, -1, 3]
    assert lexicon.first_child.tolist() == [1, 3, 5, 5, 5, 6, 6]
    assert lexicon.words == ("ab", "b", "a", "acb")
    assert lexicon.unspelled == []


@given(SPELLABLE, st.lists(st.text("abc", max_size=6), max_size=20))
def test_exactly_the_words_are_found_with_their_first_index(words, others):
    lexicon = Lexicon(words, SYMBOLS)
    for text in [*words, *others]:
        node = node_of(lexicon, text, SYMBOLS)
        assert (node >= 0) == any(word.startswith(text) for word in words)
        if node >= 0:
            assert lexicon.word[node] == (words.index(text) if text in words else NO_WORD)
    assert len(lexicon) == len({word[:end] for word in words for end in range(len(word) + 1)})


@given(st.lists(st.text("ab😀ﬁ\ud800é", max_size=3), min_size=1, max_size=20))
def test_words_with_letters_that_no_label_writes_are_not_in_the_tree(words):
    symbols = ["", "a", "😀", "ab", "é"]  # symbols of two characters spell nothing
    spelled = [word for word in words if word and set(word) <= {"a", "😀", "é"}]
    if not spelled:
        with pytest.raises(ValueError, match="the alphabet can spell none of its"):
            Lexicon(words, symbols)
        return
    lexicon = Lexicon(words, symbols)
    assert {words[place] for place in lexicon.word[lexicon.word >= 0]} == set(spelled)
    assert [words[place] for place in lexicon.unspelled] == [
        word for word in dict.fromkeys(words) if word not in spelled
    ]
    assert all(lexicon.word[node_of(lexicon, word, symbols)] == words.index(word) for word in spelled)


@given(SPELLABLE)
def test_children_stand_next_to_each_other_in_the_order_of_their_labels(words):
    lexicon = Lexicon(words, SYMBOLS)
    for node in range(len(lexicon)):
        children = range(lexicon.first_child[node], lexicon.first_child[node + 1])
        assert all(lexicon.parent[child] == node for child in children)
        labels = [lexicon.label[child] for child in children]
        assert labels == sorted(set(labels))
        found = lexicon.child(np.full(4, node), np.arange(4)).tolist()
        assert found == [dict(zip(labels, children, strict=True)).get(label, -1) for label in range(4)]


@given(SPELLABLE, st.integers(0, 2**32 - 1))
def test_best_below_is_the_largest_value_of_the_words_with_that_beginning(words, seed):
    lexicon = Lexicon(words, SYMBOLS)
    values = np.random.default_rng(seed).standard_normal(len(words))
    best = lexicon.best_below(values)
    for text in {word[:end] for word in words for end in range(len(word) + 1)}:
        below = [values[words.index(word)] for word in set(words) if word.startswith(text)]
        assert best[node_of(lexicon, text, SYMBOLS)] == max(below)


def test_labels_may_be_in_any_order():
    symbols = ["c", "", "a", "b"]
    lexicon = Lexicon(["abc", "ca"], symbols)
    assert lexicon.word[node_of(lexicon, "abc", symbols)] == 0
    assert lexicon.word[node_of(lexicon, "ca", symbols)] == 1
    assert node_of(lexicon, "b", symbols) == -1


# --- what cannot be spelled


def test_words_with_letters_the_labels_lack_are_named_and_not_in_the_tree():
    lexicon = Lexicon(["ab", "äb", "abx", "b"], SYMBOLS)
    assert lexicon.unspelled == [1, 2]
    assert sorted(lexicon.word[lexicon.word != NO_WORD].tolist()) == [0, 3]
    assert len(lexicon) == 4  # the root, a, ab, b: abx has no nodes


def test_the_empty_word_cannot_be_spelled():
    lexicon = Lexicon(["", "a", ""], SYMBOLS)
    assert lexicon.unspelled == [0]
    assert lexicon.word[TRIE_ROOT] == NO_WORD
    assert len(lexicon) == 2


def test_of_equal_words_the_first_counts():
    lexicon = Lexicon(["b", "a", "b", "a", "x", "x"], SYMBOLS)
    assert lexicon.word[1:].tolist() == [1, 0]
    assert lexicon.unspelled == [4]
    assert lexicon.best_below(np.array([1.0, 2.0, 30.0, 40.0, 50.0, 60.0])).tolist() == [2, 2, 1]


@pytest.mark.parametrize(
    ("words", "message"), [(["xy", ""], "none of its 2 words, such as 'xy'"), ([], "none of its 0 words")]
)
def test_a_lexicon_without_words_that_can_be_spelled_is_refused(words, message):
    with pytest.raises(ValueError, match=message):
        Lexicon(words, SYMBOLS)


# --- files


def test_words_are_read_one_a_line_without_empty_lines_and_white_space_around(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes("\ufeffStraße\r\n\n  New \t York \n \nb".encode())
    assert read_words(path) == ["Straße", "New York", "b"]


def test_a_missing_file_of_words_is_named(tmp_path):
    path = tmp_path / "none.txt"
    with pytest.raises(ValueError, match=re.escape(f"{path}: cannot be read (No such file")):
        read_words(path)


def test_words_that_are_not_utf8_are_refused_with_line_and_byte(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes("gut\nStraße\n".encode("latin-1"))
    with pytest.raises(ValueError, match=re.escape(f"{path}:2: byte 0xdf is not UTF-8")):
        read_words(path)


@pytest.mark.parametrize("content", ["", " \n\n\t\n"])
def test_a_file_without_words_is_refused(tmp_path, content):
    path = tmp_path / "empty.txt"
    path.write_text(content)
    with pytest.raises(ValueError, match=re.escape(f"{path}: holds no word")):
        read_words(path)

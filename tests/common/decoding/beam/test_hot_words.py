from common.decoding.beam.hot_words import HotWord, hot_words_of, in_case_of, read_hot_words


def test_a_line_may_end_with_the_boost_of_its_hot_word(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("Pretenot\n new   york :2.5\nzero :0\nless :-1\nratio 3:1\na :b\n:5\n\npoint :.5\n")
    assert read_hot_words(path) == [
        HotWord("Pretenot"),
        HotWord("new york", 2.5),
        HotWord("zero", 0.0),
        HotWord("less", -1.0),
        HotWord("ratio 3:1"),
        HotWord("a :b"),
        HotWord(":5"),
        HotWord("point", 0.5),
    ]


def test_hot_words_may_be_given_as_texts():
    assert hot_words_of(["a", HotWord("b", 2.0)]) == [HotWord("a", None), HotWord("b", 2.0)]


def test_letters_that_no_symbol_writes_have_the_other_case_if_a_symbol_writes_that():
    assert in_case_of("ABÉ", ["aBc", "é"]) == ["ABc", "É"]
    assert in_case_of("abAB", ["Ab", "aB"]) == ["Ab", "aB"]
    assert in_case_of("abS", ["ß", "A"]) == ["ß", "a"]

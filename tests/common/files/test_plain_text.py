import pytest

from common.files.plain_text import read_line


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"a line", "a line"),
        (b"a line\n", "a line"),
        (b"a line\r\n", "a line"),
        (b"\xef\xbb\xbfa line\n\n", "a line"),
        (b" a\tline \n", " a\tline "),
        ("a\u2028line\n".encode(), "a\u2028line"),
    ],
)
def test_the_one_line_of_a_text_file_is_read_as_it_stands(tmp_path, content, text):
    (tmp_path / "a.gt.txt").write_bytes(content)
    assert read_line(tmp_path / "a.gt.txt") == text


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty, one line of text was wanted; write it or remove the file"),
        (b" \n\n", "is empty, one line of text was wanted"),
        (b"\xef\xbb\xbf", "is empty, one line of text was wanted"),
        (b"one\ntwo\n", "has 2 lines of text, one was wanted; split it, one line a file"),
        (b"one\rtwo\r\n\nthree", "has 3 lines of text, one was wanted"),
        (b"caf\xe9 au", "byte 0xe9 at offset 3 is not UTF-8; convert the file to UTF-8"),
    ],
)
def test_a_text_file_of_another_kind_is_an_error(tmp_path, content, sentence):
    (tmp_path / "a.gt.txt").write_bytes(content)
    with pytest.raises(ValueError, match=f"a.gt.txt: {sentence}"):
        read_line(tmp_path / "a.gt.txt")


def test_a_text_file_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"a.gt.txt: cannot be read \(No such file or directory\)"):
        read_line(tmp_path / "a.gt.txt")

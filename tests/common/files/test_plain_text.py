import bz2
import gzip
import io
import lzma
from types import SimpleNamespace

import pytest

from common.files.plain_text import read_line, read_lines


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


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress, bz2.compress])
def test_lines_are_read_compressed_or_not_with_the_line_ends_of_any_system(tmp_path, compress):
    content = "\ufeffa\r\nb \n\nc\u2028d\re".encode()
    (tmp_path / "lines").write_bytes(compress(content))
    assert read_lines(tmp_path / "lines") == ["a", "b ", "", "c\u2028d", "e"]


def test_a_hyphen_is_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"a\nb")))
    assert read_lines("-") == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a\nb\xe9", ":2: byte 0xe9 is not UTF-8; convert the file to UTF-8"),
        (gzip.compress(b"a line", mtime=0)[:-3], ": its compression is damaged .*; copy the file again"),
        (None, r": cannot be read \(No such file or directory\); name a text file"),
    ],
)
def test_lines_that_cannot_be_read_are_an_error(tmp_path, content, sentence):
    if content is not None:
        (tmp_path / "lines").write_bytes(content)
    with pytest.raises(ValueError, match=f"^{tmp_path}/lines{sentence}"):
        read_lines(tmp_path / "lines")

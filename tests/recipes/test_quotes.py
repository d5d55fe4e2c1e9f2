"""The truth of these tests is written by hand."""

import lzma
import subprocess
import sys
from pathlib import Path

import pytest
from quotes import without_quotes


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("'I don't,' said he. 'Tis the boys' place.", "I don't, said he. 'Tis the boys' place."),
        ("\"'You forget,\" he says. 'I'll go!'", '"You forget," he says. I\'ll go!'),
        ("He ''twas'' and '' and ' alone.", "He 'twas' and  and  alone."),
        ("give 'em th' book, o' course", "give 'em th' book, o' course"),
        ("(1880's) and '90 and Heathcliff 's", "(1880's) and 90 and Heathcliff 's"),
        ("the 'élan' of it", "the élan' of it"),
    ],
)
def test_quotation_marks_go_and_apostrophes_stay(text, wanted):
    assert without_quotes(text) == wanted


def test_files_are_read_one_after_the_other_and_may_be_compressed(tmp_path):
    (tmp_path / "a.txt").write_text("'One'\n")
    (tmp_path / "b.txt.xz").write_bytes(lzma.compress("'Zwölf.'\n".encode()))
    script = Path(__file__).parents[2] / "recipes" / "core" / "quotes.py"
    command = [sys.executable, str(script), str(tmp_path / "a.txt"), str(tmp_path / "b.txt.xz")]
    found = subprocess.run(command, capture_output=True, check=True, env={"PYTHONIOENCODING": "utf-8"})
    assert found.stdout.decode() == "One'\nZwölf.\n"

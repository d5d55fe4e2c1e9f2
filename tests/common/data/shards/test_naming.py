"""Names of tars are expanded as a shell expands them."""

import subprocess
from pathlib import Path

import pytest

from common.data.shards.naming import expand_braces, split_paths, tars_of


@pytest.mark.parametrize(
    "pattern",
    [
        "a{000..012}.tar",
        "{0..3}/{a,b}.tar",
        "{7..11}.tar",
        "{08..11}.tar",
        "x{a,b,}.tar",
        "{000..1001}.tar",
        "a.tar",
    ],
)
def test_a_pattern_stands_for_what_a_shell_makes_of_it(pattern: str) -> None:
    shell = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {pattern}"], capture_output=True, text=True, check=True
    )
    assert expand_braces(pattern) == shell.stdout.split("\n")[:-1]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("{3..1}.tar", "counts from 3 to 1"),
        ("{x}.tar", "{x} stands for nothing"),
        ("{0..9999999}.tar", "count up, and to 1,000,000 files"),
        ("{0..999}{0..9999}.tar", "stands for 10,000,000 files"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_said(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        expand_braces(pattern)


def test_commas_within_braces_separate_no_paths() -> None:
    assert split_paths("a,b{1,2}.tar,,s/{0..3}.tar") == ["a", "b{1,2}.tar", "s/{0..3}.tar"]
    assert split_paths("a},b") == ["a}", "b"]


def test_a_folder_is_one_of_tars_if_a_tar_is_right_in_it(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "c.tar").touch()
    (tmp_path / "b.png").touch()
    assert tars_of(str(tmp_path)) == []
    for name in ("1.TAR", "0.tar"):
        (tmp_path / name).touch()
    assert tars_of(str(tmp_path)) == [f"{tmp_path}/0.tar", f"{tmp_path}/1.TAR"]
    assert tars_of(f"{tmp_path}/0.tar") == [f"{tmp_path}/0.tar"]


def test_a_file_whose_name_has_braces_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "{a,b}.tar").touch()
    assert tars_of(f"{tmp_path}/{{a,b}}.tar") == [f"{tmp_path}/{{a,b}}.tar"]

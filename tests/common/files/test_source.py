import pytest

from common.files.source import absolute, source_file, stem


def test_the_file_of_a_source_is_without_its_part_unless_it_is_called_so(tmp_path):
    assert source_file("a/scan.tif[2]") == "a/scan.tif"
    assert source_file("talk.wav[12.5,15.75]") == "talk.wav"
    assert source_file("lines.npz::page/1[2]") == "lines.npz"
    assert source_file("a[1]/line.png") == "a[1]/line.png"
    (tmp_path / "scan[2]").touch()
    assert source_file(f"{tmp_path}/scan[2]") == f"{tmp_path}/scan[2]"


def test_an_absolute_path_keeps_its_steps_upwards(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("a/../b.png") == f"{tmp_path}/a/../b.png"  # a may be a link
    assert absolute("/a/b.png") == "/a/b.png"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("a/scan.tif[2]", "scan-2"),
        ("talk.tar.gz", "talk.tar"),
        ("talk.wav[1.5,2]", "talk-1.5,2"),
        ("x.npz::a/b", "x-a_b"),
        ("-", "stdin"),
    ],
)
def test_what_is_made_of_a_source_has_its_name(source, name):
    assert stem(source) == name

import errno
import io
from pathlib import Path

import pytest

from common.files.aside import written_aside


class FullDisk(io.FileIO):
    def write(self, data):
        super().write(data[:3])
        raise OSError(errno.ENOSPC, "No space left on device")


def open_on_full_disk(path: Path, mode: str) -> FullDisk:
    return FullDisk(path, mode)


def test_a_full_disk_leaves_the_old_file_and_no_half_one(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_text("old")
    monkeypatch.setattr(Path, "open", open_on_full_disk)
    with pytest.raises(OSError, match=f"No space left on device: '{path}'"), written_aside(path) as file:
        file.write(b"new content")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_while_writing_leaves_the_old_file_and_no_half_one(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), written_aside(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link_when_its_file_is_written(tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    with written_aside(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"


def test_a_folder_is_not_written_over(tmp_path):
    wanted = "is a folder, a file was to be written; name a file in it"
    with pytest.raises(IsADirectoryError, match=wanted), written_aside(tmp_path):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_device_is_written_to_directly():
    with pytest.raises(OSError, match="No space left"), written_aside("/dev/full") as file:
        file.write(b"content")
    assert Path("/dev/full").is_char_device()

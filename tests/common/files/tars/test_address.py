"""Files at addresses, in fsspec's memory, and on file systems that fail."""

import sys
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from common.files.tars.address import (
    exists,
    files_in,
    is_address,
    open_file,
    read_span,
    read_start,
    version_of,
)
from common.files.tars.listing import list_tar


@pytest.fixture
def memory() -> MemoryFileSystem:
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pipe("/bucket/a.txt", b"one\ntwo\n")
    system.pipe("/bucket/b.txt", b"")
    system.pipe("/bucket/folder/c.txt", b"c")
    return system


def test_a_file_at_an_address_is_read_as_one_on_disk(memory, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\ntwo\n")
    for name in ("memory://bucket/a.txt", f"file://{tmp_path}/a.txt", f"{tmp_path}/a.txt"):
        with open_file(name) as file:
            assert list(file) == [b"one\n", b"two\n"]
            assert file.seek(4) == 4 and file.read() == b"two\n"
        assert read_start(name, 2) == b"on" and read_start(name, 99) == b"one\ntwo\n"
        assert read_span(name, 4, 3) == b"two" and read_span(name, 6, 99) == b"o\n"
        assert version_of(name)[0] == 8 and exists(name)


def test_of_a_span_nothing_else_is_read(memory, monkeypatch):
    asked, cat_file = [], MemoryFileSystem.cat_file

    def counted(self, path, start=None, end=None, **more):
        asked.append((path, start, end))
        return cat_file(self, path, start, end, **more)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", counted)
    monkeypatch.setattr(MemoryFileSystem, "open", None)
    assert read_span("memory://bucket/a.txt", 4, 3) == b"two"
    assert asked == [("/bucket/a.txt", 4, 7)]


def test_whole_files_in_place_of_spans_are_refused(memory, monkeypatch):
    monkeypatch.setattr(MemoryFileSystem, "cat_file", lambda *_, **__: b"one\ntwo\n")
    with pytest.raises(ValueError, match=r"^memory://bucket/a.txt: whole files come from there"):
        read_span("memory://bucket/a.txt", 0, 3)


def test_the_version_of_a_file_changes_when_it_is_written_anew(memory):
    first = version_of("memory://bucket/a.txt")
    memory.pipe("/bucket/a.txt", b"two\none\n")
    assert version_of("memory://bucket/a.txt") != first


def test_the_files_right_in_a_folder_are_listed(memory, tmp_path):
    assert files_in("memory://bucket") == ["memory://bucket/a.txt", "memory://bucket/b.txt"]
    assert files_in("memory://bucket/") == files_in("memory://bucket")
    for name in ("memory://none", "memory://bucket/a.txt", f"{tmp_path}/none"):
        assert files_in(name) == []


def test_a_name_is_an_address_only_if_no_such_file_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_address("s3://bucket/a.tar") and not is_address("/mnt/a.tar") and not is_address("C:/a.tar")
    Path("s3:/bucket").mkdir(parents=True)
    Path("s3:/bucket/a.tar").touch()
    assert not is_address("s3://bucket/a.tar")


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("memory://bucket/none.txt", "does not exist; name another address"),
        ("nosuch://bucket/a.txt", "cannot be read (Protocol not known: nosuch)"),
        ("memory://bucket/folder", "cannot be read ("),
    ],
)
def test_what_cannot_be_read_is_one_sentence_with_the_address(memory, address, sentence):
    with pytest.raises(ValueError) as caught:
        read_start(address, 9)
    assert str(caught.value).startswith(f"{address}: ")
    if address != "memory://bucket/folder":
        assert str(caught.value) == f"{address}: {sentence}"


def test_a_connection_that_ends_within_a_file_is_one_sentence(memory, monkeypatch):
    class Broken:
        def read(self, _size: int) -> bytes:
            raise RuntimeError("connection\nreset")

        def close(self) -> None: ...

    monkeypatch.setattr(MemoryFileSystem, "open", lambda *_: Broken())
    with pytest.raises(ValueError) as caught:
        list_tar("memory://bucket/a.txt")
    assert str(caught.value) == "memory://bucket/a.txt: cannot be read (connection reset)"


def test_without_fsspec_addresses_are_refused_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    for function in (exists, files_in, version_of):
        with pytest.raises(ValueError, match=r"^s3://bucket/a: fsspec reads addresses, and is missing; pip"):
            function("s3://bucket/a")

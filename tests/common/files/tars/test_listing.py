"""Lists of what is in a tar; the tars are written by tarfile or by tar, and damaged byte by byte."""

import gzip
import os
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.files.tars.listing import list_tar
from common.files.tars.member import read_member

NAMES = ("a.bin", "b.bin", "c.bin")
CONTENT = {name: name.encode() * 200 for name in NAMES}  # two blocks each


def tar_of(content: dict[str, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    written = BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=format) as tar:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, BytesIO(data))
    return written.getvalue()


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    return tmp_path / "x.tar"


def names_in(tar: Path) -> list[str]:
    return [entry.name for entry in list_tar(str(tar)).entries]


def test_entries_say_where_the_bytes_of_each_file_are(tar):
    tar.write_bytes(tar_of(CONTENT))
    listed = list_tar(str(tar))
    written = tar.read_bytes()
    found = {entry.name: written[entry.offset : entry.offset + entry.size] for entry in listed.entries}
    assert found == CONTENT and listed.problems == []


@pytest.mark.parametrize(
    ("cut", "whole", "reason"),
    [
        (512 + 1024 + 512 + 900, 1, "unexpected end of data"),  # within b.bin
        (512 + 1024 + 512, 1, "unexpected end of data"),  # after the header of b.bin
        (2 * (512 + 1024), 2, "it has no end"),  # after b.bin
        (2 * (512 + 1024) + 100, 2, "a header in it is none"),  # within the header of c.bin
    ],
)
def test_a_tar_that_is_cut_short_lists_what_is_whole_and_says_what_is_not(tar, cut, whole, reason):
    tar.write_bytes(tar_of(CONTENT)[:cut])
    listed = list_tar(str(tar))
    assert [entry.name for entry in listed.entries] == list(NAMES[:whole])
    (problem,) = listed.problems
    assert problem.startswith(f"{tar}: is damaged after {NAMES[whole - 1]} ({reason}); get the whole tar")


def test_a_tar_that_is_cut_within_its_first_file_lists_nothing_and_says_so(tar):
    tar.write_bytes(tar_of(CONTENT)[:1000])
    listed = list_tar(str(tar))
    assert listed.entries == [] and "is damaged after its start" in listed.problems[0]


def test_a_byte_that_is_wrong_in_a_header_ends_the_list(tar):
    damaged = bytearray(tar_of(CONTENT))
    damaged[2 * (512 + 1024) + 3] ^= 1  # of the name of c.bin
    tar.write_bytes(damaged)
    listed = list_tar(str(tar))
    assert [entry.name for entry in listed.entries] == ["a.bin", "b.bin"]
    assert listed.problems[0].startswith(f"{tar}: is damaged after b.bin (a header in it is none)")


def test_a_header_with_numbers_that_are_none_ends_the_list(tar):
    damaged = tar_of({"a.bin": b"a", "é.bin": b"accent"})
    tar.write_bytes(damaged.replace(b" path=", b" GNU.sparse.size=")[: len(damaged)])
    listed = list_tar(str(tar))
    assert [entry.name for entry in listed.entries] == ["a.bin"]
    assert listed.problems[0].startswith(f"{tar}: is damaged after a.bin (")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is no tar (empty file)"),
        (b"\x89PNG\r\n\x1a\n" + bytes(2000), "is no tar ("),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "is no tar ("),
        (
            gzip.compress(tar_of(CONTENT), mtime=0),
            "is compressed, and a plain tar was wanted; unpack it by gunzip",
        ),
    ],
)
def test_what_is_no_tar_is_refused_with_the_reason(tar, content, reason):
    tar.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        list_tar(str(tar))
    assert str(caught.value).startswith(f"{tar}: {reason}")


def test_folders_and_hidden_files_are_left_out(tar):
    tar.write_bytes(tar_of({"._a.bin": b"Mac", ".DS_Store": b"Mac", "b/._c.bin": b"Mac", "b/c.bin": b"c"}))
    with tarfile.open(tar, "a") as added:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        added.addfile(folder)
    listed = list_tar(str(tar))
    assert [entry.name for entry in listed.entries] == ["b/c.bin"] and listed.problems == []


def test_links_and_sparse_files_are_named_and_not_read(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"a")
    os.link(tmp_path / "a.bin", tmp_path / "hard.bin")
    os.symlink("a.bin", tmp_path / "soft.bin")
    with (tmp_path / "sparse.bin").open("wb") as file:
        file.seek(2**20)
        file.write(b"end")
    files = ["a.bin", "hard.bin", "soft.bin", "sparse.bin"]
    subprocess.run(["tar", "-cSf", "x.tar", *files], cwd=tmp_path, check=True)
    listed = list_tar(str(tmp_path / "x.tar"))
    assert [entry.name for entry in listed.entries] == ["a.bin"]
    (problem,) = listed.problems
    assert "x.tar: hard.bin and 2 others in it: links and sparse files are not read" in problem


def test_of_files_of_one_name_the_last_counts_and_that_is_said(tar):
    tar.write_bytes(tar_of(CONTENT))
    with tarfile.open(tar, "a") as added:
        info = tarfile.TarInfo("a.bin")
        info.size = 3
        added.addfile(info, BytesIO(b"new"))
    assert names_in(tar) == ["b.bin", "c.bin", "a.bin"]
    assert list_tar(str(tar)).problems == [
        f"{tar}: has a.bin more than once, of which the last counts; keep one"
    ]
    assert read_member(f"{tar}::a.bin") == b"new"


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_names_may_be_long_and_in_any_encoding(tar, format):
    content = {f"{'d' * 120}/{'n' * 150}.bin": b"long", "é" * 90: b"accents", "caf\udce9.bin": b"latin"}
    tar.write_bytes(tar_of(content, format))
    assert names_in(tar) == list(content)
    assert {name: read_member(f"{tar}::{name}") for name in content} == content


def test_a_tar_may_have_an_ending_in_upper_case(tmp_path):
    (tmp_path / "X.TAR").write_bytes(tar_of(CONTENT))
    assert read_member(f"{tmp_path}/X.TAR::b.bin") == CONTENT["b.bin"]


# --- any damage

LONG = {"é" * 90: b"long", "a.bin": b"a" * 600}
TARS = [tar_of(LONG, tarfile.PAX_FORMAT), tar_of(LONG, tarfile.GNU_FORMAT), tar_of(CONTENT)]
PLACES, VALUES = st.floats(0, 1, exclude_max=True), st.sampled_from(b"\x00\x80\xff-179xLSg=")


@settings(max_examples=60)
@given(st.sampled_from(TARS), st.lists(st.tuples(PLACES, VALUES), max_size=6), st.floats(0.5, 1))
def test_whatever_bytes_change_files_lie_within_the_tar_or_it_is_refused_by_name(written, changes, kept):
    content = bytearray(written)
    for place, value in changes:
        at = int(place * len(content))
        content[at] = value
        header = at - at % 512
        block = content[header : header + 512]
        block[148:156] = b" " * 8
        content[header + 148 : header + 156] = b"%06o\0 " % sum(block)  # a checksum that is right
    with TemporaryDirectory() as folder:
        tar = Path(folder, "x.tar")
        tar.write_bytes(content[: int(kept * len(content))])
        try:
            listed = list_tar(str(tar))
        except ValueError as error:
            assert str(error).startswith(f"{tar}: is ")
            return
        size = tar.stat().st_size
    assert all(0 <= entry.offset <= entry.offset + entry.size <= size for entry in listed.entries)
    assert all(problem.startswith(f"{tar}: ") for problem in listed.problems)

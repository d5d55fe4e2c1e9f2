import errno
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.data.lengths import length_cache, with_lengths
from common.data.manifest import Example, Part, read_manifest, write_manifest
from common.files.aside import written_aside
from common.files.plain_text import read_text
from common.files.source import source_file


def manifest(folder: Path, content: str | bytes) -> Path:
    path = folder / "m.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_sources_are_relative_to_the_manifest_and_lines_know_where_they_stand(tmp_path):
    path = manifest(
        tmp_path,
        b'\xef\xbb\xbf{"source": "a.png", "text": "\xc3\xa4 b", "length": 2, "speaker": "x", "more": [1]}\r\n'
        b'\n  \n{"source": "/b.npz::k"}',
    )
    assert read_manifest(path) == [
        Example(f"{tmp_path}/a.png", "ä b", 2.0, "x", f"{path}:1"),
        Example("/b.npz::k", None, None, "", f"{path}:4"),
    ]


def test_other_names_of_the_keys_can_be_given(tmp_path):
    path = manifest(
        tmp_path, '{"audio_filepath": "/a.wav", "duration": 1.5, "sentence": "hi", "speaker": 12}'
    )
    (example,) = read_manifest(path, ("source", "audio_filepath"), ("length", "duration"), "sentence")
    assert example == Example("/a.wav", "hi", 1.5, "12", f"{path}:1")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "not JSON .* at column 2.; write one JSON object a line"),
        ("[1, 2]", r"\[1, 2\] is not a JSON object"),
        ('{"text": "a"}', r'no "source" among its keys \(text\); add a file name under that key'),
        ('{"source": ""}', '"source" is ""; make it a file name'),
        ('{"source": 3}', '"source" is 3; make it a file name'),
        ('{"source": "a", "text": 3}', '"text" is 3; make it a string'),
        ('{"source": "a", "text": "\\ud800"}', r'"text" has half a character \(U\+D800\)'),
        ('{"source": "a", "length": "3"}', '"length" is "3"; make it a number, 0 or more'),
        ('{"source": "a", "length": true}', '"length" is true; make it a number'),
        ('{"source": "a", "length": -1}', '"length" is -1; make it a number, 0 or more'),
        ('{"source": "a", "length": NaN}', '"length" is NaN; make it a number'),
        ('{"source": "a", "length": 1e999}', '"length" is Infinity; make it a number'),
        ('{"source": "a", "length": 1' + "0" * 400 + "}", '"length" is 10000.*; make it a number'),
        ('{"source": "a", "speaker": {}}', '"speaker" is {}; make it a string'),
        ("[" * 100_000, "not an example|not JSON"),
        (b'{"source": "\xff"}', "byte 13 of the line is not UTF-8; convert the file to UTF-8"),
    ],
)
def test_a_line_that_is_no_example_is_an_error_with_its_number(tmp_path, line, sentence):
    good = b'{"source": "a"}\n\n'
    path = manifest(tmp_path, good + (line if isinstance(line, bytes) else line.encode()))
    with pytest.raises(ValueError, match=f"^{path}:3: .*{sentence}"):
        read_manifest(path)


def test_places_are_lists_or_objects_as_align_writes_them(tmp_path):
    path = manifest(
        tmp_path,
        '{"source": "/a", "words": [["ab", 0, 1.5], ["c", 2, 3, 0.9]], "characters": []}\n'
        '{"source": "/a", "words": [{"text": "ab", "start": 0, "end": 1.5, "confidence": 1}],'
        ' "characters": [{"text": "a", "end": 1, "start": 0.5}]}\n{"source": "/a", "words": null}',
    )
    words = (Part("ab", 0, 1.5), Part("c", 2, 3))
    found = [(example.words, example.characters) for example in read_manifest(path)]
    assert found == [(words, ()), (words[:1], (Part("a", 0.5, 1),)), ((), ())]


@pytest.mark.parametrize("key", ["words", "characters"])
@pytest.mark.parametrize(
    "written",
    [
        *("7", '"abc"', '["abc"]', "[3]", '[["a", 0]]', '[["a", "0", 1]]', "[[1, 0, 1]]", '[["a", -1, 1]]'),
        *('[["a", 2, 1]]', '[["a", 0, NaN]]', '[["\\ud800", 0, 1]]', '[{"text": "a", "start": 0}]', "[null]"),
    ],
)
def test_places_that_are_none_are_an_error(tmp_path, key, written):
    path = manifest(tmp_path, f'{{"source": "/a", "{key}": {written}}}')
    with pytest.raises(
        ValueError, match=rf'^{path}:1: "{key}" is .*; make it a list of \[text, start, end\]'
    ):
        read_manifest(path)


@pytest.mark.parametrize("content", ["", "\n \n", "\ufeff"])
def test_a_manifest_without_examples_is_an_error(tmp_path, content):
    with pytest.raises(ValueError, match=r"m.jsonl: no examples in it; write one JSON object a line"):
        read_manifest(manifest(tmp_path, content))


def test_a_manifest_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"none.jsonl: cannot be read \(No such file or directory\)"):
        read_manifest(tmp_path / "none.jsonl")
    with pytest.raises(ValueError, match=r"cannot be read \(Is a directory\)"):
        read_manifest(tmp_path)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
PARTS = st.lists(
    st.builds(lambda text, places: Part(text, *sorted(places)), TEXTS, st.tuples(*[st.floats(0, 1e6)] * 2)),
    max_size=3,
).map(tuple)


# no deadline: the disk may be slow
@settings(deadline=None)
@given(
    st.lists(
        st.builds(
            Example,
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).map(
                lambda name: f"/folder/{name}"
            ),
            st.none() | st.text(st.characters(exclude_categories=["Cs"])),
            st.none() | st.floats(0, 1e300),
            st.text(st.characters(exclude_categories=["Cs"])),
            st.just(""),
            PARTS,
            PARTS,
        ),
        min_size=1,
    )
)
def test_what_was_written_is_read_back(tmp_path_factory, examples):
    path = tmp_path_factory.mktemp("manifest") / "m.jsonl"
    write_manifest(path, examples)
    read = read_manifest(path)
    assert [replace(example, origin="") for example in read] == examples


def test_a_folder_with_its_manifest_can_be_moved_and_other_sources_stay_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data/lines").mkdir(parents=True)
    sources = ["data/lines/a.png", f"{tmp_path}/data/b.png", "elsewhere/c.png", "data/../data/d.tif[2]"]
    write_manifest("data/m.jsonl", [Example(source, "x") for source in sources])
    written = [json.loads(line)["source"] for line in Path("data/m.jsonl").read_text().splitlines()]
    assert written[:3] == ["lines/a.png", "b.png", f"{tmp_path}/elsewhere/c.png"]
    read = [example.source for example in read_manifest("data/m.jsonl")]
    assert [os.path.abspath(source) for source in read] == [os.path.abspath(source) for source in sources]


def test_a_file_name_that_is_not_utf8_survives(tmp_path):
    name = os.fsdecode(b"/data/caf\xe9.png")
    write_manifest(tmp_path / "m.jsonl", [Example(name, "é")])
    (example,) = read_manifest(tmp_path / "m.jsonl")
    assert os.fsencode(example.source) == b"/data/caf\xe9.png"
    assert example.text == "é"


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
    assert read_text(tmp_path / "a.gt.txt") == text


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
        read_text(tmp_path / "a.gt.txt")


def test_a_text_file_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"a.gt.txt: cannot be read \(No such file or directory\)"):
        read_text(tmp_path / "a.gt.txt")


class Ruler:
    """Measures a file by its size, and remembers which it was asked for."""

    def __init__(self):
        self.asked = []

    def __call__(self, source):
        self.asked.append(Path(source).name)
        size = Path(source_file(source)).stat().st_size
        if size == 13:
            raise ValueError(f"{source}: is unlucky; make it longer")
        return size / 2


def files(folder: Path, sizes: dict[str, int]) -> list[Example]:
    for name, size in sizes.items():
        (folder / name).write_bytes(bytes(size))
    return [Example(str(folder / name), "t", origin=f"m:{line}") for line, name in enumerate(sizes, 1)]


def test_lengths_are_measured_once_and_again_only_when_the_file_changes(tmp_path):
    examples = files(tmp_path, {"a": 10, "b": 20})
    cache = tmp_path / "kept" / "lengths.jsonl"
    first, second, third = Ruler(), Ruler(), Ruler()
    measured, problems = with_lengths(examples, first, cache)
    assert [example.length for example in measured] == [5.0, 10.0]
    assert (first.asked, problems) == (["a", "b"], [])
    assert with_lengths(examples, second, cache)[0] == measured
    assert second.asked == []
    (tmp_path / "b").write_bytes(bytes(22))
    assert [example.length for example in with_lengths(examples, third, cache)[0]] == [5.0, 11.0]
    assert third.asked == ["b"]


def test_a_broken_entry_of_the_cache_is_measured_anew(tmp_path):
    examples = files(tmp_path, {"a": 10, "b": 20, "c": 30})
    cache = tmp_path / "lengths.jsonl"
    with_lengths(examples, Ruler(), cache)
    a, b, c, _ = cache.read_text().split("\n")
    c = c.replace('"length": 15.0', '"length": "15.0"')
    cache.write_bytes(f"{a}\n{b[:-20]}\n{c}\n[]\n7\n".encode() + b"\xff\xfe\n")
    ruler = Ruler()
    assert [example.length for example in with_lengths(examples, ruler, cache)[0]] == [5.0, 10.0, 15.0]
    assert ruler.asked == ["b", "c"]


def test_examples_that_cannot_be_measured_are_named_and_left_out(tmp_path):
    examples = [*files(tmp_path, {"a": 10, "bad": 13}), Example(f"{tmp_path}/gone", "t", origin="m:3")]
    measured, problems = with_lengths(examples, Ruler(), None)
    assert [example.source for example in measured] == [f"{tmp_path}/a"]
    assert problems == [
        f"m:2: {tmp_path}/bad: is unlucky; make it longer",
        f"m:3: {tmp_path}/gone: cannot be read (No such file or directory); restore it or drop the example",
    ]


def test_known_lengths_are_kept_without_a_look_at_the_file(tmp_path):
    examples = [Example("nowhere.wav", "t", 3.0)]
    ruler = Ruler()
    assert with_lengths(examples, ruler, tmp_path / "cache") == (examples, [])
    assert ruler.asked == []
    assert not (tmp_path / "cache").exists()


def test_parts_of_one_file_are_measured_each(tmp_path):
    files(tmp_path, {"a.tif": 10})
    ruler = Ruler()
    parts = [Example(f"{tmp_path}/a.tif[{page}]", "t") for page in range(2)]
    measured, _ = with_lengths(parts, ruler, None)
    assert [example.length for example in measured] == [5.0, 5.0]
    assert ruler.asked == ["a.tif[0]", "a.tif[1]"]


def test_a_cache_that_cannot_be_written_costs_a_warning_and_nothing_else(tmp_path, caplog):
    (tmp_path / "file").touch()
    measured, problems = with_lengths(files(tmp_path, {"a": 10}), Ruler(), tmp_path / "file" / "cache.jsonl")
    assert ([example.length for example in measured], problems) == ([5.0], [])
    assert "lengths are not kept" in caplog.text


def test_the_cache_is_one_file_for_each_corpus_in_the_users_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert length_cache("data") == length_cache(tmp_path / "other" / ".." / "data")
    assert length_cache("data") != length_cache("data2")
    assert length_cache("data").parent == tmp_path / "amanuensis"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert length_cache("data").parent == Path.home() / ".cache" / "amanuensis"


def test_the_file_of_a_source_is_without_its_part_unless_it_is_called_so(tmp_path):
    assert source_file("a/scan.tif[2]") == "a/scan.tif"
    assert source_file("talk.wav[12.5,15.75]") == "talk.wav"
    assert source_file("lines.npz::page/1[2]") == "lines.npz"
    assert source_file("a[1]/line.png") == "a[1]/line.png"
    (tmp_path / "scan[2]").touch()
    assert source_file(f"{tmp_path}/scan[2]") == f"{tmp_path}/scan[2]"


class FullDisk(io.FileIO):
    def write(self, data):
        super().write(data[:3])
        raise OSError(errno.ENOSPC, "No space left on device")


def open_on_full_disk(path: Path, mode: str) -> FullDisk:
    return FullDisk(path, mode)


def test_a_full_disk_leaves_the_old_file_and_no_half_one(tmp_path, monkeypatch):
    path = tmp_path / "m.jsonl"
    write_manifest(path, [Example("/old", "old")])
    before = path.read_bytes()
    monkeypatch.setattr(Path, "open", open_on_full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_manifest(path, [Example("/new", "new")])
    assert path.read_bytes() == before
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
    with pytest.raises(IsADirectoryError, match="is a folder, a file was to be written; name a file in it"):
        write_manifest(tmp_path, [Example("/a", "a")])

from dataclasses import replace
from pathlib import Path

from common.data.lengths import length_cache, with_lengths
from common.data.manifest import Example
from common.files.source import source_file


class Ruler:
    """Measures files by their size, and records the names of those that it measured."""

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


def test_an_example_with_a_broken_cache_entry_is_measured_again(tmp_path):
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


def test_a_stated_length_is_kept_if_the_file_has_it_and_refused_otherwise(tmp_path):
    first, second = files(tmp_path, {"a": 10, "b": 20})
    stated = [replace(first, length=5.4), replace(second, length=1.4)]
    measured, problems = with_lengths(stated, Ruler(), tmp_path / "cache")
    assert measured == stated[:1]
    assert problems == [
        f"m:2: {tmp_path}/b: its length is stated as 1.4 and is 10.00; correct it or leave it out"
    ]
    ruler = Ruler()
    assert with_lengths(stated, ruler, tmp_path / "cache") == (measured, problems)
    assert ruler.asked == []


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

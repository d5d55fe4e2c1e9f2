import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.data.manifest import Example, Part, read_manifest, write_manifest


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
    assert read_manifest(path) == (
        [
            Example(f"{tmp_path}/a.png", "ä b", 2.0, "x", f"{path}:1"),
            Example("/b.npz::k", None, None, "", f"{path}:4"),
        ],
        [],
    )


def test_other_names_of_the_keys_can_be_given(tmp_path):
    path = manifest(
        tmp_path, '{"audio_filepath": "/a.wav", "duration": 1.5, "sentence": "hi", "speaker": 12}'
    )
    (example,) = read_manifest(
        path, ("source", "audio_filepath"), ("length", "duration"), "sentence"
    ).examples
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
def test_a_line_that_is_no_example_is_a_problem_and_the_others_are_read(tmp_path, line, sentence):
    line = line if isinstance(line, bytes) else line.encode()
    path = manifest(tmp_path, b'{"source": "a"}\n\n' + line + b'\n{"source": "b"}')
    examples, (problem,) = read_manifest(path)
    assert [example.origin for example in examples] == [f"{path}:1", f"{path}:4"]
    assert re.match(f"{path}:3: .*{sentence}", problem)
    with pytest.raises(ValueError, match=sentence):
        read_manifest(manifest(tmp_path, line))


def test_an_example_can_be_adapted_by_other_fields_and_refused_with_the_number_of_its_line(tmp_path):
    def adapt(example, fields):
        if "page" not in fields:
            raise ValueError("no page; name one")
        return replace(example, source=f"{example.source}[{fields['page']}]")

    path = manifest(tmp_path, '{"source": "/a", "page": 3}\r\r\n{"source": "/b"}\r\r\n')
    examples, problems = read_manifest(path, adapt=adapt)
    assert [(example.source, example.origin) for example in examples] == [("/a[3]", f"{path}:1")]
    assert problems == [f"{path}:2: no page; name one"]


def test_places_are_lists_or_objects_as_align_writes_them(tmp_path):
    path = manifest(
        tmp_path,
        '{"source": "/a", "words": [["ab", 0, 1.5], ["c", 2, 3, 0.9]], "characters": []}\n'
        '{"source": "/a", "words": [{"text": "ab", "start": 0, "end": 1.5, "confidence": 1}],'
        ' "characters": [{"text": "a", "end": 1, "start": 0.5}]}\n{"source": "/a", "words": null}',
    )
    words = (Part("ab", 0, 1.5), Part("c", 2, 3))
    found = [(example.words, example.characters) for example in read_manifest(path).examples]
    assert found == [(words, ()), (words[:1], (Part("a", 0.5, 1),)), ((), ())]


@pytest.mark.parametrize("key", ["words", "characters"])
@pytest.mark.parametrize(
    "written",
    [
        *("7", '"abc"', '["abc"]', "[3]", '[["a", 0]]', '[["a", "0", 1]]', "[[1, 0, 1]]", '[["a", -1, 1]]'),
        *('[["a", 2, 1]]', '[["a", 0, NaN]]', '[["\\ud800", 0, 1]]', '[{"text": "a", "start": 0}]', "[null]"),
    ],
)
def test_malformed_places_are_an_error(tmp_path, key, written):
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
@pytest.mark.slow
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
    read = read_manifest(path).examples
    assert [replace(example, origin="") for example in read] == examples


def test_a_folder_with_its_manifest_can_be_moved_and_other_sources_stay_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data/lines").mkdir(parents=True)
    sources = ["data/lines/a.png", f"{tmp_path}/data/b.png", "elsewhere/c.png", "data/../data/d.tif[2]"]
    write_manifest("data/m.jsonl", [Example(source, "x") for source in sources])
    written = [json.loads(line)["source"] for line in Path("data/m.jsonl").read_text().splitlines()]
    assert written[:3] == ["lines/a.png", "b.png", f"{tmp_path}/elsewhere/c.png"]
    read = [example.source for example in read_manifest("data/m.jsonl").examples]
    assert [os.path.abspath(source) for source in read] == [os.path.abspath(source) for source in sources]


def test_a_file_name_that_is_not_utf8_survives(tmp_path):
    name = os.fsdecode(b"/data/caf\xe9.png")
    write_manifest(tmp_path / "m.jsonl", [Example(name, "é")])
    (example,) = read_manifest(tmp_path / "m.jsonl").examples
    assert os.fsencode(example.source) == b"/data/caf\xe9.png"
    assert example.text == "é"

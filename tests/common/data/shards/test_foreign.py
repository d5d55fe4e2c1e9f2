"""Tars as other programs write them, drawn by tarfile; tests/test_exchange.py lets them write some."""

import gzip
import json
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from common.data.manifest import Example
from common.data.shards.foreign import Kind, scan_tar
from common.data.shards.naming import tars_of
from common.data.shards.reading import read_tars
from common.data.shards.shar import cuts_beside
from common.data.shards.writing import write_tars
from common.files.tars.member import read_member


def measure(stream) -> float:
    """A signal of a test is the word "signal" and as many bytes as it is long."""
    content = stream.read()
    if not content.startswith(b"signal"):
        raise ValueError(f"{stream.name}: is no signal; make one")
    return float(len(content) - len(b"signal"))


KIND = Kind("line", frozenset({".png", ".webp"}), measure)
SIGNAL = b"signal" + b"." * 4


def write_tar(path: Path, members: dict[str, bytes]) -> str:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, BytesIO(content))
    return str(path)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def texts(examples: list[Example]) -> dict[str, str | None]:
    """Return the text of each file in a tar."""
    return {example.source.split("::", 1)[1]: example.text for example in examples}


def test_the_text_of_a_sample_is_that_of_its_json_or_the_line_of_its_txt(tmp_path):
    members = {
        "a.png": SIGNAL,
        "a.json": b'{"text": "of json", "speaker": 12, "length": 4, "__url__": "x"}',
        "a.txt": b"of txt",
        "book/page.1/b.webp": SIGNAL,
        "book/page.1/b.gt.txt": b"of txt\n",
        "book/page.1/b.cls": b"3",
        "c.PNG": SIGNAL,
        "c.JSON": b'{"sentence": "of c"}',
    }
    corpus = scan_tar(write_tar(tmp_path / "x.tar", members), KIND)
    assert texts(corpus.examples) == {"a.png": "of json", "book/page.1/b.webp": "of txt", "c.PNG": "of c"}
    assert [example.speaker for example in corpus.examples] == ["12", "", ""]
    assert [example.length for example in corpus.examples] == [4, 4, 4] and corpus.problems == []


@pytest.mark.parametrize(
    ("beside", "sentence"),
    [
        ({}, 'bad: has no text; put a "text" into its .json, or a .txt beside it'),
        ({"bad.json": b'{"label": 3}'}, "bad: has no text"),
        ({"bad.json": b"[1]"}, "bad.json: is no JSON object; correct it"),
        ({"bad.json": b'{"text": "half \\ud800"}'}, 'bad: "text" has half a character (U+D800)'),
        ({"bad.json": b'{"text": "two\\nlines"}'}, "bad: has 2 lines of text, one was wanted; split it"),
        ({"bad.json": b'{"text": "x", "length": 9}'}, "bad: its length is stated as 9 and is 4.00"),
        ({"bad.txt": b"two\nlines"}, "bad.txt: has 2 lines of text, one was wanted"),
        ({"bad.txt": b"\xff"}, "bad.txt: byte 0xff at offset 0 is not UTF-8"),
        ({"bad.seg.png": SIGNAL}, "bad: holds bad.png, bad.seg.png; one file for each line was wanted"),
    ],
)
def test_a_sample_that_cannot_be_used_is_named_and_the_others_are_used(tmp_path, beside, sentence):
    members = {"bad.png": SIGNAL, **beside, "good.png": SIGNAL, "good.txt": b"good"}
    tar = write_tar(tmp_path / "x.tar", members)
    corpus = scan_tar(tar, KIND)
    assert texts(corpus.examples) == {"good.png": "good"}
    (problem,) = corpus.problems
    assert problem.startswith(f"{tar}::{sentence}")


def test_a_signal_that_is_none_and_a_sample_without_one_are_named(tmp_path):
    members = {"a.png": b"text", "a.txt": b"a", "README": b"hello", "b.png": SIGNAL, "b.txt": b"b"}
    tar = write_tar(tmp_path / "x.tar", members)
    corpus = scan_tar(tar, KIND)
    assert texts(corpus.examples) == {"b.png": "b"}
    assert corpus.problems == [
        f"{tar}::a.png: is no signal; make one",
        f"{tar}::README: holds README; one file for each line was wanted",
    ]


def test_what_webdataset_keeps_for_itself_and_hidden_files_are_no_samples(tmp_path):
    members = {
        "__index__.json": b"{}",
        "__more__/a.png": SIGNAL,
        "._a.png": b"Mac",
        "a.png": SIGNAL,
        "a.txt": b"a",
    }
    corpus = scan_tar(write_tar(tmp_path / "x.tar", members), KIND)
    assert texts(corpus.examples) == {"a.png": "a"} and corpus.problems == []


def test_a_text_that_is_cut_with_its_tar_is_not_used(tmp_path):
    tar = tmp_path / "x.tar"
    members = {"a.png": SIGNAL, "a.txt": b"a", "b.png": SIGNAL, "b.txt": b"a whole line"}
    write_tar(tar, members)
    tar.write_bytes(tar.read_bytes()[: 7 * 512 + 3])  # 3 bytes of "a whole line"
    corpus = scan_tar(str(tar), KIND)
    assert texts(corpus.examples) == {"a.png": "a"}
    assert [problem.split("::")[-1].split(":")[0] for problem in corpus.problems[1:]] == ["b"]


# --- lhotse


def write_shar(folder: Path, cuts: list[dict], members: dict[str, bytes]) -> str:
    with gzip.open(folder / "cuts.000000.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(cut) + "\n" for cut in cuts)
    return write_tar(folder / "recording.000000.tar", members)


CUTS = [
    {
        "id": "utt.1",
        "duration": 4,
        "supervisions": [
            {"start": 2.5, "text": "second", "speaker": "B"},
            {"start": 0, "text": "first", "speaker": "A"},
            {"start": 1, "speaker": "C"},
        ],
    },
    {"id": "utt.2", "duration": 4, "supervisions": [{"start": 0, "text": "alone"}]},
    {"id": "utt.3", "duration": 4},
    {"id": "utt.4", "duration": 4, "supervisions": [{"start": 0, "text": "lost"}]},
]
SHAR = {
    "utt.1.png": SIGNAL,
    "utt.1.json": b'{"id": "utt.1", "sources": []}',
    "./utt.2.png": SIGNAL,
    "./utt.2.json": b"{}",
    "utt.3.png": SIGNAL,
    "utt.4.nodata": b"",
    "utt.4.nometa": b"",
    "utt.5.png": SIGNAL,
}


def test_texts_of_lhotse_are_joined_in_the_order_in_which_they_are_said(tmp_path):
    tar = write_shar(tmp_path, CUTS, SHAR)
    corpus = scan_tar(tar, KIND)
    assert texts(corpus.examples) == {"utt.1.png": "first second", "./utt.2.png": "alone"}
    assert corpus.examples[0].speaker == "A"
    cuts = tmp_path / "cuts.000000.jsonl.gz"
    assert corpus.problems == [
        f"{tar}::utt.3: has no text in {cuts}; write what is said",
        f"{tar}::utt.4: holds utt.4.nodata, utt.4.nometa; one file for each line was wanted",
        f"{tar}::utt.5: has no line in {cuts}; write what is said",
    ]


def test_texts_of_lhotse_may_be_unpacked(tmp_path):
    tar = write_shar(tmp_path, CUTS, SHAR)
    packed = tmp_path / "cuts.000000.jsonl.gz"
    (tmp_path / "cuts.000000.jsonl").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    assert len(scan_tar(tar, KIND).examples) == 2


def test_texts_of_lhotse_that_are_corrected_are_read_anew(tmp_path):
    tar = write_shar(tmp_path, CUTS, SHAR)
    assert texts(read_tars([tar], KIND).examples)["./utt.2.png"] == "alone"
    corrected = [*CUTS[:1], {"id": "utt.2", "duration": 4, "supervisions": [{"text": "corrected"}]}]
    write_shar(tmp_path, corrected, SHAR)
    assert texts(read_tars([tar], KIND).examples)["./utt.2.png"] == "corrected"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (gzip.compress(b'{"id": "utt.1"}' * 99, mtime=0)[:-20], "cannot be read ("),
        (b'{"id": "utt.1"}\n[1]\n', "2: is no JSON object; correct it"),
        (b'{"id": "utt.1", "supervisions": [1]}\n', "is not what lhotse writes ("),
    ],
)
def test_texts_of_lhotse_that_cannot_be_read_cost_their_tar(tmp_path, content, sentence):
    tar = write_shar(tmp_path, CUTS, SHAR)
    (tmp_path / "cuts.000000.jsonl.gz").write_bytes(content)
    with pytest.raises(ValueError) as caught:
        scan_tar(tar, KIND)
    assert str(caught.value).startswith(f"{tmp_path}/cuts.000000.jsonl.gz:") and sentence in str(caught.value)


def test_a_folder_of_lhotse_stands_for_its_recordings(tmp_path):
    write_shar(tmp_path, CUTS, SHAR)
    write_tar(tmp_path / "features.000000.tar", {"utt.1.llc": b"features"})
    assert tars_of(str(tmp_path)) == [f"{tmp_path}/recording.000000.tar"]


def test_cuts_beside_other_tars_do_not_hide_them(tmp_path):
    write_tar(tmp_path / "000.tar", {"a.png": SIGNAL, "a.txt": b"a"})
    (tmp_path / "cuts.jsonl.gz").write_bytes(b"")
    assert texts(read_tars(tars_of(str(tmp_path)), KIND).examples) == {"a.png": "a"}


@pytest.mark.parametrize(
    ("tar", "cuts"),
    [
        ("recording.000012.tar", "cuts.000012.jsonl.gz"),
        ("target.000012.tar", "cuts.000012.jsonl.gz"),
        ("recording.dev.tar", "cuts.dev.jsonl.gz"),
        ("recording.tar", "cuts.jsonl"),
        ("000.tar", ""),
        ("speech.dev.tar", ""),
    ],
)
def test_the_cuts_of_a_tar_have_its_number(tmp_path, tar, cuts):
    for name in ("cuts.000012.jsonl.gz", "cuts.dev.jsonl.gz", "cuts.dev.jsonl", "cuts.jsonl"):
        (tmp_path / name).touch()
    assert cuts_beside(f"{tmp_path}/{tar}") == (f"{tmp_path}/{cuts}" if cuts else "")


# --- several tars


def test_a_tar_that_is_missing_or_damaged_costs_its_own_examples_only(tmp_path):
    write_tar(tmp_path / "0.tar", {"a.png": SIGNAL, "a.txt": b"a"})
    (tmp_path / "2.tar").write_bytes(b"")
    corpus = read_tars(tars_of(f"{tmp_path}/{{0..2}}.tar"), KIND)
    assert texts(corpus.examples) == {"a.png": "a"}
    assert corpus.problems == [
        f"{tmp_path}/1.tar: cannot be read (No such file or directory); restore it or do not name it",
        f"{tmp_path}/2.tar: is no tar (empty file); name another file",
    ]


@pytest.mark.parametrize("name", ["x.tar.gz", "x.tgz", "x.TAR.ZST"])
def test_tars_that_are_compressed_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"is compressed, and a plain tar was wanted; unpack it"):
        tars_of(str(tmp_path / name))


def test_a_manifest_beside_a_tar_that_does_not_say_where_files_are_is_named_once(tmp_path):
    write_tar(tmp_path / "0.tar", {"a.png": SIGNAL, "a.txt": b"a"})
    write_tar(tmp_path / "1.tar", {"b.png": SIGNAL, "b.txt": b"b"})
    rows = [{"source": f"1.tar::{name}.png", "text": "b", "length": 4} for name in "bcd"]
    (tmp_path / "1.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = read_tars(tars_of(str(tmp_path)), KIND)
    assert texts(corpus.examples) == {"a.png": "a"}
    (problem,) = corpus.problems
    assert problem.startswith(f'{tmp_path}/1.jsonl: has no "span" or no "length" in 3 of its 3 rows')
    assert problem.endswith(f"remove it to have {tmp_path}/1.tar read through")


def test_the_index_of_another_tar_gives_no_bytes_of_this_one(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(SIGNAL + name.encode())
    files = [Example(f"{tmp_path}/{name}.png", name) for name in "ab"]
    first, second = write_tars(files, tmp_path, 1, None, measure).tars
    second.with_suffix(".jsonl").replace(first.with_suffix(".jsonl"))
    (example,) = read_tars([str(first)], KIND).examples
    with pytest.raises(ValueError) as caught:
        read_member(example.source)
    assert str(caught.value).startswith(f"{first}::00000001.png: is not what was written there: {first} is")

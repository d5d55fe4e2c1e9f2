"""A damaged tar costs its own examples only, and each is named; what a tar holds is found out once."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.data.lengths import with_lengths
from common.data.manifest import Example, read_manifest, write_manifest
from common.data.shards import reading
from common.data.shards.foreign import Kind
from common.data.shards.reading import read_tars
from common.data.shards.writing import write_tars
from common.data.store import SignalStore
from common.files.source import absolute, part_of, source_file, stamp, stem, stored
from common.files.tars.member import Member, is_member, read_member, tar_of
from ocr.modality import OCR
from ocr.signal import SignalConfig

KIND = Kind("line", OCR.suffixes, OCR.measure)


@pytest.fixture
def tars(tmp_path: Path) -> list[str]:
    """Two tars of four and two lines."""
    rng, examples = np.random.default_rng(0), []
    for number in range(6):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (16, 60), dtype=np.uint8)).save(path)
        examples.append(Example(str(path), f"text {number}"))
    folder = tmp_path / "tars"
    folder.mkdir()
    made = write_tars(examples, folder, 10000, OCR.pack, OCR.measure).tars
    assert [Path(tar).with_suffix(".jsonl").read_bytes().count(b"\n") for tar in made] == [4, 2]
    return [str(tar) for tar in made]


def texts(examples: list[Example]) -> list[str | None]:
    return [example.text for example in examples]


def test_an_index_is_enough_to_know_the_lengths_so_that_no_tar_is_opened(
    tars: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: object) -> None:
        raise AssertionError("a tar was opened")

    monkeypatch.setattr(reading, "scan_tar", opened)
    found, problems = read_tars(tars, KIND)
    assert texts(found) == [f"text {number}" for number in range(6)] and not problems
    measured, unmeasured = with_lengths(found, opened, None)  # type: ignore[arg-type]
    assert measured == found and not unmeasured


def test_without_its_index_a_tar_is_read_through_once(
    tars: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    indexed = read_tars(tars, KIND).examples
    for tar in tars:
        Path(tar).with_suffix(".jsonl").unlink()
    first = read_tars(tars, KIND)
    assert [(one.source, one.text, one.length) for one in first.examples] == [
        (one.source, one.text, one.length) for one in indexed
    ]
    calls = []
    scan = reading.scan_tar
    monkeypatch.setattr(reading, "scan_tar", lambda *words: calls.append(words) or scan(*words))
    again = read_tars(tars, KIND).examples
    assert [stamp(one.source) for one in again] == [stamp(one.source) for one in indexed]
    assert not calls
    Path(tars[0]).write_bytes(Path(tars[0]).read_bytes() + bytes(512))  # another size
    assert texts(read_tars(tars, KIND).examples) == texts(indexed)
    assert [words[0] for words in calls] == [tars[0]]


def test_what_is_wrong_with_a_tar_is_said_each_time(tars: list[str]) -> None:
    Path(tars[0]).with_suffix(".jsonl").unlink()
    content = Path(tars[0]).read_bytes()
    Path(tars[0]).write_bytes(content.replace(b'{"text": "text 1"', b'{"name": "text 1"'))
    for _ in range(2):
        found, problems = read_tars(tars, KIND)
        assert texts(found) == [f"text {number}" for number in (0, 2, 3, 4, 5)]
        assert len(problems) == 1 and f"{tars[0]}::00000001: has no text" in problems[0]


def test_a_tar_that_is_missing_or_cut_costs_its_own_examples_only(tars: list[str]) -> None:
    content = Path(tars[0]).read_bytes()
    third = read_tars(tars, KIND).examples[2].source
    assert isinstance(third, Member)
    Path(tars[0]).write_bytes(content[: third.offset + 10])
    found, problems = read_tars([tars[0], f"{tars[0]}x.tar", tars[1]], KIND)
    assert texts(found) == ["text 0", "text 1", "text 4", "text 5"]
    assert f"{tars[0]}: is cut short, which loses 2 of its 4 examples" in problems[0]
    assert f"{tars[0]}x.tar: cannot be read (No such file or directory)" in problems[1]
    with pytest.raises(ValueError, match=r"a\.tar and 1 more: holds no usable line; the first of 2 problems"):
        read_tars(["a.tar", "b.tar"], KIND)


def test_bytes_that_changed_are_refused_under_their_name(tars: list[str]) -> None:
    example = read_tars(tars, KIND).examples[1]
    content = bytearray(Path(tars[0]).read_bytes())
    assert isinstance(example.source, Member)
    content[example.source.offset + 20] ^= 1
    Path(tars[0]).write_bytes(content)
    with pytest.raises(
        ValueError, match=rf"{example.source}: is not what was written there: {tars[0]} is damaged"
    ):
        OCR.read(example.source, SignalConfig())
    assert OCR.read(read_tars(tars, KIND).examples[2].source, SignalConfig()).values.size


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"span": None}, 'has no "span" or no "length"'),
        ({"length": None}, 'has no "span" or no "length"'),
        ({"span": [5]}, r'"span" is \[5\]; make it \[first byte, number of bytes\]'),
        ({"span": [-1, 5]}, r'"span" is \[-1, 5\]'),
        ({"blake2b": "0"}, '"blake2b" is "0"; make it 32 hexadecimal digits'),
    ],
)
def test_a_row_of_an_index_that_cannot_be_used_is_said(change: dict, said: str, tars: list[str]) -> None:
    index = Path(tars[0]).with_suffix(".jsonl")
    rows = [json.loads(line) for line in index.read_text(encoding="utf-8").splitlines()]
    rows[1] = {name: value for name, value in {**rows[1], **change}.items() if value is not None}
    index.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found, problems = read_tars(tars, KIND)
    assert texts(found) == [f"text {number}" for number in (0, 2, 3, 4, 5)]
    with pytest.raises(ValueError, match=said):
        raise ValueError(problems[0])


# --- files in tars as sources


def test_a_file_in_a_tar_is_a_source_with_and_without_knowing_where_it_is(tars: list[str]) -> None:
    for example in read_tars(tars, KIND).examples:
        member, plain = example.source, str(example.source)
        assert isinstance(member, Member) and type(plain) is str
        assert is_member(member) and is_member(plain) and tar_of(plain) in tars
        assert read_member(member) == read_member(plain)
        assert OCR.read(plain, SignalConfig()).values.shape == OCR.read(member, SignalConfig()).values.shape
        assert source_file(member) == source_file(plain) == tar_of(member)
        assert stem(plain) == f"{Path(tar_of(plain)).stem}-{plain.split('::')[1]}"


def test_a_file_that_a_tar_has_not_is_said(tars: list[str]) -> None:
    with pytest.raises(ValueError, match=r"000\.tar has no file x\.png; name another one"):
        OCR.read(f"{tars[0]}::x.png", SignalConfig())
    with pytest.raises(ValueError, match=r"its tar cannot be read \(No such file or directory\); restore it"):
        OCR.read("none.tar::x.png", SignalConfig())


def test_a_part_of_a_file_in_a_tar_is_told_from_its_name(tars: list[str], tmp_path: Path) -> None:
    assert part_of(f"{tars[0]}::00000000.png") == ""
    assert part_of(f"{tars[0]}::a.tif[2]") == "[2]"
    assert part_of("a.wav[1,2]") == "[1,2]" and part_of("a.wav") == ""
    content = stored(f"{tars[0]}::00000000.png[0]")
    assert content is not None and content.page == 0
    assert stored(Path("a.png")) is None
    odd = tmp_path / "a.tar::b.png"
    odd.write_bytes(b"x")
    assert not is_member(str(odd))


def test_manifests_keep_where_a_file_is(tars: list[str], tmp_path: Path) -> None:
    examples = read_tars(tars, KIND).examples
    write_manifest(tmp_path / "few.jsonl", examples[1:3])
    found = read_manifest(tmp_path / "few.jsonl").examples
    assert [(one.source, stamp(one.source)) for one in found] == [
        (one.source, stamp(one.source)) for one in examples[1:3]
    ]
    assert all(isinstance(one.source, Member) for one in found)


def test_the_store_keeps_signals_of_files_in_tars_until_their_bytes_change(
    tars: list[str], tmp_path: Path
) -> None:
    store = SignalStore(tmp_path / "kept", 10**6)
    example = read_tars(tars, KIND).examples[0]
    signal = OCR.read(example.source, SignalConfig())
    place = store.keep(example.source, stamp(example.source), signal)
    assert place is not None
    kept = store.read(example.source, place)
    assert kept is not None
    np.testing.assert_array_equal(kept.values, signal.values)
    assert isinstance(example.source, Member)
    other = Member(str(example.source), example.source.offset, example.source.size, "f" * 32)
    assert store.read(other, place) is None


def test_addresses_are_absolute() -> None:
    assert absolute("s3://bucket/a.tar::x.png") == "s3://bucket/a.tar::x.png"

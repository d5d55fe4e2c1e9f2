"""Tars hold the bytes of the files, parts of files as they are read, and an index that says where."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from asr.modality import ASR
from asr.signal import SignalConfig as SoundConfig
from common.data.manifest import Example
from common.data.shards.foreign import Kind
from common.data.shards.reading import index_of, read_tars
from common.data.shards.writing import write_tars
from common.files.tars.member import Member
from ocr.modality import OCR
from ocr.signal import SignalConfig

RATE_HZ = 8000


def lines(folder: Path, count: int = 6) -> list[Example]:
    rng, examples = np.random.default_rng(0), []
    folder.mkdir()
    for number in range(count):
        path = folder / f"{number}.{'webp' if number % 2 else 'PNG'}"
        Image.fromarray(rng.integers(0, 256, (16, 60), dtype=np.uint8)).save(path)
        examples.append(Example(str(path), f"é\u2028{number}", speaker="anna" if number else ""))
    return examples


def shard(examples: list[Example], folder: Path, modality=OCR, tar_bytes: int = 10**6) -> list[Example]:
    folder.mkdir(exist_ok=True)
    written = write_tars(examples, folder, tar_bytes, modality.pack, modality.measure)
    assert not written.problems
    tars = [str(tar) for tar in written.tars]
    return read_tars(tars, Kind(modality.item, modality.suffixes, modality.measure)).examples


def test_files_are_copied_byte_by_byte_and_others_can_read_them(tmp_path: Path) -> None:
    examples = lines(tmp_path / "lines")
    found = shard(examples, tmp_path / "tars", tar_bytes=4000)
    names = []
    for tar in sorted((tmp_path / "tars").glob("*.tar")):
        with tarfile.open(tar) as opened:
            names += [member.name for member in opened]
            for member in opened:
                assert member.isreg()
                content = opened.extractfile(member).read()  # type: ignore[union-attr]
                example = examples[int(member.name[:8])]
                if member.name.endswith(".json"):
                    assert json.loads(content)["text"] == example.text
                else:
                    assert content == Path(example.source).read_bytes()
    assert names[:3] == ["00000000.png", "00000000.json", "00000001.webp"]
    assert len(list((tmp_path / "tars").glob("*.tar"))) > 1
    assert [one.text for one in found] == [one.text for one in examples]
    assert [one.speaker for one in found] == ["", *["anna"] * 5]
    for one, example in zip(found, examples, strict=True):
        assert isinstance(one.source, Member)
        tar = Path(one.source.split("::")[0]).read_bytes()
        assert tar[one.source.offset :][: one.source.size] == Path(example.source).read_bytes()
        assert one.length == OCR.measure(example.source)


def test_equal_data_makes_equal_tars(tmp_path: Path) -> None:
    examples = lines(tmp_path / "lines")
    for name in ("one", "two"):
        shard(examples, tmp_path / name)
    for name in ("000.tar", "000.jsonl"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_tars_are_written_again_from_tars(tmp_path: Path) -> None:
    first = shard(lines(tmp_path / "lines"), tmp_path / "one")
    second = shard(first[::-1], tmp_path / "two")
    assert [one.source.digest for one in second] == [one.source.digest for one in first[::-1]]  # type: ignore[attr-defined]


def test_an_example_that_is_none_is_said_and_the_others_are_written(tmp_path: Path) -> None:
    examples = lines(tmp_path / "lines")
    Path(examples[2].source).write_bytes(b"no image")
    Path(examples[3].source).unlink()
    (tmp_path / "tars").mkdir()
    written = write_tars(examples, tmp_path / "tars", 10**6, OCR.pack, OCR.measure)
    assert written.examples == 4
    assert [examples[at].source in said for at, said in zip((2, 3), written.problems, strict=True)] == [
        True
    ] * 2


SAMPLES = np.random.default_rng(1).integers(-(2**15), 2**15, (RATE_HZ, 2)).astype(np.int16)


@pytest.mark.parametrize(
    ("ending", "subtype", "wanted"),
    [
        (".wav", "PCM_16", ".flac"),
        (".wav", "PCM_24", ".flac"),
        (".wav", "PCM_U8", ".flac"),
        (".wav", "ULAW", ".flac"),
        (".wav", "FLOAT", ".wav"),
        (".wav", "PCM_32", ".wav"),
        (".flac", "PCM_16", ".flac"),
        (".ogg", "VORBIS", ".wav"),
    ],
)
@pytest.mark.parametrize("part", ["[0.25,0.75]", "[0.5,]", "[channel2]", "[0.1,0.2,channel1]"])
def test_a_part_of_a_recording_keeps_each_sample(
    ending: str, subtype: str, wanted: str, part: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a{ending}"
    soundfile.write(path, SAMPLES, RATE_HZ, subtype)
    source = f"{path}{part}"
    (found,) = shard([Example(source, "a")], tmp_path / "tars", ASR)
    assert found.source.endswith(wanted)
    config = SoundConfig(sample_rate_hz=RATE_HZ)
    np.testing.assert_array_equal(ASR.read(found.source, config).values, ASR.read(source, config).values)
    assert found.length == ASR.measure(source)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_a_page_of_an_image_is_read_alike(mode: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    grey = Image.fromarray(rng.integers(0, 256, (16, 60), dtype=np.uint8))
    pages = [grey.convert(mode) if mode != "I;16" else grey.convert("I").convert(mode) for _ in range(2)]
    path = tmp_path / "a.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    source = f"{path}[1]"
    (found,) = shard([Example(source, "a")], tmp_path / "tars")
    config = SignalConfig(height_px=16)
    np.testing.assert_array_equal(OCR.read(found.source, config).values, OCR.read(source, config).values)


PAGE = """<?xml version="1.0"?>
<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15">
<Page imageFilename="page.png" imageWidth="400" imageHeight="200">
<TextRegion id="r"><Coords points="0,0 399,0 399,199 0,199"/>
<TextLine id="l1"><Coords points="20,40 380,60 380,100 20,80"/><Baseline points="20,75 380,95"/>
<TextEquiv><Unicode>abc</Unicode></TextEquiv></TextLine></TextRegion></Page></PcGts>
"""


def test_a_line_of_a_page_is_cut_out(tmp_path: Path) -> None:
    """Its pixels are interpolated once more, so that it is nearly what is read from the page."""
    rng = np.random.default_rng(3)
    blobs = Image.fromarray(rng.integers(0, 2, (20, 40), dtype=np.uint8) * 255)
    blobs.resize((400, 200), Image.Resampling.BICUBIC).save(tmp_path / "page.png")
    (tmp_path / "page.xml").write_text(PAGE)
    source = f"{tmp_path}/page.xml::l1"
    (found,) = shard([Example(source, "abc")], tmp_path / "tars")
    config = SignalConfig(height_px=24)
    read, wanted = (OCR.read(one, config).values for one in (found.source, source))
    assert abs(len(read) - len(wanted)) <= 1
    columns = min(len(read), len(wanted))
    assert np.abs(read[:columns] - wanted[:columns]).mean() < 0.03


def test_a_tar_that_was_renamed_with_its_index_is_read(tmp_path: Path) -> None:
    shard(lines(tmp_path / "lines"), tmp_path / "tars")
    moved = tmp_path / "tars" / "train-7.tar"
    (tmp_path / "tars" / "000.tar").rename(moved)
    Path(index_of(f"{tmp_path}/tars/000.tar")).rename(index_of(str(moved)))
    found = read_tars([str(moved)], Kind("line", OCR.suffixes, OCR.measure)).examples
    assert OCR.read(found[3].source, SignalConfig()).values.size

"""Tars exchanged with webdataset and lhotse: each program reads what the other has written."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import call
from PIL import Image

from asr.modality import ASR
from common.data.manifest import Corpus
from common.data.shards.writing import write_tars
from common.recognition.modality import Modality
from ocr.modality import OCR

RATE_HZ = 16000


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def sound(number: int, format: str) -> bytes:
    """Return a quarter of a second and a little more of noise."""
    samples = np.random.default_rng(number).integers(-9999, 9999, 4000 + 16 * number, np.int16)
    content = io.BytesIO()
    soundfile.write(content, samples, RATE_HZ, "PCM_16", format=format)
    return content.getvalue()


def image(number: int, format: str) -> bytes:
    content = io.BytesIO()
    grey = np.random.default_rng(number).integers(0, 255, (24, 96 + number), np.uint8)
    Image.fromarray(grey).save(content, format)
    return content.getvalue()


def examples_in(modality: Modality, path: str) -> Corpus:
    return modality.examples(path, modality.corpus_config())


def draw_speech(count: int) -> dict[str, bytes]:
    """Write recordings with their texts, and return the content of each by its text."""
    Path("speech").mkdir()
    recordings = {f"TEXT {number}": sound(number, "FLAC") for number in range(count)}
    for number, (text, content) in enumerate(recordings.items()):
        Path("speech", f"{number}.flac").write_bytes(content)
        Path("speech", f"{number}.txt").write_text(text)
    return recordings


@pytest.mark.slow
def test_webdataset_reads_the_tars_that_are_written():
    import webdataset

    recordings = draw_speech(7)
    Path("shards").mkdir()
    written = write_tars(examples_in(ASR, "speech").examples, Path("shards"), 20_000, ASR.pack, ASR.measure)
    assert len(written.tars) > 1
    read = list(webdataset.WebDataset(f"shards/{{000..{len(written.tars) - 1:03}}}.tar", shardshuffle=False))
    fields = [json.loads(sample["json"]) for sample in read]
    assert [sample["__key__"] for sample in read] == [f"{number:08}" for number in range(7)]
    assert {one["text"]: sample["flac"] for one, sample in zip(fields, read, strict=True)} == recordings
    assert [one["length"] for one in fields] == [(4000 + 16 * number) / RATE_HZ for number in range(7)]


@pytest.mark.slow
def test_tars_of_webdataset_are_read():
    import webdataset

    samples = [
        {"__key__": "a", "flac": sound(0, "FLAC"), "json": {"text": "of json", "speaker": "S1"}},
        {"__key__": "book/1/b", "wav": sound(1, "WAV"), "txt": "of txt", "cls": 3},
        {"__key__": "c", "wav": sound(2, "WAV"), "json": {"label": 1}, "txt": "beside json"},
        {"__key__": "d", "wav": sound(3, "WAV"), "flac": sound(3, "FLAC"), "txt": "two signals"},
        {"__key__": "e", "wav": sound(4, "WAV")},
    ]
    with webdataset.ShardWriter("%03d.tar", maxcount=2, verbose=0) as writer:
        for sample in samples:
            writer.write(sample)
    corpus = examples_in(ASR, "{000..002}.tar")
    assert [(example.source, example.text, example.speaker) for example in corpus.examples] == [
        ("000.tar::a.flac", "of json", "S1"),
        ("000.tar::book/1/b.wav", "of txt", ""),
        ("001.tar::c.wav", "beside json", ""),
    ]
    assert [example.length for example in corpus.examples] == [0.25, 0.251, 0.252]
    two, none = corpus.problems
    assert two.startswith("001.tar::d: holds d.flac, d.wav;") and none.startswith("002.tar::e: has no text;")


@pytest.mark.slow
def test_images_in_tars_of_webdataset_are_read():
    import webdataset

    formats = ("png", "jpg", "webp")
    with webdataset.TarWriter("lines.tar") as writer:
        for number, ending in enumerate(formats):
            content = image(number, "JPEG" if ending == "jpg" else ending)
            writer.write({"__key__": f"line{number}", ending: content, "txt": ending})
    corpus = examples_in(OCR, "lines.tar")
    assert {example.source: example.text for example in corpus.examples} == {
        f"lines.tar::line{number}.{ending}": ending for number, ending in enumerate(formats)
    }
    assert [example.length for example in corpus.examples] == [96 / 24, 97 / 24, 98 / 24]


@pytest.mark.slow
def test_shar_of_lhotse_is_read_as_a_folder_and_as_a_pattern():
    from lhotse import CutSet, MonoCut, Recording, SupervisionSegment

    cuts = []
    for number in range(6):
        Path(f"{number}.wav").write_bytes(sound(number, "WAV"))
        recording, key = Recording.from_file(f"{number}.wav"), f"utt.{number}"
        said = [
            SupervisionSegment(f"{key}-2", key, 0.2, 0.05, text=f"second {number}", speaker="B"),
            SupervisionSegment(f"{key}-1", key, 0.0, 0.1, text=f"first {number}", speaker="A"),
        ]
        lost = number == 4
        cuts.append(MonoCut(key, 0, recording.duration, 0, said, recording=None if lost else recording))
    Path("shar").mkdir()
    CutSet.from_cuts(cuts).to_shar("shar", fields={"recording": "flac"}, shard_size=4)
    corpus = examples_in(ASR, "shar")
    assert [(example.source, example.text, example.speaker) for example in corpus.examples] == [
        (f"shar/recording.00000{number // 4}.tar::utt.{number}.flac", f"first {number} second {number}", "A")
        for number in (0, 1, 2, 3, 5)
    ]
    (problem,) = corpus.problems
    assert problem.startswith("shar/recording.000001.tar::utt.4: holds utt.4.nodata")
    assert examples_in(ASR, "shar/recording.{000000..000001}.tar").examples[0].text == "first 0 second 0"


@pytest.mark.slow
def test_lhotse_reads_in_place_the_tars_that_are_written():
    import to_lhotse
    from lhotse import CutSet

    recordings = draw_speech(5)
    assert call(ASR, "shard", "speech", "-o", "it's a folder").status == 0
    assert to_lhotse.main("it's a folder", "cuts.jsonl.gz") == 0
    cuts = list(CutSet.from_file("cuts.jsonl.gz"))
    assert sorted(cut.supervisions[0].text for cut in cuts) == sorted(recordings)
    for cut in cuts:
        wanted, _ = soundfile.read(io.BytesIO(recordings[cut.supervisions[0].text]), dtype="float32")
        assert np.array_equal(cut.load_audio(), wanted[None])


@pytest.mark.slow
def test_an_utterance_that_is_damaged_in_its_tar_is_not_in_the_manifest_for_lhotse():
    import to_lhotse
    from lhotse import CutSet

    draw_speech(3)
    assert call(ASR, "shard", "speech", "-o", "shards", "--keep-order").status == 0
    content = bytearray(Path("shards/000.tar").read_bytes())
    content[700] ^= 1
    Path("shards/000.tar").write_bytes(content)
    assert to_lhotse.main("shards", "cuts.jsonl.gz") == 1
    assert [cut.id for cut in CutSet.from_file("cuts.jsonl.gz")] == ["000-00000001", "000-00000002"]

"""The verb align from end to end: known texts of drawn lines and spoken tones in, places out."""

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import soundfile
import torch
from command import Outcome, call
from PIL import Image

import asr.front_end
import asr.modality
import asr.signal
import ocr.front_end
import ocr.signal
from asr.configuration import SegmentationConfig
from asr.modality import ASR
from asr.synthesis import write_spoken_tones
from common import cli
from common.recognition.configuration import EncoderConfig, ModelConfig
from common.recognition.modality import Modality
from common.recognition.recognizer import Recognizer
from common.text.symbols import Alphabet
from ocr.drawing.lines import write_drawn_lines
from ocr.modality import OCR

TEXTS = ("abba ca", "bad cab", "ac dab", "a bad cad")
ENCODER = EncoderConfig(hidden_size=8, layers=1)


class Case(NamedTuple):
    """A modality with an untrained model, a corpus, its files and what they say."""

    modality: Modality
    model: Path
    data: Path
    files: list[Path]
    texts: list[str]

    def align(self, data: object, *arguments: object) -> Outcome:
        return call(self.modality, "align", self.model, data, *arguments)


def untrained(modality: Modality, signal: object, front_end: object, letters: str, path: Path) -> Path:
    torch.manual_seed(0)
    config = ModelConfig(signal, front_end, ENCODER)
    Recognizer(modality, config, Alphabet(tuple(sorted(letters)))).save(path)
    return path


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("lines")
    write_drawn_lines(folder / "data", TEXTS, 4, seed=1)
    front_end = ocr.front_end.FrontEndConfig(channels=(4, 4, 4, 4))
    signal = ocr.signal.SignalConfig(height_px=32)
    model = untrained(OCR, signal, front_end, " abcd", folder / "m.safetensors")
    return Case(OCR, model, folder / "data", sorted((folder / "data").glob("*.png")), list(TEXTS))


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("tones")
    write_spoken_tones(folder, 24, seed=1)
    front_end = asr.front_end.FrontEndConfig(mels=16, channels=(4, 4, 4))
    signal = asr.signal.SignalConfig()
    model = untrained(ASR, signal, front_end, " abcdefghijklmnopqrst", folder / "m.safetensors")
    rows = [json.loads(line) for line in (folder / "dev.jsonl").read_text().splitlines()]
    files = [folder / row["audio_filepath"] for row in rows]
    return Case(ASR, model, folder / "dev.jsonl", files, [row["text"] for row in rows])


@pytest.fixture(params=["lines", "tones"])
def case(request: pytest.FixtureRequest) -> Case:
    return request.getfixturevalue(request.param)


def test_a_corpus_is_aligned_in_its_order_with_its_texts(case):
    outcome = case.align(case.data)
    assert (outcome.status, outcome.err) == (0, "")
    transcripts = [json.loads(line) for line in outcome.out.splitlines()]
    assert [transcript["text"] for transcript in transcripts] == case.texts
    assert [transcript["source"] for transcript in transcripts] == [str(file) for file in case.files]
    for transcript, file in zip(transcripts, case.files, strict=True):
        length = Image.open(file).width if case.modality is OCR else soundfile.info(str(file)).duration
        places = [place for one in transcript["characters"] for place in (one["start"], one["end"])]
        assert places == sorted(places)
        assert all(0 <= place <= length + 1e-6 for place in places)
        assert transcript["unit"] == case.modality.unit
        assert [word["text"] for word in transcript["words"]] == transcript["text"].split()


def test_a_file_is_aligned_with_a_text_that_is_given(case, tmp_path):
    file, text = case.files[0], case.texts[0]
    (tmp_path / "memo.txt").write_text("\ufeff" + text.replace(" ", "\r\n") + "\n", encoding="utf-8")
    first = case.align(case.data).out.splitlines(keepends=True)[0]
    for flags in (("--text", text), ("--text-file", tmp_path / "memo.txt")):
        outcome = case.align(file, *flags)
        assert outcome.status == 0, outcome.err
        assert json.loads(outcome.out)["text"] == text
        assert [word["start"] for word in json.loads(outcome.out)["words"]] == pytest.approx(
            [word["start"] for word in json.loads(first)["words"]]
        )


def test_each_format_says_the_same(case):
    file, text = case.files[0], case.texts[0]
    words = json.loads(case.align(file, "--text", text).out)["words"]
    header, *table = case.align(file, "--text", text, "-f", "tsv").out.splitlines()
    assert header == "start\tend\tconfidence\ttext"
    assert [row.split("\t")[3] for row in table] == text.split()
    rows = [row.split() for row in case.align(file, "--text", text, "-f", "ctm").out.splitlines()]
    assert [(row[0], row[1], row[4]) for row in rows] == [(file.stem, "1", word) for word in text.split()]
    for (_, _, start, duration, _, confidence), word in zip(rows, words, strict=True):
        assert float(start) == pytest.approx(word["start"], abs=6e-4)
        assert float(start) + float(duration) == pytest.approx(word["end"], abs=1.1e-3)
        assert float(confidence) == pytest.approx(word["confidence"], abs=5e-5)


def test_all_formats_are_files_of_a_new_folder(case, tmp_path):
    outcome = case.align(case.data, "-f", "all", "-o", tmp_path / "new" / "places")
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")
    forms = ("json", "tsv", "ctm", *({} if case.modality is OCR else ASR.formats))
    written = sorted(file.name for file in (tmp_path / "new" / "places").iterdir())
    assert written == sorted(f"{file.stem}.{form}" for file in case.files for form in forms)
    singly = [(tmp_path / "new" / "places" / f"{file.stem}.json").read_text() for file in case.files]
    assert "".join(singly) == case.align(case.data).out


def test_what_cannot_be_aligned_is_named_and_the_rest_is_done(case, tmp_path, caplog):
    """Torn, of unknown characters, too long a text, no text, not there, and one that is there twice."""
    key = "image" if case.modality is OCR else "audio_filepath"
    good, text = case.files[0], case.texts[0]
    torn = tmp_path / f"torn{good.suffix}"
    torn.write_bytes(good.read_bytes()[:-200])
    (tmp_path / f"twin{good.suffix}").write_bytes(good.read_bytes())
    rows = [(good, text), (torn, text), (case.files[1], "a zebra!"), (case.files[2], "abcd" * 200)]
    rows += [(case.files[3], None), (tmp_path / "missing.png", text), (good, text)]
    rows += [(tmp_path / f"twin{good.suffix}", text)]
    lines = [json.dumps({key: str(file), "text": said}) for file, said in rows]
    (tmp_path / "all.jsonl").write_text("\n".join(lines) + "\n")
    outcome = case.align(tmp_path / "all.jsonl", "-o", tmp_path / "places")
    assert outcome.status == 1
    assert outcome.out == ""
    assert sorted(file.name for file in (tmp_path / "places").iterdir()) == sorted(
        [f"{good.stem}.json", "twin.json"]
    )
    said = caplog.text.splitlines() + outcome.err.splitlines()
    for name, reason in [
        (torn.name, "torn"),
        (case.files[1].name, "'z'"),
        (case.files[2].name, "needs 800 steps"),
        (case.files[3].name, "no "),
        ("missing.png", "missing.png"),
        (good.name, "another --output-dir"),
    ]:
        assert any(name in line and reason in line for line in said), (name, reason)
    assert said[-1] == f"{case.modality.name}: 6 of 8 {case.modality.item}s could not be aligned"


def test_of_one_file_and_its_text_the_reason_is_given_as_well(case, tmp_path):
    outcome = case.align(case.files[0], "--text", "xyz")
    assert outcome.status == 1
    assert "'x', 'y', 'z'" in outcome.err
    outcome = case.align(tmp_path / "missing.png", "--text", "a")
    assert (outcome.status, "missing.png" in outcome.err) == (1, True)


def test_a_recording_is_cut_as_the_flags_say(tones, tmp_path, monkeypatch):
    taken, segment = [], asr.modality.segment

    def noting(source, config, segmentation, *rest):
        taken.append(segmentation)
        return segment(source, config, segmentation, *rest)

    monkeypatch.setattr(asr.modality, "segment", noting)
    flags = ("--vad", "none", "--vad-max-speech-duration-s", "7")
    outcome = tones.align(tones.files[0], "--text", tones.texts[0], *flags)
    assert outcome.status == 0
    assert taken == [SegmentationConfig(vad="none", vad_max_speech_duration_s=7)]
    assert call(OCR, "align", "model", "data", *flags).status == 2


def test_flags_that_make_no_sense_are_refused(case, tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"\xe9t\xe9")
    for flags, sentence, status in [
        (("--text", "a", "--text-file", "b.txt"), "give one of them", 2),
        (("--text-file", tmp_path / "latin.txt"), "latin.txt:1: byte 0xe9 is not UTF-8", 1),
        (("--text-file", tmp_path / "missing.txt"), "missing.txt: cannot be read (No such file", 1),
        (("-f", "all"), "say where with --output-dir", 2),
        (("-o", case.model), "--output-dir wants a folder", 1),
        (("--batch-budget", "0"), "--batch-budget is 0", 2),
    ]:
        outcome = case.align(case.files[0], *flags)
        assert outcome.status == status
        assert sentence in outcome.err
        assert len(outcome.err.splitlines()) == 1
    assert case.align(case.files[0], "-f", "txt").status == 2


def test_the_overview_names_the_verb_and_sys_argv_is_not_looked_at(case, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["nothing"])
    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit):
        cli.main(case.modality, ["--help"])
    assert "  align MODEL DATA " in out.getvalue()

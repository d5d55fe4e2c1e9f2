"""transcribe of long recordings: text as it comes, and calls that are taken up again."""

import numpy as np
import pytest
import soundfile
from command import call

import asr.modality
from asr.modality import ASR
from common.commands.output import DocumentFiles
from common.recognition.passages.journal import NAME, Journal
from common.recognition.transcriber import Transcriber
from ocr.modality import OCR

RATE_HZ = 16_000


def said(seconds: float, seed: int) -> np.ndarray:
    """Return something that the models take for speech: gliding vowels, in syllables."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    rng = np.random.default_rng(seed)
    pitch = 120 * np.exp(0.2 * np.sin(2 * np.pi * 0.7 * time + rng.uniform(0, 6)))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    voice = sum(np.sin(n * phase) / n for n in range(1, 25))
    return 0.1 * voice * np.clip(np.sin(2 * np.pi * 3 * time), 0, 1)


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    path = tmp_path_factory.mktemp("talk") / "talk.flac"
    rng = np.random.default_rng(0)
    parts = [np.concatenate([said(6, seed), np.zeros(2 * RATE_HZ)]) for seed in range(6)]
    samples = np.concatenate(parts)
    soundfile.write(path, samples + 1e-4 * rng.standard_normal(len(samples)), RATE_HZ)
    return path


class Level:
    """Takes all that is loud for speech: what a network hears in made-up sound is not the claim here."""

    step_s = 0.04

    def feed(self, samples):
        rows = samples[: len(samples) // 640 * 640].reshape(-1, 640)
        return (np.abs(rows).max(1) > 0.01).astype(float)

    def finish(self):
        return np.zeros(0)


@pytest.fixture
def flags(monkeypatch):
    monkeypatch.setattr(asr.modality, "_listen", lambda rate_hz: Level())
    return ("--vad-max-speech-duration-s", "6", "--decoder", "greedy")


def test_each_passage_is_written_as_soon_as_it_is_read(talk, flags, monkeypatch):
    written = []
    write = DocumentFiles.write
    monkeypatch.setattr(
        DocumentFiles, "write", lambda self, one: (written.append(len(one.passages)), write(self, one))
    )
    outcome = call(ASR, "transcribe", talk, *flags)
    assert outcome.status == 0
    assert len(outcome.out.splitlines()) == len(written) > 3
    assert set(written) == {1}


def test_a_call_that_was_ended_goes_on_where_it_was(talk, flags, tmp_path, monkeypatch):
    arguments = ("transcribe", talk, *flags, "-f", "json", "-o")
    call(ASR, *arguments, tmp_path / "whole")
    add, count = Journal.add, 0

    def ended(self: Journal, *row: object) -> None:
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt
        add(self, *row)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "add", ended)
        assert call(ASR, *arguments, tmp_path / "parts").status == 130
    assert [path.name for path in (tmp_path / "parts").iterdir()] == [NAME]
    decoded = []
    finished = Transcriber._finished
    monkeypatch.setattr(
        Transcriber,
        "_finished",
        lambda self, batch, n: decoded.extend(batch.items) or finished(self, batch, n),
    )
    outcome = call(ASR, *arguments, tmp_path / "parts", "--resume")
    assert outcome.status == 0
    wanted = (tmp_path / "whole" / "talk.json").read_text()
    assert (tmp_path / "parts" / "talk.json").read_text() == wanted
    assert not (tmp_path / "parts" / NAME).exists()
    assert len(decoded) == wanted.count('"place"') - 3


def test_files_that_are_written_already_are_left(talk, tmp_path):
    from PIL import Image

    for name in "ab":
        Image.new("L", (300, 48), 255).save(tmp_path / f"{name}.png")
    arguments = ("transcribe", tmp_path / "a.png", tmp_path / "b.png", "-f", "json", "-o", tmp_path)
    call(OCR, *arguments)
    (tmp_path / "a.json").write_text("mine")
    (tmp_path / "b.json").unlink()
    outcome = call(OCR, *arguments, "--resume")
    assert "1 image left as written by an earlier call" in outcome.err
    assert (tmp_path / "a.json").read_text() == "mine"
    assert (tmp_path / "b.json").exists()


@pytest.mark.parametrize("arguments", [("--resume",), ("--resume", "--stream")])
def test_resume_wants_a_folder_of_files(talk, arguments):
    outcome = call(ASR, "transcribe", talk, *arguments)
    assert outcome.status == 2
    assert "--output-dir" in outcome.err


def test_a_text_that_is_not_whole_is_written_anew_when_its_recording_is_mended(talk, flags, tmp_path):
    mended, broken = talk.read_bytes(), tmp_path / "talk.flac"
    broken.write_bytes(mended[: len(mended) * 3 // 4])
    arguments = ("transcribe", broken, *flags, "-f", "json", "-o", tmp_path / "out")
    outcome = call(ASR, *arguments)
    assert outcome.status == 1
    assert "s before that are transcribed" in outcome.about("talk.flac")
    part = (tmp_path / "out" / "talk.json").read_text()
    assert call(ASR, *arguments, "--resume").status == 1
    broken.write_bytes(mended)
    assert call(ASR, *arguments, "--resume").status == 0
    assert len((tmp_path / "out" / "talk.json").read_text()) > len(part)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["talk.json"]

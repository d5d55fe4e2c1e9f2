"""Where the commands read from and write to: files of any name, pipes, standard streams that are closed."""

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
import pytest
import soundfile
from command import Outcome, call
from PIL import Image, ImageDraw, ImageFont

from asr.modality import ASR
from common.cli import main
from common.recognition.modality import Modality
from ocr.modality import OCR


def drawn_line(text: str = "one two") -> Image.Image:
    """Draw a line of print."""
    image = Image.new("L", (300, 48), 240)
    ImageDraw.Draw(image).text((10, 8), text, fill=20, font=ImageFont.load_default(28))
    return image


def sound() -> np.ndarray:
    """Return a second of a gliding tone."""
    return 0.3 * np.sin(np.arange(16_000) ** 1.3 / 100)


class Side(NamedTuple):
    """A modality and one file that its bundled model reads."""

    modality: Modality
    file: Path

    @property
    def name(self) -> str:
        return self.modality.name

    @property
    def model(self) -> Path:
        assert self.modality.bundled is not None
        return self.modality.bundled()

    def transcribe(self, *arguments: object, stdin: bytes = b"") -> Outcome:
        return call(self.modality, "transcribe", *arguments, stdin=stdin)


@pytest.fixture(params=["ocr", "asr"])
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Side:
    if request.param == "ocr":
        drawn_line().save(tmp_path / "line.png")
        return Side(OCR, tmp_path / "line.png")
    soundfile.write(tmp_path / "sound.wav", sound(), 16_000)
    return Side(ASR, tmp_path / "sound.wav")


@contextlib.contextmanager
def unwritable(reason: str) -> Iterator[TextIO | None]:
    """Give standard output that cannot be written; Python has None for one that was closed before."""
    if reason == "it is closed":
        yield None
    else:
        with open("/dev/full", "w") as full:
            yield full


# --- standard streams


@pytest.mark.parametrize("reason", ["it is closed", "No space left on device"])
def test_standard_output_that_cannot_be_written_is_said_by_every_verb(side, reason, tmp_path):
    """By `>&-`, daemons and cron, or on a full disk."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / side.file.name).write_bytes(side.file.read_bytes())
    (corpus / side.file.name).with_suffix(".gt.txt" if side.name == "ocr" else ".txt").write_text("ONE\n")
    calls = [("--help",), ("transcribe", "--help"), ("transcribe", side.file)]
    calls += [("evaluate", side.model, corpus), ("align", side.model, side.file, "--text", "E")]
    for arguments in calls:
        error = io.StringIO()
        with (
            unwritable(reason) as output,
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(error),
            pytest.raises(SystemExit) as ended,
        ):
            main(side.modality, list(map(str, arguments)))
        assert ended.value.code == 1
        sentence = f"{side.name}: standard output: cannot be written ({reason})"
        assert error.getvalue().splitlines()[-1] == sentence


def test_messages_do_not_go_to_standard_output_if_standard_error_is_closed(side, tmp_path):
    out = io.StringIO()
    arguments = ["transcribe", str(side.file), str(tmp_path / "missing")]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(None), pytest.raises(SystemExit):
        main(side.modality, arguments)
    assert out.getvalue() == side.transcribe(side.file).out


def test_standard_input_that_is_closed_is_said(side, monkeypatch):
    error = io.StringIO()
    monkeypatch.setattr(sys, "stdin", None)
    with contextlib.redirect_stderr(error), pytest.raises(SystemExit) as ended:
        main(side.modality, ["transcribe", "-"])
    assert ended.value.code == 1
    assert error.getvalue() == f"{side.name}: standard input: is closed; name a file\n"

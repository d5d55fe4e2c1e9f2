"""Where the commands read from and write to: files of any name, pipes, standard streams that are closed."""

import contextlib
import io
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
import pytest
import soundfile
from command import Outcome, call
from PIL import Image, ImageDraw, ImageFont
from untrained import recognizer_of

import common.files.pipe
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

    @property
    def aligning(self) -> Path | str:
        """The bundled model that aligns texts."""
        return self.modality.spelling or self.model

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
    calls += [("evaluate", side.model, corpus), ("align", side.aligning, side.file, "--text", "E")]
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
    assert error.getvalue().splitlines()[0] == f"{side.name}: standard input: is closed; name a file"


# --- pipes and devices


@pytest.fixture
def pipe() -> Iterator[Callable[[bytes], str]]:
    """Give a function that returns the name of a pipe out of which bytes come, as `<(command)` does."""
    ends: list[int] = []
    writers: list[threading.Thread] = []

    def filled(content: bytes) -> str:
        out, into = os.pipe()
        ends.append(out)

        def write() -> None:
            with open(into, "wb") as file:
                file.write(content)

        writers.append(threading.Thread(target=write))
        writers[-1].start()
        return f"/dev/fd/{out}"

    yield filled
    for writer in writers:
        writer.join()
    for end in ends:
        os.close(end)


def test_what_comes_out_of_a_pipe_is_read_as_a_file_is(side, pipe):
    wanted = side.transcribe(side.file)
    assert wanted.status == 0
    for outcome in (
        side.transcribe(pipe(side.file.read_bytes())),
        side.transcribe("-", stdin=side.file.read_bytes()),
    ):
        assert outcome == wanted
    name = pipe(b"")
    assert side.transcribe(name).about(name).startswith(f"{side.name}: {name}: is empty")


def test_the_pages_of_a_tiff_in_a_pipe_are_read_one_by_one(tmp_path, pipe):
    texts = ["one two", "three", "four"]
    first, *others = [drawn_line(text) for text in texts]
    first.save(tmp_path / "pages.tif", save_all=True, append_images=others)
    wanted = call(OCR, "transcribe", tmp_path / "pages.tif")
    assert wanted.out.count("\n") == 3
    content = (tmp_path / "pages.tif").read_bytes()
    assert call(OCR, "transcribe", pipe(content)).out == wanted.out
    assert call(OCR, "transcribe", "-", stdin=content).out == wanted.out
    rows = call(OCR, "transcribe", "-", "-f", "json", stdin=content).out.splitlines()
    assert [json.loads(row)["source"] for row in rows] == ["-[0]", "-[1]", "-[2]"]
    call(OCR, "transcribe", "-", "-o", tmp_path / "out", stdin=content)
    assert {file.name for file in (tmp_path / "out").iterdir()} == {f"stdin-{page}.txt" for page in range(3)}


def test_a_pipe_without_an_end_is_refused(side, pipe, monkeypatch):
    monkeypatch.setattr(common.files.pipe, "PIPE_LIMIT", 1000)
    name = pipe(bytes(1001))
    outcome = side.transcribe(name)
    assert outcome.status == 1
    assert outcome.about(f"{name}: more than 1,000 bytes came; write them to a file")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused_wherever_a_file_is_read(side, device, tmp_path):
    for arguments in (
        ("transcribe", device),
        ("transcribe", side.file, "-m", device),
        ("transcribe", side.file, "--lm", device),
        ("align", side.model, side.file, "--text-file", device),
        ("lm", "train", device, "-o", tmp_path / "lm.npz"),
    ):
        outcome = call(side.modality, *arguments)
        assert (outcome.status, outcome.out) == (1, "")
        assert outcome.about(f"{side.name}: {device}: is a device; name a file or a pipe")


def test_an_empty_name_is_said_to_be_one(side):
    outcome = side.transcribe("", side.file)
    assert outcome.status == 1
    assert outcome.out == side.transcribe(side.file).out
    assert outcome.about(f"{side.name}: a file has an empty name; name one, or - for standard input")


# --- pages and folders


def two_page_pdf(path: Path) -> Path:
    drawn_line("one").save(path, save_all=True, append_images=[drawn_line("two")], resolution=150)
    return path


def test_a_pdf_is_read_page_by_page_and_written_as_one_pdf(tmp_path):
    import pypdfium2

    path = two_page_pdf(tmp_path / "book.pdf")
    done = call(OCR, "transcribe", path)
    assert (done.status, done.out) == (0, "one\ntwo\n")
    for name, texts in ((path, ["one", "two"]), (f"{path}[1-1]", ["two"])):
        assert call(OCR, "transcribe", name, "-f", "pdf", "-o", tmp_path / "out").status == 0
        with pypdfium2.PdfDocument(tmp_path / "out" / "book.pdf") as pdf:
            assert [page.get_textpage().get_text_range().strip() for page in pdf] == texts


def test_folders_are_transcribed_with_their_folders(tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    drawn_line("one").save(tmp_path / "in" / "a.png")
    drawn_line("two").save(tmp_path / "in" / "deep" / "a.png")
    done = call(OCR, "transcribe", "-r", tmp_path / "in", "-o", tmp_path / "out")
    assert done.status == 0
    written = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*.txt")}
    assert written == {"out/a.txt": "one\n", "out/deep/a.txt": "two\n"}


def test_every_format_is_written_at_once(tmp_path):
    drawn_line("one").save(tmp_path / "a.png")
    assert call(OCR, "transcribe", tmp_path / "a.png", "-f", "all", "-o", tmp_path / "out").status == 0
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written >= {"a.txt", "a.json", "a.tsv", "a.ctm", "a.hocr", "a.pdf", "a.alto.xml", "a.page.xml"}


def test_a_file_that_fails_is_counted_once_although_its_pdf_is_missing_too(tmp_path):
    drawn_line("one").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:100])
    done = call(
        OCR, "transcribe", tmp_path / "a.png", tmp_path / "b.png", "-f", "pdf", "-o", tmp_path / "out"
    )
    assert done.status == 1
    assert done.err.splitlines()[-1] == "ocr: 1 of 2 images could not be transcribed"
    assert "b.pdf: is not written" in done.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.pdf"]


def test_a_pdf_is_not_written_over_its_source_and_the_status_says_so(tmp_path):
    path = two_page_pdf(tmp_path / "book.pdf")
    before = path.read_bytes()
    done = call(OCR, "transcribe", path, "-f", "pdf", "-o", tmp_path)
    assert (done.status, path.read_bytes()) == (1, before)
    assert done.err.splitlines()[-1] == "ocr: 1 file could not be written"


def test_the_language_of_the_model_stands_in_the_files(tmp_path):
    recognizer_of("ocr", card={"languages": ["fr"]}).save(tmp_path / "french.safetensors")
    drawn_line().save(tmp_path / "a.png")
    outcome = call(OCR, "transcribe", tmp_path / "a.png", "-m", tmp_path / "french.safetensors", "-f", "page")
    assert outcome.status == 0
    assert 'primaryLanguage="French"' in outcome.out

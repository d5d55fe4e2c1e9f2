"""What comes through a pipe is transcribed while it comes, and ends as the text of the file."""

import io
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from command import Outcome, call
from untrained import RATE_HZ, recognizer_of, signals_of

from asr.modality import ASR
from common.commands.transcribing.streaming import _tail
from common.recognition.configuration import EncoderConfig
from common.recognition.export import export_onnx
from common.recognition.recognizer import Recognizer
from ocr.modality import OCR

ROOT = Path(__file__).parents[1]
ENCODER = EncoderConfig(hidden_size=8, layers=2, bidirectional=False)
WAIT_S = 60
"""for what should come at once"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained recognizer to which all letters are about as likely in `sound`, and the space more so."""
    recognizer = recognizer_of("asr", ENCODER, normalise="global")
    with torch.no_grad():
        values = torch.from_numpy(sound()[:, 0])[None]
        features, lengths = recognizer.front_end(values, torch.tensor([values.shape[1]]))
        encoded, _, _ = recognizer.encoder(features, lengths)
        head = recognizer.head.linear
        head.weight.div_((encoded[0] @ head.weight.T).std(dim=0)[:, None] / 3)
        head.bias.copy_(-head.weight @ encoded[0].mean(dim=0))
        head.bias[recognizer.alphabet.symbols.index(" ") + 1] += 1
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    recognizer.save(path)
    return path


def sound() -> np.ndarray:
    """Return samples of some seconds, two channels."""
    mono = np.concatenate([signal.values for signal in signals_of("asr")[1:8]])
    return np.clip(np.stack([mono, 0.5 * mono], 1), -1, 1)


def wav(subtype: str = "PCM_16", rate_hz: int = RATE_HZ, unbounded: bool = False, kind: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound(), rate_hz, format=kind, subtype=subtype)
    content = file.getvalue()
    if unbounded:
        place = content.index(b"data") + 4
        content = content[:place] + struct.pack("<I", 0xFFFF_FFFF) + content[place + 4 :]
    return content


def streamed(model: Path, content: bytes, *arguments: object) -> Outcome:
    return call(ASR, "transcribe", "--stream", "-", "-m", model, *arguments, stdin=content)


def offline(model: Path, content: bytes, *arguments: object) -> Outcome:
    outcome = call(ASR, "transcribe", "-", "-m", model, *arguments, stdin=content)
    assert outcome.status == 0, outcome.err
    return outcome


def program(model: Path, output: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "asr", "transcribe", "--stream", "-", "-m", str(model)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output, cwd=ROOT)


# --- what works


@pytest.mark.parametrize("decoder", ["greedy", "beam"])
@pytest.mark.parametrize("rate_hz", [RATE_HZ, 11_025])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT"])
def test_the_final_text_is_that_of_the_file(model, subtype, rate_hz, decoder):
    content = wav(subtype, rate_hz)
    outcome = streamed(model, content, "--decoder", decoder)
    assert outcome.status == 0
    assert outcome.out == offline(model, content, "--decoder", decoder).out
    assert len(outcome.out) > 15


def test_what_is_certain_is_told_in_whole_words_on_standard_error(model):
    outcome = streamed(model, wav())
    told, words = outcome.err.split(), outcome.out.split()
    assert told == words[: len(told)]
    assert len(told) >= len(words) - 2


@pytest.mark.parametrize("form", ["json", "tsv", "ctm"])
def test_every_format_is_that_of_the_file(model, form):
    outcome = streamed(model, wav(), "-f", form)
    whole = offline(model, wav(), "-f", form)
    if form == "json":
        ours, theirs = json.loads(outcome.out), json.loads(whole.out)
        assert ours.pop("confidence") == pytest.approx(theirs.pop("confidence"), rel=1e-3)
        for part in ("words", "characters"):
            for one, other in zip(ours.pop(part), theirs.pop(part), strict=True):
                assert one.pop("confidence") == pytest.approx(other.pop("confidence"), abs=1e-4)
                assert one == other
        assert ours == theirs
        assert ours["source"] == "-"
    else:
        rows = [row.split() for row in outcome.out.splitlines()]
        assert [row[-1 if form == "tsv" else -2] for row in rows[form == "tsv" :]] == [
            row.split()[-1 if form == "tsv" else -2] for row in whole.out.splitlines()[form == "tsv" :]
        ]
        assert len(rows) > 3


def test_files_can_be_named_and_written_to_a_folder(model, tmp_path):
    for name in ("one.wav", "two.wav"):
        (tmp_path / name).write_bytes(wav())
    files = (tmp_path / "one.wav", tmp_path / "no.wav", tmp_path / "two.wav")
    outcome = call(ASR, "transcribe", "--stream", *files, "-m", model, "-o", tmp_path)
    assert outcome.status == 1
    assert "No such file" in outcome.about("no.wav")
    assert "1 of 3" in outcome.err
    for name in ("one.txt", "two.txt"):
        assert (tmp_path / name).read_text() == offline(model, wav()).out


@pytest.mark.parametrize("size", [0, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])
def test_a_header_of_unknown_size_is_read_to_the_end(model, size):
    content = wav()
    place = content.index(b"data") + 4
    outcome = streamed(model, content[:place] + struct.pack("<I", size) + content[place + 4 :])
    assert outcome.status == 0
    assert outcome.out == offline(model, content).out


def test_other_readings_are_those_of_the_file(model):
    flags = ("--decoder", "beam", "--alternatives", 2, "-f", "json")
    ours, theirs = (json.loads(run(model, wav(), *flags).out) for run in (streamed, offline))
    assert len(ours["alternatives"]) == 2
    assert [one["text"] for one in ours["alternatives"]] == [one["text"] for one in theirs["alternatives"]]


# --- utterances


def spoken(*pauses_s: float) -> bytes:
    """Return a WAV of pieces of `sound`, each followed by a pause of these seconds."""
    pieces = np.array_split(sound(), len(pauses_s))
    pauses = [np.zeros((round(pause * RATE_HZ), 2)) for pause in pauses_s]
    file = io.BytesIO()
    parts = [part for pair in zip(pieces, pauses, strict=True) for part in pair]
    soundfile.write(file, np.concatenate(parts), RATE_HZ, format="WAV", subtype="PCM_16")
    return file.getvalue()


@pytest.fixture(scope="module")
def pausing(model: Path) -> Path:
    """The same recognizer, to which the blank is certain in digital silence and as likely elsewhere."""
    recognizer = Recognizer.load(ASR, model)
    with torch.no_grad():
        silence = torch.zeros(1, 40_000)
        encoded, _, _ = recognizer.encoder(*recognizer.front_end(silence, torch.tensor([40_000])))
        loud = torch.from_numpy(sound()[:, 0])[None]
        other, _, _ = recognizer.encoder(*recognizer.front_end(loud, torch.tensor([loud.shape[1]])))
        way = encoded[0, -1] - other[0].mean(0)
        way /= way.square().sum()  # (E,) 0 at the mean of the sound, 1 in silence
        recognizer.head.linear.weight[0] += 40 * way
        recognizer.head.linear.bias[0] -= 40 * (way @ other[0].mean(0)) + 8
    path = model.with_name("pausing.safetensors")
    recognizer.save(path)
    export_onnx(recognizer, path.with_suffix(".onnx"))
    return path


def test_an_utterance_ends_after_a_silence_and_each_is_a_line(pausing):
    content = spoken(2, 2, 0.3, 2)
    texts = streamed(pausing, content).out.splitlines()
    assert len(texts) == 3
    assert streamed(pausing, content, "--endpoint-silence-s", 3).out == offline(pausing, content).out
    assert "".join("".join(texts).split()) == "".join(offline(pausing, content).out.split())


def test_an_exported_model_writes_the_same_utterances(pausing):
    content = spoken(2, 2, 0.3, 2)
    for flags in ((), ("--decoder", "beam"), ("-f", "tsv")):
        outcome = streamed(pausing.with_suffix(".onnx"), content, *flags)
        assert (outcome.status, outcome.out) == (0, streamed(pausing, content, *flags).out)


def test_utterances_have_their_places_in_the_stream(pausing):
    document = json.loads(streamed(pausing, spoken(2, 2, 2), "-f", "json").out)
    size_s = len(sound()) / 3 / RATE_HZ
    for number, passage in enumerate(document["passages"]):
        begin = passage["place"]["start"]
        first, last = (begin + passage["words"][place][edge] for place, edge in ((0, "start"), (-1, "end")))
        assert number * (size_s + 2) - 0.3 < first < last < number * (size_s + 2) + size_s + 0.3
    assert number == 2
    assert document["text"].splitlines() == [passage["text"] for passage in document["passages"]]


def test_an_exported_model_follows_a_stream_without_torch(pausing, tmp_path):
    (tmp_path / "talk.wav").write_bytes(content := spoken(2, 2))
    code = f"""
import sys
for name in ("torch", "torchaudio", "torchvision", "lightning", "onnx"):
    sys.modules[name] = None  # so that importing it fails
from common import cli
from asr.modality import ASR
for decoder in ("greedy", "beam"):
    flags = ["-m", {str(pausing.with_suffix(".onnx"))!r}, "--decoder", decoder]
    cli.main(ASR, ["transcribe", "--stream", {str(tmp_path / "talk.wav")!r}, *flags])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    wanted = [streamed(pausing, content, "--decoder", decoder).out for decoder in ("greedy", "beam")]
    assert done.stdout == "".join(wanted)


# --- as a program


def first_of(process: subprocess.Popen[bytes], content: bytes) -> bytes:
    """Return the first line of standard error while the pipe is open, of which `content` has been written."""
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(process.stderr.readline()))
    reader.start()
    process.stdin.write(content)
    process.stdin.flush()
    reader.join(WAIT_S)
    assert found, "nothing was told while the pipe was open"
    return found[0]


@pytest.mark.slow
def test_partial_text_is_told_before_the_pipe_is_closed(model):
    content = wav(unbounded=True)
    with program(model) as process:
        told = first_of(process, content[: len(content) // 2])
        out, _ = process.communicate(content[len(content) // 2 :], timeout=WAIT_S)
    assert process.returncode == 0
    assert out.decode() == offline(model, wav()).out
    assert told.split()
    assert out.split()[: len(told.split())] == told.split()


@pytest.mark.slow
def test_a_line_is_written_as_soon_as_its_utterance_has_ended(pausing):
    content = spoken(2, 2)
    content = content[: content.index(b"data") + 4] + struct.pack("<I", 0xFFFF_FFFF) + content[44:]
    with program(pausing.with_suffix(".onnx")) as process:
        process.stdin.write(content[: len(content) // 2 + 44])
        process.stdin.flush()
        line = process.stdout.readline()  # while the pipe is open
        out, _ = process.communicate(content[len(content) // 2 + 44 :], timeout=WAIT_S)
    assert (line + out).decode() == streamed(pausing, content).out
    assert line
    assert out


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_stream_and_the_text_of_what_came_is_written(model, number):
    content = wav(unbounded=True)
    half = content[: len(content) // 2 // 4 * 4]
    with program(model) as process:
        first_of(process, half + b"\1")  # a part of the next sample does not count
        process.send_signal(number)
        out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, err
    assert out.decode() == offline(model, half).out


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals here")
@pytest.mark.slow
def test_on_a_terminal_one_line_is_rewritten_and_the_text_follows(model):
    ours, theirs = os.openpty()
    with program(model, theirs) as process:
        os.close(theirs)
        threading.Thread(target=process.communicate, args=(wav(),)).start()
        shown = b""
        while True:
            try:
                more = os.read(ours, 4096)
            except OSError:  # Linux: the other side was closed
                more = b""
            if not more:
                break
            shown += more
    os.close(ours)
    *lines, rest = shown.decode().replace("\r\n", "\n").split("\r")
    text = offline(model, wav()).out
    assert process.returncode == 0
    assert rest == text
    assert len(lines) > 2
    assert lines[-1].strip() == ""
    assert all(len(line) < 80 and "\n" not in line for line in lines)
    assert all(line.strip() in text or line.strip() == "" for line in lines)


@pytest.mark.parametrize(
    ("text", "columns", "end"),
    [
        ("hello", 9, "hello"),
        ("hello", 3, "llo"),
        ("日本語", 4, "本語"),
        ("日本語", 5, "本語"),
        ("e\u0301e\u0301", 2, "e\u0301"),
        ("hello", 0, ""),
        ("hello", -1, ""),
        ("", 0, ""),
    ],
)
def test_a_line_is_never_wider_than_the_terminal(text, columns, end):
    assert _tail(text, columns) == end


# --- what cannot be


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "is empty"),
        (wav()[:30], "ends within its header"),
        (wav(kind="FLAC"), "is FLAC, which cannot be read while it comes; pipe it through `ffmpeg -i"),
        (wav(kind="AIFF"), "is AIFF"),
        (b"hello " * 10, "is no WAV"),
        (wav()[:44], "is cut short"),
    ],
    ids=["empty", "header", "flac", "aiff", "text", "no samples"],
)
def test_what_is_wrong_is_said_in_one_sentence(model, content, named):
    outcome = streamed(model, content)
    assert outcome.status == 1
    assert outcome.out == ""
    assert named in outcome.about("standard input: ")


@pytest.mark.parametrize("unbounded", [False, True])
def test_of_a_stream_without_its_end_the_text_of_what_came_is_written(model, unbounded):
    content = wav(unbounded=unbounded)[:-2]
    outcome = streamed(model, content)
    assert outcome.status == 1
    assert outcome.out == offline(model, wav(unbounded=True)[:-4]).out
    assert ("ends within a sample" if unbounded else "cut short") in outcome.about("standard input: ")


def test_a_model_that_must_see_the_whole_says_how_to_train_another(tmp_path):
    recognizer_of("asr").save(tmp_path / "whole.safetensors")
    outcome = streamed(tmp_path / "whole.safetensors", wav())
    assert (outcome.status, outcome.out) == (1, "")
    sentence = outcome.about("cannot follow a stream")
    assert "--no-bidirectional" in sentence
    assert "--normalise global" in sentence


def test_the_bundled_model_says_that_it_must_see_the_whole():
    outcome = call(ASR, "transcribe", "--stream", "-", stdin=wav())
    assert (outcome.status, outcome.out) == (1, "")
    assert "--no-bidirectional" in outcome.about("cannot follow a stream")


def test_an_exported_model_that_cannot_follow_a_stream_says_why(tmp_path):
    export_onnx(recognizer_of("asr"), tmp_path / "whole.onnx")
    outcome = streamed(tmp_path / "whole.onnx", wav())
    assert (outcome.status, outcome.out) == (1, "")
    assert "--no-bidirectional" in outcome.about("cannot follow a stream")


@pytest.mark.parametrize(
    ("silence", "status", "sentence"),
    [
        ("-1", 2, "--endpoint-silence-s is -1; give 0 or more seconds"),
        ("0.1", 1, "a silence of 0.1, where 0.51"),
    ],
)
def test_a_silence_that_is_too_short_is_refused(model, silence, status, sentence):
    outcome = streamed(model, wav(), "--endpoint-silence-s", silence)
    assert (outcome.status, outcome.out) == (status, "")
    assert sentence in outcome.err


def test_a_budget_for_batches_is_refused(model):
    outcome = streamed(model, wav(), "--batch-budget", 10)
    assert outcome.status == 2
    assert "a stream is in no batch" in outcome.about("--batch-budget")


def test_images_have_no_stream():
    assert "--stream" not in call(OCR, "transcribe", "--help").out
    assert "--stream" in call(ASR, "transcribe", "--help").out
    assert call(OCR, "transcribe", "--stream", "a.png").status == 2

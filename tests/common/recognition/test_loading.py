"""Recognizers from files of either kind, and those that are bundled."""

import dataclasses
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

import asr
import ocr
from asr.modality import ASR
from common.files.model_file import read_model
from common.recognition.loading import load_recognizer, model_path
from common.text.metrics import ErrorRate
from ocr.drawing.lines import draw_line
from ocr.drawing.texts import COMMON_WORDS
from ocr.modality import OCR

SAMPLE = Path(__file__).parents[3] / "recipes" / "asr" / "sample.opus"
SIDES = pytest.mark.parametrize("package, modality", [(ocr, OCR), (asr, ASR)], ids=["ocr", "asr"])


@SIDES
def test_the_bundled_model_is_loaded_where_none_is_named(package, modality):
    recognizer = package.load()
    assert recognizer.modality is modality
    assert modality.bundled().stat().st_size < 20e6
    for name in modality.model_names:
        assert {"languages", "licence", "training_data"} <= package.load(name).card.keys()
    assert (modality.bundled().parent / "README.md").is_file()


def test_the_bundled_model_reads_clean_english_lines():
    rng, rate = np.random.default_rng(5), ErrorRate()
    words = COMMON_WORDS.split()
    texts = [" ".join(rng.choice(words, 6)).capitalize() + "." for _ in range(8)]
    recognizer = ocr.load()
    images = [
        recognizer.modality.read(png(draw_line(text, None, rng)), recognizer.signal_config) for text in texts
    ]
    for text, transcript in zip(texts, recognizer.transcribe(images), strict=True):
        rate.add(text, transcript.text)
    assert rate.cer < 0.2, [(item.reference, item.hypothesis) for item in rate.items]


def png(image):
    file = BytesIO()
    image.save(file, "PNG")
    file.seek(0)
    return file


@SIDES
def test_transcribing_with_the_bundled_model_imports_no_torch(package, modality, tmp_path):
    script = f"""
import sys, numpy as np
import {modality.name} as package
from common.data.signal import Signal
recognizer = package.load()
shape = (16000,) if package.__name__ == "asr" else (300, recognizer.signal_config.height_px)
(transcript,) = recognizer.transcribe([Signal(np.zeros(shape, np.float32), 1.0)])
heavy = [name for name in ("torch", "torchaudio", "torchvision", "lightning", "onnx") if name in sys.modules]
assert not heavy, heavy
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_onnx_file_runs_on_the_cpu_alone():
    with pytest.raises(ValueError, match=r"device cuda: .*printed\.onnx runs on the CPU"):
        ocr.load(device="cuda")


@SIDES
def test_threads_below_none_are_refused(package, modality):
    with pytest.raises(ValueError, match="threads is -1; give 1 or more, or 0"):
        package.load(threads=-1)


def test_a_modality_without_a_model_wants_one_named():
    with pytest.raises(ValueError, match="`ocr` has no model of its own; name one with --model"):
        load_recognizer(dataclasses.replace(OCR, bundled=None))


def test_without_torch_a_safetensors_model_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        ValueError, match=r"needs torch, which is not installed; pip install 'amanuensis\[train\]'"
    ):
        load_recognizer(OCR, tmp_path / "m.safetensors")


@SIDES
def test_a_missing_file_is_named(package, modality, tmp_path):
    for name in ("no.onnx", "no.safetensors"):
        with pytest.raises(ValueError, match=rf"{name}: no such file"):
            package.load(tmp_path / name)


@SIDES
def test_models_to_begin_a_training_with_lie_beside_the_bundled_ones(package, modality):
    paths = list(Path(package.__file__).parent.glob("models/*.safetensors"))
    assert paths
    for path in paths:
        assert read_model(path).header["modality"] == modality.name
        assert path.with_suffix(".onnx").is_file()


# --- their names


@SIDES
def test_a_bundled_model_may_be_named_without_its_folder(package, modality):
    names = {"ocr": ("printed", "handwriting"), "asr": ("english-words", "english")}[modality.name]
    for name in names:
        file = modality.bundled().parent / f"{name}.onnx"
        assert model_path(modality, name) == model_path(modality, Path(name)) == file


def test_the_model_that_finds_lines_is_no_recognizer():
    with pytest.raises(ValueError, match=r"which are printed, handwriting; name one of these"):
        load_recognizer(OCR, "lines")
    path = OCR.bundled().parent / "lines.onnx"
    with pytest.raises(
        ValueError, match=r"lines\.onnx: is no recognizer; name one, or a file of `ocr train`"
    ):
        load_recognizer(OCR, path)


def test_the_model_of_speech_activity_is_not_offered_to_transcribe():
    with pytest.raises(ValueError, match=r"which are english-words, english; name one of these"):
        load_recognizer(ASR, "activity")


def test_a_name_that_is_not_bundled_is_told_which_are():
    with pytest.raises(
        ValueError, match=r"^handwriten: is no file and no bundled model of `ocr`, which are .*printed"
    ):
        load_recognizer(OCR, "handwriten")


def test_a_file_goes_before_a_bundled_model_of_its_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "printed").touch()
    assert model_path(OCR, "printed") == Path("printed")


def test_what_has_a_folder_or_a_suffix_is_a_file():
    for name in ("runs/printed", "./printed.onnx", "printed.safetensors"):
        assert model_path(OCR, name) == Path(name)


# --- speech activity


def test_the_model_of_speech_activity_is_small_follows_a_stream_and_knows_silence_from_speech():
    path = ASR.bundled().parent / "activity.onnx"
    assert path.stat().st_size < 1e6
    model = load_recognizer(ASR, path)
    assert (model.task, model.frame_labels, model.alphabet.symbols) == ("frames", "activity", ("active",))
    assert model.stride == 640  # 40 ms
    assert "context" in model.header["stream"]
    samples = ASR.read(str(SAMPLE), model.signal_config).values
    noise = (1e-3 * np.random.default_rng(0).standard_normal(16_000 * 5)).astype(np.float32)
    spoken, silent, noisy = (np.exp(model.log_probs([one]).values[0, :, 1])
                             for one in (samples, np.zeros(16_000 * 5, np.float32), noise))  # fmt: skip
    assert (spoken > 0.5).mean() > 0.8  # a sentence with short pauses
    assert (silent > 0.5).mean() < 0.05 and (noisy > 0.5).mean() < 0.05

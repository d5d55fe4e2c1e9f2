"""The verb export from end to end: a model in, an ONNX file and a table of what it gains and loses out."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest
from command import Outcome, call
from untrained import KINDS, recognizer_of

from asr.synthesis import write_spoken_tones
from common.recognition.modality import Modality
from common.recognition.runtime import OnnxRecognizer
from ocr.drawing.lines import write_drawn_lines

TEXTS = ("abba ca", "bad cab", "ac dab", "a bad cad")


class Case(NamedTuple):
    """A modality with an untrained model and a corpus."""

    modality: Modality
    model: Path
    data: Path

    def export(self, *arguments: object) -> Outcome:
        return call(self.modality, "export", self.model, *arguments)


@pytest.fixture(scope="module", params=list(KINDS))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp(request.param)
    recognizer_of(request.param).save(folder / "model.safetensors")
    data = folder / "data"
    if request.param == "ocr":
        write_drawn_lines(data, TEXTS, 4, seed=1)
    else:
        write_spoken_tones(data, 4, seed=1)
        data /= "train.jsonl"
    return Case(KINDS[request.param].modality, folder / "model.safetensors", data)


def table(outcome: Outcome) -> dict[str, list[str]]:
    """Return the columns of each row: CER, WER, agreement, speed twice, megabytes."""
    rows = [line.replace(" %", "").split() for line in outcome.out.splitlines()[1:-1]]
    return {name: columns for name, *columns in rows}


def test_a_model_is_written_that_runs(case, tmp_path):
    outcome = case.export(tmp_path / "new" / "model.onnx")
    assert (outcome.status, outcome.out) == (0, "")
    assert "float32, opset 17, " in outcome.about("model.onnx")
    header = OnnxRecognizer.load(case.modality, tmp_path / "new" / "model.onnx").header
    assert header["precision"] == "float32"


def test_before_and_after_are_measured(case, tmp_path):
    path = tmp_path / "model.onnx"
    outcome = case.export(path, "--int8", "--calibration", case.data, "--data", case.data, "--threads", 1)
    assert outcome.status == 0
    rows = table(outcome)
    assert list(rows) == ["torch", "float32", "int8"]
    assert rows["torch"][2] == rows["float32"][2] == "100.00"
    assert rows["torch"][:2] == rows["float32"][:2]
    assert all(float(speed) > 0 for row in rows.values() for speed in row[3:5])
    assert float(rows["int8"][5]) == pytest.approx(path.stat().st_size / 1e6, abs=0.005)
    assert outcome.out.splitlines()[-1].startswith(f"4 {case.modality.item}s; ")
    assert OnnxRecognizer.load(case.modality, path).header["precision"] == "int8"


def test_without_int8_there_is_no_row_of_it(case, tmp_path):
    outcome = case.export(tmp_path / "model.onnx", "--data", case.data, "--threads", 1)
    assert outcome.status == 0
    assert list(table(outcome)) == ["torch", "float32"]


def test_error_rates_are_those_of_evaluate(case, tmp_path):
    exported = case.export(tmp_path / "model.onnx", "--data", case.data, "--threads", 1)
    evaluated = call(case.modality, "evaluate", case.model, case.data)
    cer, wer = table(exported)["torch"][:2]
    assert f"CER {cer} %" in evaluated.out
    assert f"WER {wer} %" in evaluated.out


def test_what_cannot_be_read_is_named_and_the_others_are_measured(case, tmp_path):
    manifest, bad = tmp_path / "some.jsonl", "bad.png" if case.modality.name == "ocr" else "bad.wav"
    (tmp_path / bad).write_bytes(b"nothing")
    good = case.modality.corpora(str(case.data), case.modality.corpus_config()).examples[0].source
    lines = [{"source": source, "text": "abba"} for source in (good, bad)]
    manifest.write_text("\n".join(map(json.dumps, lines)))
    outcome = case.export(tmp_path / "model.onnx", "--data", manifest, "--threads", 1)
    assert outcome.status == 1
    assert f"1 of 2 {case.modality.item}s could not be measured" in outcome.err
    assert outcome.about(bad).startswith("left out: ")
    assert "\n1 " in outcome.out
    assert (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["out.safetensors"], "out.safetensors: name a file that ends with .onnx"),
        (["out.onnx", "--calibration", "lines"], "--calibration is of use with --int8 only"),
        (["out.onnx", "--threads", "-1"], "threads is -1; give 1 or more"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, sentence, case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = case.export(*arguments)
    assert outcome.status == 2
    assert sentence in outcome.err
    assert not (tmp_path / "out.onnx").exists()


def test_an_exported_model_is_not_exported_again(case, tmp_path):
    outcome = call(case.modality, "export", tmp_path / "model.onnx", tmp_path / "other.onnx")
    assert outcome.status == 2
    assert "is exported already; name the .safetensors it was made of" in outcome.about("model.onnx")
    named = {"ocr": "printed", "asr": "english"}[case.modality.name]
    bundled = call(case.modality, "export", named, tmp_path / "other.onnx")
    assert (bundled.status, bundled.err.count("\n")) == (2, 1)
    assert f"{named}: is exported already" in bundled.err

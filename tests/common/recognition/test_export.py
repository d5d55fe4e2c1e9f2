import logging
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from untrained import KINDS, recognizer_of, signals_of

from asr.front_end import ConvolvedSpectrogram
from common.data.batch_plan import padded
from common.decoding.decoder import Decoder, DecodingConfig
from common.files.onnx_file import FORMAT_VERSION, read_onnx
from common.language.kneser_ney import estimate
from common.recognition.configuration import EncoderConfig, HeadConfig, ModelConfig
from common.recognition.export import OPSET, export_onnx
from common.recognition.passages import margins
from common.recognition.recognizer import Recognizer
from common.recognition.runtime import OnnxRecognizer
from common.text.symbols import Names

BOTH = pytest.mark.parametrize("name", list(KINDS))
CELLS = ("lstm", "gru", "rnn_tanh", "rnn_relu")
OCR_SETTINGS = [
    {"stride": stride, "height": height, "deep": deep}
    for stride, height, deep in product([4, 8], ["fold", "pool"], [False, True])
]
ASR_SETTINGS = [
    {"subsampling": subsampling, "normalise": normalise, "deep": deep}
    for subsampling, (normalise, deep) in product([2, 3, 4], [("utterance", True), ("global", False)])
]


@pytest.fixture(autouse=True)
def without_margins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph is compared with the network; margins are put around signals before, as both are tested for."""
    monkeypatch.setattr(margins, "SILENT_STEPS", 0)


def exported(recognizer: Recognizer, path: Path, **how) -> OnnxRecognizer:
    export_onnx(recognizer, path, **how)
    return OnnxRecognizer.load(recognizer.modality, path, threads=1)


def values_of(name: str) -> list[np.ndarray]:
    return [signal.values for signal in signals_of(name)]


def session_of(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def graph_log_probs(
    session: onnxruntime.InferenceSession, values: list[np.ndarray], shortest: int
) -> list[np.ndarray]:
    """Return what the graph gives of a batch, which `runtime` never has it compute."""
    signals, lengths = padded(values, shortest)
    log_probs, steps = session.run(["log_probs", "steps"], {"signals": signals, "lengths": lengths})
    assert log_probs.dtype == np.float32
    assert log_probs.shape[1] == steps.max()
    return [one[:length] for one, length in zip(log_probs, steps, strict=True)]


def check_equal(recognizer: Recognizer, path: Path) -> None:
    """Together, where all but the longest are padded, and alone, which is a batch of another size."""
    export_onnx(recognizer, path)
    session = session_of(path)
    values, shortest = values_of(recognizer.modality.name), recognizer.front_end.shortest
    expected = recognizer.log_probs(values).each()
    for one, found in zip(expected, graph_log_probs(session, values, shortest), strict=True):
        assert one.shape == found.shape
        np.testing.assert_allclose(found, one, rtol=0, atol=1e-4)
    for value, one in list(zip(values, expected, strict=True))[:4]:
        (alone,) = graph_log_probs(session, [value], shortest)
        np.testing.assert_allclose(alone, one, rtol=0, atol=1e-4)


# --- the graph is the recognizer


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [True, False])
def test_every_cell_gives_what_torch_gives(cell, bidirectional, tmp_path):
    encoder = EncoderConfig(cell=cell, hidden_size=7, layers=2, bidirectional=bidirectional)
    recognizer = recognizer_of("ocr", encoder)
    check_equal(recognizer, tmp_path / "model.onnx")


@pytest.mark.parametrize(("name", "bidirectional"), [("ocr", True), ("asr", False)])
@pytest.mark.parametrize(
    "head",
    [HeadConfig("frames"), *(HeadConfig("classify", pooling=one) for one in ("last", "mean", "attention"))],
    ids=["frames", "last", "mean", "attention"],
)
def test_labels_of_steps_and_of_the_whole_are_those_of_torch(name, bidirectional, head, tmp_path):
    torch.manual_seed(0)
    kind = KINDS[name]
    encoder = EncoderConfig(hidden_size=6, layers=2, bidirectional=bidirectional)
    config = ModelConfig(kind.signal, kind.front_end, encoder, head)
    check_equal(Recognizer(kind.modality, config, Names(("a", "b", "c d"))).eval(), tmp_path / "model.onnx")


@pytest.mark.parametrize(
    "encoder",
    [
        EncoderConfig(hidden_size=6, layers=3, residual=True),
        EncoderConfig(hidden_size=6, layers=1, residual=True, bidirectional=False, cell="gru"),
        EncoderConfig(hidden_size=5, layers=2, residual=True, shortcut=True),  # E is D: no entry
    ],
)
def test_residual_layers_and_a_shortcut_give_what_torch_gives(encoder, tmp_path):
    recognizer = recognizer_of("ocr", encoder)
    assert (recognizer.encoder.entry is None) == (encoder.hidden_size == 5)
    check_equal(recognizer, tmp_path / "model.onnx")


@pytest.mark.parametrize("settings", OCR_SETTINGS)
def test_every_front_end_for_lines_gives_what_torch_gives(settings, tmp_path):
    recognizer = recognizer_of("ocr", **settings)
    check_equal(recognizer, tmp_path / "model.onnx")


@pytest.mark.parametrize("settings", ASR_SETTINGS)
def test_every_front_end_for_sound_gives_what_torch_gives(settings, tmp_path):
    recognizer = recognizer_of("asr", **settings)
    check_equal(recognizer, tmp_path / "model.onnx")


@pytest.mark.parametrize("floor", ["relative", "fixed"])
def test_faint_sound_and_digital_silence_give_what_torch_gives(floor, tmp_path):
    recognizer = recognizer_of("asr", floor=floor)
    export_onnx(recognizer, tmp_path / "model.onnx")
    sound = np.float32(0.1) * np.random.default_rng(3).standard_normal(4000, dtype=np.float32)
    silence = np.zeros(3000, np.float32)
    values = [np.concatenate([sound, silence, sound]), silence, np.float32(1e-4) * sound]
    expected = recognizer.log_probs(values).each()
    found = graph_log_probs(session_of(tmp_path / "model.onnx"), values, recognizer.front_end.shortest)
    for one, other in zip(expected, found, strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("window_ms", "hop_ms"), [(25.0, 10.0), (32.0, 10.0), (25.25, 9.75), (10.0, 10.0)])
def test_a_convolution_with_waves_is_the_mel_spectrogram(window_ms, hop_ms):
    front_end = recognizer_of("asr", window_ms=window_ms, hop_ms=hop_ms).front_end
    samples = 0.1 * torch.randn(2, 3000, generator=torch.Generator().manual_seed(1))
    expected = front_end.spectrogram(samples)
    found = ConvolvedSpectrogram(front_end.spectrogram)(samples)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6 * expected.max().item())


@BOTH
def test_padding_and_batch_mates_change_nothing(name, tmp_path):
    recognizer, path = recognizer_of(name), tmp_path / "model.onnx"
    export_onnx(recognizer, path)
    session, values, shortest = session_of(path), values_of(name), recognizer.front_end.shortest
    for value, among in zip(values, graph_log_probs(session, values, shortest), strict=True):
        (alone,) = graph_log_probs(session, [value], shortest)
        np.testing.assert_allclose(among, alone, rtol=0, atol=1e-5)


@BOTH
def test_exporting_changes_nothing_in_the_recognizer(name, tmp_path):
    recognizer = recognizer_of(name).train()
    before = {key: value.clone() for key, value in recognizer.state_dict().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export_onnx(recognizer, tmp_path / "model.onnx")
    assert recognizer.training and recognizer.front_end.training
    after = recognizer.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)


# --- int8


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("calibrated", [False, True])
def test_int8_is_close_and_small(name, calibrated, tmp_path):
    recognizer = recognizer_of(name, EncoderConfig(hidden_size=48, residual=name == "asr"), deep=True)
    values = values_of(name)
    export_onnx(recognizer, tmp_path / "float32.onnx")
    other = exported(recognizer, tmp_path / "int8.onnx", int8=True, calibration=values if calibrated else ())
    assert (tmp_path / "int8.onnx").stat().st_size < 0.6 * (tmp_path / "float32.onnx").stat().st_size
    expected, found = recognizer.log_probs(values).each(), other.log_probs(values).each()
    assert [one.shape for one in found] == [one.shape for one in expected]
    differences = np.concatenate(
        [np.abs(np.exp(a) - np.exp(b)).ravel() for a, b in zip(expected, found, strict=True)]
    )
    assert differences.mean() < 0.02
    assert other.header["precision"] == "int8"


@BOTH
def test_only_what_gains_from_it_is_int8(name, tmp_path):
    recognizer = recognizer_of(name)
    export_onnx(recognizer, tmp_path / "int8.onnx", int8=True, calibration=values_of(name)[1:5])
    graph = onnx.load(tmp_path / "int8.onnx").graph
    produced = {output: node for node in graph.node for output in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    in_int8 = [one for one in convolutions if one.input[1] in produced]  # its kernel is dequantised
    assert len(in_int8) == len(recognizer.front_end.blocks) - 1
    assert [node.op_type for node in graph.node if "LSTM" in node.op_type] == ["DynamicQuantizeLSTM"] * 2
    matrices = [node for node in graph.node if node.op_type.startswith("MatMul")]
    assert {node.op_type for node in matrices} == {"MatMul"}, "of the head, and of the spectrogram"


def test_cells_that_onnxruntime_has_no_int8_for_are_said_to_stay_float32(tmp_path, caplog):
    recognizer = recognizer_of("ocr", EncoderConfig(cell="gru", hidden_size=8, layers=1))
    with caplog.at_level(logging.WARNING):
        export_onnx(recognizer, tmp_path / "int8.onnx", int8=True)
    assert [record.message for record in caplog.records] == [
        "cells of kind gru stay in float32: onnxruntime supports only the lstm in int8"
    ]
    check_equal(recognizer, tmp_path / "float32.onnx")
    shortest, values = recognizer.front_end.shortest, values_of("ocr")
    left, right = (
        graph_log_probs(session_of(tmp_path / f"{name}.onnx"), values, shortest)
        for name in ("int8", "float32")
    )
    assert all(map(np.array_equal, left, right))


# --- the file


@BOTH
def test_the_file_is_onnx_of_the_stated_opset_with_free_sizes(name, tmp_path):
    export_onnx(recognizer_of(name), tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", OPSET)]

    def sizes(value):
        return [one.dim_param or one.dim_value for one in value.type.tensor_type.shape.dim]

    signals, lengths = model.graph.input
    assert (signals.name, lengths.name) == ("signals", "lengths")
    assert sizes(signals) == (["B", "T", 24] if name == "ocr" else ["B", "T"])
    assert sizes(lengths) == ["B"]
    assert [output.name for output in model.graph.output] == ["log_probs", "steps"]


@pytest.mark.parametrize("int8", [False, True])
def test_all_that_describes_the_model_is_in_the_file(int8, tmp_path):
    recognizer = recognizer_of("asr", card={"licence": "MIT", "dev": {"cer": 0.25}, "languages": ["é"]})
    recognizer.save(tmp_path / "model.safetensors")
    export_onnx(recognizer, tmp_path / "model.onnx", int8)
    header = read_onnx(tmp_path / "model.onnx").header
    assert header["modality"] == "asr"
    assert header["card"] == {"licence": "MIT", "dev": {"cer": 0.25}, "languages": ["é"]}
    assert header["config"]["front_end"]["mels"] == 24
    assert header["alphabet"] == recognizer.alphabet.to_dict()
    assert (header["stride"], header["offset"]) == (recognizer.stride, recognizer.offset)
    assert (header["opset"], header["format_version"]) == (OPSET, FORMAT_VERSION)
    assert header["precision"] == ("int8" if int8 else "float32")
    assert header["parameters"] == recognizer.parameter_count


def test_language_models_lexicon_and_settings_travel_in_the_file(tmp_path):
    recognizer = recognizer_of("ocr")
    models = [estimate(["abba", "bad cab", "a bad cad"], 3, unit) for unit in ("character", "word")]
    config = DecodingConfig("beam", beam_width=7, unknown_word_penalty=2.0, temperature=1.5)
    recognizer.decoder = Decoder(recognizer.alphabet, config, models, ["abba", "café"])
    found = exported(recognizer, tmp_path / "model.onnx").decoder
    assert found.config == config
    assert found.words == ["abba", "café"]
    for ours, theirs in zip(found.models, models, strict=True):
        left, right = ours.to_arrays(), theirs.to_arrays()
        assert left.keys() == right.keys()
        assert all(np.array_equal(left[key], right[key]) for key in left)


def test_what_stood_there_stands_if_the_export_fails(tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"before")
    recognizer = recognizer_of("ocr", card={"when": object()})  # no JSON
    with pytest.raises(TypeError):
        export_onnx(recognizer, path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]

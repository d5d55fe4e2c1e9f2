"""The truth is the same recognizer given the whole signal."""

import tracemalloc
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from untrained import KINDS, recognizer_of, signals_of

from common.files.header import KEY
from common.files.onnx_file import metadata, read_onnx
from common.recognition.configuration import EncoderConfig, HeadConfig, ModelConfig
from common.recognition.export import export_onnx
from common.recognition.recognizer import Recognizer
from common.recognition.runtime import OnnxRecognizer
from common.recognition.streams.steps import PIECE_STEPS, StepStream
from common.text.symbols import Names

ENCODER = EncoderConfig(hidden_size=8, layers=2, bidirectional=False)
SIZES = {"ocr": 30, "asr": 1200}
"""longest pieces: a few steps"""
SETTINGS = [
    *(("ocr", {"stride": stride, "deep": deep}) for stride, deep in product([4, 8], [False, True])),
    *(
        ("asr", {"normalise": "global", "subsampling": subsampling, "deep": deep})
        for subsampling, deep in product([2, 3, 4], [False, True])
    ),
]
RUNTIMES = pytest.mark.parametrize("runtime", ["torch", "onnx"])


def one_way(name: str, encoder: EncoderConfig = ENCODER, **front_end: object) -> Recognizer:
    return recognizer_of(name, encoder, **({"normalise": "global"} if name == "asr" else {}) | front_end)


@cache
def model_of(runtime: str, name: str) -> Recognizer | OnnxRecognizer:
    """Return a recognizer of the first settings on a runtime; tests that share it change nothing in it."""
    with TemporaryDirectory() as folder:
        return on(runtime, one_way(name), Path(folder))


def on(runtime: str, recognizer: Recognizer, folder: Path, **how: object) -> Recognizer | OnnxRecognizer:
    """Return the recognizer on a runtime."""
    if runtime == "torch":
        return recognizer
    export_onnx(recognizer, folder / "model.onnx", **how)
    return OnnxRecognizer.load(recognizer.modality, folder / "model.onnx", threads=1)


def in_pieces(
    recognizer: Recognizer | OnnxRecognizer, values: np.ndarray, longest: int, seed: int = 0
) -> np.ndarray:
    """Return the log-probabilities (S, C) of `values`, fed in pieces of 0 to `longest` signal steps."""
    stream = StepStream(recognizer)
    cuts = np.cumsum(np.random.default_rng(seed).integers(0, longest + 1, len(values)))
    found = [stream.feed(piece) for piece in np.split(values, cuts[cuts < len(values)])]
    found.append(stream.finish())
    assert stream.received == len(values)
    assert stream.steps == sum(map(len, found))
    return np.concatenate([piece for piece in found if len(piece)])


def check(recognizer: Recognizer | OnnxRecognizer, longest: int, tolerance: float = 1e-4) -> None:
    for seed, signal in enumerate(signals_of(recognizer.modality.name)):
        (whole,) = recognizer.log_probs([signal.values]).each()
        found = in_pieces(recognizer, signal.values, longest, seed)
        assert found.dtype == whole.dtype
        np.testing.assert_allclose(np.exp(found), np.exp(whole), rtol=0, atol=tolerance)


# --- pieces equal the whole


@RUNTIMES
@pytest.mark.parametrize(("name", "front_end"), SETTINGS, ids=str)
def test_pieces_give_what_the_whole_gives(runtime, name, front_end, tmp_path):
    check(on(runtime, one_way(name, **front_end), tmp_path), SIZES[name])


@RUNTIMES
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh", "rnn_relu"])
def test_so_they_do_with_every_cell(runtime, cell, residual, tmp_path):
    encoder = EncoderConfig(cell=cell, hidden_size=8, layers=3, bidirectional=False, residual=residual)
    check(on(runtime, one_way("asr", encoder), tmp_path), 500)


@pytest.mark.slow
@RUNTIMES
@pytest.mark.parametrize("name", ["ocr", "asr"])
def test_so_they_do_in_any_sizes(runtime, name):
    recognizer, signals = model_of(runtime, name), signals_of(name)

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, len(signals) - 1), st.integers(1, SIZES[name]), st.integers(0, 2**32))
    def checked(place, longest, seed):
        (whole,) = recognizer.log_probs([signals[place].values]).each()
        found = in_pieces(recognizer, signals[place].values, longest, seed)
        np.testing.assert_allclose(found, whole, rtol=0, atol=1e-4)

    checked()


def test_in_int8_they_differ_by_the_rounding_of_inputs_only(tmp_path):
    check(on("onnx", one_way("asr"), tmp_path, int8=True), 1200, tolerance=0.005)


@RUNTIMES
def test_pieces_longer_than_what_is_computed_at_a_time_give_what_the_whole_gives(runtime):
    recognizer = model_of(runtime, "asr")
    size = int(2.5 * PIECE_STEPS * recognizer.stride)
    values = np.resize(signals_of("asr")[1].values, size)
    (whole,) = recognizer.log_probs([values]).each()
    np.testing.assert_allclose(in_pieces(recognizer, values, 2 * size), whole, rtol=0, atol=1e-4)


@RUNTIMES
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_model_that_labels_steps_can_follow_a_stream(runtime, cell, tmp_path):
    torch.manual_seed(0)
    kind = KINDS["asr"]
    config = ModelConfig(
        kind.signal,
        replace(kind.front_end, normalise="global"),
        replace(ENCODER, cell=cell),
        HeadConfig("frames"),
    )
    check(on(runtime, Recognizer(kind.modality, config, Names(("speech",))).eval(), tmp_path), 1200)


@RUNTIMES
@pytest.mark.parametrize("size", [0, 1, 60, 119])
def test_less_than_a_step_is_padded_as_it_is_alone(runtime, size):
    recognizer = model_of(runtime, "asr")
    values = signals_of("asr")[1].values[2000 : 2000 + size]
    (whole,) = recognizer.log_probs([values]).each()
    np.testing.assert_allclose(in_pieces(recognizer, values, 1200), whole, rtol=1e-5, atol=1e-5)


# --- when, and with how much memory


@RUNTIMES
def test_a_step_is_computed_as_soon_as_what_it_sees_is_there(runtime):
    recognizer = model_of(runtime, "asr")
    _, after = recognizer.context
    stream = StepStream(recognizer)
    stream.feed(np.zeros(3 * recognizer.stride + after - 1, np.float32))  # of what the third step sees
    assert stream.steps == 2
    assert stream.feed(np.zeros(1, np.float32)).shape == (1, recognizer.alphabet.classes)
    assert stream.steps == 3


@RUNTIMES
def test_what_was_heard_is_not_kept(runtime):
    stream, minute = StepStream(model_of(runtime, "asr")), np.zeros(60 * 4000, np.float32)
    stream.feed(minute)
    tracemalloc.start()
    for _ in range(5):
        stream.feed(minute)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < minute.nbytes / 10
    assert stream.received == 6 * len(minute)


# --- what cannot follow a stream


@RUNTIMES
@pytest.mark.parametrize(
    ("bidirectional", "normalise", "wanted"),
    [
        (True, "global", ["--no-bidirectional"]),
        (False, "utterance", ["--normalise global"]),
        (True, "utterance", ["--no-bidirectional", "--normalise global"]),
    ],
)
def test_a_model_that_must_see_the_whole_says_how_to_train_another(
    runtime, bidirectional, normalise, wanted, tmp_path
):
    encoder = EncoderConfig(hidden_size=8, layers=1, bidirectional=bidirectional)
    recognizer = on(runtime, recognizer_of("asr", encoder, normalise=normalise), tmp_path)
    with pytest.raises(ValueError, match="cannot follow a stream") as caught:
        StepStream(recognizer)
    flags = ["--no-bidirectional", "--normalise global"]
    assert [flag for flag in flags if flag in str(caught.value)] == wanted


@RUNTIMES
def test_a_model_with_one_label_for_the_whole_cannot_follow_a_stream(runtime, tmp_path):
    kind = KINDS["asr"]
    config = ModelConfig(
        kind.signal, replace(kind.front_end, normalise="global"), ENCODER, HeadConfig("classify")
    )
    recognizer = on(runtime, Recognizer(kind.modality, config, Names(("a", "b"))).eval(), tmp_path)
    with pytest.raises(ValueError, match="--task classify cannot follow a stream; take one of ctc or frames"):
        StepStream(recognizer)


def test_a_model_exported_before_there_were_streams_says_so_and_transcribes(tmp_path):
    wanted = on("onnx", one_way("asr"), tmp_path).log_probs([signals_of("asr")[1].values])
    file = read_onnx(tmp_path / "model.onnx")
    model = onnx.load_from_string(file.raw)
    del model.metadata_props[:]
    header = {key: value for key, value in file.header.items() if key != "stream"}
    (entry,) = metadata(header, {}).items()
    assert entry[0] == KEY
    model.metadata_props.add(key=entry[0], value=entry[1])
    (tmp_path / "old.onnx").write_bytes(model.SerializeToString())
    old = OnnxRecognizer.load(KINDS["asr"].modality, tmp_path / "old.onnx", threads=1)
    np.testing.assert_array_equal(old.log_probs([signals_of("asr")[1].values]).values, wanted.values)
    with pytest.raises(ValueError, match=r"exported by a version .* export its \.safetensors again"):
        StepStream(old)


@RUNTIMES
def test_a_piece_of_another_shape_is_refused(runtime):
    with pytest.raises(ValueError, match=r"shape \(5, 2\), where \(T\) was wanted"):
        StepStream(model_of(runtime, "asr")).feed(np.zeros((5, 2), np.float32))
    height = KINDS["ocr"].signal.height_px
    with pytest.raises(ValueError, match=rf"shape \(5,\), where \(T, {height}\) was wanted"):
        StepStream(model_of(runtime, "ocr")).feed(np.zeros(5, np.float32))

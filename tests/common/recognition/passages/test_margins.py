"""The truth of these tests is the network itself, over signals with silence around them."""

import numpy as np
import pytest
import torch
from untrained import RATE_HZ, recognizer_of, signals_of

from common.recognition.configuration import EncoderConfig
from common.recognition.export import export_onnx
from common.recognition.passages.margins import SILENT_STEPS, with_margin, without_margins
from common.recognition.runtime import OnnxRecognizer

SHORT = [signal.values for signal in signals_of("asr")]


@torch.inference_mode()
def computed(recognizer, signal):
    """Return the log-probabilities (S, C) of the network for one signal."""
    return recognizer.step_log_probs(torch.from_numpy(signal)[None], torch.tensor([len(signal)])).each()[0]


def test_margins_are_whole_steps_and_are_taken_away_again():
    signal = np.ones((5, 2), np.float32)
    assert with_margin(signal, 0, 4) is signal
    assert with_margin(signal, 3, 4).sum(1).tolist() == [0] * 12 + [2] * 5 + [0] * 12
    values = np.arange(2 * 9).reshape(2, 9, 1).astype(float)
    found, lengths = without_margins(values, np.array([9, 6]), [3, 0])
    assert lengths.tolist() == [3, 6]
    assert found[0, :3, 0].tolist() == [3, 4, 5] and found[1, :6, 0].tolist() == [9, 10, 11, 12, 13, 14]
    assert values[0, 0, 0] == 0  # not changed
    assert without_margins(values, np.array([9, 6]), [0, 0])[0] is values


def test_short_sound_is_computed_with_silence_around_it(tmp_path):
    recognizer = recognizer_of("asr")
    export_onnx(recognizer, tmp_path / "model.onnx")
    exported = OnnxRecognizer.load(recognizer.modality, tmp_path / "model.onnx", 1)
    long = np.tile(SHORT[1], 3)
    assert len(long) > 2 * RATE_HZ > len(SHORT[1])
    signals = [*SHORT[1:4], long]
    wanted = [
        computed(recognizer, with_margin(signal, SILENT_STEPS, recognizer.stride))[SILENT_STEPS:-SILENT_STEPS]
        for signal in signals[:3]
    ]
    wanted.append(computed(recognizer, long))
    for model in (recognizer, exported):
        for one, other in zip(model.log_probs(signals).each(), wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)
    without = computed(recognizer, SHORT[1])
    assert without.shape == wanted[0].shape and np.abs(without - wanted[0]).max() > 0.01


def test_models_that_read_one_way_and_lines_have_no_margins():
    forwards = recognizer_of("asr", EncoderConfig(hidden_size=8, layers=1, bidirectional=False))
    lines = recognizer_of("ocr")
    for recognizer, signal in ((forwards, SHORT[1]), (lines, signals_of("ocr")[1].values)):
        assert recognizer.margin(signal) == 0
        np.testing.assert_allclose(
            recognizer.log_probs([signal]).each()[0], computed(recognizer, signal), rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("length", [1, 39, 2 * RATE_HZ - 1, 2 * RATE_HZ])
def test_the_number_of_steps_is_that_of_the_signal(length):
    recognizer = recognizer_of("asr")
    signal = np.resize(SHORT[1], length)
    (found,) = recognizer.log_probs([signal]).each()
    assert len(found) == recognizer.front_end.output_lengths(torch.tensor(length)).clamp(min=1)
    assert (recognizer.margin(signal) > 0) == (length < 2 * RATE_HZ)

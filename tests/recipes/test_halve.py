"""The truth of these tests is the model before it is halved."""

import numpy as np
import pytest
from halve import halve
from untrained import recognizer_of, signals_of

from common.files.model_file import read_model, write_model
from common.recognition.recognizer import Recognizer


def test_a_halved_model_is_half_as_large_and_gives_the_same_except_for_rounding(tmp_path):
    model = recognizer_of("asr", card={"licence": "MIT"})
    model.save(tmp_path / "whole.safetensors")
    halve(str(tmp_path / "whole.safetensors"), str(tmp_path / "half.safetensors"))
    weights = [
        sum(values.nbytes for values in read_model(tmp_path / f"{name}.safetensors").tensors.values())
        for name in ("half", "whole")
    ]
    assert 2 * weights[0] == weights[1]
    halved = Recognizer.load(model.modality, tmp_path / "half.safetensors")
    assert halved.card == model.card
    values = [signals_of("asr")[1].values]
    (before,), (after,) = model.log_probs(values).each(), halved.log_probs(values).each()
    np.testing.assert_allclose(np.exp(after), np.exp(before), atol=0.02)


def test_a_weight_beyond_float16_is_refused(tmp_path):
    write_model(tmp_path / "large.safetensors", {"gain": np.float32([7e4])}, {})
    with pytest.raises(ValueError, match=r"large.safetensors: gain has a value that float16 cannot hold"):
        halve(str(tmp_path / "large.safetensors"), str(tmp_path / "half.safetensors"))

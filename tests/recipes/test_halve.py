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


@pytest.mark.parametrize(("bits", "wanted"), [(10, 1.3330078125), (6, 1.328125), (1, 1.5)])
def test_the_fraction_is_rounded_to_the_bits_that_are_asked_for(tmp_path, bits, wanted):
    source, target = tmp_path / "whole.safetensors", tmp_path / "half.safetensors"
    values = np.float32([4 / 3, -4 / 3, 1 / 3, 0.0, 1.99999])
    write_model(source, {"gain": values, "count": np.int64([3])}, {})
    halve(str(source), str(target), bits)
    tensors = read_model(target).tensors
    assert tensors["gain"].tolist() == [wanted, -wanted, wanted / 4, 0.0, 2.0]
    assert tensors["count"].tolist() == [3]


def test_a_weight_that_rounding_makes_too_large_is_refused_and_so_are_no_bits(tmp_path):
    write_model(tmp_path / "large.safetensors", {"gain": np.float32([65504])}, {})
    for bits, said in ((6, "gain has a value that float16 cannot hold"), (0, "0 bits of the fraction")):
        with pytest.raises(ValueError, match=said):
            halve(str(tmp_path / "large.safetensors"), str(tmp_path / "half.safetensors"), bits)

"""The truth of these tests is the model before it is stored in 8 bits, and arithmetic."""

import numpy as np
import pytest
from eight_bits import store
from safetensors.numpy import load_file
from untrained import recognizer_of, signals_of

from common.files.model_file import read_model, write_model
from common.recognition.recognizer import Recognizer


def stored(tmp_path, tensors):
    """Return the tensors that are read after `tensors` were stored in 8 bits."""
    source, target = tmp_path / "whole.safetensors", tmp_path / "small.safetensors"
    write_model(source, tensors, {})
    store(str(source), str(target))
    return read_model(target).tensors


def test_a_stored_model_is_much_smaller_and_gives_the_same_except_for_rounding(tmp_path):
    model = recognizer_of("asr", card={"licence": "MIT"})
    paths = [tmp_path / "whole.safetensors", tmp_path / "small.safetensors"]
    model.save(paths[0])
    store(*map(str, paths))
    whole, small = (sum(values.nbytes for values in load_file(path).values()) for path in paths)
    assert small < 0.4 * whole
    again = Recognizer.load(model.modality, paths[1])
    assert again.card == model.card
    values = [signals_of("asr")[1].values]
    (before,), (after,) = model.log_probs(values).each(), again.log_probs(values).each()
    np.testing.assert_allclose(np.exp(after), np.exp(before), atol=0.02)


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_each_row_has_its_own_scale(tmp_path, kind):
    values = np.array([[1.27, -0.64, 0.004], [0.0, 0.0, 0.0], [-254.0, 3.1, 2.9]], kind)
    found = stored(tmp_path, {"weight": values})["weight"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[1.27, -0.64, 0.0], [0, 0, 0], [-254, 4, 2]], rtol=1e-3, atol=1e-6)


def test_a_kernel_has_one_scale_and_what_is_no_matrix_stays_exact(tmp_path):
    kernel = np.float32([[[1.0, -127.0]], [[0.5, 63.5]]])
    kept = {"bias": np.float32([1 / 3]), "count": np.int64([[3, 400]]), "half": np.float16([0.1])}
    found = stored(tmp_path, {"kernel": kernel, **kept})
    assert found["kernel"].tolist() == kernel.tolist()
    for name, values in kept.items():
        assert found[name].dtype == values.dtype and found[name].tolist() == values.tolist()
    assert set(found) == {"kernel", *kept}


def test_a_weight_that_is_not_finite_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"whole.safetensors: gain has a value that is not finite"):
        stored(tmp_path, {"gain": np.float32([[1, np.inf]])})

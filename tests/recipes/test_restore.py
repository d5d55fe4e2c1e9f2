"""The truth of these tests is the model that was exported."""

import numpy as np
import pytest
from restore import restored
from untrained import KINDS, recognizer_of, signals_of

from common.recognition.configuration import EncoderConfig
from common.recognition.export import export_onnx
from common.recognition.recognizer import Recognizer


def again(recognizer: Recognizer, folder, **how) -> Recognizer:
    path = folder / "model.onnx"
    export_onnx(recognizer, path, **how)
    return restored(recognizer.modality, path)


@pytest.mark.parametrize("name", list(KINDS))
@pytest.mark.parametrize("both_ways", [True, False])
@pytest.mark.parametrize("residual", [True, False])
def test_a_restored_network_gives_what_the_exported_one_gave(name, both_ways, residual, tmp_path):
    encoder = EncoderConfig(
        hidden_size=8, layers=2, bidirectional=both_ways, residual=residual, shortcut=True
    )
    model = recognizer_of(name, encoder, card={"licence": "MIT"})
    values = [signals_of(name)[1].values]
    (before,), (after,) = model.log_probs(values).each(), again(model, tmp_path).log_probs(values).each()
    np.testing.assert_allclose(after, before, atol=1e-4)
    (rounded,) = again(model, tmp_path, int8=True).log_probs(values).each()
    assert 0 < np.abs(np.exp(rounded) - np.exp(before)).max() < 0.05
    restored_again = again(model, tmp_path)
    assert restored_again.card == model.card and restored_again.alphabet == model.alphabet


def test_its_layers_learn_on_as_those_it_came_from(tmp_path):
    model = recognizer_of("asr")
    names = {name for name, _ in model.named_parameters()}
    found = again(model, tmp_path)
    assert {name for name, _ in found.named_parameters()} == names
    assert all(parameter.requires_grad for parameter in found.parameters())


def test_int8_convolutions_are_refused(tmp_path):
    model, calibration = recognizer_of("ocr"), [one.values for one in signals_of("ocr")[1:4]]
    with pytest.raises(ValueError, match="name a model without int8 convolutions"):
        again(model, tmp_path, int8=True, calibration=calibration)

"""The truth of these tests is the model that was exported."""

import numpy as np
import pytest
import restore
import torch
from restore import restored
from untrained import KINDS, recognizer_of, signals_of

from common.data.batching import Batch
from common.decoding.decoder import Decoder, DecodingConfig
from common.language.kneser_ney import estimate
from common.recognition.configuration import EncoderConfig
from common.recognition.export import export_onnx
from common.recognition.recognizer import Recognizer
from ocr.modality import OCR


def again(recognizer: Recognizer, folder, **how) -> Recognizer:
    path = folder / "model.onnx"
    export_onnx(recognizer, path, **how)
    return restored(recognizer.modality, path)[0]


@pytest.mark.parametrize("name", list(KINDS))
@pytest.mark.parametrize("both_ways", [True, False])
@pytest.mark.parametrize("residual", [True, False])
def test_a_restored_network_gives_what_the_exported_one_gave(name, both_ways, residual, tmp_path):
    encoder = EncoderConfig(hidden_size=8, bidirectional=both_ways, residual=residual, shortcut=True)
    model = recognizer_of(name, encoder, card={"licence": "MIT"})
    ngrams = estimate(["abc", "cab"], order=2)
    model.decoder = Decoder(model.alphabet, DecodingConfig(decoder="beam", lm_weight=0.7), [ngrams])
    values = [signals_of(name)[1].values]
    plain, small = again(model, tmp_path), again(model, tmp_path, int8=True)
    before, after, rounded = (one.log_probs(values).each()[0] for one in (model, plain, small))
    np.testing.assert_allclose(after, before, atol=1e-4)
    assert 0 < np.abs(np.exp(rounded) - np.exp(before)).max() < 0.05
    assert plain.card == model.card and plain.alphabet == model.alphabet
    assert plain.decoder.config == model.decoder.config
    kept, given = plain.decoder.models[0].to_arrays(), ngrams.to_arrays()
    assert all(np.array_equal(kept[key], given[key]) for key in given)


def test_each_layer_learns_on_as_it_would_have(tmp_path):
    model = recognizer_of("asr", EncoderConfig(hidden_size=8, residual=True))
    found = again(model, tmp_path)
    signal = torch.from_numpy(signals_of("asr")[1].values)[None]
    batch = Batch(
        signal,
        torch.tensor([signal.shape[1]]),
        torch.tensor([[1, 2]]),
        torch.tensor([2]),
        ["one"],
        [0],
        1,
        [],
    )
    for one in (model, found):
        one.eval().losses(batch)[0].backward()
    gradients = {name: parameter.grad for name, parameter in found.named_parameters()}
    for name, parameter in model.named_parameters():
        if not name.endswith("convolution.weight"):  # of a kernel that is as long as it likes
            torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-3, atol=1e-3)


def refusal(path, modality=OCR) -> str:
    with pytest.raises(ValueError) as raised:
        restored(modality, path)
    return str(raised.value)


def test_what_the_graph_does_not_hold_as_it_was_trained_is_refused(tmp_path):
    path = tmp_path / "model.onnx"
    calibration = [one.values for one in signals_of("ocr")[1:4]]
    export_onnx(recognizer_of("ocr"), path, int8=True, calibration=calibration)
    assert "has no front_end.blocks" in refusal(path)
    assert "name a model without int8 convolutions" in refusal(path)
    export_onnx(recognizer_of("ocr", EncoderConfig(hidden_size=8, cell="gru")), path)
    assert "a model of --task ctc and --cell gru; name one of ctc and lstm" in refusal(path)
    export_onnx(recognizer_of("asr", normalise="global"), path)
    assert "has no front_end.band_mean" in refusal(path, KINDS["asr"].modality)
    assert "a model for `asr`" in refusal(path)


def test_the_command_writes_a_model_and_says_how_near_it_is(tmp_path, monkeypatch, capsys):
    model, path, target = recognizer_of("ocr"), tmp_path / "model.onnx", tmp_path / "model.safetensors"
    export_onnx(model, path, int8=True)
    monkeypatch.setattr("sys.argv", ["restore.py", "ocr", str(path), str(target)])
    restore.main()
    assert "differ by 0.0" in capsys.readouterr().out
    values = [signals_of("ocr")[1].values]
    (before,), (after,) = (
        model.log_probs(values).each(),
        Recognizer.load(OCR, target).log_probs(values).each(),
    )
    np.testing.assert_allclose(np.exp(after), np.exp(before), atol=0.05)
    target.unlink()
    monkeypatch.setattr(restore, "distance", lambda *_: float("nan"))
    with pytest.raises(ValueError, match="differ by nan"):
        restore.main()
    assert not target.exists()

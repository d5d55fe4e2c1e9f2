"""The truth of these tests is the mean of the probabilities, and what is left of them after the division."""

import csv
import sys
from pathlib import Path

import numpy as np
import soundfile
from label_prior import SMALLEST, main, prior_of, take_out
from untrained import RATE_HZ, recognizer_of

from common.recognition.recognizer import Recognizer


def corpus_of(folder: Path) -> Path:
    """Write three sounds of different lengths and their manifest."""
    rng, path = np.random.default_rng(3), folder / "sounds.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["wav_filename", "transcript"])
        for number in range(3):
            name = folder / f"{number}.wav"
            samples = 0.1 * rng.standard_normal(RATE_HZ * (number + 1) // 2)
            soundfile.write(name, samples, RATE_HZ)
            rows.writerow([name, "abc"])
    return path


def test_the_prior_is_the_mean_over_all_steps(tmp_path):
    model, path = recognizer_of("asr"), corpus_of(tmp_path)
    signals = [model.modality.read(tmp_path / f"{n}.wav", model.signal_config).values for n in range(3)]
    steps = np.concatenate([np.exp(model.log_probs([one]).values[0]) for one in signals])
    found = prior_of(model, str(path), 400, 1)
    np.testing.assert_allclose(found, steps.mean(0), rtol=1e-4)
    assert len(prior_of(model, str(path), 1, 1)) == model.alphabet.classes


def test_what_is_taken_out_divides_the_probabilities():
    model = recognizer_of("asr")
    signal = 0.1 * np.random.default_rng(0).standard_normal(RATE_HZ).astype(np.float32)
    before = model.log_probs([signal]).values[0]
    prior = np.exp(before).mean(0)
    prior[3] = 0.0  # a label that never occurs
    take_out(model.head, prior, 0.4)
    divided = np.exp(before) / np.maximum(prior, SMALLEST) ** 0.4
    wanted = divided / divided.sum(1, keepdims=True)
    np.testing.assert_allclose(np.exp(model.log_probs([signal]).values[0]), wanted, rtol=1e-3)


def test_the_command_writes_a_model_without_the_prior(tmp_path, monkeypatch, capsys):
    model, path = recognizer_of("asr"), corpus_of(tmp_path)
    model.save(tmp_path / "model.safetensors")
    files = [str(tmp_path / name) for name in ("model.safetensors", "flat.safetensors")]
    monkeypatch.setattr(sys, "argv", ["label_prior.py", "asr", *files, str(path), "--weight", "1"])
    main()
    assert "of the prior is taken out" in capsys.readouterr().out
    take_out(model.head, prior_of(model, str(path), 400, 1), 1.0)
    again = Recognizer.load(model.modality, files[1])
    np.testing.assert_allclose(
        again.head.linear.bias.detach().numpy(), model.head.linear.bias.detach().numpy(), rtol=1e-4
    )

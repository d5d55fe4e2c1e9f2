"""They repeat training and decoding of the CPU; without one they check that differences are seen."""

from pathlib import Path

import gpu_equality
import numpy as np
import pytest
from gpu_data import draw_data
from gpu_equality import (
    TASKS,
    command_differences,
    lines_apart,
    network_differences,
    points_apart,
    share_apart,
)

from asr.modality import ASR
from ocr.modality import OCR


@pytest.fixture(autouse=True)
def exact_products():
    """TF32 has 10 bits; it is off by default for matrices, but not for convolutions."""
    import torch

    before, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.mark.gpu
@pytest.mark.parametrize("task", TASKS)
def test_loss_gradients_and_probabilities_of_a_task_are_those_of_the_cpu(task):
    assert [one for one in network_differences(task, "cuda") if not one.equal] == []


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.parametrize("modality", [OCR, ASR], ids=["ocr", "asr"])
def test_commands_print_what_they_print_on_the_cpu(modality, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    draw_data(tmp_path, 1, 6, 4.0)
    differences = command_differences(modality, tmp_path, "cuda", quick=True)
    assert [one for one in differences if not one.equal] == []


@pytest.mark.parametrize("task", ["ctc, ocr", "frames", "language model"])
def test_a_device_that_computes_something_else_is_noticed(task, monkeypatch):
    """The first network of each pair, that of the device, has a weight of its last layer changed."""
    assert all(one.largest == 0 for one in network_differences(task, "cpu"))
    calls, copy = [], gpu_equality.copy.deepcopy

    def changed(network):
        calls.append(network)
        again = copy(network)
        if len(calls) % 2:
            *_, last = again.parameters()
            last.data[0] += 0.1
        return again

    monkeypatch.setattr(gpu_equality.copy, "deepcopy", changed)
    assert not any(one.equal for one in network_differences(task, "cpu"))


def test_values_are_compared_one_by_one_or_by_edits():
    text = '{"text": "a cat", "words": [{"start": 1.0, "end": 2}]}\n'
    assert lines_apart(text, text.replace("1.0", "1.01")) == 0
    assert lines_apart(text, text.replace("1.0", "1.1")) == pytest.approx(1 / 3)
    rates = "%WER 6.59 [ 3 / 54 ]\n%CER 2.00 [ 5 / 250 ]\n"
    assert points_apart(rates, rates.replace("2.00", "2.40")) == pytest.approx(0.4)
    assert share_apart(["a", 1.0, 2], ["a", 1.01, 2]) == 0
    assert share_apart(["a", 1.0, 2], ["b", 1.5, 2]) == pytest.approx(2 / 3)
    assert share_apart(["a", "b", "c", "d"], ["a", "b", "c"]) == 0.25
    assert share_apart(["a", 1, 2], ["a", 1]) > 0
    assert np.isclose(share_apart([None, "x"], [None, "x"]), 0)

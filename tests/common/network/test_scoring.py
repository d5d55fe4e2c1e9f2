"""The reference is the model itself, which reads a whole text at once."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from random_language_model import LETTERS, model_of

from common.data.batching import BatchLoader
from common.data.text_streams import Streams
from common.network.scoring import label_log_probs, measure_bits, text_log_probs


def text_of(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, LETTERS.classes, length).astype(np.int32)


@pytest.mark.parametrize("streams", [1, 3])
def test_bits_are_those_of_the_whole_stream_read_at_once(streams):
    model = model_of()
    text = text_of(31)
    data = Streams([text], streams, 4)
    model.carried = {"hidden": torch.ones(1, 1, 8).double(), "memory": torch.ones(1, 1, 8).double()}
    before = model.carried
    bits, count = measure_bits(model, BatchLoader(data, plan=data.plan))["bits_per_character"]
    edges = [31 * part // streams for part in range(streams + 1)]
    expected = 0.0
    for first, end in pairwise(edges):
        labels = torch.from_numpy(np.concatenate([[text[first - 1]], text[first:end]])).long()[None]
        log_probs, _ = model(labels[:, :-1], torch.tensor([end - first]))
        expected -= float(log_probs[0, torch.arange(end - first), labels[0, 1:]].sum()) / math.log(2)
    assert count == 31
    assert bits == pytest.approx(expected)
    assert torch.equal(model.carried["hidden"], before["hidden"])  # training goes on where it was


def test_texts_alone_and_in_one_stream_are_scored_label_by_label():
    model = model_of()
    texts = ["abc", "", "fa", "xd"]
    whole = torch.tensor([[0, *LETTERS.encode("abc"), 0, 0, *LETTERS.encode("fa"), 0, 7, 4, 0]])
    log_probs, _ = model(whole[:, :-1], torch.tensor([whole.shape[1] - 1]))
    running = -log_probs[0, torch.arange(whole.shape[1] - 1), whole[0, 1:]].detach().numpy()
    found = label_log_probs(model, texts, running=True)
    assert [len(one) for one in found] == [4, 1, 3, 3]
    np.testing.assert_allclose(-np.concatenate(found), running)
    alone = label_log_probs(model, texts)
    np.testing.assert_allclose(alone[0], found[0])
    np.testing.assert_allclose(text_log_probs(model, texts), [one.sum() for one in alone])
    again, _ = model(torch.tensor([[0, 6, 1]]), torch.tensor([3]))
    np.testing.assert_allclose(alone[2], again[0, [0, 1, 2], [6, 1, 0]].detach())

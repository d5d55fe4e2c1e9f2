"""The truth of these tests is the CTC loss of torch, and that a head does not differ from itself."""

import copy

import numpy as np
import pytest
import torch
from refit_head import loss_of

from common.network.heads import CTCHead


@pytest.fixture
def head() -> CTCHead:
    torch.manual_seed(0)
    return CTCHead(6, 4)


def steps_of(count: int) -> np.ndarray:
    return np.random.default_rng(count).standard_normal((count, 6)).astype(np.float32)


def test_a_signal_without_text_has_the_ctc_loss_of_the_empty_text_per_step(head):
    signals = [steps_of(5), steps_of(3)]
    losses = []
    for rows in signals:
        log_probs = head(torch.from_numpy(rows))[:, None]  # (S, 1, C)
        none = torch.zeros(1, 0, dtype=torch.long)
        sizes = torch.tensor([len(rows)]), torch.tensor([0])
        losses.append(torch.nn.functional.ctc_loss(log_probs, none, *sizes, reduction="sum") / len(rows))
    found = loss_of(head, copy.deepcopy(head), [(rows, True) for rows in signals], 5.0)
    assert found.item() == pytest.approx(sum(losses).item() / 2, rel=1e-5)


def test_a_signal_with_text_costs_only_what_changes(head):
    batch, before = [(steps_of(7), False)], copy.deepcopy(head)
    assert loss_of(head, before, batch, 5.0).item() == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        head.linear.bias[0] += 1
    once, twice = (loss_of(head, before, batch, weight).item() for weight in (1.0, 2.0))
    assert 0 < once == pytest.approx(twice / 2)

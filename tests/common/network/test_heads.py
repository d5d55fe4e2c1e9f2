"""The reference is NumPy in float64, one sequence at a time: the equations of each cell and each head.

Gradients are compared with differences of the losses on both sides of each weight.
"""

from itertools import groupby, product

import numpy as np
import pytest
import torch
from torch import nn

from common.network.heads import CTCHead, FrameHead, SequenceHead, head_outputs, summary
from common.network.recurrent import RecurrentEncoder

CELLS = pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh", "rnn_relu"])
DIRECTIONS = pytest.mark.parametrize("bidirectional", [False, True], ids=["ahead", "both ways"])
POOLINGS = ("last", "mean", "attention")
HEADS = ("ctc", "frames", *POOLINGS)
B, S, D, H, C = 3, 4, 3, 2, 3
LENGTHS = torch.tensor([3, 4, 1])
TARGETS = {
    "ctc": (torch.tensor([[1, 2], [2, 2], [1, 0]]), torch.tensor([2, 2, 1])),
    "frames": (torch.tensor([[0, 2, 1, 0], [1, 1, 0, 2], [2, 0, 0, 0]]), LENGTHS),
    **{pooling: (torch.tensor([[1], [3], [2]]), torch.tensor([1, 1, 1])) for pooling in POOLINGS},
}

Weights = dict[str, np.ndarray]


class Model(nn.Module):
    """An encoder of two layers and a head, in float64."""

    def __init__(self, cell: str, bidirectional: bool, head: str) -> None:
        super().__init__()
        torch.manual_seed(sum(map(ord, cell + head)))
        self.encoder = RecurrentEncoder(D, H, 2, cell, bidirectional)
        E = self.encoder.output_size
        if head in POOLINGS:
            self.head = SequenceHead(E, C, head, bidirectional)
        else:
            self.head = {"ctc": CTCHead, "frames": FrameHead}[head](E, C)
        self.double()
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(0.7 * torch.randn_like(parameter))

    def loss(self, features, lengths, targets, target_lengths):
        encoded, lengths, _ = self.encoder(features, lengths)
        return self.head.losses(encoded, lengths, targets, target_lengths)

    def weights(self) -> Weights:
        return {name: value.detach().numpy().copy() for name, value in self.named_parameters()}


def features_of(count: int = B) -> torch.Tensor:
    return torch.randn(count, S, D, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


# --- the equations


def logistic(x):
    return 1 / (1 + np.exp(-x))


def read(cell: str, weights: Weights, layer: str, sequence: np.ndarray) -> list[np.ndarray]:
    """Return the state after each step of a sequence."""
    U, W, b, d = (weights[f"{layer}.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    h, c, states = np.zeros(H), np.zeros(H), []
    for x in sequence:
        ours, theirs = U @ x + b, W @ h + d
        if cell == "lstm":
            i, f, g, o = np.split(ours + theirs, 4)
            c = logistic(f) * c + logistic(i) * np.tanh(g)
            h = logistic(o) * np.tanh(c)
        elif cell == "gru":
            (r, z, n), (of_r, of_z, of_n) = np.split(ours, 3), np.split(theirs, 3)
            z = logistic(z + of_z)
            h = (1 - z) * np.tanh(n + logistic(r + of_r) * of_n) + z * h
        else:
            h = np.tanh(ours + theirs) if cell == "rnn_tanh" else np.maximum(0, ours + theirs)
        states.append(h)
    return states


def encode(cell: str, bidirectional: bool, weights: Weights, sequence: np.ndarray):
    """Return the output of the last layer for each step, and the last state of each of its directions."""
    for layer in range(2):
        ahead = read(cell, weights, f"encoder.forwards.{layer}", sequence)
        back = []
        if bidirectional:
            back = read(cell, weights, f"encoder.backwards.{layer}", sequence[::-1])
        ends = [ahead[-1], *back[-1:]]
        sequence = np.array(
            [np.concatenate(pair) for pair in zip(ahead, back[::-1], strict=True)] if back else ahead
        )
    return sequence, np.concatenate(ends)


def log_softmax(scores: np.ndarray) -> np.ndarray:
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))


def sequence_loss(
    head: str, weights: Weights, encoded: np.ndarray, end: np.ndarray, labels: list[int]
) -> float:
    W, b = weights["head.linear.weight"], weights["head.linear.bias"]
    if head in POOLINGS:
        pooled = end if head == "last" else encoded.mean(0)
        if head == "attention":
            inner = np.tanh(encoded @ weights["head.energy.0.weight"].T + weights["head.energy.0.bias"])
            energies = inner @ weights["head.energy.2.weight"][0] + weights["head.energy.2.bias"]
            pooled = (
                sum(e * one for e, one in zip(np.exp(energies), encoded, strict=True))
                / np.exp(energies).sum()
            )
        return -log_softmax(W @ pooled + b)[labels[0] - 1]
    log_probs = log_softmax(encoded @ W.T + b)  # (S, C)
    if head == "frames":
        return -np.mean([row[label] for row, label in zip(log_probs, labels, strict=True)])
    return -np.log(
        sum(
            np.exp(sum(row[label] for row, label in zip(log_probs, path, strict=True)))
            for path in product(range(C), repeat=len(log_probs))
            if [label for label, _ in groupby(path) if label] == labels
        )
    )


def unrolled(cell: str, bidirectional: bool, head: str, weights: Weights, features: np.ndarray) -> float:
    """Return the sum of the losses of the batch."""
    targets, target_lengths = TARGETS[head]
    total = 0.0
    for sequence, length, labels, count in zip(features, LENGTHS, targets, target_lengths, strict=True):
        encoded, end = encode(cell, bidirectional, weights, sequence[:length])
        total += sequence_loss(head, weights, encoded, end, labels[:count].tolist())
    return total


@CELLS
@DIRECTIONS
@pytest.mark.parametrize("head", HEADS)
def test_losses_and_gradients_are_those_of_the_equations(cell, bidirectional, head):
    model, features = Model(cell, bidirectional, head), features_of().requires_grad_()
    loss, impossible = model.loss(features, LENGTHS, *TARGETS[head])
    loss.backward()
    weights, signal, rng = model.weights(), features.detach().numpy(), np.random.default_rng(1)

    assert impossible == 0
    assert loss.item() == pytest.approx(unrolled(cell, bidirectional, head, weights, signal), rel=1e-5)
    gradients = {name: value.grad.numpy() for name, value in model.named_parameters()}
    for name, gradient in {**gradients, "features": features.grad.numpy()}.items():
        direction, sides = rng.standard_normal(gradient.shape), []
        for step in (1e-6, -1e-6):
            moved = {**weights, "features": signal}
            moved[name] = moved[name] + step * direction
            sides.append(unrolled(cell, bidirectional, head, moved, moved["features"]))
        assert (gradient * direction).sum() == pytest.approx(
            (sides[0] - sides[1]) / 2e-6, rel=1e-4, abs=1e-5
        ), name


@CELLS
@DIRECTIONS
@pytest.mark.parametrize("head", HEADS)
def test_padding_and_batch_mates_change_neither_losses_nor_gradients(cell, bidirectional, head):
    features, (targets, target_lengths) = features_of(), TARGETS[head]
    together, alone = Model(cell, bidirectional, head), Model(cell, bidirectional, head)
    features[0, 3:], features[2, 1:] = 1e3, -1e3  # what stands in the padding is nothing to them
    features.requires_grad_()
    together.loss(features, LENGTHS, targets, target_lengths)[0].backward()
    for row, length in enumerate(LENGTHS.tolist()):
        width = length if head == "frames" else targets.shape[1]
        one = slice(row, row + 1)
        alone.loss(features.detach()[one, :length], LENGTHS[one], targets[one, :width], target_lengths[one])[
            0
        ].backward()
    for (name, ours), theirs in zip(together.named_parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6, msg=name)
    for row, length in enumerate(LENGTHS.tolist()):
        assert not features.grad[row, length:].any()
    assert features.grad.any()


@CELLS
def test_the_summary_of_both_directions_is_what_each_ends_with(cell):
    model, features = Model(cell, True, "last"), features_of()
    encoded, lengths, _ = model.encoder(features, LENGTHS)
    found = summary(encoded, lengths, bidirectional=True)
    for row, length in enumerate(LENGTHS.tolist()):
        _, ends = encode(cell, True, model.weights(), features[row, :length].numpy())
        assert found[row].tolist() == pytest.approx(ends.tolist())


def test_the_summary_of_one_direction_is_its_last_real_step():
    encoded = torch.arange(24.0).reshape(2, 3, 4)
    assert summary(encoded, torch.tensor([2, 3]), bidirectional=False).tolist() == [
        [4.0, 5.0, 6.0, 7.0],
        [20.0, 21.0, 22.0, 23.0],
    ]


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_weights_of_pooling_are_shares_of_the_real_steps(pooling):
    """Pooling ones gives one, and pooling a marked step gives its weight."""
    head, S = SequenceHead(5, 2, pooling), 5
    marked = torch.eye(S).expand(3, S, S)  # step s has its one at place s
    weights = head._pooled(marked, torch.tensor([1, 3, 5]))
    assert weights.sum(1).tolist() == pytest.approx([1, 1, 1])
    assert (weights[0, 1:] == 0).all()
    assert (weights[1, 3:] == 0).all()
    assert (weights[2] > 0).all()


def test_probabilities_of_one_label_sum_to_one_and_count_as_one_step():
    head, encoded = SequenceHead(4, 7), torch.randn(2, 5, 4)
    log_probs, lengths = head_outputs(head, encoded, torch.tensor([5, 2]))
    assert log_probs.shape == (2, 1, 7)
    assert lengths.tolist() == [1, 1]
    assert log_probs.exp().sum(2).flatten().tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("head", [CTCHead(4, 3), FrameHead(4, 3), *(SequenceHead(4, 3, p) for p in POOLINGS)])
def test_log_probabilities_are_float32_whatever_the_precision_elsewhere(head):
    with torch.autocast("cpu", torch.bfloat16):
        log_probs, _ = head_outputs(head, torch.randn(2, 5, 4), torch.tensor([5, 2]))
    assert log_probs.dtype == torch.float32


def test_an_unknown_pooling_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'max'; it must be last, mean or attention"):
        SequenceHead(4, 3, "max")


def test_a_text_that_no_path_can_spell_counts_as_impossible_and_costs_nothing():
    loss, impossible = CTCHead(4, 3).losses(
        torch.randn(1, 2, 4), torch.tensor([2]), torch.tensor([[1, 1]]), torch.tensor([2])
    )
    assert (loss.item(), impossible) == (0, 1)

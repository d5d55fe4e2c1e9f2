"""The reference is the list of all paths, written by hand where it is short and enumerated elsewhere."""

import math
from functools import cache
from itertools import groupby, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from common.network.ctc import (
    collapse,
    consistency_losses,
    count_impossible,
    ctc_loss,
    ctc_losses,
    fits,
    required_steps,
)

A, N = 1, 2
"""two labels; 0 is the blank"""


def spelled(path: tuple[int, ...]) -> tuple[int, ...]:
    """Return the labels that a path spells: each run becomes one label, then blanks are removed."""
    return tuple(label for label, _ in groupby(path) if label != 0)


@cache
def paths_by_text(steps: int, classes: int) -> dict[tuple[int, ...], list[tuple[int, ...]]]:
    texts: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for path in product(range(classes), repeat=steps):
        texts.setdefault(spelled(path), []).append(path)
    return texts


def summed(log_probs: Tensor, paths: list[tuple[int, ...]]) -> Tensor:
    """Return minus the log of the total probability of `paths` under `log_probs` (S, C)."""
    steps = range(log_probs.shape[0])
    return -torch.log(sum(log_probs[steps, list(path)].sum().exp() for path in paths))


def random_log_probs(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(*shape, dtype=torch.float64, generator=generator)).log_softmax(-1)


def one_loss(log_probs: Tensor, labels: list[int]) -> Tensor:
    """Return the loss of one utterance with log-probabilities (S, C)."""
    return ctc_losses(
        log_probs[None],
        torch.tensor([log_probs.shape[0]]),
        torch.tensor([labels], dtype=torch.int64),
        torch.tensor([len(labels)]),
    )[0]


# --- collapsing


@pytest.mark.parametrize(
    ("path", "labels"),
    [
        ([], []),
        ([0, 0, 0], []),
        ([A, A, A], [A]),
        ([A, 0, A], [A, A]),
        ([0, A, A, N, 0, N, N, A], [A, N, N, A]),
    ],
)
def test_a_path_spells_its_runs_without_blanks(path, labels):
    assert collapse(path) == labels


@given(st.lists(st.integers(0, 3)))
def test_collapsing_merges_runs_then_removes_blanks(path):
    assert tuple(collapse(path)) == spelled(tuple(path))
    assert collapse(iter(path)) == collapse(path)


# --- which targets fit


@pytest.mark.parametrize(
    ("labels", "steps"),
    [([], 0), ([A], 1), ([A, N], 2), ([A, A], 3), ([A, A, A], 5), ([A, N, N, A], 5)],
)
def test_each_label_needs_a_step_and_equal_neighbours_one_more(labels, steps):
    assert required_steps(labels) == steps


@given(st.lists(st.integers(1, 2), max_size=4), st.integers(0, 8))
def test_a_target_fits_if_some_path_spells_it(labels, steps):
    assert fits(labels, steps) == (tuple(labels) in paths_by_text(steps, 3))


@given(st.lists(st.integers(1, 2), max_size=4))
def test_the_required_steps_are_the_length_of_the_shortest_path(labels):
    shortest = next(steps for steps in range(9) if tuple(labels) in paths_by_text(steps, 3))
    assert required_steps(labels) == shortest


# --- the loss


def test_the_loss_is_the_log_of_the_sum_over_all_alignments_listed_by_hand():
    log_probs = random_log_probs(3, 3)
    one_label = [(A, A, A), (A, A, 0), (0, A, A), (A, 0, 0), (0, A, 0), (0, 0, A)]
    two_labels = [(A, A, N), (A, N, N), (A, N, 0), (A, 0, N), (0, A, N)]
    twice_the_same = [(A, 0, A)]
    for labels, paths in [([A], one_label), ([A, N], two_labels), ([A, A], twice_the_same)]:
        assert one_loss(log_probs, labels).item() == pytest.approx(summed(log_probs, paths).item(), rel=1e-5)


def test_the_loss_of_nothing_is_that_of_blanks_all_along():
    log_probs = random_log_probs(5, 4)
    assert one_loss(log_probs, []).item() == pytest.approx(-log_probs[:, 0].sum().item(), rel=1e-5)


@pytest.mark.parametrize(("steps", "classes"), [(1, 3), (2, 2), (4, 3), (5, 3), (4, 4)])
def test_the_loss_is_the_log_of_the_sum_over_all_alignments_enumerated(steps, classes):
    log_probs = random_log_probs(steps, classes, seed=steps)
    total = 0.0
    for labels, paths in paths_by_text(steps, classes).items():
        loss = one_loss(log_probs, list(labels)).item()
        assert loss == pytest.approx(summed(log_probs, paths).item(), rel=1e-5, abs=1e-6)
        total += math.exp(-loss)
    assert total == pytest.approx(1, abs=1e-5)  # some text it must be


def test_the_gradient_is_that_of_the_sum_over_all_alignments():
    for labels in [(A,), (A, N), (A, A), (N, A, N), ()]:
        scores = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
        scores.requires_grad_()
        ours = torch.autograd.grad(one_loss(scores.log_softmax(-1), list(labels)), scores)[0]
        paths = paths_by_text(4, 3)[labels]
        truth = torch.autograd.grad(summed(scores.log_softmax(-1), paths), scores)[0]
        torch.testing.assert_close(ours, truth, rtol=1e-4, atol=1e-5)


def batch_of_three() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return a batch: log-probabilities (3, 5, 3) of 5, 3 and 4 steps, and targets of 2, 1 and 3 labels."""
    targets = torch.tensor([[A, A, 0], [N, 0, 0], [A, N, A]])
    return random_log_probs(3, 5, 3, seed=5), torch.tensor([5, 3, 4]), targets, torch.tensor([2, 1, 3])


def test_each_utterance_of_a_batch_has_the_loss_it_has_alone_and_the_mean_is_over_utterances():
    log_probs, lengths, targets, target_lengths = batch_of_three()
    expected = []
    for row in range(3):
        steps, labels = int(lengths[row]), tuple(targets[row, : target_lengths[row]].tolist())
        expected.append(summed(log_probs[row, :steps], paths_by_text(steps, 3)[labels]).item())
    losses = ctc_losses(log_probs, lengths, targets, target_lengths)
    assert losses.tolist() == pytest.approx(expected, rel=1e-5)
    loss = ctc_loss(log_probs, lengths, targets, target_lengths)
    assert loss.mean.item() == pytest.approx(sum(expected) / 3, rel=1e-5)
    assert loss.impossible == 0


def test_padding_of_steps_and_labels_does_not_change_the_loss():
    log_probs, lengths, targets, target_lengths = batch_of_three()
    clean = ctc_losses(log_probs, lengths, targets, target_lengths)
    behind = torch.arange(5) >= lengths[:, None]
    dirty = torch.where(behind[:, :, None], -50.0, log_probs).requires_grad_()
    for rubbish in (-1, A, N, 10**6):
        padded = torch.where(torch.arange(3) >= target_lengths[:, None], rubbish, targets)
        losses = ctc_losses(dirty, lengths, padded, target_lengths)
        assert torch.equal(losses, clean)
        assert count_impossible(lengths, padded, target_lengths) == 0
        assert not torch.autograd.grad(losses.sum(), dirty)[0][behind].any()


# --- impossible targets


def test_an_impossible_target_is_counted_and_has_neither_loss_nor_gradient():
    log_probs = random_log_probs(4, 3, 3).requires_grad_()
    targets = torch.tensor([[A, A, 0, 0], [A, A, A, 0], [A, N, A, N], [A, N, A, 0]])
    lengths, target_lengths = torch.tensor([2, 3, 3, 3]), torch.tensor([2, 3, 4, 3])
    loss = ctc_loss(log_probs, lengths, targets, target_lengths)
    assert loss.impossible == 3
    losses = ctc_losses(log_probs, lengths, targets, target_lengths)
    assert losses[:3].tolist() == [0, 0, 0]
    fitting = summed(log_probs[3], [(A, N, A)]).item()
    assert losses[3].item() == pytest.approx(fitting, rel=1e-5)
    assert loss.mean.item() == pytest.approx(fitting / 4, rel=1e-5)
    loss.mean.backward()
    assert torch.isfinite(log_probs.grad).all()
    assert not log_probs.grad[:3].any()
    assert log_probs.grad[3].any()


def test_a_batch_of_impossible_targets_only_gives_zero():
    log_probs = random_log_probs(2, 1, 3).requires_grad_()
    loss = ctc_loss(log_probs, torch.tensor([1, 1]), torch.tensor([[A, N], [A, A]]), torch.tensor([2, 2]))
    loss.mean.backward()
    assert (loss.mean.item(), loss.impossible) == (0, 2)
    assert not log_probs.grad.any()


def test_a_certain_but_wrong_model_has_a_finite_loss_and_gradient():
    scores = torch.tensor([[[80.0, -80.0]] * 4], requires_grad=True)
    loss = one_loss(scores[0].log_softmax(-1), [A])
    assert loss.item() == pytest.approx(160 - math.log(4), rel=1e-5)
    loss.backward()
    assert torch.isfinite(scores.grad).all()


@settings(deadline=None)
@given(st.data())
def test_the_count_is_of_targets_no_path_can_spell(data):
    utterances = data.draw(st.lists(st.lists(st.integers(1, 2), max_size=4), min_size=1, max_size=5))
    steps = data.draw(st.lists(st.integers(0, 6), min_size=len(utterances), max_size=len(utterances)))
    rubbish = data.draw(st.integers(0, 2))
    targets = torch.full((len(utterances), 4), rubbish)
    for row, labels in zip(targets, utterances, strict=True):
        row[: len(labels)] = torch.tensor(labels)
    impossible = sum(
        tuple(labels) not in paths_by_text(length, 3)
        for labels, length in zip(utterances, steps, strict=True)
    )
    target_lengths = torch.tensor([len(labels) for labels in utterances])
    assert count_impossible(torch.tensor(steps), targets, target_lengths) == impossible


# --- precision


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_loss_is_computed_in_float32_whatever_the_precision_of_the_input(dtype):
    log_probs, lengths, targets, target_lengths = batch_of_three()
    given_in = log_probs.to(dtype)
    losses = ctc_losses(given_in, lengths, targets, target_lengths)
    assert losses.dtype == torch.float32
    truth = ctc_losses(given_in.double(), lengths, targets, target_lengths)
    assert torch.equal(losses, truth)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ctc_losses(given_in, lengths, targets, target_lengths), losses)


@pytest.mark.parametrize("integers", [torch.int32, torch.int64])
def test_integers_of_any_width_give_the_same_loss(integers):
    log_probs, lengths, targets, target_lengths = batch_of_three()
    whole = ctc_losses(log_probs, lengths, targets, target_lengths)
    narrow = ctc_losses(log_probs, lengths.to(integers), targets.to(integers), target_lengths.to(integers))
    assert torch.equal(narrow, whole)


# --- consistency of two views


def test_consistency_is_half_of_both_divergences_summed_over_steps():
    first, second = ([0.5, 0.25, 0.25], [0.8, 0.1, 0.1]), ([0.25, 0.25, 0.5], [0.8, 0.1, 0.1])
    # the second step agrees; the first: 1/2 (sum q log q/p + sum p log p/q), with 0.25 log 2 and 0.25 log 2
    found = consistency_losses(torch.tensor([first]).log(), torch.tensor([second]).log(), torch.tensor([2]))
    assert found.tolist() == pytest.approx([0.25 * math.log(2)])


def test_consistency_counts_no_padding():
    first, second = random_log_probs(2, 5, 3, seed=1), random_log_probs(2, 5, 3, seed=2)
    alone = consistency_losses(first[:1, :3], second[:1, :3], torch.tensor([3]))
    torch.testing.assert_close(consistency_losses(first, second, torch.tensor([3, 5]))[:1], alone)


def test_consistency_draws_each_view_towards_the_other_which_counts_as_given():
    logits = torch.randn(2, 1, 1, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    logits.requires_grad_()
    first, second = logits.log_softmax(-1)
    consistency_losses(first, second, torch.tensor([1])).sum().backward()
    p, q = logits.detach().softmax(-1)
    # the gradient of sum q (log q - log softmax(z)) by z is softmax(z) - q
    torch.testing.assert_close(logits.grad, torch.stack([0.5 * (p - q), 0.5 * (q - p)]), check_dtype=False)
